//! One JSON Web Key, judged.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::members::misnamed;
use super::{Curve, JwsAlgorithm, KeyError, KeyKind, PublicKey, RefusalReason};

/// A key that verifies service account tokens, with what the set says about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationKey {
    /// The name under which tokens refer to it.
    pub kid: Option<String>,
    /// The key itself.
    pub key: PublicKey,
    /// `alg`, or what Kubernetes signs with when it has a key of this kind.
    pub algorithm: JwsAlgorithm,
}

/// Every private or symmetric parameter of RFC 7518 §6 and RFC 8037 §2.
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Those that say what a public key is, and for what.
const PUBLIC: [&str; 13] = ["kty", "kid", "use", "key_ops", "alg", "crv", "n", "e", "x", "y", "x5c", "x5t", "x5t#S256"];

/// The key's `kid`, for naming it even when nothing else about it is right.
pub(super) fn kid(jwk: &Value) -> Option<String> {
    Some(jwk.get("kid")?.as_str()?.to_owned())
}

/// Judges one element of `keys`.
pub(super) fn verification_key(jwk: &Value) -> Result<VerificationKey, RefusalReason> {
    let jwk = jwk.as_object().ok_or(RefusalReason::NotAnObject)?;
    // First of all, so that nothing about such a key gets as far as another message.
    let private: Vec<_> = PRIVATE.into_iter().filter(|field| jwk.contains_key(*field)).collect();
    if jwk.get("kty").is_some_and(|kty| kty == "oct") {
        return Err(RefusalReason::Symmetric);
    }
    if !private.is_empty() {
        return Err(RefusalReason::Private(private));
    }
    let known: Vec<&str> = PUBLIC.into_iter().chain(PRIVATE).collect();
    if let Some(name) = misnamed(jwk.keys().map(String::as_str), &known) {
        return Err(RefusalReason::Misnamed(name.to_owned()));
    }
    let kty = required(jwk, "kty")?;
    let kid = optional(jwk, "kid")?.map(str::to_owned);
    for_verification(jwk)?;
    let key = match kty {
        "RSA" => PublicKey::rsa(&bytes(jwk, "n")?, &bytes(jwk, "e")?)?,
        "EC" => ec(jwk)?,
        "OKP" => okp(jwk)?,
        other => return Err(RefusalReason::KeyType(other.to_owned())),
    };
    if let Some(weakness) = key.weakness() {
        return Err(RefusalReason::Weak(weakness));
    }
    let algorithm = algorithm(jwk, key.kind())?;
    Ok(VerificationKey { kid, key, algorithm })
}

/// `use` and `key_ops` must allow verifying; both may be absent.
fn for_verification(jwk: &Map<String, Value>) -> Result<(), RefusalReason> {
    match optional(jwk, "use")? {
        None | Some("sig") => {}
        Some(other) => return Err(RefusalReason::Use(other.to_owned())),
    }
    match jwk.get("key_ops") {
        None => Ok(()),
        Some(Value::Array(ops)) if ops.iter().any(|op| op == "verify") => Ok(()),
        Some(Value::Array(_)) => Err(RefusalReason::KeyOps),
        Some(_) => Err(RefusalReason::FieldType { field: "key_ops", expected: "a list" }),
    }
}

/// RFC 7518 §6.2.1: both coordinates, each of the curve's full length.
fn ec(jwk: &Map<String, Value>) -> Result<PublicKey, RefusalReason> {
    let curve = match required(jwk, "crv")? {
        "P-256" => Curve::P256,
        "P-384" => Curve::P384,
        "P-521" => Curve::P521,
        other => {
            return Err(RefusalReason::Curve { crv: other.to_owned(), known: "P-256, P-384, P-521" });
        }
    };
    let mut point = vec![4];
    for field in ["x", "y"] {
        point.extend(coordinate(jwk, field, KeyKind::Ec(curve), curve.coordinate_length())?);
    }
    Ok(PublicKey::ec(curve, &point)?)
}

/// RFC 8037 §2.
fn okp(jwk: &Map<String, Value>) -> Result<PublicKey, RefusalReason> {
    match required(jwk, "crv")? {
        "Ed25519" => Ok(PublicKey::ed25519(&coordinate(jwk, "x", KeyKind::Ed25519, 32)?)?),
        other => Err(RefusalReason::Curve { crv: other.to_owned(), known: "Ed25519" }),
    }
}

fn algorithm(jwk: &Map<String, Value>, kind: KeyKind) -> Result<JwsAlgorithm, RefusalReason> {
    let Some(name) = optional(jwk, "alg")? else {
        return Ok(JwsAlgorithm::used_by_kubernetes(kind));
    };
    if matches!(name, "HS256" | "HS384" | "HS512") {
        return Err(RefusalReason::SharedSecretAlgorithm(name.to_owned()));
    }
    let algorithm: JwsAlgorithm = name.parse().map_err(|_| RefusalReason::Algorithm(name.to_owned()))?;
    if algorithm.fits(kind) { Ok(algorithm) } else { Err(RefusalReason::Mismatch { algorithm, kind }) }
}

fn coordinate(
    jwk: &Map<String, Value>,
    field: &'static str,
    kind: KeyKind,
    expected: usize,
) -> Result<Vec<u8>, RefusalReason> {
    let value = bytes(jwk, field)?;
    if value.len() == expected {
        return Ok(value);
    }
    Err(KeyError::Length { what: field, kind, expected, found: value.len() }.into())
}

fn bytes(jwk: &Map<String, Value>, field: &'static str) -> Result<Vec<u8>, RefusalReason> {
    let text = required(jwk, field)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| {
        let fault = if text.contains('=') {
            "it is padded with `=`"
        } else if text.contains(['+', '/']) {
            "it uses `+` or `/` of plain base64"
        } else {
            "it has a foreign character or the wrong length"
        };
        RefusalReason::Base64Url { field, fault }
    })
}

fn required<'a>(jwk: &'a Map<String, Value>, field: &'static str) -> Result<&'a str, RefusalReason> {
    optional(jwk, field)?.ok_or(RefusalReason::Missing(field))
}

fn optional<'a>(jwk: &'a Map<String, Value>, field: &'static str) -> Result<Option<&'a str>, RefusalReason> {
    match jwk.get(field) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(RefusalReason::FieldType { field, expected: "a string" }),
    }
}
