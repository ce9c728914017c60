//! What a key is called wherever it is written down: by its digest, which nobody can give to another key.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::PublicKey;

/// SHA-256 over a key's DER `SubjectPublicKeyInfo`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// That of a key.
    pub fn of(key: &PublicKey) -> Self {
        Self(Sha256::digest(key.spki_der()).into())
    }

    /// Reads what [`KeyId::base64`] wrote, and nothing else that stands for the same bytes.
    pub fn parse_base64(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Self(bytes.try_into().ok()?))
    }

    /// In base64url without padding: the `kid` that Kubernetes gives a key (`keyIDFromPublicKey` in
    /// `pkg/serviceaccount/jwt.go`).
    pub fn base64(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// As `sha256:` and 64 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        self.0.iter().fold(String::from("sha256:"), |mut text, byte| {
            // Writing to a String can't fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The first 16 digits of [`KeyId::fingerprint`]: enough to tell keys apart on a screen.
    pub fn short(&self) -> String {
        let mut text = self.fingerprint();
        text.truncate("sha256:".len() + 16);
        text
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.short())
    }
}
