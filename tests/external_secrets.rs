//! `verify-role` where External Secrets is installed, or is not: what the catalogue of broken labs has no entry for.

#![allow(clippy::struct_excessive_bools, clippy::needless_pass_by_value, reason = "labs are data, written in place")]

mod beside;
mod ca_provider;
mod references;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::{Authority, ControlPlane, ControlPlaneOptions, Transport, VaultOptions, VaultServer};
use serde_json::{Value, json};

use crate::catalogue::setup::{self, Setup, Shape};
use crate::stores::{cluster, install, minimal_crds};

fn with_store() -> Setup {
    Setup::new(Shape { store: true, ..Shape::default() })
}

/// What a check found, wherever.
fn check(said: &Value, id: &str) -> Value {
    let sections = said["sections"].as_array().unwrap().iter();
    let mut checks = sections.flat_map(|section| section["checks"].as_array().unwrap());
    checks.find(|check| check["id"] == id).cloned().unwrap_or_default()
}

/// How a check went.
fn status(said: &Value, id: &str) -> String {
    check(said, id)["status"].as_str().unwrap_or("left out").to_owned()
}

/// Expects a failure with this id before all others, with words in what is told of it.
#[track_caller]
fn first_cause(setup: &Setup, id: &str, words: &[&str]) {
    let (code, said, all) = setup.verify();
    let cause = &said["causes"][0];
    assert!(code == 1 && cause["id"] == id, "{all}");
    let told = cause.to_string().replace("\\\"", "\"");
    assert!(words.iter().all(|word| told.contains(word)), "{words:?} expected in {told}");
    for part in ["evidence", "remedies"] {
        assert!(!cause[part].as_array().is_none_or(Vec::is_empty), "{told} has no {part}");
    }
}

/// Expects that nothing is found.
#[track_caller]
fn in_order(setup: &Setup) -> Value {
    let (code, said, all) = setup.verify();
    assert!(code == 0 && said["causes"] == json!([]), "{all}");
    said
}

#[test]
fn healthy_stores_are_in_order() {
    let mut jwt = with_store();
    let said = in_order(&jwt);
    for id in ["VK911", "VK916", "VK917", "VK918", "VK921", "VK922"] {
        assert_eq!(status(&said, id), "passed", "{id}");
    }
    let kubernetes = Setup::new(Shape { kubernetes: true, store: true, ..Shape::default() });
    let said = in_order(&kubernetes);
    for id in ["VK915", "VK916", "VK921"] {
        assert_eq!(status(&said, id), "passed", "{id}");
    }
    // The same Vault by another name.
    let other_name = lab::shared().vault_address().replace("127.0.0.1", "localhost");
    jwt.stores().change_provider(&json!({ "server": other_name.clone() }));
    assert!(check(&in_order(&jwt), "VK911").to_string().contains("by another name"));
    // By the store's name for it, Vault may have a certificate of another authority.
    let other = Authority::new("another CA").unwrap();
    let transport = Transport::TlsFrom(other.clone());
    let gateway = VaultServer::start(&VaultOptions { transport, ..VaultOptions::default() });
    let name = gateway.address().replace("127.0.0.1", "localhost");
    let ca = STANDARD.encode(other.pem());
    jwt.stores().change_provider(&json!({ "server": name, "caBundle": ca }));
    assert_eq!(status(&jwt.verify().1, "VK918"), "passed");
    let ca = STANDARD.encode(std::fs::read(lab::shared().vault_ca()).unwrap());
    jwt.stores().change_provider(&json!({ "server": other_name, "caBundle": ca }));
    // Keys with the mount, as many write them, and stores that leave the mount to the keys.
    jwt.stores().ask_for("key", &format!("secret/data/{}/db", jwt.namespace));
    in_order(&jwt);
    jwt.stores().change_provider(&json!({ "path": null }));
    assert_eq!(status(&in_order(&jwt), "VK921"), "passed");
    // External Secrets takes base64 twice over.
    let ca = std::fs::read(lab::shared().vault_ca()).unwrap();
    jwt.stores().change_provider(&json!({ "caBundle": STANDARD.encode(STANDARD.encode(ca)) }));
    in_order(&jwt);
    // Nobody logs in: what only a login shows is not tried.
    let args = jwt.args.clone();
    jwt.args.push("--no-login".to_owned());
    assert!(check(&in_order(&jwt), "VK921").to_string().contains("nobody logged in who could read it"));
    // Left out, nothing of it is read or told.
    jwt.args = args;
    jwt.args.extend(["--skip", "VK9"].map(str::to_owned));
    assert_eq!(status(&in_order(&jwt), "VK911"), "left out");
}

