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
  - { serviceAccounts: [ns/app, team-x/app], clusters: c, cannot: [write, delete, list], paths: '*' }
  - { nobodyBut: [], can: read, kv: other, paths: '*' }
",
    )
    .run()
    .exits(0)
    .json();
    let results = results(&report);
    assert_eq!(results.len(), 9);
    assert!(report["notes"].is_null(), "{report}");
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

/// An entry of `allow` that nothing needs is a note, and holds nothing against the file.
#[test]
fn an_allowance_that_nothing_needs_is_a_note() {
    let file = format!(
        "allow: [{{ path: secret/data/shared/*, capabilities: [read], why: a group gives it }}]
{ROLES}  - {{ serviceAccounts: ns/app, clusters: c, can: read, paths: app/db }}
"
    );
    let rehearsal = |more: &[&'static str]| Rehearsal::of(&file, [&["--key-type", "ec"], more].concat()).run().exits(0);
    let report = rehearsal(&["-o", "json"]).json();
    let note = report["notes"][0].as_str().unwrap();
    assert!(note.contains("`allow` of secret/data/shared/*") && note.contains("no login of this rehearsal needs it"));
    rehearsal(&[]).says(&["note: `allow` of secret/data/shared/*"]);
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

/// A cluster whose keys stand in a file.
const BY_FILE: &str = "clusters:
  - { name: prod, issuer: 'https://prod.example.internal', jwksFile: keys.json, auth: { method: jwt, audience: vault } }
policies: [{ name: p, read: [app/*] }]
roles: [{ name: r, serviceAccounts: [app/app], policies: [p], ttl: 1h }]
";

/// A key set of the first keys of those that the tests of keys have.
fn key_set(count: usize) -> String {
    let all: serde_json::Value = serde_json::from_str(include_str!("../../testdata/jwks/mixed.json")).unwrap();
    let keys = all["keys"].as_array().unwrap();
    assert!(keys.len() >= count);
    serde_json::json!({ "keys": keys[..count] }).to_string()
}

#[test]
fn keys_in_a_file_are_terms_of_the_version_that_has_it() {
    let with = |base: usize, now: usize| {
        Rehearsal::of(BY_FILE, ["--key-type", "ec", "--against", "base/vaultk8s.yaml"]).with(|command| {
            let command = command.folder("base").file("base/vaultk8s.yaml", BY_FILE);
            command.file("base/keys.json", &key_set(base)).file("keys.json", &key_set(now))
        })
    };
    let same = with(1, 1).run().exits(0).says(&["0 gain and 0 lose access, 0 terms to look at"]);
    assert!(!same.stderr.contains("warning"), "{}", same.stderr);
    with(1, 2).run().exits(0).says(&["keys in jwksFile is ", ": looser", "1 term to look at"]);
    with(2, 1).run().exits(0).says(&["keys in jwksFile is ", ": tighter"]);
}

#[test]
fn keys_in_a_file_that_only_one_version_has_are_told_as_not_compared() {
    let not_compared = "are not compared";
    let piped = Rehearsal::of(BY_FILE, ["--key-type", "ec", "--against", "-"]);
    let piped = piped.with(|command| command.stdin(BY_FILE).file("keys.json", &key_set(1)));
    piped.run().exits(0).complains(&[not_compared, "standard input has no folder", "git worktree add"]);
    // Beside one another, both versions find the same file.
    let beside = Rehearsal::of(BY_FILE, ["--key-type", "ec", "--against", "base.yaml"]);
    let beside = beside.with(|command| command.file("base.yaml", BY_FILE).file("keys.json", &key_set(1)));
    beside.run().exits(0).complains(&[not_compared, "from the same place", "keys.json"]);
    // Without such files there is nothing to say.
    let plain = Rehearsal::of(TALOS, ["--against", "-"]).with(|command| command.stdin(TALOS)).run().exits(0);
    assert!(!plain.stderr.contains(not_compared), "{}", plain.stderr);
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

/// One role of `a/b` with a policy, and what is expected of it.
fn one(policy: &str, expectation: &str) -> String {
    format!(
        "clusters: [{{ name: c, context: c, auth: {{ method: jwt, audience: vault }} }}]
policies: [{{ name: p, {policy} }}]
roles: [{{ name: r, serviceAccounts: a/b, policies: p, ttl: 1h }}]
expect: [{expectation}]"
    )
}

/// A server appends a slash to the path of a LIST, so that a rule for what is in a folder lets the folder be listed.
#[test]
fn who_can_list_a_folder_is_found() {
    let can = |who: &str| format!("{{ {who}, can: [list], paths: [b] }}");
    let rule = "rules: [{ path: secret/metadata/b/*, capabilities: [list] }]";
    for (policy, path, args) in [
        ("list: b/*", "secret/metadata/b/", &[][..]),
        (rule, "secret/metadata/b/", &[]),
        ("list: b/*", "secret/b/", &["--kv-v1", "secret"]),
        ("rules: [{ path: secret/detailed-metadata/b/*, capabilities: [list] }]", "secret/detailed-metadata/b/", &[]),
        ("rules: [{ path: secret/metadata/b/*, capabilities: [scan] }]", "secret/metadata/b/", &[]),
    ] {
        for cidrs in ["", ", boundCidrs: 192.0.2.0/24"] {
            let config = one(policy, &can("nobodyBut: []")).replace("ttl: 1h", &format!("ttl: 1h{cidrs}"));
            let answer = Rehearsal::of(&config, args.iter().copied().chain(["--key-type", "ec"])).run().exits(1);
            answer.says(&[&format!("a/b of c can, through r, on {path}"), "1 expectation broken"]);
        }
    }
    // What is expected of those who are to list it is found as well, and a denial of the folder alone.
    for policy in ["list: b/*", "list: b", "list: b/"] {
        Rehearsal::of(&one(policy, &can("serviceAccounts: a/b")), ["--key-type", "ec"]).run().exits(0);
    }
    let denied = "rules: [{ path: secret/metadata/b/*, capabilities: [list] }, { path: secret/metadata/b, capabilities: [deny] }]";
    Rehearsal::of(&one(denied, &can("nobodyBut: []")), ["--key-type", "ec"]).run().exits(0);
    let dropped = Rehearsal::of(&one(rule, &can("nobodyBut: a/b")), ["--key-type", "ec", "--against", "-"]);
    let dropped = dropped.with(|command| command.stdin(one(denied, &can("nobodyBut: a/b")))).run().exits(0);
    dropped.says(&["gains list secret/b/ through r"]);
}

#[test]
fn an_expectation_that_nothing_could_break_is_no_good() {
    let broken = [
        (
            "{ serviceAccounts: a/c, cannot: read, paths: 'x/*' }",
            "a/c of c can't log in through any role, so nothing was tried",
        ),
        ("{ serviceAccounts: [a/b, a/c], cannot: read, paths: 'x/*' }", "a/c of c can't log in through any role"),
    ];
    for (expectation, words) in broken {
        Rehearsal::of(&one("read: y/*, list: x/*", expectation), ["--key-type", "ec"]).run().exits(1).says(&[words]);
    }
    for path in ["apps/", "secret/apps/", "apps/+/"] {
        for expectation in [
            format!("{{ nobodyBut: [], can: read, paths: {path} }}"),
            format!("{{ serviceAccounts: a/b, cannot: [list, delete], paths: {path} }}"),
        ] {
            let answer = Rehearsal::of(&one("read: y/*", &expectation), []).run().exits(64);
            answer
                .complains(&["ends in a slash, and so does no secret: this would hold whatever anybody may do", "/*`"]);
        }
    }
    // Where it can't be known, it is said: a guard for what nobody may reach yet, or a mistyped path.
    let guard = one("read: y/*", "{ nobodyBut: [], can: read, paths: 'payroll/*' }");
    let answer = Rehearsal::of(&guard, ["--key-type", "ec"]).run().exits(0);
    answer.says(&[
        "✓ nobody can read secret/payroll/*",
        "! no policy of the file is about this path",
        "1 expectation kept",
    ]);
    // It is asked for all the same, of a login that gets more than the file says.
    let wide = guard.replace("read: y/*", "read: y/*, rules: [{ path: 'secret/data/pay*', capabilities: [read] }]");
    Rehearsal::of(&wide, ["--key-type", "ec"])
        .run()
        .exits(1)
        .says(&["a/b of c can, through r, on secret/data/payroll/"]);
    let excepted = one("read: y/*", "{ nobodyBut: a/c, can: write, paths: 'y/*' }");
    Rehearsal::of(&excepted, ["--key-type", "ec"])
        .run()
        .exits(0)
        .says(&["! a/c of c can't log in through any role: nobody is excepted"]);
    // The login of a role that names its account was refused: what it would give counts all the same.
    let refused = one("read: y/*", "{ serviceAccounts: a/b, cannot: read, paths: y/db }")
        .replace("ttl: 1h", "ttl: 1h, boundClaims: { team: web }");
    Rehearsal::of(&refused, ["--key-type", "ec"]).run().exits(1).says(&["1 expectation broken", "on secret/data/y/db"]);
}

/// What is true of many accounts is told once.
#[test]
fn evidence_is_told_once() {
    let config = one("read: y/*", "{ nobodyBut: [], can: read, paths: 'y/*' }")
        .replace("method: jwt, audience: vault", "method: kubernetes, audience: k8s")
        .replace("serviceAccounts: a/b", "serviceAccounts: [a/b, a/c, a/d, a/e, a/f, a/g]");
    let report = Rehearsal::of(&config, ["--key-type", "ec", "-o", "json"]).run().exits(1).json();
    let [(_, failures)] = &results(&report)[..] else { panic!("one expectation: {report}") };
    let [failure] = &failures[..] else { panic!("{failures:?}") };
    assert!(
        failure.starts_with("a/b of c, a/c of c, a/d of c, a/e of c and 2 more can, through r, on secret/data/y/"),
        "{failure}"
    );
}

/// Rules for operators are warned of, and a file without them is not.
#[test]
fn rules_by_which_a_login_could_give_itself_more_are_warned_of() {
    let plain = one(
        "read: y/*, rules: [{ path: auth/token/renew-self, capabilities: [update] }, { path: transit/sign/app, capabilities: [update] }]",
        "{ nobodyBut: [], can: delete, paths: '*' }",
    );
    let answer = Rehearsal::of(&plain, ["--key-type", "ec"]).run().exits(0);
    assert!(!answer.stderr.contains("give itself more"), "{}", answer.stderr);
    let denied = one(
        "rules: [{ path: 'sys/policies/*', capabilities: [update] }, { path: 'sys/policies/acl/*', capabilities: [deny] }]",
        "{ nobodyBut: [], can: delete, paths: '*' }",
    );
    let answer = Rehearsal::of(&denied, ["--key-type", "ec"]).run().exits(0);
    assert!(!answer.stderr.contains("give itself more"), "{}", answer.stderr);
    for (path, capabilities, words) in [
        ("sys/policies/acl/p", "update", "write policies"),
        ("+/+/acl/*", "create", "write policies"),
        ("auth/jwt-c/role/r", "update", "write roles and users of auth methods"),
        ("auth/+/config", "update", "say whom auth methods trust"),
        ("identity/group/id/*", "update", "change identities and their policies"),
        ("auth/token/create-orphan", "update", "make tokens that outlive it"),
        ("sys/audit/*", "read, sudo", "reach protected paths (sudo)"),
        ("+/+", "update", "change identities and their policies"),
    ] {
        let policy = format!("rules: [{{ path: '{path}', capabilities: [{capabilities}] }}]");
        let answer =
            Rehearsal::of(&one(&policy, "{ nobodyBut: [], can: delete, paths: '*' }"), ["--key-type", "ec"]).run();
        answer.complains(&["vaultk8s.yaml:2:", "can give itself more than the file says: it can", words]);
    }
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

#[test]
fn what_is_not_seen_is_written_out_in_every_report() {
    const HIDDEN: [char; 6] = ['\u{202e}', '\u{2066}', '\u{200b}', '\u{ad}', '\u{feff}', '\u{1b}'];
    let hidden: String = HIDDEN.iter().collect();
    // In the name of a file anything may be, and in the path of a rule all that isn't a control character.
    let (name, path) = (format!("x{hidden}.yaml"), format!("secret/data/app/x{}", &hidden[..hidden.len() - 1]));
    let config = format!(
        "clusters: [{{ name: c, context: c, auth: {{ method: kubernetes, audience: k8s }} }}]
policies: [{{ name: p, rules: [{{ path: \"{path}\", capabilities: [read] }}] }}]
roles: [{{ name: app, serviceAccounts: ns/app, policies: p, ttl: 1h }}]
expect: [{{ serviceAccounts: ns/app, can: write, apiPaths: \"{path}\" }}, {{ serviceAccounts: ns/app, can: read, apiPaths: \"{path}\" }}]
"
    );
    let folder = tempfile::tempdir().unwrap();
    let [markdown, junit] = ["markdown", "junit"].map(|kind| folder.path().join(kind));
    let reports = [format!("markdown={}", markdown.display()), format!("junit={}", junit.display())];
    for format in ["text", "json", "yaml"] {
        let args = ["--key-type", "ec", "-f", &name, "-o", format, "--report", &reports[0], "--report", &reports[1]];
        let answer = Rehearsal::new(args).with(|command| command.file(&name, &config)).run().exits(1);
        let written = [&markdown, &junit].map(|file| std::fs::read_to_string(file).unwrap());
        for text in [&answer.stdout, &answer.stderr, &written[0], &written[1]] {
            assert!(!text.contains(HIDDEN), "{text:?}");
        }
        for text in [&answer.stdout, &written[0], &written[1]] {
            assert!(text.to_lowercase().contains("202e"), "{text}");
        }
    }
}
