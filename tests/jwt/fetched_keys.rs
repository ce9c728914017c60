//! Vault fetches the keys by itself: `keys: jwksUrl` and `keys: oidcDiscovery`.

use lab::{ControlPlane, ControlPlaneOptions, KeyKind, Pages, ServiceAccountKey};
use serde_json::{Value, json};

use super::Own;

/// What the tool offers and doesn't do by itself.
fn let_anybody_read_the_keys(own: &Own) {
    let_anybody_read_the_keys_of(&own.cluster);
}

/// The same, of any cluster.
pub(super) fn let_anybody_read_the_keys_of(cluster: &ControlPlane) {
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
    let (status, answer) = cluster.client().post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding);
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

/// A web server that somebody else runs, and the file with the CA of its certificate.
struct Elsewhere {
    pages: Pages,
}

impl Elsewhere {
    fn start() -> Self {
        Self { pages: Pages::start(lab::shared().run().vault_authority()) }
    }

    fn keys_url(&self) -> String {
        format!("{}/keys", self.pages.url())
    }

    /// The fields of `auth` with which Vault fetches from there.
    fn fields(keys: &str) -> String {
        format!("audience: vault, keys: {keys}, caCert: {}", lab::shared().vault_ca().display())
    }

    fn serve_keys(&self, keys: &[&Value]) {
        self.pages.serve("/keys", json!({ "keys": keys }).to_string());
    }
}

/// The key that a cluster publishes, as it stands in its key set.
fn published(own: &Own) -> Value {
    let set: Value = serde_json::from_str(&own.cluster.client().get_raw("/openid/v1/jwks")).unwrap();
    set["keys"][0].clone()
}

fn one(key: &ServiceAccountKey) -> ControlPlaneOptions {
    ControlPlaneOptions { keys: vec![key.clone()], ..ControlPlaneOptions::default() }
}

/// A cluster, the key that it publishes, and somebody else's key with a token that it has signed for the same account.
fn with_a_forger(options: impl Fn(&ServiceAccountKey) -> ControlPlaneOptions) -> (Own, Value, Value, String) {
    let (key, foreign) =
        (ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap(), ServiceAccountKey::generate(KeyKind::EcP256).unwrap());
    let mut own = Own::start(&options(&foreign), "");
    let (forged, strange) = (own.token(), published(&own));
    own.cluster.restart(&options(&key));
    let published = published(&own);
    (own, published, strange, forged)
}

#[test]
fn a_foreign_key_behind_the_url_is_seen_by_every_command() {
    let (mut own, key, strange, forged) = with_a_forger(one);
    let elsewhere = Elsewhere::start();
    let url = elsewhere.keys_url();
    let fetches = Elsewhere::fields(&format!("jwksUrl, jwksUrl: '{url}'"));
    own.config = own.config.replace("audience: vault", &fetches);

    // The cluster's key alone, wherever it is served from, is in order.
    elsewhere.serve_keys(&[&key]);
    own.command(["bootstrap"]).run().exits(0).says(&["1 login verified"]);
    own.in_order();
    own.verify(&["--only", "VK313,VK314", "-o", "json"]).exits(0).says(&["1 of 1 at", "none at", &url]);
    assert!(!own.lets_in(&forged));

    // Later another is beside it, which Vault looks up once it knows no key that fits.
    elsewhere.serve_keys(&[&key, &strange]);
    own.command(["bootstrap"]).run().exits(1).says(&["nothing to change", "1 key at", &url, "doesn't publish"]);
    assert!(own.lets_in(&forged));
    own.command(["plan"]).run().exits(0).says(&["Not in order", "1 key at", &url]);
    let plan = own.command(["plan", "--detailed-exitcode", "-o", "json"]).run().exits(1).json();
    assert_eq!(plan["fetchedKeys"][0]["url"], url.as_str());
    assert!(plan["fetchedKeys"][0]["keys"][0].as_str().unwrap().contains("P-256"), "{plan}");
    let verified = own.verify(&["-o", "json"]).exits(1).json();
    let cause = &verified["causes"][0];
    assert_eq!((&cause["id"], &cause["severity"]), (&json!("VK314"), &json!("exposes")));
    assert!(cause.to_string().contains(&url) && cause.to_string().contains("keys: pinned"), "{cause}");

    // Trust that is yet to be written needs approval, and an approval makes nothing green.
    let description =
        own.config.replace("audience: vault", "audience: vault, issuer: 'https://other.example.internal'");
    own.command(["bootstrap"]).config(&description).run().exits(1).complains(&["--yes"]);
    let mount = lab::shared().mount("jwt-own");
    let fresh = own.config.replace(&*own.mount, &mount);
    own.command(["bootstrap"])
        .config(&fresh)
        .run()
        .exits(1)
        .complains(&["trust keys that the cluster doesn't publish", &url]);
    own.command(["bootstrap", "--yes"]).config(&fresh).run().exits(1).says(&["1 login verified", "Not in order"]);

    // The remedy.
    own.config = own.config.replace(&fetches, "audience: vault, keys: pinned");
    own.command(["bootstrap", "--yes"]).run().exits(0);
    own.in_order();
    assert!(!own.lets_in(&forged));
}

