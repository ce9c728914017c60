use std::path::Path;

use super::*;
use crate::model::KvVersion;

const FILE: &str = "
clusters:
  - { name: prod, context: prod, auth: { method: jwt, audience: vault } }
  - { name: old, context: old, auth: { method: kubernetes, audience: k8s } }
policies:
  - { name: 'p-{each}', each: [api, web], read: ['{each}/*'], list: ['{each}/*'], clusters: prod }
  - { name: shared, read: [shared/db], clusters: old }
roles:
  - { name: 'r-{each}', each: [api, web], clusters: prod, serviceAccounts: eso/eso, policies: 'p-{each}', ttl: 1h }
  - { name: ops, clusters: old, serviceAccounts: [ops/ops], policies: shared, ttl: 1h }
";

fn compared(before: &str, after: &str) -> Comparison {
    let parse = |text: &str| Config::parse(text, Path::new("test.yaml")).unwrap_or_else(|error| panic!("{error}"));
    let kv = KvVersions::from([("secret".parse().unwrap(), KvVersion::V2)]);
    compare("before.yaml", &parse(before), &parse(after), [&TrustFiles::new(), &TrustFiles::new()], &kv).unwrap()
}

/// What an edit of the file changes, a line each.
fn edited(from: &str, to: &str) -> Vec<String> {
    assert!(FILE.contains(from), "{from}");
    let Comparison { access, terms, .. } = compared(FILE, &FILE.replace(from, to));
    let names = |names: &[RoleName]| names.iter().map(RoleName::as_str).collect::<Vec<_>>().join("+");
    let access = access.iter().map(|change| {
        let mut line = format!(
            "{} of {} {:?} {} {} [{} / {}]",
            change.who,
            change.cluster,
            change.change,
            change.verbs.join("+"),
            change.path,
            names(&change.now_through),
            names(&change.no_longer_through)
        );
        for (word, paths) in [("including", &change.including), ("but not", &change.but_not)] {
            if *paths != SomePaths::default() {
                line.extend([" ", word, " ", &paths.to_string()]);
            }
        }
        line
    });
    let terms = terms.iter().map(ToString::to_string);
    access.chain(terms).collect()
}

#[test]
fn the_same_configuration_changes_nothing() {
    let Comparison { access, terms, .. } = compared(FILE, FILE);
    assert!(access.is_empty() && terms.is_empty());
}

#[test]
fn a_wider_path_is_a_gain_and_a_narrower_one_a_loss() {
    assert_eq!(
        edited("read: ['{each}/*'], list", "read: ['*'], list"),
        [
            "eso/eso of prod Gained read secret/* [r-api+r-web / ] including secret/shared/db but not secret/api/*, secret/web/*"
        ]
    );
    assert_eq!(
        edited("read: [shared/db]", "read: [shared/db/main]"),
        [
            "ops/ops of old Gained read secret/shared/db/main [ops / ]",
            "ops/ops of old Lost read secret/shared/db [ / ops]"
        ]
    );
}

#[test]
fn another_account_gains_and_the_former_loses() {
    let told = edited("serviceAccounts: [ops/ops]", "serviceAccounts: [ops/oops]");
    assert_eq!(
        told,
        ["ops/oops of old Gained read secret/shared/db [ops / ]", "ops/ops of old Lost read secret/shared/db [ / ops]"]
    );
}

#[test]
fn swapped_policies_are_other_roles_for_the_same_account() {
    let text = FILE.replace("policies: 'p-{each}', ttl", "policies: p-api, ttl");
    let told = compared(FILE, &text).access;
    assert!(told.iter().all(|change| change.verbs == ["read", "list"]), "{told:?}");
    let kinds: Vec<(AccessShift, &str)> = told.iter().map(|change| (change.change, change.path.as_str())).collect();
    assert_eq!(kinds, [(AccessShift::Lost, "secret/web/*"), (AccessShift::OtherRoles, "secret/api/*")]);
}

