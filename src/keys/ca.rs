//! The certificates of an authority, compared by what they are and not by the text around them.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use super::pem::block;

/// The certificates that a client trusts to sign a server's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl From<Authorities> for String {
    fn from(authorities: Authorities) -> Self {
        authorities.to_pem()
    }
}

impl TryFrom<String> for Authorities {
    type Error = &'static str;

    fn try_from(pem: String) -> Result<Self, Self::Error> {
        if pem.is_empty() { Ok(Self::default()) } else { Self::parse(&pem).ok_or("these are no certificates in PEM") }
    }
}

impl Authorities {
    /// The certificates of a PEM text; `None` where there is none, or one that isn't a certificate.
    pub fn parse(pem: &str) -> Option<Self> {
        let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().ok()?;
        let certificates = found.iter().all(|der| x509_cert::Certificate::from_der(der).is_ok());
        (certificates && !found.is_empty()).then(|| Self::of(found))
    }

    /// These certificates, each once, in an order that doesn't depend on where they came from.
    pub fn of(certificates: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        let mut all: Vec<_> = certificates.into_iter().collect();
        all.sort_by(|one, other| one.as_ref().cmp(other.as_ref()));
        all.dedup();
        Self(all)
    }

    /// The certificates.
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }

    /// Whether a certificate is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().any(|certificate| other.0.contains(certificate))
    }

    /// Those that neither are among these nor are signed by one of them: whoever has the key of such a one is trusted beside
    /// whom these vouch for. A server's own certificate, trusted by itself, is none where its authority is among these.
    #[must_use]
    pub fn strange_among(&self, others: &Self) -> Self {
        let known =
            |der: &CertificateDer<'_>| self.0.iter().any(|own| own.as_ref() == der.as_ref() || signed(own, der));
        Self(others.0.iter().filter(|der| !known(der)).cloned().collect())
    }

    /// Whether it has no certificate.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One PEM block for each certificate, 64 columns, LF.
    pub fn to_pem(&self) -> String {
        self.0.iter().map(|certificate| block("CERTIFICATE", certificate)).collect()
    }

    /// Each certificate as a person tells it from others: its subject and the beginning of its fingerprint, which is that
    /// of `openssl x509 -fingerprint -sha256`.
    pub fn describe(&self) -> Vec<String> {
        let one = |der: &CertificateDer<'_>| {
            let subject = x509_cert::Certificate::from_der(der)
                .map(|certificate| certificate.tbs_certificate().subject().to_string())
                .unwrap_or_default();
            let digest = Sha256::digest(der);
            let short = digest[..6].iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
            format!("{subject} sha256:{short}…")
        };
        self.0.iter().map(one).collect()
    }
}

/// Whether one certificate is signed by the key of another.
pub(crate) fn signed(by: &CertificateDer<'_>, certificate: &CertificateDer<'_>) -> bool {
    let verified = || {
        let (by, certificate) = (Certificate::from_der(by).ok()?, Certificate::from_der(certificate).ok()?);
        let named = by.tbs_certificate().subject() == certificate.tbs_certificate().issuer();
        let key = by.tbs_certificate().subject_public_key_info();
        let (of_key, of_signature) = (key.algorithm.to_der().ok()?, certificate.signature_algorithm().to_der().ok()?);
        // Without the head of the sequence, which is short: that is how they are named.
        let (of_key, of_signature) = (of_key.get(2..)?, of_signature.get(2..)?);
        let (message, signature) = (certificate.tbs_certificate().to_der().ok()?, certificate.signature().as_bytes()?);
        let key = key.subject_public_key.as_bytes()?;
        let known = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
        let mut fit = known.iter().filter(|known| {
            known.public_key_alg_id().as_ref() == of_key && known.signature_alg_id().as_ref() == of_signature
        });
        Some(named && fit.any(|known| known.verify_signature(key, &message, signature).is_ok()))
    };
    verified().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = include_str!("../../testdata/jwks/p256-certificate.pem");

    #[test]
    fn text_around_a_certificate_is_no_difference() {
        let plain = Authorities::parse(CERTIFICATE).unwrap();
        let other = format!("# the CA\r\n{}\n\n{CERTIFICATE}", CERTIFICATE.replace('\n', "\r\n"));
        assert_eq!(Authorities::parse(&other).unwrap(), plain);
        assert_eq!(plain.to_pem().trim(), CERTIFICATE[CERTIFICATE.find("-----BEGIN").unwrap()..].trim());
        assert!(Authorities::parse(&plain.to_pem()).unwrap().overlaps(&plain));
    }

    #[test]
    fn what_holds_no_certificate_is_none() {
        let block = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", "no PEM", include_str!("../../testdata/jwks/p256.pem"), block] {
            assert_eq!(Authorities::parse(text), None, "{text}");
        }
    }
}
