//! Roles that the file doesn't name: on a mount that it claims they are drift, elsewhere they are told, and none is
//! overlooked because of its name, its document or a missing right. Against a real OpenBao (or Vault) and a real
//! kube-apiserver.

#![allow(clippy::needless_pass_by_value, reason = "the fields of a role are data, written in place")]

use serde_json::{Value, json};

use crate::command::{Answer, Vaultk8s};
use crate::fixture::Fixture;
use crate::kubernetes_fixture;

/// Mounts of which the file names every role.
fn exclusive() -> Fixture {
    let fixture = Fixture::new();
    let config = fixture.config.replace("audience: vault,", "audience: vault, exclusive: true,");
    let fixture = Fixture { config, ..fixture };
    fixture.bootstrap();
    fixture
}

fn shared() -> Fixture {
    let fixture = Fixture::new();
    fixture.bootstrap();
    fixture
}

fn run(fixture: &Fixture, line: &str) -> Answer {
    fixture.command(line.split(' ')).run()
}

/// Writes a jwt role by hand, that takes the audience `vault`.
fn by_hand(fixture: &Fixture, name: &str, fields: Value) -> String {
    let path = format!("auth/{}/role/{name}", fixture.mount);
    let mut role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_policies": [fixture.policy],
    });
    role.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    lab::shared().vault().write(&path, &role);
    path
}

fn is_there(path: &str) -> bool {
    match lab::shared().vault().get(path).0 {
        200 => true,
        404 => false,
        other => panic!("{path}: {other}"),
    }
}

/// A token that may do everything but what these rules deny.
fn weak(paths: &[&str], capabilities: &str) -> String {
    let lab = lab::shared();
    let name = lab.unique("operator");
    let all = "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\", \"sudo\"] }";
    let rules = paths.iter().map(|path| format!("path \"{path}\" {{ capabilities = [{capabilities}] }}\n"));
    token_with(&name, &format!("{all}\n{}", rules.collect::<String>()))
}

/// A token that may do everything, and sees one name of these lists at a time (OpenBao), as admins give it to CI. A server without such
/// pages ignores the limit.
fn paged(lists: &[&str]) -> String {
    let all = "path \"*\" { capabilities = [\"create\", \"read\", \"update\", \"delete\", \"list\", \"sudo\"] }";
    let rule = |path: &&str| format!("path \"{path}\" {{\n capabilities = [\"list\"]\n pagination_limit = 1\n}}\n");
    token_with(&lab::shared().unique("operator"), &format!("{all}\n{}", lists.iter().map(rule).collect::<String>()))
}

fn token_with(name: &str, policy: &str) -> String {
    let vault = lab::shared().vault();
    vault.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": policy }));
    let created = vault.write("auth/token/create", &json!({ "policies": [name], "ttl": "10m" }));
    created["auth"]["client_token"].as_str().unwrap().to_owned()
}

fn run_as(fixture: &Fixture, token: &str, line: &str) -> Answer {
    Vaultk8s::new(line.split(' ')).on_shared().config(&fixture.config).env("VAULT_TOKEN", token).run()
}

/// Whether a service account of the API server's own namespace logs in.
fn stranger_logs_in(mount: &str, role: &str, audiences: &[&str]) -> bool {
    let lab = lab::shared();
    let token = lab.token("default", "default", audiences, 600);
    lab.vault().login(mount, role, &token).0 == 200
}

