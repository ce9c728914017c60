//! Generated configurations with all fields of roles and configurations of both methods: what was written is read back without a difference,
//! a role that somebody made by hand with every field is kept by a file that says the same, and one that says less names what it would change.

use std::collections::{BTreeMap, BTreeSet};

use lab::Mount;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Map, Value, json};

use crate::command::{Answer, Vaultk8s};

/// How many configurations are made, and how many roles each has of each method.
const CASES: u32 = 8;
const ROLES: usize = 20;

/// Fields of a section, as the file writes them.
type Fields = Map<String, Value>;

/// Any of these fields, each with one of its values.
fn some(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Fields> {
    let one = |(name, value): (&'static str, BoxedStrategy<Value>)| {
        prop::option::weighted(0.6, value).prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let all: Vec<_> = fields.into_iter().map(|field| one(field).boxed()).collect();
    all.prop_map(|fields| fields.into_iter().flatten().collect()).boxed()
}

fn words(all: &'static [&'static str]) -> BoxedStrategy<Value> {
    select(all).prop_map(|word| json!(word)).boxed()
}

fn lists(all: &'static [&'static str]) -> BoxedStrategy<Value> {
    subsequence(all.to_vec(), 1..=all.len()).prop_map(|list| json!(list)).boxed()
}

fn numbers(range: std::ops::Range<u64>) -> BoxedStrategy<Value> {
    range.prop_map(|number| json!(number)).boxed()
}

fn flags() -> BoxedStrategy<Value> {
    any::<bool>().prop_map(|flag| json!(flag)).boxed()
}

const CIDRS: &[&str] = &[
    "192.0.2.0/24",
    "192.0.2.7",
    "10.0.0.5/24",
    "2001:DB8:0::1/64",
    "::ffff:10.0.0.0/104",
    "::ffff:192.0.2.1",
    "::1/128",
];

/// What roles of both methods have.
fn token() -> Vec<(&'static str, BoxedStrategy<Value>)> {
    vec![
        ("ttl", numbers(1..3_000)),
        ("maxTtl", numbers(3_000..90_000)),
        ("explicitMaxTtl", numbers(90_000..600_000)),
        ("period", numbers(1..90_000)),
        ("numUses", numbers(0..9)),
        ("noDefaultPolicy", flags()),
        ("boundCidrs", lists(CIDRS)),
        ("tokenType", words(&["default", "service", "batch"])),
    ]
}

fn leeway() -> BoxedStrategy<Value> {
    select(vec![-1, 0, 1, 300]).prop_map(|leeway| json!(leeway)).boxed()
}

fn jwt_role() -> BoxedStrategy<Fields> {
    let mappings = subsequence(vec![("/kubernetes.io/namespace", "namespace"), ("iss", "by"), ("/a/b", "c")], 1..=3);
    let claims = prop_oneof![
        Just(json!({ "/kubernetes.io/namespace": ["a", "b"], "iss": "x" })),
        Just(json!({ "/kubernetes.io/pod/name": "p" })),
    ];
    let fields = vec![
        ("audience", lists(&["vault", "other", "https://third"])),
        ("userClaim", words(&["sub", "/kubernetes.io/serviceaccount/uid", "iss"])),
        ("boundClaims", claims.boxed()),
        (
            "claimMappings",
            mappings.prop_map(|all| all.into_iter().collect::<BTreeMap<_, _>>()).prop_map(|all| json!(all)).boxed(),
        ),
        ("groupsClaim", words(&["/kubernetes.io/namespace", "groups"])),
        ("expirationLeeway", leeway()),
        ("notBeforeLeeway", leeway()),
        ("clockSkewLeeway", leeway()),
    ];
    let accounts = lists(&["a/x", "a/y", "b/z"]);
    (some(fields.into_iter().chain(token()).collect()), accounts)
        .prop_map(|(mut fields, accounts)| {
            fields.insert("serviceAccounts".to_owned(), accounts);
            fields
        })
        .boxed()
}

