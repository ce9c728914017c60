//! Two teams with a file each on one Vault, and what is whose: nothing that isn't a file's own is changed unasked, and what a
//! file's owner wrote goes when the file names it no more. Against a real OpenBao (or Vault) and a real kube-apiserver.

use std::collections::BTreeSet;

use serde_json::json;

use crate::command::{Answer, Vaultk8s};
use crate::team::{Team, held, names, policy_text, two_teams};

#[test]
fn two_teams_add_and_prune_their_own_and_never_each_other_s() {
    let (platform, data) = two_teams();
    let mount = &platform.mount;
    let platform = platform.with("velero");
    platform.bootstrap();
    assert_eq!(held(mount), names(&["minio", "velero", "spark"]));
    assert_eq!(platform.claimed(), names(&["minio", "velero"]));
    assert_eq!(data.claimed(), names(&["spark"]));

    // What fell out of the file is told, and stays until somebody asks for its end.
    let gone = platform.without("velero");
    gone.run("plan").exits(0).says(&["Orphans", "role/velero", "--prune deletes them"]);
    gone.bootstrap();
    assert!(platform.logs_in("velero"));
    gone.run("bootstrap --no-verify --prune").exits(1).complains(&["role/velero", "--approve delete"]);
    let pruned = gone.run("bootstrap --no-verify --prune --yes").exits(0);
    pruned.says(&["role/velero deleted"]);
    assert!(!platform.logs_in("velero"));
    assert_eq!(held(mount), names(&["minio", "spark"]));
    assert_eq!(gone.claimed(), names(&["minio"]));
    gone.in_order();

    // From the other side as well.
    let less = data.with("airflow");
    less.bootstrap();
    let less = less.without("spark");
    less.run("bootstrap --no-verify --prune --yes").exits(0).says(&["role/spark deleted"]);
    assert_eq!(held(mount), names(&["minio", "airflow"]));
    gone.run("bootstrap --no-verify --prune --yes").exits(0).says(&["nothing to change"]);
    gone.in_order();
    less.in_order();
    assert!(data.logs_in("airflow") && platform.logs_in("minio"));
}

#[test]
fn a_role_of_another_owner_is_refused_and_both_are_named() {
    let (platform, data) = two_teams();
    let mut thief = data.clone();
    thief.roles.push(("minio".to_owned(), data.policies[0].0.clone()));
    let refused = thief.run("bootstrap --no-verify --yes").exits(1);
    refused.complains(&["role/minio", &platform.owner, &data.owner, "--approve take-over"]);
    platform.in_order();
    assert_eq!(data.claimed(), names(&["spark"]));

    // One that says the same is no less another's.
    let mut same = Team { namespace: platform.namespace.clone(), ..data.clone() };
    same.roles.extend(platform.roles.clone());
    same.policies.extend(platform.policies.clone());
    same.run("plan --detailed-exitcode").exits(2);
    same.run("bootstrap --no-verify --yes").exits(1).complains(&["minio", &platform.owner, &data.owner]);
    platform.in_order();

    // With consent it is taken over, and is told to those who had it.
    thief.run("bootstrap --no-verify --yes --approve take-over").exits(0);
    thief.in_order();
    assert_eq!(thief.claimed(), names(&["minio", "spark"]));
    assert_eq!(platform.claimed(), BTreeSet::new());
    platform.run("bootstrap --no-verify --yes").exits(1).complains(&["role/minio", &data.owner]);
    let gone = platform.without("minio");
    gone.run("bootstrap --no-verify --prune --yes").exits(0);
    assert_eq!(held(&platform.mount), names(&["minio", "spark"]));
}

