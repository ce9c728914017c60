//! A plan as a document: printed, saved, and read back only as it was written.
//!
//! Its digest is against mistakes, such as a line that is edited out in the belief that it is then left away. It is no
//! signature: whoever can write the file can write another digest. What is applied is always the plan made at that time,
//! which has to be the same.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Plan;
use crate::document::{API_VERSION, Head};
use crate::error::{Error, Result};
use crate::fix::vaultk8s;
use crate::text::printable_line;

/// The `kind` of its document.
pub(crate) const KIND: &str = "Plan";

/// The name of the digest's field.
const DIGEST: &str = "digest";

/// What the document has beside the plan, under these names.
const HEAD: [&str; 3] = ["apiVersion", "kind", DIGEST];

/// What to do about a file that can't be used.
fn remedy() -> String {
    format!("make the plan anew: {}", vaultk8s("plan --out FILE").shown())
}

/// A plan with its digest.
#[derive(Debug, Serialize)]
pub struct PlanDocument<'a> {
    #[serde(flatten)]
    pub(crate) plan: &'a Plan,
    digest: String,
}

/// What tells whether a plan was edited.
#[derive(Deserialize)]
struct Told {
    digest: Option<String>,
}

impl Plan {
    /// The document that is printed and saved.
    ///
    /// # Errors
    /// When the plan has no JSON form.
    pub fn document(&self) -> Result<PlanDocument<'_>> {
        Ok(PlanDocument { plan: self, digest: digest(self.value()?) })
    }

    /// Reads a plan that `plan --out` or `plan -o json` wrote.
    ///
    /// # Errors
    /// When the text is something else, was edited, or was written by another version. `origin` is what to call it.
    pub fn from_document(text: &str, origin: &str) -> Result<Self> {
        let refused = |why: String| Error::usage(why).remedy(remedy());
        let no_plan = |error| refused(format!("{origin} is not a saved plan")).because(error);
        let head: Head = serde_json::from_str(text).map_err(no_plan)?;
        let told: Told = serde_json::from_str(text).map_err(no_plan)?;
        if head.kind != KIND {
            return Err(refused(format!("{origin} is not a saved plan, its kind is {:?}", head.kind)));
        }
        if head.api_version != API_VERSION {
            return Err(refused(format!(
                "{origin} is a plan of version {:?}, and this vaultk8s knows {API_VERSION:?}",
                head.api_version
            )));
        }
        let damaged = |error| refused(format!("the plan in {origin} is damaged")).because(error);
        let plan: Self = serde_json::from_str(text).map_err(damaged)?;
        let Some(told) = told.digest else {
            return Err(refused(format!(
                "the plan in {origin} carries no digest, so another version of vaultk8s made it"
            )));
        };
        let mut fields: Value = serde_json::from_str(text).map_err(damaged)?;
        if let Value::Object(map) = &mut fields {
            map.retain(|field, _| !HEAD.contains(&field.as_str()));
        }
        let mut unknown = Vec::new();
        find_unknown(&fields, &plan.value()?, "", &mut unknown);
        if !unknown.is_empty() {
            let what = if unknown.len() == 1 { "a field" } else { "fields" };
            return Err(refused(format!(
                "the plan in {origin} has {what} that this vaultk8s doesn't write: {}",
                unknown.join(", ")
            )));
        }
        if digest(fields) != told {
            return Err(refused(format!("the plan in {origin} was edited: its digest is that of another plan")));
        }
        Ok(plan)
    }

    fn value(&self) -> Result<Value> {
        serde_json::to_value(self).map_err(|error| Error::failed("the plan has no JSON form").because(error))
    }
}

/// The digest of a plan's fields, in whatever order they are.
fn digest(mut fields: Value) -> String {
    fields.sort_all_objects();
    let hash = Sha256::digest(fields.to_string());
    hash.iter().fold("sha256:".to_owned(), |digest, byte| digest + &format!("{byte:02x}"))
}

