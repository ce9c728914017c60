//! Who a role lets in and who not, and what the login's token is, by the server's own judgement.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lab::Vault;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command::Vaultk8s;

/// An issuer whose private key is here, so that tokens can be as old as a test wants: a cluster that nobody can reach.
struct Unreachable {
    folder: TempDir,
}

impl Unreachable {
    const ISSUER: &str = "https://unreachable.example.internal:6443";

    fn new() -> Self {
        let issuer = Self { folder: tempfile::tempdir().unwrap() };
        issuer.openssl(&["genrsa", "-out", "key.pem", "2048"], b"");
        let modulus = String::from_utf8(issuer.openssl(&["rsa", "-in", "key.pem", "-noout", "-modulus"], b"")).unwrap();
        let hex = modulus.trim().strip_prefix("Modulus=").unwrap();
        let bytes: Vec<u8> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        let jwks = json!({ "keys": [{
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": "far", "e": "AQAB", "n": URL_SAFE_NO_PAD.encode(bytes),
        }] });
        std::fs::write(issuer.folder.path().join("jwks.json"), jwks.to_string()).unwrap();
        issuer
    }

    fn openssl(&self, args: &[&str], stdin: &[u8]) -> Vec<u8> {
        let mut command = Command::new("openssl");
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "openssl {args:?}");
        output.stdout
    }

    fn jwks_file(&self) -> String {
        self.folder.path().join("jwks.json").display().to_string()
    }

    /// A token of `app/app` for `vault`, with claims whose values are seconds from now.
    fn token(&self, times: &[(&str, i64)]) -> String {
        let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
        let mut claims = json!({ "iss": Self::ISSUER, "sub": "system:serviceaccount:app:app", "aud": ["vault"] });
        for (claim, seconds) in times {
            claims[claim] = json!(now + seconds);
        }
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(json!({ "alg": "RS256", "kid": "far" })), encode(claims));
        let signature = self.openssl(&["dgst", "-sha256", "-sign", "key.pem"], signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[test]
fn a_cluster_that_nobody_reaches_is_pinned_from_its_files_and_leeways_count() {
    let lab = lab::shared();
    let far = Unreachable::new();
    let (mount, policy) = (lab.mount("jwt-far"), lab.unique("p-far"));
    let config = format!(
        "clusters:
  - {{ name: far, issuer: '{issuer}', jwksFile: {file}, auth: {{ method: jwt, mount: {mount}, audience: vault }} }}
policies: [{{ name: {policy}, read: [far/*] }}]
roles:
  - {{ name: by-default, serviceAccounts: [app/app], policies: [{policy}] }}
  - {{ name: strict, serviceAccounts: [app/app], policies: [{policy}], clockSkewLeeway: -1 }}
  - {{ name: skewed, serviceAccounts: [app/app], policies: [{policy}], clockSkewLeeway: 10m }}
  - {{ name: expiring, serviceAccounts: [app/app], policies: [{policy}], expirationLeeway: 10m }}
  - {{ name: beginning, serviceAccounts: [app/app], policies: [{policy}], notBeforeLeeway: 10m }}
",
        issuer = Unreachable::ISSUER,
        file = far.jwks_file()
    );
    let run = |args: &[&str]| Vaultk8s::new(args.iter().copied()).on_shared().config(&config).run();
    run(&["bootstrap"]).exits(0).says(&["0 logins verified, 5 not tried", "the cluster can't be reached from here"]);
    run(&["plan", "--detailed-exitcode"]).exits(0);

    let lets_in = |role: &str, times: &[(&str, i64)]| {
        let (status, answer) = lab.vault().login(&mount, role, &far.token(times));
        assert!(matches!(status, 200 | 400), "{status} {answer}");
        status == 200
    };
    // Alive; over for less than the server's minute of skew; over for longer.
    let (alive, just_over, over) =
        ([("nbf", -600), ("exp", 300)], [("nbf", -600), ("exp", -30)], [("nbf", -600), ("exp", -300)]);
    for (role, expected) in
        [("by-default", [true, true, false]), ("strict", [true, false, false]), ("skewed", [true, true, true])]
    {
        let found = [alive, just_over, over].map(|times| lets_in(role, &times));
        assert_eq!(found, expected, "{role}");
    }
    // These two leeways are for tokens that don't say themselves when they end or begin.
    assert!(!lets_in("by-default", &[("iat", -400)]));
    assert!(lets_in("expiring", &[("iat", -400)]));
    assert!(!lets_in("by-default", &[("exp", 400)]));
    assert!(lets_in("beginning", &[("exp", 400)]));
}

#[test]
fn a_whole_namespace_by_json_pointer() {
    let lab = lab::shared();
    let (mount, policy) = (lab.mount("jwt-whole"), lab.unique("p-whole"));
    let (mine, other) = (lab.namespace("mine"), lab.namespace("other"));
    for namespace in [&mine, &other] {
        lab.service_account(namespace, "a");
        lab.service_account(namespace, "b");
    }
    let config = format!(
        "clusters: [{{ name: lab, context: {context}, auth: {{ method: jwt, mount: {mount}, audience: vault }} }}]
policies: [{{ name: {policy}, read: [whole/*] }}]
roles:
  - name: whole
    boundClaims: {{ /kubernetes.io/namespace: {mine} }}
    userClaim: /kubernetes.io/serviceaccount/uid
    policies: {policy}
  - name: two
    serviceAccounts: [{mine}/a, {other}/b]
    boundClaims: {{ /kubernetes.io/namespace: [{mine}, {other}] }}
    policies: {policy}
  - name: glob
    boundClaims: {{ sub: 'system:serviceaccount:{mine}:*' }}
    allowGlobs: true
    policies: {policy}
",
        context = lab.context()
    );
    let run = |args: &[&str]| Vaultk8s::new(args.iter().copied()).on_shared().config(&config).run();
    // A role that names nobody can't be tried, and that is said.
    run(&["bootstrap"]).exits(0).says(&["2 logins verified, 2 not tried", "the role names no service account"]);
    run(&["plan", "--detailed-exitcode"]).exits(0);

    let login = |role: &str, namespace: &str, account: &str, audience: &str| {
        lab.vault().login(&mount, role, &lab.token(namespace, account, &[audience], 600))
    };
    let expected: [(&str, [bool; 4]); 3] = [
        ("whole", [true, true, false, false]),
        ("two", [true, false, false, true]),
        ("glob", [true, true, false, false]),
    ];
    for (role, expected) in expected {
        let found = [(&mine, "a"), (&mine, "b"), (&other, "a"), (&other, "b")]
            .map(|(namespace, account)| login(role, namespace, account, "vault").0 == 200);
        assert_eq!(found, expected, "{role}");
        let (status, answer) = login(role, &mine, "a", "other");
        assert_eq!(status, 400, "another audience was let in");
        assert!(answer.to_string().contains("audience"), "{answer}");
    }
    let (_, refused) = login("whole", &other, "a", "vault");
    assert!(refused.to_string().contains("does not match any associated bound claim values"), "{refused}");

    // The identity is what `userClaim` points at.
    let (_, answer) = login("whole", &mine, "a", "vault");
    let entity = answer["auth"]["entity_id"].as_str().unwrap();
    let alias = lab.vault().read(&format!("identity/entity/id/{entity}"))["data"]["aliases"][0]["name"].clone();
    let account = lab.kubernetes().get(&format!("/api/v1/namespaces/{mine}/serviceaccounts/a")).1;
    assert_eq!(alias, account["metadata"]["uid"]);
}

#[test]
fn the_tokens_of_logins_are_as_the_file_says() {
    let lab = lab::shared();
    let (mount, policy, namespace) = (lab.mount("jwt-token"), lab.unique("p-token"), lab.namespace("token"));
    lab.service_account(&namespace, "app");
    let role = |name: &str, fields: &str| {
        format!("  - {{ name: {name}, serviceAccounts: [{namespace}/app], policies: [{policy}], {fields} }}\n")
    };
    let config = format!(
        "clusters: [{{ name: lab, context: {context}, auth: {{ method: jwt, mount: {mount}, audience: vault }} }}]
policies:
  - name: {policy}
    read: [token/*]
    rules: [{{ path: auth/token/lookup-self, capabilities: [read] }}, {{ path: auth/token/revoke-self, capabilities: [update] }}]
roles:
{roles}",
        context = lab.context(),
        roles = [
            role("max", "ttl: 10m, maxTtl: 20m"),
            role("explicit", "ttl: 10m, explicitMaxTtl: 15m"),
            role("periodic", "period: 30m, ttl: 10m"),
            role("periodic-with-end", "period: 30m, explicitMaxTtl: 15m"),
            role("counted", "numUses: 4"),
            role("bare", "noDefaultPolicy: true"),
            role("batch", "tokenType: batch, ttl: 10m"),
            role("service", "tokenType: service"),
            role("here", "boundCidrs: [127.0.0.1/32, '::1/128']"),
            role("elsewhere", "boundCidrs: [10.9.8.0/24]"),
        ]
        .concat()
    );
    let run = |args: &[&str]| Vaultk8s::new(args.iter().copied()).on_shared().config(&config).run();
    run(&["bootstrap"]).exits(0).says(&["9 logins verified, 1 not tried"]);
    run(&["plan", "--detailed-exitcode"]).exits(0);

    let jwt = lab.token(&namespace, "app", &["vault"], 600);
    let own = |role: &str| -> (Vault, Value) {
        let client = lab.vault().logged_in(&mount, role, &jwt);
        let token = client.read("auth/token/lookup-self")["data"].clone();
        (client, token)
    };
    let renewed = |client: &Vault, seconds: u32| {
        let answer = client.write("auth/token/renew-self", &json!({ "increment": seconds }));
        answer["auth"]["lease_duration"].as_u64().unwrap()
    };

    // `maxTtl` ends renewals.
    let (client, token) = own("max");
    assert_eq!(token["creation_ttl"], 600);
    let seconds = renewed(&client, 7200);
    assert!((1100..=1200).contains(&seconds), "{seconds}");
    // So does `explicitMaxTtl`, and the token says so itself.
    let (client, token) = own("explicit");
    assert_eq!(token["explicit_max_ttl"], 900);
    let seconds = renewed(&client, 7200);
    assert!((800..=900).contains(&seconds), "{seconds}");
    // `period` takes the place of `ttl`, and every renewal gives a whole period, without an end …
    let (client, token) = own("periodic");
    assert_eq!((&token["period"], &token["creation_ttl"]), (&json!(1800), &json!(1800)));
    assert_eq!(renewed(&client, 7200), 1800);
    // … but for an explicit one.
    let (client, token) = own("periodic-with-end");
    assert_eq!(token["explicit_max_ttl"], 900);
    let seconds = renewed(&client, 7200);
    assert!((800..=900).contains(&seconds), "{seconds}");

    let (client, _) = own("counted");
    let after_it: Vec<u16> = (0..4).map(|_| client.get("auth/token/lookup-self").0).collect();
    assert_eq!(after_it, [200, 200, 200, 403]);
    assert_eq!(own("bare").1["policies"], json!([policy]));
    assert_eq!(own("max").1["policies"], json!(["default", policy]));
    assert_eq!(own("batch").1["type"], "batch");
    assert_eq!(own("service").1["type"], "service");
    assert_eq!(own("here").1["bound_cidrs"], json!(["127.0.0.1", "::1"]));
    assert_eq!(lab.vault().login(&mount, "elsewhere", &jwt).0, 403);
}
