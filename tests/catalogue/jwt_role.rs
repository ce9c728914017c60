//! The role of the jwt method, and who logs in.

use std::time::Duration;

use lab::{ControlPlaneOptions, KeyKind, ServiceAccountKey};
use serde_json::json;

use super::entry::{entry, run};
use super::setup::{Setup, Shape, flags, jwt};
use crate::signature::signed_anew;

fn no_audience(setup: &mut Setup) {
    setup.role(json!({ "bound_audiences": [] }));
}

fn other_audience(setup: &mut Setup) {
    setup.role(json!({ "bound_audiences": ["https://elsewhere"] }));
}

fn bound_to(setup: &Setup, namespace: &str, name: &str) {
    let subject = format!("system:serviceaccount:{namespace}:{name}");
    setup.role(json!({ "bound_claims": { "sub": subject }, "bound_subject": "" }));
}

fn other_account(setup: &mut Setup) {
    bound_to(setup, &setup.namespace, "other");
}

fn other_namespace(setup: &mut Setup) {
    bound_to(setup, "elsewhere", "app");
}

fn oidc(setup: &mut Setup) {
    let uris = ["http://localhost/callback"];
    setup.role(json!({ "role_type": "oidc", "allowed_redirect_uris": uris }));
}

/// By flags, with a cluster whose signing key is known.
fn own_cluster() -> Shape {
    let keys = vec![ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap()];
    Shape { cluster: Some(ControlPlaneOptions { keys, ..ControlPlaneOptions::default() }), ..flags() }
}

/// Logs in with a token that begins and ends at these seconds from now.
fn token_between(setup: &mut Setup, begins: i64, ends: i64) {
    let token = setup.cluster().token(&setup.namespace, "app", &["vault"], 600);
    let token = signed_anew(&token, &setup.plane.as_ref().unwrap().keys()[0], begins, ends);
    setup.write_file("token", &token);
    setup.option("--audience", None);
    setup.option("--jwt-file", Some("token"));
}

fn new_token(setup: &mut Setup) {
    let token = setup.cluster().token(&setup.namespace, "app", &["vault"], 600);
    setup.write_file("token", &token);
}

fn no_role(setup: &mut Setup) {
    setup.vault().delete(&format!("auth/{}/role/r-app", setup.mount));
}

fn cidr(setup: &mut Setup) {
    setup.role(json!({ "token_bound_cidrs": ["10.9.8.0/24"] }));
}

fn wildcard(setup: &mut Setup) {
    let subject = format!("system:serviceaccount:{}:*", setup.namespace);
    setup.role(json!({ "bound_claims_type": "glob", "bound_claims": { "sub": subject }, "bound_subject": "" }));
}

fn lacking(setup: &mut Setup) {
    let subject = format!("system:serviceaccount:{}:app", setup.namespace);
    setup.role(json!({ "bound_claims": { "sub": subject, "team": "blue" } }));
}

/// Bound to a claim that tokens have, and to a value that this one has not.
fn otherwise(setup: &mut Setup) {
    let subject = format!("system:serviceaccount:{}:app", setup.namespace);
    setup.role(json!({ "bound_claims": { "sub": subject, "/kubernetes.io/namespace": "elsewhere" } }));
}

/// Where both name somebody, both have to hold: nobody is let in.
fn two_subjects(setup: &mut Setup) {
    let subject = |name: &str| format!("system:serviceaccount:{}:{name}", setup.namespace);
    setup.role(json!({ "bound_subject": subject("two"), "bound_claims": { "sub": subject("app") } }));
}

fn groups(setup: &mut Setup) {
    setup.role(json!({ "groups_claim": "groups" }));
}

fn unmarked_pointer(setup: &mut Setup) {
    setup.role(json!({ "user_claim": "/kubernetes.io/namespace", "user_claim_json_pointer": false }));
}

fn two_claims(setup: &mut Setup) {
    let subject = format!("system:serviceaccount:{}:app", setup.namespace);
    setup.role(json!({ "bound_claims": { "sub": subject, "team": "blue", "site": ["a", "b"] } }));
}

fn anybody(setup: &mut Setup) {
    setup.role(json!({ "bound_claims": {}, "bound_subject": "" }));
}

/// Bound to claims that everybody has, in place of the account.
fn bound_by(setup: &Setup, kind: &str, claims: serde_json::Value) {
    setup.role(json!({ "bound_claims": claims, "bound_claims_type": kind, "bound_subject": "" }));
}

fn to_the_audience(setup: &mut Setup) {
    bound_by(setup, "string", json!({ "aud": "vault" }));
}

fn to_any_issuer(setup: &mut Setup) {
    bound_by(setup, "glob", json!({ "iss": "*" }));
}

fn to_any_name(setup: &mut Setup) {
    bound_by(setup, "glob", json!({ "/kubernetes.io/serviceaccount/name": "a*" }));
}

