//! Stand-ins for clusters: each has a key pair, an issuer, and an API server on a loopback port that answers what Vault and
//! the rest of this tool ask.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinSet;

use super::api::{Api, now};
use super::listener::Listener;
use super::signer::{KeyType, Signer};
use super::tokens::{Account, Issuer};
use crate::config::{Cluster, ClusterSource, Config, KeySource, Method, ReviewerToken};
use crate::error::{Error, Result};
use crate::names::{Audience, ClusterName, ServiceAccountRef};

/// The audience of an API server for which the configuration gives no hint.
const API_AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// How long the tokens of a rehearsal live, in seconds.
const TOKEN_SECONDS: u64 = 3600;

/// What stands in for one cluster, for as long as this lives.
pub(super) struct StandIn {
    api: Arc<Api>,
    settings: kube::Config,
    /// Whether nothing says the issuer, so that one was made up.
    pub(super) synthetic: bool,
    /// A key that is not the cluster's.
    foreign: Signer,
    /// The tasks that answer; they end with it.
    _tasks: JoinSet<()>,
}

/// The stand-ins, by cluster.
pub(super) type StandIns = BTreeMap<ClusterName, StandIn>;

/// Starts a stand-in for each cluster of a configuration.
pub(super) async fn stand_in_for(config: &Config, keys: KeyType) -> Result<StandIns> {
    let mut starting = JoinSet::new();
    for cluster in config.clusters.iter().cloned() {
        starting.spawn(async move { Ok((cluster.name.clone(), StandIn::start(&cluster, keys).await?)) });
    }
    starting.join_all().await.into_iter().collect()
}

impl StandIn {
    /// Starts it. The service accounts that the configuration names are there.
    async fn start(cluster: &Cluster, keys: KeyType) -> Result<Self> {
        let stopped = |error| Error::failed("a key pair was not made").because(error);
        // An RSA key pair takes a moment of a processor, and two of them can be made at once.
        let (signer, foreign) = tokio::try_join!(
            tokio::task::spawn_blocking(move || Signer::generate(keys)),
            tokio::task::spawn_blocking(move || Signer::generate(keys)),
        )
        .map_err(stopped)?;
        let listener = Listener::bind(cluster.name.as_str()).await?;
        let (url, synthetic) = match issuer(cluster) {
            Some(issuer) => (issuer, false),
            None if fetches_discovery(cluster) => (listener.url.clone(), true),
            None => (format!("https://{}.rehearse.invalid", cluster.name), true),
        };
        let issuer = Issuer { url, audiences: api_audiences(cluster), signer: signer? };
        let reviews_itself = matches!(&cluster.auth.method,
            Method::Kubernetes(auth) if auth.reviewer.token == ReviewerToken::Client);
        let api = Arc::new(Api::new(issuer, listener.url.clone(), reviews_itself));
        let server = listener.url.parse().map_err(|error| Error::failed("a stand-in has no URL").because(error))?;
        let mut settings = kube::Config::new(server);
        settings.root_cert = Some(vec![listener.authority.to_vec()]);
        settings.auth_info.token = Some(api.admin.expose_secret().to_owned().into());
        let tasks = listener.serve(Arc::clone(&api));
        for account in cluster.roles.iter().flat_map(|role| &role.service_accounts) {
            api.account(account);
        }
        Ok(Self { api, settings, synthetic, foreign: foreign?, _tasks: tasks })
    }

    /// How the rest of this tool reaches it.
    pub(super) fn settings(&self) -> kube::Config {
        self.settings.clone()
    }

    /// The `iss` of its tokens.
    pub(super) fn issuer(&self) -> &str {
        &self.api.issuer.url
    }

    /// The audiences of tokens that were asked for without any.
    pub(super) fn default_audiences(&self) -> &[String] {
        &self.api.issuer.audiences
    }

    /// A token as the cluster would give it.
    pub(super) fn token(&self, account: &ServiceAccountRef, audiences: &[Audience]) -> Result<SecretString> {
        let account = self.api.account(account);
        self.api.issuer.bound(&account, &self.audiences(audiences), now(), TOKEN_SECONDS)
    }

    /// The same token from somebody who hasn't the cluster's key.
    pub(super) fn foreign_token(&self, account: &ServiceAccountRef, audiences: &[Audience]) -> Result<SecretString> {
        let account: Account = self.api.account(account);
        self.api.issuer.signed_by(&self.foreign, &account, &self.audiences(audiences), now(), TOKEN_SECONDS)
    }

    fn audiences(&self, asked: &[Audience]) -> Vec<String> {
        if asked.is_empty() {
            self.default_audiences().to_vec()
        } else {
            asked.iter().map(ToString::to_string).collect()
        }
    }
}

/// The configuration with its clusters replaced by their stand-ins: what it says about where they are is left out.
pub(super) fn with_stand_ins(config: &Config) -> Config {
    let mut config = config.clone();
    for cluster in &mut config.clusters {
        cluster.source = ClusterSource::Context(Some(cluster.name.to_string()));
        cluster.auth.keys_ca_cert = None;
        match &mut cluster.auth.method {
            Method::Jwt(KeySource::JwksUrl { url }) => *url = None,
            // Where Vault fetches the discovery document, the issuer is the address.
            Method::Jwt(KeySource::OidcDiscovery) => cluster.auth.issuer = None,
            Method::Jwt(KeySource::Pinned { .. }) => {}
            Method::Kubernetes(auth) => (auth.host, auth.ca_cert) = (None, None),
        }
    }
    config
}

/// The issuer that the configuration says, unless that has to be an address.
fn issuer(cluster: &Cluster) -> Option<String> {
    if fetches_discovery(cluster) {
        return None;
    }
    match (&cluster.auth.issuer, &cluster.source) {
        (Some(issuer), _) | (None, ClusterSource::Files { issuer, .. }) => Some(issuer.clone()),
        _ => None,
    }
}

fn fetches_discovery(cluster: &Cluster) -> bool {
    matches!(cluster.auth.method, Method::Jwt(KeySource::OidcDiscovery))
}

/// The API server's own audiences: those that roles require of tokens which are asked for without any.
fn api_audiences(cluster: &Cluster) -> Vec<String> {
    let mut audiences: Vec<String> = Vec::new();
    let unasked = cluster.roles.iter().filter(|role| role.token_audiences.is_empty());
    for audience in unasked.filter_map(|role| role.audience.as_ref()) {
        if !audiences.iter().any(|known| known == audience.as_str()) {
            audiences.push(audience.to_string());
        }
    }
    if audiences.is_empty() {
        audiences.push(API_AUDIENCE.to_owned());
    }
    audiences
}
