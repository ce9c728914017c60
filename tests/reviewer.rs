//! The account that reviews tokens for Vault: its objects in the cluster, its token, and who may make it.

use serde_json::json;

use crate::command::Vaultk8s;
use crate::kubernetes_fixture::Fixture;

#[test]
fn a_bound_token_is_renewed_when_it_runs_out() {
    let fixture = Fixture::new("token: bound, lifetime: 1h", "");
    fixture.bootstrap();
    fixture.run(&["plan"]).exits(0).says(&["No changes.", "expires at 20"]);
    let record = fixture.record();
    let digest = record["token"].as_str().unwrap().to_owned();
    assert!(digest.starts_with("sha256:"));

    // As if 41 minutes of the hour were over.
    let mut aged = record;
    for field in ["written", "expires"] {
        aged[field] = (aged[field].as_u64().unwrap() - 41 * 60).into();
    }
    fixture.set_record(&aged);
    fixture.run(&["plan", "--detailed-exitcode"]).exits(2).says(&["token_reviewer_jwt", "a token that expires at 20"]);
    fixture.run(&["bootstrap"]).exits(0).says(&["1 change made; 1 login verified"]);
    fixture.in_order();
    assert_ne!(fixture.record()["token"], digest.as_str());
}

#[test]
fn another_lifetime_in_the_file_is_drift() {
    let fixture = Fixture::new("token: bound, lifetime: 1h", "");
    fixture.bootstrap();
    let longer = Fixture { config: fixture.config.replace("lifetime: 1h", "lifetime: 2h"), ..fixture };
    longer.run(&["plan", "--detailed-exitcode"]).exits(2).says(&["a token that was asked for 60 min"]);
    longer.bootstrap();
    longer.in_order();
}

#[test]
fn a_saved_plan_for_a_token_that_runs_out_holds_while_time_goes_on() {
    let fixture = Fixture::new("token: bound, lifetime: 1h", "");
    fixture.bootstrap();
    let mut aged = fixture.record();
    aged["written"] = (aged["written"].as_u64().unwrap() - 3500).into();
    aged["expires"] = (aged["expires"].as_u64().unwrap() - 3500).into();
    fixture.set_record(&aged);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json").display().to_string();
    fixture.run(&["plan", "--out", &file]).exits(0);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    fixture.run(&["bootstrap", "--plan", &file]).exits(0).says(&["1 change made"]);
    fixture.in_order();
}

#[test]
fn a_saved_plan_of_all_that_a_reviewer_needs_is_read_back_as_it_was_written() {
    let fixture = Fixture::new("token: secret", "      tune: { defaultLeaseTtl: 30m, listingVisibility: hidden }");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json").display().to_string();
    fixture.run(&["plan", "--out", &file]).exits(0);
    fixture.run(&["bootstrap", "--plan", &file]).exits(0).says(&["1 login verified"]);
    fixture.in_order();
}

#[test]
fn an_issuer_that_a_mount_compares_is_not_replaced_unasked() {
    let fixture = Fixture::new("token: secret", "");
    fixture.bootstrap();
    let path = format!("auth/{}/config", fixture.mount);
    let mut there = lab::shared().vault().read(&path)["data"].clone();
    there["issuer"] = json!("https://production.example.internal");
    there["disable_iss_validation"] = json!(false);
    lab::shared().vault().write(&path, &there);
    let words = ["production.example.internal", "--yes"];
    fixture.run(&["bootstrap"]).exits(1).complains(&words);
    assert_eq!(lab::shared().vault().read(&path)["data"]["disable_iss_validation"], false);
    fixture.run(&["bootstrap", "--yes"]).exits(0);
    fixture.in_order();
}

