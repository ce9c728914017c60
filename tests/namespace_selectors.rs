//! Roles that let in accounts by the labels of their namespaces.

use http::Method;
use serde_json::{Value, json};

use crate::kubernetes_fixture::{API_AUDIENCE, Fixture};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// Gives a namespace a label.
fn label(namespace: &str, value: &str) {
    let (cluster, path) = (lab::shared().kubernetes(), format!("/api/v1/namespaces/{namespace}"));
    let (_, mut there) = cluster.get(&path);
    there["metadata"]["labels"]["team"] = json!(value);
    assert_eq!(cluster.put(&path, &there).0, 200);
}

/// A role for `app` of every namespace of a team, which the fixture's namespace is of.
fn of_a_team(reviewer: &str) -> (Fixture, String) {
    let fixture = Fixture::new(reviewer, "");
    let team = lab::shared().unique("team");
    label(&fixture.namespace, &team);
    let accounts = format!("serviceAccounts: [{}/app]", fixture.namespace);
    assert!(fixture.config.contains(&accounts));
    let by_labels = format!("serviceAccounts: app\n    namespaceSelector: team={team}");
    (Fixture { config: fixture.config.replace(&accounts, &by_labels), ..fixture }, team)
}

fn role(fixture: &Fixture) -> Value {
    lab::shared().vault().read(&format!("auth/{}/role/r-app", fixture.mount))["data"].clone()
}

/// The answer to a login of an account.
fn login(fixture: &Fixture, namespace: &str, name: &str) -> (u16, Value) {
    let lab = lab::shared();
    lab.vault().login(&fixture.mount, "r-app", &lab.token(namespace, name, &[], 600))
}

#[test]
fn whoever_is_of_a_labelled_namespace_logs_in_and_nobody_else() {
    let (fixture, team) = of_a_team("token: secret");
    let lab = lab::shared();
    let rehearsed = crate::command::Vaultk8s::new(["rehearse", "-o", "json"])
        .config(&fixture.config)
        .env("VAULTK8S_VAULT_BIN", lab.vault_program())
        .run()
        .exits(0);
    let rehearsed = rehearsed.says(&["labelled-1/app"]);
    let refusals = rehearsed.json()["clusters"][0]["refusals"].clone();
    let of_another = refusals.as_array().unwrap().iter().find(|one| one["who"] == "an account of another namespace");
    assert_eq!(of_another.unwrap()["detail"], "namespace not authorized", "{refusals:#}");
    let names = format!("{}-namespaces", fixture.binding);
    let planned = fixture.run(&["plan"]).exits(0);
    planned.says(&[&names, &format!("team={team}"), &format!("1 ({})", fixture.namespace), "later"]);
    fixture.run(&["bootstrap"]).exits(0).says(&["1 login verified"]);
    fixture.in_order();
    let written = role(&fixture);
    assert_eq!(
        written["bound_service_account_namespace_selector"],
        json!({ "matchLabels": { "team": team } }).to_string()
    );
    let (elsewhere, another) = (lab.namespace("elsewhere"), lab.namespace("another"));
    for namespace in [&elsewhere, &another] {
        lab.service_account(namespace, "app");
    }
    lab.service_account(&fixture.namespace, "other");
    assert_eq!(login(&fixture, &fixture.namespace, "app").0, 200);
    assert_eq!(login(&fixture, &fixture.namespace, "other").0, 403);
    let (status, answer) = login(&fixture, &elsewhere, "app");
    assert_eq!((status, answer["errors"][0].as_str().unwrap()), (403, "namespace not authorized"));
    // One that gets the label is let in, and told.
    label(&another, &team);
    assert_eq!(login(&fixture, &another, "app").0, 200);
    let verified = fixture.run(&["verify-role", "r-app"]).exits(0);
    verified.says(&["VK403", "2 (", &another, "get namespaces"]);
}

