use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::keys::{JwsAlgorithm, PublicKey, algorithms, weak_rsa};

const MIXED: &str = include_str!("../../../testdata/jwks/mixed.json");

fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn rsa(modulus: &[u8]) -> Value {
    json!({"kty": "RSA", "kid": "r", "n": encode(modulus), "e": "AQAB"})
}

fn reason(jwk: &Value) -> String {
    let set = Jwks::parse(json!({ "keys": [jwk] }).to_string()).unwrap();
    assert!(set.keys.is_empty(), "{jwk} was accepted");
    set.refused[0].to_string()
}

#[test]
fn what_is_no_key_set_is_an_error_of_its_own() {
    let cases = [
        ("", JwksError::NoInput),
        (" \n", JwksError::NoInput),
        ("{", JwksError::NotJson { line: 1, column: 1 }),
        ("[]", JwksError::NotAKeySet),
        ("{}", JwksError::NotAKeySet),
        ("null", JwksError::NotAKeySet),
        (r#"{"keys": []}"#, JwksError::NoKeys),
        (r#"{"keys": {}}"#, JwksError::KeysNotAList),
        (r#"{"kty": "RSA"}"#, JwksError::SingleKey),
        (r#"{"jwks_uri": "https://x"}"#, JwksError::DiscoveryDocument),
    ];
    for (text, expected) in cases {
        assert_eq!(Jwks::parse(text), Err(expected), "{text}");
    }
    let status = r#"{"kind":"Status","status":"Failure","message":"Unauthorized","code":401}"#;
    let error = Jwks::parse(status).unwrap_err();
    assert!(error.to_string().ends_with("Unauthorized"), "{error}");
    assert!(error.remedy().is_some());
    assert!(Jwks::parse([0xff, 0xfe]).is_err());
}

#[test]
fn the_mixed_set_is_usable_whole() {
    let keys = Jwks::parse(MIXED).unwrap().into_keys().unwrap();
    let found: Vec<String> = keys.iter().map(|key| format!("{} {}", key.key, key.algorithm)).collect();
    let expected = ["RSA 2048 RS256", "P-256 ES256", "P-384 ES384", "P-521 ES512", "Ed25519 EdDSA"];
    assert_eq!(found, expected);
    assert_eq!(algorithms(&keys).len(), 5);
}

#[test]
fn alg_decides_and_kubernetes_fills_in() {
    let mut jwk = rsa(&modulus([7; 256]));
    for (alg, expected) in [(None, JwsAlgorithm::Rs256), (Some("PS512"), JwsAlgorithm::Ps512)] {
        if let Some(alg) = alg {
            jwk["alg"] = alg.into();
        }
        let set = Jwks::parse(json!({ "keys": [jwk] }).to_string()).unwrap();
        assert_eq!(set.keys[0].algorithm, expected);
    }
    jwk["alg"] = "ES256".into();
    assert!(reason(&jwk).ends_with("`alg` ES256 doesn't belong to a key of type RSA 2048"));
    jwk["alg"] = "HS256".into();
    assert!(reason(&jwk).contains("shared secrets"));
    jwk["alg"] = "none".into();
    assert!(reason(&jwk).contains("\"none\""));
}

#[test]
fn private_values_are_never_shown() {
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
    for field in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        for kty in ["RSA", "EC", "OKP", "oct", "what"] {
            let jwk = json!({"kty": kty, "kid": "a", "n": "!", field: secret});
            let set = Jwks::parse(json!({ "keys": [jwk] }).to_string()).unwrap();
            let error = set.into_keys().unwrap_err();
            let shown = format!("{error} {error:?} {:?}", error.remedy());
            assert!(!shown.contains(secret), "{shown}");
            assert!(shown.contains("private key") || shown.contains("symmetric"));
        }
    }
    // Cut in the middle of a private value.
    let cut = format!(r#"{{"keys": [{{"kty": "RSA", "d": "{secret}"#);
    let error = Jwks::parse(cut).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(secret));
}

#[test]
fn a_kid_stands_for_one_key() {
    let (one, other) = (rsa(&modulus([7; 256])), rsa(&modulus([9; 256])));
    let set = Jwks::parse(json!({ "keys": [one, one, other, 5] }).to_string()).unwrap();
    assert_eq!(set.keys.len(), 1, "an exact repetition counts once");
    let duplicate = RefusalReason::DuplicateKid { first: 0 };
    assert_eq!(set.refused[0].reason, duplicate);
    assert_eq!((set.refused[0].index, set.refused[1].index), (2, 3));
    let error = set.into_keys().unwrap_err().to_string();
    assert!(error.contains("key \"r\" (number 3)"), "{error}");
    assert!(error.contains("key number 4, which has no kid"), "{error}");
}

#[test]
fn a_name_in_another_case_is_refused_by_name() {
    let key = rsa(&modulus([7; 256]));
    for name in ["Keys", "KEYS", "\u{212a}eys", "key\u{17f}"] {
        let set = Jwks::parse(json!({ "keys": [key], name: [key] }).to_string()).unwrap();
        assert_eq!(set.into_keys().unwrap_err(), JwksError::Misnamed(name.to_owned()));
    }
    let other = Jwks::parse(json!({ "keys": [key], "key": [], "kind": "x" }).to_string()).unwrap();
    assert_eq!(other.into_keys().unwrap().len(), 1, "other members are nobody's business");
    for name in ["N", "KID", "\u{212a}ty", "U\u{17f}e", "D", "Key_Ops", "X5C"] {
        let mut key = key.clone();
        key[name] = "x".into();
        assert!(reason(&key).contains(&format!("field {name:?}")), "{name}");
    }
    let mut key = key;
    key["x5t#S256"] = "x".into();
    key["ext"] = true.into();
    assert!(Jwks::parse(json!({ "keys": [key] }).to_string()).unwrap().into_keys().is_ok());
}

#[test]
fn a_kid_cannot_drive_a_terminal() {
    let jwk = json!({"kty": "x", "kid": "\u{1b}[2J\n"});
    let shown = reason(&jwk);
    assert!(!shown.contains(['\u{1b}', '\n']), "{shown:?}");
}

fn modulus(mut bytes: [u8; 256]) -> [u8; 256] {
    bytes[0] |= 0x80;
    bytes[255] |= 1;
    // The next one that isn't known to be weak.
    while weak_rsa::weakness(&bytes, 2048).is_some() || weak_rsa::is_prime(&bytes) {
        let (low, carries) = bytes[255].overflowing_add(2);
        bytes[255] = low;
        bytes[254] = bytes[254].wrapping_add(carries.into());
    }
    bytes
}

#[test]
fn a_prime_for_a_modulus_is_refused() {
    let prime: [u8; 256] =
        crypto_primes::random_prime::<rsa::BoxedUint, _>(&mut rand::rng(), crypto_primes::Flavor::Any, 2048)
            .to_be_bytes()
            .to_vec()
            .try_into()
            .unwrap();
    assert!(reason(&rsa(&prime)).contains("is a prime"));
}

#[test]
fn a_member_that_is_there_twice_is_refused_by_name() {
    let key = rsa(&modulus([7; 256])).to_string();
    let twice = key.replace(r#""e":"AQAB""#, r#""e":"AQAB","e":"Aw""#);
    for (text, name) in [
        (format!(r#"{{"keys":[{twice}]}}"#), "e"),
        (format!(r#"{{"keys":[],"keys":[{key}]}}"#), "keys"),
        (format!(r#"{{"keys":[{key}],"more":{{"\u0061":1,"a":2}}}}"#), "a"),
    ] {
        let strictly = Jwks::parse(&text).and_then(Jwks::into_keys);
        assert_eq!(strictly, Err(JwksError::Repeated(name.to_owned())), "{text}");
    }
    assert!(Jwks::parse(format!(r#"{{"keys":[{key},{key}]}}"#)).unwrap().into_keys().is_ok());
}

#[test]
fn many_keys_are_judged_at_once_and_many_refusals_told_in_a_few_lines() {
    let mut bytes = modulus([7; 256]);
    let set = (0..10_000u32).map(|number| {
        bytes[100..104].copy_from_slice(&number.to_be_bytes());
        let mut key = rsa(&bytes);
        key["kid"] = number.to_string().into();
        key
    });
    let text = json!({ "keys": set.collect::<Vec<_>>() }).to_string();
    let started = std::time::Instant::now();
    let judged = Jwks::parse(text).unwrap();
    assert!(started.elapsed() < std::time::Duration::from_secs(30));
    assert!(!judged.keys.is_empty());
    let refusal = judged.into_keys().unwrap_err().to_string();
    assert!(refusal.ends_with(" more") && refusal.len() < 2_000, "{refusal}");
    let empty = format!(r#"{{"keys":[{}{{}}]}}"#, "{},".repeat(1_000_000));
    assert_eq!(Jwks::parse(empty), Err(JwksError::TooLarge));
}

fn seed<const N: usize>() -> impl Strategy<Value = [u8; N]> {
    proptest::collection::vec(any::<u8>(), N).prop_map(|bytes| bytes.try_into().unwrap())
}

/// A JWK of each type from random bytes.
fn generated() -> impl Strategy<Value = Value> {
    let rsa = seed::<256>().prop_map(|bytes| rsa(&modulus(bytes)));
    let point = |crv: &str, point: &[u8]| {
        let (x, y) = point[1..].split_at((point.len() - 1) / 2);
        json!({"kty": "EC", "crv": crv, "x": encode(x), "y": encode(y)})
    };
    let p256 = seed::<32>().prop_filter_map("scalar", move |bytes| {
        let key = p256::SecretKey::from_slice(&bytes).ok()?.public_key();
        Some(point("P-256", key.to_sec1_point(false).as_bytes()))
    });
    let p384 = seed::<48>().prop_filter_map("scalar", move |bytes| {
        let key = p384::SecretKey::from_slice(&bytes).ok()?.public_key();
        Some(point("P-384", key.to_sec1_point(false).as_bytes()))
    });
    let p521 = seed::<66>().prop_filter_map("scalar", move |mut bytes| {
        bytes[0] = 0;
        let key = p521::SecretKey::from_slice(&bytes).ok()?.public_key();
        Some(point("P-521", key.to_sec1_point(false).as_bytes()))
    });
    let ed25519 = seed::<32>().prop_map(|bytes| {
        let key = ed25519_dalek::SigningKey::from_bytes(&bytes).verifying_key();
        json!({"kty": "OKP", "crv": "Ed25519", "x": encode(key.as_bytes())})
    });
    prop_oneof![rsa, p256, p384, p521, ed25519]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn keys_survive_the_way_through_pem(jwk in generated()) {
        let set = Jwks::parse(json!({ "keys": [jwk] }).to_string()).unwrap();
        prop_assert_eq!(&set.refused, &[]);
        let key = &set.keys[0].key;
        prop_assert_eq!(&PublicKey::parse_pem(&key.to_pem()).unwrap(), key);
        prop_assert_eq!(&PublicKey::from_spki_der(key.spki_der()).unwrap(), key);
    }

    #[test]
    fn damaged_sets_never_panic(cut in 0..MIXED.len(), at in 0..MIXED.len(), byte: u8) {
        let _ = Jwks::parse(&MIXED[..cut]);
        let mut bytes = MIXED.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(set) = Jwks::parse(&bytes) {
            prop_assert!(set.keys.len() + set.refused.len() <= 5);
        }
    }

    #[test]
    fn a_changed_coordinate_is_off_the_curve(jwk in generated(), at in 0..32_usize, flip in 1..=255_u8) {
        prop_assume!(jwk["kty"] == "EC");
        let mut jwk = jwk;
        let mut y = URL_SAFE_NO_PAD.decode(jwk["y"].as_str().unwrap()).unwrap();
        let place = y.len() - 1 - at;
        y[place] ^= flip;
        jwk["y"] = encode(&y).into();
        prop_assert!(reason(&jwk).contains("not on the curve"));
    }
}
