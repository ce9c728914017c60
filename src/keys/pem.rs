//! PEM, read as Vault reads it and written as openssl writes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_cert::der::{Decode, Encode};

use super::{KeyError, PublicKey};

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Why a text isn't one public key in PEM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No `-----BEGIN …-----` at the start of a line.
    #[error("there is no PEM block in it")]
    NoBlock,
    /// No matching end.
    #[error("its PEM block {label:?} has no matching END line")]
    Unterminated {
        /// What the block calls itself.
        label: String,
    },
    /// A private key, of which nothing is shown.
    #[error("it holds a private key, where a public key belongs")]
    PrivateKey,
    /// Another kind of block.
    #[error("its PEM block is {label:?}, not PUBLIC KEY or CERTIFICATE")]
    Label {
        /// What the block calls itself.
        label: String,
    },
    /// Anything but white space after the block.
    #[error("there is more after its PEM block, and Vault takes one block per key")]
    TrailingData,
    /// What stands between the lines isn't base64.
    #[error("its PEM block isn't valid base64")]
    Base64,
    /// The block holds no certificate.
    #[error("its PEM block isn't an X.509 certificate: {0}")]
    Certificate(String),
    /// The block holds no usable public key.
    #[error("its PEM block isn't a usable public key")]
    Key(#[from] KeyError),
}

impl PemError {
    /// What to do about it, where there is something.
    pub fn remedy(&self) -> Option<String> {
        match self {
            Self::PrivateKey => Some(
                "replace it with what `openssl pkey -pubout` prints for that key, and consider the \
                 private key exposed if this file was shared"
                    .into(),
            ),
            Self::Label { label } if label == "RSA PUBLIC KEY" => {
                Some("convert it with `openssl rsa -RSAPublicKey_in -pubout`: Vault refuses PKCS#1".into())
            }
            Self::TrailingData => Some("give each key as an element of its own instead of one bundle".into()),
            _ => None,
        }
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_pem()
    }
}

impl TryFrom<String> for PublicKey {
    type Error = PemError;

    fn try_from(pem: String) -> Result<Self, PemError> {
        Self::parse_pem(&pem)
    }
}

impl PublicKey {
    /// Reads one `PUBLIC KEY` or `CERTIFICATE` block.
    ///
    /// As in `jwt_validation_pubkeys` of Vault (`encoding/pem` of Go), text before the block and
    /// CRLF are fine, and anything but white space after it isn't.
    ///
    /// # Errors
    /// When there isn't exactly one block, or it holds no public key of a kind that a jwt mount takes.
    /// Weak keys are read, because a mount may hold one: see [`PublicKey::weakness`].
    pub fn parse_pem(text: &str) -> Result<Self, PemError> {
        let (label, body) = one_block(text)?;
        if label.ends_with("PRIVATE KEY") {
            return Err(PemError::PrivateKey);
        }
        if !matches!(label, "PUBLIC KEY" | "CERTIFICATE") {
            return Err(PemError::Label { label: label.to_owned() });
        }
        let compact: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(compact).map_err(|_| PemError::Base64)?;
        if label == "PUBLIC KEY" {
            return Ok(Self::from_spki_der(&der)?);
        }
        let certificate =
            x509_cert::Certificate::from_der(&der).map_err(|error| PemError::Certificate(error.to_string()))?;
        let spki = certificate.tbs_certificate().subject_public_key_info().to_der().map_err(KeyError::from)?;
        Ok(Self::from_spki_der(&spki)?)
    }

    /// The key as `openssl pkey -pubin` prints it: `PUBLIC KEY`, 64 columns, LF, LF at the end.
    pub fn to_pem(&self) -> String {
        block("PUBLIC KEY", self.spki_der())
    }
}

/// One PEM block (RFC 7468): 64 columns, LF, LF at the end.
pub(super) fn block(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = next;
    }
    pem + "-----END " + label + "-----\n"
}