#[test]
fn a_role_by_hand_on_an_exclusive_mount_is_drift_until_it_is_pruned() {
    let fixture = exclusive();
    lab::shared().service_account("default", "default");
    let path = by_hand(&fixture, "open", json!({}));
    assert!(stranger_logs_in(&fixture.mount, "open", &["vault"]));
    let whom = "any service account that gets a token for the audience vault";

    let told = ["Drift.", &format!("role {path}"), whom, &fixture.policy, "--prune", "exclusive: false"];
    run(&fixture, "plan --detailed-exitcode").exits(2).says(&told);
    run(&fixture, "plan").exits(0).says(&told);
    let plan = run(&fixture, "plan -o json").exits(0).json();
    assert_eq!(
        plan["orphans"],
        json!([{
            "object": "role", "mount": fixture.mount, "name": "open",
            "entrance": { "letsIn": [whom], "moreThanOne": true, "policies": [fixture.policy] },
        }])
    );
    run(&fixture, "bootstrap").exits(1).says(&["nothing to change", "1 unmanaged role", &path, whom, "--prune"]);
    run(&fixture, "bootstrap --no-verify").exits(1).says(&[whom]);
    let report = run(&fixture, "bootstrap -o json").exits(1).json();
    assert_eq!((&report["success"], &report["strangers"]), (&json!(false), &plan["orphans"]));
    run(&fixture, "verify-role --all").exits(1).says(&["VK304", "too much is let in", "open", whom, "--prune"]);
    run(&fixture, "verify-role --all --no-login --only VK304").exits(1);
    // One role alone is not the mount's.
    run(&fixture, "verify-role r-app").exits(0);
    assert!(is_there(&path));

    // A saved plan shows it, deletes nothing, and doesn't end well.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json").display().to_string();
    run(&fixture, &format!("plan --detailed-exitcode --out {file}")).exits(2);
    run(&fixture, &format!("bootstrap --plan {file}")).exits(1).says(&[&path]);
    assert!(is_there(&path));

    run(&fixture, "bootstrap --prune").exits(1).complains(&[
        "to delete (--approve delete)",
        &format!("role {path}"),
        "--yes",
    ]);
    assert!(is_there(&path));
    run(&fixture, "bootstrap --prune --yes").exits(0).says(&["1 change made", "1 login verified"]);
    assert!(!is_there(&path));
    fixture.in_order();
    run(&fixture, "verify-role --all").exits(0).says(&["VK304"]);
}

#[test]
fn any_role_beside_the_file_s_is_drift_on_an_exclusive_mount_however_narrow() {
    let fixture = exclusive();
    for (name, fields, whom) in [
        ("one", json!({ "bound_subject": "system:serviceaccount:team:app" }), "lets in team/app;"),
        (
            "glob",
            json!({ "bound_claims_type": "glob", "bound_claims": { "sub": "system:serviceaccount:*" } }),
            "lets in whoever has sub system:serviceaccount:*;",
        ),
        ("claims", json!({ "bound_claims": { "/kubernetes.io/namespace": "team" } }), "/kubernetes.io/namespace team"),
        ("no-audience", json!({ "bound_audiences": [], "bound_subject": "x" }), "with a token that names no audience"),
        ("browser", json!({ "role_type": "oidc", "allowed_redirect_uris": ["http://localhost/x"] }), "with a browser"),
        ("near", json!({ "token_bound_cidrs": ["10.0.0.0/8"] }), "for the audience vault from 10.0.0.0/8"),
        ("nobody", json!({ "bound_subject": "x", "bound_claims": { "sub": "y" } }), "lets in nobody;"),
    ] {
        let path = by_hand(&fixture, name, fields);
        run(&fixture, "plan --detailed-exitcode").exits(2).says(&[&path, whom]);
        run(&fixture, "verify-role --all --only VK304").exits(1).says(&[whom]);
        lab::shared().vault().delete(&path);
    }
    fixture.in_order();
}

/// Writes a CEL role by hand, that gives the file's policy to every service account.
fn cel_by_hand(fixture: &Fixture, name: &str) -> String {
    let path = format!("auth/{}/cel/role/{name}", fixture.mount);
    let expression = format!(
        "pb.Auth{{policies: ['{}'], display_name: 'x', alias: logical.Alias{{name: claims.sub}}}}",
        fixture.policy
    );
    let role = json!({
        "cel_program": { "variables": [], "expression": expression }, "bound_audiences": ["vault"], "message": "",
    });
    lab::shared().vault().write(&path, &role);
    path
}

