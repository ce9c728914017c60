//! What refers to stores: several `ExternalSecret`s, those of a store that is not there, and how often they use a token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::{ControlPlane, ControlPlaneOptions};
use serde_json::{Value, json};

use super::{check, first_cause, in_order, status, with_store};
use crate::catalogue::setup::{Setup, Shape, shown};
use crate::stores::{cluster, install, minimal_crds};

/// The commands of a check, in order.
fn commands(said: &Value, id: &str) -> Vec<String> {
    let told = check(said, id);
    let remedies = told["remedies"].as_array().cloned().unwrap_or_default();
    remedies.iter().filter_map(|remedy| remedy["command"].as_str().map(str::to_owned)).collect()
}

#[track_caller]
fn run(setup: &Setup, command: &str) -> String {
    let answer = setup.shell(command);
    assert!(answer.status.success(), "{command}: {}", shown(&answer));
    shown(&answer)
}

#[test]
fn what_each_external_secret_lacks_is_told_and_mended_at_once() {
    let setup = with_store();
    setup.stores().ask_for("property", "pasword");
    let key = format!("{}/db", setup.namespace);
    setup.stores().another_external_secret(
        "second",
        json!([
            { "secretKey": "password", "remoteRef": { "key": key, "property": "passwort" } }
        ]),
    );
    first_cause(&setup, "VK921", &["pasword", "passwort", "ExternalSecret "]);
    let (_, said, _) = setup.verify();
    run(&setup, &commands(&said, "VK921")[0]);
    in_order(&setup);
    // The Secrets of both.
    for name in ["db", "second"] {
        let path = format!("/api/v1/namespaces/{}/secrets/{name}", setup.namespace);
        assert_eq!(cluster().client().delete(&path).0, 200);
    }
    first_cause(&setup, "VK922", &["/db is not there", "/second is not there"]);
}

#[test]
fn a_token_with_fewer_uses_than_an_external_secret_has_keys() {
    let setup = Setup::new(Shape { store: true, flags: true, ..Shape::default() });
    let key = format!("{}/db", setup.namespace);
    let entry =
        |at: usize| json!({ "secretKey": format!("k{at}"), "remoteRef": { "key": key, "property": "password" } });
    setup.stores().another_external_secret("four", (0..4).map(entry).collect());
    setup.role(json!({ "token_num_uses": 5 }));
    first_cause(&setup, "VK702", &["5 times", "\"6\""]);
    let (_, said, _) = setup.verify();
    assert_eq!(status(&said, "VK921"), "notReached");
    run(&setup, &commands(&said, "VK702")[0]);
    in_order(&setup);
}

#[test]
fn an_external_secret_whose_store_is_not_there() {
    let (setup, cluster) = alone();
    let spec = json!({
        "secretStoreRef": { "kind": "ClusterSecretStore", "name": "valut" },
        "data": [{ "secretKey": "p", "remoteRef": { "key": "a" } }]
    });
    let object = json!({
        "apiVersion": "external-secrets.io/v1", "kind": "ExternalSecret", "metadata": { "name": "db" }, "spec": spec
    });
    let all = format!("/apis/external-secrets.io/v1/namespaces/{}/externalsecrets", setup.namespace);
    assert_eq!(cluster.client().post(&all, &object).0, 201);
    let (_, said, all) = setup.verify();
    let told = check(&said, "VK904");
    assert_eq!(told["status"], "warning", "{all}");
    assert!(told.to_string().contains("ClusterSecretStore valut") && told.to_string().contains("/db"), "{told}");
}

#[test]
fn an_external_secret_that_leaves_out_the_kind_of_its_store() {
    let (setup, cluster) = alone();
    let group = "/apis/external-secrets.io/v1";
    let made = |kind: &str, path: &str, name: &str, spec: Value| {
        let object = json!({
            "apiVersion": "external-secrets.io/v1", "kind": kind, "metadata": { "name": name }, "spec": spec
        });
        assert_eq!(cluster.client().post(&format!("{group}/{path}"), &object).0, 201);
    };
    made("ClusterSecretStore", "clustersecretstores", "shared", json!({ "provider": { "fake": { "data": [] } } }));
    let data = json!([{ "secretKey": "p", "remoteRef": { "key": "a" } }]);
    let spec = json!({ "secretStoreRef": { "name": "shared" }, "data": data });
    made("ExternalSecret", &format!("namespaces/{}/externalsecrets", setup.namespace), "db", spec);
    let (_, said, all) = setup.verify();
    assert_eq!(status(&said, "VK904"), "warning", "{all}");
    run(&setup, &commands(&said, "VK904")[0]);
    let (_, said, all) = setup.verify();
    assert_eq!(status(&said, "VK904"), "passed", "{all}");
}

