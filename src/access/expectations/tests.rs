use std::path::Path;

use super::*;
use crate::access::before_login;
use crate::access::who::let_in;
use crate::desired;
use crate::model::KvVersion;
use crate::policy::{Acl, Policy, Verdict};

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
    judged(&format!("{FILE}{expect}")).into_iter().map(|result| (result.expectation, result.failures)).collect()
}

fn judged(file: &str) -> Vec<ExpectationResult> {
    judged_of(&Config::parse(file, Path::new("test.yaml")).unwrap())
}

fn judged_of(config: &Config) -> Vec<ExpectationResult> {
    let kv = KvVersions::from([("secret".parse().unwrap(), KvVersion::V2)]);
    let mut asked = asked(config, &kv).unwrap();
    let policies: BTreeMap<_, Policy> = config
        .policies
        .iter()
        .map(|policy| desired::policy(policy, &kv).unwrap())
        .map(|policy| (policy.name, policy.policy))
        .collect();
    let filled: Vec<Policy> = config
        .clusters
        .iter()
        .flat_map(|cluster| cluster.roles.iter().map(move |role| (cluster, role)))
        .flat_map(|(cluster, role)| {
            let_in(role)
                .into_iter()
                .map(move |who| before_login((&cluster.auth.mount, None), cluster.auth.method.kind(), role, &who))
        })
        .flat_map(|identity| policies.values().map(|policy| policy.filled(&identity)).collect::<Vec<_>>())
        .collect();
    let rules = policies.values().chain(&filled).flat_map(Policy::rules).map(|rule| &rule.path);
    let places = Places::of(rules.chain(asked.iter().flat_map(AskedExpectation::rules)), "x-any");
    for asked in &mut asked {
        asked.settle(&places, policies.values().flat_map(Policy::rules).map(|rule| &rule.path));
    }
    let holdings: Vec<Holding<'_>> = config
        .clusters
        .iter()
        .flat_map(|cluster| cluster.roles.iter().map(move |role| (cluster, role)))
        .flat_map(|(cluster, role)| let_in(role).into_iter().map(move |who| (cluster, role, who)))
        .map(|(cluster, role, who)| {
            let identity = before_login((&cluster.auth.mount, None), cluster.auth.method.kind(), role, &who);
            let policies: Vec<Policy> = role.policies.iter().map(|name| policies[name].filled(&identity)).collect();
            let acl = Acl::new(&policies);
            let may = |path: &str| match acl.capabilities(path) {
                Verdict::Known(words) => words.iter().map(ToString::to_string).collect(),
                Verdict::Unknown => BTreeSet::new(),
            };
            let allowed =
                asked.iter().flat_map(AskedExpectation::paths).map(|path| (path.to_owned(), may(path))).collect();
            let own = policies.iter().flat_map(Policy::rules);
            let unforeseen = own.filter(|rule| rule.path.is_template()).cloned().collect();
            Holding { cluster: &cluster.name, role, who, allowed, unforeseen, acl, tried: Tried::Not }
        })
        .collect();
    asked.iter().map(|asked| asked.judge(&holdings)).collect()
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
fn a_denial_of_some_names_keeps_nobody_from_the_others() {
    for denied in ["x*", "x-any", "x-any/*", "v*"] {
        let file = FILE.replace(
            "read: ['app/*'],",
            &format!("read: ['app/*'], rules: [{{ path: 'secret/data/app/c/{denied}', capabilities: [deny] }}],"),
        );
        let results = judged(&format!("{file}  - {{ nobodyBut: [], can: read, paths: 'app/c/*' }}"));
        let told = results[0].failures.join("; ");
        assert!(told.contains("ops-*/ops of b can, through ops, on secret/data/app/c/"), "{denied}: {told}");
    }
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

/// `clusters` says whose accounts are excepted, and nobody is nobody of any cluster all the same: a secret is lost wherever it is read from.
#[test]
fn nobody_is_nobody_of_any_cluster_whichever_is_named() {
    let one = |clusters: &str, path: &str| {
        let results = judged(&format!("{FILE}  - {{ nobodyBut: ns/app, can: read, paths: '{path}'{clusters} }}"));
        (results[0].expectation.clone(), results[0].failures.clone())
    };
    let ops = "whatever matches ops-*/ops of b can, through ops, on secret/data/app/x/db".to_owned();
    for clusters in ["", ", clusters: [a, b]", ", clusters: a", ", clusters: b"] {
        assert_eq!(one(clusters, "app/x/db").1, std::slice::from_ref(&ops), "{clusters}");
    }
    // The account of that name in the other cluster is somebody else.
    let (told, failures) = one(", clusters: a", "app/b/db");
    assert_eq!(told, "nobody but ns/app of a can read secret/app/b/db");
    assert!(failures.iter().any(|failure| failure.contains("ns/app of b can")), "{failures:?}");
    let (_, failures) = one("", "app/x/db");
    assert!(!failures.iter().any(|failure| failure.contains("ns/app of b")), "{failures:?}");
}

/// What comes of one expectation where one role, `r` of `ns/app`, has a policy.
fn of(policy: &str, expect: &str) -> ExpectationResult {
    let file = format!(
        "clusters: [{{ name: c, context: c, auth: {{ method: jwt, audience: vault }} }}]
policies: [{{ name: p, {policy} }}]
roles: [{{ name: r, serviceAccounts: ns/app, policies: p, ttl: 1h }}]
expect: [{{ {expect} }}]"
    );
    judged(&file).remove(0)
}

fn rule(path: &str, capabilities: &str) -> String {
    format!("rules: [{{ path: '{path}', capabilities: [{capabilities}] }}]")
}

#[test]
fn a_folder_is_listed_by_the_rules_of_what_is_in_it() {
    let b = "can: list, paths: b";
    for (policy, path) in [
        ("list: b/*".to_owned(), "secret/metadata/b/"),
        ("list: b/+".to_owned(), "secret/metadata/b/"),
        ("list: b/".to_owned(), "secret/metadata/b/"),
        ("list: b".to_owned(), "secret/metadata/b/"),
        ("list: 'b*'".to_owned(), "secret/metadata/b/"),
        ("list: +".to_owned(), "secret/metadata/b/"),
        (rule("secret/metadata/b/*", "scan"), "secret/metadata/b/"),
        (rule("secret/detailed-metadata/b/*", "list"), "secret/detailed-metadata/b/"),
        (rule("secret/detailed-metadata/b/*", "scan"), "secret/detailed-metadata/b/"),
    ] {
        let result = of(&policy, &format!("nobodyBut: [], {b}"));
        assert_eq!(result.failures, [format!("ns/app of c can, through r, on {path}")], "{policy}");
    }
    for policy in ["list: b/*", "list: b", "list: b/"] {
        assert!(of(policy, &format!("serviceAccounts: ns/app, {b}")).holds, "{policy}");
        assert!(!of(policy, "nobodyBut: [], can: list, paths: 'b/*'").holds, "{policy}");
    }
    // A denial of the folder keeps it from being listed, though not what is in it.
    let denied = "rules: [{ path: secret/metadata/b/*, capabilities: [list] }, { path: secret/metadata/b, capabilities: [deny] }]";
    assert!(of(denied, &format!("nobodyBut: [], {b}")).holds);
    assert!(!of(denied, &format!("serviceAccounts: ns/app, {b}")).holds);
    assert!(!of(denied, "nobodyBut: [], can: list, paths: b/x").holds);
    for policy in ["list: c/*", "list: b/x/*", "read: b/*"] {
        assert!(of(policy, &format!("nobodyBut: [], {b}")).holds, "{policy}");
    }
}

#[test]
fn a_slash_at_the_end_deletes_what_is_denied() {
    let rules = |more: &str| {
        format!(
            "read: b/*, delete: b/*, rules: [{{ path: secret/data/b/x, capabilities: [deny] }}, \
             {{ path: secret/metadata/b/*, capabilities: [list] }}{more}]"
        )
    };
    let cannot = "serviceAccounts: ns/app, cannot: delete, paths: b/x";
    let open = of(&rules(""), cannot);
    let how = "ns/app of c can, through r, on secret/data/b/x/, which is the same secret to the engine";
    assert!(!open.holds && open.failures[0].starts_with(how), "{open:?}");
    for closed in ["secret/data/b/x/", "secret/data/b/x/*"] {
        let closed = of(&rules(&format!(", {{ path: {closed}, capabilities: [deny] }}")), cannot);
        assert!(closed.holds, "{closed:?}");
    }
    let metadata = "rules: [{ path: secret/metadata/b/*, capabilities: [list, delete] }, { path: secret/metadata/b/x, capabilities: [deny] }]";
    assert!(!of(metadata, cannot).holds);
    // What is read with a slash is no value.
    assert!(of(&rules(""), "serviceAccounts: ns/app, cannot: read, paths: b/x").holds);
}

#[test]
fn a_scan_of_a_folder_above_lists_what_is_denied() {
    let rules = |scan: &str, words: &str| {
        format!(
            "rules: [{{ path: {scan}, capabilities: [{words}] }}, {{ path: secret/metadata/b/x, capabilities: [deny] }}, \
             {{ path: secret/metadata/b/x/*, capabilities: [deny] }}]"
        )
    };
    for path in ["b/x", "b/x/*", "b/x/deep"] {
        let cannot = format!("serviceAccounts: ns/app, cannot: list, paths: '{path}'");
        let open = of(&rules("secret/metadata/b/*", "list, scan"), &cannot);
        let how = "ns/app of c can, through r, on secret/metadata/b/, where a scan tells all that is below";
        assert_eq!(open.failures, [how], "{path}");
        assert!(!of(&rules("secret/metadata/", "scan"), &cannot).holds);
        assert!(of(&rules("secret/metadata/b/*", "list"), &cannot).holds);
        assert!(of(&rules("secret/metadata/c/*", "scan"), &cannot).holds);
    }
}

#[test]
fn every_way_of_a_verb_counts() {
    for (verb, ways) in [
        (
            "delete",
            &[
                ("secret/data/b/*", "delete"),
                ("secret/delete/b/*", "update"),
                ("secret/destroy/b/x", "update"),
                ("secret/undelete/b/*", "update"),
                ("secret/metadata/b/*", "delete"),
                ("secret/metadata/b/*", "update"),
                ("secret/metadata/b/*", "patch"),
                ("secret/config", "update"),
                ("secret/*", "delete"),
                ("+/destroy/+/x", "update"),
                ("sys/mounts/secret", "delete"),
                ("sys/mounts/*", "delete"),
            ][..],
        ),
        (
            "write",
            &[
                ("secret/data/b/*", "create"),
                ("secret/data/b/*", "update"),
                ("secret/data/b/x", "patch"),
                ("secret/undelete/b/*", "update"),
                ("secret/metadata/b/*", "patch"),
            ],
        ),
        ("read", &[("secret/data/b/*", "read"), ("secret/+/b/x", "read")]),
    ] {
        for (path, capability) in ways {
            let result = of(&rule(path, capability), &format!("nobodyBut: [], can: {verb}, paths: 'b/*'"));
            assert!(!result.holds, "{verb} {path} {capability}");
        }
    }
    for (verb, path, capability) in [
        ("delete", "secret/data/b/*", "create, read, update, patch"),
        ("delete", "secret/metadata/b/*", "read, list"),
        ("write", "secret/data/b/*", "read, delete"),
        ("write", "secret/destroy/b/*", "update"),
        ("read", "secret/data/b/*", "create, update, delete"),
        ("list", "secret/metadata/b/*", "read, delete"),
        ("list", "secret/data/b/*", "read, list"),
    ] {
        let result = of(&rule(path, capability), &format!("nobodyBut: [], can: {verb}, paths: 'b/*'"));
        assert!(result.holds, "{verb} {path} {capability}: {result:?}");
    }
    // What is no value is said.
    for (path, sees) in [("secret/subkeys/b/*", "names of properties"), ("secret/metadata/b/*", "metadata")] {
        let result = of(&rule(path, "read"), "nobodyBut: [], can: read, paths: 'b/*'");
        assert!(result.holds && result.notes.len() == 1 && result.notes[0].contains(sees), "{result:?}");
    }
}

#[test]
fn what_nothing_could_break_does_not_hold_or_is_said() {
    let nobody = "can't log in through any role, so nothing was tried";
    let result = of("read: b/*", "serviceAccounts: ns/ap, cannot: write, paths: b/*");
    assert!(!result.holds && result.failures[0].contains(nobody), "{result:?}");
    // An exception for nobody, and a path that no policy is about.
    let result = of("read: b/*", "nobodyBut: ns/ap, can: write, paths: b/*");
    assert!(
        result.holds && result.notes == ["ns/ap of c can't log in through any role: nobody is excepted"],
        "{result:?}"
    );
    for expect in
        ["nobodyBut: [], can: read, paths: payroll/*", "serviceAccounts: ns/app, cannot: read, paths: payroll/*"]
    {
        let result = of("read: b/*", expect);
        assert!(result.holds && result.notes.len() == 1, "{result:?}");
        assert!(result.notes[0].starts_with("no policy of the file is about this path"), "{result:?}");
    }
    // Whatever a policy allows there, it is about the path.
    for policy in ["list: payroll/x", "read: '*'", "read: +/x", "list: payroll"] {
        let result = of(policy, "nobodyBut: [], can: delete, paths: payroll/*");
        assert!(result.holds && (result.notes.is_empty() || policy == "list: payroll"), "{policy} {result:?}");
    }
    // In one of the clusters that an entry is about, an account may have no role.
    let told = judged(&format!("{FILE}  - {{ serviceAccounts: dev/any, cannot: write, paths: 'app/*' }}\n"));
    assert!(
        told[0].holds && told[0].notes == ["dev/any of b can't log in there through any role: nothing was tried"],
        "{told:?}"
    );
    let nobody = "clusters: [{ name: c, context: c, auth: { method: jwt, audience: vault } }]
policies: [{ name: p, read: [b] }]
expect: [{ nobodyBut: [], can: read, paths: b }]";
    assert_eq!(judged(nobody)[0].failures, ["nothing was tried: no role of the file lets anybody log in"]);
}

#[test]
fn what_is_true_of_several_is_told_once() {
    let file = "clusters: [{ name: c, context: c, auth: { method: kubernetes, audience: k8s } }]
policies: [{ name: p, read: [b/*] }]
roles: [{ name: r, serviceAccounts: [a/x, a/y, a/z], policies: p, ttl: 1h }]
expect:
  - { nobodyBut: [], can: read, paths: b/* }
  - { serviceAccounts: [a/x, a/y], cannot: read, paths: b/db }
  - { serviceAccounts: [a/x, a/y, a/z], can: write, paths: b/db }";
    let told: Vec<Vec<String>> = judged(file).into_iter().map(|result| result.failures).collect();
    assert_eq!(
        told,
        [
            ["a/x of c, a/y of c and a/z of c can, through r, on secret/data/b/db"],
            ["a/x of c and a/y of c can, through r, on secret/data/b/db"],
            ["a/x of c, a/y of c and a/z of c can't: r does not give it on secret/data/b/db"],
        ]
    );
}

#[test]
fn what_the_file_allows_every_login_is_no_more_expected_of_nobody() {
    let with = |expect: &str, allow: &str, rules: &str| {
        let file = FILE.replace("roles:\n", &format!("{rules}roles:\n"));
        let results = judged(&format!("{file}  - {{ {expect} }}\nallow:\n  - {{ {allow}, why: known }}\n"));
        (results[0].holds, results[0].failures.join("; "), results[0].notes.join("; "))
    };
    let read = "path: secret/data/payroll/*, capabilities: [read]";
    let nobody = "nobodyBut: [], can: read, paths: 'payroll/*'";
    let (holds, failures, _) = with(nobody, read, "");
    assert!(!holds && failures.contains("`allow` of secret/data/payroll/* (line "), "{failures}");
    let cannot =
        |clusters: &str| format!("serviceAccounts: ns/app, clusters: [{clusters}], cannot: read, paths: payroll/x");
    assert!(!with(&cannot("a"), read, "").0);
    // One of a cluster is about the logins of that.
    let of_clusters = "path: 'secret/data/{cluster}-team/*', capabilities: [read]";
    assert!(!with("serviceAccounts: ns/app, clusters: [a], cannot: read, paths: a-team/x", of_clusters, "").0);
    assert!(with("serviceAccounts: ns/app, clusters: [a], cannot: read, paths: b-team/x", of_clusters, "").0);
    // Other paths, and other things to do with the same ones.
    assert!(with(nobody, "path: secret/data/payrolls/*, capabilities: [read]", "").0);
    assert!(with(nobody, "path: secret/data/payroll/*, capabilities: [list]", "").0);
    assert!(
        !with(
            "nobodyBut: [], can: delete, paths: 'payroll/*'",
            "path: secret/metadata/payroll/*, capabilities: [delete]",
            ""
        )
        .0
    );
    assert!(
        !with("nobodyBut: [], can: list, paths: payroll", "path: secret/metadata/payroll/*, capabilities: [list]", "")
            .0
    );
    // A denial may be there for it: that is for the server to say.
    let denial = "  - { name: guard, rules: [{ path: secret/data/payroll/*, capabilities: [deny] }] }\n";
    let (holds, _, notes) = with(nobody, read, denial);
    assert!(holds && notes.contains("`allow` of secret/data/payroll/*"), "{notes}");
}

#[test]
fn tasks_and_api_paths_are_expected_as_policies_give_them() {
    for (policy, expect) in [
        ("push: b/*", "serviceAccounts: ns/app, can: push, paths: b/*"),
        ("find: b/*", "serviceAccounts: ns/app, can: find, paths: b/*"),
        ("sign: pki/sign/web", "serviceAccounts: ns/app, can: sign, paths: pki/sign/web"),
        ("creds: db/creds/*", "serviceAccounts: ns/app, can: creds, paths: db/creds/x"),
        ("encrypt: orders", "serviceAccounts: ns/app, can: encrypt, paths: transit/orders"),
        (
            "rules: [{ path: sys/health, capabilities: [read] }]",
            "serviceAccounts: ns/app, can: read, apiPaths: sys/health",
        ),
    ] {
        assert!(of(policy, expect).holds, "{policy} {expect}");
        let nobody = expect.replace("serviceAccounts: ns/app", "nobodyBut: []");
        assert!(!of(policy, &nobody).holds, "{policy} {nobody}");
    }
    // Who reads or lists can't push, and who reads can't find.
    for (policy, expect) in [
        ("read: b/*", "nobodyBut: [], can: [push, find], paths: b/*"),
        ("list: b/*", "nobodyBut: [], can: push, paths: b/*"),
        ("decrypt: orders", "nobodyBut: [], can: encrypt, paths: orders"),
        ("sign: pki/sign/web", "nobodyBut: [], can: sign, paths: pki/sign/mail"),
    ] {
        assert!(of(policy, expect).holds, "{policy} {expect}");
    }
    // To write values alone is no push, and to list alone no find.
    for (policy, verb) in [("write: b/*", "push"), ("list: b/*", "find")] {
        assert!(!of(policy, &format!("serviceAccounts: ns/app, can: {verb}, paths: b/*")).holds, "{policy}");
        assert!(!of(policy, &format!("nobodyBut: [], can: {verb}, paths: b/*")).holds, "{policy}");
    }
}

/// One policy for all, which the namespace of who logs in fills in.
const TENANTS: &str = "
clusters: [{ name: c, context: c, auth: { method: kubernetes, mount: m, audience: k8s } }]
policies: [{ name: own, read: ['{{identity.entity.aliases.{accessor}.metadata.service_account_namespace}}/*'] }]
roles: [{ name: all, serviceAccounts: [one/app, two/app], policies: own, ttl: 1h }]
expect:
";

#[test]
fn a_template_is_filled_in_for_each_account() {
    let told = |expect: &str| judged(&format!("{TENANTS}{expect}")).remove(0).failures;
    for holds in [
        "  - { serviceAccounts: one/app, can: read, paths: one/db }",
        "  - { serviceAccounts: one/app, cannot: read, paths: two/db }",
        "  - { nobodyBut: two/app, can: read, paths: 'two/*' }",
    ] {
        assert_eq!(told(holds), Vec::<String>::new(), "{holds}");
    }
    assert_eq!(
        told("  - { serviceAccounts: one/app, can: read, paths: two/db }"),
        ["one/app of c can't: all does not give it on secret/data/two/db"]
    );
    assert_eq!(
        told("  - { serviceAccounts: two/app, cannot: read, paths: 'two/*' }"),
        ["two/app of c can, through all, on secret/data/two/x-any/x-any"]
    );
}

#[test]
fn what_is_allowed_in_another_file_is_named_with_it() {
    let first = format!("{FILE}  - {{ nobodyBut: [], can: read, paths: 'payroll/*' }}\n");
    let second = "allow:\n  - { path: secret/data/payroll/*, capabilities: [read], why: known }\n";
    let files = [Path::new("a.yaml"), Path::new("b.yaml")].map(Path::to_path_buf).to_vec();
    let config = Config::parse_all(&[first.as_str(), second], ConfigFiles::from(files)).unwrap();
    let failures = judged_of(&config).remove(0).failures.join("; ");
    assert!(failures.contains("`allow` of secret/data/payroll/* (b.yaml:2)"), "{failures}");
}

#[test]
fn whether_a_role_by_labels_lets_somebody_in_is_for_those_to_say() {
    let role = "  - { name: team, clusters: [b], serviceAccounts: app, namespaceSelector: team=shop, policies: wide, ttl: 1h }\nexpect:\n";
    let failures = |can: &str| {
        let expect = format!("  - {{ serviceAccounts: shop/app, clusters: [b], {can}: read, paths: 'app/x' }}\n");
        judged(&format!("{}{expect}", FILE.replace("expect:\n", role))).remove(0).failures.join("; ")
    };
    let can = failures("can");
    assert!(can.contains("whether team lets it in is for the labels of its namespace to say"), "{can}");
    let cannot = failures("cannot");
    assert!(cannot.contains("may, if the labels of its namespace are those, through team"), "{cannot}");
}
