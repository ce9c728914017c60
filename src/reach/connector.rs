//! Connections: to the server or to the proxy before it, and TLS over that.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tower::Service;

use super::Reach;
use super::failure::{ExchangeFailure, ProxyFault, ProxyProblem, Unreachable, Why};
use super::proxied;
use super::stream::{Io, Stream};
use super::verifier;
use crate::settings::{Protocol, Proxies, Proxy};

/// What makes connections to servers.
#[derive(Clone)]
pub(super) struct Connector {
    /// `None` where TLS can't be set up; the reason is told when it is needed.
    tls: Result<Arc<ClientConfig>, ExchangeFailure>,
    server_name: Option<ServerName<'static>>,
    proxies: Proxies,
    to_connect: Duration,
}

/// Where a connection leads.
struct Target {
    is_tls: bool,
    /// With brackets, where it is an address of version 6.
    host: String,
    port: u16,
}

impl Target {
    fn of(uri: &Uri) -> Self {
        let is_tls = uri.scheme_str() != Some("http");
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Self { is_tls, host: uri.host().unwrap_or_default().to_owned(), port }
    }

    fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

impl Connector {
    pub(super) fn new(reach: &Reach) -> Self {
        Self {
            tls: verifier::config(reach),
            server_name: reach.server_name.clone(),
            proxies: reach.proxies.clone(),
            to_connect: reach.to_connect,
        }
    }

    /// The proxy between here and the server of a URL.
    pub(super) fn proxy(&self, uri: &Uri) -> Result<Option<Arc<Proxy>>, ExchangeFailure> {
        let target = Target::of(uri);
        let scheme = if target.is_tls { "https" } else { "http" };
        self.proxies.between(scheme, &target.host, target.port).map_err(|error| {
            let said = std::iter::once(error.to_string()).chain(error.causes()).collect::<Vec<_>>().join(": ");
            let origin = said.split(' ').next().unwrap_or_default().to_owned();
            ExchangeFailure::of_proxy(ProxyProblem {
                proxy: String::new(),
                origin,
                fault: ProxyFault::Unusable(said),
                has_credentials: false,
            })
        })
    }

    async fn connect(self, uri: Uri) -> Result<Stream, ExchangeFailure> {
        let target = Target::of(&uri);
        let Some(proxy) = self.proxy(&uri)? else {
            let io = self.dial(&target.host, target.port).await.map_err(|failure| self.with_hint(failure))?;
            return self.secured(io, &target, false).await;
        };
        let io = self.dial(&proxy.host, proxy.port).await.map_err(|failure| {
            ExchangeFailure::of_proxy(ProxyProblem::new(&proxy, ProxyFault::Unreachable(failure.said)))
        })?;
        let io = if proxy.protocol == Protocol::Https { self.to_proxy(io, &proxy).await? } else { io };
        let late = || {
            let said = format!("it doesn't answer about {} in time", target.authority());
            ExchangeFailure::of_proxy(ProxyProblem::new(&proxy, ProxyFault::Refused(said)))
        };
        let through = |mut failure: ExchangeFailure| {
            if failure.certificate().is_some() {
                failure.said = format!("{} (through the proxy {proxy}, {})", failure.said, proxy.origin);
            }
            failure
        };
        match proxy.protocol {
            Protocol::Socks5 => {
                let io = self.in_time(proxied::socks(&proxy, io, &target.host, target.port), late).await?;
                self.secured(io, &target, false).await.map_err(through)
            }
            Protocol::Http | Protocol::Https if target.is_tls => {
                let io = self.in_time(proxied::connect(&proxy, io, &target.authority()), late).await?;
                self.secured(io, &target, false).await.map_err(through)
            }
            Protocol::Http | Protocol::Https => Ok(Stream::new(io, true)),
        }
    }

