//! A client certificate and its key, in each form that Go reads.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SigningKey};
use zeroize::Zeroizing;

use super::fault::CredentialFault;
use crate::reach::{Mismatch, check_pair};

/// The certificate that is shown to who asks for one. A program that gave it may give another later.
pub(super) struct Identity(RwLock<Arc<CertifiedKey>>);

impl Identity {
    /// A certificate, with those that signed it, and its key; both PEM.
    pub(super) fn of(certificate: &[u8], key: &[u8]) -> Result<Self, CredentialFault> {
        Ok(Self(RwLock::new(certified(certificate, key)?)))
    }

    /// Shows another from now on.
    pub(super) fn replace(&self, other: &Self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = other.current();
    }

    fn current(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a client certificate")
    }
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn certified(certificate: &[u8], key: &[u8]) -> Result<Arc<CertifiedKey>, CredentialFault> {
    let blocks = blocks(certificate);
    let is_key = |block: &Block| block.is_key();
    let chain: Vec<_> = blocks.iter().filter(|block| block.label == "CERTIFICATE").collect();
    if chain.is_empty() {
        let said = if blocks.iter().any(is_key) {
            "its client certificate is a key: are certificate and key the wrong way round?"
        } else {
            "its client certificate is not PEM"
        };
        return Err(CredentialFault::written(said));
    }
    let chain: Vec<_> = chain.into_iter().map(|block| CertificateDer::from(block.der.to_vec())).collect();
    let key = signing_key(key)?;
    if let Some(own) = chain.first() {
        check_pair(own, &*key).map_err(|mismatch| {
            CredentialFault::written(match mismatch {
                Mismatch::Broken => "its client certificate is broken",
                Mismatch::OtherKey => "its client key is not that of its client certificate",
            })
        })?;
    }
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}

fn signing_key(pem: &[u8]) -> Result<Arc<dyn SigningKey>, CredentialFault> {
    let blocks = blocks(pem);
    // As in Go, what else stands in the file, such as the name of a curve, is passed over.
    let Some(key) = blocks.iter().find(|block| block.is_key()) else {
        return Err(CredentialFault::written("its client key is not PEM"));
    };
    if key.is_encrypted {
        return Err(CredentialFault::written("its client key is encrypted, and so of no use, as with kubectl")
            .remedy("write the key unencrypted into a file that only you may read: `openssl pkey -in KEY`"));
    }
    // As in Go, the label decides nothing.
    usable(&key.der)
        .ok_or_else(|| CredentialFault::written(format!("its client key can't be used: {}", unusable(&key.der))))
}

/// A key that TLS can sign with.
fn usable(der: &[u8]) -> Option<Arc<dyn SigningKey>> {
    let forms = [
        PrivateKeyDer::Pkcs8(der.to_vec().into()),
        PrivateKeyDer::Sec1(der.to_vec().into()),
        PrivateKeyDer::Pkcs1(der.to_vec().into()),
    ];
    forms.iter().find_map(|form| any_supported_type(form).ok()).or_else(|| {
        // An elliptic curve's may come without its public half, which ring wants.
        let p256 = || p256::SecretKey::from_sec1_der(der).ok().or_else(|| p256::SecretKey::from_pkcs8_der(der).ok());
        let p384 = || p384::SecretKey::from_sec1_der(der).ok().or_else(|| p384::SecretKey::from_pkcs8_der(der).ok());
        let whole = p256().and_then(|key| key.to_pkcs8_der().ok()).or_else(|| p384()?.to_pkcs8_der().ok())?;
        any_supported_type(&PrivateKeyDer::Pkcs8(whole.as_bytes().to_vec().into())).ok()
    })
}

/// The object identifiers of kinds of keys, as they stand in DER.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const P224: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x21];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

/// Why a key can't be used, as far as it shows what it is.
fn unusable(der: &[u8]) -> &'static str {
    let has = |identifier: &[u8]| der.windows(identifier.len()).any(|window| window == identifier);
    // PKCS#1 has no name of what it is: it is a list that begins with a version of 0 or 1.
    let is_pkcs1 = || matches!(der, [0x30, 0x82, _, _, 0x02, 0x01, 0..=1, 0x02, ..]);
    if has(P521) {
        "it is of the curve P-521, with which this tool can't sign; make one of P-256 or P-384"
    } else if has(P224) {
        "it is of the curve P-224, which TLS doesn't know"
    } else if has(RSA) || is_pkcs1() {
        "this tool takes RSA keys of 2048 to 4096 bits"
    } else {
        "it is neither an RSA key, nor one of the curves P-256 and P-384, nor Ed25519"
    }
}

/// A block of a PEM text.
struct Block {
    label: String,
    is_encrypted: bool,
    der: Zeroizing<Vec<u8>>,
}

impl Block {
    fn is_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }
}

/// The blocks of a PEM text, as Go finds them: each with lines above the base64, perhaps, that say how it is encrypted.
fn blocks(pem: &[u8]) -> Vec<Block> {
    let text = Zeroizing::new(String::from_utf8_lossy(pem).into_owned());
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(label) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) else {
            continue;
        };
        let body: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("-----END ")).collect();
        let (headers, body): (Vec<&str>, Vec<&str>) = body.into_iter().partition(|line| line.contains(':'));
        let is_encrypted = label.starts_with("ENCRYPTED ") || headers.iter().any(|line| line.contains("ENCRYPTED"));
        let decoded = STANDARD.decode(&*Zeroizing::new(body.concat())).map(Zeroizing::new);
        if let Ok(der) = decoded {
            found.push(Block { label: label.to_owned(), is_encrypted, der });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key that signs for itself, in the form that openssl wrote, and its certificate.
    fn said(certificate: &str, key: &str) -> String {
        match certified(certificate.as_bytes(), key.as_bytes()) {
            Ok(_) => "usable".to_owned(),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn what_is_no_certificate_with_its_key_is_called_by_what_it_is() {
        let (one, other) = (rcgen::KeyPair::generate().unwrap(), rcgen::KeyPair::generate().unwrap());
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&one).unwrap().pem();
        let pkcs8 = one.serialize_pem();
        let mislabelled = pkcs8.replace("PRIVATE KEY", "RSA PRIVATE KEY");
        let before = format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{pkcs8}");
        let headers = pkcs8.replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1);
        let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        for (certificate, key, words) in [
            (&certificate, &*pkcs8, "usable"),
            (&certificate, &mislabelled, "usable"),
            (&certificate, &before, "usable"),
            (&certificate, &pkcs8.replace('\n', "\r\n"), "usable"),
            (&certificate, &headers, "is encrypted"),
            (&certificate, &pkcs8.replace("PRIVATE", "ENCRYPTED PRIVATE"), "is encrypted"),
            (&certificate, &other.serialize_pem(), "is not that of its client certificate"),
            (&certificate, "garbage", "its client key is not PEM"),
            (&certificate, broken, "it is neither an RSA key"),
            (&pkcs8, &certificate, "the wrong way round"),
            (&"garbage".to_owned(), &pkcs8, "its client certificate is not PEM"),
        ] {
            assert!(said(certificate, key).contains(words), "{words}: {}", said(certificate, key));
        }
    }
}
