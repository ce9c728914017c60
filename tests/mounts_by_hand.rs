//! Mounts that this tool has no record of: configured by hand or by another tool, they are changed with consent alone. Against a real
//! OpenBao (or Vault) and a real kube-apiserver.

use serde_json::{Value, json};

use crate::command::Vaultk8s;
use crate::fixture::Fixture;
use crate::kubernetes_fixture;

fn vault() -> &'static lab::Vault {
    lab::shared().vault()
}

fn config(mount: &str) -> Value {
    vault().read(&format!("auth/{mount}/config"))["data"].clone()
}

fn options(mount: &str) -> Value {
    vault().read("sys/auth")["data"][format!("{mount}/")].clone()
}

/// Makes the fixture's mount as the file has it and takes away all that tells of this tool: as if it had been made by hand.
fn by_hand(fixture: &Fixture) {
    fixture.command(["bootstrap"]).run().exits(0);
    let wanted = config(&fixture.mount);
    vault().delete(&format!("sys/auth/{}", fixture.mount));
    vault().delete(&format!("sys/policies/acl/{}", fixture.policy));
    let settings = json!({ "type": "jwt", "description": "a mount of a test" });
    vault().write(&format!("sys/auth/{}", fixture.mount), &settings);
    vault().write(&format!("auth/{}/config", fixture.mount), &wanted);
}

/// Changes fields of a mount's configuration.
fn change(mount: &str, changes: &Value) {
    let mut there = config(mount);
    there.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    vault().write(&format!("auth/{mount}/config"), &there);
}

#[test]
fn a_jwt_mount_by_hand_that_says_something_else_is_configured_with_consent_alone() {
    for owner in ["", "jh"] {
        let mut fixture = Fixture::new();
        by_hand(&fixture);
        if !owner.is_empty() {
            fixture.config = format!("owner: {}\n{}", lab::unique(owner), fixture.config);
        }
        change(&fixture.mount, &json!({ "default_role": "hr", "jwt_supported_algs": ["RS256", "RS512"] }));
        let before = config(&fixture.mount);
        for args in [&["bootstrap"][..], &["bootstrap", "--yes"]] {
            fixture.command(args.iter().copied()).run().exits(1).complains(&[
                &format!("config auth/{}/config", fixture.mount),
                "whoever set the mount up",
                "no record",
                "--approve take-over",
            ]);
        }
        assert_eq!(config(&fixture.mount), before);
        fixture.command(["bootstrap", "--approve", "take-over"]).run().exits(0);
        assert_eq!(config(&fixture.mount)["default_role"], "");
        fixture.in_order();
        // From then on it is known.
        change(&fixture.mount, &json!({ "default_role": "hr" }));
        fixture.command(["bootstrap"]).run().exits(0);
        fixture.in_order();
    }
}

#[test]
fn settings_of_a_mount_by_hand_are_somebody_s_too() {
    let fixture = Fixture::new();
    by_hand(&fixture);
    vault().write(&format!("sys/auth/{}/tune", fixture.mount), &json!({ "description": "Terraform's" }));
    fixture.command(["bootstrap", "--yes"]).run().exits(1).complains(&[
        &format!("mount auth/{}", fixture.mount),
        "no record",
        "--approve take-over",
    ]);
    assert_eq!(options(&fixture.mount)["description"], "Terraform's");
    // The small command asks as well.
    let line = format!("auth jwt --mount {} --description mine --yes", fixture.mount);
    Vaultk8s::new(line.split(' ')).on_shared().run().exits(1).complains(&["no record", "--approve take-over"]);
    assert_eq!(options(&fixture.mount)["description"], "Terraform's");
}

#[test]
fn a_step_pins_the_keys_and_leaves_the_role_of_a_login_that_names_none() {
    let mount = lab::unique("by-hand");
    let step =
        || Vaultk8s::new(["auth", "jwt", "--mount", &mount, "--yes", "--approve", "take-over"]).on_shared().run();
    step().exits(0);
    change(&mount, &json!({ "default_role": "hr", "jwt_supported_algs": ["RS256", "RS512"] }));
    step().exits(0);
    assert_eq!(
        (&config(&mount)["default_role"], &config(&mount)["jwt_supported_algs"]),
        (&json!("hr"), &json!(["RS256"]))
    );
    step().exits(0).says(&["No changes."]);
}

