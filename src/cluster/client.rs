//! The Kubernetes client over a way of ours: it adds credentials, and reads what the API server answers.

use std::time::Duration;

use kube::client::{Body, ClientBuilder, ConfigExt as _, retry::RetryPolicy};
use rustls::pki_types::{CertificateDer, ServerName};
use tower::ServiceBuilder;
use tower::retry::RetryLayer;
use tower::util::MapResponseLayer;

use super::credentials::{KubeCredentials, Presenting};
use crate::error::{Error, Result};
use crate::input::{self, Bounded};
use crate::reach::{Reach, Trust};
use crate::settings::Proxies;

/// How long a server is given to accept a connection, and to answer.
#[derive(Clone, Copy)]
pub(crate) struct Deadlines {
    pub(crate) to_connect: Duration,
    pub(crate) to_answer: Duration,
}

/// A client of the API server that a configuration names, with these credentials and through these proxies. `ca` says where the
/// authorities come from.
///
/// # Errors
/// When a name that the configuration has can't be used, in the library's words.
pub(crate) fn client(
    config: &kube::Config,
    credentials: &KubeCredentials,
    proxies: &Proxies,
    deadlines: Deadlines,
    ca: &str,
) -> Result<kube::Client, kube::Error> {
    let mut reach = Reach::new(trust(config, ca), proxies.clone(), deadlines.to_connect, deadlines.to_answer);
    reach.identity = credentials.shown();
    if let Some(name) = &config.tls_server_name {
        let name = ServerName::try_from(name.clone()).map_err(kube::client::RustlsTlsError::InvalidServerName);
        reach.server_name = Some(name.map_err(kube::Error::RustlsTls)?);
    }
    let bounded =
        move |answer: http::Response<_>| answer.map(|body| Bounded::new(body, input::ANSWER, deadlines.to_answer));
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.default_retry.then(|| RetryLayer::new(RetryPolicy::server_retry())))
        .layer(Presenting::new(credentials.clone()))
        .layer(config.extra_headers_layer()?)
        .service(reach.client::<Body>());
    let builder = ClientBuilder::new(service, config.default_namespace.clone());
    Ok(builder.with_layer(&MapResponseLayer::new(bounded)).build())
}

fn trust(config: &kube::Config, ca: &str) -> Trust {
    if config.accept_invalid_certs {
        return Trust::Anything;
    }
    match &config.root_cert {
        Some(certificates) => Trust::only(certificates.iter().cloned().map(CertificateDer::from), ca),
        None => Trust::System,
    }
}

/// A certificate of a configuration that is none.
///
/// # Errors
/// Wrong usage, where there is one.
pub(super) fn check_authorities(config: &kube::Config) -> Result<()> {
    if config.root_cert.as_ref().is_some_and(Vec::is_empty) {
        return Err(Error::usage("its `certificate-authority` holds no certificate in PEM form"));
    }
    let broken = config
        .root_cert
        .iter()
        .flatten()
        .any(|der| rustls::RootCertStore::empty().add(CertificateDer::from(der.as_slice())).is_err());
    if broken && !config.accept_invalid_certs {
        return Err(Error::usage("a certificate of its `certificate-authority` is broken"));
    }
    Ok(())
}
