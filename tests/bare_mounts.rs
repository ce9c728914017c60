//! Mounts that somebody enabled and never configured, and a Vault that was taken for one in a pod.

use serde_json::json;

use crate::command::Vaultk8s;

/// A mount of this type with nothing on it, and a service account beside it.
fn bare(kind: &str) -> (lab::Mount, String) {
    let lab = lab::shared();
    let (mount, namespace) = (lab.mount(kind), lab.namespace("bare"));
    lab.service_account(&namespace, "app");
    lab.vault().write(&format!("sys/auth/{mount}"), &json!({ "type": kind }));
    (mount, namespace)
}

#[test]
fn who_may_not_read_the_configuration_is_told_that_there_is_none() {
    let lab = lab::shared();
    let (mount, namespace) = bare("jwt");
    let policy = lab.unique("p-mounts-only");
    let rules = r#"path "sys/auth" { capabilities = ["read"] }"#;
    lab.vault().write(&format!("sys/policies/acl/{policy}"), &json!({ "policy": rules }));
    let token = lab.vault().write("auth/token/create", &json!({ "policies": [policy], "ttl": "10m" }));
    let token = token["auth"]["client_token"].as_str().unwrap();
    let account = format!("{namespace}/app");
    let line =
        ["verify-role", "--role", "r", "--mount", mount.as_str(), "--service-account", &account, "--audience", "vault"];
    let answer = Vaultk8s::new(line).on_shared().env("VAULT_TOKEN", token).run().exits(1);
    answer.says(&["has no configuration", "vaultk8s auth jwt"]).keeps_quiet_about(&["of another cluster"]);
    lab.vault().delete(&format!("sys/policies/acl/{policy}"));
}

#[test]
fn no_role_comes_of_a_command_that_makes_none() {
    let (mount, namespace) = bare("kubernetes");
    let account = format!("{namespace}/app");
    let line = ["verify-role", "--role", "r", "--mount", mount.as_str(), "--service-account", &account, "-o", "json"];
    let found = Vaultk8s::new(line).on_shared().run().exits(1).json();
    let causes = found["causes"].as_array().unwrap();
    let cause = |id: &str| causes.iter().find(|cause| cause["id"] == id || cause["check"] == id);
    assert!(cause("VK303").is_some(), "{causes:#?}");
    if let Some(role) = cause("VK401") {
        assert_eq!(role.get("consequenceOf"), None, "{role:#}");
    }
}

#[test]
fn a_vault_in_no_pod_has_no_token_of_its_own() {
    let lab = lab::shared();
    let (mount, namespace) = (lab.mount("kubernetes"), lab.namespace("bare"));
    lab.service_account(&namespace, "app");
    let config = format!(
        "clusters:
  - name: lab
    context: {}
    auth: {{ method: kubernetes, mount: {mount}, audience: vault, reviewer: {{ token: local }} }}
policies: [{{ name: {mount}-read, read: x/* }}]
roles: [{{ name: r, serviceAccounts: {namespace}/app, policies: {mount}-read, ttl: 5m }}]
",
        lab.context()
    );
    let run = |line: &[&str]| Vaultk8s::new(line.iter().copied()).on_shared().config(&config).run().exits(1);
    run(&["bootstrap", "--yes", "--no-verify"]).says(&["no such file or directory"]);
    run(&["verify-role", "r"]).says(&["VK303", "it runs in no pod"]);
    lab.vault().delete(&format!("sys/policies/acl/{mount}-read"));
}
