//! The small commands, each one step of the same pipeline, against a real OpenBao (or Vault) and a real kube-apiserver.

use lab::{Mount, VaultOptions, VaultServer};
use serde_json::json;

use crate::command::{self, Vaultk8s, external_secrets, testdata};

/// Names of its own on the shared servers.
struct Names {
    mount: Mount,
    policy: String,
    namespace: String,
    account: String,
}

impl Names {
    fn new() -> Self {
        let lab = lab::shared();
        let namespace = lab.namespace("step");
        lab.service_account(&namespace, "app");
        let account = format!("{namespace}/app");
        Self { mount: lab.mount("jwt"), policy: lab.unique("p-step"), namespace, account }
    }

    fn run(line: &str) -> command::Answer {
        Vaultk8s::new(line.split_whitespace()).on_shared().run()
    }

    fn auth(&self) -> String {
        format!("auth jwt --mount {}", self.mount)
    }

    fn policy(&self) -> String {
        let Self { policy, namespace, .. } = self;
        format!("policy {policy} --read {namespace}/* --list {namespace}/*")
    }

    fn role(&self) -> String {
        let Self { mount, policy, account, .. } = self;
        format!("role r-app --mount {mount} --service-account {account} --policy {policy} --audience vault --ttl 10m")
    }

    fn login(&self) -> String {
        format!("login --mount {} --role r-app --service-account {} --audience vault", self.mount, self.account)
    }
}