#[test]
fn a_store_of_version_1_may_have_a_path_below_the_mount() {
    let setup = Setup::new(Shape { store: true, kv1: true, ..Shape::default() });
    let path = format!("kv1/{}", setup.namespace);
    setup.stores().change_provider(&json!({ "version": "v1", "path": path }));
    setup.stores().ask_for("key", "db");
    let said = in_order(&setup);
    assert_eq!((status(&said, "VK917"), status(&said, "VK921")), ("passed".to_owned(), "passed".to_owned()));
}

#[test]
fn a_cluster_without_it_has_one_line() {
    let said = in_order(&Setup::new(Shape::default()));
    assert!(check(&said, "VK901").to_string().contains("is not installed"), "{said}");
    assert_eq!(status(&said, "VK902"), "left out");
}

#[test]
fn a_ca_bundle_that_is_no_base64_is_named_where_an_api_server_takes_it() {
    let (setup, cluster) = references::alone();
    let account = json!({ "name": "app", "namespace": setup.namespace });
    let auth = json!({ "jwt": {
        "path": setup.mount, "role": "r-app", "kubernetesServiceAccountToken": { "serviceAccountRef": account }
    } });
    let vault = json!({ "server": lab::shared().vault_address(), "path": "secret", "auth": auth });
    let store = |bundle: &str| {
        let mut vault = vault.clone();
        vault["caBundle"] = bundle.into();
        json!({
            "apiVersion": "external-secrets.io/v1", "kind": "ClusterSecretStore", "metadata": { "name": "s" },
            "spec": { "provider": { "vault": vault } }
        })
    };
    let all = "/apis/external-secrets.io/v1/clustersecretstores";
    assert_eq!(cluster.client().post(all, &store("${CA}")).0, 201);
    first_cause(&setup, "VK918", &["placeholder", "${CA}"]);
    // The PEM itself, as many put it there.
    let pem = std::fs::read_to_string(lab::shared().vault_ca()).unwrap();
    let (_, mut held) = cluster.client().get(&format!("{all}/s"));
    held["spec"] = store(&pem)["spec"].clone();
    assert_eq!(cluster.client().put(&format!("{all}/s"), &held).0, 200);
    first_cause(&setup, "VK918", &["is not base64", "-----BEGIN CERTIFICATE-----"]);
    mended_as_printed(&setup);
}

#[test]
fn a_store_that_says_that_it_is_not_ready() {
    let setup = with_store();
    let condition = json!({
        "type": "Ready", "status": "False", "reason": "InvalidProviderConfig", "message": "unable to create client"
    });
    setup.stores().set_condition(&condition);
    first_cause(&setup, "VK919", &["InvalidProviderConfig, unable to create client", "describe clustersecretstore"]);
    // What explains it comes first, and quotes it.
    setup.stores().change_provider(&json!({ "version": "v1" }));
    first_cause(&setup, "VK917", &["InvalidProviderConfig, unable to create client"]);
}

/// Runs the command of the first cause, and expects health.
#[track_caller]
fn mended_as_printed(setup: &Setup) {
    let (_, said, all) = setup.verify();
    let command = said["causes"][0]["remedies"][0]["command"].as_str().unwrap_or_else(|| panic!("{all}")).to_owned();
    let answer = setup.shell(&command);
    assert!(answer.status.success(), "{command}: {}", setup::shown(&answer));
    in_order(setup);
}

#[test]
fn a_secret_store_whose_account_is_of_another_namespace() {
    let setup = Setup::new(Shape { kubernetes: true, store: true, ..Shape::default() });
    let names = |namespace: &str| {
        let reference = json!({ "serviceAccountRef": { "name": "app", "namespace": namespace } });
        setup.stores().change_provider(&json!({ "auth": { "kubernetes": reference } }));
    };
    names(&setup.namespace);
    in_order(&setup);
    names("default");
    first_cause(&setup, "VK915", &["another namespace than the store's", "default", "should either be empty or match"]);
    mended_as_printed(&setup);
    // What got past the webhook works: the operator looks in the store's own namespace.
    names("default");
    setup.stores().set_condition(&json!({ "type": "Ready", "status": "True", "reason": "Valid", "message": "" }));
    let (code, said, all) = setup.verify();
    assert!(code == 0 && check(&said, "VK915")["status"] == "warning", "{all}");
    mended_as_printed(&setup);
}