#[test]
fn a_policy_of_another_owner_is_refused_and_both_are_named() {
    let (platform, data) = two_teams();
    let policy = platform.policies[0].0.clone();
    let before = policy_text(&policy);
    assert!(before.starts_with(&format!("# Managed by vaultk8s for the owner {}:", platform.owner)), "{before}");
    for path in ["other/*", &platform.policies[0].1] {
        let mut thief = data.clone();
        thief.policies.push((policy.clone(), path.to_owned()));
        let refused = thief.run("bootstrap --no-verify --yes").exits(1);
        refused.complains(&[&policy, &platform.owner, &data.owner, "--approve take-over"]);
        assert_eq!(policy_text(&policy), before);
    }
    // The small command asks as well, also for an owner.
    for line in [
        format!("policy {policy} --read other/* --yes"),
        format!("policy {policy} --read other/* --yes --owner {}", data.owner),
    ] {
        Vaultk8s::new(line.split(' ')).on_shared().run().exits(1).complains(&[
            &policy,
            &platform.owner,
            "--approve take-over",
        ]);
        assert_eq!(policy_text(&policy), before);
    }
    let own = format!("policy {policy} --read other/* --owner {}", platform.owner);
    Vaultk8s::new(own.split(' ')).on_shared().run().exits(0);
    platform.run("plan --detailed-exitcode").exits(2);
    platform.bootstrap();
    assert_eq!(policy_text(&policy), before);
    platform.in_order();
}

#[test]
fn a_single_role_is_its_owner_s() {
    let (platform, data) = two_teams();
    let Team { mount, namespace, .. } = &platform;
    let line = |role: &str, more: &str| {
        format!(
            "role {role} --mount {mount} --service-account {namespace}/app --policy {} --audience vault{more}",
            platform.policies[0].0
        )
    };
    let run = |line: String| Vaultk8s::new(line.split(' ')).on_shared().run();
    run(line("spark", " --yes")).exits(1).complains(&["role/spark", &data.owner, "--approve take-over"]);
    run(line("extra", &format!(" --owner {}", platform.owner))).exits(0);
    assert_eq!(platform.claimed(), names(&["minio", "extra"]));
    platform.run("plan").exits(0).says(&["Orphans", "role/extra"]);
    platform.run("bootstrap --no-verify --prune --yes").exits(0);
    assert_eq!(held(mount), names(&["minio", "spark"]));
    assert_eq!(platform.claimed(), names(&["minio"]));
}

#[test]
fn without_an_inventory_what_equals_the_file_is_claimed_and_nothing_is_pruned() {
    let (platform, data) = two_teams();
    let platform = platform.with("velero");
    platform.bootstrap();
    lab::shared().vault().delete(&platform.inventory());
    let gone = platform.without("velero");
    gone.run("bootstrap --no-verify --prune --yes --approve take-over").exits(0);
    assert_eq!(gone.claimed(), names(&["minio"]));
    assert!(held(&platform.mount).contains("velero"));
    // It is nobody's now, and taken in again by the file that names it.
    platform.run("bootstrap --no-verify").exits(0);
    assert_eq!(platform.claimed(), names(&["minio", "velero"]));
    data.in_order();
}

#[test]
fn a_damaged_inventory_is_said_prunes_nothing_and_is_mended_with_consent() {
    let (platform, data) = two_teams();
    let platform = platform.with("velero");
    platform.bootstrap();
    let vault = lab::shared().vault();
    let edited = policy_text(&format!("vaultk8s-inventory/{}/{}", platform.owner, platform.mount))
        .replace("# role velero\n", "# role spark\n");
    vault.write(&platform.inventory(), &json!({ "policy": edited }));
    platform.run("plan --detailed-exitcode").exits(2).says(&["edited or cut"]);
    platform.run("bootstrap --no-verify --yes").exits(1).complains(&["inventory", "--approve take-over"]);
    platform
        .run("bootstrap --no-verify --yes --prune --approve take-over")
        .exits(1)
        .complains(&["--prune", "take-over"]);
    // The other team is told of it, and isn't hindered.
    data.run("plan --detailed-exitcode").exits(0).says(&["warning", "edited or cut"]);
    platform.run("bootstrap --no-verify --approve take-over").exits(0);
    assert_eq!(platform.claimed(), names(&["minio", "velero"]));
    assert_eq!(held(&platform.mount), names(&["minio", "velero", "spark"]));
    platform.in_order();
    data.in_order();
}

