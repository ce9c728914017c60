//! A key pair that signs service account tokens, as a cluster has one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use rsa::pkcs8::EncodePrivateKey as _;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::keys::{Jwks, VerificationKey};

/// What kind of key signs a cluster's tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum KeyType {
    /// RSA, 2048 bits, as kubeadm and most others make it; tokens are RS256
    #[default]
    Rsa,
    /// ECDSA on P-256; tokens are ES256
    Ec,
}

/// A key pair. What signs is ring; RSA key pairs, which ring can't make, come from the `rsa` crate, whose own signing is
/// never used (RUSTSEC-2023-0071 is about its timing).
pub(super) struct Signer {
    pair: Pair,
    /// The public key, as the cluster publishes it.
    key: VerificationKey,
    jwk: Value,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

impl Signer {
    /// Makes a key pair; with RSA that takes a moment.
    pub(super) fn generate(kind: KeyType) -> Result<Self> {
        let pair = match kind {
            KeyType::Rsa => {
                let key = rsa::PrivateKey::new(&mut rand::rng(), 2048).map_err(unusable)?;
                let document = key.to_pkcs8_der().map_err(unusable)?;
                Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(document.as_bytes()).map_err(unusable)?))
            }
            KeyType::Ec => {
                let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
                let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(unusable)?;
                let pair = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).map_err(unusable)?;
                Pair::Ec(Box::new(pair))
            }
        };
        Self::of(pair)
    }

    /// The RSA key pair of a real cluster, PKCS#8.
    #[cfg(test)]
    pub(super) fn of_rsa(document: &[u8]) -> Result<Self> {
        Self::of(Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(document).map_err(unusable)?)))
    }

    fn of(pair: Pair) -> Result<Self> {
        let mut jwk = pair.jwk();
        let key = trusted(&jwk)?;
        // Named as an API server names it.
        jwk["kid"] = key.key.kubernetes_kid().into();
        Ok(Self { pair, key: trusted(&jwk)?, jwk })
    }

    /// The public key as a JSON Web Key.
    pub(super) fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// `RS256`, `ES256`.
    pub(super) fn algorithm(&self) -> &'static str {
        self.key.algorithm.as_str()
    }

    /// The name under which tokens refer to the key.
    pub(super) fn kid(&self) -> &str {
        self.key.kid.as_deref().unwrap_or_default()
    }

    /// Signs as JWS has it.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(unusable)?;
                Ok(signature)
            }
            Pair::Ec(pair) => Ok(pair.sign(&random, message).map_err(unusable)?.as_ref().to_vec()),
        }
    }

    /// Whether a signature is this key's.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.pair {
            Pair::Rsa(pair) => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref())
                .verify(message, signature)
                .is_ok(),
            Pair::Ec(pair) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())
                .verify(message, signature)
                .is_ok(),
        }
    }
}

impl Pair {
    fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(pair) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({ "use": "sig", "kty": "RSA", "alg": "RS256", "n": text(&parts.n), "e": text(&parts.e) })
            }
            Self::Ec(pair) => {
                // An uncompressed point: 4, x, y.
                let point = pair.public_key().as_ref();
                let (x, y) = point.get(1..).unwrap_or_default().split_at(point.len() / 2);
                json!({ "use": "sig", "kty": "EC", "crv": "P-256", "alg": "ES256", "x": text(x), "y": text(y) })
            }
        }
    }
}

fn trusted(jwk: &Value) -> Result<VerificationKey> {
    let keys = Jwks::parse(json!({ "keys": [jwk] }).to_string()).and_then(Jwks::into_keys).map_err(unusable)?;
    keys.into_iter().next().ok_or_else(|| unusable("it was lost"))
}

fn unusable(cause: impl std::fmt::Display) -> Error {
    Error::failed(format!("a key pair for a stand-in of a cluster could not be made or used: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_verified_by_its_key_alone() {
        for kind in [KeyType::Rsa, KeyType::Ec] {
            let (one, other) = (Signer::generate(kind).unwrap(), Signer::generate(kind).unwrap());
            let signature = one.sign(b"text").unwrap();
            assert!(one.verifies(b"text", &signature));
            assert!(!one.verifies(b"texts", &signature));
            assert!(!other.verifies(b"text", &signature));
            assert_eq!(one.jwk()["kid"], one.key.key.kubernetes_kid());
        }
    }
}
