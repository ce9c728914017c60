use std::path::Path;

use super::*;
use crate::access::who::let_in;
use crate::policy::{Acl, Policy, Verdict};
use crate::vault::KvVersion;

const FILE: &str = "
clusters:
  - { name: a, context: a, auth: { method: jwt, audience: vault } }
  - { name: b, context: b, auth: { method: kubernetes, audience: k8s } }
policies:
  - { name: 'app-{cluster}', read: ['app/{cluster}/*'] }
  - { name: wide, read: ['app/*'], clusters: [b] }
roles:
  - { name: app, serviceAccounts: ns/app, policies: 'app-{cluster}', ttl: 1h }
  - { name: ops, clusters: [b], serviceAccounts: ['ops-*/ops'], allowGlobs: true, policies: wide, ttl: 1h }
  - { name: claims, clusters: [a], boundClaims: { /kubernetes.io/namespace: dev }, policies: app-a, ttl: 1h }
expect:
";

/// What came of the expectations, where everybody may do what the policies say.
fn results(expect: &str) -> Vec<(String, Vec<String>)> {
    let config = Config::parse(&format!("{FILE}{expect}"), Path::new("test.yaml")).unwrap();
    let kv = KvVersions::from([("secret".parse().unwrap(), KvVersion::V2)]);
    let mut asked = asked(&config, &kv).unwrap();
    let policies: BTreeMap<_, Policy> = config
        .policies
        .iter()
        .map(|policy| desired::policy(policy, &kv).unwrap())
        .map(|policy| (policy.name, policy.policy))
        .collect();
    let rules = policies.values().flat_map(Policy::rules).map(|rule| &rule.path);
    let places = Places::of(rules.chain(asked.iter().flat_map(Asked::rules)), "x");
    for asked in &mut asked {
        asked.settle(&places, policies.values().flat_map(Policy::rules).map(|rule| &rule.path));
    }
    let holdings: Vec<Holding<'_>> = config
        .clusters
        .iter()
        .flat_map(|cluster| cluster.roles.iter().map(move |role| (cluster, role)))
        .flat_map(|(cluster, role)| let_in(role).into_iter().map(move |who| (cluster, role, who)))
        .map(|(cluster, role, who)| {
            let acl = Acl::new(role.policies.iter().map(|name| &policies[name]));
            let may = |path: &str| match acl.capabilities(path) {
                Verdict::Known(words) => words.iter().map(ToString::to_string).collect(),
                Verdict::Unknown => BTreeSet::new(),
            };
            let allowed = asked.iter().flat_map(Asked::paths).map(|path| (path.to_owned(), may(path))).collect();
            let own = role.policies.iter().flat_map(|name| policies[name].rules());
            let unforeseen = own.filter(|rule| rule.path.is_template()).collect();
            Holding { cluster: &cluster.name, role, who, allowed, unforeseen, tried: Tried::Not }
        })
        .collect();
    asked.iter().map(|asked| asked.judge(&holdings)).map(|result| (result.expectation, result.failures)).collect()
}

#[test]
fn what_holds_holds_and_is_told_in_words() {
    let told = results(
        "  - { serviceAccounts: ns/app, can: read, paths: 'app/{cluster}/db' }
  - { serviceAccounts: ns/app, clusters: [a], cannot: [write, read], paths: [app/b/*] }
  - { nobodyBut: [], can: delete, paths: '*' }
  - { serviceAccounts: ops-1/ops, clusters: b, can: read, paths: 'app/*' }
  - { serviceAccounts: dev/any, clusters: a, can: read, paths: app/a/x }",
    );
    let words: Vec<&str> = told.iter().map(|(words, _)| words.as_str()).collect();
    assert_eq!(
        words,
        [
            "ns/app of a can read secret/app/a/db",
            "ns/app of b can read secret/app/b/db",
            "ns/app of a cannot write secret/app/b/*",
            "ns/app of a cannot read secret/app/b/*",
            "nobody can delete secret/*",
            "ops-1/ops of b can read secret/app/*",
            "dev/any of a can read secret/app/a/x",
        ]
    );
    assert!(told.iter().all(|(_, failures)| failures.is_empty()), "{told:#?}");
}

#[test]
fn what_does_not_hold_says_who_and_through_which_role() {
    let told = results(
        "  - { nobodyBut: ns/app, can: read, paths: 'app/a/*' }
  - { serviceAccounts: ns/app, clusters: a, can: [write], paths: app/a/x }
  - { serviceAccounts: ns/other, clusters: b, can: read, paths: app/b/x }
  - { serviceAccounts: ops-1/ops, cannot: read, clusters: b, paths: app/a/x }",
    );
    let failures: Vec<Vec<&str>> = told.iter().map(|(_, all)| all.iter().map(String::as_str).collect()).collect();
    assert_eq!(
        failures,
        [
            vec![
                "whoever has /kubernetes.io/namespace dev of a can, through claims, on secret/data/app/a/x",
                "whatever matches ops-*/ops of b can, through ops, on secret/data/app/a/x",
            ],
            vec!["ns/app of a can't: app does not give it on secret/data/app/a/x"],
            vec!["ns/other of b can't: no role lets it log in"],
            vec!["ops-1/ops of b can, through ops, on secret/data/app/a/x"],
        ]
    );
}

#[test]
fn one_path_in_several_clusters_is_one_expectation() {
    let told = results("  - { nobodyBut: ns/app, can: read, paths: app/x/db }");
    assert_eq!(told[0].0, "nobody but ns/app of a and ns/app of b can read secret/app/x/db");
    assert_eq!(told[0].1, ["whatever matches ops-*/ops of b can, through ops, on secret/data/app/x/db"]);
}
