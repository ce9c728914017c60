//! The way to a server: which authorities are trusted, which certificate is shown, which proxy is in between, and how long that
//! may take. One builder for Vault, for clusters, and for what Vault itself would ask; one reader of what can go wrong.
//!
//! Vault, kubectl and External Secrets are written in Go. So proxies are chosen as Go's `net/http` does, and certificates are
//! judged as its `crypto/x509` does: what works here works there, and the other way round.

mod certificate;
mod chain;
mod connector;
mod failure;
mod http;
mod judge;
mod pair;
mod proxied;
mod socks;
mod stream;
mod trust;
mod verifier;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::pki_types::ServerName;

pub use self::failure::{ExchangeFailure, ProxyFault, ProxyProblem, TlsProblem, Unreachable};
pub(crate) use self::failure::{Why, in_chain};
pub use self::http::{Http, Reply};
pub(crate) use self::pair::{Mismatch, check_pair};
pub use self::trust::Trust;
use crate::settings::Proxies;

/// Makes ring the crypto provider of this process, unless there is one. Calling it again does nothing.
///
/// The Kubernetes client is built without a provider of its own, so that the binary has one and not two.
pub fn install_crypto_provider() {
    // Err says that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// How servers are reached.
#[derive(Clone)]
pub struct Reach {
    /// Whose certificates are accepted.
    pub trust: Trust,
    /// The certificate that is shown to who asks for one.
    pub identity: Option<Arc<dyn ResolvesClientCert>>,
    /// The name that is asked for (SNI) and that the certificate must have, in place of the URL's.
    pub server_name: Option<ServerName<'static>>,
    /// What decides on a proxy.
    pub proxies: Proxies,
    /// How long a connection may take to come about.
    pub to_connect: Duration,
    /// How long an exchange may take in all.
    pub to_answer: Duration,
}

impl Reach {
    /// A way on which these are trusted, with these times.
    pub fn new(trust: Trust, proxies: Proxies, to_connect: Duration, to_answer: Duration) -> Self {
        Self { trust, identity: None, server_name: None, proxies, to_connect, to_answer }
    }

    /// What sends requests on this way. Nothing is sent yet.
    pub fn client<B>(&self) -> Http<B>
    where
        B: hyper::body::Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Http::new(self)
    }
}

impl fmt::Debug for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reach").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}
