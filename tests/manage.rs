//! Roles on a mount that another file keeps (`auth: { manage: false }`): the mount stays as it is, whatever this file says.

use serde_json::{Value, json};

use crate::command::{Answer, Vaultk8s, reader};
use crate::fixture::Fixture;
use crate::kubernetes_fixture;

/// A team's file with a policy and a role of its own on somebody's mount.
struct Team {
    mount: String,
    policy: String,
    config: String,
}

impl Team {
    /// With what `auth` says of the mount beside its path, and a context of the kubeconfig.
    fn new(mount: &str, context: &str, auth: &str) -> Self {
        let lab = lab::shared();
        let (policy, namespace) = (lab.unique("p-team"), lab.namespace("team"));
        lab.service_account(&namespace, "app");
        let config = format!(
            "clusters:
  - name: lab
    context: {context}
    auth: {{ mount: {mount}, manage: false, {auth} }}
{}",
            reader(&policy, &namespace).replace("r-app", "r-team")
        );
        Self { mount: mount.to_owned(), policy, config }
    }

    /// On the jwt mount of another file.
    fn on(keeper: &Fixture) -> Self {
        Self::new(&keeper.mount, lab::shared().context(), "method: jwt, audience: vault")
    }

    fn run(&self, args: &[&str]) -> Answer {
        self.command(args).run()
    }

    fn command(&self, args: &[&str]) -> Vaultk8s {
        Vaultk8s::new(args.iter().copied()).on_shared().config(&self.config)
    }

    /// Whether nothing of the team's was written.
    fn wrote_nothing(&self) -> bool {
        let vault = lab::shared().vault();
        vault.get(&format!("sys/policies/acl/{}", self.policy)).0 == 404
            && vault.get(&format!("auth/{}/role/r-team", self.mount)).0 == 404
    }

    fn keeper(&self) -> String {
        format!("the file that keeps auth/{}", self.mount)
    }
}

/// All that is the mount's own: what `sys/auth` says, its record of keys included, and its configuration.
fn mount(path: &str) -> (Value, Value) {
    let vault = lab::shared().vault();
    let listed = vault.read("sys/auth")["data"][format!("{path}/")].clone();
    (listed, vault.get(&format!("auth/{path}/config")).1["data"].clone())
}

#[test]
fn roles_are_written_on_a_mount_that_is_as_they_need_it_and_it_stays_as_it_was() {
    let keeper = Fixture::new();
    keeper.bootstrap();
    let (team, before) = (Team::on(&keeper), mount(&keeper.mount));
    let plan = team.run(&["plan", "-o", "json"]).exits(0).json();
    let objects: Vec<&str> =
        plan["changes"].as_array().unwrap().iter().map(|change| change["object"].as_str().unwrap()).collect();
    assert_eq!((objects, &plan["unchanged"]), (vec!["policy", "role"], &json!(0)), "{plan}");
    assert!(plan.get("warnings").is_none(), "{plan}");
    team.run(&["bootstrap"]).exits(0).says(&["2 changes made; 1 login verified"]);
    assert_eq!(mount(&keeper.mount), before);
    team.run(&["plan", "--detailed-exitcode"]).exits(0).says(&["No changes."]);
    assert_eq!(team.run(&["plan", "-o", "json"]).exits(0).json()["unchanged"], 2);
    // To each file the other's role is nobody's to touch.
    keeper.in_order();
    team.run(&["bootstrap", "--prune", "--yes"]).exits(0);
    keeper.command(["bootstrap", "--prune", "--yes"]).run().exits(0);
    for role in ["r-app", "r-team"] {
        assert_eq!(lab::shared().vault().get(&format!("auth/{}/role/{role}", keeper.mount)).0, 200, "{role}");
    }
    team.run(&["verify-role", "r-team"]).exits(0);
}

#[test]
fn another_issuer_is_told_with_whose_it_is_to_change() {
    let keeper = Fixture::new();
    keeper.bootstrap();
    let (vault, team) = (lab::shared().vault(), Team::on(&keeper));
    let path = format!("auth/{}/config", keeper.mount);
    let mut config = vault.read(&path)["data"].clone();
    config["bound_issuer"] = "https://other.example".into();
    vault.write(&path, &config);
    let before = mount(&keeper.mount);
    let told = "bound_issuer is \"https://other.example\", and the roles here need";
    team.run(&["plan", "--detailed-exitcode"]).exits(2).says(&[
        "warning: ",
        told,
        &team.keeper(),
        "`auth.issuer` here",
    ]);
    // Nothing of it is trust that this file replaces, so there is nothing to confirm.
    let answer = team.run(&["bootstrap"]).exits(1).says(&["2 changes made", "VK312", &team.keeper()]);
    assert!(!answer.stdout.contains("let Vault hold what the file says"), "{}", answer.stdout);
    let answer = team.run(&["verify-role", "r-team"]).exits(1).says(&["VK312", &team.keeper()]);
    assert!(!answer.stdout.contains("vaultk8s bootstrap -f"), "{}", answer.stdout);
    assert_eq!(mount(&keeper.mount), before);
    // Roles are in order for all that, and the mount's difference stays told.
    team.run(&["plan", "--detailed-exitcode"]).exits(0).says(&["No changes.", told]);
}

