//! The lab itself, against its servers: what the other suites rely on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic: that is how it fails")]

use std::collections::BTreeSet;
use std::process::Command;

use lab::{
    Authority, ControlPlane, ControlPlaneOptions, KeyKind, Seal, ServiceAccountKey, ShiftedClock, Transport, Vault,
    VaultOptions, VaultServer,
};
use serde_json::{Value, json};

#[test]
fn the_shared_servers_answer() {
    let lab = lab::shared();
    assert_eq!(lab.vault().get("sys/health").0, 200);
    assert_eq!(lab.vault().read("sys/mounts/secret")["data"]["options"]["version"], "2");
    assert_eq!(lab.vault().read("sys/mounts/kv1")["data"]["options"]["version"], "1");
    let version: Value = serde_json::from_str(&lab.kubectl_get_raw("/version")).unwrap();
    assert!(version["gitVersion"].as_str().unwrap().starts_with("v1."), "{version}");
}

#[test]
fn kubectl_reaches_the_shared_cluster() {
    let lab = lab::shared();
    let mut kubectl = Command::new(lab.kubectl());
    kubectl.args(["get", "--raw", "/openid/v1/jwks"]).env("KUBECONFIG", lab.kubeconfig());
    let printed = kubectl.output().unwrap();
    assert!(printed.status.success(), "{printed:?}");
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), lab.kubectl_get_raw("/openid/v1/jwks"));
}

#[test]
fn tokens_have_the_audiences_that_were_asked_for() {
    let lab = lab::shared();
    let namespace = lab.namespace("token");
    lab.service_account(&namespace, "app");
    let claims = claims(&lab.token(&namespace, "app", &["vault"], 600));
    assert_eq!(claims["aud"], json!(["vault"]));
    assert_eq!(claims["iss"], lab.kubernetes_server());
    assert_eq!(claims["sub"], format!("system:serviceaccount:{namespace}:app"));
    let claims = self::claims(&lab.token(&namespace, "app", &[], 600));
    let expected = json!(["https://kubernetes.default.svc.cluster.local", lab.kubernetes_server()]);
    assert_eq!(claims["aud"], expected);
}

#[test]
fn the_controller_manager_fills_token_secrets() {
    let lab = lab::shared();
    let namespace = lab.namespace("secret");
    lab.service_account(&namespace, "reviewer");
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": { "name": "token", "annotations": { "kubernetes.io/service-account.name": "reviewer" } },
        "type": "kubernetes.io/service-account-token",
    });
    let path = format!("/api/v1/namespaces/{namespace}/secrets");
    assert_eq!(lab.kubernetes().post(&path, &secret).0, 201);
    let filled = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        lab.kubernetes().get(&format!("{path}/token")).1["data"]["token"].is_string()
    });
    assert!(filled);
}

#[test]
fn a_private_vault_seals_restarts_and_keeps_its_data() {
    let mut server = VaultServer::start(&VaultOptions { persistent: true, ..VaultOptions::default() });
    let secret = json!({ "data": { "a": "b" } });
    assert_eq!(server.requests(), []);
    server.client().write("secret/data/x", &secret);
    let before = server.requests().len();
    assert_eq!(server.client().get("secret/data/x").0, 200);
    let requests = server.requests();
    assert_eq!(
        requests[before..].iter().map(|r| (r.path.as_str(), r.is_write())).collect::<Vec<_>>(),
        [("secret/data/x", false)]
    );

    server.seal();
    assert_eq!(server.client().get("secret/data/x").0, 503);
    server.unseal();
    assert_eq!(server.client().get("secret/data/x").0, 200);

    let address = server.address().to_owned();
    server.restart();
    assert_eq!(server.address(), address);
    assert_eq!(server.client().read("secret/data/x")["data"]["data"]["a"], "b");

    server.stop();
    assert!(server.client().request(reqwest::Method::GET, "sys/health", None).is_err());
}

#[test]
fn a_private_vault_has_a_standby() {
    let mut server = VaultServer::start(&VaultOptions { persistent: true, audit: false, ..VaultOptions::default() });
    let mut standby = server.start_standby();
    assert_eq!(standby.client().get("sys/health").0, 429);
    standby.client().write("secret/data/x", &json!({ "data": { "a": "b" } }));
    assert_eq!(server.client().read("secret/data/x")["data"]["data"]["a"], "b");
    server.stop();
    let (status, _) = standby.client().post("secret/data/x", &json!({ "data": { "a": "c" } }));
    assert_eq!(status, 307);
    server.restart();
    standby.wait_in_service();
    standby.client().write("secret/data/x", &json!({ "data": { "a": "d" } }));
}

#[test]
fn a_private_vault_gets_a_certificate_for_other_names() {
    let mut server = VaultServer::start(&VaultOptions { persistent: true, ..VaultOptions::default() });
    let address = server.address().to_owned();
    server.reissue(&["localhost"]);
    assert_eq!(server.client().get("sys/health").0, 200);
    let by_address = Vault::new(&address, server.authority().pem(), None).unwrap();
    assert!(by_address.request(reqwest::Method::GET, "sys/health", None).is_err());
    server.reissue(&["127.0.0.1", "localhost"]);
    assert_eq!(server.address(), address);
    assert_eq!(by_address.get("sys/health").0, 200);
}