#[test]
fn a_reviewer_is_probed_by_the_first_role_that_tells_something() {
    let fixture = Fixture::new("token: secret", "");
    fixture.bootstrap();
    // Another token of another kind: a mount without its reviewer's.
    let path = format!("auth/{}/config", fixture.mount);
    let mut there = lab::shared().vault().read(&path)["data"].clone();
    there["token_reviewer_jwt"] = json!("eyJhbGciOiJub25lIn0.e30.c2ln");
    lab::shared().vault().write(&path, &there);
    let config = fixture.config.replacen(
        "roles:\n",
        "roles:\n  - { name: r-a, serviceAccounts: [nowhere/nobody], policies: [POLICY] }\n",
        1,
    );
    let config = config.replace("POLICY", &fixture.policy);
    let first = Fixture { config, ..fixture };
    first.run(&["bootstrap", "--no-verify"]).exits(0);
    first.run(&["plan", "--probe", "--detailed-exitcode"]).exits(2).says(&["a token that the cluster does not accept"]);

    // A saved plan says how it was made, and is compared with one made so.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json").display().to_string();
    first.run(&["plan", "--probe", "--out", &file]).exits(0);
    first.run(&["bootstrap", "--plan", &file, "--no-verify"]).exits(0).says(&["1 change made"]);
    first.run(&["plan", "--probe", "--detailed-exitcode"]).exits(0);
}

#[test]
fn the_token_that_logs_in_reviews_itself() {
    let fixture = Fixture::new("token: client", "");
    // Who logs in needs what a reviewer needs.
    fixture.run(&["bootstrap"]).exits(1).says(&["✗ VK423", "system:auth-delegator", "1 failed"]);
    let binding = json!({
        "metadata": { "name": fixture.binding },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator" },
        "subjects": [{ "kind": "ServiceAccount", "namespace": fixture.namespace, "name": "app" }],
    });
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    assert_eq!(lab::shared().kubernetes().post(path, &binding).0, 201);
    fixture.bootstrap();

    // A reviewer's token that somebody added is taken away again.
    let vault = lab::shared().vault();
    let path = format!("auth/{}/config", fixture.mount);
    let mut config = vault.read(&path)["data"].clone();
    config["token_reviewer_jwt"] = lab::shared().token(&fixture.namespace, "app", &[], 600).into();
    vault.write(&path, &config);
    fixture.run(&["plan", "--detailed-exitcode"]).exits(2).says(&["a reviewer's token", "reviews itself"]);
    fixture.bootstrap();
    assert_eq!(vault.read(&path)["data"]["token_reviewer_jwt_set"], false);
}

