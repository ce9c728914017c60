//! The PEM of every key type, byte for byte against openssl, and a refusal for every bad key.
//!
//! The judge is the `openssl` binary: it generates keys, and prints what we must print. What goes
//! into a JWK is taken from openssl's own output here, without the code under test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vaultk8s::keys::{Jwks, PublicKey};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/jwks")
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("openssl can't be started ({error}): install it, it judges these tests"));
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "openssl {arguments:?}: {complaint}");
    output.stdout
}

fn only_key(set: &Value) -> PublicKey {
    let mut keys = Jwks::parse(set.to_string()).unwrap().into_keys().unwrap();
    assert_eq!(keys.len(), 1);
    keys.remove(0).key
}

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A fresh private key in PEM, its JWK, and what openssl prints for its public half.
fn generate(options: &[&str]) -> (Value, String) {
    let private = openssl(&[&["genpkey"], options].concat(), b"");
    let pem = openssl(&["pkey", "-pubout"], &private);
    let der = openssl(&["pkey", "-pubout", "-outform", "DER"], &private);
    let text = String::from_utf8(openssl(&["pkey", "-noout", "-text_pub"], &private)).unwrap();
    let curve = text.lines().find_map(|line| line.strip_prefix("NIST CURVE: "));
    let jwk = if text.contains("Modulus:") {
        let line = openssl(&["rsa", "-noout", "-modulus"], &private);
        let line = String::from_utf8(line).unwrap();
        let digits = line.trim().strip_prefix("Modulus=").unwrap();
        let modulus: Vec<u8> =
            (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
        assert!(text.contains("Exponent: 65537 "), "{text}");
        json!({"kty": "RSA", "n": encode(&modulus), "e": encode(&[1, 0, 1])})
    } else if let Some(curve) = curve {
        // The point ends the DER: 04, x, y.
        let length = match curve {
            "P-256" => 32,
            "P-384" => 48,
            "P-521" => 66,
            other => panic!("unexpected curve {other}"),
        };
        let (x, y) = der[der.len() - 2 * length..].split_at(length);
        json!({"kty": "EC", "crv": curve, "x": encode(x), "y": encode(y)})
    } else {
        json!({"kty": "OKP", "crv": "Ed25519", "x": encode(&der[der.len() - 32..])})
    };
    (json!({ "keys": [jwk] }), String::from_utf8(pem).unwrap())
}

#[test]
fn fresh_keys_become_the_pem_that_openssl_prints() {
    let kinds: [(&str, usize, &[&str]); 7] = [
        ("RSA 2048", 4, &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ("RSA 3072", 2, &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"]),
        ("RSA 4096", 1, &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"]),
        // Many of these: one coordinate in 256 begins with a zero, which must not be dropped.
        ("P-256", 40, &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("P-384", 40, &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("P-521", 40, &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]),
        ("Ed25519", 40, &["-algorithm", "ed25519"]),
    ];
    for (kind, count, options) in kinds {
        for _ in 0..count {
            let (set, pem) = generate(options);
            let key = only_key(&set);
            assert_eq!(key.to_string(), kind);
            assert_eq!(key.to_pem(), pem, "{set}");
            assert_eq!(PublicKey::parse_pem(&pem).unwrap(), key);
        }
    }
}

#[test]
fn openssl_reads_what_we_print() {
    for name in ["rsa-2048", "p256", "p384", "p521", "ed25519"] {
        let text = fs::read_to_string(testdata().join(format!("{name}.json"))).unwrap();
        let pem = only_key(&serde_json::from_str(&text).unwrap()).to_pem();
        let printed = openssl(&["pkey", "-pubin", "-pubout"], pem.as_bytes());
        assert_eq!(String::from_utf8(printed).unwrap(), pem);
    }
}

#[test]
fn a_certificate_of_openssl_yields_its_key() {
    let pem = fs::read_to_string(testdata().join("p256-certificate.pem")).unwrap();
    let printed = openssl(&["x509", "-noout", "-pubkey"], pem.as_bytes());
    let key = PublicKey::parse_pem(&pem).unwrap();
    assert_eq!(key.to_pem(), String::from_utf8(printed).unwrap());
}

#[test]
fn the_fingerprint_is_that_of_openssl() {
    let pem = fs::read(testdata().join("rsa-2048.pem")).unwrap();
    let der = openssl(&["pkey", "-pubin", "-outform", "DER"], &pem);
    let line = String::from_utf8(openssl(&["dgst", "-sha256", "-r"], &der)).unwrap();
    let key = PublicKey::parse_pem(std::str::from_utf8(&pem).unwrap()).unwrap();
    let hexadecimal = line.split(' ').next().unwrap();
    assert_eq!(key.fingerprint(), format!("sha256:{hexadecimal}"));
}

#[test]
fn fixtures_become_the_pem_that_stands_beside_them() {
    let mut count = 0;
    for entry in fs::read_dir(testdata()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let keys = Jwks::parse(fs::read(&path).unwrap()).unwrap().into_keys();
        let ours: String = keys.unwrap().iter().map(|key| key.key.to_pem()).collect();
        let theirs = fs::read_to_string(path.with_extension("pem")).unwrap();
        assert_eq!(ours, theirs, "{}", path.display());
        count += 1;
    }
    assert_eq!(count, 8, "key sets in testdata/jwks");
}

/// File under `testdata/jwks/refused` and a part of the reason that must be given.
const REFUSALS: [(&str, &str); 28] = [
    ("alg-hmac", "is for shared secrets"),
    ("alg-of-another-curve", "`alg` ES384 doesn't belong to a key of type P-256"),
    ("alg-of-another-type", "`alg` ES256 doesn't belong to a key of type RSA 2048"),
    ("alg-unknown", "`alg` \"RSA-OAEP\" isn't a signature algorithm"),
    ("base64-garbage", "`n` isn't base64url: it has a foreign character"),
    ("base64-not-url", "`n` isn't base64url: it uses `+` or `/`"),
    ("base64-padded", "`x` isn't base64url: it is padded"),
    ("coordinate-long", "x of P-256 is 33 bytes long, not 32"),
    ("coordinate-short", "x of P-521 is 65 bytes long, not 66"),
    ("duplicate-kid", "its kid is also that of key number 1"),
    ("ed25519-degenerate", "Ed25519 point is degenerate"),
    ("key-ops-without-verify", "`key_ops` don't include \"verify\""),
    ("kid-not-a-string", "`kid` isn't a string"),
    ("missing-n", "`n` is missing"),
    ("point-off-curve", "not on the curve P-256"),
    ("private-ec", "private key material (`d`)"),
    ("private-rsa", "private key material (`d`)"),
    ("rsa-1024", "RSA modulus has 1024 bits"),
    ("rsa-exponent-1", "RSA exponent is 1,"),
    ("rsa-exponent-3", "RSA exponent is 3,"),
    ("rsa-exponent-even", "RSA exponent is even"),
    ("rsa-exponent-huge", "more than 31 bits"),
    ("rsa-modulus-even", "RSA modulus is even"),
    ("symmetric", "symmetric key"),
    ("unknown-crv", "curve \"secp256k1\""),
    ("unknown-kty", "key type \"AKP\""),
    ("use-enc", "`use` is \"enc\""),
    ("x25519", "curve \"X25519\""),
];

#[test]
fn bad_keys_are_refused_by_name_and_reason() {
    let folder = testdata().join("refused");
    let on_disk: BTreeSet<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let listed: BTreeSet<String> = REFUSALS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(on_disk, listed);

    for (name, reason) in REFUSALS {
        let text = fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        let set = Jwks::parse(&text).unwrap();
        assert_eq!(set.refused.len(), 1, "{name}");
        let refusal = &set.refused[0];
        assert!(refusal.reason.to_string().contains(reason), "{name}: {refusal}");
        if name != "kid-not-a-string" {
            assert_eq!(refusal.kid.as_deref(), Some(name));
            assert!(refusal.to_string().contains(&format!("{name:?}")), "{refusal}");
        }
        let error = set.into_keys().unwrap_err();
        let shown = format!("{error} {error:?}");
        for private in ["d", "k"] {
            let document: Value = serde_json::from_str(&text).unwrap();
            if let Some(value) = document["keys"][0][private].as_str() {
                assert!(!shown.contains(value), "{name} shows its private `{private}`");
            }
        }
    }
}
