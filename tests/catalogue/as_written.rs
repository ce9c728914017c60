//! Roles and policies that are otherwise in Vault than in the file, where the login itself goes well, or nobody logs in.

use serde_json::json;

use super::denials::file_rules;
use super::entry::{entry, run};
use super::grants::no_alarm;
use super::setup::{Setup, Shape, jwt};

fn kubernetes() -> Shape {
    Shape { kubernetes: true, ..Shape::default() }
}

/// Nobody can log in as a role of claims.
fn of_claims() -> Setup {
    let mut setup = Setup::new(jwt());
    let text = std::fs::read_to_string(&setup.file).unwrap();
    let (policy, namespace) = (&setup.policy, &setup.namespace);
    let role = format!(
        "  - {{ name: claims, policies: [{policy}], boundClaims: {{ /kubernetes.io/namespace: {namespace}, \
         /kubernetes.io/serviceaccount/name: [web, db] }} }}\n"
    );
    std::fs::write(&setup.file, text + &role).unwrap();
    setup.bootstrap();
    setup.args = ["verify-role", "claims", "-o", "json"].map(str::to_owned).into();
    setup
}

/// The role of claims with these fields in place of its own.
fn claims(setup: &Setup, namespaces: &[&str], policies: &[&str]) {
    let body = json!({
        "role_type": "jwt", "bound_claims_type": "string", "user_claim": "sub", "bound_audiences": ["vault"],
        "bound_claims": { "/kubernetes.io/namespace": namespaces, "/kubernetes.io/serviceaccount/name": ["web", "db"] },
        "token_policies": policies,
    });
    setup.vault().write(&format!("auth/{}/role/claims", setup.mount), &body);
}

#[test]
fn a_role_that_is_otherwise_than_in_the_file() {
    run(
        "roles that are otherwise than in the file",
        &[
            entry(
                "one audience more",
                jwt,
                |setup| setup.role(json!({ "bound_audiences": ["vault", "other"] })),
                "VK416",
                &["bound_audiences is ", "other", "in the file vault"],
            ),
            entry(
                "leeways of a year",
                jwt,
                |setup| setup.role(json!({ "expiration_leeway": 31_536_000, "clock_skew_leeway": 31_536_000 })),
                "VK416",
                &["expiration_leeway is 31536000", "clock_skew_leeway is 31536000"],
            ),
            entry(
                "tokens that live for a month",
                jwt,
                |setup| setup.role(json!({ "token_ttl": 2_520_000, "token_max_ttl": 2_600_000 })),
                "VK416",
                &["token_ttl is 2520000, and in the file 600"],
            ),
            entry(
                "a claim that makes all accounts one identity",
                jwt,
                |setup| setup.role(json!({ "user_claim": "iss" })),
                "VK416",
                &["user_claim is iss, and in the file sub"],
            ),
            entry(
                "tokens that live on",
                kubernetes,
                |setup| setup.role(json!({ "token_period": 86_400 })),
                "VK416",
                &["token_period is 86400"],
            ),
        ],
    );
}

#[test]
fn a_role_that_nobody_logs_in_as() {
    let setup = of_claims();
    let (code, _, all) = setup.verify();
    assert!(code == 0, "{all}");
    claims(&setup, &[&setup.namespace, "other"], &[&setup.policy, "admin"]);
    let (code, said, all) = setup.verify();
    let causes = said["causes"].to_string();
    assert!(code == 1 && causes.contains("\"id\":\"VK416\""), "{all}");
    assert!(causes.contains("bound_claims is ") && causes.contains("other"), "{causes}");
    setup.bootstrap();
    let (code, said, all) = setup.verify();
    assert!(code == 0 && !said["causes"].to_string().contains("VK416"), "{all}");
}

/// Who may write metadata of an entity would say what the template opens.
#[test]
fn a_policy_with_more_than_its_text() {
    let mut setup = Setup::new(jwt());
    file_rules(&mut setup, &[("'kv1/{{identity.entity.metadata.team}}/*'", "read")]);
    let path = format!("sys/policies/acl/{}", setup.policy);
    let text = setup.vault().read(&path)["data"]["policy"].clone();
    let fails = |setup: &Setup, body, words: &str| {
        setup.vault().write(&path, &body);
        let (code, said, all) = setup.verify();
        let cause = &said["causes"][0];
        assert!(code == 1 && cause["id"] == "VK509", "{all}");
        assert!(cause["detail"].to_string().contains(words), "{cause}");
        setup.bootstrap();
        let (code, said, all) = setup.verify();
        assert!(code == 0 && !said["causes"].to_string().contains("VK509"), "{all}");
    };
    let wild = json!({ "policy": text, "allow_wildcards_in_identity_templates": true });
    fails(&setup, wild, "allow_wildcards_in_identity_templates: true");
    fails(&setup, json!({ "policy": text, "ttl": "2h" }), "expiration: ");
    // Comments and their order are nobody's drift.
    let mut setup = Setup::new(jwt());
    let path = format!("sys/policies/acl/{}", setup.policy);
    let text = setup.vault().read(&path)["data"]["policy"].as_str().unwrap().to_owned();
    setup.write_policy(&setup.policy, &format!("# by hand\n{text}"));
    no_alarm(&setup);
    setup.args.retain(|word| word != "r-app");
    setup.args.push("--all".to_owned());
    no_alarm(&setup);
}
