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
        Method::Jwt(KeySource::Pinned { .. }) | Method::Kubernetes(_) => return Ok(KeyServer::default()),
    };
    if let Some(file) = &auth.keys_ca_cert {
        facts.ca = Some(read_ca(file)?);
    }
    // Without a URL there is nothing to look at; the desired state says so.
    let Some(place) = place else { return Ok(KeyServer::default()) };
    let url = place.url();
    let from = Vantage { connection, environment };
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
    if let Some(obstacle) = obstacle(&url, found, kubectl.as_ref()) {
        return Ok(KeyServer { obstacle: Some(obstacle), served: None });
    }
    Ok(match behind(&place, text, facts.ca.as_deref(), from, &facts.keys).await {
        Ok(served) => KeyServer { obstacle: None, served: Some(served) },
        Err(obstacle) => KeyServer { obstacle: Some(obstacle.error), served: None },
    })
}