#[test]
fn terms_say_whether_they_are_looser() {
    for (from, to, expected) in [
        ("audience: vault", "audience: other", "roles r-api, r-web of prod: audience is other, and was vault"),
        (
            "audience: k8s",
            "audience: k8s, host: 'https://x'",
            "mount kubernetes-old of old: host is https://x/, and was the kubeconfig's",
        ),
        ("policies: shared, ttl: 1h", "policies: shared, ttl: 2h", "role ops of old: ttl is 2h, and was 1h: looser"),
        ("policies: shared, ttl: 1h", "policies: shared", "role ops of old: ttl is the server's, and was 1h: looser"),
        (
            "policies: shared, ttl: 1h",
            "policies: shared, ttl: 10m, numUses: 3",
            "role ops of old: numUses is 3, and was without limit: tighter",
        ),
        (
            "policies: shared, ttl: 1h",
            "policies: shared, ttl: 1h, anyAudience: true",
            "role ops of old: audience is any, and was k8s: looser",
        ),
        (
            "policies: shared, ttl: 1h",
            "policies: shared, ttl: 1h, boundCidrs: 10.0.0.0/8",
            "role ops of old: boundCidrs is 10.0.0.0/8, and was any: tighter",
        ),
        (
            "method: jwt, audience: vault",
            "method: jwt, audience: vault, keys: oidcDiscovery",
            "mount jwt-prod of prod: keys is oidcDiscovery, and was pinned",
        ),
        // Accounts that share a value are one identity.
        (
            "serviceAccounts: eso/eso, policies: 'p-{each}',",
            "serviceAccounts: eso/eso, policies: 'p-{each}', userClaim: /kubernetes.io/serviceaccount/name,",
            "roles r-api, r-web of prod: userClaim is /kubernetes.io/serviceaccount/name, and was sub: looser",
        ),
        (
            "serviceAccounts: eso/eso, policies: 'p-{each}',",
            "serviceAccounts: eso/eso, policies: 'p-{each}', userClaim: /kubernetes.io/serviceaccount/uid,",
            "roles r-api, r-web of prod: userClaim is /kubernetes.io/serviceaccount/uid, and was sub",
        ),
    ] {
        let told = edited(from, to);
        assert!(told.iter().any(|line| line == expected), "{expected}\n{told:#?}");
    }
}

#[test]
fn lists_of_settings_are_compared_by_what_is_in_them() {
    let told = |before: &str, after: &str| {
        let tuned = |keys: &str| {
            let to = format!("audience: vault, tune: {{ auditNonHmacRequestKeys: {keys} }} }}");
            FILE.replace("audience: vault }", &to)
        };
        let terms = compared(&tuned(before), &tuned(after)).terms;
        terms.iter().map(|term| term.to_string().replace("mount jwt-prod of prod: tune.", "")).collect::<Vec<_>>()
    };
    for (before, after, does) in [
        ("[role, remote_address]", "[jwt]", ""),
        ("[role]", "[role, jwt]", ": looser"),
        ("[role, jwt]", "[jwt]", ": tighter"),
        ("[role]", "[]", ": tighter"),
    ] {
        let told = told(before, after);
        assert!(told.len() == 1 && told[0].starts_with("auditNonHmacRequestKeys is "), "{told:?}");
        let said = told[0].rsplit_once(": ").map(|(_, said)| format!(": {said}")).unwrap_or_default();
        assert_eq!(said, does, "{told:?}");
    }
    assert_eq!(told("[role, jwt]", "[jwt, role]"), Vec::<String>::new());
}

#[test]
fn what_a_role_under_another_name_no_longer_asks_is_told() {
    let strict =
        FILE.replace("policies: shared, ttl: 1h", "policies: shared, ttl: 10m, boundCidrs: 10.0.0.0/8, numUses: 3");
    let told = compared(&strict, &FILE.replace("name: ops,", "name: op,")).terms;
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    for words in
        ["role op of old: boundCidrs is any, and was 10.0.0.0/8: looser", "role op of old: numUses is without limit"]
    {
        assert!(told.iter().any(|line| line.starts_with(words)), "{words}\n{told:#?}");
    }
    let renamed =
        FILE.replace("name: old, context: old", "name: new, context: prod").replace("clusters: old", "clusters: new");
    let told = compared(FILE, &renamed).terms;
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|line| line.contains("cluster is context prod, and was context old")), "{told:#?}");
}