#[test]
fn a_cel_role_is_as_much_a_way_in_as_any_other() {
    let said = "expression of a CEL role";
    let claimed = exclusive();
    // Under the name of a role of the file, too: it is another one.
    let paths = ["evil", "r-app"].map(|name| cel_by_hand(&claimed, name));
    let answer = run(&claimed, "plan --detailed-exitcode").exits(2).says(&["2 unmanaged roles", said]);
    assert!(paths.iter().all(|path| answer.stdout.contains(&format!("CEL role {path}"))), "{}", answer.stdout);
    let plan = run(&claimed, "plan -o json").exits(0).json();
    assert_eq!((&plan["orphans"][0]["object"], &plan["orphans"][0]["name"]), (&json!("celRole"), &json!("evil")));
    run(&claimed, "bootstrap").exits(1).says(&[&paths[0], said]);
    run(&claimed, "verify-role --all --only VK304").exits(1).says(&["CEL role evil", "CEL role r-app", said]);
    // Who may not list them isn't told that all is well, and on a server without such roles nothing is wrong.
    let token = weak(&[&format!("auth/{}/cel/role", claimed.mount)], "\"deny\"");
    run_as(&claimed, &token, "plan --detailed-exitcode").exits(0).says(&["note:", "cel/role"]);
    run_as(&claimed, &token, "verify-role --all --only VK304").exits(0).says(&["CEL roles (OpenBao) are not seen"]);
    run(&claimed, "bootstrap --prune --yes").exits(0).says(&["2 changes made"]);
    assert!(!paths.iter().any(|path| is_there(path)));
    assert!(is_there(&format!("auth/{}/role/r-app", claimed.mount)));
    claimed.in_order();

    let open = shared();
    let path = cel_by_hand(&open, "evil");
    run(&open, "plan --detailed-exitcode").exits(0).says(&["warning:", "1 CEL role", &path, said]);
    run(&open, "verify-role --all").exits(0).says(&["to look at", "VK304", "CEL role evil"]);
    run(&open, "bootstrap --prune --yes").exits(0);
    assert!(is_there(&path));
}

#[test]
fn a_page_of_a_list_is_not_taken_for_all_of_it() {
    let fixture = exclusive();
    let lists = ["auth/+/role", "auth/+/cel/role", "sys/policies/acl", "sys/policies/detailed/acl"];
    let token = paged(&lists);
    // Nothing is wrong, whatever stands behind the first page.
    run_as(&fixture, &token, "plan --detailed-exitcode").exits(0);
    let path = by_hand(&fixture, "zz", json!({}));
    run_as(&fixture, &token, "plan --detailed-exitcode").exits(2).says(&[&format!("role {path}")]);
    run_as(&fixture, &token, "verify-role --all").exits(1).says(&["VK304", "zz"]);
    run_as(&fixture, &token, "bootstrap --prune --yes").exits(0);
    assert!(!is_there(&path));
    run_as(&fixture, &token, "plan --detailed-exitcode").exits(0);
}

#[test]
fn drift_is_told_beside_other_changes_and_after_them() {
    let fixture = exclusive();
    let path = by_hand(&fixture, "open", json!({}));
    by_hand(&fixture, "r-app", json!({ "token_ttl": 77 }));
    run(&fixture, "plan --detailed-exitcode").exits(2).says(&["1 to change", &path]);
    run(&fixture, "bootstrap").exits(1).says(&["1 change made; 1 login verified; 1 unmanaged role", &path]);
    run(&fixture, "plan --detailed-exitcode").exits(2).says(&["Drift."]);
}