    /// TLS to the server, where its URL says so.
    async fn secured(&self, io: Io, target: &Target, to_proxy: bool) -> Result<Stream, ExchangeFailure> {
        if !target.is_tls {
            return Ok(Stream::new(io, to_proxy));
        }
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => name_of(&target.host)?,
        };
        Ok(Stream::new(self.handshake(io, name).await?, to_proxy))
    }

    async fn to_proxy(&self, io: Io, proxy: &Proxy) -> Result<Io, ExchangeFailure> {
        self.handshake(io, name_of(&proxy.host)?).await.map_err(|failure| {
            let fault = match failure.why {
                Why::Tls(problem) => ProxyFault::Tls(problem),
                Why::Unreachable(_) => ProxyFault::Unreachable(failure.said),
            };
            ExchangeFailure::of_proxy(ProxyProblem::new(proxy, fault))
        })
    }

    async fn handshake(&self, io: Io, name: ServerName<'static>) -> Result<Io, ExchangeFailure> {
        let config = self.tls.clone()?;
        let shaken = async {
            let stream = TlsConnector::from(config).connect(name, io).await;
            stream.map_err(|error| ExchangeFailure::of(&error, true))
        };
        Ok(Box::new(self.in_time(shaken, || self.late()).await?))
    }

    /// A TCP connection.
    async fn dial(&self, host: &str, port: u16) -> Result<Io, ExchangeFailure> {
        let mut tcp = HttpConnector::new_with_resolver(tower::service_fn(resolve));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // It is divided among the addresses of a name, so that one that doesn't answer leaves time for the next.
        tcp.set_connect_timeout(Some(self.to_connect));
        let dialed = async {
            let uri = format!("http://{host}:{port}").parse::<Uri>();
            let uri =
                uri.map_err(|error| ExchangeFailure::unreachable(Unreachable::UnknownHost, error.to_string(), true))?;
            tcp.call(uri).await.map_err(|error| ExchangeFailure::of(&error, true))
        };
        Ok(Box::new(self.in_time(dialed, || self.late()).await?.into_inner()))
    }

    fn late(&self) -> ExchangeFailure {
        let said = format!("no connection within {:?}", self.to_connect);
        ExchangeFailure::unreachable(Unreachable::ConnectTimeout, said, true)
    }

    async fn in_time<T>(
        &self,
        step: impl Future<Output = Result<T, ExchangeFailure>>,
        late: impl FnOnce() -> ExchangeFailure,
    ) -> Result<T, ExchangeFailure> {
        tokio::time::timeout(self.to_connect, step).await.unwrap_or_else(|_| Err(late()))
    }

    /// Who has set what only others read is told so where that may be what is missing.
    fn with_hint(&self, mut failure: ExchangeFailure) -> ExchangeFailure {
        if let Some(name) = self.proxies.unread() {
            let ExchangeFailure { said, .. } = &failure;
            failure.said =
                format!("{said} ({name} is set, but as with Vault's CLI only HTTPS_PROXY and HTTP_PROXY count)");
        }
        failure
    }
}

/// The name that a server's certificate must have.
fn name_of(host: &str) -> Result<ServerName<'static>, ExchangeFailure> {
    let bare = host.trim_matches(['[', ']']).trim_end_matches('.').to_owned();
    ServerName::try_from(bare).map_err(|_| {
        ExchangeFailure::unreachable(
            Unreachable::UnknownHost,
            format!("{host:?} is no name that a host can have"),
            true,
        )
    })
}

async fn resolve(name: Name) -> Result<std::vec::IntoIter<std::net::SocketAddr>, ExchangeFailure> {
    let found = tokio::net::lookup_host((name.as_str(), 0)).await;
    let found =
        found.map_err(|error| ExchangeFailure::unreachable(Unreachable::UnknownHost, error.to_string(), true))?;
    Ok(found.collect::<Vec<_>>().into_iter())
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("proxies", &self.proxies).finish_non_exhaustive()
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ExchangeFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ExchangeFailure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ExchangeFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}
