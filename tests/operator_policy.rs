//! The least policy for the operator, against a real server: it is enough, and nothing in it is too much.

use lab::{Mount, Vault, VaultOptions, VaultServer};
use serde_json::{Value, json};

use crate::command::{Answer, Vaultk8s, external_secrets, testdata};

/// A configuration whose names nobody else has. Its roles are those whose tokens can do least for themselves.
struct Fixture {
    mount: Mount,
    config: String,
}

impl Fixture {
    fn new() -> Self {
        let lab = lab::shared();
        let (mount, namespace) = (lab.mount("jwt"), lab.namespace("operator"));
        lab.service_account(&namespace, "app");
        let config = format!(
            "clusters:
  - name: lab
    context: {context}
    auth: {{ method: jwt, mount: {mount}, audience: vault, description: for the operator, exclusive: true }}
policies:
  - {{ name: {mount}-read, read: [{namespace}/*], list: [{namespace}/*] }}
  - name: {mount}-self
    rules:
      - {{ path: sys/capabilities-self, capabilities: [update] }}
      - {{ path: auth/token/revoke-self, capabilities: [update] }}
roles:
  - {{ name: plain, serviceAccounts: {namespace}/app, policies: {mount}-read }}
  - {{ name: once, serviceAccounts: {namespace}/app, policies: {mount}-read, numUses: 1 }}
  - {{ name: bare, serviceAccounts: {namespace}/app, policies: {mount}-read, noDefaultPolicy: true }}
  - {{ name: both, serviceAccounts: {namespace}/app, policies: [{mount}-read, {mount}-self], noDefaultPolicy: true }}
  - {{ name: batch, serviceAccounts: {namespace}/app, policies: {mount}-read, noDefaultPolicy: true, tokenType: batch }}
",
            context = lab.context()
        );
        Self { mount, config }
    }

    /// The rules that are printed for it.
    fn rules(&self, args: &[&str]) -> Vec<Value> {
        let command = Vaultk8s::new(["render", "operator-policy", "-o", "json"]).args(args.iter().copied());
        let document = command.config(&self.config).run().exits(0).json();
        assert_eq!(document["kind"], "OperatorPolicy");
        document["rules"].as_array().unwrap().clone()
    }

    fn run(&self, token: &str, args: &[&str]) -> Answer {
        Vaultk8s::new(args.iter().copied()).on_shared().config(&self.config).env("VAULT_TOKEN", token).run()
    }

    /// From nothing, and once more after somebody changed the mount's description and the roles.
    fn works(&self, token: &str) -> Result<(), String> {
        let all_is_well = |answer: Answer| {
            let warned = answer.stdout.contains("could not be revoked");
            if answer.code == 0 && !warned { Ok(()) } else { Err(format!("{}{}", answer.stdout, answer.stderr)) }
        };
        all_is_well(self.run(token, &["plan"]))?;
        all_is_well(self.run(token, &["bootstrap"]))?;
        let tune = format!("sys/auth/{}/tune", self.mount);
        let vault = lab::shared().vault();
        vault.write(&tune, &json!({ "description": "by hand" }));
        for role in ["plain", "once", "bare", "both", "batch"] {
            let path = format!("auth/{}/role/{role}", self.mount);
            vault.write(&path, &json!({ "role_type": "jwt", "user_claim": "sub", "token_ttl": 77 }));
        }
        all_is_well(self.run(token, &["bootstrap"]))?;
        all_is_well(self.run(token, &["plan", "--detailed-exitcode"]))
    }
}

/// A token with just this policy, with Vault's `default` or without.
fn operator(vault: &Vault, policy: &str, default: bool) -> String {
    let name = lab::unique("operator");
    vault.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": policy }));
    let token = json!({ "policies": [name], "ttl": "30m", "no_default_policy": !default });
    vault.write("auth/token/create", &token)["auth"]["client_token"].as_str().unwrap().to_owned()
}

/// A policy of these rules, written as JSON, which the server takes too.
fn policy_of<'a>(rules: impl IntoIterator<Item = &'a Value>) -> String {
    let paths = rules
        .into_iter()
        .map(|rule| (rule["path"].as_str().unwrap().to_owned(), json!({ "capabilities": rule["capabilities"] })));
    json!({ "path": paths.collect::<serde_json::Map<_, _>>() }).to_string()
}

/// Without these nothing may fail.
fn is_extra(rule: &Value) -> bool {
    rule["purpose"] == "observation"
}

#[test]
fn it_is_enough_for_the_talos_homelab_from_nothing() {
    external_secrets(lab::shared());
    let file = testdata("configs/talos.yaml").display().to_string();
    let policy = Vaultk8s::new(["render", "operator-policy", "-f", &file]).run().exits(0).stdout;
    for default in [true, false] {
        let vault = VaultServer::start(&VaultOptions::default());
        let token = operator(vault.client(), &policy, default);
        let run = |args: &[&str]| {
            Vaultk8s::new(args.iter().copied()).args(["-f", &file]).on(&vault).env("VAULT_TOKEN", &token).run()
        };
        run(&["plan"]).exits(0);
        run(&["bootstrap"]).exits(0).says(&["6 changes made; 3 logins verified"]);
        run(&["plan", "--detailed-exitcode"]).exits(0);
    }
}

#[test]
fn it_is_enough_for_tokens_that_can_do_little_for_themselves() {
    for default in [true, false] {
        let fixture = Fixture::new();
        let token = operator(lab::shared().vault(), &policy_of(&fixture.rules(&[])), default);
        fixture.works(&token).unwrap();
    }
}

/// Admins take rules out of `default`: nobody's login is at fault for it.
#[test]
fn it_is_enough_where_logins_may_not_ask_about_themselves() {
    external_secrets(lab::shared());
    let file = testdata("configs/talos.yaml").display().to_string();
    let policy = Vaultk8s::new(["render", "operator-policy", "-f", &file]).run().exits(0).stdout;
    let vault = VaultServer::start(&VaultOptions::default());
    let least = "path \"auth/token/lookup-self\" { capabilities = [\"read\"] }
                 path \"auth/token/revoke-self\" { capabilities = [\"update\"] }";
    vault.client().write("sys/policies/acl/default", &json!({ "policy": least }));
    let token = operator(vault.client(), &policy, false);
    let run = |args: &[&str]| {
        Vaultk8s::new(args.iter().copied()).args(["-f", &file]).on(&vault).env("VAULT_TOKEN", &token).run()
    };
    run(&["bootstrap"]).exits(0).says(&["6 changes made; 3 logins verified"]);
    run(&["verify-role", "--all"]).exits(0);
}

#[test]
fn all_that_is_missing_is_told_at_once() {
    let fixture = Fixture::new();
    let token = operator(lab::shared().vault(), r#"path "sys/mounts/secret" { capabilities = ["read"] }"#, true);
    let mount = &fixture.mount;
    fixture.run(&token, &["plan"]).exits(1).complains(&[
        "it lacks",
        r#"path "sys/auth" { capabilities = ["read"] }"#,
        &format!("path \"auth/{mount}/role/plain\""),
        &format!("path \"sys/policies/acl/{mount}-read\""),
        "`vaultk8s render operator-policy -f vaultk8s.yaml` writes all of them",
    ]);
}

#[test]
fn no_rule_is_too_much() {
    let count = Fixture::new().rules(&[]).len();
    for left_out in 0..count {
        let fixture = Fixture::new();
        let mut rules = fixture.rules(&[]);
        let rule = rules.remove(left_out);
        // Also without any of the rules that only help to see more.
        let needed: Vec<&Value> = rules.iter().filter(|rule| !is_extra(rule)).collect();
        let token = operator(lab::shared().vault(), &policy_of(needed), false);
        match fixture.works(&token) {
            Ok(()) => assert!(is_extra(&rule), "everything works without {rule}"),
            Err(said) => assert!(!is_extra(&rule), "something needs {rule}:\n{said}"),
        }
    }
}

#[test]
fn no_capability_is_too_much() {
    let fixture = Fixture::new();
    for (index, rule) in fixture.rules(&[]).iter().enumerate().filter(|(_, rule)| !is_extra(rule)) {
        let capabilities = rule["capabilities"].as_array().unwrap();
        for left_out in 0..capabilities.len() {
            if capabilities.len() == 1 {
                continue;
            }
            let fixture = Fixture::new();
            let mut rules: Vec<Value> = fixture.rules(&[]).into_iter().filter(|rule| !is_extra(rule)).collect();
            rules[index]["capabilities"].as_array_mut().unwrap().remove(left_out);
            let token = operator(lab::shared().vault(), &policy_of(&rules), false);
            assert!(fixture.works(&token).is_err(), "everything works with only {}", rules[index]);
        }
    }
}

#[test]
fn with_prune_it_may_list_and_delete_but_nothing_of_the_file() {
    let fixture = Fixture::new();
    let vault = lab::shared().vault();
    let token = operator(vault, &policy_of(&fixture.rules(&["--prune"])), false);
    fixture.works(&token).unwrap();
    let Fixture { mount, .. } = &fixture;
    vault.write(
        &format!("auth/{mount}/role/orphan"),
        &json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["x"], "bound_subject": "x" }),
    );
    vault.write(&format!("sys/policies/acl/{mount}-orphan"), &json!({ "policy": "# nothing" }));
    let operator = vault.with_token(&token);
    let (status, roles) = operator.list(&format!("auth/{mount}/role"));
    assert_eq!((status, roles["data"]["keys"].as_array().unwrap().len()), (200, 6));
    assert_eq!(operator.list("sys/policies/acl").0, 200);
    assert_eq!(operator.delete(&format!("auth/{mount}/role/orphan")).0, 204);
    assert_eq!(operator.delete(&format!("auth/{mount}/role/plain")).0, 403);
    assert_eq!(operator.get(&format!("sys/policies/acl/{mount}-orphan")).0, 200);
    assert_eq!(operator.delete(&format!("sys/policies/acl/{mount}-orphan")).0, 204);
    assert_eq!(operator.delete(&format!("sys/policies/acl/{mount}-read")).0, 403);
    assert_eq!(operator.delete(&format!("sys/auth/{mount}")).0, 403);
}

#[test]
fn what_would_delete_is_printed_only_on_request_and_only_where_it_may() {
    let fixture = Fixture::new();
    let deleting = |fixture: &Fixture, args: &[&str]| -> Vec<String> {
        let rules = fixture.rules(args).into_iter().filter(|rule| rule["purpose"] == "prune");
        rules.map(|rule| rule["path"].as_str().unwrap().to_owned()).collect()
    };
    assert!(deleting(&fixture, &[]).is_empty());
    let roles = ["role/*", "cel/role/*"].map(|roles| format!("auth/{}/{roles}", fixture.mount));
    // The last one takes what the one before it gives: nobody's inventory may be deleted.
    let policies = ["sys/policies/acl/*", "sys/policies/acl/vaultk8s-inventory/*"];
    assert_eq!(deleting(&fixture, &["--prune"]), [&roles[0], &roles[1], policies[0], policies[1]]);
    let shared = Fixture { config: fixture.config.replace("exclusive: true", "exclusive: false"), ..fixture };
    assert_eq!(deleting(&shared, &["--prune"]), policies);
}
