//! What Vault will meet when it fetches a cluster's keys by itself (`keys: jwksUrl`, `keys: oidcDiscovery`), tried from
//! here.

use super::Connection;
use super::ca::read_ca;
use super::key_url::{Found, Vantage, obstacle};
use super::served_keys::behind;
use crate::config::{Auth, KeySource, Method};
use crate::error::{Error, Result};
use crate::model::{ClusterFacts, KeyPlace, ServedKeys};
use crate::settings::Proxies;

/// What was found at the server that Vault will fetch keys from.
#[derive(Debug, Default)]
pub struct KeyServer {
    /// What stands in Vault's way, or in the way of looking.
    pub obstacle: Option<Error>,
    /// The keys that it serves, where they could be seen.
    pub served: Option<ServedKeys>,
    /// Where it was asked in place of what Vault asks.
    pub asked_through: Option<AskedThrough>,
}

/// A URL that only the cluster's network knows, and the cluster's own server, which was asked for the same from here.
#[derive(Debug)]
pub struct AskedThrough {
    /// What Vault asks.
    pub url: String,
    /// What was asked.
    pub there: String,
}

impl std::fmt::Display for AskedThrough {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, there } = self;
        write!(
            f,
            "{url} is known to the cluster's own network alone: what is there was asked at {there}, and that Vault reaches it a \
             login proves"
        )
    }
}

/// Looks at the server that Vault will fetch the keys from, settles its CA in `facts.ca`, and says what stands in the way
/// and which keys are there. Does nothing for keys that Vault doesn't fetch.
///
/// The CA is that of the file if it names one. Else it is the kubeconfig's, unless the server's certificate is proved not
/// to be from there but from an authority of the system, as with clusters whose issuer is a public web server.
///
/// # Errors
/// When the file's CA can't be read.
pub async fn look_at_key_server(
    auth: &Auth,
    facts: &mut ClusterFacts,
    connection: Option<&Connection>,
    environment: &Proxies,
) -> Result<KeyServer> {
    let place = match &auth.method {
        Method::Jwt(KeySource::JwksUrl { url }) => {
            url.clone().or_else(|| facts.jwks_uri.clone()).map(|url| KeyPlace::Jwks { url })
        }
        Method::Jwt(KeySource::OidcDiscovery) => {
            Some(KeyPlace::Discovery { issuer: auth.issuer.as_ref().unwrap_or(&facts.issuer).clone() })
        }
        Method::Jwt(KeySource::Pinned { .. } | KeySource::Authenticated) | Method::Kubernetes(_) => {
            return Ok(KeyServer::default());
        }
    };
    if let Some(file) = &auth.keys_ca_cert {
        facts.ca = Some(read_ca(file)?);
    }
    // Without a URL there is nothing to look at; the desired state says so.
    let Some(place) = place else { return Ok(KeyServer::default()) };
    let url = place.url();
    let from = Vantage::new(connection, environment);
    let mut found = from.fetch(&url, facts.ca.as_deref()).await;
    if matches!(found, Found::Unreachable(_)) && facts.ca.is_some() && auth.keys_ca_cert.is_none() {
        let by_system = from.fetch(&url, None).await;
        if matches!(by_system, Found::Answer(..)) {
            facts.ca = None;
            found = by_system;
        }
    }
    let kubectl = from.kubectl(&url);
    let text = match &found {
        Found::Answer(_, text) => text.clone(),
        Found::TooLarge | Found::Unreachable(_) => String::new(),
    };
    let asked_through = from.stand_in(&url).map(|(there, _)| AskedThrough { url: url.clone(), there });
    if let Some(obstacle) = obstacle(&url, found, kubectl.as_ref()) {
        return Ok(KeyServer { obstacle: Some(obstacle), served: None, asked_through });
    }
    // Of an issuer with no cluster behind it, what its own document leads to is what it publishes; and where its keys can't be read, there
    // is nothing to compare others with.
    let is_its_own = connection.is_none() && matches!(place, KeyPlace::Discovery { .. });
    let is_compared = !is_its_own && !facts.keys.is_empty();
    Ok(match behind(&place, text, facts.ca.as_deref(), from, &facts.keys).await {
        Ok(served) => KeyServer { obstacle: None, served: Some(served).filter(|_| is_compared), asked_through },
        Err(obstacle) => KeyServer { obstacle: Some(obstacle.error), served: None, asked_through },
    })
}
