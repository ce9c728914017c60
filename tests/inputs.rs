//! Files as other people's tools write them: every input is read in the encodings that mean the same, and refused by what it is where it is
//! something else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::command::{Answer, Vaultk8s, testdata};

const CONFIG: &str = "clusters: [{ name: c, issuer: 'https://issuer.example', jwksFile: keys.json, auth: { method: jwt, audience: vault } }]
policies: [{ name: p, read: [a/*] }]
roles: [{ name: r, serviceAccounts: [a/b], policies: [p], ttl: 1h }]
";

const JWT: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJpIiwic3ViIjoidmVyeXNlY3JldCJ9.c2lnbmF0dXJlb2ZpdA";

fn jwks() -> String {
    std::fs::read_to_string(testdata("jwks/mixed.json")).unwrap()
}

/// A text in every form that means the same.
fn forms(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let wide = |unit: fn(u16) -> [u8; 2]| {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(unit).collect::<Vec<u8>>()
    };
    vec![
        ("plain", text.into()),
        ("with a byte order mark", format!("\u{feff}{text}").into()),
        ("CRLF", text.replace('\n', "\r\n").into()),
        ("UTF-16, little end first", wide(u16::to_le_bytes)),
        ("UTF-16, big end first", wide(u16::to_be_bytes)),
    ]
}

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

#[track_caller]
fn refused(answer: Answer, words: &[&str]) {
    let answer = answer.exits(64).complains(words);
    assert!(!(answer.stdout + &answer.stderr).contains("verysecret"), "a secret is shown");
}

#[test]
fn a_key_set_and_a_configuration_are_read_in_every_encoding() {
    let pem = std::fs::read_to_string(testdata("jwks/mixed.pem")).unwrap();
    for (form, bytes) in forms(&jwks()) {
        let answer = Vaultk8s::new(["pem", "keys.json"]).bytes("keys.json", &bytes).run().exits(0);
        assert_eq!(answer.stdout, pem, "{form}");
        Vaultk8s::new(["render", "operator-policy"]).config(CONFIG).bytes("keys.json", &bytes).run().exits(0);
    }
    let mut printed = Vec::new();
    for (_, bytes) in forms(CONFIG) {
        printed.push(Vaultk8s::new(["render", "operator-policy"]).bytes("vaultk8s.yaml", &bytes).run().exits(0).stdout);
    }
    assert!(printed[0].contains("auth/jwt-c") && printed.iter().all(|text| *text == printed[0]), "{printed:?}");
}

#[test]
fn what_is_no_key_set_or_configuration_is_refused_by_what_it_is() {
    let secret = format!("apiVersion: v1\nkind: Secret\ndata:\n  jwks: {}\n", base64("verysecret"));
    let certificate = std::fs::read_to_string(testdata("jwks/p256-certificate.pem")).unwrap();
    for (text, words) in [
        (base64(&jwks()), &["base64 of JSON", "base64 -d"][..]),
        (secret.clone(), &["a whole Secret of Kubernetes", "base64 -d"]),
        (r#"{"apiVersion":"v1","kind":"List","items":[]}"#.to_owned(), &["a List of Kubernetes", "one object"]),
        (certificate, &["not a JSON Web Key Set", "/openid/v1/jwks"]),
    ] {
        refused(Vaultk8s::new(["pem", "-"]).stdin(&*text).run(), &[words, &["standard input holds"]].concat());
        refused(Vaultk8s::new(["pem", "keys.json"]).file("keys.json", &text).run(), words);
    }
    for (text, words) in [
        (base64(CONFIG), &["base64 of a configuration", "base64 -d"][..]),
        (secret.replace("Secret", "ConfigMap"), &["a whole ConfigMap of Kubernetes", r"vaultk8s\.yaml"]),
        ("apiVersion: v1\nkind: Config\ncontexts: []\n".to_owned(), &["a kubeconfig", "--kubeconfig"]),
    ] {
        refused(Vaultk8s::new(["render", "operator-policy"]).config(&text).run(), words);
    }
}

#[test]
fn tokens_and_certificates_are_refused_by_what_they_are() {
    let (vault, ca) = ("https://127.0.0.1:1", "-----BEGIN CERTIFICATE-----\nverysecret\n-----END CERTIFICATE-----\n");
    let plan = || Vaultk8s::new(["plan"]).config(CONFIG).file("keys.json", &jwks()).env("VAULT_ADDR", vault);
    let quoted = "\"hvs.verysecret\"";
    for (text, words) in [
        (quoted.to_owned(), &["a token in quotes"][..]),
        (base64(JWT), &["base64 of a JSON Web Token", "base64 -d"]),
        (JWT.replacen('.', ".\n", 1), &["with line breaks", "tr -d"]),
        (
            format!(r#"{{"apiVersion":"v1","kind":"Secret","data":{{"token":"{}"}}}}"#, base64("verysecret")),
            &["a whole Secret"],
        ),
    ] {
        refused(plan().args(["--token-file", "token"]).file("token", &text).run(), words);
        refused(plan().env("VAULT_TOKEN", &text).run(), words);
        let login = ["login", "--mount", "jwt", "--role", "r", "--jwt-file", "-"];
        refused(Vaultk8s::new(login).env("VAULT_ADDR", vault).stdin(&*text).run(), words);
    }
    for (text, words) in [
        (base64(ca), &["base64 of a certificate", "base64 -d"][..]),
        (ca.replace('\n', "\\n"), &[r"line breaks are written as \n"]),
        (ca.replace('\n', " "), &["PEM on one line"]),
        (
            format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","data":{{"ca.crt":"{}"}}}}"#, "verysecret"),
            &["a whole ConfigMap"],
        ),
    ] {
        refused(plan().env("VAULT_TOKEN", "t").env("VAULT_CACERT", "ca.pem").file("ca.pem", &text).run(), words);
        refused(plan().env("VAULT_TOKEN", "t").env("VAULT_CACERT_BYTES", &text).run(), words);
        refused(plan().env("VAULT_TOKEN", "t").args(["--ca-cert", "ca.pem"]).file("ca.pem", &text).run(), words);
        // And that of a cluster's own server.
        let fetched = CONFIG
            .replace(", jwksFile: keys.json", "")
            .replace("method: jwt", "method: jwt, keys: oidcDiscovery, caCert: ca.pem");
        refused(plan().env("VAULT_TOKEN", "t").config(&fetched).file("ca.pem", &text).run(), words);
    }
    let der = [0x30, 0x82, 1, 2, 3];
    let answer = plan().env("VAULT_TOKEN", "t").env("VAULT_CACERT", "ca.der").bytes("ca.der", &der).run();
    refused(answer, &["in DER form", "openssl x509 -inform der"]);
}

#[test]
fn a_saved_plan_and_a_capture_are_read_in_every_encoding_or_refused_by_what_they_are() {
    let bootstrap = || Vaultk8s::new(["bootstrap", "--plan", "saved"]).config(CONFIG);
    let verify = || Vaultk8s::new(["verify-role", "--from", "saved"]);
    for text in [base64(r#"{"apiVersion":"vaultk8s/v1alpha1","kind":"Plan"}"#), "<html>verysecret".to_owned()] {
        let words = if text.starts_with('<') { "a web page" } else { "base64 of JSON" };
        refused(bootstrap().file("saved", &text).run(), &[words]);
        refused(verify().file("saved", &text).run(), &[words]);
    }
    // Past the encoding, it is the content that is looked at.
    for (_, bytes) in forms("{\"apiVersion\": \"vaultk8s/v0\",\n\"kind\": \"Plan\"}") {
        bootstrap().bytes("saved", &bytes).run().exits(64).complains(&["vaultk8s/v0"]);
        verify().bytes("saved", &bytes).run().exits(64).complains(&["its kind is \"Plan\""]);
    }
}