#[test]
fn keys_that_the_mount_lacks_are_told_and_not_pinned() {
    let keeper = Fixture::new();
    keeper.bootstrap();
    let (vault, team) = (lab::shared().vault(), Team::on(&keeper));
    let path = format!("auth/{}/config", keeper.mount);
    let mut config = vault.read(&path)["data"].clone();
    config["jwt_validation_pubkeys"] = json!([include_str!("../testdata/jwks/p256.pem")]);
    config["jwt_supported_algs"] = json!(["ES256"]);
    vault.write(&path, &config);
    let before = mount(&keeper.mount);
    team.run(&["plan"]).exits(0).says(&[
        "jwt_validation_pubkeys is without keys that the cluster signs with",
        "jwt_validation_pubkeys is with keys that the cluster neither publishes nor was seen to publish",
        "jwt_supported_algs is ES256",
    ]);
    team.run(&["bootstrap", "--yes"]).exits(1).says(&["VK313", &team.keeper()]);
    assert_eq!(mount(&keeper.mount), before);
}

#[test]
fn a_mount_that_is_not_there_is_not_made() {
    let mount = lab::shared().mount("jwt");
    let team = Team::new(&mount, lab::shared().context(), "method: jwt, audience: vault");
    let missing = format!("there is no auth mount at auth/{mount}/");
    for args in [&["plan"][..], &["bootstrap", "--yes"]] {
        team.run(args).exits(1).complains(&[
            &missing,
            "`manage: false`",
            &format!("bootstrap {} first", team.keeper()),
        ]);
    }
    assert!(team.wrote_nothing());
    assert!(lab::shared().vault().read("sys/auth")["data"].get(format!("{mount}/")).is_none());
    team.run(&["verify-role", "r-team"]).exits(1).says(&["VK301", &missing, &team.keeper()]);
}

#[test]
fn a_mount_of_another_type_and_one_without_configuration() {
    let (vault, path) = (lab::shared().vault(), lab::shared().mount("taken"));
    vault.write(&format!("sys/auth/{path}"), &json!({ "type": "kubernetes" }));
    let before = mount(&path);
    let team = Team::new(&path, lab::shared().context(), "method: jwt, audience: vault");
    team.run(&["bootstrap", "--yes"]).exits(1).complains(&["is a mount of type kubernetes", &team.keeper()]);
    assert!(team.wrote_nothing());
    assert_eq!(mount(&path), before);

    let path = lab::shared().mount("bare");
    vault.write(&format!("sys/auth/{path}"), &json!({ "type": "jwt" }));
    let team = Team::new(&path, lab::shared().context(), "method: jwt, audience: vault");
    team.run(&["plan"]).exits(0).says(&["has no configuration", &format!("bootstrap {} first", team.keeper())]);
}

#[test]
fn the_printed_policy_is_enough_and_the_mount_is_out_of_its_reach() {
    let keeper = Fixture::new();
    keeper.bootstrap();
    let (vault, team, before) = (lab::shared().vault(), Team::on(&keeper), mount(&keeper.mount));
    let policy = team.run(&["render", "operator-policy", "--prune"]).exits(0).stdout;
    let name = lab::unique("operator");
    vault.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": policy }));
    let token = json!({ "policies": [name], "ttl": "30m", "no_default_policy": true });
    let token = vault.write("auth/token/create", &token)["auth"]["client_token"].as_str().unwrap().to_owned();
    let run = |args: &[&str]| team.command(args).env("VAULT_TOKEN", &token).run();
    run(&["plan"]).exits(0);
    run(&["bootstrap"]).exits(0).says(&["2 changes made; 1 login verified"]);
    run(&["plan", "--detailed-exitcode"]).exits(0);
    let operator = vault.with_token(&token);
    let path = &keeper.mount;
    let config = vault.read(&format!("auth/{path}/config"))["data"].clone();
    for (path, body) in [
        (format!("auth/{path}/config"), config),
        (format!("sys/auth/{path}"), json!({ "type": "jwt" })),
        (format!("sys/auth/{path}/tune"), json!({ "description": "mine" })),
        (format!("sys/mounts/auth/{path}/tune"), json!({ "options": { "mine": "x" } })),
        (format!("auth/{path}/role/r-app"), json!({ "token_ttl": 1 })),
    ] {
        assert_eq!(operator.post(&path, &body).0, 403, "{path}");
    }
    assert_eq!(operator.delete(&format!("sys/auth/{path}")).0, 403);
    assert_eq!(operator.delete(&format!("auth/{path}/role/r-app")).0, 403);
    assert_eq!(mount(path), before);
}