#[test]
fn a_saved_plan_does_not_trust_a_key_that_appeared_since() {
    let (mut own, key, strange, _) = with_a_forger(one);
    let elsewhere = Elsewhere::start();
    let url = elsewhere.keys_url();
    own.config = own.config.replace("audience: vault", &Elsewhere::fields(&format!("jwksUrl, jwksUrl: '{url}'")));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json").display().to_string();
    let carry_out = |yes: &[&str]| own.command([&["bootstrap", "--plan", &file], yes].concat()).run();
    let appeared = ["there is now 1 key at", &url, "doesn't publish", "vaultk8s plan --out"];

    // A plan that is to make the mount, approved without it: nothing of it is carried out.
    elsewhere.serve_keys(&[&key]);
    own.command(["plan", "--out", &file]).run().exits(0);
    elsewhere.serve_keys(&[&key, &strange]);
    for yes in [&[][..], &["--yes"]] {
        carry_out(yes).exits(1).complains(&appeared);
    }
    assert_eq!(lab::shared().vault().get(&own.config_path()).0, 404);
    // Once it is gone the plan holds again.
    elsewhere.serve_keys(&[&key]);
    carry_out(&[]).exits(0).says(&["1 login verified"]);

    // A plan without changes says what it was made for, too.
    own.command(["plan", "--out", &file]).run().exits(0);
    elsewhere.serve_keys(&[&strange, &key]);
    carry_out(&[]).exits(1).complains(&appeared);
    // And one that was made with the key in it never ends green.
    own.command(["plan", "--out", &file]).run().exits(0).says(&["Not in order", &url]);
    carry_out(&["--yes"]).exits(1).says(&["Not in order", &url]);
}

#[test]
fn a_foreign_key_behind_a_discovery_document_is_seen() {
    let elsewhere = Elsewhere::start();
    let issuer = elsewhere.pages.url().to_owned();
    let (mut own, key, strange, forged) =
        with_a_forger(|key| ControlPlaneOptions { issuer: Some(issuer.clone()), ..one(key) });
    own.config = own.config.replace("audience: vault", &Elsewhere::fields("oidcDiscovery"));
    let document =
        |issuer: &str, keys: &str| json!({ "issuer": issuer, "jwks_uri": format!("{}{keys}", elsewhere.pages.url()) });
    let serve = |issuer: &str, keys: &str| {
        elsewhere.pages.serve("/.well-known/openid-configuration", document(issuer, keys).to_string());
    };
    serve(&issuer, "/keys");
    elsewhere.serve_keys(&[&key]);
    own.command(["bootstrap"]).run().exits(0).says(&["1 login verified"]);
    own.in_order();
    own.verify(&[]).exits(0);

    elsewhere.serve_keys(&[&strange, &key]);
    own.command(["plan", "--detailed-exitcode"]).run().exits(1).says(&["1 key at", "/keys"]);
    let verified = own.verify(&["-o", "json"]).exits(1).json();
    assert_eq!(verified["causes"][0]["id"], "VK314", "{verified}");
    // Vault looks a key up again where it knows none that fits.
    assert!(own.lets_in(&forged));

    // A document that leads nowhere, and one of another issuer.
    serve(&issuer, "/nowhere");
    own.verify(&["--only", "VK311"]).exits(1).says(&["/nowhere answers 404"]);
    serve("https://other.example.internal", "/keys");
    own.verify(&["--only", "VK311"]).exits(1).says(&["https://other.example.internal"]);
    own.command(["plan"]).run().exits(0).complains(&["https://other.example.internal", "may not get the keys"]);
}

#[test]
fn a_clusters_key_that_the_url_lacks_and_a_url_that_is_not_seen_are_told() {
    let (mut own, key, strange, _) = with_a_forger(one);
    let elsewhere = Elsewhere::start();
    let url = elsewhere.keys_url();
    let fetches = Elsewhere::fields(&format!("jwksUrl, jwksUrl: '{url}'"));
    own.config = own.config.replace("audience: vault", &fetches);
    elsewhere.serve_keys(&[&key]);
    own.command(["bootstrap"]).run().exits(0);

    elsewhere.serve_keys(&[&strange]);
    own.command(["plan"]).run().exits(0).says(&["lacks 1 of the 1 keys"]);
    own.verify(&["--only", "VK313"]).exits(1).says(&["serves none of the cluster's keys"]);
    elsewhere.pages.serve("/keys", r#"{"keys":[]}"#);
    own.verify(&["--only", "VK313"]).exits(1).says(&["serves none of the cluster's keys"]);

    // What isn't read isn't said to be in order.
    let large = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(2 << 20));
    elsewhere.pages.serve("/keys", large);
    for id in ["VK313", "VK314"] {
        let said = own.verify(&["--only", id, "-o", "json"]).json().to_string();
        assert!(said.contains("more than 1 MiB") && said.contains("unseen"), "{id}: {said}");
    }
    own.command(["plan"]).run().exits(0).complains(&["more than 1 MiB"]);
}

/// Vault reads the names of JSON in either case and takes the last, and tries every key of a set, whatever their names.
#[test]
fn a_foreign_key_is_seen_under_whichever_name_vault_finds_it() {
    let (mut own, key, strange, forged) = with_a_forger(one);
    let elsewhere = Elsewhere::start();
    let fetches = Elsewhere::fields(&format!("jwksUrl, jwksUrl: '{}'", elsewhere.keys_url()));
    own.config = own.config.replace("audience: vault", &fetches);
    elsewhere.serve_keys(&[&key]);
    own.command(["bootstrap"]).run().exits(0);
    let mut double = strange.clone();
    double["kid"] = key["kid"].clone();
    for (set, trusts) in
        [(json!({ "keys": [key], "\u{212a}eys": [key, strange] }), true), (json!({ "keys": [key, double] }), false)]
    {
        elsewhere.pages.serve("/keys", set.to_string());
        own.command(["bootstrap"]).run().exits(1).says(&["doesn't publish"]);
        let verified = own.verify(&["-o", "json"]).exits(1).json();
        assert!(verified["causes"].as_array().unwrap().iter().any(|cause| cause["id"] == "VK314"), "{verified}");
        assert!(!trusts || own.lets_in(&forged), "{set}");
    }
}