#[test]
fn a_selector_is_compared_by_what_it_selects() {
    let (fixture, team) = of_a_team("token: secret");
    fixture.bootstrap();
    let (vault, path) = (lab::shared().vault(), format!("auth/{}/role/r-app", fixture.mount));
    let write = |selector: &str| {
        let mut whole = role(&fixture);
        whole["bound_service_account_namespace_selector"] = json!(selector);
        vault.write(&path, &whole);
    };
    for same in [format!("matchLabels:\n  team: {team}\n"), format!(r#"{{ "matchLabels" : {{"team":"{team}"}} }}"#)] {
        write(&same);
        fixture.in_order();
        fixture.run(&["verify-role", "r-app"]).exits(0);
    }
    // Whoever forgets `matchLabels` lets in every namespace.
    for (other, says) in [
        (format!("team: {team}"), "every namespace"),
        (r#"{"matchLabels":{"team":"by-hand"}}"#.to_owned(), "team=by-hand"),
    ] {
        write(&other);
        fixture.run(&["plan", "--detailed-exitcode"]).exits(2).says(&["bound_service_account_namespace_selector"]);
        fixture.run(&["verify-role", "r-app"]).exits(1).says(&["VK415", says]);
        fixture.run(&["bootstrap", "--yes"]).exits(0);
        fixture.in_order();
    }
    // One that selects less than the file's is drift as well, and nobody is let in too many.
    write(&json!({ "matchLabels": { "team": team, "stage": "prod" } }).to_string());
    fixture.run(&["plan", "--detailed-exitcode"]).exits(2).says(&["stage"]);
    fixture.run(&["verify-role", "r-app"]).exits(1).says(&["other labels"]);
    fixture.run(&["bootstrap", "--yes"]).exits(0);
}

#[test]
fn a_reviewer_that_may_not_get_namespaces_is_named_and_given_that() {
    let (fixture, _) = of_a_team("token: secret");
    fixture.bootstrap();
    let name = format!("{}-namespaces", fixture.binding);
    let cluster = lab::shared().kubernetes();
    let (_, made) = cluster.get(&format!("{RBAC}/clusterroles/{name}"));
    assert_eq!(made["rules"], json!([{ "apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"] }]));
    for gone in ["clusterrolebindings", "clusterroles"] {
        let (status, _) = cluster.request(Method::DELETE, &format!("{RBAC}/{gone}/{name}"), None).unwrap();
        assert_eq!(status, 200);
        let broken = fixture.run(&["verify-role", "r-app"]).exits(1);
        broken.says(&["VK324", "may not get namespaces", "create clusterrole", &name]);
        fixture.run(&["plan", "--detailed-exitcode"]).exits(2).says(&[&name]);
        fixture.run(&["bootstrap", "--yes"]).exits(0);
        fixture.in_order();
        assert_eq!(login(&fixture, &fixture.namespace, "app").0, 200);
    }
    // What somebody else made of it is theirs, unless an owner's mark says otherwise.
    let (_, mut rules) = cluster.get(&format!("{RBAC}/clusterroles/{name}"));
    rules["rules"][0]["verbs"] = json!(["list"]);
    assert_eq!(cluster.put(&format!("{RBAC}/clusterroles/{name}"), &rules).0, 200);
    fixture.run(&["plan"]).exits(1).complains(&[&name, "bindingName"]);
    // Nobody is bound to one that allows more: Vault has the token.
    let binding = format!("{RBAC}/clusterrolebindings/{name}");
    assert_eq!(cluster.request(Method::DELETE, &binding, None).unwrap().0, 200);
    rules["rules"][0]["verbs"] = json!(["*"]);
    rules["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    assert_eq!(cluster.put(&format!("{RBAC}/clusterroles/{name}"), &rules).0, 200);
    fixture.run(&["plan"]).exits(1).complains(&[&name, "allows more than to get namespaces", "bindingName"]);
    // What lets the reviewer get them by another name is as good.
    let (other, rbac) = (format!("{name}-by-hand"), "rbac.authorization.k8s.io");
    let role = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole", "metadata": { "name": other },
        "rules": [{ "apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"] }],
    });
    let binding = json!({
        "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": { "name": other },
        "roleRef": { "apiGroup": rbac, "kind": "ClusterRole", "name": other },
        "subjects": [{ "kind": "ServiceAccount", "namespace": format!("{}-review", fixture.namespace), "name": "vault-auth" }],
    });
    assert_eq!(cluster.post(&format!("{RBAC}/clusterroles"), &role).0, 201);
    assert_eq!(cluster.post(&format!("{RBAC}/clusterrolebindings"), &binding).0, 201);
    fixture.in_order();
}

/// Whom a role names logs in without that right, and shows nothing of those by labels.
#[test]
fn a_login_by_name_is_no_login_by_labels() {
    let (fixture, _) = of_a_team("token: secret");
    let by_name = format!(
        "  - {{ name: r-by-name, serviceAccounts: [{}/app], policies: {}, audience: {API_AUDIENCE} }}\n",
        fixture.namespace, fixture.policy
    );
    let fixture = Fixture { config: format!("{}\n{by_name}", fixture.config.trim_end()), ..fixture };
    fixture.bootstrap();
    let name = format!("{}-namespaces", fixture.binding);
    let gone = format!("{RBAC}/clusterrolebindings/{name}");
    assert_eq!(lab::shared().kubernetes().request(Method::DELETE, &gone, None).unwrap().0, 200);
    fixture.run(&["verify-role", "--all"]).exits(1).says(&["✗ VK324", "may not get namespaces"]);
    fixture.run(&["bootstrap", "--yes"]).exits(0);
    fixture.in_order();
}

/// Without a label anywhere nobody is let in, which is told before and after.
#[test]
fn a_selector_that_selects_nothing_is_told() {
    let (fixture, team) = of_a_team("token: secret");
    let fixture = Fixture { config: fixture.config.replace(&team, "nobodys-team"), ..fixture };
    fixture.run(&["plan"]).exits(0).says(&["none of the", "team=nobodys-team"]);
    fixture.run(&["bootstrap", "--yes"]).exits(0);
    fixture.run(&["verify-role", "r-app"]).says(&[
        "VK403",
        "none of the",
        "label namespace NAMESPACE team=nobodys-team",
    ]);
}

