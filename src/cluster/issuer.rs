//! An issuer that anybody may ask: what it publishes, as Vault finds it without credentials.

use super::OpenCluster;
use super::ca::read_ca;
use super::key_url::{Obstacle, Vantage, try_key_url};
use super::served_keys::{jwks_uri, key_set};
use crate::config::{Auth, KeySource, Method};
use crate::error::Result;
use crate::keys::{Jwks, VerificationKey};
use crate::model::{ClusterFacts, KeyPlace};
use crate::settings::Proxies;

/// What an issuer publishes.
pub struct PublicIssuer {
    /// Where its discovery document says that the keys are.
    pub jwks_uri: String,
    /// What is there.
    pub jwks: Jwks,
}

/// Where an issuer says that its keys are, to who has no credentials.
///
/// # Errors
/// When its document isn't there for everybody.
pub(super) async fn named_keys(issuer: &str, from: Vantage<'_>) -> Result<String, Obstacle> {
    let place = KeyPlace::Discovery { issuer: issuer.to_owned() };
    let document = try_key_url(&place.url(), None, from).await?;
    jwks_uri(issuer, &place.url(), &document).map_err(|error| Obstacle { error, is_certain: true, is_closed: false })
}

/// Asks an issuer without credentials, trusting the CA alone, or the system's authorities where there is none.
///
/// # Errors
/// When its document or its keys aren't there for everybody.
pub async fn public_issuer(issuer: &str, ca: Option<&str>, from: Vantage<'_>) -> Result<PublicIssuer, Obstacle> {
    let place = KeyPlace::Discovery { issuer: issuer.to_owned() };
    let document = try_key_url(&place.url(), ca, from).await?;
    let (jwks_uri, jwks) = key_set(&place, document, ca, from).await?;
    Ok(PublicIssuer { jwks_uri, jwks })
}

/// The facts of an issuer with no cluster behind it that could be asked. That its keys can't be read from here is no error: it is Vault
/// that fetches them.
///
/// # Errors
/// When the file's CA can't be read.
pub(super) async fn open(issuer: &str, auth: &Auth, environment: &Proxies) -> Result<OpenCluster> {
    let from = Vantage::new(None, environment);
    let named = auth.keys_ca_cert.as_deref().map(read_ca).transpose()?;
    // `caCert` is that of the server that Vault asks: with a URL of its own, that need not be the issuer's.
    let asked = match public_issuer(issuer, named.as_deref(), from).await {
        Err(_) if named.is_some() && matches!(auth.method, Method::Jwt(KeySource::JwksUrl { url: Some(_) })) => {
            public_issuer(issuer, None, from).await
        }
        asked => asked,
    };
    let facts = ClusterFacts { issuer: issuer.to_owned(), ..ClusterFacts::default() };
    Ok(match asked {
        Ok(PublicIssuer { jwks_uri, jwks }) => {
            // Those that are refused here are none that Vault would miss: issuers publish keys for other purposes, too.
            let keys: Vec<VerificationKey> = jwks.keys;
            OpenCluster {
                facts: ClusterFacts { keys, jwks_uri: Some(jwks_uri), ..facts },
                connection: None,
                unread: None,
            }
        }
        Err(obstacle) => OpenCluster { facts, connection: None, unread: Some(obstacle.error) },
    })
}
