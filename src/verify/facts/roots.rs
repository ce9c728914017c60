//! Connections that trust given authorities and no others: as Vault trusts a mount's host, and a store its Vault.

use std::time::Duration;

use rustls::CertificateError;
use serde::{Deserialize, Serialize};

use crate::keys::Authorities;
use crate::vault::{in_chain, tls};

/// Why there was no answer, in the connection's words.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum NoAnswer {
    /// The certificate is for other names: that is looked at last, so its authority is a trusted one.
    Name(String),
    /// The certificate is not to be trusted.
    Certificate(String),
    /// There is no connection.
    Connection(String),
}

impl NoAnswer {
    /// Sorts an error of an exchange.
    pub(in crate::verify) fn of(error: &reqwest::Error) -> Self {
        let said = innermost(error);
        match in_chain::<rustls::Error>(error) {
            Some(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Self::Name(said),
            Some(rustls::Error::InvalidCertificate(_)) => Self::Certificate(said),
            _ => Self::Connection(said),
        }
    }

    /// The connection's words.
    pub(in crate::verify) fn said(&self) -> &str {
        let (Self::Name(said) | Self::Certificate(said) | Self::Connection(said)) = self;
        said
    }

    /// Whether it is for want of a connection.
    pub(in crate::verify) fn is_of_the_connection(&self) -> bool {
        matches!(self, Self::Connection(_))
    }
}

/// A client that trusts these authorities and no others; without any, the system's.
pub(in crate::verify) fn client(
    authorities: Option<&Authorities>,
    to_connect: Duration,
    to_answer: Duration,
) -> Result<reqwest::Client, NoAnswer> {
    tls::install_crypto_provider();
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    let mut builder = builder.connect_timeout(to_connect).timeout(to_answer);
    if let Some(authorities) = authorities {
        let roots = authorities.certificates().iter().map(|der| reqwest::Certificate::from_der(der));
        builder = builder.tls_certs_only(roots.collect::<Result<Vec<_>, _>>().map_err(|error| NoAnswer::of(&error))?);
    }
    builder.build().map_err(|error| NoAnswer::of(&error))
}

/// What is at the bottom of an error.
pub(in crate::verify) fn innermost(error: &dyn std::error::Error) -> String {
    std::iter::successors(error.source(), |error| error.source())
        .last()
        .map_or_else(|| error.to_string(), ToString::to_string)
}
