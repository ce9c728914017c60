//! One role and one policy for all accounts: `{accessor}` and what Vault fills in, on real servers.

use std::path::Path;
use std::time::Duration;

use lab::{Gate, HoldAt, Mount, Vault};
use serde_json::{Value, json};

use crate::command::{Answer, Vaultk8s, testdata};
use crate::kubernetes_fixture::API_AUDIENCE as API;

/// A cluster whose accounts `app` of two namespaces have one role and one policy.
struct Tenants {
    mount: Mount,
    policy: String,
    namespaces: [String; 2],
    config: String,
}

impl Tenants {
    fn jwt() -> Self {
        Self::new(
            "{ method: jwt, mount: MOUNT, audience: vault }",
            "    claimMappings: { /kubernetes.io/namespace: service_account_namespace }",
        )
    }

    fn kubernetes() -> Self {
        Self::new(
            &format!("{{ method: kubernetes, mount: MOUNT, audience: {API}, reviewer: {{ token: client }} }}"),
            "",
        )
    }

    fn new(auth: &str, role: &str) -> Self {
        let lab = lab::shared();
        let (mount, policy) = (lab.mount("tenants"), lab.unique("p-tenants"));
        let namespaces = ["one", "two"].map(|name| lab.namespace(name));
        for namespace in &namespaces {
            lab.service_account(namespace, "app");
            if auth.contains("token: client") {
                review(namespace);
            }
        }
        let [one, two] = &namespaces;
        let config = format!(
            "clusters:
  - name: lab
    context: {context}
    auth: {auth}
policies:
  - name: {policy}
    read: [{{{{identity.entity.aliases.{{accessor}}.metadata.service_account_namespace}}}}/*]
roles:
  - name: tenants
    serviceAccounts: [{one}/app, {two}/app]
    policies: [{policy}]
    ttl: 10m
{role}
expect:
  - {{ serviceAccounts: {one}/app, can: read, paths: [{one}/db] }}
  - {{ serviceAccounts: {one}/app, cannot: read, paths: [{two}/db] }}
",
            context = lab.context(),
            auth = auth.replace("MOUNT", mount.as_str()),
        );
        Self { mount, policy, namespaces, config }
    }

    fn command(&self, line: &str) -> Vaultk8s {
        Vaultk8s::new(line.split(' ')).on_shared().config(&self.config)
    }

    fn run(&self, line: &str) -> Answer {
        self.command(line).run()
    }

    fn accessor(&self) -> String {
        let mounts = vault().read("sys/auth");
        mounts["data"][format!("{}/", self.mount)]["accessor"].as_str().unwrap().to_owned()
    }

    /// The policy's text in Vault.
    fn held(&self) -> (u16, Value) {
        vault().get(&format!("sys/policies/acl/{}", self.policy))
    }

    /// The token of a namespace's account after its login.
    fn login(&self, namespace: &str) -> Vault {
        let token = lab::shared().token(namespace, "app", &["vault", API], 600);
        vault().logged_in(&self.mount, "tenants", &token)
    }

    /// Whether each account reads what is its own, and nothing of the other one.
    fn each_reads_its_own(&self) {
        for own in &self.namespaces {
            vault().write(&format!("secret/data/{own}/db"), &json!({ "data": { "of": own } }));
        }
        for own in &self.namespaces {
            let login = self.login(own);
            for other in &self.namespaces {
                let expected = if own == other { 200 } else { 403 };
                assert_eq!(login.get(&format!("secret/data/{other}/db")).0, expected, "{own} reads {other}");
            }
        }
    }
}

fn vault() -> &'static Vault {
    lab::shared().vault()
}

/// Lets the account of a namespace review tokens, as it has to where nobody else does it.
fn review(namespace: &str) {
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": { "name": format!("{namespace}-reviews") },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator" },
        "subjects": [{ "kind": "ServiceAccount", "name": "app", "namespace": namespace }],
    });
    let path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    assert_eq!(lab::shared().kubernetes().post(path, &binding).0, 201);
}

fn saved(folder: &Path) -> String {
    folder.join("plan.json").display().to_string()
}

#[test]
fn the_accessor_is_known_once_the_mount_is_there() {
    let tenants = Tenants::jwt();
    let known_after = format!("aliases.(known after auth/{} is enabled).metadata", tenants.mount);
    tenants.run("plan").exits(0).says(&[&known_after]);
    let plan = tenants.run("plan -o json").exits(0).json();
    let changes = plan["changes"].as_array().unwrap();
    let policy = changes.iter().find(|change| change["object"] == "policy").unwrap();
    assert_eq!(policy["write"]["policy"]["accessorsOf"], json!([tenants.mount.as_str()]));
    assert_eq!(policy["needs"], json!([{ "object": "mount", "mount": tenants.mount.as_str() }]));

    tenants.run("bootstrap").exits(0).says(&["2 logins verified"]);
    let (_, held) = tenants.held();
    let template = format!("{{{{identity.entity.aliases.{}.metadata.", tenants.accessor());
    assert!(held["data"]["policy"].as_str().unwrap().contains(&template), "{held}");
    tenants.run("plan --detailed-exitcode").exits(0).says(&["No changes."]);
    tenants.each_reads_its_own();
    tenants.run("bootstrap").exits(0).says(&["No changes.", "2 logins verified"]);
    tenants.run("verify-role tenants").exits(0);
}

#[test]
fn a_mount_made_anew_has_another_accessor() {
    let tenants = Tenants::jwt();
    tenants.run("bootstrap").exits(0);
    let before = tenants.accessor();
    vault().delete(&format!("sys/auth/{}", tenants.mount));
    tenants.run("plan").exits(0).says(&["known after auth/", &before]);
    tenants.run("bootstrap").exits(0).says(&["2 logins verified"]);
    assert_ne!(tenants.accessor(), before);
    tenants.each_reads_its_own();
}

#[test]
fn a_plan_from_before_the_mount_is_stale_after_it() {
    let tenants = Tenants::jwt();
    let folder = tempfile::tempdir().unwrap();
    let file = saved(folder.path());
    tenants.run(&format!("plan --out {file}")).exits(0);
    vault().write(&format!("sys/auth/{}", tenants.mount), &json!({ "type": "jwt" }));
    let said = tenants.run(&format!("bootstrap --plan {file}")).exits(1);
    said.complains(&[&format!("policy {} differs in policy", tenants.policy)]);
    assert_eq!(tenants.held().0, 404);
    // One that was made since holds.
    tenants.run(&format!("plan --out {file}")).exits(0);
    tenants.run(&format!("bootstrap --plan {file}")).exits(0).says(&["2 logins verified"]);
    tenants.each_reads_its_own();
}

#[test]
fn a_saved_plan_is_filled_in_when_it_is_applied() {
    let tenants = Tenants::jwt();
    let folder = tempfile::tempdir().unwrap();
    let file = saved(folder.path());
    tenants.run(&format!("plan --out {file}")).exits(0);
    tenants.run(&format!("bootstrap --plan {file}")).exits(0).says(&["2 logins verified"]);
    tenants.each_reads_its_own();
}

#[test]
fn a_policy_is_held_back_while_the_accessor_is_not_known() {
    let tenants = Tenants::jwt();
    let gate = Gate::start(lab::shared().vault_address(), lab::shared().run().vault_authority());
    // Right after the mount was made, it is gone.
    let held_up = gate.hold(HoldAt { index: 0, writes: true, answered: true });
    let mut running = tenants.command("bootstrap --no-verify").env("VAULT_ADDR", gate.address()).start();
    while !held_up.came_within(Duration::from_millis(20)) && !running.has_ended() {}
    vault().delete(&format!("sys/auth/{}", tenants.mount));
    held_up.let_go();
    let answer = running.finish().exits(1);
    answer.says(&[&format!("the accessor of auth/{} isn't known, so the policy was not written", tenants.mount)]);
    assert_eq!(tenants.held().0, 404);
    // The next run does what is left.
    tenants.run("bootstrap").exits(0).says(&["2 logins verified"]);
    tenants.each_reads_its_own();
}

#[test]
fn a_step_from_flags_has_no_mount_to_speak_of() {
    let policy = lab::shared().unique("p-step");
    for path in ["{{identity.entity.aliases.{accessor}.metadata.x}}/*", "{accessor}/*", "{{a.{accessor:jwt}.b}}/*"] {
        let run = |flag: &str, path: &str| {
            Vaultk8s::new(["policy", &policy, flag, path]).on_shared().run().exits(64).complains(&["{accessor}"])
        };
        run("--read", path);
        run("--rule", &format!("secret/data/{path}=read"));
    }
    assert_eq!(vault().get(&format!("sys/policies/acl/{policy}")).0, 404);
}

#[test]
fn a_policy_of_a_mount_is_pruned_and_kept_as_any_other() {
    let tenants = Tenants::kubernetes();
    tenants.run("bootstrap").exits(0).says(&["2 logins verified"]);
    tenants.each_reads_its_own();
    let other = lab::shared().unique("p-other");
    let renamed = Tenants {
        config: tenants.config.replace(&tenants.policy, &other),
        policy: other,
        mount: tenants.mount.clone(),
        namespaces: tenants.namespaces.clone(),
    };
    renamed.run("bootstrap --prune --approve delete").exits(0);
    assert_eq!((tenants.held().0, renamed.held().0), (404, 200));
    renamed.each_reads_its_own();
    renamed.run("plan --prune --detailed-exitcode").exits(0).says(&["No changes."]);
}

#[test]
fn a_rehearsal_shows_what_each_account_gets() {
    for tenants in [Tenants::jwt(), Tenants::kubernetes()] {
        let [one, two] = &tenants.namespaces;
        let rehearsal = Vaultk8s::new(["rehearse", "-o", "json", "--key-type", "ec"]).config(&tenants.config);
        let answer = rehearsal.env("VAULTK8S_VAULT_BIN", lab::shared().vault_program()).run().exits(0);
        let report = answer.json();
        assert_eq!(report["unforeseen"], Value::Null, "{report}");
        let access = report["clusters"][0]["access"].as_array().unwrap();
        for (access, own) in access.iter().zip([one, two]) {
            let paths: Vec<&str> =
                access["grants"].as_array().unwrap().iter().map(|grant| grant["path"].as_str().unwrap()).collect();
            assert_eq!(
                (access["serviceAccount"].as_str().unwrap(), paths),
                (&*format!("{own}/app"), vec![&*format!("secret/data/{own}/*")])
            );
        }
        assert!(
            report["expectations"].as_array().unwrap().iter().all(|expected| expected["holds"] == true),
            "{report}"
        );
        // The other way round, both fail.
        let wrong = tenants
            .config
            .replace(": read, paths: [", ": read, paths: [x-")
            .replace("cannot: read, paths: [x-", "cannot: read, paths: [");
        let wrong = wrong.replace(&format!("cannot: read, paths: [{two}/"), &format!("cannot: read, paths: [{one}/"));
        let rehearsal = Vaultk8s::new(["rehearse", "-o", "json", "--key-type", "ec"]).config(&wrong);
        let answer = rehearsal.env("VAULTK8S_VAULT_BIN", lab::shared().vault_program()).run().exits(1);
        assert!(answer.json()["expectations"].as_array().unwrap().iter().all(|expected| expected["holds"] == false));
    }
}

#[test]
fn a_login_is_asked_about_what_its_templates_become() {
    for tenants in [Tenants::jwt(), Tenants::kubernetes()] {
        let [one, two] = &tenants.namespaces;
        tenants.run("bootstrap").exits(0);
        let report = tenants.run("verify-role tenants -o json").exits(0).json().to_string();
        for own in [one, two] {
            assert!(report.contains(&format!("\"read secret/data/{own}/*\"")), "{report}");
        }
        let refused = |wrong: &str| {
            vault().write(&format!("sys/policies/acl/{}", tenants.policy), &json!({ "policy": wrong }));
            tenants.run("verify-role tenants").exits(1)
        };
        // A mount that was there before: nobody has an alias of it.
        let (_, held) = tenants.held();
        let held = held["data"]["policy"].as_str().unwrap();
        refused(&held.replace(&tenants.accessor(), "auth_jwt_00000000"))
            .says(&["VK510", "auth_jwt_00000000, which no auth mount has"]);
        // What is for one account and all have.
        let all = format!("{held}\npath \"secret/data/{two}/*\" {{ capabilities = [\"read\"] }}");
        refused(&all).says(&["VK507", &format!("secret/data/{two}/")]);
    }
}

/// The page, its configurations, and where they lie as files.
const PAGE: &str = include_str!("../docs/templates.md");
const FILES: [&str; 3] = ["tenants-kubernetes.yaml", "tenants-jwt.yaml", "tenants-annotations.yaml"];

fn blocks() -> Vec<&'static str> {
    PAGE.split("```yaml\n").skip(1).map(|rest| rest.split("```\n").next().unwrap()).collect()
}

#[test]
fn the_configurations_of_the_page_are_files() {
    let files = FILES.map(|name| std::fs::read_to_string(testdata(&format!("configs/{name}"))).unwrap());
    assert_eq!(blocks(), files);
}

/// Whether the server knows annotations as metadata: HashiCorp's does.
fn has_annotations() -> bool {
    let lab = lab::shared();
    let mount = lab.mount("annotations");
    vault().write(&format!("sys/auth/{mount}"), &json!({ "type": "kubernetes" }));
    let ca = lab.kubernetes_ca();
    let config =
        json!({ "kubernetes_host": "https://127.0.0.1:1", "disable_local_ca_jwt": true, "kubernetes_ca_cert": ca });
    vault().write(&format!("auth/{mount}/config"), &config);
    let there = vault().read(&format!("auth/{mount}/config"));
    there["data"].get("use_annotations_as_alias_metadata").is_some()
}

#[test]
fn the_configurations_of_the_page_are_rehearsed() {
    for (name, block) in FILES.iter().zip(blocks()) {
        let rehearsal = Vaultk8s::new(["rehearse", "-o", "json", "--key-type", "ec"]).config(block);
        let answer = rehearsal.env("VAULTK8S_VAULT_BIN", lab::shared().vault_program()).run();
        if name.contains("annotations") && !has_annotations() {
            answer.exits(1).complains(&["annotationsAsMetadata", "OpenBao"]);
            continue;
        }
        let report = answer.exits(0).json();
        assert_eq!(report["success"], true, "{name}: {report}");
        let expectations = report["expectations"].as_array().unwrap();
        assert_eq!(expectations.len(), if name.contains("annotations") { 0 } else { 3 }, "{name}");
        assert!(expectations.iter().all(|expected| expected["holds"] == true), "{name}: {report}");
        let refusals = report["clusters"][0]["refusals"].as_array().unwrap();
        assert!(refusals.len() > 3, "{name}: {report}");
    }
}

/// The page's, on the lab's cluster, with accounts of namespaces that are the test's own.
fn of_page(block: &str) -> Tenants {
    let lab = lab::shared();
    let tenants = Tenants::kubernetes();
    let [one, two] = &tenants.namespaces;
    let (review, binding) = (lab.namespace("review"), lab.unique("tokenreview"));
    let changes = [
        ("context: prod", format!("context: {}", lab.context())),
        ("team-a/external-secrets", format!("{one}/app")),
        ("team-b/external-secrets", format!("{two}/app")),
        ("team-a/", format!("{one}/")),
        ("team-b/", format!("{two}/")),
        ("name: tenants-{cluster}", format!("name: {}", tenants.policy)),
        ("policies: tenants-{cluster}", format!("policies: {}", tenants.policy)),
        ("mount: kubernetes-{cluster}", format!("mount: {}", tenants.mount)),
        ("mount: jwt-{cluster}", format!("mount: {}", tenants.mount)),
        ("vault-auth/vault-auth", format!("{review}/vault-auth")),
        ("bindingName: vault-auth", format!("bindingName: {binding}")),
    ];
    let config = changes.iter().fold(block.to_owned(), |config, (from, to)| config.replace(from, to));
    Tenants { config, ..tenants }
}

#[test]
fn the_configurations_of_the_page_are_bootstrapped() {
    for (name, block) in FILES.iter().zip(blocks()).filter(|(name, _)| !name.contains("annotations")) {
        let tenants = of_page(block);
        let answer = tenants.run("bootstrap").exits(0).says(&["2 logins verified"]);
        assert!(!answer.stdout.contains("can't be foretold"), "{name}: {}", answer.stdout);
        tenants.each_reads_its_own();
        tenants.run("plan --detailed-exitcode").exits(0).says(&["No changes."]);
    }
}

#[test]
fn annotations_say_what_an_account_reads_where_the_server_knows_them() {
    let tenants = of_page(blocks()[2]);
    if !has_annotations() {
        tenants.run("bootstrap").exits(1).complains(&["annotationsAsMetadata", "OpenBao"]);
        return;
    }
    for namespace in &tenants.namespaces {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/app");
        let (_, mut account) = lab::shared().kubernetes().get(&path);
        account["metadata"]["annotations"] = json!({ "vault.hashicorp.com/alias-metadata-team": namespace });
        assert_eq!(lab::shared().kubernetes().put(&path, &account).0, 200);
    }
    tenants.run("bootstrap").exits(0).says(&["2 logins verified"]);
    tenants.each_reads_its_own();
}