fn kubernetes_role() -> BoxedStrategy<Fields> {
    let selectors = prop_oneof![
        Just(json!("team=shop,stage in (prod)")),
        Just(json!("example.com/tenant=a")),
        Just(
            json!({ "matchLabels": { "team": "shop" }, "matchExpressions": [{ "key": "n", "operator": "In", "values": ["1"] }] })
        ),
    ];
    let accounts = prop_oneof![
        (lists(&["x", "y.z", "w"]), selectors).prop_map(|(names, selector)| (names, Some(selector))),
        (subsequence(vec!["x", "y.z"], 1..=2), subsequence(vec!["a", "b"], 1..=2)).prop_map(|(names, namespaces)| {
            let each = |namespace: &&str| names.iter().map(|name| format!("{namespace}/{name}")).collect::<Vec<_>>();
            (json!(namespaces.iter().flat_map(each).collect::<Vec<_>>()), None)
        }),
        Just((json!(["x", "a/x", "b/x"]), Some(json!("team=shop")))),
    ];
    let fields = vec![
        ("audience", words(&["vault", "https://other"])),
        ("aliasNameSource", words(&["serviceaccount_uid", "serviceaccount_name"])),
    ];
    (some(fields.into_iter().chain(token()).collect()), accounts)
        .prop_map(|(mut fields, (accounts, selector))| {
            fields.insert("serviceAccounts".to_owned(), accounts);
            fields.extend(selector.map(|selector| ("namespaceSelector".to_owned(), selector)));
            fields
        })
        .boxed()
}

/// What no file can say at once.
fn without_contradictions(mut role: Fields) -> Fields {
    if role.get("tokenType") == Some(&json!("batch")) {
        role.remove("period");
        role.remove("numUses");
    }
    role
}

fn tune() -> BoxedStrategy<Value> {
    some(vec![
        ("tokenType", words(&["default-service"])),
        ("defaultLeaseTtl", numbers(0..3_000)),
        ("maxLeaseTtl", numbers(700_000..3_000_000)),
        ("listingVisibility", words(&["hidden", "unauth"])),
        ("auditNonHmacRequestKeys", lists(&["role", "x"])),
        ("auditNonHmacResponseKeys", lists(&["y"])),
        ("passthroughRequestHeaders", lists(&["X-Request-Id", "X-Other"])),
        ("allowedResponseHeaders", lists(&["X-Answer"])),
    ])
    .prop_map(Value::Object)
    .boxed()
}

/// One configuration: the two mounts, and the roles of each.
#[derive(Debug, Clone)]
struct Case {
    auths: [Fields; 2],
    roles: [Vec<Fields>; 2],
}

fn case() -> impl Strategy<Value = Case> {
    let both = || vec![("description", words(&["one", "another"])), ("exclusive", flags()), ("tune", tune())];
    let issuer = ("issuer", words(&["https://issuer.example.internal"]));
    let provider = Just(json!({ "provider": "azure" })).boxed();
    let jwt = vec![
        ("keyRetention", numbers(0..90_000)),
        ("defaultRole", words(&["r-0", "r-1"])),
        ("providerConfig", provider),
        issuer.clone(),
    ];
    let kubernetes = vec![("host", words(&["https://10.1.2.3:6443/", "https://api.example.internal"])), issuer];
    let auth = |fields: Vec<_>| some(fields.into_iter().chain(both()).collect());
    let roles = |role: BoxedStrategy<Fields>| prop::collection::vec(role.prop_map(without_contradictions), ROLES);
    (auth(jwt), auth(kubernetes), roles(jwt_role()), roles(kubernetes_role())).prop_map(
        |(jwt, kubernetes, of_jwt, of_kubernetes)| Case { auths: [jwt, kubernetes], roles: [of_jwt, of_kubernetes] },
    )
}

const METHODS: [&str; 2] = ["jwt", "kubernetes"];

/// What a role says at the least.
fn bare(role: &Fields) -> Fields {
    let kept = |field: &&String| ["serviceAccounts", "namespaceSelector"].contains(&field.as_str());
    role.iter().filter(|(field, _)| kept(field)).map(|(field, value)| (field.clone(), value.clone())).collect()
}

