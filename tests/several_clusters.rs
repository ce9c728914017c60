//! Several clusters in one file: one that fails, some that are selected; namespaces; and a run that is cut short.

use std::time::{Duration, Instant};

use lab::{CommunityEdition, Mount, VaultOptions, VaultServer};
use serde_json::json;

use crate::command::{Answer, Vaultk8s};

/// Two clusters, `one` and `two`, each with a mount, a policy and a role; and a policy that both name.
struct Two {
    mounts: [Mount; 2],
    policies: [String; 3],
    config: String,
    folder: tempfile::TempDir,
}

impl Two {
    /// The second cluster is found at this context.
    fn new(context: &str) -> Self {
        let lab = lab::shared();
        let namespace = lab.namespace("app");
        lab.service_account(&namespace, "app");
        let mounts = [lab.mount("jwt-one"), lab.mount("jwt-two")];
        let policies = [lab.unique("p-one"), lab.unique("p-two"), lab.unique("p-both")];
        let ([m1, m2], [p1, p2, both]) = (&mounts, &policies);
        let config = format!(
            "clusters:
  - {{ name: one, context: {first}, auth: {{ method: jwt, mount: {m1}, audience: vault, exclusive: true }} }}
  - {{ name: two, context: {context}, auth: {{ method: jwt, mount: {m2}, audience: vault, exclusive: true }} }}
policies:
  - {{ name: {p1}, read: [{namespace}/one/*] }}
  - {{ name: {p2}, read: [{namespace}/two/*] }}
  - {{ name: {both}, read: [{namespace}/both/*] }}
roles:
  - {{ name: r-one, clusters: [one], serviceAccounts: [{namespace}/app], policies: [{p1}, {both}] }}
  - {{ name: r-two, clusters: [two], serviceAccounts: [{namespace}/app], policies: [{p2}, {both}] }}
",
            first = lab.context()
        );
        Self { mounts, policies, config, folder: tempfile::tempdir().unwrap() }
    }

    /// With one context more, of an API server that isn't there.
    fn run(&self, args: &[&str]) -> Answer {
        let file = self.folder.path().join("kubeconfig");
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config",
            "clusters": [{ "name": "gone", "cluster": { "server": "https://127.0.0.1:1" } }],
            "users": [{ "name": "gone", "user": {} }],
            "contexts": [{ "name": "gone", "context": { "cluster": "gone", "user": "gone" } }],
        });
        std::fs::write(&file, kubeconfig.to_string()).unwrap();
        let files = std::env::join_paths([lab::shared().kubeconfig(), &file]).unwrap();
        Vaultk8s::new(args.iter().copied()).on_shared().env("KUBECONFIG", files).config(&self.config).run()
    }
}

fn mounted(mount: &str) -> bool {
    lab::shared().vault().read("sys/auth")["data"][format!("{mount}/")].is_object()
}

fn has_policy(name: &str) -> bool {
    lab::shared().vault().get(&format!("sys/policies/acl/{name}")).0 == 200
}

#[test]
fn a_kubernetes_cluster_that_fails_does_not_harm_the_others_either() {
    let two = Two::new("gone");
    let mount = format!("mount: {}, audience: vault, exclusive: true", two.mounts[1]);
    let config = two.config.replace(&format!("method: jwt, {mount}"), &format!("method: kubernetes, {mount}"));
    assert_ne!(config, two.config);
    let two = Two { config, ..two };
    let words = ["cluster two", "no answer from https://127.0.0.1:1"];
    two.run(&["plan", "--detailed-exitcode"]).exits(1).says(&words).says(&["Clusters left out", "5 to create"]);
    two.run(&["bootstrap"]).exits(1).says(&["5 changes made; 1 login verified; cluster two could not be read"]);
    assert!(mounted(&two.mounts[0]) && !mounted(&two.mounts[1]));
}

#[test]
fn a_mount_of_another_type_stops_only_its_own_cluster() {
    let two = Two::new("rke");
    lab::shared().vault().write(&format!("sys/auth/{}", two.mounts[1]), &json!({ "type": "userpass" }));
    two.run(&["bootstrap"]).exits(1).says(&["of type userpass", "1 login verified; cluster two could not be read"]);
    assert!(mounted(&two.mounts[0]));
    two.run(&["plan", "--cluster", "one", "--detailed-exitcode"]).exits(0);
}

#[test]
fn a_cluster_that_fails_does_not_harm_the_others() {
    let two = Two::new("gone");
    let words = ["cluster two", "no answer from https://127.0.0.1:1"];
    let answer = two.run(&["plan", "--detailed-exitcode"]).exits(1).says(&words);
    answer.says(&["Clusters left out", "5 to create"]);
    let file = two.folder.path().join("plan.json").display().to_string();
    two.run(&["plan", "--out", &file]).exits(1).complains(&["was not saved"]);
    assert!(!std::path::Path::new(&file).exists());

    let answer = two.run(&["bootstrap"]).exits(1).says(&words);
    answer.says(&["5 changes made; 1 login verified; cluster two could not be read"]);
    let document = two.run(&["bootstrap", "-o", "json"]).exits(1).json();
    assert_eq!((&document["success"], &document["kind"]), (&json!(false), &json!("Bootstrap")));
    assert_eq!(document["plan"]["failedClusters"][0]["cluster"], "two");
    assert!(mounted(&two.mounts[0]) && !mounted(&two.mounts[1]));
    assert!(has_policy(&two.policies[0]) && has_policy(&two.policies[2]) && !has_policy(&two.policies[1]));
    two.run(&["plan", "--cluster", "one", "--detailed-exitcode"]).exits(0);

    // A failed cluster's policies are no orphans.
    let mended = Two { config: two.config.replace("context: gone", "context: rke"), ..two };
    mended.run(&["bootstrap"]).exits(0).says(&["4 changes made; 2 logins verified"]);
    let broken = Two { config: mended.config.replace("context: rke", "context: gone"), ..mended };
    broken.run(&["bootstrap", "--prune", "--yes"]).exits(1).says(&["nothing to change"]);
    let mended = Two { config: broken.config.replace("context: gone", "context: rke"), ..broken };
    mended.run(&["plan", "--detailed-exitcode"]).exits(0);

    // The only cluster's failure is the error itself, and wrong usage stops everything.
    let alone = Two { config: mended.config.replace("context: rke", "context: gone"), ..mended };
    alone.run(&["plan", "--cluster", "two"]).exits(1).complains(&["cluster two could not be read"]);
    let wrong = Two { config: alone.config.replace("context: gone", "context: nowhere"), ..alone };
    wrong.run(&["bootstrap"]).exits(64).complains(&["no context \"nowhere\""]);
}

#[test]
fn a_change_that_fails_for_one_cluster_leaves_the_other_verified() {
    let two = Two::new("rke");
    let vault = lab::shared().vault();
    let operator = lab::shared().unique("operator");
    let rules = format!(
        r#"path "*" {{ capabilities = ["create", "read", "update", "list", "sudo"] }}
           path "auth/{}/config" {{ capabilities = ["read"] }}"#,
        two.mounts[1]
    );
    vault.write(&format!("sys/policies/acl/{operator}"), &json!({ "policy": rules }));
    let token = vault.write("auth/token/create", &json!({ "policies": [operator], "ttl": "10m" }));
    let run = Vaultk8s::new(["bootstrap"]).on_shared().config(&two.config);
    let answer = run.env("VAULT_TOKEN", token["auth"]["client_token"].as_str().unwrap()).run().exits(1);
    answer.says(&[
        &format!("✗ config auth/{}/config", two.mounts[1]),
        &format!("not tried: it needs config auth/{}/config", two.mounts[1]),
        "7 of 9 changes made; 1 login verified",
    ]);
    two.run(&["bootstrap"]).exits(0).says(&["2 changes made; 2 logins verified"]);
    two.run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn some_of_the_clusters_are_selected() {
    let two = Two::new("rke");
    two.run(&["plan", "--cluster", "three"]).exits(64).complains(&["no cluster \"three\"", "it has: one, two"]);
    two.run(&["bootstrap", "--cluster", "two"]).exits(0).says(&["5 changes made; 1 login verified"]);
    assert!(!mounted(&two.mounts[0]) && mounted(&two.mounts[1]));
    assert!(!has_policy(&two.policies[0]) && has_policy(&two.policies[1]) && has_policy(&two.policies[2]));
    two.run(&["plan", "--cluster", "two", "--detailed-exitcode"]).exits(0);
    two.run(&["bootstrap"]).exits(0).says(&["4 changes made; 2 logins verified"]);

    // Pruning looks at the selected clusters only, and at no policy.
    for mount in &two.mounts {
        let role = json!({ "role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault" });
        lab::shared().vault().write(&format!("auth/{mount}/role/extra"), &role);
    }
    let file = two.folder.path().join("plan.json").display().to_string();
    let plan = ["plan", "--cluster", "one,two", "--cluster", "one", "--prune", "-o", "json"];
    assert_eq!(two.run(&plan).exits(0).json()["changes"].as_array().unwrap().len(), 2);
    two.run(&["plan", "--cluster", "one", "--prune", "--out", &file]).exits(0).says(&["1 to delete, 5 in order"]);
    two.run(&["bootstrap", "--plan", &file, "--yes"]).exits(0).says(&["1 change made; 1 login verified"]);
    let there = |mount: &str| lab::shared().vault().get(&format!("auth/{mount}/role/extra")).0;
    assert_eq!((there(&two.mounts[0]), there(&two.mounts[1])), (404, 200));
    two.run(&["plan", "--detailed-exitcode"])
        .exits(2)
        .says(&["Orphans", &format!("auth/{}/role/extra", two.mounts[1])]);
}

#[test]
fn a_namespace_holds_everything_and_the_others_nothing() {
    let vault = VaultServer::start(&VaultOptions::default());
    let client = vault.client();
    if !client.has_namespaces() {
        return;
    }
    for name in ["team", "other"] {
        client.write(&format!("sys/namespaces/{name}"), &json!({}));
    }
    for namespace in ["team", "other"] {
        client
            .write(&format!("{namespace}/sys/mounts/secret"), &json!({ "type": "kv", "options": { "version": "2" } }));
    }
    let two = Two::new("rke");
    let run = |namespace: &str, args: &[&str]| {
        let run = Vaultk8s::new(args.iter().copied()).on(&vault).config(&two.config);
        run.env("VAULT_NAMESPACE", namespace).run()
    };
    let before = (client.read("sys/auth")["data"].clone(), client.list("sys/policies/acl").1["data"]["keys"].clone());
    run("team", &["bootstrap"]).exits(0).says(&["9 changes made; 2 logins verified"]);
    let after = (client.read("sys/auth")["data"].clone(), client.list("sys/policies/acl").1["data"]["keys"].clone());
    assert_eq!(before, after, "the root namespace was written");
    assert!(client.read("team/sys/auth")["data"][format!("{}/", two.mounts[0])].is_object());
    run("team", &["plan", "--detailed-exitcode"]).exits(0).says(&["(namespace team)"]);
    for elsewhere in ["other", ""] {
        run(elsewhere, &["plan", "--detailed-exitcode"]).exits(2).says(&["9 to create, 0 to change, 0 in order"]);
    }
    run("nowhere", &["plan"]).exits(1);
}

#[test]
fn nothing_is_written_for_a_namespace_to_the_root_of_a_server_that_has_none() {
    let vault = CommunityEdition::start(lab::shared().vault_address(), lab::shared().run().vault_authority());
    let two = Two::new("rke");
    let run = |args: &[&str]| {
        let run = Vaultk8s::new(args.iter().copied()).on_shared().config(&two.config);
        run.env("VAULT_ADDR", vault.address()).env("VAULT_NAMESPACE", "team").run()
    };
    let mount = two.mounts[0].as_str();
    for args in [
        &["bootstrap", "--yes"][..],
        &["plan"],
        &["policy", "p-nowhere", "--kv", "secret", "--read", "a/*"],
        &["login", "--mount", mount, "--role", "r", "--service-account", "default/default"],
    ] {
        run(args).exits(1).complains(&["has no namespaces, being the community edition", "team", "--namespace \"\""]);
    }
    assert!(lab::shared().vault().read("sys/auth")["data"].get(format!("{mount}/")).is_none());
    let flags = ["verify-role", "--mount", mount, "--role", "r", "--service-account", "default/default"];
    run(&flags).exits(1).says(&["VK106", "community edition"]);
    let run = |args: &[&str]| {
        let run = Vaultk8s::new(args.iter().copied()).on_shared().config(&two.config);
        run.env("VAULT_ADDR", vault.address()).run()
    };
    run(&["plan"]).exits(0);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_stops_soon_and_the_next_one_finishes() {
    const ROLES: usize = 400;
    let vault = VaultServer::start(&VaultOptions::default());
    let names: Vec<String> = (0..ROLES).map(|number| format!("n{number}")).collect();
    let config = format!(
        "clusters: [{{ name: lab, auth: {{ method: jwt, mount: jwt, audience: vault }} }}]
policies: [{{ name: p, read: [x/*] }}]
roles: [{{ name: 'r-{{each}}', each: [{}], serviceAccounts: [default/default], policies: [p] }}]
",
        names.join(", ")
    );
    let run = |args: &[&str]| Vaultk8s::new(args.iter().copied()).on(&vault).config(&config);
    let held = || vault.client().list("auth/jwt/role").1["data"]["keys"].as_array().map_or(0, Vec::len);
    let interrupt = |command: Vaultk8s, ready: &dyn Fn() -> bool| {
        let running = command.start();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !ready() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        let sent = Instant::now();
        let id = running.id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        let answer = running.finish().exits(130).complains(&["interrupted", "the next one does what is left"]);
        assert!(sent.elapsed() < Duration::from_secs(5), "it took {:?} to stop", sent.elapsed());
        answer
    };

    let answer = interrupt(run(&["bootstrap", "-o", "json", "--parallelism", "1"]), &|| held() > 0);
    answer.says(&["the run was interrupted"]);
    let first = held();
    assert!(first > 0 && first < ROLES, "{first} roles were written");
    run(&["bootstrap", "--no-verify"]).run().exits(0).says(&[&format!("{} changes made", ROLES - first)]);
    run(&["plan", "--detailed-exitcode"]).run().exits(0);

    // During the logins: those under way end with the revocation of their tokens.
    let tokens = || vault.client().list("auth/token/accessors").1["data"]["keys"].as_array().map_or(0, Vec::len);
    let logins = || vault.requests().iter().filter(|request| request.path == "auth/jwt/login").count();
    let before = tokens();
    interrupt(run(&["bootstrap", "-o", "json"]), &|| logins() > 3);
    assert!(logins() < ROLES, "every login was made");
    assert_eq!(tokens(), before);
    run(&["plan", "--detailed-exitcode"]).run().exits(0);
}
