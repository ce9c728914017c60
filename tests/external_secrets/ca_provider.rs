//! What a store's `caProvider` refers to, which others may use as well.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{first_cause, mended_as_printed};
use crate::catalogue::setup::{Setup, Shape, shown};
use crate::stores::cluster;

fn with_secret_store() -> Setup {
    Setup::new(Shape { kubernetes: true, store: true, ..Shape::default() })
}

/// Lets the store take its CA from an object.
fn provide(setup: &Setup, reference: &Value) {
    let mut provider = json!({ "type": "ConfigMap", "name": "shared", "key": null, "namespace": null });
    for (name, value) in reference.as_object().unwrap() {
        provider[name] = value.clone();
    }
    setup.stores().change_provider(&json!({ "caBundle": null, "caProvider": provider }));
}

/// Makes an object as people do: it then carries what was applied.
fn apply(setup: &Setup, object: &Value) {
    setup.write_file("object.json", &object.to_string());
    let answer = setup.shell(&format!("kubectl -n {} apply -f object.json", setup.namespace));
    assert!(answer.status.success(), "{}", shown(&answer));
}

fn held(setup: &Setup, plural: &str) -> Value {
    cluster().client().get(&format!("/api/v1/namespaces/{}/{plural}/shared", setup.namespace)).1
}

#[test]
fn a_config_map_keeps_its_other_keys() {
    let setup = with_secret_store();
    let data = json!({ "application.yaml": "a: b", "ca.crt": "no PEM" });
    let metadata = json!({ "name": "shared", "labels": { "app": "a" } });
    apply(&setup, &json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data }));
    // Each is mended as it says.
    provide(&setup, &json!({ "key": "tls.crt" }));
    first_cause(&setup, "VK918", &["no key \"tls.crt\"", "failed to get caProvider configMap"]);
    mended_as_printed(&setup);
    provide(&setup, &json!({ "key": "ca.crt" }));
    first_cause(&setup, "VK918", &["holds no certificate", "failed to parse certificates from CertPool"]);
    mended_as_printed(&setup);
    provide(&setup, &json!({ "key": "ca.crt", "namespace": "default" }));
    first_cause(&setup, "VK918", &["another namespace than the store's", "namespace should either be empty or match"]);
    mended_as_printed(&setup);
    let held = held(&setup, "configmaps");
    assert_eq!((&held["data"]["application.yaml"], &held["metadata"]["labels"]["app"]), (&json!("a: b"), &json!("a")));
}

#[test]
fn a_secret_keeps_its_other_keys_and_its_type() {
    let setup = with_secret_store();
    let data = json!({ "tls.crt": STANDARD.encode("c"), "tls.key": STANDARD.encode("k") });
    let secret = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "shared" }, "data": data });
    let mut typed = secret.clone();
    typed["type"] = "kubernetes.io/tls".into();
    apply(&setup, &typed);
    provide(&setup, &json!({ "type": "Secret", "key": "ca.crt" }));
    first_cause(&setup, "VK918", &["no key \"ca.crt\"", "cannot find secret data for key"]);
    mended_as_printed(&setup);
    let held = held(&setup, "secrets");
    assert_eq!((&held["data"]["tls.key"], &held["type"]), (&data["tls.key"], &json!("kubernetes.io/tls")));
}

#[test]
fn a_key_that_the_store_does_not_name() {
    let setup = with_secret_store();
    let map = |data: Value| json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "shared" }, "data": data });
    provide(&setup, &json!({}));
    first_cause(&setup, "VK918", &["names no key", "no such object", "set `caProvider.key`"]);
    apply(&setup, &map(json!({ "other": "o" })));
    first_cause(&setup, "VK918", &["names no key", "other", "set `caProvider.key`"]);
    let ca = std::fs::read_to_string(lab::shared().vault_ca()).unwrap();
    apply(&setup, &map(json!({ "other": "o", "root.pem": ca })));
    first_cause(&setup, "VK918", &["names no key", "root.pem", "the only key that has a certificate"]);
    mended_as_printed(&setup);
}