#[test]
fn a_reviewer_that_was_made_anew_is_drift() {
    let fixture = Fixture::new("token: secret", "");
    fixture.bootstrap();
    let cluster = lab::shared().kubernetes();
    let path = format!("/api/v1/namespaces/{}-review/secrets/vault-auth-token", fixture.namespace);
    let (_, secret) = cluster.get(&path);
    assert_eq!(cluster.delete(&fixture.account()).0, 200);
    // The Secret goes with its account.
    while cluster.get(&path).0 != 404 {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    fixture.run(&["bootstrap"]).exits(0).says(&["2 to create, 1 to change, 5 in order", "1 login verified"]);
    assert_ne!(cluster.get(&path).1["data"]["token"], secret["data"]["token"]);
    fixture.in_order();

    // Another token in the Secret than the one that Vault was given.
    let mut record = fixture.record();
    record["token"] = "sha256:other".into();
    fixture.set_record(&record);
    fixture.run(&["bootstrap"]).exits(0).says(&["another token than the Secret has now", "1 change made"]);
    fixture.in_order();

    // The binding's other subjects are somebody else's and stay.
    let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{}", fixture.binding);
    let (_, mut binding) = cluster.get(&path);
    binding["subjects"] = json!([{ "kind": "ServiceAccount", "namespace": "elsewhere", "name": "other" }]);
    assert_eq!(cluster.put(&path, &binding).0, 200);
    fixture.run(&["bootstrap"]).exits(0).says(&["1 to change, 7 in order"]);
    assert_eq!(cluster.get(&path).1["subjects"].as_array().unwrap().len(), 2);
    fixture.in_order();
}

#[test]
fn a_binding_of_another_role_is_left_alone() {
    let fixture = Fixture::new("token: secret", "");
    let binding = json!({
        "metadata": { "name": fixture.binding },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view" },
    });
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    assert_eq!(lab::shared().kubernetes().post(path, &binding).0, 201);
    fixture.run(&["bootstrap", "--yes"]).exits(1).complains(&["binds ClusterRole/view", "bindingName"]);
    assert_eq!(lab::shared().vault().get(&format!("sys/policies/acl/{}", fixture.policy)).0, 404);
}

#[test]
fn who_may_not_make_a_reviewer_is_told_what_to_ask_for() {
    let fixture = Fixture::new("token: secret", "");
    let answer = fixture.run(&["bootstrap", "--as", "nobody"]).exits(1);
    answer.complains(&["these credentials don't reach the reviewer's objects", "clusterrolebindings"]);
    assert_eq!(lab::shared().vault().get(&format!("sys/policies/acl/{}", fixture.policy)).0, 404);
}

#[test]
fn a_ca_that_did_not_sign_the_host_s_certificate_is_told_while_vault_gets_along() {
    let fixture = Fixture::new("token: secret", "");
    fixture.bootstrap();
    let ca = lab::shared().vault_ca().display().to_string();
    let config = fixture.config.replace("      reviewer:", &format!("      caCert: {ca}\n      reviewer:"));
    let answer = Vaultk8s::new(["bootstrap", "--yes"]).on_shared().config(&config).run();
    // Vault keeps the connection that it has: the login works, and says nothing of what will be.
    answer.exits(0).says(&["! VK321", "auth.caCert", "it keeps its connections to the API server", "1 login verified"]);
    fixture.run(&["bootstrap", "--yes"]).exits(0);
    fixture.in_order();
}

#[test]
fn another_kind_of_token_replaces_the_one_before() {
    let secret = Fixture::new("token: secret", "");
    secret.bootstrap();
    let bound = Fixture { config: secret.config.replace("token: secret", "token: bound"), ..secret.clone() };
    bound.run(&["plan", "--detailed-exitcode"]).exits(2).says(&["a token that does not expire", "asked for 24 h"]);
    bound.bootstrap();
    assert!(bound.record()["expires"].is_u64());
    secret.run(&["plan", "--detailed-exitcode"]).exits(2).says(&["another token than the Secret has now"]);
    secret.bootstrap();
    let client = Fixture { config: secret.config.replace("token: secret", "token: client"), ..secret.clone() };
    client.run(&["plan", "--detailed-exitcode"]).exits(2).says(&["reviews itself"]);
}

#[test]
fn tokens_are_not_sent_in_the_clear() {
    let fixture = Fixture::new("token: secret", "      host: http://127.0.0.1:8080");
    fixture.run(&["plan"]).exits(64).complains(&["http://127.0.0.1:8080", "in the clear", "auth.host"]);
}

#[test]
fn a_host_that_only_vault_reaches_is_not_seen_and_no_fault() {
    // Nobody listens there, so the logins fail, but nothing is said against the CA.
    let fixture = Fixture::new("token: secret", "      host: https://127.0.0.1:1");
    fixture.run(&["bootstrap"]).exits(1).says(&[
        "– VK321",
        "can't be reached from here",
        "✗ VK431",
        "what it asks the cluster can't be asked from here",
        "1 failed",
    ]);
    fixture.in_order();
}

#[test]
fn the_operator_s_policy_is_enough_for_a_kubernetes_mount() {
    let vault = lab::shared().vault();
    for reviewer in ["token: secret", "token: bound, lifetime: 1h"] {
        let fixture = Fixture::new(reviewer, "");
        let policy = fixture.run(&["render", "operator-policy"]).exits(0).stdout;
        let name = lab::unique("operator");
        vault.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": policy }));
        let token = vault.write("auth/token/create", &json!({ "policies": [name], "ttl": "10m" }));
        let token = token["auth"]["client_token"].as_str().unwrap();
        let run = |args: &[&str]| {
            let command = Vaultk8s::new(args.iter().copied()).on_shared().config(&fixture.config);
            command.env("VAULT_TOKEN", token).run()
        };
        run(&["bootstrap"]).exits(0).says(&["1 login verified"]);
        run(&["bootstrap"]).exits(0).says(&["nothing to change", " 0 writes."]);
        run(&["plan", "--probe", "--detailed-exitcode"]).exits(0);
    }
}

#[test]
fn what_is_more_than_reviewing_is_told_and_left_alone() {
    let fixture = Fixture::new("token: secret", "");
    fixture.bootstrap();
    let cluster = lab::shared().kubernetes();
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let reviewer =
        json!({ "kind": "ServiceAccount", "namespace": format!("{}-review", fixture.namespace), "name": "vault-auth" });
    let grant = |role: &str, rules: serde_json::Value| {
        let name = lab::unique("more");
        if rules.is_array() {
            let role = json!({ "metadata": { "name": role }, "rules": rules });
            assert_eq!(cluster.post(&format!("{rbac}/clusterroles"), &role).0, 201);
        }
        let binding = json!({
            "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [reviewer],
        });
        assert_eq!(cluster.post(&format!("{rbac}/clusterrolebindings"), &binding).0, 201);
        name
    };
    // What a role that selects namespaces by their labels needs is no power.
    let namespaces = json!([{ "apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "list"] }]);
    grant(&lab::unique("namespaces"), namespaces);
    fixture.run(&["verify-role", "--all"]).exits(0).says(&["✓ VK326"]);
    let plan = fixture.run(&["plan"]).exits(0);
    assert!(!plan.stdout.contains("may also") && !plan.stderr.contains("may also"), "{}{}", plan.stdout, plan.stderr);

    let secrets = json!([{ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] }]);
    let name = grant(&lab::unique("secrets"), secrets);
    eventually(&fixture, &["! VK326", "may also read the Secrets of all namespaces"]);
    assert_eq!(cluster.delete(&format!("{rbac}/clusterrolebindings/{name}")).0, 200);
    // Each is as good as reading them.
    let rbac_group = "rbac.authorization.k8s.io";
    for (group, resource, verb, told) in [
        ("", "serviceaccounts", "impersonate", "impersonate any service account"),
        ("", "groups", "impersonate", "impersonate any group"),
        ("", "nodes/proxy", "get", "reach the kubelet of any node"),
        ("", "pods/exec", "create", "run commands in any pod"),
        ("", "secrets", "create", "make tokens of any service account"),
        (rbac_group, "rolebindings", "create", "bind anybody to roles in any namespace"),
        ("batch", "cronjobs", "create", "run pods in any namespace by what makes them"),
    ] {
        let rules = json!([{ "apiGroups": [group], "resources": [resource], "verbs": [verb] }]);
        let name = grant(&lab::unique("power"), rules);
        eventually(&fixture, &["! VK326", told]);
        assert_eq!(cluster.delete(&format!("{rbac}/clusterrolebindings/{name}")).0, 200);
    }
    let name = grant("cluster-admin", json!(null));
    eventually(&fixture, &["! VK326", "may also do anything in the whole cluster"]);
    fixture.run(&["plan", "--detailed-exitcode"]).exits(0).says(&["may also do anything in the whole cluster"]);
    assert_eq!(cluster.delete(&format!("{rbac}/clusterrolebindings/{name}")).0, 200);

    // Somebody else's subjects of the binding: told by their names, and not touched. One that is named is no alarm.
    let path = format!("{rbac}/clusterrolebindings/{}", fixture.binding);
    let (_, mut binding) = cluster.get(&path);
    let group = lab::unique("everybody");
    let other = json!({ "kind": "ServiceAccount", "namespace": "elsewhere", "name": "other" });
    binding["subjects"].as_array_mut().unwrap().push(other);
    assert_eq!(cluster.put(&path, &binding).0, 200);
    let single = "to others as well: ServiceAccount elsewhere/other";
    eventually(&fixture, &["✓ VK326", single]);
    let single = "to others as well, and is left so: ServiceAccount elsewhere/other";
    fixture.run(&["plan", "--detailed-exitcode"]).exits(0).says(&["No changes.", "note: cluster lab", single]);

    let (_, mut binding) = cluster.get(&path);
    let everybody = json!({ "kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": group });
    binding["subjects"].as_array_mut().unwrap().push(everybody);
    assert_eq!(cluster.put(&path, &binding).0, 200);
    let told = format!("Group {group}");
    fixture.run(&["verify-role", "--all"]).exits(0).says(&["! VK326", &told, "elsewhere/other"]);
    let words = ["No changes.", "warning: cluster lab", &told, single];
    fixture.run(&["plan", "--detailed-exitcode"]).exits(0).says(&words);
    fixture.bootstrap();
    assert_eq!(cluster.get(&path).1["subjects"].as_array().unwrap().len(), 3);
}

/// The API server takes a moment to know of a binding.
fn eventually(fixture: &Fixture, words: &[&str]) {
    let mut tries = 0;
    loop {
        let answer = fixture.run(&["verify-role", "--all"]).exits(0);
        tries += 1;
        if tries == 10 || words.iter().all(|words| answer.stdout.contains(words)) {
            answer.says(words);
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
}
