//! The mount of the jwt method, and what it trusts.

use std::time::Duration;

use lab::{ControlPlaneOptions, KeyKind, Kubernetes, ServiceAccountKey};
use serde_json::json;

use super::entry::{entry, run};
use super::setup::{Setup, Shape, flags, jwt};

fn own_cluster() -> Shape {
    Shape { cluster: Some(ControlPlaneOptions::default()), ..Shape::default() }
}

fn own_cluster_flags() -> Shape {
    Shape { flags: true, ..own_cluster() }
}

fn key() -> ServiceAccountKey {
    ServiceAccountKey::generate(KeyKind::EcP256).unwrap()
}

fn slash(setup: &mut Setup) {
    setup.mount_config(json!({ "bound_issuer": format!("{}/", setup.cluster().server()) }));
}

fn old_issuer(setup: &mut Setup) {
    setup.mount_config(json!({ "bound_issuer": "https://10.0.0.1:6443" }));
}

/// The cluster signs with a new key; `keep` says whether it still publishes the old one.
fn rotate(setup: &mut Setup, keep: bool) {
    let plane = setup.plane.as_mut().unwrap();
    let mut keys = vec![key()];
    if keep {
        keys.extend(plane.keys().iter().cloned());
    }
    plane.restart(&ControlPlaneOptions { keys, ..ControlPlaneOptions::default() });
}

fn foreign_key(setup: &mut Setup) {
    setup.mount_config(json!({ "jwt_validation_pubkeys": [key().public_pem()], "jwt_supported_algs": [] }));
}

fn strange_key(setup: &mut Setup) {
    let held = setup.vault().read(&format!("auth/{}/config", setup.mount));
    let mut keys = held["data"]["jwt_validation_pubkeys"].as_array().unwrap().clone();
    keys.push(key().public_pem().into());
    setup.mount_config(json!({ "jwt_validation_pubkeys": keys }));
}

/// The file names every role of the mount.
fn claimed() -> Shape {
    Shape { auth: ", exclusive: true", ..jwt() }
}

/// A role of the mount that the file doesn't name: only who looks at all of its roles can say so.
fn open_role(setup: &mut Setup, name: &str) {
    setup.args.retain(|arg| arg != "r-app");
    setup.args.push("--all".to_owned());
    let role =
        json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_policies": ["x"] });
    setup.vault().write(&format!("auth/{}/role/{name}", setup.mount), &role);
}

fn algorithm(setup: &mut Setup) {
    setup.mount_config(json!({ "jwt_supported_algs": ["ES512"] }));
}

fn two_strangers(setup: &mut Setup) {
    setup.mount_config(json!({ "jwt_validation_pubkeys": [key().public_pem(), key().public_pem()] }));
}

fn anonymous(setup: &mut Setup, anonymous: bool) {
    let plane = setup.plane.as_mut().unwrap();
    let keys = plane.keys().to_vec();
    plane.restart(&ControlPlaneOptions { keys, anonymous, ..ControlPlaneOptions::default() });
}

fn retyped(setup: &mut Setup) {
    disable(setup);
    enable(setup, "userpass");
}

fn unconfigured(setup: &mut Setup) {
    disable(setup);
    enable(setup, "jwt");
}

fn made_anew(setup: &mut Setup) {
    disable(setup);
    setup.bootstrap();
}

fn disable(setup: &mut Setup) {
    setup.vault().delete(&format!("sys/auth/{}", setup.mount));
}

fn enable(setup: &Setup, kind: &str) {
    setup.vault().write(&format!("sys/auth/{}", setup.mount), &json!({ "type": kind }));
}

#[test]
fn what_the_mount_trusts() {
    run(
        "the jwt mount's configuration",
        &[
            entry("issuer with a slash too many", jwt, slash, "VK312", &["slash", "127.0.0.1"]),
            entry("issuer with a slash too many (flags)", flags, slash, "VK312", &["slash"]),
            entry("issuer of an old cluster", jwt, old_issuer, "VK312", &["10.0.0.1:6443"]),
            entry("issuer of an old cluster (flags)", flags, old_issuer, "VK312", &["10.0.0.1:6443"]).second_remedy(),
            entry("only the key of another cluster", jwt, foreign_key, "VK313", &["none of the cluster's keys"]),
            entry("only the key of another cluster (flags)", flags, foreign_key, "VK313", &["none of"]),
            entry("a key that the cluster doesn't publish", jwt, strange_key, "VK314", &["1 key"]),
            entry("a key that the cluster doesn't publish (flags)", flags, strange_key, "VK314", &["1 key"]),
            entry(
                "a role for everybody on a mount of the file's own",
                claimed,
                |s| open_role(s, "open"),
                "VK304",
                &["open", "any service account"],
            ),
            entry(
                "the same under a name of 600 bytes",
                claimed,
                |s| open_role(s, &"o".repeat(600)),
                "VK304",
                &["(600 bytes)"],
            ),
            entry("algorithm not accepted", jwt, algorithm, "VK315", &["RS256", "ES512"]),
            entry("algorithm not accepted (flags)", flags, algorithm, "VK315", &["RS256", "ES512"]),
            entry("keys of two lives of the cluster ago", jwt, two_strangers, "VK313", &["none of the cluster's keys"]),
        ],
    );
}

