//! The signature algorithms of JOSE that Vault's jwt mount knows.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Curve, KeyKind, VerificationKey};

/// A JWS signature algorithm with a public key, named as in
/// [RFC 7518 §3.1](https://www.rfc-editor.org/rfc/rfc7518#section-3.1) and
/// [RFC 8037](https://www.rfc-editor.org/rfc/rfc8037#section-3.1).
///
/// These ten are what `jwt_supported_algs` of a jwt mount accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum JwsAlgorithm {
    /// RSA PKCS#1 v1.5 with SHA-256: what Kubernetes uses with an RSA key.
    Rs256,
    /// RSA PKCS#1 v1.5 with SHA-384.
    Rs384,
    /// RSA PKCS#1 v1.5 with SHA-512.
    Rs512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// RSA PSS with SHA-256.
    Ps256,
    /// RSA PSS with SHA-384.
    Ps384,
    /// RSA PSS with SHA-512.
    Ps512,
    /// Ed25519.
    EdDsa,
}

impl JwsAlgorithm {
    /// Every algorithm, in the order of Vault's documentation.
    pub const ALL: [Self; 10] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Es256,
        Self::Es384,
        Self::Es512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::EdDsa,
    ];

    /// The name in JOSE headers and in `jwt_supported_algs`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Es512 => "ES512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// What an API server signs with, whatever key it has (`--service-account-signing-key-file` takes RSA and EC keys).
    pub const ALL_OF_KUBERNETES: [Self; 4] = [Self::Rs256, Self::Es256, Self::Es384, Self::Es512];

    /// What Kubernetes signs with when it holds a key of this kind
    /// (`pkg/serviceaccount/jwt.go`, `signerFromRSAPrivateKey` and `signerFromECDSAPrivateKey`).
    pub const fn used_by_kubernetes(kind: KeyKind) -> Self {
        match kind {
            KeyKind::Rsa { .. } => Self::Rs256,
            KeyKind::Ec(Curve::P256) => Self::Es256,
            KeyKind::Ec(Curve::P384) => Self::Es384,
            KeyKind::Ec(Curve::P521) => Self::Es512,
            KeyKind::Ed25519 => Self::EdDsa,
        }
    }

    /// Whether a key of this kind can verify a signature made with this algorithm.
    pub const fn fits(self, kind: KeyKind) -> bool {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                matches!(kind, KeyKind::Rsa { .. })
            }
            Self::Es256 => matches!(kind, KeyKind::Ec(Curve::P256)),
            Self::Es384 => matches!(kind, KeyKind::Ec(Curve::P384)),
            Self::Es512 => matches!(kind, KeyKind::Ec(Curve::P521)),
            Self::EdDsa => matches!(kind, KeyKind::Ed25519),
        }
    }
}

impl fmt::Display for JwsAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl From<JwsAlgorithm> for &'static str {
    fn from(algorithm: JwsAlgorithm) -> Self {
        algorithm.as_str()
    }
}

/// A name that no algorithm of a jwt mount has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} isn't a signature algorithm that a jwt mount knows")]
pub struct UnknownAlgorithm(pub String);

impl UnknownAlgorithm {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        let names: Vec<&str> = JwsAlgorithm::ALL.iter().map(|a| a.as_str()).collect();
        format!("use one of {}", names.join(", "))
    }
}

impl FromStr for JwsAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or_else(|| UnknownAlgorithm(name.to_owned()))
    }
}

impl TryFrom<String> for JwsAlgorithm {
    type Error = UnknownAlgorithm;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

/// The algorithms that these keys verify, sorted: the value for `jwt_supported_algs`.
///
/// Left empty, that field admits all ten; naming what the keys use is the narrower trust.
pub fn algorithms(keys: &[VerificationKey]) -> BTreeSet<JwsAlgorithm> {
    keys.iter().map(|key| key.algorithm).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_are_exact() {
        for algorithm in JwsAlgorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        for name in ["", "rs256", "HS256", "none", "ES256K", "Ed25519", "EDDSA"] {
            assert!(name.parse::<JwsAlgorithm>().is_err(), "{name}");
        }
    }

    #[test]
    fn the_choice_of_kubernetes_fits_its_key() {
        for kind in [
            KeyKind::Rsa { bits: 2048 },
            KeyKind::Ec(Curve::P256),
            KeyKind::Ec(Curve::P384),
            KeyKind::Ec(Curve::P521),
            KeyKind::Ed25519,
        ] {
            assert!(JwsAlgorithm::used_by_kubernetes(kind).fits(kind));
        }
    }
}
