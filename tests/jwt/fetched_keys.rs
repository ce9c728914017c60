//! Vault fetches the keys by itself: `keys: jwksUrl` and `keys: oidcDiscovery`.

use lab::{ControlPlaneOptions, KeyKind, ServiceAccountKey};
use serde_json::json;

use super::Own;

/// What the tool offers and doesn't do by itself.
fn let_anybody_read_the_keys(own: &Own) {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": "service-account-issuer-discovery-unauthenticated" },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
            "name": "system:service-account-issuer-discovery",
        },
        "subjects": [{ "apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "system:unauthenticated" }],
    });
    let (status, answer) =
        own.cluster.client().post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding);
    assert_eq!(status, 201, "{answer}");
}

const OFFER: [&str; 3] = [
    "kubectl --context admin@taloslmn create clusterrolebinding",
    "--clusterrole=system:service-account-issuer-discovery",
    "--group=system:unauthenticated",
];

#[test]
fn vault_fetches_the_keys_once_it_may() {
    let mut own = Own::start(&ControlPlaneOptions::default(), ", keys: jwksUrl");
    let server = own.cluster.server_url().to_owned();

    // The API server answers nobody without credentials: this is told before anything is written …
    own.command(["plan"]).run().exits(0).complains(&["is forbidden to who has no credentials"]).complains(&OFFER);
    // … and when the server refuses, as it must.
    own.command(["bootstrap"]).run().exits(1).complains(&OFFER).says(&[
        "error checking jwks URL",
        "kubectl create clusterrolebinding",
        "keys: pinned",
        "not tried: it needs config",
    ]);
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let name = "service-account-issuer-discovery-unauthenticated";
    assert_eq!(own.cluster.client().get(&format!("{bindings}/{name}")).0, 404, "it was applied unasked");

    let_anybody_read_the_keys(&own);
    own.bootstrap();
    let answer = own.command(["bootstrap"]).run().exits(0).says(&["nothing to change", " 0 writes."]);
    assert!(!answer.stderr.contains("warning"), "{}", answer.stderr);
    let held = own.held();
    assert_eq!(held["jwks_url"], format!("{server}/openid/v1/jwks"));
    assert_eq!(held["jwks_ca_pem"].as_str().unwrap().trim(), own.cluster.authority().pem().trim());
    assert_eq!(held["bound_issuer"], server.as_str());
    assert_eq!(held["jwt_supported_algs"], json!(["ES256", "ES384", "ES512", "RS256"]));

    // The keys rotate, to another kind, and nobody runs anything.
    let key = ServiceAccountKey::generate(KeyKind::EcP256).unwrap();
    own.cluster.restart(&ControlPlaneOptions { keys: vec![key], ..ControlPlaneOptions::default() });
    assert!(own.lets_in(&own.token()));
    own.in_order();

    // Another source of keys is another trust.
    own.config = own.config.replace("keys: jwksUrl", "keys: oidcDiscovery");
    own.command(["bootstrap"])
        .run()
        .exits(1)
        .says(&["this replaces what the mount trusts", "it takes its keys from jwks_url"])
        .complains(&["--yes"]);
    own.command(["bootstrap", "--yes"]).run().exits(0).says(&["1 login verified"]);
    own.in_order();
    let held = own.held();
    assert_eq!((held["jwks_url"].as_str(), held["jwks_ca_pem"].as_str()), (Some(""), Some("")));
    assert_eq!(held["oidc_discovery_url"], server.as_str());
    assert_eq!(held["bound_issuer"], server.as_str());

    // A login by browser that somebody added is taken away again.
    let mut by_hand = held;
    by_hand["oidc_client_id"] = json!("somebody");
    by_hand["oidc_client_secret"] = json!("secret");
    lab::shared().vault().write(&own.config_path(), &by_hand);
    own.command(["plan", "--detailed-exitcode"]).run().exits(2).says(&["oidc_client_id"]);
    own.bootstrap();
    assert_eq!(own.held()["oidc_client_id"], "");

    own.config = own.config.replace("keys: oidcDiscovery", "keys: pinned");
    own.command(["bootstrap"]).run().exits(1).says(&["it takes its keys from oidc_discovery_url"]);
    own.command(["bootstrap", "--yes"]).run().exits(0).says(&["1 login verified"]);
    own.in_order();
}

#[test]
fn a_cluster_without_anonymous_requests_is_told_apart() {
    let options = ControlPlaneOptions { anonymous: false, ..ControlPlaneOptions::default() };
    let own = Own::start(&options, ", keys: oidcDiscovery");
    let answer = own.command(["bootstrap"]).run().exits(1);
    let answer = answer.complains(&["anonymous requests are off there", "keys: pinned"]);
    assert!(!answer.stderr.contains("clusterrolebinding"), "no binding helps there: {}", answer.stderr);
    answer.says(&["error checking oidc discovery URL"]);
}

#[test]
fn a_ca_of_the_file_goes_before_the_kubeconfigs() {
    let lab = lab::shared();
    let own = Own::start(&ControlPlaneOptions::default(), "");
    let_anybody_read_the_keys(&own);
    let file = |pem: &str| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pem).unwrap();
        file
    };
    let (right, wrong) = (file(own.cluster.authority().pem()), file(lab.kubernetes_ca()));
    let run = |ca: &std::path::Path| {
        let url = format!("{}/openid/v1/jwks", own.cluster.server_url());
        let keys = format!("audience: vault, keys: jwksUrl, jwksUrl: {url}, caCert: {}", ca.display());
        own.command(["bootstrap"]).config(&own.config.replace("audience: vault", &keys)).run()
    };
    run(wrong.path())
        .exits(1)
        .complains(&["could not be tried from here", "auth.caCert"])
        .says(&["error checking jwks URL"]);
    run(right.path()).exits(0).says(&["1 login verified"]);
}
