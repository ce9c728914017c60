//! A JSON Web Key Set: the usable keys, and the refused ones beside them.

use std::fmt;

use serde_json::Value;

use super::members::{Members, repeated};
use super::{KeyKind, KeyRefusal, RefusalReason, VerificationKey, Weakness, jwk};
use crate::fix::Kubectl;
use crate::limit::{VALUES, has_too_many_values};

/// How many RSA keys are tried for a modulus that is a prime, which takes milliseconds each. No cluster has as many.
const TRIED: usize = 64;

/// A JSON Web Key Set ([RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)), each key
/// judged: nothing of the set is left out of both lists, but exact repetitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwks {
    /// The keys that may verify tokens, in the set's order.
    pub keys: Vec<VerificationKey>,
    /// The others, each with its reason, in the set's order.
    pub refused: Vec<KeyRefusal>,
    /// A member whose name is `keys` to Vault and not to this tool. The keys are those that count for Vault.
    pub misnamed: Option<String>,
    /// The name of a member that is there twice in one object. The last one counts, as for Vault.
    pub repeated: Option<String>,
}

impl Jwks {
    /// Reads a key set, as text or bytes.
    ///
    /// # Errors
    /// When it is no key set at all, or one without keys. Keys that can't be used are no error
    /// here but stand in [`Jwks::refused`]; [`Jwks::into_keys`] is the strict reading.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, JwksError> {
        let text = text.as_ref();
        if text.trim_ascii().is_empty() {
            return Err(JwksError::NoInput);
        }
        if has_too_many_values(text) {
            return Err(JwksError::TooLarge);
        }
        let document: Value = serde_json::from_slice(text)
            .map_err(|error| JwksError::NotJson { line: error.line(), column: error.column() })?;
        let members = Members::of(text);
        let keys = match members.last("keys") {
            Some(Value::Array(keys)) if keys.is_empty() => return Err(JwksError::NoKeys),
            Some(Value::Array(keys)) => keys,
            Some(_) => return Err(JwksError::KeysNotAList),
            None => return Err(not_a_key_set(&document)),
        };
        let misnamed = members.misnamed(&["keys"]).map(str::to_owned);
        Ok(Self { misnamed, repeated: repeated(text), ..Self::judge(keys) })
    }

    fn judge(set: &[Value]) -> Self {
        let mut keys: Vec<VerificationKey> = Vec::new();
        let mut places = Vec::new();
        let mut refused = Vec::new();
        let mut tried = 0;
        for (index, value) in set.iter().enumerate() {
            let judged = jwk::verification_key(value);
            let judged = judged.and_then(|key| {
                let is_rsa = matches!(key.key.kind(), KeyKind::Rsa { .. });
                let is_tried = is_rsa && tried < TRIED;
                tried += usize::from(is_tried);
                let is_prime = is_tried && key.key.has_prime_modulus();
                if is_prime { Err(RefusalReason::Weak(Weakness::PrimeModulus)) } else { Ok(key) }
            });
            let (reason, key) = match judged {
                // Harmless, and pinning a key twice would help nobody.
                Ok(key) if keys.contains(&key) => continue,
                Ok(key) => {
                    let rival = keys
                        .iter()
                        .position(|earlier| key.kid.is_some() && earlier.kid == key.kid && earlier.key != key.key);
                    match rival {
                        None => {
                            keys.push(key);
                            places.push(index);
                            continue;
                        }
                        Some(rival) => (RefusalReason::DuplicateKid { first: places[rival] }, Some(key.key)),
                    }
                }
                Err(reason) => (reason, None),
            };
            refused.push(KeyRefusal { kid: jwk::kid(value), index, reason, key });
        }
        Self { keys, refused, misnamed: None, repeated: None }
    }

    /// The keys, provided that none was refused.
    ///
    /// # Errors
    /// [`JwksError::Refused`], with every refusal; [`JwksError::Misnamed`] and [`JwksError::Repeated`].
    pub fn into_keys(self) -> Result<Vec<VerificationKey>, JwksError> {
        if let Some(name) = self.misnamed {
            return Err(JwksError::Misnamed(name));
        }
        if let Some(name) = self.repeated {
            return Err(JwksError::Repeated(name));
        }
        if self.refused.is_empty() { Ok(self.keys) } else { Err(JwksError::Refused(self.refused)) }
    }
}

