//! `verify-role` where External Secrets is installed: each fault of a store, or of what refers to it, is the first cause,
//! and the command that is printed for it mends it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "for tests, which fail by panicking")]

mod command;
mod stores;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::{Authority, ControlPlane, ControlPlaneOptions, VaultOptions, VaultServer};
use serde_json::{Value, json};
use stores::{Stores, cluster, install, minimal_crds};

/// Breaks a healthy jwt store, expects the cause, and runs what is printed for it.
fn broken_and_mended(provider: impl Fn(&Stores) -> Value, id: &str, words: &[&str]) {
    let stores = Stores::jwt("");
    stores.break_store(&provider(&stores));
    stores.first_cause(id, words);
    stores.run_remedy(id);
    stores.healthy();
}

#[test]
fn healthy_stores_are_in_order() {
    let jwt = Stores::jwt("");
    let answer = jwt.verify(&[]).exits(0);
    for words in ["ClusterSecretStore ", "VK918", "VK921", "VK922"] {
        assert!(answer.stdout.contains(words), "no {words} in\n{}", answer.stdout);
    }
    assert!(!answer.stdout.contains("hidden-value"), "{}", answer.stdout);
    let kubernetes = Stores::kubernetes();
    kubernetes.verify(&[]).exits(0).says(&["SecretStore ", "VK916", "VK921"]);
    // Nobody logs in: what only a login shows is not tried.
    jwt.verify(&["--no-login"]).exits(0).says(&["nobody logged in who could read it"]);
    // Left out, nothing of it is read or told.
    let answer = jwt.verify(&["--skip", "VK9"]).exits(0);
    assert!(!answer.stdout.contains("ClusterSecretStore"), "{}", answer.stdout);
}

#[test]
fn a_cluster_without_it_has_one_line() {
    let stores = Stores::jwt("");
    let config = stores.config.replace(&stores.namespace, "external-secrets");
    command::external_secrets(lab::shared());
    let answer = command::Vaultk8s::new(["verify-role", "--all", "--only", "VK9"]).on_shared().config(&config).run();
    assert_eq!(answer.exits(0).stdout.matches("VK9").count(), 1);
}

#[test]
fn a_store_on_another_mount() {
    let other = |_: &Stores| json!({ "auth": { "jwt": { "path": "jwt-elsewhere" } } });
    broken_and_mended(other, "VK913", &["auth/jwt-elsewhere", "auth/jwt-"]);
}

#[test]
fn a_store_in_the_other_method() {
    let stores = Stores::jwt("");
    let account = json!({ "name": "app", "namespace": stores.namespace });
    stores.break_store(&json!({ "auth": { "jwt": null, "kubernetes": {
        "mountPath": stores.mount, "role": stores.role, "serviceAccountRef": account
    } } }));
    stores.first_cause("VK913", &["`auth.jwt` in place of `auth.kubernetes`"]);
}

#[test]
fn a_store_with_a_role_that_is_not_there() {
    let other = |_: &Stores| json!({ "auth": { "jwt": { "role": "r-gone" } } });
    broken_and_mended(other, "VK914", &["r-gone"]);
}

#[test]
fn a_store_that_asks_for_another_audience() {
    let other =
        |_: &Stores| json!({ "auth": { "jwt": { "kubernetesServiceAccountToken": { "audiences": ["other"] } } } });
    broken_and_mended(other, "VK916", &["other", "vault"]);

    let stores = Stores::kubernetes();
    stores.break_store(&json!({ "auth": { "kubernetes": { "serviceAccountRef": { "audiences": ["other"] } } } }));
    stores.first_cause("VK916", &["other", "kubernetes.default.svc"]);
    stores.run_remedy("VK916");
    stores.healthy();
}

#[test]
fn a_store_that_logs_in_as_another_account() {
    let account = |name: &str, namespace: &str| {
        json!({ "auth": { "jwt": { "kubernetesServiceAccountToken": {
            "serviceAccountRef": { "name": name, "namespace": namespace }
        } } } })
    };
    broken_and_mended(|stores| account("other", &stores.namespace), "VK915", &["/other", "/app"]);
    broken_and_mended(|_| account("app", "elsewhere"), "VK915", &["elsewhere/app", "/app"]);

    let stores = Stores::kubernetes();
    stores.break_store(&json!({ "auth": { "kubernetes": { "serviceAccountRef": { "name": "other" } } } }));
    stores.first_cause("VK915", &["service account name not authorized"]);
    stores.run_remedy("VK915");
    stores.healthy();
}

#[test]
fn a_store_of_another_vault() {
    let nobody = |_: &Stores| json!({ "server": "https://127.0.0.1:1" });
    broken_and_mended(nobody, "VK911", &["https://127.0.0.1:1", "does not answer"]);
    let plain = |_: &Stores| json!({ "server": lab::shared().vault_address().replace("https", "http") });
    broken_and_mended(plain, "VK911", &["plain http"]);
    let vault = VaultServer::start(&VaultOptions::default());
    let other = |_: &Stores| json!({ "server": vault.address() });
    broken_and_mended(other, "VK911", &["the store asks another Vault", vault.address()]);
    // Another name of the same.
    let stores = Stores::jwt("");
    stores.break_store(&json!({ "server": lab::shared().vault_address().replace("127.0.0.1", "localhost") }));
    stores.verify(&[]).exits(0).says(&["by another name"]);
}

#[test]
fn a_store_of_another_namespace_of_vault() {
    broken_and_mended(|_| json!({ "namespace": "team" }), "VK912", &["team", "the root namespace"]);
}

