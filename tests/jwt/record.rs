//! The record of the keys that a cluster was seen to publish: who may write it, and runs that end in the middle.

use lab::{ControlPlaneOptions, KeyKind, ServiceAccountKey};
use serde_json::{Value, json};

use super::{Own, operator};
use crate::command::{Vaultk8s, testdata};

fn options(keys: &[&ServiceAccountKey]) -> ControlPlaneOptions {
    ControlPlaneOptions { keys: keys.iter().map(|key| (*key).clone()).collect(), ..ControlPlaneOptions::default() }
}

impl Own {
    /// The policy that `render operator-policy` prints for it, without the rules on a path, if one is named.
    fn operator_policy(&self, without: Option<&str>) -> String {
        let rules = self.command(["render", "operator-policy", "-o", "json"]).run().exits(0).json()["rules"].clone();
        let rules = rules.as_array().unwrap().iter().filter(|rule| Some(rule["path"].as_str().unwrap()) != without);
        let paths = rules
            .map(|rule| (rule["path"].as_str().unwrap().to_owned(), json!({ "capabilities": rule["capabilities"] })));
        json!({ "path": paths.collect::<serde_json::Map<_, _>>() }).to_string()
    }

    /// A bootstrap with a token that has this policy.
    fn bootstrap_with(&self, policy: &str) -> crate::command::Answer {
        self.command(["bootstrap"]).env("VAULT_TOKEN", operator(policy)).run()
    }
}

#[test]
fn the_printed_policy_is_enough_and_without_its_rule_nothing_is_half_written() {
    let (first, second) =
        (ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap(), ServiceAccountKey::generate(KeyKind::EcP256).unwrap());
    let mut own = Own::start(&options(&[&first]), "");
    // A new mount needs no more than what enables it.
    own.bootstrap_with(&own.operator_policy(Some(&own.tune()))).exits(0).says(&["1 login verified"]);
    assert_eq!(own.record().len(), 1);
    own.cluster.restart(&options(&[&second, &first]));

    // A policy that an earlier version printed.
    let (held, record) = (own.held(), own.record());
    let rule = format!("path \"{}\" {{ capabilities = [\"update\"] }}", own.tune());
    own.bootstrap_with(&own.operator_policy(Some(&own.tune()))).exits(1).says(&[
        "✗ record of seen keys",
        &rule,
        "not tried: it needs record of seen keys",
    ]);
    assert_eq!((own.held(), own.record()), (held, record));

    own.bootstrap_with(&own.operator_policy(None)).exits(0).says(&["2 changes made; 1 login verified"]);
    own.in_order();
}

#[test]
fn a_run_that_ends_in_the_middle_leaves_what_the_next_one_finishes() {
    let (first, second) =
        (ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap(), ServiceAccountKey::generate(KeyKind::EcP256).unwrap());
    let mut own = Own::start(&options(&[&first]), "");
    own.bootstrap();
    let by_first = own.token();
    let read_only = own.operator_policy(Some(&own.config_path())).replacen(
        "{\"path\":{",
        &format!("{{\"path\":{{\"{}\":{{\"capabilities\":[\"read\"]}},", own.config_path()),
        1,
    );

    // The new key was recorded, and the configuration not written.
    own.cluster.restart(&options(&[&second, &first]));
    own.bootstrap_with(&read_only).exits(1).says(&["✓ record of seen keys", "✗ config"]);
    assert_eq!((own.record().len(), own.held()["jwt_validation_pubkeys"].as_array().unwrap().len()), (2, 1));
    own.command(["plan"]).run().exits(0).says(&["0 to create, 1 to change", "+ \"P-256"]);
    own.bootstrap();

    // The old key went out of the configuration, and its record stayed.
    own.cluster.restart(&options(&[&second]));
    own.bootstrap();
    assert!(own.lets_in(&by_first));
    own.config = own.config.replace("audience: vault", "audience: vault, keyRetention: 0");
    own.bootstrap_with(&own.operator_policy(Some(&own.tune()))).exits(1).says(&["✓ config", "✗ record of past keys"]);
    assert!(!own.lets_in(&by_first));
    assert_eq!((own.record().len(), own.held()["jwt_validation_pubkeys"].as_array().unwrap().len()), (2, 1));
    // That record vouches for nothing that isn't pinned: no key comes back by it.
    own.config = own.config.replace(", keyRetention: 0", "");
    own.command(["plan"]).run().exits(0).says(&["record of past keys", "0 to create, 1 to change"]);
    own.bootstrap();
    assert_eq!(own.record().len(), 1);
    assert!(!own.lets_in(&by_first));
}

