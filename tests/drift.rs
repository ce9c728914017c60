//! Whatever somebody changes by hand is found and mended: every field one by one, and at random on generated
//! configurations.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::command::{self, Answer, Vaultk8s};

/// A value of every field of a role that no configuration here asks for. What is left out of a role's answer belongs to
/// logins with a browser (`oidc_scopes`, `allowed_redirect_uris` and so on), which a role of type jwt doesn't have.
fn by_hand() -> Vec<(&'static str, Value)> {
    vec![
        ("user_claim", json!("iss")),
        ("user_claim_json_pointer", json!(true)),
        ("bound_audiences", json!(["somebody-else"])),
        ("bound_subject", json!("somebody")),
        ("bound_claims", json!({ "by": "hand" })),
        ("bound_claims_type", json!("glob")),
        ("claim_mappings", json!({ "iss": "issuer" })),
        ("groups_claim", json!("groups")),
        ("expiration_leeway", json!(77)),
        ("not_before_leeway", json!(77)),
        ("clock_skew_leeway", json!(77)),
        ("verbose_oidc_logging", json!(true)),
        ("token_policies", json!(["by-hand"])),
        ("token_ttl", json!(77)),
        ("token_max_ttl", json!(7_777_777)),
        ("token_explicit_max_ttl", json!(7_777_777)),
        ("token_period", json!(77)),
        ("token_num_uses", json!(77)),
        ("token_no_default_policy", json!(true)),
        ("token_bound_cidrs", json!(["10.77.0.0/16"])),
        ("token_type", json!("service")),
    ]
}

/// Changes one field of a role; says whether it holds another value now.
fn change_role(path: &str, field: &str, value: &Value) -> bool {
    let vault = lab::shared().vault();
    let before = vault.read(path)["data"].clone();
    let mut body =
        json!({ "role_type": "jwt", "user_claim": before["user_claim"], "bound_claims": before["bound_claims"] });
    body["bound_claims_type"] = before["bound_claims_type"].clone();
    if field == "bound_claims_type" && before[field] == "glob" {
        body[field] = json!("string");
    } else {
        body[field] = value.clone();
    }
    let (status, _) = vault.post(path, &body);
    // 200 comes with a warning.
    matches!(status, 200 | 204) && vault.read(path)["data"][field] != before[field]
}

fn run(config: &str, args: &[&str]) -> Answer {
    Vaultk8s::new(args.iter().copied()).on_shared().config(config).run()
}