#[test]
fn a_role_that_nobody_claims_and_says_something_else_is_taken_over_with_consent_alone() {
    let (platform, _) = two_teams();
    let path = format!("auth/{}/role/byhand", platform.mount);
    let role = json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["x"], "bound_subject": "y" });
    lab::shared().vault().write(&path, &role);
    let mut file = platform.clone();
    file.roles.push(("byhand".to_owned(), platform.policies[0].0.clone()));
    file.run("bootstrap --no-verify --yes").exits(1).complains(&[
        "role/byhand",
        "without an owner",
        "--approve take-over",
    ]);
    assert_eq!(lab::shared().vault().read(&path)["data"]["bound_subject"], "y");
    file.run("bootstrap --no-verify --approve take-over").exits(0);
    assert_eq!(file.claimed(), names(&["minio", "byhand"]));
    // What is the owner's own is mended without a question.
    lab::shared().vault().write(&path, &role);
    file.run("bootstrap --no-verify").exits(0);
    file.in_order();
}

/// The text of marks and the roles are those of the release that knew no owners.
#[test]
fn a_setup_without_an_owner_is_taken_over_by_the_same_file_with_one() {
    let mount = lab::shared().mount("jwt");
    let owned = Team::new("platform", &mount, "minio").with("velero");
    let before = Team { owner: String::new(), ..owned.clone() };
    before.bootstrap();
    let mark = format!("# Managed by vaultk8s for {mount}: the next bootstrap undoes what is changed here.\n");
    for (policy, _) in &owned.policies {
        assert!(policy_text(policy).starts_with(&mark));
    }
    // A role and a policy fell out of the file before: nobody can say whose the role is, and the mark tells of the policy.
    let less = owned.without("velero");
    let velero = &owned.policies[1].0;
    assert!(owned.logs_in("velero") && owned.logs_in("minio"));
    less.run("bootstrap --no-verify").exits(0);
    assert!(owned.logs_in("velero") && owned.logs_in("minio"));
    assert_eq!(less.claimed(), names(&["minio"]));
    assert!(
        policy_text(&owned.policies[0].0).starts_with(&format!("# Managed by vaultk8s for the owner {}:", owned.owner))
    );
    less.run("bootstrap --no-verify --prune --yes").exits(0);
    assert!(held(&mount).contains("velero"), "nobody claimed it");
    assert!(policy_text(velero).starts_with(&mark), "a role names it");
    // With the whole file nothing is lost, and then everything is the owner's.
    owned.bootstrap();
    owned.in_order();
    assert_eq!(owned.claimed(), names(&["minio", "velero"]));
    less.run("bootstrap --no-verify --prune --yes").exits(0);
    assert_eq!(held(&mount), names(&["minio"]));
    assert_eq!(lab::shared().vault().get(&format!("sys/policies/acl/{velero}")).0, 404);
}

#[test]
fn a_rename_is_shown_as_one() {
    let (platform, _) = two_teams();
    let mut renamed = platform.clone();
    let policy = lab::shared().unique("renamed");
    renamed.roles[0] = ("objects".to_owned(), policy.clone());
    renamed.policies[0].0.clone_from(&policy);
    let plan = renamed.run("plan --prune").exits(0);
    plan.says(&[
        "role/objects renamed from role",
        "role/minio renamed to role",
        &format!("policy {policy} renamed from policy"),
    ]);
    renamed.run("bootstrap --no-verify --prune --yes").exits(0);
    assert_eq!(renamed.claimed(), names(&["objects"]));
    renamed.in_order();
}