#[test]
fn a_store_is_given_no_role_of_another_app_because_they_share_an_account() {
    let setup = with_store();
    let role = |name: &str| format!("auth/{}/role/{name}", setup.mount.as_str());
    let held = setup.vault().read(&role("r-app"));
    setup.vault().write(&role("r-batch"), &held["data"]);
    let names = |name: &str| {
        setup.stores().change_provider(&json!({ "auth": { "jwt": { "role": name } } }));
        setup.verify().1
    };
    // Any of the two may be meant.
    let said = names("nobody-knows");
    let told = check(&said, "VK903");
    assert_eq!(told["status"], "warning", "{said}");
    assert!(told.to_string().contains("r-app") && commands(&said, "VK903").is_empty(), "{told}");
    // One of them is.
    let said = names("r-aap");
    run(&setup, &commands(&said, "VK914")[0]);
    assert_eq!(setup.vault().delete(&role("r-batch")).0, 204);
    in_order(&setup);
}

#[test]
fn a_secret_of_data_from_and_the_commands_for_it() {
    let setup = with_store();
    let key = format!("{}/db", setup.namespace);
    setup.stores().change_external_secret(&json!({ "data": null, "dataFrom": [{ "extract": { "key": key } }] }));
    let path = format!("/api/v1/namespaces/{}/secrets/db", setup.namespace);
    assert_eq!(cluster().client().delete(&path).0, 200);
    first_cause(&setup, "VK922", &["a Secret, whose keys it does not name itself"]);
    let (_, said, _) = setup.verify();
    let [look_again, events] = commands(&said, "VK922").try_into().unwrap();
    assert!(run(&setup, &look_again).contains("annotated"));
    assert!(run(&setup, &events).contains("External"));
    // What the operator then does.
    let secret = json!({ "metadata": { "name": "db" }, "data": { "password": STANDARD.encode("p") } });
    let all = format!("/api/v1/namespaces/{}/secrets", setup.namespace);
    assert_eq!(cluster().client().post(&all, &secret).0, 201);
    in_order(&setup);
}

#[test]
fn the_commands_for_a_store_that_is_not_ready_and_for_a_reader_without_rights() {
    let mut setup = with_store();
    let condition = |status: &str| json!({ "type": "Ready", "status": status, "reason": "r", "message": "m" });
    setup.stores().set_condition(&condition("False"));
    let (_, said, _) = setup.verify();
    assert!(run(&setup, &commands(&said, "VK919")[0]).contains("Name:"));
    setup.stores().set_condition(&condition("True"));
    in_order(&setup);
    // By somebody who may.
    let reader = lab::unique("reader");
    setup.args.extend(["--as", &reader, "--only", "VK901"].map(str::to_owned));
    let (_, said, _) = setup.verify();
    run(&setup, &commands(&said, "VK901")[0].replace(&format!(" --as {reader}"), ""));
    let (_, said, all) = setup.verify();
    assert_eq!(status(&said, "VK901"), "passed", "{all}");
}

#[test]
fn a_property_is_looked_for_as_external_secrets_does() {
    let setup = with_store();
    let data = json!({ "password": "p", "nested": { "a": 1, "list": [{ "n": "x" }], "dotted.key": "y" } });
    setup.vault().write(&format!("secret/data/{}/db", setup.namespace), &json!({ "data": data }));
    for property in ["nested.list.0.n", r"nested.dotted\.key"] {
        setup.stores().ask_for("property", property);
        assert_eq!(status(&in_order(&setup), "VK921"), "passed", "{property}");
    }
    // Only the values tell.
    for property in ["@this", "nest*.a", r#"nested.list.#(n=="x").n"#] {
        setup.stores().ask_for("property", property);
        let told = check(&in_order(&setup), "VK921");
        assert_eq!(told["status"], "skipped", "{told}");
        assert!(told.to_string().contains("can't be judged here"), "{told}");
    }
    setup.stores().ask_for("property", "nested.list.1.n");
    first_cause(&setup, "VK921", &["no property \"nested.list.1.n\""]);
}

#[test]
fn an_external_secret_that_says_that_it_is_not_in_order() {
    let setup = with_store();
    let condition = |status: &str| {
        let message = "could not get secret data from provider";
        json!({ "type": "Ready", "status": status, "reason": "SecretSyncedError", "message": message })
    };
    setup.stores().set_condition_of_external_secret(&condition("False"));
    let words = ["Secret app-", "may be out of date", "SecretSyncedError, could not get secret data from provider"];
    first_cause(&setup, "VK922", &words);
    let (_, said, _) = setup.verify();
    assert!(run(&setup, &commands(&said, "VK922")[0]).contains("annotated"));
    setup.stores().set_condition_of_external_secret(&condition("True"));
    in_order(&setup);
    // One that makes no Secret says it as well.
    setup.stores().change_external_secret(&json!({ "target": { "creationPolicy": "None" } }));
    setup.stores().set_condition_of_external_secret(&condition("False"));
    first_cause(&setup, "VK922", &["what it makes may be out of date", "SecretSyncedError"]);
}

/// A lab whose role is in a cluster of its own, with CRDs that take anything.
pub fn alone() -> (Setup, ControlPlane) {
    let cluster = ControlPlane::start(&ControlPlaneOptions::default());
    install(&cluster, minimal_crds());
    let mut setup = Setup::new(Shape::default());
    cluster.client().create_namespace(&setup.namespace).unwrap();
    cluster.client().create_service_account(&setup.namespace, "app").unwrap();
    setup.environment.insert("KUBECONFIG", cluster.kubeconfig().display().to_string());
    setup.bootstrap();
    (setup, cluster)
}