#[test]
fn ranges_and_patterns_are_looser_where_they_take_more() {
    let with = |range: &str| {
        FILE.replace("policies: shared, ttl: 1h", &format!("policies: shared, ttl: 1h, boundCidrs: '{range}'"))
    };
    let told = |before: &str, after: &str| compared(&with(before), &with(after)).terms[0].to_string();
    assert!(told("10.1.0.0/16", "0.0.0.0/0").ends_with(": looser"));
    assert!(told("10.0.0.0/8", "10.1.2.3").ends_with(": tighter"));
    let claims = |fields: &str| FILE.replace("serviceAccounts: eso/eso,", &format!("boundClaims: {fields},"));
    let order = compared(&claims("{ iss: [a, b] }"), &claims("{ iss: [b, a] }"));
    assert!(order.access.is_empty() && order.terms.is_empty(), "{order:?}");
    let more = compared(&claims("{ iss: a }"), &claims("{ iss: [a, b] }"));
    assert!(more.access.iter().all(|change| change.change == AccessShift::Gained), "{more:?}");
    assert!(more.terms[0].to_string().ends_with("is a, b, and was a: looser"));
}

#[test]
fn what_is_new_or_gone_is_told_as_a_whole() {
    let told = edited("name: ops,", "name: op,");
    assert_eq!(
        told,
        [
            "ops/ops of old OtherRoles read secret/shared/db [op / ops]",
            "role op of old is new: audience k8s; boundCidrs any; ttl 1h",
            "role ops of old is gone",
        ]
    );
}

/// What changes where one policy becomes another, for one role that has it.
fn policies(before: &str, after: &str) -> Vec<String> {
    let file = |rules: &str| {
        "clusters: [{ name: c, context: c, auth: { method: jwt, audience: vault } }]
policies: [{ name: p, rules: [RULES] }, { name: other, read: ['other/+/*', 'wide/+/+'] }]
roles: [{ name: r, serviceAccounts: a/b, policies: p, ttl: 1h }, { name: o, serviceAccounts: o/o, policies: other, ttl: 1h }]"
            .replace("RULES", rules)
    };
    let told = compared(&file(before), &file(after)).access;
    told.iter().map(|change| format!("{:?} {} {}", change.change, change.verbs.join("+"), change.path)).collect()
}

fn reads(paths: &[&str]) -> String {
    let rule = |path: &&str| match path.strip_prefix('!') {
        Some(path) => format!("{{ path: 'secret/data/{path}', capabilities: [deny] }}"),
        None => format!("{{ path: 'secret/data/{path}', capabilities: [read] }}"),
    };
    paths.iter().map(rule).collect::<Vec<_>>().join(", ")
}

#[test]
fn rules_that_match_each_other_hide_nothing() {
    for (before, after, expected) in [
        // Two rules of which each matches what stands for the other.
        (&["x/y"][..], &["team/+/*", "team/*"][..], &["Gained read secret/team/*", "Lost read secret/x/y"][..]),
        (&["x/y"], &["other/*"], &["Gained read secret/other/*", "Lost read secret/x/y"]),
        (&["team/+/+"], &["team/*"], &["Gained read secret/team/*"]),
        (&["team/+/*"], &["team/*"], &["Gained read secret/team/+"]),
        (&["wide/x"], &["wide/x", "wide/+/+"], &["Gained read secret/wide/+/+"]),
        // A more specific rule defeats a denial where the two meet.
        (&["prod/*", "!prod/+/root"], &["prod/*", "prod/web/*", "!prod/+/root"], &["Gained read secret/prod/web/root"]),
        (&["prod/*", "!prod/+/root"], &["prod/*"], &["Gained read secret/prod/+/root"]),
        // Only a server knows what it denied.
        (
            &["prod/*", "!prod/{{identity.entity.name}}/*"],
            &["prod/*"],
            &["Lost deny secret/data/prod/{{identity.entity.name}}/*"],
        ),
    ] {
        assert_eq!(policies(&reads(before), &reads(after)), expected, "{before:?} {after:?}");
    }
}

#[test]
fn a_template_is_compared_as_it_is_written() {
    let before = FILE.replace("read: [shared/db]", "read: ['{{identity.entity.id}}/db']");
    let told = compared(&before, &FILE.replace("read: [shared/db]", "read: ['{{identity.entity.name}}/db']")).access;
    let lines: Vec<(AccessShift, &str)> = told.iter().map(|change| (change.change, change.path.as_str())).collect();
    assert_eq!(
        lines,
        [
            (AccessShift::Gained, "secret/{{identity.entity.name}}/db"),
            (AccessShift::Lost, "secret/{{identity.entity.id}}/db")
        ]
    );
}