#[test]
fn on_an_exclusive_mount_nobody_s_roles_go_and_another_owner_s_stay() {
    let mount = lab::shared().mount("jwt");
    let platform = Team { auth: ", exclusive: true", ..Team::new("platform", &mount, "minio") };
    platform.bootstrap();
    let data = Team::new("data", &mount, "spark");
    data.bootstrap();
    let path = format!("auth/{mount}/role/nobodys");
    lab::shared().vault().write(&path, &json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["x"] }));
    platform.run("plan --detailed-exitcode").exits(2).says(&["role/nobodys", "role/spark", &data.owner]);
    platform.run("bootstrap --no-verify --prune --yes").exits(1).says(&["role/spark"]);
    assert_eq!(held(&mount), names(&["minio", "spark"]));
    assert_eq!(platform.claimed(), names(&["minio"]));
}

#[test]
fn another_owner_s_wide_role_is_that_owner_s_business() {
    let (platform, data) = two_teams();
    let lab = lab::shared();
    let wide = format!("auth/{}/role/spark", data.mount);
    lab.vault().write(
        &wide,
        &json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "bound_subject": "" }),
    );
    let told = platform.run("plan --detailed-exitcode").exits(0);
    let told = told.says(&["Unmanaged roles", &format!("the owner {}'s", data.owner)]);
    assert!(!told.stdout.contains("more than one account"), "{}", told.stdout);
    platform.run("verify-role --all").exits(0);
    // One that gives away what is the file's is everybody's.
    lab.vault()
        .write(&wide, &json!({ "role_type": "jwt", "user_claim": "sub", "token_policies": [platform.policies[0].0] }));
    platform.run("plan").exits(0).says(&["gives a policy of it"]);
}

#[test]
fn the_printed_policy_is_enough_and_touches_no_other_owner_s_inventory() {
    let lab = lab::shared();
    let (platform, data) = two_teams();
    let policy =
        Vaultk8s::new(["render", "operator-policy", "--prune"]).config(&platform.config()).run().exits(0).stdout;
    let name = lab.unique("operator");
    lab.vault().write(&format!("sys/policies/acl/{name}"), &json!({ "policy": policy }));
    let token = lab.vault().write("auth/token/create", &json!({ "policies": [name], "ttl": "10m" }));
    let token = token["auth"]["client_token"].as_str().unwrap().to_owned();
    let run = |team: &Team, line: &str| {
        Vaultk8s::new(line.split(' ')).on_shared().config(&team.config()).env("VAULT_TOKEN", &token).run()
    };
    run(&platform, "plan --detailed-exitcode").exits(0);
    lab.vault().delete(&format!("auth/{}/role/minio", platform.mount));
    lab.vault().delete(&platform.inventory());
    run(&platform, "bootstrap --no-verify").exits(0);
    assert_eq!(platform.claimed(), names(&["minio"]));
    // With what the policy allows, the owner's own roles go, of a mount that others use.
    let more = platform.with("velero");
    more.bootstrap();
    run(&platform, "bootstrap --no-verify --prune --yes").exits(0).says(&["role/velero deleted"]);
    let judge = lab.vault().with_token(&token);
    assert_eq!(judge.post(&data.inventory(), &json!({ "policy": "# x" })).0, 403);
    assert_eq!(judge.delete(&data.inventory()).0, 403);
}

#[test]
fn a_mount_that_another_owner_s_file_keeps_is_changed_with_consent_alone() {
    let (platform, data) = two_teams();
    let lab = lab::shared();
    let settings = || lab.vault().read("sys/auth")["data"][format!("{}/", platform.mount)].clone();
    let before = settings();
    assert!(
        policy_text(&format!("vaultk8s-inventory/{}/{}", platform.owner, platform.mount)).contains("\n# the mount\n")
    );
    // A second file that says the same of the mount is no change of it.
    let same = Team { auth: "", ..data.clone() };
    same.in_order();
    let other = Team { auth: ", description: mine now, tune: { maxLeaseTtl: 5m }", ..data.clone() };
    let refused = other.run("bootstrap --no-verify --yes").exits(1);
    refused.complains(&["mount auth/", &platform.owner, &data.owner, "--approve take-over"]);
    assert_eq!(settings(), before);
    other.run("bootstrap --no-verify --yes --approve take-over").exits(0);
    assert_eq!(settings()["config"]["max_lease_ttl"], 300);
    other.in_order();
    // Now it is for the first one to ask.
    let back = Team { auth: ", description: back", ..platform.clone() };
    back.run("bootstrap --no-verify --yes").exits(1).complains(&[&data.owner, "--approve take-over"]);
    // A file without an owner asks as well.
    let nobody = Team { owner: String::new(), auth: ", description: nobody's", ..platform.clone() };
    nobody.run("bootstrap --no-verify --yes").exits(1).complains(&["mount auth/", &data.owner, "--approve take-over"]);
}

