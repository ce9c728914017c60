//! `vaultk8s rehearse`: the whole trust on a throwaway server, which is gone afterwards, whatever happens.

mod agreement;
mod ends;
mod mutations;
mod real_cluster;
mod reports;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;

use crate::command::{Answer, Running, Vaultk8s};

const TALOS: &str = include_str!("../testdata/configs/talos.yaml");
const RKE: &str = include_str!("../testdata/configs/rke.yaml");

/// A rehearsal with a folder for temporary files of its own, where what stays behind would be found.
struct Rehearsal {
    command: Vaultk8s,
    temporary: TempDir,
}

impl Rehearsal {
    fn new<'a>(args: impl IntoIterator<Item = &'a str>) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let command = Vaultk8s::new(["rehearse"]).args(args).env("TMPDIR", temporary.path());
        // An operator's own variables must change nothing.
        let command = command.env("VAULT_ADDR", "https://127.0.0.1:1").env("VAULT_TOKEN", "hvs.operator");
        let command = command.env("VAULTK8S_LOGIN", "jwt").env("VAULTK8S_LOGIN_ROLE", "ci");
        Self { command: command.env("VAULTK8S_VAULT_BIN", lab::shared().vault_program()), temporary }
    }

    fn of<'a>(config: &str, args: impl IntoIterator<Item = &'a str>) -> Self {
        Self::new(args).with(|command| command.config(config))
    }

    fn with(mut self, change: impl FnOnce(Vaultk8s) -> Vaultk8s) -> Self {
        self.command = change(self.command);
        self
    }

    /// Starts it.
    fn start(self) -> Started {
        Started { running: self.command.start(), temporary: self.temporary }
    }

    /// Runs it to its end; nothing may be left.
    fn run(self) -> Answer {
        self.start().finish()
    }
}

/// A rehearsal that is running.
struct Started {
    running: Running,
    temporary: TempDir,
}

impl Started {
    /// Waits for its end; nothing may be left.
    fn finish(self) -> Answer {
        let answer = self.running.finish();
        assert_eq!(left_in(self.temporary.path()), Vec::<PathBuf>::new(), "{}", answer.stderr);
        assert!(!format!("{}{}", answer.stdout, answer.stderr).contains("hvs.operator"));
        answer
    }
}

