//! KV mounts that the file makes: `kv: { mount: team, create: true }`.

use serde_json::json;

use crate::command::{Answer, Vaultk8s};
use crate::fixture::Fixture;

/// A file whose secrets are in a mount of its own, which isn't there yet.
struct Making {
    fixture: Fixture,
    kv: String,
}

impl Making {
    fn new() -> Self {
        Self { fixture: Fixture::new(), kv: lab::shared().unique("kv-made") }
    }

    fn config(&self) -> String {
        format!("kv: {{ mount: {}, create: true }}\n{}", self.kv, self.fixture.config)
    }

    fn command(&self, args: &[&str]) -> Vaultk8s {
        self.fixture.command(args.iter().copied()).config(&self.config())
    }

    fn run(&self, args: &[&str]) -> Answer {
        self.command(args).run()
    }

    fn held(&self) -> (String, String) {
        let (status, held) = lab::shared().vault().get(&format!("sys/mounts/{}", self.kv));
        assert_eq!(status, 200, "{} is not there", self.kv);
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        (text(&held["data"]["type"]), text(&held["data"]["options"]["version"]))
    }

    fn policy(&self) -> String {
        crate::team::policy_text(&self.fixture.policy)
    }
}

#[test]
fn a_mount_that_is_not_there_is_made_once_and_never_touched_again() {
    let making = Making::new();
    let kv = &making.kv;
    let plan = making.run(&["plan"]).exits(0).says(&[&format!("KV mount {kv}/")]);
    assert!(plan.stdout.find("KV mount") < plan.stdout.find("policy "), "it comes first: {}", plan.stdout);
    making.run(&["bootstrap"]).exits(0);
    assert_eq!(making.held(), ("kv".to_owned(), "2".to_owned()));
    making.run(&["plan", "--detailed-exitcode"]).exits(0).says(&["No changes."]);
    let (vault, at) = (lab::shared().vault(), &making.fixture.namespace);
    while vault.post(&format!("{kv}/data/{at}/db"), &json!({ "data": { "password": "x" } })).0 != 200 {
        std::thread::yield_now();
    }
    making.run(&["verify-role", "--all", "--path", &format!("{kv}/{at}/db#password")]).exits(0);
    // What it looks like otherwise is whoever else's business.
    vault.write(&format!("sys/mounts/{kv}/tune"), &json!({ "description": "the team's", "max_lease_ttl": "1h" }));
    making.run(&["plan", "--detailed-exitcode"]).exits(0);
    // Without the word, and out of the file, it stays.
    for file in [format!("kv: {kv}\n{}", making.fixture.config), making.fixture.config.clone()] {
        making.fixture.command(["bootstrap", "--prune", "--yes"]).config(&file).run().exits(0);
        assert_eq!(making.held().1, "2");
    }
}

#[test]
fn a_mount_of_version_1_is_said_and_kept() {
    let making = Making::new();
    let vault = lab::shared().vault();
    vault.write(&format!("sys/mounts/{}", making.kv), &json!({ "type": "kv", "options": { "version": "1" } }));
    making.run(&["plan"]).exits(0).says(&["of version 1, where `create` makes one of version 2"]);
    making.run(&["bootstrap"]).exits(0);
    assert_eq!(making.held().1, "1");
    assert!(!making.policy().contains("/data/"), "{}", making.policy());
    making.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn what_is_no_kv_mount_or_in_its_way_is_an_error() {
    let making = Making::new();
    let (vault, kv) = (lab::shared().vault(), &making.kv);
    vault.write(&format!("sys/mounts/{kv}"), &json!({ "type": "transit" }));
    making.run(&["bootstrap"]).exits(1).complains(&["is a secrets mount of type transit, not KV", "set `kv:`"]);
    let making = Making::new();
    let kv = &making.kv;
    vault.write(&format!("sys/mounts/{kv}/below"), &json!({ "type": "kv" }));
    let answer = making.run(&["plan"]).exits(1);
    answer.complains(&[&format!("the KV mount {kv}/ can't be made beside the mount {kv}/below/")]);
}

#[test]
fn a_saved_plan_makes_it_and_is_stale_once_it_is_there() {
    let making = Making::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json");
    let file = file.to_str().unwrap();
    making.run(&["plan", "--out", file]).exits(0);
    assert!(std::fs::read_to_string(file).unwrap().contains("\"kvMount\""));
    lab::shared()
        .vault()
        .write(&format!("sys/mounts/{}", making.kv), &json!({ "type": "kv", "options": { "version": "2" } }));
    making.run(&["bootstrap", "--plan", file]).exits(1).complains(&["needs no change any more"]);
    let making = Making::new();
    std::fs::remove_file(file).unwrap();
    making.run(&["plan", "--out", file]).exits(0);
    making.run(&["bootstrap", "--plan", file]).exits(0);
    assert_eq!(making.held().1, "2");
}

#[test]
fn making_it_is_granted_only_where_it_is_asked_for() {
    let making = Making::new();
    let vault = lab::shared().vault();
    let path = format!("sys/mounts/{}", making.kv);
    let token = |file: &str| {
        let rules = making.fixture.command(["render", "operator-policy"]).config(file).run().exits(0).stdout;
        let name = lab::shared().unique("operator");
        vault.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": rules }));
        let token = vault.write("auth/token/create", &json!({ "policies": [name] }));
        (token["auth"]["client_token"].as_str().unwrap().to_owned(), rules)
    };
    let (token_without, rules) = token(&format!("kv: {}\n{}", making.kv, making.fixture.config));
    assert!(rules.contains(&format!("path \"{path}\" {{\n  capabilities = [\"read\"]")), "{rules}");
    let refused = making.command(&["bootstrap"]).env("VAULT_TOKEN", &token_without).run().exits(1);
    assert!(format!("{}{}", refused.stdout, refused.stderr).contains(&path), "{}{}", refused.stdout, refused.stderr);
    assert!(format!("{}{}", refused.stdout, refused.stderr).contains("update"));
    let (token, _) = token(&making.config());
    making.command(&["bootstrap"]).env("VAULT_TOKEN", &token).run().exits(0);
    making.command(&["plan", "--detailed-exitcode"]).env("VAULT_TOKEN", &token).run().exits(0);
    assert_eq!(making.held().1, "2");
}

#[test]
fn a_rehearsal_makes_it_too() {
    let making = Making::new();
    let program = lab::shared().vault_program().to_str().unwrap();
    for more in [&[][..], &["--kv-v1", &making.kv]] {
        let args = [&["rehearse", "--server-bin", program][..], more].concat();
        making.command(&args).env("PATH", std::env::var("PATH").unwrap()).run().exits(0);
    }
}

#[test]
fn a_policys_own_mount_is_made_and_verify_says_who_makes_it() {
    let making = Making::new();
    let kv = &making.kv;
    let own = format!("    kv: {{ mount: {kv}, create: true }}\n    read: [");
    let file = making.fixture.config.replacen("    read: [", &own, 1);
    assert!(file.contains(&own), "{file}");
    let command = |args: &[&str]| making.fixture.command(args.iter().copied()).config(&file);
    let said = command(&["verify-role", "--all", "-o", "json"]).run().exits(1).stdout;
    assert!(said.contains(&format!("there is no secrets mount at {kv}/")), "{said}");
    command(&["bootstrap"]).run().exits(0);
    assert_eq!(making.held().1, "2");
}