#[test]
fn on_a_shared_mount_each_role_is_named_and_those_for_many_are_a_finding() {
    let fixture = shared();
    let narrow = by_hand(
        &fixture,
        "neighbour",
        json!({ "bound_subject": "system:serviceaccount:team:app", "token_policies": ["neighbours-own"] }),
    );
    // Somebody else's role for one account is as it should be.
    let answer = run(&fixture, "plan --detailed-exitcode").exits(0).says(&["No changes.", &narrow, "lets in team/app"]);
    assert!(!answer.stdout.contains("warning"), "{}", answer.stdout);
    run(&fixture, "bootstrap").exits(0).says(&["nothing to change; 1 login verified"]);
    let answer = run(&fixture, "verify-role --all").exits(0).says(&["VK304", "neighbour"]);
    assert!(!answer.stdout.contains("to look at"), "{}", answer.stdout);

    let wide = by_hand(&fixture, "open", json!({}));
    let whom = "any service account that gets a token for the audience vault";
    let warned = "1 role that the configuration doesn't name and that lets in more than one account: open";
    run(&fixture, "plan --detailed-exitcode").exits(0).says(&["warning:", warned, &wide, whom, &narrow]);
    run(&fixture, "bootstrap").exits(0).says(&[warned]);
    run(&fixture, "verify-role --all").exits(0).says(&["to look at", "VK304", "open", whom]);
    let plan = run(&fixture, "plan -o json").exits(0).json();
    let names: Vec<&Value> = plan["unmanaged"].as_array().unwrap().iter().map(|role| &role["name"]).collect();
    assert_eq!(names, ["neighbour", "open"]);
    // Nobody deletes what isn't the file's.
    run(&fixture, "bootstrap --prune --yes").exits(0);
    assert!(is_there(&wide) && is_there(&narrow));
}

#[test]
fn on_a_shared_mount_a_role_that_gives_the_file_s_policy_is_a_finding_for_one_account_too() {
    let fixture = shared();
    let one = json!({ "bound_subject": "system:serviceaccount:default:default" });
    let path = by_hand(&fixture, "back-door", one);
    let gives = format!("gives the file's policy {}", fixture.policy);
    let warned = format!("that gives a policy of it: back-door ({})", fixture.policy);
    run(&fixture, "plan --detailed-exitcode").exits(0).says(&["! role", &path, &gives, "warning:", &warned]);
    run(&fixture, "verify-role --all").exits(0).says(&["to look at", "VK304", "back-door", &gives]);
    let plan = run(&fixture, "plan -o json").exits(0).json();
    assert_eq!(plan["unmanaged"][0]["entrance"]["ofTheFile"], json!([fixture.policy]));
    // A policy in other letters is the same to a server.
    let policies = json!([fixture.policy.to_ascii_uppercase(), "neighbours-own"]);
    by_hand(
        &fixture,
        "back-door",
        json!({ "bound_subject": "system:serviceaccount:default:default", "token_policies": policies }),
    );
    run(&fixture, "plan").exits(0).says(&["policy neighbours-own; ", &gives, "warning:"]);
}

#[test]
fn many_roles_are_cut_with_how_many_more_and_where_all_are() {
    let fixture = shared();
    for number in 0..35 {
        by_hand(
            &fixture,
            &format!("n-{number:02}"),
            json!({ "bound_subject": "x", "token_policies": ["neighbours-own"] }),
        );
    }
    by_hand(&fixture, "wide", json!({}));
    let answer = run(&fixture, "plan").exits(0).says(&["and 6 more; `-o json` shows all", "n-00"]);
    let (wide, first) = (answer.stdout.find("role/wide").unwrap(), answer.stdout.find("role/n-00").unwrap());
    assert!(wide < first && !answer.stdout.contains("n-34"), "{}", answer.stdout);
    assert_eq!(run(&fixture, "plan -o json").json()["unmanaged"].as_array().unwrap().len(), 36);
    run(&fixture, "verify-role --all --only VK304").exits(0).says(&["36 unmanaged roles", "and more"]);
}