#[test]
fn a_mount_by_hand_that_says_the_same_or_nothing_yet_is_asked_about_by_nobody() {
    let fixture = Fixture::new();
    by_hand(&fixture);
    fixture.command(["bootstrap"]).run().exits(0).says(&["1 login verified"]);
    fixture.in_order();
    let fresh = Fixture::new();
    vault().write(&format!("sys/auth/{}", fresh.mount), &json!({ "type": "jwt" }));
    fresh.command(["bootstrap"]).run().exits(0).says(&["1 login verified"]);
    fresh.in_order();
    // Unless somebody named it.
    let named = Fixture::new();
    vault().write(&format!("sys/auth/{}", named.mount), &json!({ "type": "jwt", "description": "for payroll" }));
    named.command(["bootstrap"]).run().exits(1).says(&["for payroll"]).complains(&["--approve take-over"]);
}

#[test]
fn a_reviewer_s_token_by_hand_is_replaced_with_consent_alone() {
    for reviewer in ["token: secret", "token: bound"] {
        let fixture = kubernetes_fixture::Fixture::new(reviewer, "");
        fixture.bootstrap();
        let before = config(&fixture.mount);
        let cluster = lab::shared().kubernetes();
        let token = lab::shared().token(&format!("{}-review", fixture.namespace), "vault-auth", &[], 3600);
        // The same mount by hand, with a token of its own that works.
        vault().delete(&format!("sys/auth/{}", fixture.mount));
        vault().delete(&format!("sys/policies/acl/{}", fixture.policy));
        vault().write(&format!("sys/auth/{}", fixture.mount), &json!({ "type": "kubernetes" }));
        let mut there = before;
        there.as_object_mut().unwrap().remove("token_reviewer_jwt_set");
        there["token_reviewer_jwt"] = token.into();
        vault().write(&format!("auth/{}/config", fixture.mount), &there);
        let secret = format!("/api/v1/namespaces/{}-review/secrets/vault-auth-token", fixture.namespace);
        cluster.delete(&secret);
        let plan = fixture.run(&["plan"]).exits(0).says(&["token_reviewer_jwt", "no record"]);
        assert!(!plan.stdout.contains("in no Secret any more"), "{}", plan.stdout);
        fixture.run(&["bootstrap", "--yes"]).exits(1).complains(&["no record", "--approve take-over"]);
        fixture.run(&["bootstrap", "--approve", "take-over"]).exits(0).says(&["1 login verified"]);
        fixture.in_order();
    }
}

/// What earlier releases set up is told by the record of keys, by that of the reviewer's token, or by the marks of policies.
#[test]
fn a_mount_of_an_earlier_release_is_changed_unasked() {
    // As where the keys are Vault's to fetch, no record is in the mount.
    let jwt = Fixture::new();
    jwt.bootstrap();
    let forgotten: serde_json::Map<_, _> = options(&jwt.mount)["options"].as_object().unwrap().clone();
    let forgotten: serde_json::Map<_, _> = forgotten.into_iter().map(|(name, _)| (name, json!(""))).collect();
    vault().write(&format!("sys/mounts/auth/{}/tune", jwt.mount), &json!({ "options": forgotten }));
    assert!(options(&jwt.mount)["options"].as_object().is_none_or(serde_json::Map::is_empty));
    change(&jwt.mount, &json!({ "default_role": "hr" }));
    // With an owner added at the same time, nobody knows whether it is the same file: as with policies, what differs is asked about once.
    let owned = Fixture { config: format!("owner: {}\n{}", lab::unique("x"), jwt.config), ..jwt.clone() };
    owned.command(["bootstrap"]).run().exits(1).complains(&["names no owner", "--approve take-over"]);
    jwt.command(["bootstrap"]).run().exits(0);
    assert_eq!(config(&owned.mount)["default_role"], "");
    jwt.in_order();
    owned.command(["bootstrap"]).run().exits(0);
    owned.in_order();

    // Without a reviewer there is no record of its token.
    let client = kubernetes_fixture::Fixture::new("token: client", "");
    client.run(&["bootstrap", "--no-verify"]).exits(0);
    change(&client.mount, &json!({ "issuer": "https://old.example", "disable_iss_validation": true }));
    client.run(&["bootstrap", "--no-verify"]).exits(0);
    assert_eq!(config(&client.mount)["issuer"], "");
    client.in_order();

    // The small command leaves no mark, and the record tells of it.
    let step = kubernetes_fixture::Fixture::new("token: bound", "");
    let line = format!(
        "auth kubernetes --mount {} --context rke --reviewer {}-review/vault-auth --binding-name {} \
         --reviewer-token bound",
        step.mount, step.namespace, step.binding
    );
    let run = |more: &str| {
        let line = format!("{line}{more}");
        Vaultk8s::new(line.split(' ')).on_shared().run()
    };
    run("").exits(0);
    run(" --issuer https://kubernetes.default.svc.cluster.local").exits(0);
}
