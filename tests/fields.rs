//! Fields of roles and mounts that a file may set: written, read back without a difference, mended, and what a login makes of them.

use serde_json::{Value, json};

use crate::command::Vaultk8s;
use crate::fixture::Fixture;

/// With more lines for its role, and more fields under `auth`.
fn with(role: &str, auth: &str) -> Fixture {
    let fixture = Fixture::with(role);
    let config = fixture.config.replace("audience: vault,", &format!("audience: vault{auth},"));
    Fixture { config, ..fixture }
}

/// The answer to a login, with the token that was made for an audience.
fn login(fixture: &Fixture, role: Option<&str>, audience: &str) -> (u16, Value) {
    let lab = lab::shared();
    let jwt = lab.token(&fixture.namespace, "app", &[audience], 600);
    let mut body = json!({ "jwt": jwt });
    if let Some(role) = role {
        body["role"] = json!(role);
    }
    lab.vault().without_token().post(&format!("auth/{}/login", fixture.mount), &body)
}

#[test]
fn each_of_several_audiences_logs_in_and_is_proved_alone() {
    let fixture = with("    audience: [vault, other]\n", "");
    fixture.command(["rehearse"]).env("VAULTK8S_VAULT_BIN", lab::shared().vault_program()).run().exits(0);
    fixture.bootstrap();
    for (audience, status) in [("vault", 200), ("other", 200), ("third", 400)] {
        let (answered, answer) = login(&fixture, Some("r-app"), audience);
        assert_eq!(answered, status, "{audience}: {answer}");
    }
    let found = fixture.command(["verify-role", "r-app", "-o", "json"]).run().exits(0).json();
    let logins = found["sections"].as_array().unwrap().iter().filter(|section| section["about"]["role"] == "r-app");
    let audiences: Vec<&Value> = logins.map(|section| &section["about"]["audience"]).collect();
    assert_eq!(audiences, [&json!("vault"), &json!("other")], "{found:#}");
    // One of them is taken away by hand.
    let path = format!("auth/{}/role/r-app", fixture.mount);
    let mut role = lab::shared().vault().read(&path)["data"].clone();
    role["bound_audiences"] = json!(["vault"]);
    lab::shared().vault().write(&path, &role);
    let broken = fixture.command(["verify-role", "r-app"]).run().exits(1);
    broken.says(&["VK506", "other"]);
    fixture.command(["bootstrap", "--yes"]).run().exits(0);
    fixture.in_order();
}

#[test]
fn claims_become_metadata_and_a_login_may_name_no_role() {
    let fixture = with(
        "    claimMappings:\n      /kubernetes.io/namespace: namespace\n      /kubernetes.io/serviceaccount/name: account\n",
        ", defaultRole: r-app",
    );
    fixture.command(["rehearse"]).env("VAULTK8S_VAULT_BIN", lab::shared().vault_program()).run().exits(0);
    fixture.bootstrap();
    let (status, answer) = login(&fixture, None, "vault");
    assert_eq!(status, 200, "{answer}");
    let metadata = &answer["auth"]["metadata"];
    assert_eq!((&metadata["namespace"], &metadata["account"]), (&json!(fixture.namespace), &json!("app")));
    let vault = lab::shared().vault();
    for (path, field, by_hand) in [
        (format!("auth/{}/role/r-app", fixture.mount), "claim_mappings", json!({ "iss": "by-hand" })),
        (format!("auth/{}/role/r-app", fixture.mount), "groups_claim", json!("groups")),
        (format!("auth/{}/config", fixture.mount), "default_role", json!("by-hand")),
    ] {
        let before = vault.read(&path)["data"].clone();
        let mut changed = before.clone();
        changed[field] = by_hand;
        if let Some(document) = changed.as_object_mut() {
            document.remove("status");
        }
        vault.write(&path, &changed);
        fixture.command(["plan", "--detailed-exitcode"]).run().exits(2).says(&[field]);
        fixture.command(["bootstrap", "--yes"]).run().exits(0);
        assert_eq!(vault.read(&path)["data"][field], before[field], "{field}");
        fixture.in_order();
    }
}

/// What OpenBao doesn't have is said, and not taken for done.
#[test]
fn a_field_that_the_server_does_not_have_is_no_success() {
    let lab = lab::shared();
    let (mount, namespace) = (lab.mount("kubernetes"), lab.namespace("app"));
    lab.service_account(&namespace, "app");
    let config = format!(
        "clusters:
  - name: lab
    context: {}
    auth: {{ method: kubernetes, mount: {mount}, audience: vault, annotationsAsMetadata: true, reviewer: {{ token: client }} }}
policies: [{{ name: {mount}-read, read: x/* }}]
roles: [{{ name: r, serviceAccounts: {namespace}/app, policies: {mount}-read, ttl: 5m }}]
",
        lab.context()
    );
    let bootstrap = Vaultk8s::new(["bootstrap", "--yes", "--no-verify"]).on_shared().config(&config).run();
    let (_, there) = lab.vault().get(&format!("auth/{mount}/config"));
    if there["data"].get("use_annotations_as_alias_metadata").is_some() {
        bootstrap.exits(0);
    } else {
        bootstrap.exits(1).complains(&["annotationsAsMetadata", "OpenBao"]);
    }
}