/// Names the fields that only the file has, each by its path.
fn find_unknown(file: &Value, known: &Value, path: &str, unknown: &mut Vec<String>) {
    match (file, known) {
        (Value::Object(file), Value::Object(known)) => {
            for (field, value) in file {
                let path =
                    if path.is_empty() { printable_line(field) } else { format!("{path}.{}", printable_line(field)) };
                match known.get(field) {
                    Some(known) => find_unknown(value, known, &path, unknown),
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(file), Value::Array(known)) => {
            for (at, (file, known)) in file.iter().zip(known).enumerate() {
                find_unknown(file, known, &format!("{path}[{at}]"), unknown);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::document::json_document;
    use crate::names::PolicyName;
    use crate::plan::{Action, Change, FieldChange, Object, Write};

    /// A plan that makes one policy.
    pub(in crate::plan) fn plan() -> Plan {
        let name: PolicyName = "p".parse().unwrap();
        let field = |field: &str, before| FieldChange { field: field.to_owned(), before, after: "text".into() };
        let change = Change {
            fields: vec![field("policy", None), field("other", Some(Value::Null))],
            ..Change::new(
                Action::Create,
                Object::Policy { name: (&name).into() },
                Write::Policy {
                    name,
                    text: "text".to_owned(),
                    cas: None,
                    version: None,
                    accessors_of: BTreeSet::new(),
                },
            )
        };
        Plan { address: "https://v".to_owned(), changes: vec![change], ..Plan::default() }
    }

    fn text(plan: &Plan) -> String {
        json_document(KIND, &plan.document().unwrap()).unwrap()
    }

    /// What is said of the document once it was edited in this way.
    fn refusal(edit: impl FnOnce(&mut Value)) -> String {
        let mut document: Value = serde_json::from_str(&text(&plan())).unwrap();
        edit(&mut document);
        let error = Plan::from_document(&document.to_string(), "FILE").unwrap_err();
        assert_eq!(error.kind().exit_code(), 64);
        assert_eq!(error.remedies(), [remedy().as_str()]);
        error.to_string()
    }

    #[test]
    fn a_document_is_read_back_as_the_same_plan_in_whatever_order_its_fields_are() {
        let read = Plan::from_document(&text(&plan()), "FILE").unwrap();
        assert_eq!(read, plan());
        let mut document: Value = serde_json::from_str(&text(&plan())).unwrap();
        document.sort_all_objects();
        assert_eq!(Plan::from_document(&document.to_string(), "FILE").unwrap(), plan());
    }

    #[test]
    fn what_was_edited_is_refused() {
        let edits: [fn(&mut Value); 7] = [
            |plan| plan["madeAt"] = json!("2026-01-01T00:00:00Z"),
            |plan| plan["prune"] = json!(true),
            |plan| plan["changes"] = json!([]),
            |plan| plan["changes"][0]["write"]["policy"]["text"] = json!("other"),
            |plan| plan["changes"][0]["fields"][1]["before"] = json!(0),
            |plan| plan["digest"] = json!("sha256:00"),
            |plan| drop(plan.as_object_mut().unwrap().remove("madeAt")),
        ];
        for edit in edits {
            assert_eq!(refusal(edit), "the plan in FILE was edited: its digest is that of another plan");
        }
    }

    #[test]
    fn a_field_that_no_plan_has_is_named_wherever_it_is() {
        let said = refusal(|plan| {
            plan["exclusive"] = json!(true);
            plan["changes"][0]["write"]["policy"]["force\u{1b}"] = json!(1);
            plan["changes"][0]["fields"][0]["x"] = Value::Null;
        });
        assert!(said.ends_with(": changes[0].fields[0].x, changes[0].write.policy.force\\u{1b}, exclusive"), "{said}");
    }

    #[test]
    fn another_version_and_another_kind_are_refused() {
        for (edit, word) in [
            ((|plan| plan["apiVersion"] = json!("vaultk8s/v9")) as fn(&mut Value), "v9"),
            (|plan| plan["kind"] = json!("Bootstrap"), "Bootstrap"),
            (|plan| *plan = json!({}), "kind"),
            (|plan| *plan = json!("text"), "not a saved plan"),
            (|plan| drop(plan.as_object_mut().unwrap().remove("changes")), "damaged"),
            (|plan| drop(plan.as_object_mut().unwrap().remove("digest")), "another version of vaultk8s made it"),
        ] {
            let said = refusal(edit);
            assert!(said.contains(word), "{said}");
        }
    }
}
