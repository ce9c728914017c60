//! Who is asked: Vault as the operator sees it, the clusters, and Vault as each login sees it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use elsa::sync::FrozenMap;
use secrecy::SecretString;

use super::login::Consumer;
use crate::cluster::{Connection, ReviewerJwt, ServiceAccountToken, Vantage};
use crate::names::ClusterName;
use crate::settings::Proxies;
use crate::vault::{Client, LoginAuth};
use crate::verify::facts::patience::Patience;

/// Who is asked, and the tokens to ask with: these never become facts.
pub(crate) struct Servers {
    /// Vault, with the operator's token or without.
    pub(super) vault: Client,
    /// The ways to the clusters.
    clusters: FrozenMap<String, Box<Connection>>,
    /// For logins through a standby.
    pub(super) patience: Patience,
    tokens: Kept<Consumer, ServiceAccountToken>,
    logins: Kept<Consumer, LoginAuth>,
    reviewers: Kept<String, Option<ReviewerJwt>>,
    /// What else was used, or given, and must be in no capture.
    others: Mutex<Vec<SecretString>>,
}

impl Servers {
    /// This Vault, and no clusters yet.
    pub(crate) fn new(vault: Client) -> Self {
        Self {
            vault,
            clusters: FrozenMap::new(),
            patience: Patience::default(),
            tokens: Kept::default(),
            logins: Kept::default(),
            reviewers: Kept::default(),
            others: Mutex::default(),
        }
    }

    /// Vault, as anybody may ask it.
    pub(super) fn anybody(&self) -> Client {
        self.vault.without_token().without_namespace()
    }

    /// Lets nobody ask with the operator's token any more.
    pub(crate) fn ask_without_token(&mut self) {
        if let Some(token) = self.vault.token() {
            self.remember(token);
        }
        self.vault = self.vault.without_token();
    }

    /// Adds the way to a cluster.
    pub(crate) fn reach(&self, cluster: &ClusterName, connection: Connection) {
        self.clusters.insert(cluster.to_string(), Box::new(connection));
    }

    /// The way to a cluster.
    pub(super) fn cluster(&self, name: &ClusterName) -> Option<&Connection> {
        self.clusters.get(name.as_str())
    }

    /// What decides on a proxy for servers that are neither Vault nor a cluster.
    pub(super) fn proxies(&self) -> Proxies {
        self.vault.proxies().of_environment()
    }

    /// What decides on a proxy between here and a URL: for a cluster's own server, that cluster's kubeconfig may.
    pub(super) fn proxies_to(&self, url: &str) -> Proxies {
        let clusters = self.clusters.keys_cloned();
        let ways = clusters.iter().filter_map(|name| self.clusters.get(name)).map(|way| way.proxies_to(url));
        ways.reduce(|found, next| if found.is_for_one() { found } else { next }).unwrap_or_else(|| self.proxies())
    }

    /// From where a cluster's keys are looked for.
    pub(super) fn from<'a>(&'a self, cluster: &ClusterName, environment: &'a Proxies) -> Vantage<'a> {
        Vantage::new(self.cluster(cluster), environment)
    }

    /// The tokens that consumers present.
    pub(super) fn tokens(&self) -> &Kept<Consumer, ServiceAccountToken> {
        &self.tokens
    }

    /// What their logins gave.
    pub(super) fn logins(&self) -> &Kept<Consumer, LoginAuth> {
        &self.logins
    }

    /// The reviewers' tokens, by mount.
    pub(super) fn reviewers(&self) -> &Kept<String, Option<ReviewerJwt>> {
        &self.reviewers
    }

    /// Vault, as a login sees it.
    pub(super) fn as_login(&self, consumer: &Consumer) -> Option<(Arc<LoginAuth>, Client)> {
        let login = self.logins.get(consumer)?;
        let client = self.vault.with_token(login.client_token.clone());
        Some((login, client))
    }

    /// Remembers a token that is of no more use, but that no capture may hold.
    pub(super) fn remember(&self, token: &SecretString) {
        self.others.lock().unwrap_or_else(PoisonError::into_inner).push(token.clone());
    }

    /// Every token that was used, or given.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        let mut all = self.others.lock().unwrap_or_else(PoisonError::into_inner).clone();
        all.extend(self.vault.token().cloned());
        all.extend(self.tokens.all().iter().map(|token| token.secret().clone()));
        all.extend(self.logins.all().iter().map(|login| login.client_token.clone()));
        all.extend(self.reviewers.all().iter().filter_map(|jwt| Some(Option::as_ref(jwt)?.token.clone())));
        all
    }

    /// Takes a token that was brought along for what a consumer presents.
    pub(crate) fn present(&self, consumer: &Consumer, token: ServiceAccountToken) {
        self.tokens.put(consumer.clone(), token);
    }
}

/// What must not be shown, by whose it is.
pub(super) struct Kept<K, V>(Mutex<HashMap<K, Arc<V>>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + std::hash::Hash, V> Kept<K, V> {
    /// Keeps it.
    pub(super) fn put(&self, key: K, value: V) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::new(value));
    }

    /// All that is kept.
    fn all(&self) -> Vec<Arc<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// What is kept under a key.
    pub(super) fn get(&self, key: &K) -> Option<Arc<V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}