#[test]
fn a_name_of_more_than_512_bytes_is_no_cover_on_a_jwt_mount() {
    let fixture = exclusive();
    let name = format!("{}-end", "a".repeat(600));
    let path = by_hand(&fixture, &name, json!({}));
    // OpenBao 2.7 refuses the login itself, whose metadata has no room for the name: that is a limit of one version, and the
    // role is there all the same.
    let told = ["aaaa", "-end (604 bytes)", "any service account that gets a token"];
    let answer = run(&fixture, "plan --detailed-exitcode").exits(2).says(&told);
    assert!(answer.stdout.lines().all(|line| line.len() < 400), "{}", answer.stdout);
    assert_eq!(run(&fixture, "plan -o json").json()["orphans"][0]["name"], name.as_str());
    run(&fixture, "bootstrap").exits(1).says(&told);
    run(&fixture, "verify-role --all").exits(1).says(&["VK304"]).says(&told);
    // By a saved plan, which carries the whole name.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json").display().to_string();
    run(&fixture, &format!("plan --prune --out {file}")).exits(0).says(&["1 to delete"]);
    run(&fixture, &format!("bootstrap --yes --plan {file}")).exits(0);
    assert!(!is_there(&path));
    fixture.in_order();

    let open = shared();
    by_hand(&open, &name, json!({}));
    run(&open, "plan").exits(0).says(&["warning:"]).says(&told);
}

#[test]
fn a_name_of_more_than_512_bytes_is_no_cover_on_a_kubernetes_mount() {
    let lab = lab::shared();
    lab.service_account("default", "default");
    let host = format!("      host: {}\n      exclusive: true", lab.kubernetes_server());
    let fixture = kubernetes_fixture::Fixture::new("token: secret", &host);
    fixture.bootstrap();
    let name = "k".repeat(513);
    let path = format!("auth/{}/role/{name}", fixture.mount);
    let role = json!({
        "bound_service_account_names": "*", "bound_service_account_namespaces": "default",
        "audience": kubernetes_fixture::API_AUDIENCE, "token_policies": fixture.policy,
    });
    lab.vault().write(&path, &role);
    assert!(stranger_logs_in(&fixture.mount, &name, &[]));
    let told = ["(513 bytes)", "whatever matches default/*", &fixture.policy];
    fixture.run(&["plan", "--detailed-exitcode"]).exits(2).says(&told);
    fixture.run(&["bootstrap"]).exits(1).says(&told);
    fixture.run(&["verify-role", "--all"]).exits(1).says(&["VK304"]).says(&told);
    // The one that makes it shows the mount's other faults too; a role that names no audience takes any token.
    lab.vault().write(
        &path,
        &json!({ "bound_service_account_names": "*", "bound_service_account_namespaces": "*", "audience": "" }),
    );
    let any = "any service account of the cluster with a token for any audience";
    fixture.run(&["plan", "--detailed-exitcode"]).exits(2).says(&[any]);
    fixture.run(&["bootstrap", "--prune", "--yes"]).exits(0).says(&["1 change made"]);
    assert!(!is_there(&path));
    fixture.in_order();
}

#[test]
fn a_role_that_may_not_be_read_is_told_and_a_mount_that_may_not_be_listed_is_not_green() {
    let claimed = exclusive();
    by_hand(&claimed, "hidden", json!({ "bound_subject": "x" }));
    let unread = weak(&[&format!("auth/{}/role/hidden", claimed.mount)], "\"deny\"");
    let told = ["role/hidden", "the token may not read it"];
    run_as(&claimed, &unread, "plan --detailed-exitcode").exits(2).says(&told);
    run_as(&claimed, &unread, "bootstrap").exits(1).says(&told);
    run_as(&claimed, &unread, "verify-role --all").exits(1).says(&["VK304", "hidden", "may not read it"]);

    // With what another file wrote on a mount that is shared nothing is wrong, but nobody knows.
    let open = shared();
    by_hand(&open, "hidden", json!({ "bound_subject": "x" }));
    let unread = weak(&[&format!("auth/{}/role/hidden", open.mount)], "\"deny\"");
    run_as(&open, &unread, "plan --detailed-exitcode").exits(0).says(&["warning:", "nobody knows whom"]).says(&told);
    run_as(&open, &unread, "verify-role --all").exits(0).says(&["to look at", "VK304"]);

    let blind = |fixture: &Fixture| weak(&[&format!("auth/{}/role", fixture.mount)], "\"deny\"");
    let token = blind(&claimed);
    let told = ["is exclusive, and the token may not list its roles", "capabilities = [\"list\"]"];
    run_as(&claimed, &token, "plan").exits(0).says(&told);
    run_as(&claimed, &token, "plan --detailed-exitcode").exits(1).says(&told);
    run_as(&claimed, &token, "bootstrap").exits(1).says(&["could not be listed"]).says(&told);
    run_as(&claimed, &token, "verify-role --all").exits(1).says(&["VK304", "can't be listed"]);
    let token = blind(&open);
    run_as(&open, &token, "plan --detailed-exitcode").exits(0).says(&["note: the token may not list"]);
    run_as(&open, &token, "bootstrap").exits(0);
    run_as(&open, &token, "verify-role --all").exits(0).says(&["not seen with these credentials"]);
}

