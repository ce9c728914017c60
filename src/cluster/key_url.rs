//! A URL that Vault fetches keys from, tried from here: without credentials, as Vault has none.

use std::time::Duration;

use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};

use url::Url;

use super::connect::Connection;
use super::inside::{is_the_clusters_own, known_inside};
use crate::error::{Error, Result};
use crate::fix::Kubectl;
use crate::input::{Unread, read_body};
use crate::keys::Authorities;
use crate::limit::Limit;
use crate::reach::{ExchangeFailure, Reach, Trust, Unreachable, Why};
use crate::settings::Proxies;

/// How long to wait for an answer: what can't be reached from here is no error.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How much of an answer is read; key sets are some kilobytes.
const LARGEST: Limit = Limit { what: "key set or discovery document", bytes: 1 << 20 };

/// What stands between Vault and a cluster's keys, as seen from here.
#[derive(Debug, Serialize, Deserialize)]
pub struct Obstacle {
    /// What it is.
    pub error: Error,
    /// Whether Vault meets it as well; what can't be reached from here Vault may reach.
    pub is_certain: bool,
    /// Whether it is forbidden to who has no credentials, which a binding changes.
    pub is_closed: bool,
}

/// Fetches what Vault would fetch from a URL: without credentials, trusting the CA alone, or the system's where there is none.
///
/// # Errors
/// When it is not there for everybody, with what to do about it.
pub async fn try_key_url(url: &str, ca: Option<&str>, from: Vantage<'_>) -> Result<String, Obstacle> {
    let (found, kubectl) = (from.fetch(url, ca).await, from.kubectl(url));
    let (text, is_certain) = match &found {
        Found::Answer(status, text) => (text.clone(), !status.is_redirection()),
        Found::TooLarge => (String::new(), false),
        // A certificate that isn't trusted here, Vault doesn't trust either: it has the same CA.
        Found::Unreachable(failure) => (String::new(), failure.certificate().is_some()),
    };
    let is_closed = kubectl.is_some() && matches!(found, Found::Answer(StatusCode::FORBIDDEN, _));
    match obstacle(url, found, kubectl.as_ref()) {
        Some(error) => Err(Obstacle { error, is_certain, is_closed }),
        None => Ok(text),
    }
}

/// What came of a request without credentials.
#[derive(Debug)]
pub(super) enum Found {
    Answer(StatusCode, String),
    TooLarge,
    Unreachable(ExchangeFailure),
}

/// From where keys are looked for.
#[derive(Clone, Copy)]
pub struct Vantage<'a> {
    /// The way to the cluster, where there is one.
    pub connection: Option<&'a Connection>,
    /// What decides on a proxy for other servers.
    pub environment: &'a Proxies,
    /// Whether Vault is known to be in the cluster, and so to reach what only the cluster's network knows.
    within: bool,
}

impl<'a> Vantage<'a> {
    /// This machine, with this way to the cluster.
    pub fn new(connection: Option<&'a Connection>, environment: &'a Proxies) -> Self {
        Self { connection, environment, within: false }
    }

    /// The same, once it is known that Vault is asked to look inside of the cluster.
    pub(super) fn behind(self, url: &str) -> Self {
        Self { within: self.within || (self.connection.is_some() && is_the_clusters_own(url)), ..self }
    }

    /// kubectl, where it reaches the server of a URL: what another one forbids, no binding of the cluster allows.
    pub(super) fn kubectl(self, url: &str) -> Option<Kubectl> {
        let origin = |url: &str| Url::parse(url).ok().map(|url| url.origin());
        let stands_in = self.stand_in(url).is_some();
        let own = self.connection.filter(|connection| stands_in || origin(connection.server()) == origin(url));
        own.map(|connection| connection.way().kubectl())
    }

    /// The URL at which the cluster's API server is asked from here for what Vault finds at one that only the cluster's network knows.
    pub(super) fn stand_in(self, url: &str) -> Option<(String, &'a Connection)> {
        let connection = self.connection?;
        let path = Url::parse(url).ok()?.path().to_owned();
        let is_published = path == "/openid/v1/jwks" || path == "/.well-known/openid-configuration";
        let inside = is_the_clusters_own(url) || (self.within && known_inside(url).is_some());
        (is_published && inside).then(|| (format!("{}{path}", connection.server()), connection))
    }

    pub(super) async fn fetch(self, url: &str, ca: Option<&str>) -> Found {
        match self.stand_in(url) {
            // The kubeconfig's CA is for the way that is taken from here.
            Some((there, connection)) => self.fetch_from(&there, connection.ca()).await,
            None => self.fetch_from(url, ca).await,
        }
    }