/// Without a file the role says whom it lets in, and one of those logs in.
#[test]
fn a_role_by_labels_is_verified_by_flags() {
    let (fixture, _) = of_a_team("token: secret");
    fixture.bootstrap();
    let reviewer = format!("{}-review/vault-auth", fixture.namespace);
    let args = ["verify-role", "--mount", fixture.mount.as_str(), "--role", "r-app", "--reviewer", &reviewer];
    let verified = crate::command::Vaultk8s::new(args).on_shared().run().exits(0);
    verified.says(&[&format!("{}/app", fixture.namespace), "VK431"]);
}

/// Two versions of a file: which of them lets in more.
#[test]
fn selectors_of_two_versions_are_compared() {
    let (fixture, team) = of_a_team("token: secret");
    let folder = tempfile::tempdir().unwrap();
    let before = folder.path().join("before.yaml");
    let narrow = fixture.config.replace(&format!("team={team}"), &format!("team={team},stage=prod"));
    for (was, is, says) in [
        (&narrow, &fixture.config, "looser"),
        (&fixture.config, &narrow, "tighter"),
        (&fixture.config, &fixture.config.replace(&team, "x"), "namespaceSelector is"),
    ] {
        std::fs::write(&before, was).unwrap();
        let compared = crate::command::Vaultk8s::new(["rehearse", "--against", before.to_str().unwrap()])
            .config(is)
            .env("VAULTK8S_VAULT_BIN", lab::shared().vault_program())
            .run();
        compared.says(&["namespaceSelector", says]);
    }
}

/// Each name counts in whichever namespace is selected, though the role names none.
#[test]
fn a_name_beside_the_files_is_let_in_by_the_same_labels_and_told() {
    let (fixture, team) = of_a_team("token: secret");
    fixture.bootstrap();
    let mut whole = role(&fixture);
    whole["bound_service_account_names"] = json!(["app", "admin"]);
    lab::shared().vault().write(&format!("auth/{}/role/r-app", fixture.mount), &whole);
    lab::shared().service_account(&fixture.namespace, "admin");
    assert_eq!(login(&fixture, &fixture.namespace, "admin").0, 200);
    let told = format!("admin in namespaces with the labels team={team}");
    fixture.run(&["verify-role", "r-app"]).exits(1).says(&["VK415", &told]);
}

/// Where an account is looked for in some of the namespaces alone, none is said of those.
#[test]
fn an_account_beyond_the_namespaces_that_are_looked_at_is_not_said_to_be_missing() {
    let (fixture, team) = of_a_team("token: secret");
    fixture.bootstrap();
    let lab = lab::shared();
    // They come before the fixture's own by their names.
    for _ in 0..16 {
        label(&lab.namespace("aa"), &team);
    }
    let verified = fixture.run(&["verify-role", "r-app"]);
    verified.says(&["17 (", "none of the first 16 looked at has such an account"]);
}

/// What is expected of an account by its name is tried as that account, in a namespace with those labels.
#[test]
fn what_templates_give_an_account_of_a_labelled_namespace_is_tried() {
    let config = |expect: &str| {
        format!(
            "clusters: [{{ name: c, context: c, auth: {{ method: kubernetes, audience: vault }} }}]
policies: [{{ name: p-own, read: ['{{{{identity.entity.aliases.{{accessor}}.metadata.service_account_namespace}}}}/*'] }}]
roles:
  - {{ name: r-app, serviceAccounts: app, namespaceSelector: team=shop, policies: p-own, ttl: 1h }}
  - {{ name: r-other, serviceAccounts: app, namespaceSelector: team=other, policies: p-own, ttl: 1h }}
expect:
  - {{ serviceAccounts: shop/app, {expect} }}
"
        )
    };
    let rehearse = |expect: &str| {
        crate::command::Vaultk8s::new(["rehearse"])
            .config(&config(expect))
            .env("VAULTK8S_VAULT_BIN", lab::shared().vault_program())
            .run()
    };
    rehearse("can: read, paths: 'shop/*'").exits(0).says(&["r-other", "another role selects its namespace"]);
    rehearse("cannot: read, paths: 'other/*'").exits(0);
    rehearse("can: read, paths: 'other/*'").exits(1).says(&["shop/app"]);
    rehearse("cannot: read, paths: 'shop/*'").exits(1).says(&["shop/app"]);
}

/// Whoever may not list namespaces is told so, and by whom.
#[test]
fn who_may_not_list_namespaces_is_told_why_they_are_not_seen() {
    let (fixture, _) = of_a_team("token: local");
    let planned = fixture.run(&["plan", "--as", "nobody"]).exits(0);
    planned.says(&["could not be seen: ", "listing the namespaces", "nobody"]);
}
