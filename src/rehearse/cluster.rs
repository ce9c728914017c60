//! Stand-ins for clusters: each has a key pair, an issuer, and an API server on a loopback port that answers what Vault and
//! the rest of this tool ask.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::ExposeSecret;
use tokio::task::JoinSet;

use super::api::{Api, now};
use super::listener::Listener;
use super::real::RealCluster;
use super::signer::{KeyType, Signer};
use super::tokens::Issuer;
use crate::access::claims::bound_issuer;
use crate::cluster::ServiceAccountToken;
use crate::config::{Cluster, ClusterSource, Config, KeySource, Method, ReviewerToken};
use crate::error::{Error, Result};
use crate::names::{Audience, ClusterName, Labels, ServiceAccountRef};

/// The audience of an API server for which the configuration gives no hint.
const API_AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// The name of everybody that a rehearsal makes up.
pub(super) const STRANGER: &str = "vaultk8s-rehearsal";

/// How long the tokens of a rehearsal live, in seconds.
const TOKEN_SECONDS: u64 = 3600;

/// What stands in for one cluster, for as long as this lives.
pub(super) struct StandIn {
    api: Arc<Api>,
    settings: kube::Config,
    /// Whether nothing says the issuer, so that one was made up.
    pub(super) synthetic: bool,
    /// The tasks that answer; they end with it.
    _tasks: JoinSet<()>,
}

/// The stand-ins, by cluster.
pub(super) type StandIns = BTreeMap<ClusterName, StandIn>;

/// The clusters that are really asked, by name.
pub(super) type RealClusters = BTreeMap<ClusterName, Arc<RealCluster>>;

/// Starts a stand-in for each cluster of a configuration.
pub(super) async fn stand_in_for(config: &Config, keys: KeyType, real: &RealClusters) -> Result<StandIns> {
    let mut starting = JoinSet::new();
    for cluster in config.clusters.iter().cloned() {
        let real = real.get(&cluster.name).cloned();
        starting.spawn(async move { Ok((cluster.name.clone(), StandIn::start(&cluster, keys, real).await?)) });
    }
    starting.join_all().await.into_iter().collect()
}

impl StandIn {
    /// Starts it. The service accounts that the configuration names are there.
    async fn start(cluster: &Cluster, keys: KeyType, real: Option<Arc<RealCluster>>) -> Result<Self> {
        // An RSA key pair takes a moment of a processor.
        let signer = tokio::task::spawn_blocking(move || Signer::generate(keys));
        let signer = signer.await.map_err(|error| Error::failed("a key pair was not made").because(error))??;
        let listener = Listener::bind(cluster.name.as_str()).await?;
        let (url, synthetic) = match (&real, issuer(cluster)) {
            // What the stand-in itself signs, for its reviewer, is its own.
            (Some(_), _) => (format!("https://{}.rehearse.invalid", cluster.name), false),
            (None, Some(issuer)) => (issuer, false),
            (None, None) if fetches_discovery(cluster) => (listener.url.clone(), true),
            (None, None) => (format!("https://{}.rehearse.invalid", cluster.name), true),
        };
        let issuer = Issuer { url, audiences: api_audiences(cluster), signer };
        let reviews_itself = matches!(&cluster.auth.method,
            Method::Kubernetes(auth) if auth.reviewer.token == ReviewerToken::Client);
        let api = Arc::new(Api::new(issuer, listener.url.clone(), reviews_itself, real));
        let server = listener.url.parse().map_err(|error| Error::failed("a stand-in has no URL").because(error))?;
        let mut settings = kube::Config::new(server);
        settings.root_cert = Some(vec![listener.authority.to_vec()]);
        settings.auth_info.token = Some(api.admin.expose_secret().to_owned().into());
        let tasks = listener.serve(Arc::clone(&api));
        for account in cluster.roles.iter().flat_map(|role| &role.service_accounts) {
            api.account(account);
        }
        Ok(Self { api, settings, synthetic, _tasks: tasks })
    }

    /// How the rest of this tool reaches it.
    pub(super) fn settings(&self) -> kube::Config {
        self.settings.clone()
    }

    /// The cluster that is really asked, if one is.
    pub(super) fn real(&self) -> Option<&RealCluster> {
        self.api.real.as_deref()
    }

    /// The `iss` of its tokens.
    pub(super) fn issuer(&self) -> &str {
        self.real().map_or(self.api.issuer.url.as_str(), |real| real.issuer.as_str())
    }

    /// The audiences of tokens that were asked for without any, as far as they are made here.
    pub(super) fn default_audiences(&self) -> &[String] {
        &self.api.issuer.audiences
    }

