//! Whatever somebody changes by hand on a kubernetes mount is found and mended: at random, on generated configurations.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::command::Vaultk8s;

/// A role, as the file writes it.
#[derive(Debug, Clone)]
struct Role {
    names: BTreeSet<String>,
    namespaces: BTreeSet<String>,
    fields: String,
}

/// A configuration, and what somebody does to one of its roles or to the mount.
#[derive(Debug, Clone)]
struct Case {
    host: &'static str,
    issuer: bool,
    roles: Vec<Role>,
    changed: usize,
    field: (&'static str, Value),
}

/// A value of a role's field that no configuration here asks for.
fn by_hand() -> Vec<(&'static str, Value)> {
    vec![
        ("bound_service_account_names", json!(["by-hand"])),
        ("bound_service_account_namespaces", json!(["by-hand"])),
        ("bound_service_account_namespace_selector", json!(r#"{"matchLabels":{"by":"hand"}}"#)),
        ("audience", json!("somebody-else")),
        ("token_policies", json!(["by-hand"])),
        ("token_ttl", json!(77)),
        ("token_max_ttl", json!(7_777_777)),
        ("token_period", json!(77)),
        ("token_num_uses", json!(77)),
        ("token_bound_cidrs", json!(["10.77.0.0/16"])),
        // Of the mount.
        ("kubernetes_host", json!("https://by.hand.example.internal")),
        ("issuer", json!("https://by.hand.example.internal")),
        ("token_reviewer_jwt", json!("eyJhbGciOiJub25lIn0.e30.c2ln")),
    ]
}

fn role() -> impl Strategy<Value = Role> {
    let some = || prop::collection::btree_set("[a-z][a-z0-9]{0,6}", 1..3);
    let cidrs = select(vec!["", ", boundCidrs: [192.0.2.7/32]", ", boundCidrs: ['2001:DB8::0/32']"]);
    let alias = select(vec!["", ", aliasNameSource: serviceaccount_name", ", aliasNameSource: serviceaccount_uid"]);
    let lives = (1..90_000_u32, 0..90_000_u32);
    (some(), some(), lives, cidrs, alias, any::<bool>()).prop_map(
        |(names, namespaces, (ttl, more), cidrs, alias, bare)| {
            let fields = format!(", ttl: {ttl}, maxTtl: {}, noDefaultPolicy: {bare}{cidrs}{alias}", ttl + more);
            Role { names, namespaces, fields }
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let host = select(vec!["", ", host: 'https://10.1.2.3:6443/'", ", host: 'https://api.example.internal'"]);
    (host, any::<bool>(), prop::collection::vec(role(), 1..4), any::<prop::sample::Index>(), select(by_hand()))
        .prop_map(|(host, issuer, roles, changed, field)| {
            let changed = changed.index(roles.len());
            Case { host, issuer, roles, changed, field }
        })
}

impl Case {
    fn config(&self, mount: &str) -> String {
        let issuer = if self.issuer { ", issuer: 'https://issuer.example.internal'" } else { "" };
        let host = self.host;
        let mut text = format!(
            "clusters: [{{ name: lab, auth: {{ method: kubernetes, mount: {mount}, audience: vault{host}{issuer}, \
             reviewer: {{ token: client }} }} }}]\npolicies: [{{ name: p-{mount}, read: [a/*] }}]\nroles:\n"
        );
        for (number, Role { names, namespaces, fields }) in self.roles.iter().enumerate() {
            let accounts: Vec<String> =
                namespaces.iter().flat_map(|ns| names.iter().map(move |name| format!("{ns}/{name}"))).collect();
            writeln!(text, "  - {{ name: r-{number}, policies: [p-{mount}], serviceAccounts: {accounts:?}{fields} }}")
                .unwrap();
        }
        text
    }

    /// Changes one field by hand, and nothing else.
    fn drift(&self, mount: &str) {
        let (field, value) = &self.field;
        let of_mount = matches!(*field, "kubernetes_host" | "issuer" | "token_reviewer_jwt");
        let path =
            if of_mount { format!("auth/{mount}/config") } else { format!("auth/{mount}/role/r-{}", self.changed) };
        let vault = lab::shared().vault();
        // Whole, because some fields that are left out are reset.
        let mut body = vault.read(&path)["data"].clone();
        body[*field] = value.clone();
        if *field == "token_period" || *field == "token_num_uses" {
            body["token_type"] = json!("default");
        }
        vault.write(&path, &body);
    }
}

#[test]
fn whatever_is_changed_by_hand_is_found_and_mended() {
    let config = Config { cases: 24, max_shrink_iters: 20, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&case(), |case| {
        let mount = lab::shared().mount("kubernetes");
        let config = case.config(&mount);
        let step = |args: &[&str], code: i32| {
            let answer = Vaultk8s::new(args.iter().copied()).on_shared().config(&config).run();
            prop_assert_eq!(answer.code, code, "{:?}\n{}\n{}\n{}", args, &config, answer.stdout, answer.stderr);
            Ok(())
        };
        step(&["bootstrap", "--no-verify"], 0)?;
        step(&["plan", "--detailed-exitcode"], 0)?;
        case.drift(&mount);
        step(&["plan", "--detailed-exitcode"], 2)?;
        step(&["bootstrap", "--no-verify", "--yes", "--approve", "take-over"], 0)?;
        step(&["plan", "--detailed-exitcode"], 0)
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
