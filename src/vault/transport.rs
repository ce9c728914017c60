//! Why no answer came: the errors of connection and TLS, found at the bottom of reqwest's chain of causes.

use std::error::Error as StdError;
use std::io;

use rustls::{AlertDescription, CertificateError, PeerIncompatible};

use super::error::{Asked, Said, TlsProblem, Unreachable, VaultError};
use super::retry::{Again, Failure};

/// Sorts an error of an exchange that gave no answer. `trusted` says where the trusted authorities come from.
pub(super) fn failure(error: &reqwest::Error, asked: Box<Asked>, trusted: &str) -> Failure {
    if let Some(cause) = in_chain::<rustls::Error>(error) {
        return Failure::last(VaultError::Tls { asked, problem: tls_problem(cause, trusted) });
    }
    let connecting = error.is_connect();
    let how = if error.is_dns() {
        Unreachable::UnknownHost
    } else if error.is_timeout() {
        if connecting { Unreachable::ConnectTimeout } else { Unreachable::AnswerTimeout }
    } else {
        match in_chain::<io::Error>(error).map(io::Error::kind) {
            Some(io::ErrorKind::ConnectionRefused) => Unreachable::Refused,
            _ if connecting => Unreachable::Other,
            _ => Unreachable::Broken,
        }
    };
    let again = match how {
        // A host name that is wrong stays so, and who waited a minute has waited.
        Unreachable::UnknownHost | Unreachable::AnswerTimeout => Again::Never,
        _ if connecting => Again::Always,
        _ => Again::IfIdempotent,
    };
    let source = innermost(error);
    Failure::passing(VaultError::Unreachable { asked, how, source }, again)
}

fn tls_problem(error: &rustls::Error, trusted: &str) -> TlsProblem {
    match error {
        rustls::Error::InvalidCertificate(problem) => match problem {
            CertificateError::UnknownIssuer => TlsProblem::UnknownAuthority { trusted: trusted.to_owned() },
            CertificateError::NotValidForName => TlsProblem::WrongName { presented: Vec::new() },
            CertificateError::NotValidForNameContext { presented, .. } => {
                TlsProblem::WrongName { presented: presented.clone() }
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsProblem::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => TlsProblem::NotYetValid,
            other => TlsProblem::Other(format!("its certificate is not accepted: {other}")),
        },
        rustls::Error::InvalidMessage(_) => TlsProblem::ServerSpeaksHttp,
        rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        )
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => TlsProblem::TooOld,
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired
            | AlertDescription::AccessDenied),
        ) => TlsProblem::ClientCertificate(format!("{alert:?}")),
        other => TlsProblem::Other(other.to_string()),
    }
}

/// The first error of type `T` among the causes, also inside an [`io::Error`], which hides what it wraps.
pub(crate) fn in_chain<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            // Its `source` would be the cause of what it wraps.
            next = Some(inner);
            continue;
        }
        next = error.source();
    }
    None
}

/// What the last cause says; those before it repeat it, with the URL.
pub(super) fn innermost(error: &reqwest::Error) -> Said {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said = error.to_string();
        cause = error.source();
    }
    Said(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_errors_are_told_apart() {
        let problem = |error: rustls::Error| tls_problem(&error, "ca.pem (VAULT_CACERT)");
        let certificate = |error: CertificateError| problem(rustls::Error::InvalidCertificate(error));
        assert_eq!(
            certificate(CertificateError::UnknownIssuer).to_string(),
            "its certificate is signed by no CA that ca.pem (VAULT_CACERT) trusts"
        );
        assert_eq!(certificate(CertificateError::Expired), TlsProblem::Expired);
        assert_eq!(certificate(CertificateError::NotValidYet), TlsProblem::NotYetValid);
        assert!(matches!(certificate(CertificateError::NotValidForName), TlsProblem::WrongName { .. }));
        assert!(matches!(certificate(CertificateError::Revoked), TlsProblem::Other(_)));
        assert_eq!(problem(rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)), TlsProblem::TooOld);
        let alert = problem(rustls::Error::AlertReceived(AlertDescription::CertificateRequired));
        assert!(matches!(alert, TlsProblem::ClientCertificate(_)));
    }

    #[test]
    fn a_cause_is_found_inside_an_io_error() {
        let hidden = io::Error::other(io::Error::other(rustls::Error::DecryptError));
        assert_eq!(in_chain::<rustls::Error>(&hidden), Some(&rustls::Error::DecryptError));
        assert!(in_chain::<rustls::Error>(&io::Error::from(io::ErrorKind::NotFound)).is_none());
    }
}