    async fn fetch_from(self, url: &str, ca: Option<&str>) -> Found {
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
            return Found::Unreachable(ExchangeFailure::no_url(url));
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

/// What to tell about it; nothing where the keys are there for everybody.
pub(super) fn obstacle(url: &str, found: Found, kubectl: Option<&Kubectl>) -> Option<Error> {
    match found {
        Found::Answer(StatusCode::FORBIDDEN, _) => Some(
            Error::failed(format!("{url} is forbidden to who has no credentials, and Vault has none"))
                .maybe_remedy(kubectl.map(|kubectl| {
                    let open = kubectl.open_discovery().shown();
                    format!("if issuer and keys may be read by anybody who reaches the server: {open}")
                }))
                .remedy("or write `keys: pinned`, which needs no way from Vault to the cluster"),
        ),
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
        Found::Unreachable(failure) if inside(url, &failure).is_some() => {
            let (host, why) = inside(url, &failure).unwrap_or_default();
            Some(
                Error::failed(format!(
                    "{url} could not be tried from here: {host} is {why}, which perhaps only the cluster's own network knows, and \
                     whether Vault can fetch it is for Vault to say"
                ))
                .because(failure)
                .remedy("name the URL of the keys as Vault reaches it: `keys: jwksUrl` with `auth.jwksUrl`")
                .remedy(
                    "or write `keys: oidcDiscovery` where the issuer's own document, which Vault reads then, names another URL",
                )
                .remedy("or write `keys: pinned`, which needs no way from Vault to the cluster"),
            )
        }
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

/// The host of a URL and what it is, where nobody was reached because, as far as can be told, only a cluster's own network knows it.
fn inside(url: &str, failure: &ExchangeFailure) -> Option<(String, &'static str)> {
    let unknown = match &failure.why {
        Why::Unreachable(Unreachable::UnknownHost) => Some("a name that does not resolve here"),
        Why::Unreachable(Unreachable::Proxy(_)) | Why::Tls(_) => return None,
        Why::Unreachable(_) => None,
    };
    let host = Url::parse(url).ok()?.host_str()?.to_owned();
    Some((host, known_inside(url).or(unknown)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn discovery_is_opened_at_the_cluster_s_own_server_alone() {
        let config = kube::Config::new("https://k.example:6443".parse().unwrap());
        let settings = crate::cluster::KubeSettings::only([("prod".to_owned(), config)].into());
        let source = crate::config::ClusterSource::Context(Some("prod".to_owned()));
        let connection = Connection::open(&source, &settings).await.unwrap();
        let environment = Proxies::default();
        let from = |connection| Vantage::new(connection, &environment);
        for (url, offered) in [
            ("https://k.example:6443/openid/v1/jwks", true),
            ("https://k.example:6443/other", true),
            ("https://k.example/openid/v1/jwks", false),
            ("http://k.example:6443/openid/v1/jwks", false),
            ("https://mirror.example:6443/openid/v1/jwks", false),
        ] {
            assert_eq!(from(Some(&connection)).kubectl(url).is_some(), offered, "{url}");
            assert!(from(None).kubectl(url).is_none(), "{url}");
        }
    }

    #[test]
    fn the_binding_is_offered_where_it_helps() {
        let told = |status| {
            obstacle(
                "https://k/openid/v1/jwks",
                Found::Answer(status, String::new()),
                Some(&Kubectl::in_context("prod")),
            )
        };
        let forbidden = told(StatusCode::FORBIDDEN).unwrap();
        assert!(forbidden.remedies()[0].contains("kubectl --context prod create clusterrolebinding"));
        assert!(forbidden.remedies()[0].contains("--group=system:unauthenticated"));
        // Where nobody is let in as anonymous, no binding can help.
        let unauthorized = told(StatusCode::UNAUTHORIZED).unwrap();
        assert!(!unauthorized.remedies().concat().contains("clusterrolebinding"));
        assert!(told(StatusCode::OK).is_none());
        assert!(told(StatusCode::NOT_FOUND).is_some());
    }

    #[tokio::test]
    async fn a_host_that_only_the_cluster_knows_is_named_as_that() {
        crate::reach::install_crypto_provider();
        let proxies = Proxies::default();
        let from = Vantage::new(None, &proxies);
        for (url, what) in [
            ("https://keys.team.svc/openid/v1/jwks", "keys.team.svc is the name of a service in the cluster"),
            ("https://nowhere.invalid/openid/v1/jwks", "nowhere.invalid is a name that does not resolve here"),
        ] {
            let obstacle = try_key_url(url, None, from).await.unwrap_err();
            assert!(obstacle.error.to_string().contains(what), "{}", obstacle.error);
            assert!(!obstacle.is_certain);
            let remedies = obstacle.error.remedies().concat();
            assert!(remedies.contains("`auth.jwksUrl`") && remedies.contains("`keys: oidcDiscovery`"), "{remedies}");
        }
    }
}
