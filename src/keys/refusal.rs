//! Why a key of a set isn't used.

use std::fmt;

use super::{JwsAlgorithm, KeyError, KeyKind, PublicKey, Weakness};

/// One key of a set that can't or mustn't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRefusal {
    /// Its `kid`, when that is a string.
    pub kid: Option<String>,
    /// Its place in the set, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub reason: RefusalReason,
    /// The key itself, where it could be used but for another one in the set: Vault takes both.
    pub key: Option<PublicKey>,
}

impl fmt::Display for KeyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.index + 1;
        match &self.kid {
            // Quoted as Rust quotes, so that control characters can't reach a terminal.
            Some(kid) => write!(f, "key {kid:?} (number {number}): {}", self.reason),
            None => write!(f, "key number {number}, which has no kid: {}", self.reason),
        }
    }
}

/// What is wrong with a key. No variant holds a value of a private field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    /// Not a JSON object.
    #[error("it isn't a JSON object")]
    NotAnObject,
    /// A field that every key of its type has (RFC 7518 §6).
    #[error("its field `{0}` is missing")]
    Missing(&'static str),
    /// A field that is another one to who reads names in either case, as Vault does.
    #[error("its field {0:?} is another one's name in another case: what it means depends on who reads it")]
    Misnamed(String),
    /// A field of another JSON type.
    #[error("its field `{field}` isn't {expected}")]
    FieldType {
        /// Name of the field.
        field: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The private half is there as well.
    #[error("it carries private key material ({})", list(.0))]
    Private(Vec<&'static str>),
    /// `kty` `oct`: a shared secret, with which whoever verifies can also sign.
    #[error("it is a symmetric key, and whoever verifies with it could also sign with it")]
    Symmetric,
    /// An unknown `kty`.
    #[error("its key type {0:?} isn't RSA, EC or OKP")]
    KeyType(String),
    /// An unknown `crv`.
    #[error("its curve {crv:?} isn't one that a jwt mount verifies with ({known})")]
    Curve {
        /// The curve's name.
        crv: String,
        /// The names it could have.
        known: &'static str,
    },
    /// `use` isn't `sig` (RFC 7517 §4.2).
    #[error("its `use` is {0:?}, not \"sig\"")]
    Use(String),
    /// `key_ops` without `verify` (RFC 7517 §4.3).
    #[error("its `key_ops` don't include \"verify\"")]
    KeyOps,
    /// Not the base64url without padding of RFC 7515 §2.
    #[error("its field `{field}` isn't base64url: {fault}")]
    Base64Url {
        /// Name of the field.
        field: &'static str,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Numbers that make no key.
    #[error("{0}")]
    Malformed(#[from] KeyError),
    /// A key that is too weak.
    #[error("{0}")]
    Weak(Weakness),
    /// An `alg` that no jwt mount verifies.
    #[error("its `alg` {0:?} isn't a signature algorithm that a jwt mount knows")]
    Algorithm(String),
    /// HS256 and the like.
    #[error("its `alg` {0:?} is for shared secrets, not for public keys")]
    SharedSecretAlgorithm(String),
    /// An `alg` that belongs to another type of key.
    #[error("its `alg` {algorithm} doesn't belong to a key of type {kind}")]
    Mismatch {
        /// What it claims.
        algorithm: JwsAlgorithm,
        /// What it is.
        kind: KeyKind,
    },
    /// A `kid` that an earlier, different key has.
    #[error("its kid is also that of key number {}, which is a different key", .first + 1)]
    DuplicateKid {
        /// Place of the earlier key, from 0.
        first: usize,
    },
}

impl RefusalReason {
    /// What to do about it, where there is something.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Private(_) => Some(
                "consider this key compromised: whoever could read the set can sign tokens; give \
                 the cluster a new signing key",
            ),
            Self::Weak(_) => Some(
                "give kube-apiserver a new signing key (--service-account-signing-key-file): RSA \
                 of 2048 bits or more with exponent 65537, or EC P-256",
            ),
            Self::DuplicateKid { .. } => {
                Some("find out which of the two keys the cluster signs with, and drop the other")
            }
            _ => None,
        }
    }
}

fn list(fields: &[&str]) -> String {
    let quoted: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
    quoted.join(", ")
}