#[test]
fn what_an_unreadable_inventory_may_list_is_not_claimed_in_silence() {
    let (platform, data) = two_teams();
    let lab = lab::shared();
    let text = policy_text(&format!("vaultk8s-inventory/{}/{}", data.owner, data.mount)).replace("# role spark\n", "");
    lab.vault().write(&data.inventory(), &json!({ "policy": text }));
    // What equals the role that is there would be claimed without a question if nobody had it.
    let mut file = platform.clone();
    file.roles.push(("spark".to_owned(), data.roles[0].1.clone()));
    file.policies.push((data.roles[0].1.clone(), data.policies[0].1.clone()));
    file.namespace.clone_from(&data.namespace);
    file.roles.remove(0);
    let refused = file.run("bootstrap --no-verify --yes").exits(1);
    refused.complains(&["spark", &data.owner, "--approve take-over"]);
    assert_eq!(platform.claimed(), names(&["minio"]));
    platform.run("plan --detailed-exitcode").exits(0).says(&["can't be relied on"]);
}

#[test]
fn a_file_that_loses_a_mount_keeps_the_policies_that_its_owner_s_roles_there_need() {
    let lab = lab::shared();
    let one = Team::new("platform", &lab.mount("jwt"), "minio");
    let two = Team { mount: lab.mount("jwt"), ..one.with("velero").without("minio") };
    one.bootstrap();
    two.bootstrap();
    let pruned = one.run("bootstrap --no-verify --prune --yes").exits(0);
    pruned.says(&[&two.policies[0].0, &two.mount, "1 role"]);
    assert!(policy_text(&two.policies[0].0).contains("velero"));
    assert!(two.logs_in("velero"));
}

#[test]
fn without_an_owner_a_single_role_and_a_guest_s_file_ask_before_they_change_a_role() {
    let lab = lab::shared();
    let (platform, _) = two_teams();
    let path = format!("auth/{}/role/hand", platform.mount);
    let role = json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "bound_subject": "x" });
    lab.vault().write(&path, &role);
    let policy = &platform.policies[0].0;
    let line = format!(
        "role hand --mount {} --service-account default/default --policy {policy} --audience vault --yes",
        platform.mount
    );
    Vaultk8s::new(line.split(' ')).on_shared().run().exits(1).complains(&["role/hand", "--approve take-over"]);
    let mut guest =
        Team { owner: String::new(), auth: ", manage: false", ..Team::new("guest", &platform.mount, "hand") };
    guest.run("bootstrap --no-verify --yes").exits(1).complains(&["role/hand", "--approve take-over"]);
    assert_eq!(lab.vault().read(&path)["data"]["bound_subject"], "x");
    guest.roles[0].0 = "guest".to_owned();
    guest.run("bootstrap --no-verify --yes").exits(0);
}

#[test]
fn many_runs_of_one_owner_at_once_lose_no_claim() {
    let mount = lab::shared().mount("jwt");
    let platform = Team::new("platform", &mount, "minio");
    platform.bootstrap();
    let files: Vec<Team> = (0..6).map(|i| platform.with(&format!("app{i}")).without("minio")).collect();
    let runs: Vec<_> = files
        .iter()
        .map(|team| Vaultk8s::new(["bootstrap", "--no-verify"]).on_shared().config(&team.config()).start())
        .collect();
    for run in runs {
        run.finish().exits(0);
    }
    let all = names(&["minio", "app0", "app1", "app2", "app3", "app4", "app5"]);
    assert_eq!(held(&mount), all);
    assert_eq!(platform.claimed(), all);
}

