//! What a rehearsal says of expectations and of another version of the file, and the reports for others.

use serde_json::Value;

use super::{RKE, Rehearsal, TALOS};

/// One cluster, a role of each kind that expectations have to be careful with, and their expectations below.
const ROLES: &str = "
clusters: [{ name: c, context: c, auth: { method: kubernetes, audience: k8s } }, { name: j, context: j, auth: { method: jwt, audience: vault } }]
policies: [{ name: p, read: [app/*] }, { name: wide, read: ['*'] }]
roles:
  - { name: app, clusters: c, serviceAccounts: ns/app, policies: p, ttl: 1h }
  - { name: glob, clusters: c, allowGlobs: true, serviceAccounts: ['team-*/app'], policies: p, ttl: 1h }
  - { name: far, clusters: j, serviceAccounts: ns/far, policies: wide, ttl: 1h, boundCidrs: 192.0.2.0/24 }
  - { name: claims, clusters: j, boundClaims: { /kubernetes.io/namespace: dev }, policies: p, ttl: 1h }
expect:
";

fn expecting(expectations: &str) -> Rehearsal {
    Rehearsal::of(&format!("{ROLES}{expectations}"), ["--key-type", "ec", "-o", "json"])
}

/// What was expected, and what was said against it.
fn results(report: &Value) -> Vec<(String, Vec<String>)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let results = report["expectations"].as_array().unwrap().iter();
    results
        .map(|result| {
            let failures = result["failures"].as_array().into_iter().flatten().map(text).collect();
            (text(&result["expectation"]), failures)
        })
        .collect()
}

#[test]
fn expectations_that_hold_are_kept() {
    let report = expecting(
        "  - { serviceAccounts: ns/app, clusters: c, can: read, paths: [app/db, app/*] }
  - { serviceAccounts: team-x/app, clusters: c, can: read, paths: app/db }
  - { serviceAccounts: ns/far, clusters: j, can: read, paths: anything }
  - { serviceAccounts: dev/any, clusters: j, can: read, paths: app/db }
  - { serviceAccounts: [ns/app, ns/nobody], clusters: c, cannot: [write, delete, list], paths: '*' }
  - { nobodyBut: [], can: read, kv: other, paths: '*' }
",
    )
    .run()
    .exits(0)
    .json();
    let results = results(&report);
    assert_eq!(results.len(), 9);
    assert!(results.iter().all(|(_, failures)| failures.is_empty()), "{results:#?}");
}

#[test]
fn expectations_that_do_not_hold_fail_with_who_and_through_which_role() {
    let report = expecting(
        "  - { nobodyBut: ns/app, clusters: c, can: read, paths: app/db }
  - { serviceAccounts: ns/app, clusters: c, can: [read], paths: app2/db }
  - { serviceAccounts: team-x/app, clusters: c, cannot: read, paths: app/db }
  - { serviceAccounts: ns/nobody, clusters: c, can: read, paths: app/db }
",
    )
    .run()
    .exits(1)
    .json();
    assert_eq!(report["success"], false);
    let failures: Vec<Vec<String>> = results(&report).into_iter().map(|(_, failures)| failures).collect();
    assert_eq!(
        failures,
        [
            vec![
                "whatever matches team-*/app of c can, through glob, on secret/data/app/db",
                "ns/far of j can, through far, on secret/data/app/db",
                "whoever has /kubernetes.io/namespace dev of j can, through claims, on secret/data/app/db",
            ],
            vec!["ns/app of c can't: app does not give it on secret/data/app2/db"],
            vec!["team-x/app of c can, through glob, on secret/data/app/db"],
            vec!["ns/nobody of c can't: no role lets it log in"],
        ]
    );
}

#[test]
fn another_version_is_compared_from_a_file_and_from_standard_input() {
    let wider = TALOS.replace("read: k8s/{cluster}/*", "read: k8s/*");
    let from_file = Rehearsal::of(&wider, ["--against", "main.yaml"]).with(|command| command.file("main.yaml", TALOS));
    let words = ["gains read secret/k8s/* through", "as before on secret/k8s/taloslmn/*"];
    from_file.run().exits(0).says(&words).says(&["Compared with main.yaml", "1 gains and 0 lose access"]);
    let piped = Rehearsal::of(&wider, ["--against", "-"]).with(|command| command.stdin(TALOS));
    piped.run().exits(0).says(&words).says(&["Compared with standard input"]);
    let report = Rehearsal::of(&wider, ["--against", "-", "-o", "json"]).with(|command| command.stdin(TALOS));
    let report = report.run().exits(0).json();
    let change = &report["comparison"]["access"][0];
    assert_eq!((&change["change"], &change["who"]), (&"gained".into(), &"external-secrets/external-secrets".into()));
    assert_eq!(change["nowThrough"].as_array().unwrap().len(), 3);
}

#[test]
fn a_version_that_is_none_is_wrong_usage() {
    let against =
        |other: &str| Rehearsal::of(TALOS, ["--against", "-"]).with(|command| command.stdin(other)).run().exits(64);
    against("").complains(&["standard input, is empty", "git show REVISION:FILE"]);
    Rehearsal::of(TALOS, ["--against", "nowhere.yaml"]).run().exits(64).complains(&["nowhere.yaml could not be read"]);
    Rehearsal::new(["--against", "x"]).run().exits(64).complains(&["there is no vaultk8s.yaml here to compare"]);
}

#[test]
fn a_version_that_is_wrong_does_not_keep_its_mending_from_being_rehearsed() {
    let broken = Rehearsal::of(TALOS, ["--against", "-"]).with(|command| command.stdin("clusters: 1")).run().exits(0);
    let broken = broken.complains(&["nothing is compared", "standard input:1:"]);
    assert!(!broken.stdout.contains("Compared with"), "{}", broken.stdout);
}

/// Paths that no rule of its own shows: where rules meet, and what only the server fills in.
#[test]
fn expectations_are_held_to_where_rules_meet_and_to_every_way() {
    for (policy, expectation, words) in [
        ("read: ['+/db']", "{ nobodyBut: [], can: read, paths: prod/* }", "on secret/data/prod/db"),
        ("read: ['+/db']", "{ serviceAccounts: a/b, cannot: read, paths: prod/+ }", "on secret/data/prod/db"),
        (
            "read: ['prod/+/password']",
            "{ nobodyBut: [], can: read, paths: prod/api/* }",
            "on secret/data/prod/api/password",
        ),
        ("read: [a/+]", "{ serviceAccounts: a/b, can: read, paths: a/* }", "r does not give it on secret/data/a/"),
        (
            "rules: [{ path: secret/destroy/prod/*, capabilities: [update] }]",
            "{ nobodyBut: [], can: delete, paths: '*' }",
            "on secret/destroy/prod/",
        ),
        (
            "read: ['prod/{{identity.entity.id}}/*']",
            "{ nobodyBut: [], can: read, paths: prod/alice/* }",
            "may, through r, where the server makes it so",
        ),
    ] {
        for cidrs in ["", ", boundCidrs: 192.0.2.0/24"] {
            let config = format!(
                "clusters: [{{ name: c, context: c, auth: {{ method: jwt, audience: vault }} }}]
policies: [{{ name: p, {policy} }}]
roles: [{{ name: r, serviceAccounts: a/b, policies: p, ttl: 1h{cidrs} }}]
expect: [{expectation}]"
            );
            Rehearsal::of(&config, ["--key-type", "ec"]).run().exits(1).says(&[words, "1 expectation broken"]);
        }
    }
    // A role that can never let it in doesn't give it anything, and one that pins an account is that account's.
    let config = |role: &str, expectation: &str| {
        format!(
            "clusters: [{{ name: c, context: c, auth: {{ method: jwt, audience: vault }} }}]
policies: [{{ name: p, read: [a/*] }}]
roles: [{{ name: r, policies: p, ttl: 1h, {role} }}]
expect: [{expectation}]"
        )
    };
    let mismatch = "serviceAccounts: a/b, boundCidrs: 192.0.2.0/24, boundClaims: { /kubernetes.io/namespace: c }";
    let can = "{ serviceAccounts: a/b, can: read, paths: 'a/*' }";
    Rehearsal::of(&config(mismatch, can), []).run().exits(1).says(&["no role lets it log in"]);
    let pinned = "boundClaims: { sub: 'system:serviceaccount:a:b' }";
    let answer = Rehearsal::of(&config(pinned, "{ nobodyBut: a/b, can: read, paths: 'a/*' }"), []).run().exits(0);
    answer.says(&["1 login as the configuration says", "1 expectation kept"]);
}

#[test]
fn reports_are_written_also_where_the_rehearsal_fails() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let broken = format!(
        "{}\nexpect: [{{ nobodyBut: [], can: read, paths: example-api/* }}]\n",
        RKE.replace("read: example-{each}/*", "read: example-*")
    );
    let (junit, markdown) = (format!("junit={}", file("r.xml")), format!("markdown={}", file("r.md")));
    let args = ["--report", &junit, "--report", &markdown, "--against", "old.yaml"];
    Rehearsal::of(&broken, args).with(|command| command.file("old.yaml", RKE)).run().exits(1);
    let xml = std::fs::read_to_string(file("r.xml")).unwrap();
    for words in [
        "<testsuite name=\"cluster rke\" tests=\"15\" skipped=\"0\" errors=\"0\" failures=\"0\">",
        "<testsuite name=\"expectations\" tests=\"1\" skipped=\"0\" errors=\"0\" failures=\"1\">",
        "external-secrets-example-api refuses another key",
        "through external-secrets-example-api, on secret/data/example-api/",
    ] {
        assert!(xml.contains(words), "{words}\n{xml}");
    }
    let markdown = std::fs::read_to_string(file("r.md")).unwrap();
    for words in [
        "## ❌ Rehearsal of vaultk8s.yaml",
        "| ➕ gains | `external-secrets/external-secrets` of rke | read `secret/example-*`",
        "- ❌ nobody can read secret/example-api/\\*",
        "<details><summary>Who may do what</summary>",
    ] {
        assert!(markdown.contains(words), "{words}\n{markdown}");
    }
}

#[test]
fn a_report_that_can_not_be_is_refused() {
    for bad in ["junit", "junit=", "html=x", "=x"] {
        Rehearsal::of(TALOS, ["--report", bad]).run().exits(64).complains(&["`--report markdown=FILE`"]);
    }
    let nowhere = Rehearsal::of(TALOS, ["--report", "junit=/nowhere/at/all.xml"]).run().exits(64);
    nowhere.complains(&["there is no folder /nowhere/at"]);
    let folder = tempfile::tempdir().unwrap();
    let answer = Rehearsal::of(TALOS, ["--report", &format!("junit={}", folder.path().display())]).run().exits(1);
    answer.complains(&["could not be written"]);
}
