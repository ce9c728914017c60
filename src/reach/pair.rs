//! A client certificate and its key.

use rustls::pki_types::CertificateDer;
use rustls::sign::SigningKey;
use x509_cert::Certificate;
use x509_cert::der::{AnyRef, Decode, Encode};

/// Why a certificate and a key are of no use together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mismatch {
    /// It is none.
    #[error("the certificate is broken")]
    Broken,
    /// It is that of another key.
    #[error("the key is not that of the certificate")]
    OtherKey,
}

/// Refuses a certificate whose key is another. It may be of X.509's first version, as `openssl x509 -req` makes it, which rustls doesn't
/// read; what can't be compared is for the server to judge.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn check_pair(certificate: &CertificateDer<'_>, key: &dyn SigningKey) -> Result<(), Mismatch> {
    AnyRef::from_der(certificate).map_err(|_| Mismatch::Broken)?;
    let held = Certificate::from_der(certificate).ok();
    let held = held.and_then(|held| held.tbs_certificate().subject_public_key_info().to_der().ok());
    match (held, key.public_key()) {
        (Some(held), Some(own)) if own.as_ref() != held => Err(Mismatch::OtherKey),
        _ => Ok(()),
    }
}