#[test]
fn step_by_step_gives_what_the_file_gives() {
    let names = Names::new();
    let vault = lab::shared().vault();
    for (line, changes) in [(names.auth(), 2), (names.policy(), 1), (names.role(), 1)] {
        // Nothing happens in a dry run.
        Names::run(&format!("{line} --dry-run")).exits(0).says(&[&format!("{changes} to create")]);
        Names::run(&format!("{line} --dry-run")).exits(0).says(&[&format!("{changes} to create")]);
        Names::run(&line).exits(0).says(&[if changes == 1 { "1 change made." } else { "2 changes made." }]);
        Names::run(&line).exits(0).says(&["No changes.", "nothing to change.", " 0 writes."]);
    }
    Names::run(&names.login()).exits(0).says(&[
        &format!("policies       default, {}", names.policy),
        "ttl            600 s",
        "accessor",
        "entity",
        "The token was revoked",
    ]);
    let Names { mount, policy, namespace, account } = &names;
    let config = format!(
        "clusters:
  - name: lab
    context: {context}
    auth: {{ method: jwt, mount: {mount}, audience: vault }}
policies:
  - name: {policy}
    read: {namespace}/*
    list: {namespace}/*
roles:
  - name: r-app
    serviceAccounts: {account}
    policies: {policy}
    ttl: 10m
",
        context = lab::shared().context()
    );
    Vaultk8s::new(["plan", "--detailed-exitcode"]).on_shared().config(&config).run().exits(0).says(&["No changes."]);
    assert_eq!(vault.read(&format!("auth/{mount}/role/r-app"))["data"]["token_ttl"], 600);
}

#[test]
fn a_step_is_a_document_too() {
    let names = Names::new();
    let plan = Names::run(&format!("{} --dry-run -o json", names.policy())).exits(0).json();
    assert_eq!((&plan["kind"], &plan["changes"][0]["object"]), (&json!("Plan"), &json!("policy")));
    let step = Names::run(&format!("{} -o json", names.policy())).exits(0).json();
    assert_eq!((&step["kind"], &step["success"], &step["writes"]), (&json!("Step"), &json!(true), &json!(1)));
    assert_eq!(step["applied"]["results"][0]["outcome"], "done");
}

#[test]
fn every_verb_and_a_rule_of_ones_own() {
    let policy = lab::shared().unique("p-verbs");
    Names::run(&format!(
        "policy {policy} --read secret/app/* --write app/a app/b --delete app/c --rule auth/token/lookup-self=read"
    ))
    .exits(0);
    let text = lab::shared().vault().read(&format!("sys/policies/acl/{policy}"))["data"]["policy"].clone();
    let text = text.as_str().unwrap();
    for rule in [
        "path \"secret/data/app/*\" {\n  capabilities = [\"read\"]",
        "path \"secret/data/app/a\" {\n  capabilities = [\"create\", \"update\"]",
        "path \"secret/data/app/c\" {\n  capabilities = [\"delete\"]",
        "path \"auth/token/lookup-self\" {\n  capabilities = [\"read\"]",
    ] {
        assert!(text.contains(rule), "no {rule} in\n{text}");
    }
}

#[test]
fn a_cluster_out_of_reach_is_set_up_from_its_files() {
    let lab = lab::shared();
    let names = Names::new();
    let line =
        format!("{} --issuer {} --jwks-file keys.json --description by-hand", names.auth(), lab.kubernetes_server());
    let run = || {
        let command = Vaultk8s::new(line.split_whitespace()).on_shared().env("KUBECONFIG", "");
        command.file("keys.json", &lab.kubectl_get_raw("/openid/v1/jwks")).run()
    };
    run().exits(0).says(&["2 changes made."]);
    // The cluster itself says the same, and a description that no flag names stays.
    Names::run(&names.auth()).exits(0).says(&["No changes."]);
    Names::run(&format!("{} --jwks-file keys.json", names.auth())).exits(64);
}

#[test]
fn another_issuer_is_not_replaced_unasked() {
    let names = Names::new();
    Names::run(&names.auth()).exits(0);
    let other = format!("{} --issuer https://other.example.internal", names.auth());
    Names::run(&other).exits(1).complains(&["--yes"]);
    Names::run(&names.auth()).exits(0).says(&["No changes."]);
    Names::run(&format!("{other} --yes")).exits(0).says(&["1 change made."]);
}

#[test]
fn a_role_needs_a_mount_and_policies_that_are_there() {
    let lab = lab::shared();
    let names = Names::new();
    Names::run(&names.policy()).exits(0);
    Names::run(&names.role()).exits(1).complains(&["there is no auth mount", "vaultk8s auth jwt --mount"]);
    Names::run(&names.auth()).exits(0);
    let without = names.role().replace(&names.policy, "p-nowhere");
    Names::run(&without).exits(1).complains(&["there is no policy p-nowhere", "vaultk8s policy p-nowhere"]);
    // Also a mount of a type that has no such roles.
    let userpass = lab.mount("userpass");
    lab.vault().write(&format!("sys/auth/{userpass}"), &json!({ "type": "userpass" }));
    Names::run(&names.role().replace(&*names.mount, &userpass)).exits(1).complains(&["of type userpass"]);
    assert_eq!(lab.vault().get(&format!("auth/{}/role/r-app", names.mount)).0, 404);
}

#[test]
fn a_role_leaves_the_configuration_of_its_mount_alone() {
    let names = Names::new();
    let vault = lab::shared().vault();
    for line in [names.auth(), names.policy()] {
        Names::run(&line).exits(0);
    }
    let config = format!("auth/{}/config", names.mount);
    let mut changed = vault.read(&config)["data"].clone();
    changed["default_role"] = json!("r-app");
    vault.write(&config, &changed);
    Names::run(&names.role()).exits(0);
    assert_eq!(vault.read(&config)["data"]["default_role"], "r-app");
}

#[test]
fn wrong_flags_say_what_to_write() {
    let role = "role r-app --mount jwt --service-account *: --policy p --audience vault";
    Names::run(role).exits(64).complains(&["namespace/name"]);
    Names::run("role r-app --mount jwt --service-account a/b --policy p").exits(64).complains(&["--audience"]);
    Names::run("policy p-x").exits(64).complains(&["--read"]);
    Names::run("policy p-x --read data/x").exits(64).complains(&["data/"]);
    Names::run("policy p-x --rule sys/health").exits(64).complains(&["no `=`"]);
    Names::run("policy root --read x").exits(64).complains(&["belongs to Vault itself"]);
    Names::run("login --mount jwt --role r").exits(64).complains(&["--service-account"]);
}

#[test]
fn a_login_shows_its_token_only_when_asked_to() {
    let lab = lab::shared();
    let names = Names::new();
    for line in [names.auth(), names.policy(), names.role()] {
        Names::run(&line).exits(0);
    }
    // Nobody needs a token for Vault to log in.
    let login = |flags: &str| {
        let line = format!("{} -o json {flags}", names.login());
        Vaultk8s::new(line.split_whitespace()).on_shared().env("VAULT_TOKEN", "").run()
    };
    let silent = login("").exits(0).json();
    assert_eq!((&silent["kind"], &silent["revoked"], &silent["ttl"]), (&json!("Login"), &json!(true), &json!(600)));
    assert!(silent.get("token").is_none(), "{silent}");
    let accessor = json!({ "accessor": silent["accessor"] });
    assert_ne!(lab.vault().post("auth/token/lookup-accessor", &accessor).0, 200, "the token lives on");
    let shown = login("--show-token").exits(0).json();
    let token = shown["token"].as_str().unwrap();
    assert_eq!(lab.vault().with_token(token).get("auth/token/lookup-self").0, 200);
    assert_eq!(shown["subject"], format!("system:serviceaccount:{}:app", names.namespace));

    // The cluster's token may come from elsewhere.
    let jwt = lab.token(&names.namespace, "app", &["vault"], 600);
    let line = format!("login --mount {} --role r-app --jwt-file -", names.mount);
    let piped = |jwt: &str| Vaultk8s::new(line.split_whitespace()).on_shared().stdin(jwt).run();
    piped(&jwt).exits(0).says(&["The token was revoked"]);
    piped(" ").exits(1).complains(&["standard input holds no token", "kubectl create token"]);
    let wrong = lab.token(&names.namespace, "app", &["other"], 600);
    let refused = piped(&wrong).exits(1).complains(&["Vault refused the login", "audience", "aud [\"other\"]"]);
    assert!(!format!("{}{}", refused.stdout, refused.stderr).contains(&wrong));
}

#[test]
fn what_may_not_end_itself_is_ended_by_the_operator() {
    let names = Names::new();
    for line in [names.auth(), names.policy(), format!("{} --no-default-policy", names.role())] {
        Names::run(&line).exits(0);
    }
    Names::run(&names.login()).exits(0).says(&["The token was revoked"]);
    let alone = Vaultk8s::new(names.login().split_whitespace()).on_shared().env("VAULT_TOKEN", "").run();
    alone.exits(0).says(&["The token was not revoked and lives for 600 s."]);
}

#[test]
fn a_first_file_is_written_once_and_works_as_it_is() {
    let lab = lab::shared();
    external_secrets(lab);
    let vault = VaultServer::start(&VaultOptions::default());
    let text = Vaultk8s::new(["init", "--out", "-"]).on(&vault).run().exits(0).stdout;
    let run = |args: &[&str]| Vaultk8s::new(args.iter().copied()).on(&vault).config(&text).run();
    run(&["plan"]).exits(0).says(&["4 to create", "r-eso-jwt-taloslmn-read"]);
    run(&["bootstrap"]).exits(0).says(&["4 changes made; 1 login verified"]);
    run(&["plan", "--detailed-exitcode"]).exits(0);

    let there = Vaultk8s::new(["init"]).on(&vault).config("mine").run().exits(64);
    there.complains(&["vaultk8s.yaml is there already", "--force"]);
    Vaultk8s::new(["init", "--force"]).on(&vault).config("mine").run().exits(0).complains(&["wrote vaultk8s.yaml"]);
    Vaultk8s::new(["init", "--context", "nowhere"]).on(&vault).run().exits(64).complains(&["no context \"nowhere\""]);
    Vaultk8s::new(["init"]).run().exits(64).complains(&["there is no kubeconfig"]);
}

#[test]
fn the_talos_operator_policy_reads_like_this() {
    let file = testdata("configs/talos.yaml").display().to_string();
    let text = Vaultk8s::new(["render", "operator-policy", "-f", &file]).run().exits(0).stdout;
    snapbox::assert_data_eq!(text, snapbox::file!["../testdata/operator-policy/talos.hcl"].raw());
}
