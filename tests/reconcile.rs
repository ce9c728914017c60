//! The configuration is the truth: saved plans, orphans and pruning, several clusters, namespaces, and runs that are cut
//! short. Against a real OpenBao (or Vault) and a real kube-apiserver.

use std::path::PathBuf;

use lab::Mount;
use serde_json::{Value, json};

use crate::command::{Answer, Vaultk8s};

/// A configuration with a cluster, two policies and two roles of its own on the shared servers.
struct Fixture {
    mount: Mount,
    policies: [String; 2],
    folder: tempfile::TempDir,
    config: String,
}

impl Fixture {
    fn new() -> Self {
        let lab = lab::shared();
        let namespace = lab.namespace("app");
        lab.service_account(&namespace, "app");
        let mount = lab.mount("jwt");
        let policies = [lab.unique("p-one"), lab.unique("p-two")];
        let [one, two] = &policies;
        let config = format!(
            "clusters:
  - {{ name: lab, context: {context}, auth: {{ method: jwt, mount: {mount}, audience: vault, exclusive: true }} }}
policies:
  - {{ name: {one}, read: [{namespace}/one/*] }}
  - {{ name: {two}, read: [{namespace}/two/*] }}
roles:
  - {{ name: r-one, serviceAccounts: [{namespace}/app], policies: [{one}] }}
  - {{ name: r-two, serviceAccounts: [{namespace}/app], policies: [{two}] }}
",
            context = lab.context()
        );
        Self { mount, policies, folder: tempfile::tempdir().unwrap(), config }
    }

    /// The configuration without its second policy and role.
    fn first_half(&self) -> String {
        self.config.split_inclusive('\n').filter(|line| !line.contains("two")).collect()
    }

    fn run(&self, args: &[&str]) -> Answer {
        run(&self.config, args)
    }

    fn bootstrap(&self) {
        self.run(&["bootstrap"]).exits(0);
        in_order(&self.config);
    }

    fn role(&self, name: &str) -> String {
        format!("auth/{}/role/{name}", self.mount)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn run(config: &str, args: &[&str]) -> Answer {
    Vaultk8s::new(args.iter().copied()).on_shared().config(config).run()
}

fn in_order(config: &str) {
    run(config, &["plan", "--detailed-exitcode"]).exits(0).says(&["No changes."]);
}

fn policy(name: &str) -> String {
    format!("sys/policies/acl/{name}")
}

fn is_there(path: &str) -> bool {
    match lab::shared().vault().get(path).0 {
        200 => true,
        404 => false,
        other => panic!("{path}: {other}"),
    }
}

/// A role as somebody else would write it.
fn foreign_role(policies: &[&str]) -> Value {
    json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault", "token_policies": policies })
}

/// A token that may do what these rules say.
fn token(rules: &str) -> String {
    let lab = lab::shared();
    let name = lab.unique("operator");
    lab.vault().write(&policy(&name), &json!({ "policy": rules }));
    let created = lab.vault().write("auth/token/create", &json!({ "policies": [name], "ttl": "10m" }));
    created["auth"]["client_token"].as_str().unwrap().to_owned()
}

/// What somebody does to a saved plan.
type Edit = fn(&mut Value);

#[test]
fn a_saved_plan_is_applied_as_it_was_reviewed() {
    let fixture = Fixture::new();
    let file = fixture.file("plan.json");
    let name = file.display().to_string();
    // What is there already is no plan, and stays.
    std::fs::write(&file, "what was here before").unwrap();
    fixture.run(&["plan", "--out", &name]).exits(64).complains(&["is no saved plan"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "what was here before");
    // As `mktemp` makes it, or with a plan in it, it is written anew.
    std::fs::write(&file, "").unwrap();
    fixture.run(&["plan", "--out", &name, "--detailed-exitcode"]).exits(2);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(std::fs::read_dir(fixture.folder.path()).unwrap().count(), 1);

    // It is the document of `-o json`, and says what will be sent.
    let saved: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let printed = Vaultk8s::new(["plan", "-o", "json"]).on_shared().config(&fixture.config).unhidden().run();
    let mut printed = printed.exits(0).json();
    // Keys are recorded as seen at the time that a plan is made for, to the second; the digest is of that too.
    let at = |plan: &Value| plan["madeAt"].as_str().unwrap()[..19].to_owned();
    let (then, now) = (at(&saved), at(&printed));
    printed["madeAt"] = saved["madeAt"].clone();
    printed["digest"] = saved["digest"].clone();
    assert_eq!(printed.to_string().replace(&now, &then), saved.to_string(), "the file is not what `-o json` prints");
    assert!(saved["changes"][2]["write"]["policy"]["text"].as_str().unwrap().contains("path \"secret/data/"));
    assert_eq!(saved["changes"].as_array().unwrap().len(), 6);

    fixture.run(&["bootstrap", "--plan", &name]).exits(0).says(&["6 changes made; 2 logins verified"]);
    in_order(&fixture.config);
    // Once applied, it doesn't hold any more.
    fixture.run(&["bootstrap", "--plan", &name]).exits(1).complains(&["does not hold any more", "needs no change"]);
}

#[test]
fn a_saved_plan_is_refused_when_anything_has_changed() {
    let fixture = Fixture::new();
    let vault = lab::shared().vault();
    fixture.bootstrap();
    let drift = json!({ "policy": "path \"secret/*\" { capabilities = [\"read\"] }" });
    vault.write(&policy(&fixture.policies[0]), &drift);
    let file = fixture.file("plan.json");
    let name = file.display().to_string();
    fixture.run(&["plan", "--out", &name]).exits(0).says(&["0 to create, 1 to change, 5 in order"]);
    let apply = |config: &str| run(config, &["bootstrap", "--plan", &name, "--approve", "take-over"]);

    // What Vault holds: the same object otherwise, and another one.
    vault.write(&policy(&fixture.policies[0]), &json!({ "policy": "path \"secret/x\" { capabilities = [\"read\"] }" }));
    apply(&fixture.config).exits(1).complains(&["differs in policy"]);
    vault.write(&policy(&fixture.policies[0]), &drift);
    vault.write(&fixture.role("r-two"), &json!({ "token_ttl": 5, "role_type": "jwt", "user_claim": "sub" }));
    apply(&fixture.config).exits(1).complains(&["role/r-two has to be changed too"]);
    vault.write(&fixture.role("r-two"), &json!({ "token_ttl": 0, "role_type": "jwt", "user_claim": "sub" }));

    // The configuration.
    let other = fixture.config.replace("/one/*", "/uno/*");
    apply(&other).exits(1).complains(&["differs in policy"]);
    apply(&fixture.first_half()).exits(1).complains(&["was made for 6 objects, and there are 4 now"]);

    // The plan itself, edited.
    let text = std::fs::read_to_string(&file).unwrap();
    let edited = fixture.file("edited.json");
    let edits: [(Edit, &str); 8] = [
        (|plan| plan["changes"][0]["write"]["policy"]["text"] = json!("path \"*\" {}"), "was edited"),
        (|plan| plan["changes"] = json!([]), "was edited"),
        (|plan| plan["madeAt"] = json!("2026-01-01T00:00:00Z"), "was edited"),
        (|plan| plan["prune"] = json!(true), "was edited"),
        (|plan| drop(plan["changes"][0].as_object_mut().unwrap().remove("takesOver")), "was edited"),
        (|plan| plan["force"] = json!(true), "doesn't write: force"),
        (
            |plan| plan["changes"][0]["write"]["policy"]["force"] = json!(1),
            "doesn't write: changes[0].write.policy.force",
        ),
        (|plan| drop(plan.as_object_mut().unwrap().remove("digest")), "carries no digest"),
    ];
    for (edit, said) in edits {
        let mut document: Value = serde_json::from_str(&text).unwrap();
        edit(&mut document);
        std::fs::write(&edited, document.to_string()).unwrap();
        let answer = fixture.run(&["bootstrap", "--plan", edited.to_str().unwrap(), "--yes", "--approve", "take-over"]);
        answer.exits(64).complains(&[said, "vaultk8s plan --out FILE"]);
    }

    // Another Vault, another namespace, another version.
    let answer = Vaultk8s::new(["bootstrap", "--plan", &name]).on_shared().config(&fixture.config);
    answer.env("VAULT_NAMESPACE", "team").run().exits(1).complains(&["is for ", "(namespace team)"]);
    let answer = Vaultk8s::new(["bootstrap", "--plan", &name]).on_shared().config(&fixture.config);
    answer.env("VAULT_ADDR", "https://127.0.0.1:1").run().exits(1).complains(&["https://127.0.0.1:1", "--address"]);
    std::fs::write(&file, text.replace("v1alpha1", "v9")).unwrap();
    apply(&fixture.config).exits(64).complains(&["vaultk8s/v9"]);
    std::fs::write(&file, &text).unwrap();

    // Nothing of all that was written.
    assert_eq!(vault.read(&policy(&fixture.policies[0]))["data"]["policy"], drift["policy"]);
    // What somebody wrote by hand is in the plan as theirs, and is asked about all the same.
    let unasked = fixture.run(&["bootstrap", "--plan", &name, "--yes"]).exits(1);
    unasked.complains(&["take over what somebody else wrote (--approve take-over)", &fixture.policies[0]]);
    apply(&fixture.config).exits(0).says(&["1 change made"]);
    in_order(&fixture.config);
}

#[test]
fn what_falls_out_of_the_file_is_reported_and_pruned_when_asked() {
    let fixture = Fixture::new();
    let [one, two] = &fixture.policies;
    fixture.bootstrap();
    let half = fixture.first_half();
    let (role, orphan) = (fixture.role("r-two"), policy(two));

    // The mount is exclusive, so that a role beside those of the file is drift.
    let answer = run(&half, &["plan", "--detailed-exitcode"]).exits(2);
    answer.says(&["Drift.", "Orphans", &format!("role {role}"), &format!("policy {two}"), "--prune"]);
    let plan = run(&half, &["plan", "-o", "json"]).exits(0).json();
    let orphan_role = &plan["orphans"][0];
    assert_eq!(
        (&orphan_role["object"], &orphan_role["mount"], &orphan_role["name"]),
        (&json!("role"), &json!(fixture.mount), &json!("r-two"))
    );
    assert_eq!(plan["orphans"][1], json!({ "object": "policy", "name": two }));
    run(&half, &["bootstrap"]).exits(1).says(&["nothing to change", "unmanaged role"]);
    assert!(is_there(&role) && is_there(&orphan));

    let answer = run(&half, &["plan", "--prune", "--detailed-exitcode"]).exits(2);
    answer.says(&[
        "0 to create, 0 to change, 2 to delete, 4 in order",
        "token_policies",
        "- # Managed by vaultk8s for",
    ]);
    let answer = run(&half, &["bootstrap", "--prune"]).exits(1);
    answer.complains(&["No changes made", "to delete (--approve delete)", "role auth/", two, "--yes"]);
    run(&half, &["bootstrap", "--prune", "--approve", "take-over,replace-trust"])
        .exits(1)
        .complains(&["--approve delete"]);
    assert!(is_there(&role) && is_there(&orphan));

    // By a saved plan, which remembers that it prunes.
    let file = fixture.file("plan.json").display().to_string();
    run(&half, &["plan", "--prune", "--out", &file]).exits(0);
    run(&half, &["bootstrap", "--plan", &file, "--prune"]).exits(64);
    let answer = run(&half, &["bootstrap", "--plan", &file, "--approve", "delete"]).exits(0);
    answer.says(&["2 changes made; 1 login verified", "deleted"]);
    assert!(!is_there(&role) && !is_there(&orphan));
    assert!(is_there(&fixture.role("r-one")) && is_there(&policy(one)));
    in_order(&half);
    run(&half, &["plan", "--prune", "--detailed-exitcode"]).exits(0);
}

#[test]
fn what_is_not_ours_is_never_pruned() {
    let lab = lab::shared();
    let vault = lab.vault();
    let fixture = Fixture::new();
    let neighbour = Fixture::new();
    let [_, two] = &fixture.policies;
    fixture.bootstrap();
    neighbour.bootstrap();
    // Adopted policies carry no mark: one of the file's, and one of nobody's.
    let unmarked = lab.unique("p-by-hand");
    let text = json!({ "policy": "path \"secret/data/x\" { capabilities = [\"read\"] }" });
    vault.write(&policy(&unmarked), &text);
    // A role beside those of the file names the policy that falls out of it.
    vault.write(&fixture.role("foreign"), &foreign_role(&[two, &unmarked]));
    let open = fixture.first_half().replace(", exclusive: true", "");

    let answer = run(&open, &["plan"]).exits(0);
    let (foreign, second) = (fixture.role("foreign"), fixture.role("r-two"));
    answer.says(&["Unmanaged roles", &foreign, &second, "more than one account: foreign", &format!("? policy {two}")]);
    let answer = run(&open, &["bootstrap", "--prune", "--yes"]).exits(0);
    answer.says(&["nothing to change", &format!("policy {two}"), "names it"]);
    for path in [fixture.role("foreign"), fixture.role("r-two"), policy(two), policy(&unmarked)] {
        assert!(is_there(&path), "{path} is gone");
    }
    in_order(&open);

    // With the mount claimed, the roles go and then the policy; the neighbour's and nobody's stay.
    let half = fixture.first_half();
    run(&half, &["bootstrap", "--prune", "--yes"]).exits(0).says(&["3 changes made"]);
    assert!(!is_there(&fixture.role("foreign")) && !is_there(&policy(two)));
    assert!(is_there(&policy(&unmarked)));
    in_order(&half);
    in_order(&neighbour.config);
    let auth = vault.read("sys/auth");
    assert!(auth["data"][format!("{}/", neighbour.mount)].is_object());
}

#[test]
fn nothing_is_deleted_when_a_change_before_it_failed() {
    let fixture = Fixture::new();
    let [one, two] = &fixture.policies;
    fixture.bootstrap();
    lab::shared().vault().write(&policy(one), &json!({ "policy": "path \"x\" { capabilities = [\"read\"] }" }));
    let rules = format!(
        r#"path "sys/*" {{ capabilities = ["read", "list"] }}
           path "sys/policies/acl/{two}" {{ capabilities = ["read", "delete"] }}
           path "auth/*" {{ capabilities = ["create", "read", "update", "delete", "list"] }}"#
    );
    let half = fixture.first_half();
    let weak = token(&rules);
    let command = Vaultk8s::new(["bootstrap", "--prune", "--yes", "--approve", "take-over"]);
    let command = command.on_shared().env("VAULT_TOKEN", &weak).config(&half);
    command.run().exits(1).says(&[
        &format!("✗ policy {one}"),
        "role/r-two not tried: nothing is deleted before everything else is done",
        "0 of 3 changes made",
    ]);
    assert!(is_there(&fixture.role("r-two")) && is_there(&policy(two)));
    run(&half, &["bootstrap", "--prune", "--yes", "--approve", "take-over"]).exits(0).says(&["3 changes made"]);
    in_order(&half);
}

#[test]
fn a_token_that_may_write_some_of_it_does_that_and_the_next_run_finishes() {
    let fixture = Fixture::new();
    let [one, two] = &fixture.policies;
    let Fixture { mount, .. } = &fixture;
    // It may not write the second policy.
    let rules = format!(
        r#"path "sys/*" {{ capabilities = ["read", "list"] }}
           path "sys/auth/{mount}" {{ capabilities = ["create", "update", "sudo"] }}
           path "sys/policies/acl/{one}" {{ capabilities = ["read", "update"] }}
           path "auth/*" {{ capabilities = ["create", "read", "update", "list"] }}"#
    );
    let weak = token(&rules);
    let answer = Vaultk8s::new(["bootstrap"]).on_shared().env("VAULT_TOKEN", &weak).config(&fixture.config).run();
    answer.exits(1).says(&[
        &format!("✓ policy {one} created"),
        &format!("✗ policy {two}"),
        &format!(r#"path "sys/policies/acl/{two}" {{"#),
        "role/r-one created",
        &format!("role/r-two not tried: it needs policy {two}"),
        "4 of 6 changes made",
    ]);
    assert!(is_there(&fixture.role("r-one")) && !is_there(&fixture.role("r-two")));
    fixture.run(&["bootstrap"]).exits(0).says(&["2 changes made; 2 logins verified"]);
    in_order(&fixture.config);
}

#[test]
fn without_the_bulk_list_and_without_any_list_each_policy_and_role_is_read() {
    let fixture = Fixture::new();
    let [_, two] = &fixture.policies;
    let all = r#"path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }"#;
    let denied = |paths: &[&str]| {
        let denies = paths.iter().map(|path| format!("path \"{path}\" {{ capabilities = [\"deny\"] }}\n"));
        token(&format!("{all}\n{}", denies.collect::<String>()))
    };
    let run_as = |token: &str, config: &str, args: &[&str]| {
        Vaultk8s::new(args.iter().copied()).on_shared().env("VAULT_TOKEN", token).config(config).run()
    };
    // As on HashiCorp Vault, which has no such path.
    let names_only = denied(&["sys/policies/detailed/acl"]);
    run_as(&names_only, &fixture.config, &["bootstrap"]).exits(0).says(&["6 changes made; 2 logins verified"]);
    run_as(&names_only, &fixture.config, &["plan", "--detailed-exitcode"]).exits(0);
    let half = fixture.first_half();
    run_as(&names_only, &half, &["plan"])
        .exits(0)
        .says(&["policies that are not in the configuration were not looked for"]);
    run_as(&names_only, &half, &["plan", "--prune"]).exits(0).says(&[&format!("- policy {two}"), "2 to delete"]);

    // Without any list nothing beyond the file is seen, and so nothing is deleted; nor is the mount called in order.
    let roles = format!("auth/{}/role", fixture.mount);
    let blind = denied(&["sys/policies/detailed/acl", "sys/policies/acl", &roles]);
    let answer = run_as(&blind, &half, &["bootstrap", "--prune", "--yes"]).exits(1);
    answer.says(&[
        "the token may not list its roles",
        "some that are not in the configuration may be left",
        "nothing to change",
    ]);
    // The policy is seen, but a role that can't be listed may name it.
    let half_blind = denied(&["sys/policies/detailed/acl", &roles]);
    let answer = run_as(&half_blind, &half, &["bootstrap", "--prune", "--yes"]).exits(1);
    answer.says(&[&format!("? policy {two}"), "could not be listed"]);
    run_as(&names_only, &half, &["bootstrap", "--prune", "--yes"]).exits(0).says(&["2 changes made"]);
    in_order(&half);
}