#[test]
fn what_is_recorded_and_can_not_be_read_is_told_and_vouches_for_nothing() {
    let key = ServiceAccountKey::generate(KeyKind::EcP256).unwrap();
    let own = Own::start(&options(&[&key]), "");
    own.bootstrap();
    let vault = lab::shared().vault();
    let option = format!("vaultk8s-key-{}", "A".repeat(43));
    vault.write(&own.tune(), &json!({ "options": { (&option): "trust this one" } }));
    own.command(["plan", "--detailed-exitcode"]).run().exits(0).says(&["No changes.", "warning:", &option]);
    own.verify(&["--only", "VK314"]).exits(0).says(&["can't be read", &option]);
    own.command(["bootstrap"]).run().exits(0).says(&["nothing to change", &option]);
    assert_eq!(own.options()[&option], "trust this one");
}

#[test]
fn where_vault_fetches_the_keys_the_record_is_cleaned_up() {
    let own = Own::start(&ControlPlaneOptions::default(), "");
    own.bootstrap();
    assert_eq!(own.record().len(), 1);
    let group = "rbac.authorization.k8s.io";
    let binding = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": { "name": "open" },
        "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": "system:service-account-issuer-discovery" },
        "subjects": [{ "apiGroup": group, "kind": "Group", "name": "system:unauthenticated" }],
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    assert_eq!(own.cluster.client().post(bindings, &binding).0, 201);
    let fetching = Own { config: own.config.replace("audience: vault", "audience: vault, keys: jwksUrl"), ..own };
    fetching.command(["bootstrap", "--yes"]).run().exits(0).says(&["2 changes made; 1 login verified"]);
    fetching.in_order();
    assert_eq!(fetching.record(), []);
    let pinning = Own { config: fetching.config.replace(", keys: jwksUrl", ""), ..fetching };
    pinning.command(["bootstrap", "--yes"]).run().exits(0).says(&["2 changes made; 1 login verified"]);
    pinning.in_order();
    assert_eq!(pinning.record().len(), 1);
}

/// A JWKS of the keys of some files.
fn jwks(names: &[&str]) -> String {
    let sets = names.iter().map(|name| {
        let set: Value =
            serde_json::from_str(&std::fs::read_to_string(testdata(&format!("jwks/{name}.json"))).unwrap()).unwrap();
        set["keys"][0].clone()
    });
    json!({ "keys": sets.collect::<Vec<_>>() }).to_string()
}

#[test]
fn a_cluster_that_is_known_by_files_rotates_in_the_same_way() {
    let lab = lab::shared();
    let mount = lab.mount("jwt-files");
    let config = format!(
        "clusters: [{{ name: far, issuer: https://far.example, jwksFile: keys.json, auth: {{ method: jwt, mount: {mount}, audience: vault }} }}]\n"
    );
    let run = |args: &[&str], keys: &[&str]| {
        Vaultk8s::new(args.iter().copied()).on_shared().config(&config).file("keys.json", &jwks(keys)).run()
    };
    run(&["bootstrap", "--no-verify"], &["p256", "rsa-2048"]).exits(0);
    run(&["plan", "--detailed-exitcode"], &["p256", "rsa-2048"]).exits(0);
    run(&["bootstrap", "--no-verify"], &["p256"]).exits(0).says(&["1 change made"]);
    run(&["plan", "--detailed-exitcode"], &["p256"]).exits(0).says(&["Keys kept", "RSA 2048"]);
    // The small command is the same code: it sees the same, and decides in the same way.
    let small = |args: &[&str]| {
        let all = ["auth", "jwt", "--mount", &mount, "--issuer", "https://far.example", "--jwks-file", "keys.json"];
        let command = Vaultk8s::new(all).args(args.iter().copied());
        command.on_shared().file("keys.json", &jwks(&["p256"])).run()
    };
    let kept = small(&["-o", "json"]).exits(0).json()["plan"]["retainedKeys"][0].clone();
    let kid = kept["kid"].as_str().unwrap().to_owned();
    small(&["--forget-key", "nobody"]).exits(64).complains(&["no such key", &kid]);
    small(&["--forget-key", &kid, "--dry-run"]).exits(0).says(&["named by --forget-key"]);
    small(&["--forget-key", &kid]).exits(0).says(&["2 changes made"]);
    let held = lab.vault().read(&format!("auth/{mount}/config"))["data"].clone();
    assert_eq!(held["jwt_validation_pubkeys"].as_array().unwrap().len(), 1);
    run(&["plan", "--detailed-exitcode"], &["p256"]).exits(0);
}