fn to_any_subject_by_a_pointer(setup: &mut Setup) {
    bound_by(setup, "glob", json!({ "/sub": "system:serviceaccount:*" }));
}

fn to_the_namespace(setup: &mut Setup) {
    bound_by(setup, "string", json!({ "/kubernetes.io/namespace": setup.namespace }));
}

fn no_account(setup: &mut Setup) {
    setup.cluster().delete(&setup.account());
}

fn no_namespace(setup: &mut Setup) {
    let path = format!("/api/v1/namespaces/{}", setup.namespace);
    setup.cluster().delete(&path);
    // It goes once all that is in it is gone.
    while setup.cluster().get(&path).0 != 404 {
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn whom_the_role_takes() {
    run(
        "the jwt role",
        &[
            entry("no audience on the role", jwt, no_audience, "VK411", &["names no audience", "vault"]),
            entry("no audience on the role (flags)", flags, no_audience, "VK411", &["names no audience"]),
            entry("another audience", jwt, other_audience, "VK411", &["https://elsewhere", "vault"]),
            entry("another audience (flags)", flags, other_audience, "VK411", &["https://elsewhere", "vault"])
                .second_remedy(),
            entry(
                "the consumer asks for another audience (flags)",
                flags,
                |setup| setup.option("--audience", Some("else")),
                "VK411",
                &["else", "vault"],
            )
            .person(|setup| setup.option("--audience", Some("vault"))),
            entry(
                "a mistyped audience, and two on the role (flags)",
                flags,
                |setup| {
                    setup.role(json!({ "bound_audiences": ["vault", "prod"] }));
                    setup.option("--audience", Some("dev"));
                },
                "VK411",
                &["dev", "prod, vault"],
            )
            .second_remedy(),
            entry("bound to another account", jwt, other_account, "VK412", &[":other", ":app"]),
            entry("bound to another account (flags)", flags, other_account, "VK412", &[":other", ":app"])
                .second_remedy(),
            entry("bound to another namespace", jwt, other_namespace, "VK412", &["elsewhere:app"]),
            entry("bound to another namespace (flags)", flags, other_namespace, "VK412", &["elsewhere:app"])
                .second_remedy(),
            entry("a claim that the token lacks", jwt, lacking, "VK413", &["team", "blue"]),
            entry("a claim that the token lacks (flags)", flags, lacking, "VK413", &["another team", "blue", "none"])
                .second_remedy(),
            entry("a claim that the token has otherwise (flags)", flags, otherwise, "VK413", &["elsewhere", "app-"])
                .second_remedy(),
            entry(
                "two claims that the token lacks (flags)",
                flags,
                two_claims,
                "VK413",
                &["another team", "another site"],
            )
            .second_remedy(),
            entry("two fields that disagree on the account", jwt, two_subjects, "VK412", &[":two", ":app"]),
            entry("two fields that disagree on the account (flags)", flags, two_subjects, "VK412", &[":two", ":app"])
                .second_remedy(),
            entry("groups that the token lacks", jwt, groups, "VK413", &["no claim groups"]),
            entry("groups that the token lacks (flags)", flags, groups, "VK413", &["no claim groups"]),
            entry("a pointer that is taken for a name", jwt, unmarked_pointer, "VK413", &["not for a pointer"]),
            entry(
                "a pointer that is taken for a name (flags)",
                flags,
                unmarked_pointer,
                "VK413",
                &["not for a pointer"],
            ),
            entry(
                "an audience without a name (flags)",
                flags,
                |setup| setup.role(json!({ "bound_audiences": [""] })),
                "VK411",
                &["names no audience"],
            ),
            entry(
                "a user claim that is no text (flags)",
                flags,
                |setup| setup.role(json!({ "user_claim": "aud" })),
                "VK413",
                &["no text", "[\"vault\"]"],
            ),
        ],
    );
}

#[test]
fn who_else_the_role_takes() {
    run(
        "the jwt role: who else",
        &[
            entry("sub with a wildcard (flags)", flags, wildcard, "VK415", &["whoever matches system:serviceaccount:"])
                .second_remedy(),
            entry("bound to nobody in particular", jwt, anybody, "VK415", &["every service account"]),
            entry("bound to nobody in particular (flags)", flags, anybody, "VK415", &["every service account"])
                .second_remedy(),
            entry("bound to the audience alone", jwt, to_the_audience, "VK415", &["every service account"]),
            entry("bound to the audience alone (flags)", flags, to_the_audience, "VK415", &["every service account"])
                .second_remedy(),
            entry("bound to any issuer", jwt, to_any_issuer, "VK415", &["every service account of the cluster,"]),
            entry(
                "bound to a name in any namespace",
                jwt,
                to_any_name,
                "VK415",
                &["with /kubernetes.io/serviceaccount/name a*"],
            ),
            entry(
                "bound to any subject, by a pointer",
                jwt,
                to_any_subject_by_a_pointer,
                "VK415",
                &["with sub system:"],
            ),
            entry(
                "bound to a whole namespace",
                jwt,
                to_the_namespace,
                "VK415",
                &["every service account of the namespace"],
            ),
            entry(
                "user claim that the token lacks",
                jwt,
                |s| s.role(json!({ "user_claim": "email" })),
                "VK413",
                &["email"],
            ),
            entry("sub with a wildcard", jwt, wildcard, "VK415", &["whoever matches system:serviceaccount:"]),
            entry("role_type oidc", jwt, oidc, "VK402", &["oidc"]),
            entry("role_type oidc (flags)", flags, oidc, "VK402", &["oidc"]),
            entry("bound to other addresses", jwt, cidr, "VK414", &["10.9.8.0/24", "127.0.0.1"]),
            entry("bound to other addresses (flags)", flags, cidr, "VK414", &["10.9.8.0/24"])
                .person(|setup| setup.role(json!({ "token_bound_cidrs": [] }))),
        ],
    );
}

/// Nobody is let in who was not, but the account that logs in.
#[test]
fn of_two_that_disagree_neither_is_let_in_by_the_way() {
    let mut setup = Setup::new(flags());
    two_subjects(&mut setup);
    let (_, said, all) = setup.verify();
    let command = said["causes"][0]["remedies"][1]["command"].as_str().unwrap_or_else(|| panic!("{all}"));
    assert!(command.contains(":app") && !command.contains(":two"), "{command}");
}

/// A role that was never read is not said to name nobody.
#[test]
fn who_logs_in_is_asked_for_where_the_role_is_missing() {
    let mut setup = Setup::new(flags());
    setup.option("--service-account", None);
    no_role(&mut setup);
    let (_, said, all) = setup.verify();
    let checks =
        said["sections"].as_array().unwrap().iter().filter_map(|section| section["checks"].as_array()).flatten();
    let account = checks.into_iter().find(|check| check["id"] == "VK403").unwrap();
    assert!(account["detail"].as_str().unwrap().contains("who logs in is not known"), "{all}");
}

#[test]
fn the_role_and_the_account() {
    run(
        "the role, the account and its token",
        &[
            entry("role missing", jwt, no_role, "VK401", &["no role r-app"]),
            entry(
                "role on another mount (flags)",
                flags,
                |setup| {
                    let other = format!("{}-other", setup.mount);
                    setup.vault().write(&format!("sys/auth/{other}"), &json!({ "type": "jwt" }));
                    let config = setup.vault().read(&format!("auth/{}/config", setup.mount));
                    setup.vault().write(&format!("auth/{other}/config"), &config["data"]);
                    setup.option("--mount", Some(&other));
                },
                "VK401",
                &["auth/catalogue-", "no role r-app"],
            )
            .person(|setup| {
                let mount = setup.mount.clone();
                setup.option("--mount", Some(&mount));
            }),
            entry("service account missing", jwt, no_account, "VK403", &["does not exist"]).patiently(),
            entry("service account missing (flags)", flags, no_account, "VK403", &["does not exist"]).patiently(),
            entry("role missing (flags)", flags, no_role, "VK401", &["no role r-app"])
                .filled("POLICY", |setup| setup.policy.clone()),
            entry("namespace missing (flags)", flags, no_namespace, "VK403", &["does not exist"]).patiently(),
            entry("namespace missing", jwt, no_namespace, "VK403", &["does not exist"]).patiently(),
            entry(
                "account deleted and made anew, with a token of the first (flags)",
                flags,
                |setup| {
                    let token = setup.cluster().token(&setup.namespace, "app", &["vault"], 600);
                    no_account(setup);
                    setup.cluster().service_account(&setup.namespace, "app");
                    setup.write_file("token", &token);
                    setup.option("--audience", None);
                    setup.option("--jwt-file", Some("token"));
                },
                "VK421",
                &["deleted, and made anew"],
            )
            .person(new_token),
            entry("token expired (flags)", own_cluster, |s| token_between(s, -4000, -400), "VK421", &["expired"])
                .person(new_token),
            entry(
                "clocks apart: a token of the future (flags)",
                own_cluster,
                |setup| token_between(setup, 400, 4000),
                "VK421",
                &["valid only in"],
            )
            .person(new_token),
            entry(
                "a token that another key signed (flags)",
                own_cluster,
                |setup| {
                    let key = ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap();
                    let token = setup.cluster().token(&setup.namespace, "app", &["vault"], 600);
                    setup.write_file("token", &signed_anew(&token, &key, -10, 600));
                    setup.option("--audience", None);
                    setup.option("--jwt-file", Some("token"));
                },
                "VK431",
                &["signature"],
            )
            .person(new_token),
        ],
    );
}