/// Their marks are the same, so nothing but a person can tell whose it is.
#[test]
fn without_owners_a_file_with_the_same_mounts_is_warned_of_before_its_policy_is_deleted() {
    let lab = lab::shared();
    let nobody = |team: Team| Team { owner: String::new(), ..team };
    let mount = lab.mount("jwt");
    let (mut one, two) = (nobody(Team::new("one", &mount, "minio")), nobody(Team::new("two", &mount, "spark")));
    // One that no role gives: an identity's, say.
    let unused = lab.unique("unused");
    one.policies.push((unused.clone(), "one/more/*".to_owned()));
    one.bootstrap();
    two.bootstrap();
    let told = ["warning", "another file with the same mounts", "`owner: NAME`", &unused];
    two.run("plan --prune").exits(0).says(&told);
    two.run("bootstrap --no-verify --prune").exits(1).says(&told).complains(&["--approve delete"]);
    assert!(policy_text(&unused).contains("more"));
    // The policy that the other file's role gives is kept all the same, and with owners the other one is too.
    two.run("bootstrap --no-verify --prune --approve delete").exits(0);
    assert!(policy_text(&one.policies[0].0).contains("minio"));
    one.bootstrap();
    let (one, two) = (Team { owner: lab.unique("one"), ..one }, Team { owner: lab.unique("two"), ..two });
    one.bootstrap();
    two.bootstrap();
    two.run("bootstrap --no-verify --prune --yes").exits(0).says(&["nothing to change"]);
    assert!(policy_text(&unused).contains("more"));
    // Of a mount that is the file's alone there is nothing to warn of.
    let mount = lab.mount("jwt");
    let alone = Team { auth: ", exclusive: true", ..Team::new("alone", &mount, "minio") };
    nobody(alone.with("velero")).bootstrap();
    let plan = nobody(alone).run("plan --prune").exits(0).says(&["- policy"]);
    assert!(!plan.stdout.contains("same mounts"), "{}", plan.stdout);
}

/// Whether a token has the policy that lets it ask about itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DefaultPolicy {
    With,
    Without,
}

/// A token that has what the printed policy of a team's file allows.
fn printed(team: &Team, more: &str, default_policy: DefaultPolicy) -> String {
    let lab = lab::shared();
    let line = format!("render operator-policy --prune{more}");
    let policy = Vaultk8s::new(line.split(' ')).config(&team.config()).run().exits(0).stdout;
    let name = lab.unique("operator");
    lab.vault().write(&format!("sys/policies/acl/{name}"), &json!({ "policy": policy }));
    let token =
        json!({ "policies": [name], "ttl": "10m", "no_default_policy": default_policy == DefaultPolicy::Without });
    let token = lab.vault().write("auth/token/create", &token);
    token["auth"]["client_token"].as_str().unwrap().to_owned()
}

fn run_with(team: &Team, token: &str, line: &str) -> Answer {
    Vaultk8s::new(line.split(' ')).on_shared().config(&team.config()).env("VAULT_TOKEN", token).run()
}

#[test]
fn a_take_over_that_the_token_can_not_finish_is_not_begun() {
    let (platform, data) = two_teams();
    let mut thief = data.clone();
    thief.roles.push(("minio".to_owned(), data.policies[0].0.clone()));
    let before = lab::shared().vault().read(&format!("auth/{}/role/minio", data.mount));
    let take_over = "bootstrap --no-verify --yes --approve take-over";
    // One that may not even ask is told so.
    let blind = printed(&thief, "", DefaultPolicy::Without);
    let refused = run_with(&thief, &blind, take_over).exits(1);
    refused.complains(&["No changes made", "sys/capabilities-self"]);
    let refused = run_with(&thief, &printed(&thief, "", DefaultPolicy::With), take_over).exits(1);
    let path = format!("sys/policies/acl/vaultk8s-inventory/{}/{}", platform.owner, platform.mount);
    refused.complains(&["No changes made", &path, "update", &format!("--take-over {}", platform.owner)]);
    assert_eq!(lab::shared().vault().read(&format!("auth/{}/role/minio", data.mount))["data"], before["data"]);
    assert_eq!(data.claimed(), names(&["spark"]));
    platform.in_order();
    data.in_order();
    // With what is printed for it, all of it is done.
    let token = printed(&thief, &format!(" --take-over {}", platform.owner), DefaultPolicy::Without);
    run_with(&thief, &token, take_over).exits(0);
    assert_eq!((thief.claimed(), platform.claimed()), (names(&["minio", "spark"]), BTreeSet::new()));
    thief.in_order();
}