/// The label and the body of the only block.
fn one_block(text: &str) -> Result<(&str, &str), PemError> {
    let start = if text.starts_with(BEGIN) { 0 } else { text.find("\n-----BEGIN ").ok_or(PemError::NoBlock)? + 1 };
    let after = &text[start + BEGIN.len()..];
    let (line, rest) = after.split_once('\n').ok_or(PemError::NoBlock)?;
    let label = line.trim_end().strip_suffix(DASHES).ok_or(PemError::NoBlock)?;
    let end = format!("{END}{label}{DASHES}");
    let unterminated = || PemError::Unterminated { label: label.to_owned() };
    let stop = rest.find(END).ok_or_else(unterminated)?;
    let (body, tail) = rest.split_at(stop);
    let tail = tail.strip_prefix(end.as_str()).ok_or_else(unterminated)?;
    if !tail.trim().is_empty() {
        return Err(PemError::TrailingData);
    }
    Ok((label, body))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const P256: &str = include_str!("../../testdata/jwks/p256.pem");
    const CERTIFICATE: &str = include_str!("../../testdata/jwks/p256-certificate.pem");

    #[test]
    fn reads_what_vault_reads() {
        let key = PublicKey::parse_pem(P256).unwrap();
        assert_eq!(key.to_pem(), P256);
        assert_eq!(key.to_string(), "P-256");
        let crlf = P256.replace('\n', "\r\n");
        let commented = format!("# kid=abc gone-since=2026-01-01\n{P256}\n \n");
        let same = [crlf.as_str(), &commented, P256.trim(), CERTIFICATE];
        for text in same {
            assert_eq!(PublicKey::parse_pem(text).as_ref(), Ok(&key), "{text}");
        }
    }

    #[test]
    fn refuses_what_vault_refuses() {
        let twice = P256.repeat(2);
        assert_eq!(PublicKey::parse_pem(&twice), Err(PemError::TrailingData));
        let trailing = format!("{P256}x");
        assert_eq!(PublicKey::parse_pem(&trailing), Err(PemError::TrailingData));
        for text in ["", "x", "-----BEGIN PUBLIC KEY-----", "-----BEGIN PUBLIC KEY\nx"] {
            assert_eq!(PublicKey::parse_pem(text), Err(PemError::NoBlock), "{text}");
        }
        let pkcs1 = P256.replace("PUBLIC KEY", "RSA PUBLIC KEY");
        let error = PublicKey::parse_pem(&pkcs1).unwrap_err();
        assert!(error.remedy().unwrap().contains("PKCS#1"));
        let cut = P256.replace("-----END", "-----FIN");
        let error = PublicKey::parse_pem(&cut).unwrap_err();
        assert!(matches!(error, PemError::Unterminated { .. }));
        let mixed = P256.replace("END PUBLIC KEY", "END CERTIFICATE");
        let error = PublicKey::parse_pem(&mixed).unwrap_err();
        assert!(matches!(error, PemError::Unterminated { .. }));
    }

    #[test]
    fn a_private_key_is_named_and_not_shown() {
        for label in ["PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
            let text = P256.replace("PUBLIC KEY", label);
            let error = PublicKey::parse_pem(&text).unwrap_err();
            assert_eq!(error, PemError::PrivateKey);
            assert!(!format!("{error:?} {error}").contains("MFkw"));
        }
    }

    proptest! {
        #[test]
        fn damaged_pem_never_panics(cut in 0..P256.len(), at in 0..P256.len(), byte: u8) {
            let _ = PublicKey::parse_pem(&P256[..cut]);
            let mut bytes = P256.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = PublicKey::parse_pem(&String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn damaged_der_never_panics_and_never_changes_the_key_unseen(at in 0..91_usize, byte: u8) {
            let key = PublicKey::parse_pem(P256).unwrap();
            let mut der = key.spki_der().to_vec();
            der[at] = byte;
            if let Ok(other) = PublicKey::from_spki_der(&der) {
                prop_assert_eq!(other.spki_der(), der.as_slice());
            }
        }
    }
}
