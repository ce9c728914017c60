//! An issuer that anybody may ask: what it publishes, as Vault finds it without credentials.

use super::OpenCluster;
use super::ca::read_ca;
use super::key_url::{Obstacle, Vantage, try_key_url};
use super::served_keys::{jwks_uri, key_set};
use crate::config::{Auth, KeySource, Method};
use crate::error::{Error, Result};
use crate::keys::Jwks;
use crate::model::{ClusterFacts, KeyPlace};
use crate::settings::Proxies;

/// Where an issuer says that its keys are, to who has no credentials and trusts the CA alone, or the system's authorities where there is
/// none.
///
/// # Errors
/// When its document isn't there for everybody.
pub(super) async fn named_keys(issuer: &str, ca: Option<&str>, from: Vantage<'_>) -> Result<String, Obstacle> {
    let place = KeyPlace::Discovery { issuer: issuer.to_owned() };
    let document = try_key_url(&place.url(), ca, from).await?;
    jwks_uri(issuer, &place.url(), &document).map_err(|error| Obstacle { error, is_certain: true, is_closed: false })
}

/// The key set at a URL, likewise.
///
/// # Errors
/// When it isn't there for everybody.
pub(super) async fn keys_at(url: &str, ca: Option<&str>, from: Vantage<'_>) -> Result<Jwks, Obstacle> {
    let text = try_key_url(url, ca, from).await?;
    let place = KeyPlace::Jwks { url: url.to_owned() };
    key_set(&place, text, ca, from).await.map(|(_, jwks)| jwks)
}

/// The facts of an issuer with no cluster behind it that could be asked. That its keys can't be read from here is no error: it is Vault
/// that fetches them.
///
/// # Errors
/// When the file's CA can't be read.
pub(super) async fn open(issuer: &str, auth: &Auth, environment: &Proxies) -> Result<OpenCluster> {
    let from = Vantage::new(None, environment);
    let named = auth.keys_ca_cert.as_deref().map(read_ca).transpose()?;
    // `caCert` is that of the server that Vault fetches the keys from: with `jwksUrl`, that need not be the issuer's.
    let other = named.as_ref().filter(|_| matches!(auth.method, Method::Jwt(KeySource::JwksUrl { .. }))).map(|_| None);
    let trusted = || std::iter::once(named.as_deref()).chain(other);
    let mut cluster = OpenCluster {
        facts: ClusterFacts { issuer: issuer.to_owned(), ..ClusterFacts::default() },
        connection: None,
        unread: None,
    };
    let jwks_uri = match first(trusted().map(|ca| named_keys(issuer, ca, from))).await {
        Ok(url) => url,
        Err(obstacle) => return Ok(OpenCluster { unread: Some(obstacle.error), ..cluster }),
    };
    match first(trusted().map(|ca| keys_at(&jwks_uri, ca, from))).await {
        // Those that are refused here are none that Vault would miss: issuers publish keys for other purposes, too.
        Ok(jwks) => cluster.facts.keys = jwks.keys,
        Err(obstacle) => cluster.unread = Some(obstacle.error),
    }
    cluster.facts.jwks_uri = Some(jwks_uri);
    Ok(cluster)
}

/// The first of several ways that leads somewhere, else why the last doesn't.
async fn first<T>(ways: impl Iterator<Item = impl Future<Output = Result<T, Obstacle>>>) -> Result<T, Obstacle> {
    let mut ways = ways.peekable();
    while let Some(way) = ways.next() {
        match way.await {
            Err(_) if ways.peek().is_some() => {}
            found => return found,
        }
    }
    // There is always one.
    Err(Obstacle { error: Error::failed("there is no way to ask the issuer"), is_certain: false, is_closed: false })
}
