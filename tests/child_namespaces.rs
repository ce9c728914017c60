//! KV mounts of child namespaces: reached from the parent by the path of the namespace and that of the mount, one after the other.

use lab::{VaultOptions, VaultServer};
use serde_json::{Value, json};

use crate::command::{Answer, Vaultk8s};

/// A Vault with the namespaces `corp` and, below it, `pay`, which has the KV mount `secret`; `corp` has a mount of a path with a slash.
struct Corp {
    vault: VaultServer,
    namespace: String,
}

impl Corp {
    /// `None` where there are no namespaces.
    fn new() -> Option<Self> {
        let lab = lab::shared();
        if !lab.vault().has_namespaces() {
            return None;
        }
        let namespace = lab.namespace("app");
        lab.service_account(&namespace, "app");
        let vault = VaultServer::start(&VaultOptions::default());
        let client = vault.client();
        for name in ["corp", "corp/pay", "corp/empty"] {
            let (parent, name) =
                name.rsplit_once('/').map_or((String::new(), name), |(up, name)| (format!("{up}/"), name));
            client.write(&format!("{parent}sys/namespaces/{name}"), &json!({}));
        }
        for mount in ["corp/pay/sys/mounts/secret", "corp/sys/mounts/team/kv"] {
            client.write(mount, &json!({ "type": "kv", "options": { "version": "2" } }));
        }
        // A new mount of version 2 refuses requests for a moment.
        for secret in ["corp/pay/secret/data", "corp/team/kv/data"] {
            while client.post(&format!("{secret}/{namespace}/db"), &json!({ "data": { "password": "x" } })).0 != 200 {
                std::thread::yield_now();
            }
        }
        Some(Self { vault, namespace })
    }