#[test]
fn every_field_of_a_role_and_of_a_configuration_is_owned() {
    let lab = lab::shared();
    let vault = lab.vault();
    let (mount, name) = (lab.mount("jwt"), lab.unique("p"));
    let config = format!(
        "clusters: [{{ name: lab, auth: {{ method: jwt, mount: {mount}, audience: vault, description: d }} }}]
policies: [{{ name: {name}, read: [a/*] }}]
roles: [{{ name: r, serviceAccounts: [a/b], policies: [{name}] }}]
"
    );
    run(&config, &["bootstrap", "--no-verify"]).exits(0);
    let role = format!("auth/{mount}/role/r");
    let healthy = vault.read(&role)["data"].clone();
    let restored = |field: &str| {
        vault.write(&role, &json!({ "role_type": "jwt", "user_claim": "sub", (field): healthy[field] }));
    };
    let only = |object: &str, field: &str| {
        let plan = run(&config, &["plan", "-o", "json"]).exits(0).json();
        assert_eq!(plan["changes"].as_array().unwrap().len(), 1, "{object} {field}");
        assert_eq!(plan["changes"][0]["object"], object, "{field}");
        let fields: Vec<&Value> =
            plan["changes"][0]["fields"].as_array().unwrap().iter().map(|f| &f["field"]).collect();
        assert_eq!(fields, [&json!(field)]);
    };
    for (field, value) in by_hand() {
        assert!(change_role(&role, field, &value), "{field} did not change");
        only("role", field);
        restored(field);
    }
    // The server has fields of one version that another lacks.
    if healthy.get("token_strictly_bind_ip").is_some() {
        assert!(change_role(&role, "token_strictly_bind_ip", &json!(true)));
        only("role", "token_strictly_bind_ip");
        restored("token_strictly_bind_ip");
    }
    run(&config, &["plan", "--detailed-exitcode"]).exits(0);

    let path = format!("auth/{mount}/config");
    let healthy = vault.read(&path)["data"].clone();
    let key = std::fs::read_to_string(command::testdata("jwks/p256.pem")).unwrap();
    for (field, value) in [
        ("bound_issuer", json!("https://elsewhere.example.internal")),
        ("jwt_supported_algs", json!(["RS256", "ES256"])),
        ("jwt_validation_pubkeys", json!([healthy["jwt_validation_pubkeys"][0], key])),
        ("default_role", json!("r")),
    ] {
        let mut body = healthy.clone();
        body[field] = value;
        vault.write(&path, &body);
        only("config", field);
        vault.write(&path, &healthy);
    }
    vault.write(&format!("sys/auth/{mount}/tune"), &json!({ "description": "by hand" }));
    only("mount", "description");
    vault.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": "path \"x\" { capabilities = [\"read\"] }" }));
    for (field, value) in by_hand() {
        change_role(&role, field, &value);
    }
    run(&config, &["bootstrap", "--no-verify"]).exits(1).complains(&[&name, "--approve take-over"]);
    let approved = ["bootstrap", "--no-verify", "--approve", "take-over"];
    run(&config, &approved).exits(0).says(&["3 changes made"]);
    run(&config, &["plan", "--detailed-exitcode"]).exits(0);
}

/// A configuration, and what somebody does to it by hand.
#[derive(Debug, Clone)]
struct Case {
    policies: Vec<String>,
    roles: Vec<(Vec<usize>, String)>,
    drift: Drift,
}

#[derive(Debug, Clone)]
enum Drift {
    Role(usize, usize),
    LostRole(usize),
    Policy(usize),
    LostPolicy(usize),
    Config(&'static str),
}

fn grants() -> impl Strategy<Value = String> {
    let path = "[a-z]{1,6}(/[a-z0-9][a-z0-9_.-]{0,8}){0,3}(/\\*)?";
    let verb = move |verb: &'static str| (Just(verb), prop::collection::vec(path, 1..3));
    let rules = (path, subsequence(vec!["create", "read", "update", "delete", "list", "sudo"], 1..6));
    (subsequence(vec!["read", "list", "write", "delete"], 1..4), prop::option::of(rules)).prop_flat_map(
        move |(verbs, rules)| {
            let verbs: Vec<_> = verbs.into_iter().map(verb).collect();
            (verbs, Just(rules)).prop_map(|(verbs, rules)| {
                let mut text = String::new();
                for (verb, paths) in verbs {
                    write!(text, ", {verb}: {paths:?}").unwrap();
                }
                if let Some((path, capabilities)) = rules {
                    write!(text, ", rules: [{{ path: 'auth/{path}', capabilities: {capabilities:?} }}]").unwrap();
                }
                text
            })
        },
    )
}

fn token_settings() -> impl Strategy<Value = String> {
    let cidrs = select(vec!["192.0.2.7", "192.0.2.0/24", "2001:db8::/32", "198.51.100.1/32", "::1"]);
    let count = || prop::option::of(1..100_000_u32);
    let leeway = || prop::option::of(select(vec![-1, 1, 30, 300]));
    (
        (count(), count(), count()),
        prop::option::of((select(vec!["service", "default"]), count(), prop::option::of(1..9_u32))),
        (any::<bool>(), prop::collection::vec(cidrs, 0..3)),
        (leeway(), leeway(), leeway()),
        prop::option::of(prop::collection::vec("[a-z]{1,8}", 1..4)),
    )
        .prop_map(|(ttls, kind, (no_default, cidrs), leeways, claim)| {
            let mut fields: Vec<(&str, Option<String>)> = Vec::new();
            let (ttl, more, explicit) = ttls;
            let text = |number: Option<u32>| number.map(|number| number.to_string());
            fields.push(("ttl", text(ttl)));
            fields.push(("maxTtl", text(more.map(|more| more + ttl.unwrap_or(0)))));
            match kind {
                None => fields.push(("tokenType", Some("batch".to_owned()))),
                Some((kind, period, uses)) => {
                    fields.push(("tokenType", Some(kind.to_owned())));
                    fields.push(("explicitMaxTtl", text(explicit.map(|more| more + ttl.unwrap_or(0)))));
                    fields.push(("period", text(period)));
                    fields.push(("numUses", text(uses)));
                }
            }
            fields.push(("noDefaultPolicy", no_default.then(|| "true".to_owned())));
            fields.push(("boundCidrs", (!cidrs.is_empty()).then(|| format!("{cidrs:?}"))));
            fields.push(("expirationLeeway", leeways.0.map(|leeway| leeway.to_string())));
            fields.push(("notBeforeLeeway", leeways.1.map(|leeway| leeway.to_string())));
            fields.push(("clockSkewLeeway", leeways.2.map(|leeway| leeway.to_string())));
            fields.push(("boundClaims", claim.map(|values| format!("{{ /kubernetes.io/namespace: {values:?} }}"))));
            fields.into_iter().fold(String::new(), |text, (field, value)| match value {
                Some(value) => format!("{text}, {field}: {value}"),
                None => text,
            })
        })
}

fn case() -> impl Strategy<Value = Case> {
    (1..4_usize, 1..4_usize).prop_flat_map(|(policies, roles)| {
        let accounts = prop::collection::btree_set("[a-z]{1,8}/[a-z][a-z0-9.-]{0,8}[a-z]", 1..4);
        let accounts = accounts.prop_filter("a DNS subdomain", |accounts| {
            !accounts.iter().any(|name| ["..", ".-", "-."].iter().any(|bad| name.contains(bad)))
        });
        let role = (subsequence((0..policies).collect::<Vec<_>>(), 1..=policies), accounts, token_settings());
        let role = role.prop_map(|(policies, accounts, settings)| {
            let accounts: Vec<_> = accounts.into_iter().collect();
            (policies, format!("serviceAccounts: {accounts:?}{settings}"))
        });
        let drift = prop_oneof![
            6 => (0..roles, 0..by_hand().len()).prop_map(|(role, field)| Drift::Role(role, field)),
            1 => (0..roles).prop_map(Drift::LostRole),
            1 => (0..policies).prop_map(Drift::Policy),
            1 => (0..policies).prop_map(Drift::LostPolicy),
            1 => select(vec!["bound_issuer", "default_role"]).prop_map(Drift::Config),
        ];
        (prop::collection::vec(grants(), policies), prop::collection::vec(role, roles), drift)
            .prop_map(|(policies, roles, drift)| Case { policies, roles, drift })
    })
}

impl Case {
    fn config(&self, mount: &str) -> String {
        let mut text = format!(
            "clusters: [{{ name: lab, auth: {{ method: jwt, mount: {mount}, audience: vault }} }}]\npolicies:\n"
        );
        for (number, grants) in self.policies.iter().enumerate() {
            writeln!(text, "  - {{ name: p-{mount}-{number}{grants} }}").unwrap();
        }
        text.push_str("roles:\n");
        for (number, (policies, fields)) in self.roles.iter().enumerate() {
            let policies: Vec<_> = policies.iter().map(|policy| format!("p-{mount}-{policy}")).collect();
            writeln!(text, "  - {{ name: r-{number}, policies: {policies:?}, {fields} }}").unwrap();
        }
        text
    }

    /// Changes something by hand; says whether anything is different now.
    fn drift(&self, mount: &str) -> bool {
        let vault = lab::shared().vault();
        let role = |number: &usize| format!("auth/{mount}/role/r-{number}");
        let policy = |number: &usize| format!("sys/policies/acl/p-{mount}-{number}");
        match &self.drift {
            Drift::Role(number, field) => {
                let (field, value) = &by_hand()[*field];
                return change_role(&role(number), field, value);
            }
            Drift::LostRole(number) => _ = vault.delete(&role(number)),
            Drift::LostPolicy(number) => _ = vault.delete(&policy(number)),
            Drift::Policy(number) => {
                let path = policy(number);
                let text = vault.read(&path)["data"]["policy"].as_str().unwrap().to_owned();
                vault.write(
                    &path,
                    &json!({ "policy": format!("{text}path \"by/hand\" {{ capabilities = [\"read\"] }}\n") }),
                );
            }
            Drift::Config(field) => {
                let path = format!("auth/{mount}/config");
                let mut body = vault.read(&path)["data"].clone();
                body[*field] = json!("r-0");
                vault.write(&path, &body);
            }
        }
        true
    }
}

#[test]
fn whatever_is_changed_by_hand_is_found_and_mended() {
    let config = Config { cases: 24, max_shrink_iters: 20, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&case(), |case| {
        let mount = lab::shared().mount("jwt");
        let config = case.config(&mount);
        let step = |args: &[&str], code: i32| {
            let answer = run(&config, args);
            prop_assert_eq!(answer.code, code, "{:?}\n{}\n{}\n{}", args, &config, answer.stdout, answer.stderr);
            Ok(())
        };
        step(&["bootstrap", "--no-verify"], 0)?;
        step(&["plan", "--detailed-exitcode"], 0)?;
        if case.drift(&mount) {
            step(&["plan", "--detailed-exitcode"], 2)?;
            step(&["bootstrap", "--no-verify", "--yes", "--approve", "take-over"], 0)?;
            step(&["plan", "--detailed-exitcode"], 0)?;
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