/// Vault fetches the keys of a cluster that shows them to everybody.
fn fetching() -> Shape {
    Shape { auth: ", keys: jwksUrl", prepare: Some(|cluster, _| open_discovery(cluster)), ..own_cluster() }
}

/// In the discovery URL the server itself takes no `.well-known`, whether it can look there or not.
fn well_known_is_refused(setup: &Setup) {
    let url = format!("{}/.well-known/openid-configuration", setup.cluster().server());
    let body = json!({ "oidc_discovery_url": url, "skip_jwks_validation": true });
    let (status, answer) = setup.vault().post(&format!("auth/{}/config", setup.mount), &body);
    let words = "'oidc_discovery_url' contains '.well-known' component";
    assert!(status == 400 && answer.to_string().contains(words), "{status} {answer}");
}

/// The same by OpenID's discovery.
fn discovering() -> Shape {
    Shape { auth: ", keys: oidcDiscovery", ..fetching() }
}

const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";

pub fn open_discovery(cluster: &Kubernetes) {
    let group = "rbac.authorization.k8s.io";
    let body = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": { "name": "open" },
        "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": "system:service-account-issuer-discovery" },
        "subjects": [{ "apiGroup": group, "kind": "Group", "name": "system:unauthenticated" }],
    });
    assert_eq!(cluster.post(BINDINGS, &body).0, 201);
    // The API server takes note of it a moment later.
    let anybody = cluster.with_token("");
    while anybody.get("/openid/v1/jwks").0 != 200 {
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn keys_that_vault_fetches() {
    run(
        "keys that Vault fetches",
        &[
            entry(
                "discovery forbidden to anonymous",
                fetching,
                |setup| {
                    setup.cluster().delete(&format!("{BINDINGS}/open"));
                },
                "VK311",
                &["forbidden to who has no credentials"],
            )
            .patiently(),
            entry("anonymous requests off", fetching, |setup| anonymous(setup, false), "VK311", &["wants credentials"])
                .person(|setup| anonymous(setup, true)),
            entry(
                "discovery URL that is not the issuer",
                discovering,
                |setup| {
                    let url = format!("{}/openid/v1", setup.cluster().server());
                    // Else the server looks at it when it is written, and refuses it.
                    setup.mount_config(json!({ "oidc_discovery_url": url, "skip_jwks_validation": true }));
                },
                "VK311",
                &["is not the cluster's issuer", "/openid/v1"],
            ),
            entry(
                "URL with .well-known: jwks_url that names the discovery document",
                fetching,
                |setup| {
                    well_known_is_refused(setup);
                    // Vault looks at what is written only where it can reach it.
                    let url = format!("{}/.well-known/openid-configuration", setup.cluster().server());
                    setup.mount_config(json!({ "jwks_url": url }));
                },
                "VK311",
                &["not with a JSON Web Key Set"],
            ),
        ],
    );
}

#[test]
fn the_mount_itself() {
    run(
        "the jwt mount itself",
        &[
            entry("mount missing", jwt, disable, "VK301", &["no auth mount"]),
            entry("mount of another type", jwt, retyped, "VK302", &["userpass"]).person(made_anew),
            entry("mount of another type (flags)", flags, retyped, "VK302", &["userpass"]).person(made_anew),
            entry("mount without configuration", jwt, unconfigured, "VK303", &["no configuration"]),
            entry(
                "a mistyped mount (flags)",
                flags,
                |setup| {
                    let mistyped = setup.mount.replace("catalogue", "catalog");
                    setup.option("--mount", Some(&mistyped));
                },
                "VK301",
                &["no auth mount", "catalog-"],
            )
            .person(|setup| {
                let mount = setup.mount.clone();
                setup.option("--mount", Some(&mount));
            }),
        ],
    );
}

#[test]
fn rotated_keys() {
    run(
        "the cluster's keys",
        &[
            entry(
                "keys rotated, the old one still published",
                own_cluster,
                |s| rotate(s, true),
                "VK422",
                &["a key of the cluster"],
            ),
            entry("keys replaced, a stale one pinned", own_cluster, |s| rotate(s, false), "VK313", &["none of"]),
            entry("keys replaced (flags)", own_cluster_flags, |s| rotate(s, false), "VK313", &["none of"]),
        ],
    );
}
