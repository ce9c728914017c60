//! What Vault will meet when it fetches a cluster's keys by itself (`keys: jwksUrl`, `keys: oidcDiscovery`), tried from
//! here: without credentials, as Vault has none.

use std::time::Duration;

use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};

use super::Connection;
use super::ca::read_ca;
use super::served_keys::behind;
use crate::config::{Auth, KeySource, Method};
use crate::error::{Error, Result};
use crate::input::{Limit, Unread, read_body};
use crate::keys::Authorities;
use crate::model::{ClusterFacts, KeyPlace, OPEN_DISCOVERY, ServedKeys};
use crate::reach::{Failure, Reach, Trust};
use crate::settings::Proxies;
use crate::ui::shell::quoted;

/// How long to wait for an answer: what can't be reached from here is no error.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How much of an answer is read; key sets are some kilobytes.
const LARGEST: Limit = Limit { what: "key set or discovery document", bytes: 1 << 20 };

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
    let context = from.context();
    let text = match &found {
        Found::Answer(_, text) => text.clone(),
        Found::TooLarge | Found::Unreachable(_) => String::new(),
    };
    if let Some(obstacle) = obstacle(&url, found, context) {
        return Ok(KeyServer { obstacle: Some(obstacle), served: None });
    }
    Ok(match behind(&place, text, facts.ca.as_deref(), from, &facts.keys).await {
        Ok(served) => KeyServer { obstacle: None, served: Some(served) },
        Err(obstacle) => KeyServer { obstacle: Some(obstacle.error), served: None },
    })
}

/// What stands between Vault and a cluster's keys, as seen from here.
#[derive(Debug, Serialize, Deserialize)]
pub struct Obstacle {
    /// What it is.
    pub error: Error,
    /// Whether Vault meets it as well; what can't be reached from here Vault may reach.
    pub is_certain: bool,
    /// The command that lets everybody fetch it, where it is forbidden.
    pub opens: Option<String>,
}

/// Fetches what Vault would fetch from a URL: without credentials, trusting the CA alone, or the system's where there is none.
///
/// # Errors
/// When it is not there for everybody, with what to do about it.
pub async fn try_key_url(url: &str, ca: Option<&str>, from: Vantage<'_>) -> Result<String, Obstacle> {
    let (found, context) = (from.fetch(url, ca).await, from.context());
    let (text, is_certain) = match &found {
        Found::Answer(status, text) => (text.clone(), !status.is_redirection()),
        Found::TooLarge => (String::new(), false),
        // A certificate that isn't trusted here, Vault doesn't trust either: it has the same CA.
        Found::Unreachable(failure) => (String::new(), failure.certificate().is_some()),
    };
    let opens = matches!(found, Found::Answer(StatusCode::FORBIDDEN, _)).then(|| open_discovery(context));
    match obstacle(url, found, context) {
        Some(error) => Err(Obstacle { error, is_certain, opens }),
        None => Ok(text),
    }
}

/// What came of a request without credentials.
#[derive(Debug)]
enum Found {
    Answer(StatusCode, String),
    TooLarge,
    Unreachable(Failure),
}

/// From where keys are looked for.
#[derive(Clone, Copy)]
pub struct Vantage<'a> {
    /// The way to the cluster, where there is one.
    pub connection: Option<&'a Connection>,
    /// What decides on a proxy for other servers.
    pub environment: &'a Proxies,
}