impl Case {
    /// The file for these mounts, with what `said` leaves of each role.
    fn file(&self, policy: &str, mounts: &[Mount; 2], said: fn(&Fields) -> Fields) -> String {
        let context = lab::shared().context();
        let (mut clusters, mut roles) = (Vec::new(), Vec::new());
        for (at, method) in METHODS.iter().enumerate() {
            let mut auth = self.auths[at].clone();
            auth.extend([
                ("method".to_owned(), json!(method)),
                ("mount".to_owned(), json!(mounts[at].to_string())),
                ("audience".to_owned(), json!("vault")),
            ]);
            if *method == "kubernetes" {
                auth.insert("reviewer".to_owned(), json!({ "token": "local" }));
                auth.insert("caCert".to_owned(), json!(lab::shared().run().folder().join("cluster-ca.pem")));
            }
            clusters.push(json!({ "name": method, "context": context, "auth": auth }));
            for (number, role) in self.roles[at].iter().enumerate() {
                let mut role = said(role);
                role.extend([
                    ("name".to_owned(), json!(format!("r-{number}"))),
                    ("clusters".to_owned(), json!(method)),
                    ("policies".to_owned(), json!([policy])),
                ]);
                roles.push(role);
            }
        }
        // JSON is YAML.
        json!({ "clusters": clusters, "policies": [{ "name": policy, "read": ["a/*"] }], "roles": roles }).to_string()
    }
}

fn run(config: &str, args: &[&str]) -> Answer {
    Vaultk8s::new(args.iter().copied()).on_shared().config(config).run()
}

fn mounts() -> [Mount; 2] {
    METHODS.map(|method| lab::shared().mount(method))
}

/// A role as the server reads it back, in which order means nothing.
fn held(mount: &Mount, number: usize) -> Fields {
    let mut role = lab::shared().vault().read(&format!("auth/{mount}/role/r-{number}"))["data"].clone();
    for value in role.as_object_mut().unwrap().values_mut() {
        if let Value::Array(list) = value {
            list.sort_by_key(ToString::to_string);
        }
    }
    role.as_object().unwrap().clone()
}

/// Which fields of which roles a plan would change, by mount and name.
fn changes(plan: &Value) -> BTreeMap<(String, String), BTreeSet<String>> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let roles = plan["changes"].as_array().unwrap().iter().filter(|change| change["object"] == "role");
    let fields = |change: &Value| {
        change["fields"].as_array().unwrap().iter().map(|field| text(&field["field"])).collect::<BTreeSet<_>>()
    };
    roles.map(|change| ((text(&change["mount"]), text(&change["name"])), fields(change))).collect()
}

#[test]
fn what_a_file_says_is_read_back_kept_and_told() {
    std::fs::write(lab::shared().run().folder().join("cluster-ca.pem"), lab::shared().kubernetes_ca()).unwrap();
    let config = Config { cases: CASES, max_shrink_iters: 20, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let result = runner.run(&case(), |case| {
        let (own, by_hand, least) = (mounts(), mounts(), mounts());
        let policy = format!("p-{}", own[0]);
        let (whole, less) = (case.file(&policy, &own, Fields::clone), case.file(&policy, &own, bare));
        let step = |config: &str, args: &[&str], code: i32| {
            let answer = run(config, args);
            prop_assert_eq!(answer.code, code, "{:?}\n{}\n{}\n{}", args, config, answer.stdout, answer.stderr);
            Ok(answer)
        };
        step(&whole, &["bootstrap", "--no-verify", "--yes"], 0)?;
        step(&whole, &["plan", "--detailed-exitcode"], 0)?;
        // Somebody made the same roles by hand.
        let vault = lab::shared().vault();
        for at in 0..METHODS.len() {
            vault.write(&format!("sys/auth/{}", by_hand[at]), &json!({ "type": METHODS[at] }));
            for number in 0..ROLES {
                vault.write(&format!("auth/{}/role/r-{number}", by_hand[at]), &json!(held(&own[at], number)));
            }
        }
        let adopted = step(&case.file(&policy, &by_hand, Fields::clone), &["plan", "-o", "json"], 0)?;
        prop_assert_eq!(changes(&adopted.json()), BTreeMap::new());
        // And a file that says the least would change all that differs, and nothing else.
        step(&case.file(&policy, &least, bare), &["bootstrap", "--no-verify", "--yes"], 0)?;
        let told = changes(&step(&less, &["plan", "-o", "json"], 0)?.json());
        for at in 0..METHODS.len() {
            for number in 0..ROLES {
                let (has, would) = (held(&own[at], number), held(&least[at], number));
                let differ = |field: &&String| has.get(*field) != would.get(*field);
                let differing: BTreeSet<String> = has.keys().chain(would.keys()).filter(differ).cloned().collect();
                let name = (own[at].to_string(), format!("r-{number}"));
                let of_role = told.get(&name).cloned().unwrap_or_default();
                prop_assert_eq!(of_role, differing, "{:?}\n{:?}\n{:?}", name, has, would);
            }
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