#[test]
fn a_private_vault_comes_in_every_state_and_transport() {
    let server = VaultServer::start(&VaultOptions { seal: Seal::Uninitialised, ..VaultOptions::default() });
    assert_eq!(server.client().get("sys/health").0, 501);

    let plain = VaultOptions { transport: Transport::Plain, seal: Seal::Sealed, ..VaultOptions::default() };
    let server = VaultServer::start(&plain);
    assert!(server.address().starts_with("http://127.0.0.1:"));
    assert_eq!(server.client().get("sys/health").0, 503);

    let authority = Authority::new("another CA").unwrap();
    let other = VaultOptions { transport: Transport::TlsFrom(authority.clone()), ..VaultOptions::default() };
    let mut server = VaultServer::start(&other);
    assert_eq!(server.client().get("sys/health").0, 200);
    let wrong = Vault::new(server.address(), lab::shared().run().vault_authority().pem(), None).unwrap();
    assert!(wrong.request(reqwest::Method::GET, "sys/health", None).is_err());
    assert_eq!(std::fs::read_to_string(server.ca()).unwrap(), authority.pem());

    // In memory: it comes back as new.
    let token = server.root_token().to_owned();
    server.restart();
    assert_ne!(server.root_token(), token);
    assert_eq!(server.client().read("secret/config")["data"]["max_versions"], 0);
}

#[test]
fn a_vault_tells_another_time_and_passes_on_all_else() {
    let lab = lab::shared();
    let clock = ShiftedClock::start(lab.vault_address(), lab.run().vault_authority());
    let vault = Vault::new(clock.address(), lab.run().vault_authority().pem(), Some(lab.root_token())).unwrap();
    let ahead = || {
        let [shifted, real] = [&vault, lab.vault()].map(|vault| vault.read("sys/health")["server_time_utc"].clone());
        shifted.as_i64().unwrap() - real.as_i64().unwrap()
    };
    assert!((-2..=0).contains(&ahead()));
    clock.shift(300);
    assert!((298..=300).contains(&ahead()));
    let path = format!("secret/data/{}", lab.unique("clock"));
    vault.write(&path, &json!({ "data": { "a": "b" } }));
    assert_eq!(lab.vault().read(&path)["data"]["data"]["a"], "b");
    assert_eq!(vault.without_token().get(&path).0, 403);
}

#[test]
fn a_private_cluster_rotates_its_keys_and_is_rebuilt() {
    let [p256, p384, p521] =
        [KeyKind::EcP256, KeyKind::EcP384, KeyKind::EcP521].map(|kind| ServiceAccountKey::generate(kind).unwrap());
    let with = |keys: &[&ServiceAccountKey]| ControlPlaneOptions {
        keys: keys.iter().map(|key| (*key).clone()).collect(),
        ..ControlPlaneOptions::default()
    };
    let mut cluster = ControlPlane::start(&with(&[&p256]));
    let server = cluster.server_url().to_owned();
    assert_eq!(algorithms(&cluster), ["ES256"]);
    let namespace = cluster.client().namespace("rotate");
    cluster.client().service_account(&namespace, "app");
    let token = cluster.client().token(&namespace, "app", &["vault"], 600);
    assert_eq!(header(&token)["alg"], "ES256");

    cluster.restart(&with(&[&p384, &p256]));
    assert_eq!(algorithms(&cluster), ["ES256", "ES384"]);
    let token = cluster.client().token(&namespace, "app", &["vault"], 600);
    assert_eq!(header(&token)["alg"], "ES384");

    cluster.restart(&with(&[&p521]));
    assert_eq!(algorithms(&cluster), ["ES512"]);
    let token = cluster.client().token(&namespace, "app", &["vault"], 600);
    assert_eq!(header(&token)["alg"], "ES512");

    cluster.rebuild(&with(&[]));
    assert_eq!(cluster.server_url(), server);
    assert_eq!(algorithms(&cluster), ["RS256"]);
    assert_eq!(cluster.client().get(&format!("/api/v1/namespaces/{namespace}")).0, 404);
}

fn algorithms(cluster: &ControlPlane) -> Vec<String> {
    let keys: Value = serde_json::from_str(&cluster.client().get_raw("/openid/v1/jwks")).unwrap();
    let algorithms: BTreeSet<String> =
        keys["keys"].as_array().unwrap().iter().map(|key| key["alg"].as_str().unwrap().to_owned()).collect();
    algorithms.into_iter().collect()
}

fn claims(jwt: &str) -> Value {
    part(jwt, 1)
}

fn header(jwt: &str) -> Value {
    part(jwt, 0)
}

fn part(jwt: &str, index: usize) -> Value {
    use base64::Engine as _;
    let part = jwt.split('.').nth(index).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
