//! From a cluster's JSON Web Key Set to the PEM that Vault pins.
//!
//! Kubernetes publishes the public keys that sign service account tokens as a JSON Web Key Set
//! ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)); a jwt mount takes each of them as PEM in
//! `jwt_validation_pubkeys`. This module goes from one to the other and back, judges each key on
//! the way, and does no I/O.
//!
//! - [`Jwks`]: a key set, its usable keys apart from the refused ones, each with its reason;
//! - [`PublicKey`]: one key, written as `openssl pkey -pubout` writes it;
//! - [`JwsAlgorithm`]: what goes to `jwt_supported_algs`;
//! - [`KeyRecords`]: which keys a cluster was seen to publish, as its mount's options record it;
//! - [`Authorities`]: the certificates of an API server's CA, which are not keys of tokens but are compared like them.

mod algorithm;
mod ca;
mod decisions;
mod der;
mod id;
mod jwk;
mod jwks;
mod members;
mod pem;
mod pinned;
mod public;
mod record;
mod refusal;
mod weak_rsa;

pub use algorithm::{JwsAlgorithm, UnknownAlgorithm, algorithms};
pub use ca::Authorities;
pub(crate) use ca::signed;
pub use decisions::{KeyDecisions, is_named};
pub use id::KeyId;
pub use jwk::VerificationKey;
pub use jwks::{Jwks, JwksError};
pub(crate) use members::Members;
pub use pem::PemError;
pub use pinned::{noted_gone_since, pinned};
pub use public::{Curve, KeyError, KeyKind, PublicKey, Weakness};
pub use record::{KeyRecord, KeyRecords, RECORD_LIMIT, record_size};
pub use refusal::{KeyRefusal, RefusalReason};