fn left_in(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// A program of a test's own.
fn script(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("server");
    fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

/// What each role may do, as `role verb path by policy`.
fn grants(report: &Value) -> BTreeSet<String> {
    let access =
        report["clusters"].as_array().unwrap().iter().flat_map(|cluster| cluster["access"].as_array().unwrap());
    let lines = access.flat_map(|access| {
        access["grants"].as_array().unwrap().iter().map(|grant| {
            let words = |field: &str| {
                let words: Vec<&str> = grant[field].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
                words.join("+")
            };
            let (role, path) = (access["role"].as_str().unwrap(), grant["path"].as_str().unwrap());
            format!("{role} {} {path} by {}", words("capabilities"), words("policies"))
        })
    });
    lines.collect()
}

#[test]
fn the_seeds_hold_what_they_say() {
    let talos = Rehearsal::of(TALOS, ["-o", "json"]).run().exits(0).json();
    let expected = ["r-eso_minio-jwt-taloslmn-read", "r-eso_velero-jwt-taloslmn-read", "r-eso-jwt-taloslmn-read"]
        .into_iter()
        .flat_map(|role| {
            [("read", "data"), ("list", "metadata")]
                .map(|(verb, part)| format!("{role} {verb} secret/{part}/k8s/taloslmn/* by p-k8s_taloslmn_eso-read"))
        });
    assert_eq!(grants(&talos), expected.collect());
    let rke = Rehearsal::of(RKE, ["-o", "json", "--key-type", "ec"]).run().exits(0).json();
    let expected = ["api", "worker", "admin"]
        .map(|app| format!("external-secrets-example-{app} read secret/data/example-{app}/* by example-{app}"));
    assert_eq!(grants(&rke), expected.into());
    for report in [talos, rke] {
        let cluster = &report["clusters"][0];
        assert_eq!((&report["kind"], &report["success"]), (&"Rehearsal".into(), &true.into()));
        assert_eq!(cluster["syntheticIssuer"], true);
        let refusals = cluster["refusals"].as_array().unwrap();
        assert_eq!(refusals.len(), 12);
        assert!(
            refusals.iter().all(|refusal| refusal["status"] == "refused" && refusal["detail"] != ""),
            "{refusals:?}"
        );
    }
}

#[test]
fn a_newcomer_sees_examples() {
    let answer = Rehearsal::new([]).run().exits(0);
    answer.complains(&["there is no vaultk8s.yaml here", "talos.yaml and rke.yaml"]).says(&[
        "Cluster taloslmn",
        "Cluster rke",
        "made up",
        "✓ 6 logins as the configuration says; 24 strangers refused.",
    ]);
}

#[test]
fn every_kind_of_mount_and_reviewer_can_be_rehearsed() {
    for (auth, words) in [
        (
            "{ method: jwt, audience: vault, issuer: 'https://issuer.example.internal' }",
            "issuer https://issuer.example.internal\n",
        ),
        (
            "{ method: jwt, audience: vault, keys: jwksUrl, jwksUrl: 'https://keys.example.internal/jwks', caCert: no.pem }",
            "made up",
        ),
        ("{ method: jwt, audience: vault, keys: oidcDiscovery }", "issuer https://127.0.0.1:"),
        (
            "{ method: kubernetes, audience: k8s, host: 'https://k.example.internal', caCert: no.pem, reviewer: { token: bound, lifetime: 1h } }",
            "have k8s",
        ),
        ("{ method: kubernetes, audience: k8s, reviewer: { token: client } }", "bound to system:auth-delegator"),
    ] {
        let config = format!(
            "clusters: [{{ name: c, context: nowhere, auth: {auth} }}]
kv: team/kv
policies: [{{ name: p, read: [app/*], write: [app/drop] }}]
roles: [{{ name: r, serviceAccounts: [ns/app, ns/other], policies: [p], ttl: 10m, numUses: 1, noDefaultPolicy: true }}]
"
        );
        let config = config.replace("ns/app, ns/other", "ns/app");
        let answer = Rehearsal::of(&config, ["--kv-v1", "team/kv", "-o", "text"]).run().exits(0);
        answer.says(&[words, "read           team/kv/app/*", "create+update  team/kv/app/drop"]);
    }
}

#[test]
fn what_a_change_widens_is_shown() {
    let wider = RKE.replace("    read: example-{each}/*\n", "    read: example-*\n");
    let report = Rehearsal::of(&wider, ["-o", "json"]).run().exits(0).json();
    let apps = ["api", "worker", "admin"];
    let all = apps.map(|app| format!("external-secrets-example-{app} read secret/data/example-* by example-{app}"));
    assert_eq!(grants(&report), all.into());

    // A role that reaches what only another role's policy names.
    let wide = "
policies:
  - { name: wide, read: ['apps/*'] }
  - { name: narrow, read: [apps/payments/db] }
clusters: [{ name: c, context: c, auth: { method: jwt, audience: vault } }]
roles:
  - { name: reader, serviceAccounts: a/reader, policies: wide, ttl: 1h }
  - { name: payments, serviceAccounts: a/payments, policies: narrow, ttl: 1h }
";
    let answer = Rehearsal::of(wide, []).run().exits(0);
    answer.says(&["read  secret/data/apps/payments/db  by wide the path of narrow"]);
    let narrow = wide.replace("apps/*", "apps/other/*");
    let report = Rehearsal::of(&narrow, ["-o", "json"]).run().exits(0).json();
    assert!(!grants(&report).iter().any(|line| line.starts_with("reader") && line.contains("payments")), "{report}");
}

#[test]
fn accounts_and_audiences_that_a_role_also_lets_in_are_shown() {
    let config = "
clusters: [{ name: c, context: c, auth: { method: kubernetes, audience: k8s } }]
policies: [{ name: p, read: [app/*] }]
roles:
  - { name: any, anyAudience: true, serviceAccounts: a/app, policies: p, ttl: 1h }
  - { name: glob, allowGlobs: true, serviceAccounts: ['team-*/app'], policies: p, ttl: 1h }
  - { name: all, allowGlobs: true, serviceAccounts: ['a/*'], policies: p, ttl: 1h }
";
    let answer = Rehearsal::of(config, []).run().exits(0);
    answer.says(&[
        "lets in another audience: anyAudience lets it in",
        "which lets in team-*/app",
        "lets in another account of its namespace: its pattern lets it in",
    ]);
}

#[test]
fn a_login_that_can_not_work_fails() {
    // Where the file alone shows it, nothing is tried.
    let elsewhere = TALOS.replacen("    ttl: 2h\n", "    ttl: 2h\n    tokenAudiences: elsewhere\n", 1);
    Rehearsal::of(&elsewhere, []).run().exits(64).complains(&["no login can work", "\"elsewhere\""]);
    // No cluster puts it into tokens.
    let claim = "    ttl: 2h\n    boundClaims: { team: [web] }\n";
    let config = TALOS.replacen("    ttl: 2h\n", claim, 1);
    let answer = Rehearsal::of(&config, []).run().exits(1).says(&[
        "its login was refused",
        "team",
        "1 login as the configuration says",
        "2 logins otherwise",
        "✗ r-eso_minio-jwt-taloslmn-read",
        "✓ r-eso-jwt-taloslmn-read",
    ]);
    assert!(!answer.stdout.contains("127.0.0.1"), "{}", answer.stdout);
    let report = Rehearsal::of(&config, ["-o", "json"]).run().exits(1).json();
    assert_eq!((&report["kind"], &report["success"]), (&"Rehearsal".into(), &false.into()));
}

/// What only a pod's own token says, a made-up token can say as well: the login is tried for real, and so are strangers of the same pod.
#[test]
fn a_role_of_one_pod_is_tried_with_a_token_of_that_pod() {
    let config = |expectation: &str| {
        format!(
            "clusters: [{{ name: c, context: c, auth: {{ method: jwt, audience: vault }} }}]
policies: [{{ name: p, read: [a/*] }}]
roles:
  - {{ name: r, serviceAccounts: team-b/app, policies: p, ttl: 1h, boundClaims: {{ /kubernetes.io/pod/name: [web-0, web-1] }} }}
  - {{ name: node, serviceAccounts: team-c/app, policies: p, ttl: 1h, boundClaims: {{ /kubernetes.io/node/name: n1 }} }}
  - {{ name: uid, serviceAccounts: team-d/app, policies: p, ttl: 1h, userClaim: /kubernetes.io/pod/uid }}
expect: [{expectation}]"
        )
    };
    let all = "[team-b/app, team-c/app, team-d/app]";
    let kept = config(&format!("{{ nobodyBut: {all}, can: read, paths: 'a/*' }}"));
    let answer = Rehearsal::of(&kept, ["--key-type", "ec"]).run().exits(0);
    answer.says(&["3 logins as the configuration says", "1 expectation kept"]);
    let can = config(&format!("{{ serviceAccounts: {all}, can: read, paths: a/db }}"));
    Rehearsal::of(&can, ["--key-type", "ec"]).run().exits(0).says(&["1 expectation kept"]);
    // Its account may read, whatever its pods are called.
    let broken = config("{ nobodyBut: [team-c/app, team-d/app], can: read, paths: 'a/*' }");
    let answer = Rehearsal::of(&broken, ["--key-type", "ec"]).run().exits(1);
    answer.says(&["team-b/app of c can, through r", "1 expectation broken"]);
}

/// What everybody has ties a role to nobody, and that is said where the file is read.
#[test]
fn a_role_that_is_tied_to_nobody_is_a_warning() {
    let config = |role: &str| {
        format!(
            "clusters: [{{ name: c, context: c, auth: {{ method: jwt, audience: vault }} }}]
policies: [{{ name: p, read: [a/*] }}]
roles: [{{ name: r, policies: p, ttl: 1h, {role} }}]
expect: [{{ serviceAccounts: any/body, cannot: read, paths: a/db }}]"
        )
    };
    let told = |role: &str, words: &[&str]| {
        Rehearsal::of(&config(role), ["--key-type", "ec"])
            .run()
            .exits(1)
            .complains(words)
            .says(&["1 expectation broken"])
    };
    let everybody = "every service account of the cluster, of those that get a token for the audience vault";
    told("boundClaims: { aud: vault }", &["tied to no single account", everybody])
        .says(&["any/body of c can, through r"]);
    told("boundClaims: { iss: '*' }, allowGlobs: true", &[everybody]).says(&["any/body of c can, through r"]);
    told("boundClaims: { /sub: 'system:serviceaccount:*' }, allowGlobs: true", &["with sub system:serviceaccount:*"]);
    told("boundClaims: { /kubernetes.io/namespace: any }", &["every service account of the namespace any"]);
}

#[test]
fn a_server_is_needed() {
    let nowhere = Vaultk8s::new(["rehearse"]).env("PATH", ".:bin").run().exits(64);
    nowhere.complains(&["neither `vault` nor `bao`", "openbao.org", "--server-bin", "VAULTK8S_VAULT_BIN"]);
    Rehearsal::new(["--server-bin", "/nowhere/bao"])
        .run()
        .exits(64)
        .complains(&["/nowhere/bao", "--server-bin names it"]);
    let nowhere = Rehearsal::new([]).with(|command| command.env("TMPDIR", "/nowhere/at/all"));
    nowhere.run().exits(64).complains(&["/nowhere/at/all", "TMPDIR"]);
    let path = lab::shared().vault_program().parent().unwrap();
    let found = Rehearsal::new([]).with(|command| command.env("VAULTK8S_VAULT_BIN", "").env("PATH", path));
    found.run().exits(0);
}

#[test]
fn what_is_no_server_is_told_from_one() {
    let folder = tempfile::tempdir().unwrap();
    let other = script(folder.path(), "echo 'something else 1.0'");
    let other = other.to_str().unwrap();
    Rehearsal::new(["--server-bin", other])
        .run()
        .exits(64)
        .complains(&["neither Vault nor OpenBao", "it said: something else 1.0"]);
    fs::write(folder.path().join("text"), "no program").unwrap();
    let text = folder.path().join("text");
    Rehearsal::new(["--server-bin", text.to_str().unwrap()]).run().exits(64).complains(&["could not be started"]);
}

#[test]
fn a_server_that_does_not_start_says_why_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let start = |text: &str| {
        let body = format!(
            "if [ \"$1\" = version ]; then echo 'Vault v9.9.9'; exit; fi\necho start >> {}/starts\n{text}",
            folder.path().display()
        );
        let server = script(folder.path(), &body);
        Rehearsal::new(["--server-bin", server.to_str().unwrap()]).run().exits(1)
    };
    let starts = || fs::read_to_string(folder.path().join("starts")).unwrap_or_default().lines().count();
    let answer =
        start("echo \"Unseal Key: topsecret\"; echo \"token $VAULT_DEV_ROOT_TOKEN_ID\"; echo 'no memory' >&2; exit 1");
    let answer = answer.complains(&["did not start", "no memory", "token …"]);
    assert!(!answer.stderr.contains("topsecret") && !answer.stderr.contains("rehearsal-"), "{}", answer.stderr);
    assert_eq!(starts(), 1);
    // A port that somebody else has is no reason to give up at once.
    start("echo 'listen tcp 127.0.0.1: bind: address already in use'; exit 1").complains(&["address already in use"]);
    assert_eq!(starts(), 1 + 5);
}

#[test]
fn a_server_that_answers_for_another_is_not_believed() {
    // It says that it is ready, but nobody takes the root token: then its end is what counts.
    let folder = tempfile::tempdir().unwrap();
    let server = script(
        folder.path(),
        "if [ \"$1\" = version ]; then echo 'OpenBao v9.9.9'; exit; fi\necho 'server started!'; sleep 1; echo 'and gone'; exit 3",
    );
    let answer =
        Rehearsal::new(["--server-bin", server.to_str().unwrap()]).with(|command| command.env("PATH", "/usr/bin:/bin"));
    answer.run().exits(1).complains(&["did not start", "and gone"]);
}

#[test]
fn the_users_own_token_stays_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join(".vault-token");
    fs::write(&token, "hvs.mine").unwrap();
    let before = fs::metadata(&token).unwrap().modified().unwrap();
    let rehearsal = Rehearsal::of(TALOS, []).with(|command| command.env("HOME", home.path()));
    rehearsal.run().exits(0);
    assert_eq!(fs::read_to_string(&token).unwrap(), "hvs.mine");
    assert_eq!(fs::metadata(&token).unwrap().modified().unwrap(), before);
    assert_eq!(left_in(home.path()), [token]);
}

#[test]
fn a_mount_of_version_1_must_be_one_of_the_configuration() {
    Rehearsal::of(TALOS, ["--kv-v1", "other"]).run().exits(64).complains(&["--kv-v1 names other/", "it names: secret"]);
}

#[test]
fn a_wide_rule_beside_what_default_names_is_no_fault() {
    let config = |rule: &str, more: &str| {
        format!(
            "clusters: [{{ name: c, context: c, auth: {{ method: jwt, audience: vault }} }}]
policies:
  - name: p-token-self
    rules:
      - {{ path: auth/token/lookup-self, capabilities: [read] }}
      - {{ path: auth/token/revoke-self, capabilities: [update] }}
  - {{ name: p-hash, rules: [{{ path: sys/tools/hash, capabilities: [update] }}, {{ path: sys/wrapping/lookup, capabilities: [update] }}] }}
  - {{ name: p-wide, rules: [{{ path: '{rule}', capabilities: [read] }}] }}
roles:
  - {{ name: r-app, serviceAccounts: ns/app, policies: [p-token-self, p-hash], ttl: 1h, noDefaultPolicy: true }}
  - {{ name: r-mon, serviceAccounts: ns/mon, policies: p-wide, ttl: 1h{more} }}
"
        )
    };
    for rule in ["auth/token/*", "sys/*", "*", "+/token/*", "identity/*", "auth/token/revoke-self"] {
        for more in ["", ", noDefaultPolicy: true"] {
            let answer = Rehearsal::of(&config(rule, more), ["--key-type", "ec"]).run();
            assert_eq!(answer.code, 0, "{rule}{more}: {}{}", answer.stdout, answer.stderr);
        }
    }
}

#[test]
fn a_file_without_roles_proves_nothing() {
    let cut = TALOS.split_once("\nroles:").unwrap().0;
    let folder = tempfile::tempdir().unwrap();
    let (junit, markdown) = (folder.path().join("junit.xml"), folder.path().join("summary.md"));
    let reports = [format!("junit={}", junit.display()), format!("markdown={}", markdown.display())];
    let args = ["--report", &*reports[0], "--report", &*reports[1]];
    let answer =
        Rehearsal::of(cut, args).run().exits(1).says(&["✗ nothing was verified: the configuration has no roles"]);
    answer.complains(&["no roles: nobody can log in, nothing is verified"]);
    assert!(fs::read_to_string(junit).unwrap().contains("<failure message=\"nothing was verified"));
    assert!(fs::read_to_string(markdown).unwrap().starts_with("## ❌"));
    let report = Rehearsal::of(cut, ["-o", "json"]).run().exits(1).json();
    assert_eq!((&report["success"], &report["nothingVerified"]), (&false.into(), &true.into()));
}

#[test]
fn what_only_the_cluster_knows_of_its_tokens_is_as_the_roles_bind_it() {
    let file = |auth: &str, roles: &str| {
        format!(
            "clusters: [{{ name: c, context: c, auth: {{ method: jwt, audience: vault{auth} }} }}]
policies: [{{ name: p, read: [a] }}]
roles:
{roles}"
        )
    };
    let uid = "  - { name: uid, serviceAccounts: apps/web, policies: p, ttl: 1h, boundClaims: { /kubernetes.io/serviceaccount/uid: 3f6f } }\n";
    let iss = "  - { name: iss, serviceAccounts: apps/web, policies: p, ttl: 1h, boundClaims: { iss: 'https://k' } }\n";
    Rehearsal::of(&file("", &format!("{uid}{iss}")), []).run().exits(0);
    // Where Vault finds the keys by the issuer, that is the rehearsal's own.
    let answer = Rehearsal::of(&file(", keys: oidcDiscovery", &format!("{uid}{iss}")), []).run().exits(0);
    assert!(answer.stdout.contains("it binds iss"), "{}", answer.stdout);
    // A mount of another issuer refuses them, and of two accounts one has the uid.
    Rehearsal::of(&file(", issuer: 'https://other'", iss), []).run().exits(1).says(&["its login was refused"]);
    let two = uid.replace("apps/web", "[apps/web, apps/db]");
    let answer = Rehearsal::of(&file("", &two), []).run().exits(1);
    assert_eq!(answer.stdout.matches("its login was refused").count(), 1, "{}", answer.stdout);
}

#[test]
fn what_is_allowed_from_elsewhere_is_not_expected_of_nobody() {
    let file = "clusters: [{ name: c, context: c, auth: { method: jwt, audience: vault } }]
policies: [{ name: p, read: [a] }]
roles: [{ name: r, serviceAccounts: apps/web, policies: p, ttl: 1h }]
expect: [{ nobodyBut: [], can: read, paths: ['payroll/*'] }]
allow:
  - { path: 'secret/data/payroll/*', capabilities: [read], why: known }
  - { path: 'sys/policies/acl/*', capabilities: [update], why: known }
";
    let answer = Rehearsal::of(file, []).run().exits(1);
    let told = format!("{}{}", answer.stdout, answer.stderr);
    for words in ["`allow` of secret/data/payroll/* (line 6)", "a login that has what this allows can give itself more"]
    {
        assert!(told.contains(words), "{told}");
    }
    Rehearsal::of(&file.replace("secret/data/payroll/*", "secret/data/shared/*"), []).run().exits(0);
}