#[test]
fn a_bound_claim_that_is_dropped_is_looser() {
    let with = FILE.replace(
        "policies: 'p-{each}', ttl: 1h",
        "policies: 'p-{each}', ttl: 1h, boundClaims: { /kubernetes.io/node/name: n1 }",
    );
    let told = compared(&with, FILE).terms;
    let told: Vec<String> = told.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["roles r-api, r-web of prod: boundClaims /kubernetes.io/node/name is any, and was n1: looser"]);
}

#[test]
fn a_leeway_is_compared_with_what_the_server_gives_unasked() {
    let told = |before: &str, after: &str| {
        let with = |fields: &str| {
            FILE.replace("policies: 'p-{each}', ttl: 1h", &format!("policies: 'p-{{each}}', ttl: 1h{fields}"))
        };
        let terms = compared(&with(before), &with(after)).terms;
        let told: Vec<String> =
            terms.iter().map(|term| term.to_string().replace("roles r-api, r-web of prod: ", "")).collect();
        told.join("; ")
    };
    for (before, after, expected) in [
        ("", ", clockSkewLeeway: 8760h", "clockSkewLeeway is 31536000s, and was the server's: looser"),
        ("", ", clockSkewLeeway: 30", "clockSkewLeeway is 30s, and was the server's: tighter"),
        ("", ", clockSkewLeeway: 60", "clockSkewLeeway is 60s, and was the server's"),
        ("", ", clockSkewLeeway: 100", "clockSkewLeeway is 100s, and was the server's: looser"),
        ("", ", expirationLeeway: 100", "expirationLeeway is 100s, and was the server's: tighter"),
        ("", ", notBeforeLeeway: 8760h", "notBeforeLeeway is 31536000s, and was the server's: looser"),
        (", clockSkewLeeway: 8760h", "", "clockSkewLeeway is the server's, and was 31536000s: tighter"),
        ("", ", clockSkewLeeway: -1", "clockSkewLeeway is none at all, and was the server's: tighter"),
        (", clockSkewLeeway: -1", ", clockSkewLeeway: 1", "clockSkewLeeway is 1s, and was none at all: looser"),
        (", clockSkewLeeway: 0", "", ""),
    ] {
        assert_eq!(told(before, after), expected, "{before} -> {after}");
    }
}

#[test]
fn what_means_the_same_is_neither_looser_nor_tighter() {
    let told = |before: &str, after: &str| {
        let with = |fields: &str| FILE.replace("policies: shared, ttl: 1h", &format!("policies: shared, {fields}"));
        let terms = compared(&with(before), &with(after)).terms;
        let told: Vec<String> = terms.iter().map(|term| term.to_string().replace("role ops of old: ", "")).collect();
        told.join("; ")
    };
    // Two ranges that are every address, and none.
    assert_eq!(told("ttl: 1h", "ttl: 1h, boundCidrs: ['0.0.0.0/0', '::/0']"), "");
    assert_eq!(told("ttl: 1h", "ttl: 1h, boundCidrs: '0.0.0.0/0'"), "boundCidrs is 0.0.0.0/0, and was any: tighter");
    // A periodic token lives for its period, not for as long as the server likes.
    assert_eq!(
        told("ttl: 2h", "period: 1h"),
        "period is 1h, and was none: looser; ttl is its period, and was 2h: tighter"
    );
    let jwt = |fields: &str| FILE.replace("serviceAccounts: eso/eso,", &format!("boundClaims: {{ iss: {fields},"));
    let terms = compared(&jwt("team-a }"), &jwt("'team-*' }, allowGlobs: true")).terms;
    assert!(
        terms.iter().any(|term| term.to_string().ends_with("boundClaims iss is team-*, and was team-a: looser")),
        "{terms:?}"
    );
}

#[test]
fn a_folder_that_is_no_longer_kept_from_being_listed_is_a_gain() {
    let rule = |path: &str, capability: &str| format!("{{ path: 'secret/{path}', capabilities: [{capability}] }}");
    let (all, read) = (rule("metadata/app/*", "list"), rule("data/app/*", "read"));
    let kept = format!("{all}, {}", rule("metadata/app", "deny"));
    assert_eq!(policies(&kept, &all), ["Gained list secret/app/"]);
    assert_eq!(policies(&all, &kept), ["Lost list secret/app/"]);
    // What is listed as a rule says goes without saying.
    assert_eq!(policies(&read, &format!("{read}, {all}")), ["Gained list secret/app/*"]);
    assert_eq!(policies(&read, &format!("{read}, {}", rule("metadata/app", "list"))), ["Gained list secret/app"]);
}