impl<'a> Vantage<'a> {
    /// The context for kubectl.
    pub(super) fn context(self) -> Option<&'a str> {
        self.connection.map(Connection::name)
    }

    async fn fetch(self, url: &str, ca: Option<&str>) -> Found {
        let proxies = match self.connection {
            Some(connection) => connection.proxies_to(url),
            None => self.environment.clone(),
        };
        let trust = match ca {
            Some(ca) => {
                let authorities = Authorities::parse(ca).unwrap_or_default();
                Trust::only(authorities.certificates().to_vec(), "the CA that Vault is given")
            }
            None => Trust::System,
        };
        let Ok(uri) = Uri::try_from(url) else {
            return Found::Unreachable(Failure::no_url(url));
        };
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = uri;
        // A redirect is an answer: where it leads is for Vault to follow.
        let answer = match Reach::new(trust, proxies, TIMEOUT, TIMEOUT).client().send(request).await {
            Ok(answer) => answer,
            Err(failure) => return Found::Unreachable(failure),
        };
        let status = answer.status();
        match read_body(answer.into_body(), LARGEST).await {
            Ok(body) => Found::Answer(status, String::from_utf8_lossy(&body).into_owned()),
            Err(Unread::Lost(failure)) => Found::Unreachable(failure),
            Err(Unread::TooMuch(_)) => Found::TooLarge,
        }
    }
}

/// The command that opens the discovery of the cluster of a context.
fn open_discovery(context: Option<&str>) -> String {
    context.filter(|context| *context != "in-cluster").map_or_else(
        || OPEN_DISCOVERY.to_owned(),
        |context| OPEN_DISCOVERY.replacen("kubectl", &format!("kubectl --context {}", quoted(context)), 1),
    )
}

/// What to tell about it; nothing where the keys are there for everybody.
fn obstacle(url: &str, found: Found, context: Option<&str>) -> Option<Error> {
    match found {
        Found::Answer(StatusCode::FORBIDDEN, _) => {
            let kubectl = open_discovery(context);
            Some(
                Error::failed(format!("{url} is forbidden to who has no credentials, and Vault has none"))
                    .remedy(format!("if issuer and keys may be read by anybody who reaches the server: `{kubectl}`"))
                    .remedy("or write `keys: pinned`, which needs no way from Vault to the cluster"),
            )
        }
        Found::Answer(StatusCode::UNAUTHORIZED, _) => Some(
            Error::failed(format!("{url} wants credentials, and Vault has none: anonymous requests are off there"))
                .remedy("write `keys: pinned`, which needs no way from Vault to the cluster")
                .remedy("or turn on anonymous authentication for the discovery endpoints of the API server"),
        ),
        Found::Answer(status, _) if status.is_client_error() || status.is_server_error() => Some(
            Error::failed(format!("{url} answers {} {}", status.as_u16(), status.canonical_reason().unwrap_or("")))
                .remedy("look whether it is the URL of the cluster's keys, as Vault reaches it"),
        ),
        Found::Answer(status, _) if status.is_redirection() => Some(
            Error::failed(format!(
                "{url} leads elsewhere ({}); whether Vault can fetch the keys there is for Vault to say",
                status.as_u16()
            ))
            .remedy("name the place that it leads to"),
        ),
        Found::Answer(..) => None,
        Found::TooLarge => Some(
            Error::failed(format!("{url} answers with more than {LARGEST}, which was not read"))
                .remedy("look whether it is the URL of the cluster's keys, as Vault reaches it"),
        ),
        Found::Unreachable(failure) => {
            let failed = Error::failed(format!(
                "{url} could not be tried from here; whether Vault can fetch it is for Vault to say"
            ));
            let remedy = failure.remedy();
            let remedy = remedy
                .unwrap_or_else(|| "if its certificate is from another CA, name that with `auth.caCert`".to_owned());
            Some(failed.because(failure).remedy(remedy))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binding_is_offered_where_it_helps() {
        let told = |status| obstacle("https://k/openid/v1/jwks", Found::Answer(status, String::new()), Some("prod"));
        let forbidden = told(StatusCode::FORBIDDEN).unwrap();
        assert!(forbidden.remedies()[0].contains("kubectl --context prod create clusterrolebinding"));
        assert!(forbidden.remedies()[0].contains("--group=system:unauthenticated"));
        // Where nobody is let in as anonymous, no binding can help.
        let unauthorized = told(StatusCode::UNAUTHORIZED).unwrap();
        assert!(!unauthorized.remedies().concat().contains("clusterrolebinding"));
        assert!(told(StatusCode::OK).is_none());
        assert!(told(StatusCode::NOT_FOUND).is_some());
    }
}