#[test]
fn who_may_not_read_the_own_inventory_is_told_the_rule_that_is_missing() {
    let lab = lab::shared();
    let (platform, _) = two_teams();
    let policy =
        Vaultk8s::new(["render", "operator-policy", "--prune"]).config(&platform.config()).run().exits(0).stdout;
    let path = format!("sys/policies/acl/vaultk8s-inventory/{}/{}", platform.owner, platform.mount);
    let rule = format!("path \"{path}\" {{\n  capabilities = [\"read\", \"update\"]");
    assert!(policy.contains(&rule), "{policy}");
    let policy = policy
        .replace(&rule, &format!("path \"{path}\" {{\n  capabilities = [\"update\"]"))
        .replace("sys/policies/detailed/acl", "sys/policies/nowhere");
    let name = lab.unique("operator");
    lab.vault().write(&format!("sys/policies/acl/{name}"), &json!({ "policy": policy }));
    let token = lab.vault().write("auth/token/create", &json!({ "policies": [name], "ttl": "10m" }));
    let token = token["auth"]["client_token"].as_str().unwrap().to_owned();
    for line in ["plan", "bootstrap --no-verify --yes --approve take-over", "bootstrap --no-verify --prune --yes"] {
        let refused = run_with(&platform, &token, line).exits(1).keeps_quiet_about(&["writes it anew"]);
        refused.complains(&[&format!("path \"{path}\" {{ capabilities = [\"read\"] }}")]);
    }
    assert_eq!(platform.claimed(), names(&["minio"]));
    platform.in_order();
}

/// As on HashiCorp Vault, which has no list of all texts.
#[test]
fn a_policy_that_fell_out_is_told_where_no_list_has_all_texts() {
    let lab = lab::shared();
    let vault = lab.vault();
    let (platform, data) = two_teams();
    let platform = platform.with("velero");
    platform.bootstrap();
    data.bootstrap();
    let policy = lab.unique("p-names-only");
    let rules = r#"path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }
        path "sys/policies/detailed/acl" { capabilities = ["deny"] }"#;
    vault.write(&format!("sys/policies/acl/{policy}"), &json!({ "policy": rules }));
    let token = vault.write("auth/token/create", &json!({ "policies": [policy], "ttl": "10m" }));
    let token = token["auth"]["client_token"].as_str().unwrap();
    let plan = |team: &Team| {
        Vaultk8s::new(["plan"]).on_shared().env("VAULT_TOKEN", token).config(&team.config()).run().exits(0)
    };
    let theirs = &data.policies[0].0;
    // With its role, and where its role stays and gives another.
    let gone = platform.without("velero");
    let fell_out = &platform.policies.last().unwrap().0;
    plan(&gone).says(&["Orphans", &format!("policy {fell_out}")]).keeps_quiet_about(&[theirs]);
    let mut other = platform.clone();
    let kept = other.policies[0].0.clone();
    other.policies.pop();
    other.roles.last_mut().unwrap().1 = kept;
    plan(&other).says(&["Orphans", &format!("policy {fell_out}")]).keeps_quiet_about(&[theirs]);
    plan(&platform).keeps_quiet_about(&[&format!("policy {fell_out}"), theirs]);
    vault.delete(&format!("sys/policies/acl/{policy}"));
}
