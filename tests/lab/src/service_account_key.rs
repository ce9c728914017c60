use p521::elliptic_curve::Generate as _;
use rcgen::KeyPair;
use rsa::pkcs8::{EncodePrivateKey as _, EncodePublicKey as _, LineEnding};

use crate::{Context, Error, Result};

/// The kinds of key that a test cluster can sign its service account tokens with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA, 2048 bits: what kubeadm, RKE and older Talos make. Tokens are RS256.
    Rsa2048,
    /// ECDSA on P-256. Tokens are ES256.
    EcP256,
    /// ECDSA on P-384. Tokens are ES384.
    EcP384,
    /// ECDSA on P-521. Tokens are ES512.
    EcP521,
}

/// A key pair for service account tokens. Clone it to start a cluster that signs with another, and still knows this one.
#[derive(Clone)]
pub struct ServiceAccountKey {
    private_pem: String,
    public_pem: String,
}

impl ServiceAccountKey {
    /// A new key pair.
    pub fn generate(kind: KeyKind) -> Result<Self> {
        match kind {
            KeyKind::Rsa2048 => rsa_key(2048),
            KeyKind::EcP256 => ec_key(&rcgen::PKCS_ECDSA_P256_SHA256),
            KeyKind::EcP384 => ec_key(&rcgen::PKCS_ECDSA_P384_SHA384),
            KeyKind::EcP521 => p521_key(),
        }
    }

    /// The private key, PEM (PKCS#8), for tests that sign what no API server would.
    pub fn private_pem(&self) -> &str {
        &self.private_pem
    }

    /// The public key, PEM (`SubjectPublicKeyInfo`).
    pub fn public_pem(&self) -> &str {
        &self.public_pem
    }
}

impl std::fmt::Debug for ServiceAccountKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceAccountKey").field("public_pem", &self.public_pem).finish_non_exhaustive()
    }
}

fn rsa_key(bits: usize) -> Result<ServiceAccountKey> {
    let what = || "can't make an RSA key".to_owned();
    let key = rsa::PrivateKey::new(&mut rand::rng(), bits).map_err(|error| Error::new(what()).because(error))?;
    Ok(ServiceAccountKey {
        private_pem: key.to_pkcs8_pem(LineEnding::LF).context(what)?.to_string(),
        public_pem: key.to_public_key().to_public_key_pem(LineEnding::LF).context(what)?,
    })
}

fn ec_key(algorithm: &'static rcgen::SignatureAlgorithm) -> Result<ServiceAccountKey> {
    let key = KeyPair::generate_for(algorithm).context(|| "can't make an EC key".to_owned())?;
    Ok(ServiceAccountKey { private_pem: key.serialize_pem(), public_pem: key.public_key_pem() })
}

/// rcgen makes no such key with ring.
fn p521_key() -> Result<ServiceAccountKey> {
    let what = || "can't make an EC key".to_owned();
    let key = p521::SecretKey::generate_from_rng(&mut rand::rng());
    Ok(ServiceAccountKey {
        private_pem: key.to_pkcs8_pem(LineEnding::LF).context(what)?.to_string(),
        public_pem: key.public_key().to_public_key_pem(LineEnding::LF).context(what)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_pkcs8_and_debug_output_hides_the_private_one() {
        for kind in [KeyKind::Rsa2048, KeyKind::EcP256, KeyKind::EcP384, KeyKind::EcP521] {
            let key = ServiceAccountKey::generate(kind).unwrap();
            assert!(key.private_pem().starts_with("-----BEGIN PRIVATE KEY-----\n"), "{kind:?}");
            assert!(key.public_pem().starts_with("-----BEGIN PUBLIC KEY-----\n"), "{kind:?}");
            assert!(!format!("{key:?}").contains("PRIVATE"), "{kind:?}");
        }
    }
}
