//! Two teams with a file each on one Vault, and what is whose: nothing that isn't a file's own is changed unasked, and what a
//! file's owner wrote goes when the file names it no more. Against a real OpenBao (or Vault) and a real kube-apiserver.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::command::{Answer, Vaultk8s};

/// One team: its owner's name and what its file has beside the cluster.
#[derive(Clone)]
struct Team {
    owner: String,
    mount: String,
    namespace: String,
    /// `(name, policies)`.
    roles: Vec<(String, String)>,
    policies: Vec<(String, String)>,
    auth: &'static str,
}

impl Team {
    /// With one app: a policy and a role.
    fn new(owner: &str, mount: &str, app: &str) -> Self {
        let lab = lab::shared();
        let namespace = lab.namespace(owner);
        lab.service_account(&namespace, "app");
        let owner = lab.unique(owner);
        let policy = lab.unique(app);
        let (roles, policies) = (vec![(app.to_owned(), policy.clone())], vec![(policy, format!("{owner}/{app}/*"))]);
        Self { owner, mount: mount.to_owned(), namespace, roles, policies, auth: "" }
    }

    fn with(&self, app: &str) -> Self {
        let mut team = self.clone();
        let policy = lab::shared().unique(app);
        team.policies.push((policy.clone(), format!("{}/{app}/*", self.owner)));
        team.roles.push((app.to_owned(), policy));
        team
    }

    fn without(&self, app: &str) -> Self {
        let mut team = self.clone();
        team.roles.retain(|(name, _)| name != app);
        let used: BTreeSet<String> = team.roles.iter().map(|(_, policy)| policy.clone()).collect();
        team.policies.retain(|(name, _)| used.contains(name));
        team
    }

    fn config(&self) -> String {
        let Self { owner, mount, namespace, auth, .. } = self;
        let head = if owner.is_empty() { String::new() } else { format!("owner: {owner}\n") };
        let policies = self.policies.iter().map(|(name, path)| format!("  - {{ name: {name}, read: ['{path}'] }}\n"));
        let roles = self.roles.iter().map(|(name, policy)| {
            format!("  - {{ name: {name}, serviceAccounts: [{namespace}/app], policies: [{policy}], ttl: 10m }}\n")
        });
        format!(
            "{head}clusters:\n  - name: lab\n    context: {}\n    auth: {{ method: jwt, mount: {mount}, audience: vault{auth} }}\n\
             policies:\n{}roles:\n{}",
            lab::shared().context(),
            policies.collect::<String>(),
            roles.collect::<String>(),
        )
    }

    fn run(&self, line: &str) -> Answer {
        Vaultk8s::new(line.split(' ')).on_shared().config(&self.config()).run()
    }

    fn bootstrap(&self) -> Answer {
        self.run("bootstrap --no-verify").exits(0)
    }

    fn in_order(&self) {
        self.run("plan --detailed-exitcode").exits(0).says(&["No changes."]);
    }

    fn inventory(&self) -> String {
        format!("sys/policies/acl/vaultk8s-inventory/{}/{}", self.owner, self.mount)
    }

    /// The names that the owner's inventory lists.
    fn claimed(&self) -> BTreeSet<String> {
        let (status, answer) = lab::shared().vault().get(&self.inventory());
        if status == 404 {
            return BTreeSet::new();
        }
        let text = answer["data"]["policy"].as_str().unwrap();
        text.lines().filter_map(|line| line.strip_prefix("# role ")).map(str::to_owned).collect()
    }

    fn logs_in(&self, role: &str) -> bool {
        let lab = lab::shared();
        let token = lab.token(&self.namespace, "app", &["vault"], 600);
        lab.vault().login(&self.mount, role, &token).0 == 200
    }
}

fn held(mount: &str) -> BTreeSet<String> {
    let (status, answer) = lab::shared().vault().list(&format!("auth/{mount}/role"));
    if status == 404 {
        return BTreeSet::new();
    }
    answer["data"]["keys"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn policy_text(name: &str) -> String {
    lab::shared().vault().read(&format!("sys/policies/acl/{name}"))["data"]["policy"].as_str().unwrap().to_owned()
}

/// A platform team and a data team that share a mount.
fn two_teams() -> (Team, Team) {
    let mount = lab::shared().unique("jwt");
    let platform = Team::new("platform", &mount, "minio");
    platform.bootstrap().says(&["inventory of platform"]);
    let data = Team { auth: ", manage: false", ..Team::new("data", &mount, "spark") };
    data.bootstrap();
    platform.in_order();
    data.in_order();
    (platform, data)
}

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
    let mount = lab::shared().unique("jwt");
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
    let mount = lab::shared().unique("jwt");
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
    let one = Team::new("platform", &lab.unique("jwt"), "minio");
    let two = Team { mount: lab.unique("jwt"), ..one.with("velero").without("minio") };
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
    let mount = lab::shared().unique("jwt");
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

#[test]
fn a_run_that_is_killed_at_any_time_leaves_a_claim_and_never_an_orphan() {
    for step in 0..24 {
        let mount = lab::shared().unique("jwt");
        let mut platform = Team::new("platform", &mount, "minio");
        for app in ["a", "b", "c"] {
            platform = platform.with(app);
        }
        let running = Vaultk8s::new(["bootstrap", "--no-verify"]).on_shared().config(&platform.config()).start();
        std::thread::sleep(Duration::from_millis(40 + 15 * step));
        let _ended_itself = std::process::Command::new("kill").args(["-KILL", &running.id().to_string()]).status();
        let _killed = running.ignore();
        let claimed = platform.claimed();
        assert!(held(&mount).is_subset(&claimed), "{:?} {claimed:?}", held(&mount));
        platform.bootstrap();
        assert_eq!(platform.claimed(), held(&mount));
        platform.in_order();
    }
}
