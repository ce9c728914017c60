//! Whether a server's certificate is accepted: as Go's `crypto/x509` (`Certificate.Verify`) judges it, in its order.
//!
//! The TLS library's own judge is stricter in some points, and laxer in others. It takes no certificate of an authority for a
//! server's, not even where that very certificate is trusted, as with what `openssl req -x509` makes; and it doesn't look
//! whether a trusted authority has expired. It still does what is hardest to get right: chains, signatures, names and their
//! constraints.

use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, OtherError, RootCertStore};

use super::certificate::{Facts, Outside};
use super::chain::Chains;
use super::failure::TlsProblem;
use super::trust::{Root, Trusted};

/// What is judged by.
pub(super) struct Judge {
    pub(super) authorities: Trusted,
    /// Where they come from.
    pub(super) named: String,
    pub(super) algorithms: WebPkiSupportedAlgorithms,
}

impl Judge {
    /// Whether a server with this name may have this certificate.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn judge(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), TlsProblem> {
        let facts = Facts::of(certificate);
        match facts.as_ref().map(|facts| facts.holds_at(now)) {
            Some(Err(Outside::After)) => return Err(TlsProblem::Expired),
            Some(Err(Outside::Before)) => return Err(TlsProblem::NotYetValid),
            Some(Ok(())) | None => {}
        }
        // A common name is never looked at. Where there are no extensions, there are no other names.
        if facts.as_ref().is_some_and(|facts| !facts.has_names) {
            return Err(TlsProblem::NoNames);
        }
        let parsed = ParsedCertificate::try_from(certificate).map_err(|error| self.problem(&error))?;
        verify_server_name(&parsed, name).map_err(|error| self.problem(&error))?;
        if self.authorities.0.iter().any(|root| root.der == *certificate) {
            return match facts {
                // Its times and its purpose are not known then.
                None => Err(unreadable()),
                Some(facts) if facts.is_for_servers() => Ok(()),
                Some(_) => Err(not_for_servers()),
            };
        }
        let chains = Chains::new(between, &self.authorities.0, now);
        if facts.as_ref().is_some_and(|facts| facts.is_authority() || facts.is_for_anything()) {
            return self.judge_unusual(&chains, certificate, facts.is_some_and(|facts| facts.is_for_servers()));
        }
        let is_usable = |root: &&Root| root.facts.as_ref().is_none_or(|facts| facts.fault_as_authority(now).is_none());
        let usable = self.authorities.0.iter().filter(is_usable).filter_map(|root| root.anchor.clone());
        let store = RootCertStore { roots: usable.collect() };
        verify_server_cert_signed_by_trust_anchor(&parsed, &store, between, now, self.algorithms.all)
            .map_err(|error| chains.at_fault(certificate).unwrap_or_else(|| self.problem(&error)))?;
        // How many authorities may follow on a trusted one is not looked at by the library.
        if between.is_empty() || !chains.limit_length() || chains.lead_up_from(certificate) {
            Ok(())
        } else {
            Err(TlsProblem::Other("its certificate has more CAs above it than one of them allows".to_owned()))
        }
    }

    /// A certificate that may sign others, or is for any purpose, which the library takes for no server's.
    fn judge_unusual(
        &self,
        chains: &Chains<'_>,
        certificate: &CertificateDer<'_>,
        is_for_servers: bool,
    ) -> Result<(), TlsProblem> {
        if !chains.lead_up_from(certificate) {
            return Err(chains.at_fault(certificate).unwrap_or_else(|| self.unknown()));
        }
        if !is_for_servers {
            return Err(not_for_servers());
        }
        // For which names it may be is the library's to say, which doesn't look at such a certificate.
        if chains.constrain_names() { Err(outside_of_its_names()) } else { Ok(()) }
    }

    fn unknown(&self) -> TlsProblem {
        TlsProblem::UnknownAuthority { trusted: self.named.clone() }
    }

    /// What the library says, in plain words.
    fn problem(&self, error: &rustls::Error) -> TlsProblem {
        let rustls::Error::InvalidCertificate(problem) = error else { return unreadable() };
        match problem {
            CertificateError::NotValidForName => TlsProblem::WrongName { presented: Vec::new() },
            CertificateError::NotValidForNameContext { presented, .. } => {
                TlsProblem::WrongName { presented: presented.clone() }
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsProblem::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsProblem::NotYetValid,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => not_for_servers(),
            CertificateError::UnhandledCriticalExtension => {
                TlsProblem::Other("its certificate has a critical extension that is not known".to_owned())
            }
            // The latter is another authority of the same name, as each kubeadm cluster's is.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => self.unknown(),
            CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => TlsProblem::Other(
                "its certificate is signed by a method that is not accepted, such as SHA-1".to_owned(),
            ),
            CertificateError::Other(OtherError(other)) => match other.downcast_ref::<webpki::Error>() {
                Some(webpki::Error::NameConstraintViolation) => outside_of_its_names(),
                Some(webpki::Error::PathLenConstraintViolated | webpki::Error::MaximumPathDepthExceeded) => {
                    TlsProblem::Other("its certificate has more CAs above it than one of them allows".to_owned())
                }
                _ => TlsProblem::Other("its certificate is not accepted".to_owned()),
            },
            _ => unreadable(),
        }
    }
}

fn unreadable() -> TlsProblem {
    TlsProblem::Other("its certificate can't be read".to_owned())
}

fn not_for_servers() -> TlsProblem {
    TlsProblem::Other("its certificate is not for servers (extended key usage)".to_owned())
}

fn outside_of_its_names() -> TlsProblem {
    TlsProblem::Other("its certificate is for a name that its CA may not sign for (name constraints)".to_owned())
}