#[test]
fn a_policy_of_ours_under_a_name_that_this_tool_would_not_give_is_told_and_pruned() {
    let fixture = exclusive();
    let vault = lab::shared().vault();
    let text = vault.read(&format!("sys/policies/acl/{}", fixture.policy))["data"]["policy"].clone();
    // As a server takes them: with spaces, signs and letters that stand for something else in a URL.
    let copies = ["{} copy", "{}%2f?#", "{}-é", "{}*"].map(|form| form.replace("{}", &fixture.policy));
    let path = |name: &str| {
        let escaped = name.bytes().fold(String::new(), |path, byte| format!("{path}%{byte:02X}"));
        format!("sys/policies/acl/{escaped}")
    };
    for name in &copies {
        vault.write(&path(name), &json!({ "policy": text }));
    }
    let answer = run(&fixture, "plan").exits(0);
    for name in &copies {
        assert!(answer.stdout.contains(&format!("policy {name}")), "{}", answer.stdout);
    }
    run(&fixture, "bootstrap --prune --yes").exits(0).says(&["4 changes made"]);
    for name in &copies {
        assert!(!is_there(&path(name)), "{name}");
    }
    assert!(is_there(&format!("sys/policies/acl/{}", fixture.policy)));
    fixture.in_order();
}

#[test]
fn healthy_setups_stay_green() {
    // Two files share a mount, each with roles for one account.
    let fixture = shared();
    let second = Fixture::new();
    let config = fixture.config.replace("r-app", "r-second").replace(&fixture.policy, &second.policy);
    let second = Fixture { config, ..second };
    let second_config = second.config.clone();
    run(&second, "bootstrap").exits(0);
    for (config, other) in [(&fixture.config, "r-second"), (&second_config, "r-app")] {
        let command = |line: &str| Vaultk8s::new(line.split(' ')).on_shared().config(config).run();
        let answer = command("plan --detailed-exitcode").exits(0).says(&["No changes.", other]);
        assert!(!answer.stdout.contains("warning"), "{}", answer.stdout);
        command("verify-role --all").exits(0);
    }
    // A role for several accounts is the file's own where it says so, in whatever letters.
    let several = exclusive();
    lab::shared().service_account(&several.namespace, "other");
    let app = format!("{}/app", several.namespace);
    let two = several
        .config
        .replace("r-app", "R-App")
        .replace(&format!("[{app}]"), &format!("[{app}, {}/other]", several.namespace));
    let several = Fixture { config: two, ..several };
    run(&several, "bootstrap").exits(0).says(&["2 logins verified"]);
    several.in_order();
    run(&several, "verify-role --all").exits(0);
    // A step on its own says nothing about what else there is, and reads none of it.
    by_hand(&fixture, "open", json!({}));
    let (mount, policy) = (&fixture.mount, &fixture.policy);
    let step = format!(
        "role r-app --mount {mount} --service-account {}/app --policy {policy} --audience vault --ttl 10m --dry-run",
        fixture.namespace
    );
    let answer = run(&fixture, &step).exits(0);
    assert!(!answer.stdout.contains("open"), "{}", answer.stdout);
}
