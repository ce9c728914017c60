//! The handshake with a proxy: CONNECT or SOCKS.

use hyper::client::conn::http1;
use hyper::header::{HOST, PROXY_AUTHORIZATION};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;

use super::failure::{ExchangeFailure, ProxyFault, ProxyProblem};
use super::socks;
use super::stream::Io;
use crate::settings::{Credentials, Proxy};

/// The value that shows a proxy who asks.
pub(super) fn authorization(credentials: &Credentials) -> Option<http::HeaderValue> {
    let mut value = http::HeaderValue::from_str(credentials.basic().expose_secret()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Has a proxy connect to `HOST:PORT`.
pub(super) async fn connect(proxy: &Proxy, io: Io, authority: &str) -> Result<Io, ExchangeFailure> {
    let failed = |fault| ExchangeFailure::of_proxy(ProxyProblem::new(proxy, fault));
    let broken = |error: hyper::Error| failed(ProxyFault::Refused(innermost(&error)));
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(broken)?;
    // It ends with the connection, or hands that over; an error is one of the request, too.
    tokio::spawn(async move { drop(connection.with_upgrades().await) });
    let mut request = Request::connect(authority).header(HOST, authority);
    if let Some(value) = proxy.credentials.as_ref().and_then(authorization) {
        request = request.header(PROXY_AUTHORIZATION, value);
    }
    let body = http_body_util::Empty::<hyper::body::Bytes>::new();
    let request = request.body(body).map_err(|error| failed(ProxyFault::Refused(error.to_string())))?;
    let answer = sender.send_request(request).await.map_err(broken)?;
    match answer.status() {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => Err(failed(ProxyFault::Credentials(status(answer.status())))),
        StatusCode::OK => {
            let upgraded = hyper::upgrade::on(answer).await.map_err(broken)?;
            Ok(Box::new(TokioIo::new(upgraded)))
        }
        other => Err(failed(ProxyFault::Refused(format!("{} for {authority}", status(other))))),
    }
}

/// Has a SOCKS proxy connect to a host and a port, and resolve the name.
pub(super) async fn socks(proxy: &Proxy, mut io: Io, host: &str, port: u16) -> Result<Io, ExchangeFailure> {
    match socks::connect(&mut io, proxy.credentials.as_ref(), host, port).await {
        Ok(()) => Ok(io),
        Err(fault) => Err(ExchangeFailure::of_proxy(ProxyProblem::new(proxy, fault))),
    }
}

fn status(status: StatusCode) -> String {
    format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or_default()).trim_end().to_owned()
}

fn innermost(error: &hyper::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}