#[test]
fn a_store_with_another_kv_mount_or_version() {
    broken_and_mended(|_| json!({ "path": "secrte" }), "VK917", &["no secrets mount at secrte/"]);
    broken_and_mended(|_| json!({ "version": "v1" }), "VK917", &["v1", "v2"]);
}

#[test]
fn a_store_with_a_ca_bundle_that_is_none() {
    let unfilled = |_: &Stores| json!({ "caBundle": STANDARD.encode("${CA}") });
    broken_and_mended(unfilled, "VK918", &["placeholder", "${CA}"]);
    let no_pem = |_: &Stores| json!({ "caBundle": STANDARD.encode("no PEM") });
    broken_and_mended(no_pem, "VK918", &["not of a certificate's PEM"]);
    let authority = Authority::new("another CA").unwrap();
    let other = |_: &Stores| json!({ "caBundle": STANDARD.encode(authority.pem()) });
    broken_and_mended(other, "VK918", &["another CA"]);
    broken_and_mended(|_| json!({ "caBundle": null }), "VK918", &["the system's authorities"]);
}

#[test]
fn a_store_with_a_ca_provider_that_is_not_there() {
    let provider = |key: &str| json!({ "type": "ConfigMap", "name": "vault-ca", "key": key });
    let stores = Stores::jwt("");
    let mut missing = provider("ca.crt");
    missing["namespace"] = stores.namespace.clone().into();
    stores.break_store(&json!({ "caBundle": null, "caProvider": missing }));
    stores.first_cause("VK918", &["caProvider is not there"]);
    stores.run_remedy("VK918");
    stores.healthy();
    missing["key"] = "tls.crt".into();
    stores.break_store(&json!({ "caProvider": missing }));
    stores.first_cause("VK918", &["no key \"tls.crt\""]);
}

#[test]
fn a_store_that_says_that_it_is_not_ready() {
    let stores = Stores::jwt("");
    let condition = json!({ "type": "Ready", "status": "False", "reason": "InvalidProviderConfig", "message": "no" });
    stores.set_status(&json!({ "conditions": [condition] }));
    stores.first_cause("VK919", &["InvalidProviderConfig, no"]);
    // What explains it comes first, and quotes it.
    stores.break_store(&json!({ "version": "v1" }));
    stores.first_cause("VK917", &["InvalidProviderConfig, no"]);
}

#[test]
fn an_external_secret_that_asks_for_what_is_not_there() {
    let stores = Stores::jwt("");
    stores.break_external_secret("property", "pasword");
    stores.first_cause("VK921", &["no property \"pasword\"", "password"]);
    stores.run_remedy("VK921");
    stores.healthy();
    stores.break_external_secret("key", &format!("{}/gone", stores.namespace));
    stores.first_cause("VK921", &["there is no secret"]);
    stores.break_external_secret("key", "neighbour/db");
    stores.first_cause("VK921", &["the login may not read secret/neighbour/db"]);
    // With the mount, as many write it.
    stores.break_external_secret("key", &format!("secret/data/{}/db", stores.namespace));
    stores.healthy();
}

#[test]
fn a_secret_that_has_not_come() {
    let stores = Stores::jwt("");
    let path = format!("/api/v1/namespaces/{}/secrets/db", stores.namespace);
    let (_, mut secret) = cluster().client().get(&path);
    secret["data"] = json!({ "other": "eA==" });
    assert_eq!(cluster().client().put(&path, &secret).0, 200);
    stores.first_cause("VK922", &["lacks keys", "password", "other", "force-sync"]);
    assert_eq!(cluster().client().delete(&path).0, 200);
    stores.first_cause("VK922", &["is not there"]);
}

#[test]
fn a_role_whose_logins_may_not_do_what_a_store_does() {
    Stores::jwt("    noDefaultPolicy: true\n").first_cause("VK703", &["noDefaultPolicy", "invalid vault credentials"]);
    Stores::jwt("    numUses: 1\n").first_cause("VK702", &["numUses"]);
    Stores::jwt("    ttl: 10m\n").verify(&[]).exits(0).says(&["! VK704", "900 s"]);
}

#[test]
fn without_the_right_to_list_them_the_rule_is_named() {
    let stores = Stores::jwt("");
    let answer = stores.verify(&["--as", "nobody", "--only", "VK9"]);
    answer.says(&["– VK901", "clustersecretstores"]);
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
    let config = Stores::jwt("").config;
    let verify = || {
        let command = command::Vaultk8s::new(["verify-role", "--all", "--only", "VK9"]).on_shared().config(&config);
        command.env("KUBECONFIG", cluster.kubeconfig()).run()
    };
    verify().exits(0).says(&["! VK901", "v1beta1", "– VK902"]);
    assert_eq!(cluster.client().post(deployments, &deployment(1)).0, 201);
    verify().exits(1).says(&["✗ VK902", "kubectl -n default describe pods"]);
    let path = format!("{deployments}/external-secrets");
    assert_eq!(cluster.client().put(&path, &deployment(0)).0, 200);
    verify().exits(1).says(&["✗ VK902", "kubectl -n default scale deployment external-secrets --replicas=1"]);
    let mut ready = deployment(1);
    ready["status"] = json!({ "replicas": 1, "readyReplicas": 1, "availableReplicas": 1 });
    assert_eq!(cluster.client().put(&path, &deployment(1)).0, 200);
    assert_eq!(cluster.client().put(&format!("{path}/status"), &ready).0, 200);
    verify().exits(0).says(&["✓ VK902"]);
}