    /// A role in `corp` that reads below a KV mount.
    fn config(&self, kv: &str) -> String {
        let (context, namespace) = (lab::shared().context(), &self.namespace);
        format!(
            "vault: {{ namespace: corp }}
kv: {kv}
clusters: [{{ name: one, context: {context}, auth: {{ method: jwt, mount: jwt, audience: vault }} }}]
policies: [{{ name: p, read: [{namespace}/*], list: [{namespace}/*] }}]
roles: [{{ name: r, serviceAccounts: [{namespace}/app], policies: [p], ttl: 10m }}]
expect:
  - {{ serviceAccounts: {namespace}/app, can: read, paths: {kv}/{namespace}/db }}
"
        )
    }

    fn run(&self, kv: &str, args: &[&str]) -> Answer {
        Vaultk8s::new(args.iter().copied()).on(&self.vault).unhidden().config(&self.config(kv)).run()
    }

    fn namespaced(&self, args: &[&str]) -> Answer {
        Vaultk8s::new(args.iter().copied()).on(&self.vault).unhidden().env("VAULT_NAMESPACE", "corp").run()
    }

    /// The paths of the policy in `corp`.
    fn policy(&self) -> String {
        self.vault.client().read("corp/sys/policies/acl/p")["data"]["policy"].as_str().unwrap().to_owned()
    }
}

/// The checks of an id.
fn check<'a>(said: &'a Value, id: &str) -> &'a Value {
    let sections = said["sections"].as_array().unwrap();
    sections.iter().flat_map(|section| section["checks"].as_array().unwrap()).find(|check| check["id"] == id).unwrap()
}

#[test]
fn a_role_of_the_parent_reads_what_is_in_a_child() {
    let Some(corp) = Corp::new() else { return };
    for kv in ["pay/secret", "team/kv"] {
        corp.run(kv, &["bootstrap", "--yes"]).exits(0);
        assert!(corp.policy().contains(&format!("path \"{kv}/data/{}/*\"", corp.namespace)), "{}", corp.policy());
        corp.run(kv, &["plan", "--detailed-exitcode"]).exits(0);
        let secret = format!("{kv}/{}/db#password", corp.namespace);
        let said = corp.run(kv, &["verify-role", "--all", "--path", &secret, "-o", "json"]).exits(0).json();
        for id in ["VK503", "VK504", "VK506", "VK507", "VK601", "VK602"] {
            assert_eq!(check(&said, id)["status"], "passed", "{kv}: {said}");
        }
        // By flags, too, with and without the mount named apart.
        let account = format!("{}/app", corp.namespace);
        let flags =
            ["verify-role", "--mount", "jwt", "--role", "r", "--service-account", &account, "-o", "json", "--path"];
        let said = corp.namespaced(&[&flags[..], &[&secret]].concat()).exits(0).json();
        assert_eq!(check(&said, "VK601")["status"], "passed", "{kv}: {said}");
        let below = format!("{}/db", corp.namespace);
        let said = corp.namespaced(&[&flags[..], &[&below, "--kv", kv]].concat()).exits(0).json();
        assert_eq!(check(&said, "VK601")["status"], "passed", "{kv}: {said}");
        // Without an operator, the login itself finds the mount.
        let alone = Vaultk8s::new(flags.iter().copied().chain([below.as_str(), "--kv", kv, "--audience", "vault"]));
        let alone = alone.on(&corp.vault).without("VAULT_TOKEN").env("VAULT_NAMESPACE", "corp").run();
        assert_eq!(check(&alone.json(), "VK601")["status"], "passed", "{kv}: {}", alone.stdout);
    }
}

/// With the rules that are printed for the operator, in the namespace of the file.
#[test]
fn the_operators_policy_is_enough() {
    let Some(corp) = Corp::new() else { return };
    let rules = corp.run("pay/secret", &["render", "operator-policy"]).exits(0).stdout;
    let client = corp.vault.client();
    client.write("corp/sys/policies/acl/operator", &json!({ "policy": rules }));
    let token = client.write("corp/auth/token/create", &json!({ "policies": ["operator"] }));
    let token = token["auth"]["client_token"].as_str().unwrap();
    let as_operator = |args: &[&str]| {
        let command = Vaultk8s::new(args.iter().copied()).on(&corp.vault).unhidden().env("VAULT_TOKEN", token);
        command.config(&corp.config("pay/secret")).run()
    };
    as_operator(&["bootstrap", "--yes"]).exits(0);
    as_operator(&["plan", "--detailed-exitcode"]).exits(0);
    let secret = format!("pay/secret/{}/db#password", corp.namespace);
    as_operator(&["verify-role", "--all", "--path", &secret]).exits(0);
}

#[test]
fn a_rehearsal_has_the_mount_at_the_same_path() {
    let Some(corp) = Corp::new() else { return };
    let rehearse = Vaultk8s::new(["rehearse", "--server-bin", lab::shared().vault_program().to_str().unwrap()]);
    rehearse
        .on(&corp.vault)
        .env("PATH", std::env::var("PATH").unwrap())
        .config(&corp.config("pay/secret"))
        .run()
        .exits(0);
}

#[test]
fn a_mount_that_is_not_there_is_made_where_the_remedy_says() {
    let Some(corp) = Corp::new() else { return };
    let made = ["VAULT_NAMESPACE=corp/empty", "secrets enable -path=secret -version=2 kv"];
    let answer = corp.run("empty/secret", &["plan"]).exits(1).complains(&made);
    answer.complains(&["there is no secrets mount at secret/ in the namespace corp/empty"]);
    // As the remedy says.
    corp.vault.client().write("corp/empty/sys/mounts/secret", &json!({ "type": "kv", "options": { "version": "2" } }));
    corp.run("empty/secret", &["plan"]).exits(0);
    // A path below the mount is named as the mount is from here.
    let below = corp.run("pay/secret/more", &["plan"]).exits(1);
    below.complains(&["that is a path of the mount pay/secret/", "name the mount alone: pay/secret"]);
    corp.run("nowhere/secret", &["plan"])
        .exits(1)
        .complains(&["secrets mount at nowhere/secret/ in the namespace corp"]);
}

/// Vault's own CLI takes the path that the server says of a mount, from the root on, for one of its own namespace: so the commands go to the
/// namespace that the mount is of.
#[test]
fn printed_commands_reach_a_mount_of_a_child() {
    let Some(corp) = Corp::new() else { return };
    let client = corp.vault.client();
    client.write("corp/pay/sys/namespaces/deep", &json!({}));
    client.write("corp/pay/deep/sys/mounts/team/kv", &json!({ "type": "kv", "options": { "version": "2" } }));
    let (kv, at) = ("pay/deep/team/kv", format!("{}/a db", corp.namespace));
    let data = format!("corp/{kv}/data/{}", at.replace(' ', "%20"));
    while client.post(&data, &json!({ "data": { "password": "x" } })).0 != 200 {
        std::thread::yield_now();
    }
    corp.run(kv, &["bootstrap", "--yes"]).exits(0);
    let bin = lab::shared().vault_program().parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let verify = |secret: &str, id: &str| {
        let secret = format!("{kv}/{secret}");
        let verify = Vaultk8s::new(["verify-role", "r", "--path", &secret, "-o", "json"]).on(&corp.vault).unhidden();
        let said = verify.env("PATH", &path).config(&corp.config(kv)).run().json();
        check(&said, id).clone()
    };
    let shell = |command: &str| {
        let mut shell = std::process::Command::new("/bin/bash");
        shell.args(["-c", command]).env_clear().env("PATH", &path).env("VAULT_CACERT", corp.vault.ca());
        shell.env("VAULT_ADDR", client.address()).env("VAULT_TOKEN", corp.vault.root_token());
        let answer = shell.output().unwrap();
        assert!(answer.status.success(), "{command}: {}", String::from_utf8_lossy(&answer.stderr));
        String::from_utf8(answer.stdout).unwrap()
    };
    // What stands in words has a blank for a person to fill in.
    let in_words = |found: &Value, filled: &str| {
        let text = found["remedies"][0]["text"].as_str().unwrap();
        let command = text.rsplit('`').nth(1).unwrap_or_else(|| panic!("there is no command in {text}"));
        assert!(command.contains("NAMESPACE=corp/pay/deep "), "{command}");
        command.replace('…', filled)
    };
    let found = verify(&format!("{at}#user"), "VK602");
    shell(&in_words(&found, "me"));
    assert_eq!(verify(&format!("{at}#user"), "VK602")["status"], "passed");
    client.delete(&data);
    let found = verify(&at, "VK601");
    shell(found["remedies"][0]["command"].as_str().unwrap_or_else(|| panic!("{found}")));
    assert_eq!(verify(&at, "VK601")["status"], "passed");
    let found = verify(&format!("{}/other", corp.namespace), "VK601");
    assert!(shell(&in_words(&found, &corp.namespace)).contains("a db"));
}

#[test]
fn a_mount_is_made_in_the_namespace_that_its_path_leads_to() {
    let Some(corp) = Corp::new() else { return };
    let client = corp.vault.client();
    let file = |kv: &str| {
        corp.config(kv).replacen(&format!("kv: {kv}\n"), &format!("kv: {{ mount: {kv}, create: true }}\n"), 1)
    };
    // In a child of a child, in the namespace itself though the path has slashes, and by an operator with the rules that are printed.
    client.write("corp/pay/sys/namespaces/deep", &json!({}));
    for (kv, at) in [
        ("pay/deep/made/kv", "corp/pay/deep/sys/mounts/made/kv"),
        ("nowhere/made", "corp/sys/mounts/nowhere/made"),
        ("empty/made", "corp/empty/sys/mounts/made"),
    ] {
        let run = |token: &str, args: &[&str]| {
            let command = Vaultk8s::new(args.iter().copied()).on(&corp.vault).unhidden().env("VAULT_TOKEN", token);
            command.config(&file(kv)).run()
        };
        let rules = run(corp.vault.root_token(), &["render", "operator-policy"]).exits(0).stdout;
        client.write("corp/sys/policies/acl/operator", &json!({ "policy": rules }));
        let token = client.write("corp/auth/token/create", &json!({ "policies": ["operator"] }));
        let token = token["auth"]["client_token"].as_str().unwrap();
        run(token, &["bootstrap", "--yes"]).exits(0);
        assert_eq!(client.read(at)["data"]["options"]["version"], "2", "{kv}");
        run(token, &["plan", "--detailed-exitcode"]).exits(0);
    }
}
