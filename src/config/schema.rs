//! The JSON Schema of the file (draft 2020-12), made from the table of its fields.
//!
//! Editors complete and check with it. It says what a field takes and what may not be missing; what depends on more than
//! one place, such as a role that names a policy, is for `vaultk8s plan` to say.

use serde_json::{Map, Value, json};

use super::fields::{FILE, Field, Section, Takes};

/// Seconds, or numbers with units.
const DURATION: &str = "^([0-9]+|([0-9]+[dhms])+)$";
/// The same, or -1.
const LEEWAY: &str = "^(-1|[0-9]+|([0-9]+[dhms])+)$";

/// The JSON Schema of `vaultk8s.yaml`.
pub fn schema() -> Value {
    let mut definitions = Map::new();
    let mut file = object(&FILE, &mut definitions);
    if let Value::Object(file) = &mut file {
        file.insert("$defs".to_owned(), Value::Object(definitions));
    }
    let mut document = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "vaultk8s.yaml",
        "description": "What Vault must hold so that service accounts of Kubernetes clusters can log in",
    });
    if let (Value::Object(document), Value::Object(file)) = (&mut document, file) {
        document.extend(file);
        // Places for anchors.
        document.insert("patternProperties".to_owned(), json!({ "^x-": true }));
    }
    document
}

fn object(section: &Section, definitions: &mut Map<String, Value>) -> Value {
    let properties: Map<String, Value> =
        section.fields.iter().map(|field| (field.name.to_owned(), property(field, definitions))).collect();
    let required: Vec<&str> = section.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({
        // A section whose lines are all commented out is nothing, which is as good as empty where nothing is required.
        "type": if required.is_empty() { json!(["object", "null"]) } else { json!("object") },
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn property(field: &Field, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = match field.takes {
        Takes::Text => text(),
        Takes::Texts => texts(),
        Takes::Flag => json!({ "type": "boolean" }),
        Takes::Count => json!({ "type": ["integer", "string"], "minimum": 0, "pattern": "^[0-9]+$" }),
        Takes::Duration => json!({ "type": ["integer", "string"], "minimum": 0, "pattern": DURATION }),
        Takes::Leeway => json!({ "type": ["integer", "string"], "minimum": -1, "pattern": LEEWAY }),
        Takes::Word(words) => json!({ "enum": words }),
        Takes::WordOr(words, section) => json!({ "oneOf": [{ "enum": words }, reference(section, definitions)] }),
        Takes::TextOr(section) => json!({ "oneOf": [text(), reference(section, definitions)] }),
        Takes::Claims => json!({ "type": "object", "additionalProperties": texts() }),
        Takes::Settings => {
            json!({ "type": "object", "additionalProperties": { "type": ["string", "integer", "boolean"] } })
        }
        Takes::Labels => json!({ "oneOf": [{ "type": "string" }, {
            "type": "object",
            "properties": {
                "matchLabels": { "type": ["object", "null"], "additionalProperties": text() },
                "matchExpressions": { "type": ["array", "null"], "items": { "type": "object" } },
            },
            "additionalProperties": false,
        }] }),
        Takes::Section(section) => reference(section, definitions),
        Takes::Sections(section) => json!({ "type": ["array", "null"], "items": reference(section, definitions) }),
    };
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".to_owned(), field.about.into());
    }
    schema
}

/// A name may look like a number: `name: 2024`.
fn text() -> Value {
    json!({ "type": ["string", "number"] })
}

fn texts() -> Value {
    json!({ "type": ["string", "number", "array"], "items": text() })
}

fn reference(section: &Section, definitions: &mut Map<String, Value>) -> Value {
    let name = section.what.trim_start_matches("a ").trim_start_matches("an ").trim_matches('`');
    if !definitions.contains_key(name) {
        let definition = object(section, definitions);
        definitions.insert(name.to_owned(), definition);
    }
    json!({ "$ref": format!("#/$defs/{name}") })
}
