//! The fields of roles and configurations as the servers themselves list them (`?help=1`), against the file's: each is said by a field of the
//! file, or isn't for a reason (`testdata/path-help/said.json`).
//!
//! Lists of a version are kept there, one a method and path. Those of HashiCorp's Vault are from its plugins' sources, as each says.

use std::collections::{BTreeMap, BTreeSet};

use lab::Mount;
use serde_json::{Value, json};
use vaultk8s::config::schema;
use vaultk8s::model::{JwtConfig, JwtRole, KubernetesConfig, KubernetesRole};

use crate::command::testdata;

/// Methods and paths, each with the section of the file that says its fields.
const PATHS: [(&str, &str, &str); 4] = [
    ("jwt", "role", "role"),
    ("jwt", "config", "auth"),
    ("kubernetes", "role", "role"),
    ("kubernetes", "config", "auth"),
];

/// What a server reads back and can't be told.
const ONLY_READ: [&str; 2] = ["status", "token_reviewer_jwt_set"];

fn kept(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(testdata(&format!("path-help/{name}.json"))).unwrap()).unwrap()
}

/// A mount of a method.
fn enabled(method: &str) -> Mount {
    let mount = lab::shared().mount(method);
    lab::shared().vault().write(&format!("sys/auth/{mount}"), &json!({ "type": method }));
    mount
}

/// The fields of a path with their types, as a server's help has them now.
fn help(mount: &str, what: &str) -> BTreeMap<String, String> {
    let path = if what == "role" { "role/x" } else { what };
    let (status, answer) = lab::shared().vault().get(&format!("auth/{mount}/{path}?help=1"));
    assert_eq!(status, 200, "{answer}");
    let schemas = answer["openapi"]["components"]["schemas"].as_object().unwrap();
    let fields = schemas.values().flat_map(|schema| schema["properties"].as_object().unwrap());
    let kind = |field: &Value| {
        let format = field["format"].as_str().map(|format| format!(" {format}")).unwrap_or_default();
        format!("{}{format}", field["type"].as_str().unwrap())
    };
    fields.map(|(name, field)| (name.clone(), kind(field))).collect()
}

/// All lists that are kept of a method and path, by server and version.
fn lists(method: &str, what: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let folder = testdata("path-help");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let own = files.filter_map(|file| Some(file.strip_suffix(&format!("-{method}-{what}.json"))?.to_owned()));
    own.map(|server| {
        let list = kept(&format!("{server}-{method}-{what}"));
        assert!(!list["from"].as_str().unwrap().is_empty(), "{server}");
        (server, serde_json::from_value(list["fields"].clone()).unwrap())
    })
    .collect()
}

/// The names of an object's fields.
fn names(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_field_of_a_server_is_said_by_the_file_or_not_for_a_reason() {
    let (said, schema) = (kept("said"), schema());
    for (method, what, section) in PATHS {
        let (said, known) = (&said[method][what], names(&schema["$defs"][section]["properties"]));
        let lists = lists(method, what);
        assert_eq!(lists.len(), 2, "{method} {what}: {:?}", lists.keys());
        let now = help(&enabled(method), what);
        let all = lists.values().chain([&now]).flat_map(BTreeMap::keys).cloned();
        assert_eq!(all.collect::<BTreeSet<_>>(), names(said), "{method} {what}");
        for (field, told) in said.as_object().unwrap() {
            match (&told["file"], &told["because"]) {
                (Value::String(own), Value::Null) => assert!(known.contains(own), "{field}: {own} is no field"),
                (Value::Null, Value::String(why)) => assert!(why.len() > 10, "{field}"),
                _ => panic!("{field} is said, or isn't for a reason: {told}"),
            }
        }
    }
}

#[test]
fn the_lists_are_those_of_the_server() {
    let version = lab::shared().vault().get("sys/health").1["version"].clone();
    let server = format!("openbao-{}", version.as_str().unwrap());
    let mut compared = 0;
    for (method, what, _) in PATHS {
        // Of another version than those that are kept the other test finds what is new.
        if let Some(kept) = lists(method, what).get(&server) {
            assert_eq!(*kept, help(&enabled(method), what), "{method} {what} of {server}");
            compared += 1;
        }
    }
    assert!(compared == PATHS.len() || version != "2.7.2", "nothing was compared for {server}");
}

/// What is read back is in the list, and in the documents that this tool compares.
#[test]
fn what_a_server_reads_back_is_known() {
    let vault = lab::shared().vault();
    let (jwt, kubernetes) = (enabled("jwt"), enabled("kubernetes"));
    let text = |file: &str| std::fs::read_to_string(testdata(file)).unwrap();
    let role = json!({ "role_type": "jwt", "user_claim": "sub", "bound_claims": { "sub": "x" } });
    let keys = json!({ "jwt_validation_pubkeys": [text("jwks/p256.pem")] });
    let accounts =
        json!({ "bound_service_account_names": ["a"], "bound_service_account_namespaces": ["b"], "audience": "x" });
    let host = json!({
        "kubernetes_host": "https://a", "kubernetes_ca_cert": text("jwks/p256-certificate.pem"), "token_reviewer_jwt": "x",
    });
    let mut extended = json!(JwtConfig::default());
    // Left out of what is written unless they are there.
    for field in ["jwks_pairs", "unsupported_critical_cert_extensions"] {
        extended[field] = json!([]);
    }
    for (mount, what, written, model) in [
        (&jwt, "role", role, json!(JwtRole::default())),
        (&jwt, "config", keys, extended),
        (&kubernetes, "role", accounts, json!(KubernetesRole::default())),
        (&kubernetes, "config", host, json!(KubernetesConfig::default())),
    ] {
        let path = if what == "role" { "role/x" } else { what };
        let path = format!("auth/{mount}/{path}");
        vault.write(&path, &written);
        let mut read = names(&vault.read(&path)["data"]);
        read.retain(|field| !ONLY_READ.contains(&field.as_str()));
        let listed: BTreeSet<String> = help(mount, what).into_keys().collect();
        assert_eq!(read.difference(&listed).collect::<Vec<_>>(), Vec::<&String>::new(), "{path} beside its help");
        assert_eq!(
            read.difference(&names(&model)).collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "{path} beside the model"
        );
    }
}