#[test]
fn a_secret_that_has_not_come() {
    let setup = with_store();
    let path = format!("/api/v1/namespaces/{}/secrets/db", setup.namespace);
    let (_, mut secret) = cluster().client().get(&path);
    secret["data"] = json!({ "other": "eA==" });
    assert_eq!(cluster().client().put(&path, &secret).0, 200);
    first_cause(&setup, "VK922", &["lacks keys", "password", "other", "force-sync"]);
    assert_eq!(cluster().client().delete(&path).0, 200);
    first_cause(&setup, "VK922", &["is not there"]);
}

#[test]
fn a_role_that_its_file_means_so_is_a_fault_of_the_file() {
    let role = |role| Setup::new(Shape { store: true, role, ..Shape::default() });
    first_cause(&role(", noDefaultPolicy: true"), "VK703", &["noDefaultPolicy", "invalid vault credentials"]);
    first_cause(&role(", numUses: 1"), "VK702", &["numUses"]);
}

#[test]
fn a_token_that_may_look_itself_up_and_not_revoke_itself_is_a_warning() {
    let setup = Setup::new(Shape { store: true, flags: true, ..Shape::default() });
    let rule = "path \"auth/token/lookup-self\" { capabilities = [\"read\"] }\n";
    let read = format!("path \"secret/data/{}/*\" {{ capabilities = [\"read\"] }}\n", setup.namespace);
    setup.write_policy(&setup.policy, &format!("{rule}{read}"));
    setup.role(json!({ "token_no_default_policy": true }));
    let (code, said, all) = setup.verify();
    assert!(code == 0 && said["causes"][0]["id"] == "VK703", "{all}");
    assert!(said["causes"][0].to_string().contains("the token may not revoke itself"), "{all}");
}

#[test]
fn without_the_right_to_list_them_the_rule_is_named() {
    let mut setup = with_store();
    setup.args.extend(["--as", "nobody", "--only", "VK9"].map(str::to_owned));
    let (_, said, all) = setup.verify();
    let told = check(&said, "VK901");
    assert!(told["status"] == "unseen" && told.to_string().contains("clustersecretstores"), "{all}");
}

#[test]
fn an_operator_that_is_not_ready_and_a_version_of_yesterday() {
    let cluster = ControlPlane::start(&ControlPlaneOptions::default());
    let mut crds = minimal_crds();
    for crd in &mut crds {
        crd["spec"]["versions"][0]["name"] = "v1beta1".into();
    }
    install(&cluster, crds);
    let labels = json!({ "app.kubernetes.io/name": "external-secrets" });
    let deployment = |replicas: u32| {
        json!({
            "metadata": { "name": "external-secrets", "labels": labels },
            "spec": {
                "replicas": replicas,
                "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "a", "image": "a" }] } }
            }
        })
    };
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let mut setup = Setup::new(Shape::default());
    setup.environment.insert("KUBECONFIG", cluster.kubeconfig().display().to_string());
    let expect = |id: &str, status: &str, words: &[&str]| {
        let (_, said, all) = setup.verify();
        let told = check(&said, id);
        assert_eq!(told["status"], status, "{all}");
        assert!(words.iter().all(|word| told.to_string().contains(word)), "{told}");
    };
    expect("VK901", "warning", &["v1beta1"]);
    expect("VK902", "skipped", &[]);
    assert_eq!(cluster.client().post(deployments, &deployment(1)).0, 201);
    expect("VK902", "failed", &["-n default describe pods"]);
    let command = |setup: &Setup| {
        let told = check(&setup.verify().1, "VK902");
        let command = told["remedies"][0]["command"].as_str().unwrap_or_else(|| panic!("{told}")).to_owned();
        let answer = setup.shell(&command);
        assert!(answer.status.success(), "{command}: {}", setup::shown(&answer));
    };
    command(&setup);
    let path = format!("{deployments}/external-secrets");
    assert_eq!(cluster.client().put(&path, &deployment(0)).0, 200);
    expect("VK902", "failed", &["-n default scale deployment external-secrets --replicas=1"]);
    command(&setup);
    // As far as a cluster without nodes goes: a pod is wanted again, and none gets ready.
    expect("VK902", "failed", &["-n default describe pods"]);
    let mut ready = deployment(1);
    ready["status"] = json!({ "replicas": 1, "readyReplicas": 1, "availableReplicas": 1 });
    assert_eq!(cluster.client().put(&path, &deployment(1)).0, 200);
    assert_eq!(cluster.client().put(&format!("{path}/status"), &ready).0, 200);
    expect("VK902", "passed", &[]);
}