#[test]
fn a_kubernetes_mount_keeps_its_reviewer_and_no_object_is_made_in_the_cluster() {
    let keeper = kubernetes_fixture::Fixture::new("token: secret", "");
    keeper.bootstrap();
    let auth = format!("method: kubernetes, audience: {}", kubernetes_fixture::API_AUDIENCE);
    let (team, before) = (Team::new(&keeper.mount, "rke", &auth), mount(&keeper.mount));
    let plan = team.run(&["plan", "-o", "json"]).exits(0).json();
    assert_eq!((plan["changes"].as_array().unwrap().len(), &plan["unchanged"]), (2, &json!(0)), "{plan}");
    assert!(plan.get("warnings").is_none(), "{plan}");
    let account = keeper.account();
    let version = || lab::shared().kubernetes().get(&account).1["metadata"]["resourceVersion"].clone();
    let written = version();
    team.run(&["bootstrap"]).exits(0).says(&["2 changes made; 1 login verified"]);
    team.run(&["plan", "--detailed-exitcode", "--probe"]).exits(0);
    team.run(&["verify-role", "r-team"]).exits(0).says(&["name it with `auth.reviewer`"]);
    assert_eq!((mount(&keeper.mount), version()), (before.clone(), written));
    keeper.in_order();

    // What this file says otherwise is its keeper's to settle, or this file's to correct.
    let other = auth + ", host: 'https://other.example:6443', issuer: 'https://other.example'";
    let team = Team::new(&keeper.mount, "rke", &other);
    team.run(&["plan"]).exits(0).says(&[
        "kubernetes_host is",
        "the roles here need \"https://other.example:6443",
        "disable_iss_validation is true",
        &team.keeper(),
        "`auth.host` here",
    ]);
    team.run(&["bootstrap", "--yes"]);
    assert_eq!(mount(&keeper.mount), before);
}

#[test]
fn a_kubernetes_mount_whose_reviewer_was_taken_away_is_its_keeper_s_to_mend() {
    let keeper = kubernetes_fixture::Fixture::new("token: secret", "");
    keeper.bootstrap();
    let reviewer = format!("{}-review/vault-auth", keeper.namespace);
    let auth = format!(
        "method: kubernetes, audience: {}, reviewer: {{ serviceAccount: {reviewer}, bindingName: {} }}",
        kubernetes_fixture::API_AUDIENCE,
        keeper.binding
    );
    let team = Team::new(&keeper.mount, "rke", &auth);
    team.run(&["bootstrap"]).exits(0);
    let (vault, path) = (lab::shared().vault(), format!("auth/{}/config", keeper.mount));
    // Written without a reviewer's token, which erases it.
    let mut config = vault.read(&path)["data"].clone();
    for set in ["token_reviewer_jwt_set", "pem_keys"] {
        config.as_object_mut().unwrap().remove(set);
    }
    vault.write(&path, &config);
    // Looking alone: a login that is refused is tried for a while.
    let look = ["verify-role", "r-team", "--no-login"];
    team.run(&look).exits(1).says(&["VK325", &team.keeper()]);
    assert_eq!(lab::shared().kubernetes().delete(&keeper.account()).0, 200);
    let answer = team.run(&look).exits(1).says(&["VK323", &team.keeper()]);
    assert!(!answer.stdout.contains("vaultk8s bootstrap -f"), "{}", answer.stdout);
    team.run(&["bootstrap", "--yes"]).exits(1).says(&[&team.keeper()]);
    assert_eq!(lab::shared().kubernetes().get(&keeper.account()).0, 404, "it was made again");
}

#[test]
fn a_rehearsal_sets_the_mount_up_and_says_so() {
    let program = lab::shared().vault_program();
    let file = include_str!("../testdata/configs/manage.yaml");
    let rehearse = |args: &[&str]| {
        let command = Vaultk8s::new(["rehearse"]).args(args.iter().copied()).env("VAULTK8S_VAULT_BIN", program);
        command.config(file).file("kept.yaml", &file.replace(", manage: false", "")).run().exits(0)
    };
    rehearse(&[]).says(&["another file keeps auth/jwt; it was set up as this file describes it", "auth/kubernetes;"]);
    // That the file keeps the mount from now on changes nobody's access, and is told.
    rehearse(&["--against", "kept.yaml"]).says(&["manage"]);
}