    /// Gives a namespace labels; it is made if it isn't there.
    pub(super) fn label(&self, namespace: &str, labels: &Labels) {
        self.api.label(namespace, labels);
    }

    /// The labels of a namespace.
    pub(super) fn labels(&self, namespace: &str) -> Labels {
        self.api.labels(namespace)
    }

    /// A token as the cluster would give it, or gives it; with claims that say more, such as in which pod it is, which no real cluster
    /// gives for the asking.
    pub(super) async fn token(
        &self,
        account: &ServiceAccountRef,
        asked: &[Audience],
        more: &BTreeMap<String, String>,
    ) -> Result<ServiceAccountToken> {
        if let Some(real) = self.real() {
            return real.token(account, asked).await;
        }
        let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
        let audiences = if asked.is_empty() { self.default_audiences() } else { &asked };
        let token = self.api.issuer.bound_with(&self.api.account(account), audiences, more, now(), TOKEN_SECONDS)?;
        ServiceAccountToken::parse(token)
    }

    /// An account of the same namespace, or of another one, that `is_stranger` takes for one; `None` where a real cluster
    /// has none to borrow.
    pub(super) async fn stranger(
        &self,
        account: &ServiceAccountRef,
        same_namespace: bool,
        is_stranger: impl Fn(&ServiceAccountRef) -> bool,
    ) -> Result<Option<ServiceAccountRef>> {
        let Some(real) = self.real() else {
            let (namespace, name) = (account.namespace.clone(), account.name.clone());
            let made_up = STRANGER.to_owned();
            return Ok(Some(if same_namespace {
                ServiceAccountRef { namespace, name: made_up }
            } else {
                ServiceAccountRef { namespace: made_up, name }
            }));
        };
        let namespace = same_namespace.then_some(account.namespace.as_str());
        let mut known = real.accounts(namespace).await?;
        known.retain(|other| (other.namespace == account.namespace) == same_namespace && is_stranger(other));
        // One of the same name is whom a loose role would take first.
        Ok(known.iter().find(|other| other.name == account.name).or(known.first()).cloned())
    }
}

/// The configuration with its clusters replaced by their stand-ins: what it says about where they are is left out.
pub(super) fn with_stand_ins(config: &Config, real: &RealClusters) -> Config {
    let mut config = config.clone();
    for cluster in &mut config.clusters {
        cluster.source = ClusterSource::Context(Some(cluster.name.to_string()));
        cluster.auth.keys_ca_cert = None;
        cluster.auth.provider_config = None;
        // Nobody else sets it up here.
        cluster.auth.managed = true;
        match &mut cluster.auth.method {
            Method::Jwt(KeySource::JwksUrl { url }) => *url = None,
            // A stand-in's address is not the issuer of a real cluster's tokens.
            Method::Jwt(keys @ KeySource::OidcDiscovery) if real.contains_key(&cluster.name) => {
                *keys = KeySource::Pinned { retention: 0 };
            }
            // Where Vault fetches the discovery document, the issuer is the address.
            Method::Jwt(KeySource::OidcDiscovery) => cluster.auth.issuer = None,
            // The throwaway server is in no pod.
            Method::Jwt(keys @ KeySource::Authenticated) => *keys = KeySource::Pinned { retention: 0 },
            Method::Jwt(KeySource::Pinned { .. }) => {}
            Method::Kubernetes(auth) => {
                (auth.host, auth.ca_cert) = (None, None);
                // The throwaway server is in no pod, and the token of a real reviewer is none of a stand-in's.
                if matches!(
                    auth.reviewer.token,
                    ReviewerToken::Local | ReviewerToken::File(_) | ReviewerToken::Environment(_)
                ) {
                    auth.reviewer.token = ReviewerToken::Secret;
                }
            }
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
        (Some(issuer), _) | (None, ClusterSource::Files { issuer, .. } | ClusterSource::Issuer { issuer }) => {
            Some(issuer.clone())
        }
        // What its roles say of it is as good as what its mount does.
        _ => bound_issuer(&cluster.roles),
    }
}

fn fetches_discovery(cluster: &Cluster) -> bool {
    matches!(cluster.auth.method, Method::Jwt(KeySource::OidcDiscovery))
}

/// The API server's own audiences: those that roles require of tokens which are asked for without any.
fn api_audiences(cluster: &Cluster) -> Vec<String> {
    let mut audiences: Vec<String> = Vec::new();
    let unasked = cluster.roles.iter().filter(|role| role.token_audiences.is_empty());
    for audience in unasked.flat_map(|role| &role.audiences) {
        if !audiences.iter().any(|known| known == audience.as_str()) {
            audiences.push(audience.to_string());
        }
    }
    if audiences.is_empty() {
        audiences.push(API_AUDIENCE.to_owned());
    }
    audiences
}
