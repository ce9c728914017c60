//! What the Kubernetes client's errors may say.
//!
//! They quote what they choked on: a line of the kubeconfig, what a credential plugin printed, a proxy's password. So
//! none of them is passed on; each becomes a sentence of our own, with a place or a name where that helps.

use std::error::Error as StdError;
use std::fmt;

use kube::config::{KubeconfigError, LoadDataError};
use rustls::{AlertDescription, PeerIncompatible};
use serde::{Deserialize, Serialize};

use super::credentials::CredentialFault;
use crate::reach::{ExchangeFailure, in_chain};

/// A cause in our own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCause(String);

impl fmt::Display for ClientCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for ClientCause {}

impl ClientCause {
    /// Why a kubeconfig can't be used.
    pub(super) fn of_kubeconfig(error: &KubeconfigError) -> Self {
        Self(match error {
            KubeconfigError::ReadConfig(error, _) => error.to_string(),
            KubeconfigError::Parse(error) => match error.location() {
                Some(at) => format!("it is not YAML of a kubeconfig, at line {}, column {}", at.line(), at.column()),
                None => "it is not YAML of a kubeconfig".to_owned(),
            },
            KubeconfigError::LoadContext(name) => format!("it has no context {name:?}"),
            KubeconfigError::LoadClusterOfContext(name) => {
                format!("it has no cluster {name:?}, which its context names")
            }
            KubeconfigError::MissingClusterUrl => "its cluster has no `server`".to_owned(),
            KubeconfigError::ParseClusterUrl(_) => "the `server` of its cluster is not a URL".to_owned(),
            KubeconfigError::ParseProxyUrl(_) => "the `proxy-url` of its cluster is not a URL".to_owned(),
            KubeconfigError::LoadCertificateAuthority(error) => data("certificate-authority", error),
            KubeconfigError::LoadClientCertificate(error) => data("client-certificate", error),
            KubeconfigError::LoadClientKey(error) => data("client-key", error),
            KubeconfigError::ParseCertificates(_) => "a certificate in it is not PEM".to_owned(),
            KubeconfigError::KindMismatch | KubeconfigError::ApiVersionMismatch => {
                "the files are of different kinds or versions".to_owned()
            }
            _ => "it can't be used as it is".to_owned(),
        })
    }

    /// Why a connection or a request failed, other than by an answer of the API server.
    pub(super) fn of_request(error: &kube::Error) -> Self {
        let chain = || chain(error);
        if let Some(fault) = in_chain::<CredentialFault>(error) {
            return Self(fault.to_string());
        }
        if let kube::Error::InferKubeconfig(error) = error {
            return Self::of_kubeconfig(error);
        }
        // What the operating system, TLS and proxies say holds no credentials, and is what helps.
        if let Some(failure) = in_chain::<ExchangeFailure>(error) {
            return Self(failure.to_string());
        }
        let plain = chain().filter_map(|error| {
            let io = error.downcast_ref::<std::io::Error>().map(ToString::to_string);
            io.or_else(|| error.downcast_ref::<rustls::Error>().map(tls))
        });
        Self(plain.last().unwrap_or_else(|| {
            match error {
                kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => "the answer is not what was asked for",
                kube::Error::RustlsTls(_) => "its certificates or keys can't be used for TLS",
                _ => "the connection broke off, or never came about",
            }
            .to_owned()
        }))
    }
}

/// An error and its causes, outermost first.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| StdError::source(*error))
}

fn data(field: &str, error: &LoadDataError) -> String {
    match error {
        LoadDataError::ReadFile(error, path) => {
            format!("the file {} of `{field}` could not be read: {error}", path.display())
        }
        LoadDataError::DecodeBase64(_) => format!("`{field}-data` is not base64"),
        LoadDataError::NoBase64DataOrFile => format!("`{field}` is missing"),
    }
}

/// What TLS says, in words of our own where its own lead astray.
fn tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(_) => "the server speaks plain http there, not https".to_owned(),
        rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        )
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server speaks neither TLS 1.3 nor TLS 1.2, only older versions".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server wants a client certificate, and the kubeconfig has none".to_owned()
        }
        other => other.to_string(),
    }
}
