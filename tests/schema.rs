//! The JSON Schema of the configuration, judged by an independent validator.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use vaultk8s::config::{Config, schema};

use crate::command::{Vaultk8s, testdata};

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema()).unwrap()
}

/// As any YAML parser reads it, once placeholders are filled in: without quotes they are a leniency of our own.
fn read(file: &Path) -> Value {
    let mut text = std::fs::read_to_string(file).unwrap();
    for placeholder in ["{{identity.entity.id}}", "{cluster}", "{each}"] {
        text = text.replace(placeholder, "filled-in");
    }
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let files = std::fs::read_dir(testdata(folder)).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

#[test]
fn it_is_a_schema_and_the_command_prints_it() {
    let printed = Vaultk8s::new(["schema"]).run().exits(0).json();
    assert_eq!(printed, schema());
    assert!(jsonschema::draft202012::meta::is_valid(&printed));
}

#[test]
fn every_example_validates() {
    let validator = validator();
    let files = yaml_files("configs");
    assert!(files.len() > 4, "the examples are gone");
    for file in files {
        let document = read(&file);
        let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", file.display());
    }
}

#[test]
fn what_the_table_says_is_wrong_fails() {
    let validator = validator();
    for name in [
        "unknown-field",
        "unknown-field-many",
        "misplaced-field",
        "snake-case",
        "wrong-types",
        "word-unknown",
        "missing-fields",
        "no-clusters",
        "method-unknown",
        "document-list",
        "document-text",
        "auth-missing",
        "duration",
        "role-without-policies",
        "no-value",
        "several",
    ] {
        let file = testdata(&format!("configs/invalid/{name}.yaml"));
        let document = read(&file);
        assert!(!validator.is_valid(&document), "{name} is valid by the schema");
    }
}

#[test]
fn what_our_own_reader_accepts_validates() {
    let validator = validator();
    let role = |field: &str, value: Value| {
        let mut role = json!({ "name": "r", "serviceAccounts": "a/b", "policies": ["p"] });
        role[field] = value;
        json!({
            "clusters": [{ "name": "c", "auth": { "method": "jwt", "audience": "vault" } }],
            "policies": [{ "name": "p", "read": "x/*" }],
            "roles": [role],
        })
    };
    let cases = [
        ("ttl", json!("2h")),
        ("ttl", json!(7200)),
        ("ttl", json!("7200")),
        ("ttl", json!("1h30m")),
        ("ttl", json!("2x")),
        ("ttl", json!(-1)),
        ("ttl", json!([])),
        ("ttl", json!("")),
        ("ttl", json!("1h30")),
        ("expirationLeeway", json!(-1)),
        ("expirationLeeway", json!("30s")),
        ("expirationLeeway", json!(-2)),
        ("audience", json!(["vault", "other"])),
        ("audience", json!({})),
        ("claimMappings", json!({ "/kubernetes.io/namespace": "namespace" })),
        ("claimMappings", json!({ "/kubernetes.io/namespace": ["namespace"] })),
        ("claimMappings", json!("namespace")),
        ("groupsClaim", json!("groups")),
        ("groupsClaim", json!(["groups"])),
        ("numUses", json!(0)),
        ("numUses", json!(-1)),
        ("numUses", json!("few")),
        ("numUses", json!(1.5)),
        ("noDefaultPolicy", json!(true)),
        ("noDefaultPolicy", json!("true")),
        ("tokenType", json!("service")),
        ("tokenType", json!("other")),
        ("boundClaims", json!({ "iss": "x", "aud": ["y"] })),
        ("boundClaims", json!({ "iss": {} })),
        ("boundCidrs", json!("192.0.2.0/24")),
        ("boundCidrs", json!([["192.0.2.0/24"]])),
        ("clusters", json!("c")),
        ("nonsense", json!("c")),
    ];
    for (field, value) in cases {
        let document = role(field, value.clone());
        // JSON is YAML.
        let accepted = Config::parse(&document.to_string(), Path::new("vaultk8s.yaml")).is_ok();
        assert_eq!(validator.is_valid(&document), accepted, "{field}: {value}");
    }
}