/// Why a text isn't a key set that can be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    /// Nothing, or white space.
    #[error("the key set is empty: there is no input")]
    NoInput,
    /// Broken JSON. The place only, because the text may hold a private key.
    #[error("the key set isn't JSON (line {line}, column {column})")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1, or 0 at a line's end.
        column: usize,
    },
    /// More values than any key set has.
    #[error("the key set has more than {VALUES} values, which no key set has")]
    TooLarge,
    /// `{"n": "…", "n": "…"}`: who reads it decides which of the two counts.
    #[error("the key set has two members {0:?} in one object: which of them counts depends on who reads it")]
    Repeated(String),
    /// JSON, but no object with `keys`.
    #[error("the key set isn't an object with a list `keys`")]
    NotAKeySet,
    /// The API server answered something else.
    #[error("this is an error of the API server, not a key set: {}", .message.escape_debug())]
    ApiServerError {
        /// What it says.
        message: String,
    },
    /// `/.well-known/openid-configuration`.
    #[error("this is the issuer's discovery document, not its key set")]
    DiscoveryDocument,
    /// A key on its own, without the set around it.
    #[error("this is a single key, not a key set")]
    SingleKey,
    /// `keys` isn't a list.
    #[error("the key set's field `keys` isn't a list")]
    KeysNotAList,
    /// `{"keys": […], "Keys": […]}`.
    #[error(
        "the key set's field {0:?} is `keys` to Vault, which reads names in either case and takes the last: nobody writes it so by mistake"
    )]
    Misnamed(String),
    /// `{"keys": []}`.
    #[error("the key set holds no keys")]
    NoKeys,
    /// Keys that can't or mustn't be used, in the set's order.
    #[error("the key set can't be trusted as it is: {}", Lines(.0))]
    Refused(Vec<KeyRefusal>),
}

impl JwksError {
    /// What to do about it, where there is something.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::NoInput | Self::NotJson { .. } | Self::TooLarge | Self::NotAKeySet | Self::DiscoveryDocument => {
                Some(format!("get it with {}", Kubectl::default().run("get --raw /openid/v1/jwks").shown()))
            }
            Self::ApiServerError { .. } => Some(
                "use credentials that may read /openid/v1/jwks, such as a member of \
                 system:service-account-issuer-discovery"
                    .into(),
            ),
            Self::SingleKey => Some(r#"write it as {"keys": [ … ]}"#.into()),
            Self::KeysNotAList => None,
            Self::Repeated(_) => Some("ask whoever wrote it which one is meant, and have only that left".into()),
            Self::Misnamed(_) => Some("ask whoever wrote it what it is for, and have one list left, `keys`".into()),
            Self::NoKeys => {
                Some("check the API server's --service-account-key-file: it publishes the keys named there".into())
            }
            Self::Refused(refusals) => {
                let mut remedies: Vec<&str> = Vec::new();
                for remedy in refusals.iter().filter_map(|refusal| refusal.reason.remedy()) {
                    if !remedies.contains(&remedy) {
                        remedies.push(remedy);
                    }
                }
                (!remedies.is_empty()).then(|| remedies.join("; "))
            }
        }
    }
}

/// How many refusals are told.
const SHOWN: usize = 10;

struct Lines<'a>(&'a [KeyRefusal]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, refusal) in self.0.iter().take(SHOWN).enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}{refusal}")?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

fn not_a_key_set(document: &Value) -> JwksError {
    let is_status = document.get("kind").is_some_and(|kind| kind == "Status");
    if is_status {
        let message = document.get("message").and_then(Value::as_str);
        return JwksError::ApiServerError { message: message.unwrap_or("no message").to_owned() };
    }
    if document.get("jwks_uri").is_some() {
        JwksError::DiscoveryDocument
    } else if document.get("kty").is_some() {
        JwksError::SingleKey
    } else {
        JwksError::NotAKeySet
    }
}

#[cfg(test)]
mod tests;
