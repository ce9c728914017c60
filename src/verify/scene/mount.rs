//! The facts of one auth mount.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::OnceCell;

use super::{ClusterScene, Source, VaultScene};
use crate::cluster::{
    Connection, KeyPlace, ObservedReviewer, Obstacle, ReviewerJwt, ServedKeys, TokenSource, observe_reviewer,
    served_keys,
};
use crate::config::{self, Config, Method, Reviewer, ReviewerToken};
use crate::desired::{self, DesiredMount, DesiredTune};
use crate::error::{Error, Result};
use crate::keys::KeyRecords;
use crate::names::{MountPath, Owner, PolicyName, RoleName};
use crate::plan::keeper;
use crate::vault::{
    AuthMethod, AuthMount, ConfigDocument, JwtConfig, KeyUrl, KeysFrom, KubernetesConfig, VaultError, auth_mounts,
    method,
};
use crate::verify::finding::Remedy;

/// How long a token for one question is asked for: the least that an API server gives.
const LEAST_SECONDS: u64 = 600;

/// What the file says about a mount's roles as a whole.
pub(crate) struct AllRoles {
    /// Their names.
    pub(crate) names: BTreeSet<RoleName>,
    /// The policies that the file defines.
    pub(crate) policies: BTreeSet<PolicyName>,
    /// Whose the file is.
    pub(crate) owner: Option<Owner>,
    /// Whether the mount may hold no others.
    pub(crate) exclusive: bool,
}

impl AllRoles {
    /// Those of a cluster's entry, in a file with these policies.
    pub(crate) fn of(entry: &config::Cluster, config: &Config) -> Self {
        let names = entry.roles.iter().map(|role| role.name.clone()).collect();
        let policies = config.policies.iter().map(|policy| policy.name.clone()).collect();
        Self { names, policies, owner: config.owner.clone(), exclusive: entry.auth.exclusive }
    }
}

/// The facts of one auth mount.
pub(crate) struct MountScene {
    pub(crate) vault: Arc<VaultScene>,
    pub(crate) cluster: Arc<ClusterScene>,
    pub(crate) source: Source,
    /// Its path.
    pub(crate) path: MountPath,
    /// Its method, where the configuration says it.
    pub(crate) wanted: Option<AuthMethod>,
    /// What it should hold, where the cluster's facts are known.
    pub(crate) desired: Option<DesiredMount>,
    /// Whether the configuration keeps it; else another file does.
    managed: bool,
    /// Its settings, as far as the configuration names them.
    pub(crate) tune: DesiredTune,
    /// Who reviews tokens for it, where that is known (kubernetes).
    pub(crate) reviewer: Option<Reviewer>,
    /// All roles that the file gives it, where all of them are looked at.
    pub(crate) all_roles: Option<AllRoles>,
    /// The method that its configuration shows.
    shown: OnceCell<Option<AuthMethod>>,
    /// The mount as it is shown to whoever may use it.
    visible: OnceCell<Option<AuthMount>>,
    config: OnceCell<Result<Option<ConfigDocument>, VaultError>>,
    observed: OnceCell<Result<ObservedReviewer>>,
    jwt: OnceCell<Result<Option<ReviewerJwt>>>,
    served: OnceCell<Result<ServedKeys, Obstacle>>,
}

/// Where Vault fetches keys from, each with the CA of that server where one is named; none where they are pinned.
pub(crate) fn key_places(from: &KeysFrom) -> Vec<(KeyPlace, Option<&str>)> {
    let place = |url: String| match from {
        KeysFrom::Discovery(_) => KeyPlace::Discovery { issuer: url },
        KeysFrom::Pinned | KeysFrom::KeySet(_) | KeysFrom::KeySets(_) => KeyPlace::Jwks { url },
    };
    let urls = from.urls().iter();
    urls.map(|KeyUrl { url, ca }| (place(url.clone()), Some(ca.as_str()).filter(|ca| !ca.is_empty()))).collect()
}

impl MountScene {
    /// The mount of a cluster of the configuration; `desired` is what it should hold, where the cluster's facts are known.
    pub(crate) fn of_config(
        cluster: Arc<ClusterScene>,
        source: Source,
        entry: &config::Cluster,
        desired: Option<DesiredMount>,
    ) -> Self {
        let reviewer = entry.auth.known_reviewer().cloned();
        let mount = Self::new(cluster, source, entry.auth.mount.clone(), Some(&entry.auth.method), desired, reviewer);
        Self { managed: entry.auth.managed, tune: desired::tune(&entry.auth.tune), ..mount }
    }

    pub(crate) fn new(
        cluster: Arc<ClusterScene>,
        source: Source,
        path: MountPath,
        wanted: Option<&Method>,
        desired: Option<DesiredMount>,
        reviewer: Option<Reviewer>,
    ) -> Self {
        let wanted = wanted.map(|method| match method {
            Method::Jwt(_) => AuthMethod::Jwt,
            Method::Kubernetes(_) => AuthMethod::Kubernetes,
        });
        Self {
            vault: Arc::clone(&cluster.vault),
            cluster,
            source,
            path,
            wanted,
            desired,
            managed: true,
            tune: DesiredTune::default(),
            reviewer,
            all_roles: None,
            shown: OnceCell::new(),
            visible: OnceCell::new(),
            config: OnceCell::new(),
            observed: OnceCell::new(),
            jwt: OnceCell::new(),
            served: OnceCell::new(),
        }
    }

    /// What mends anything of a mount that another file keeps; `None` where this one does, or there is none.
    pub(crate) fn keepers(&self) -> Option<Remedy> {
        let text = || format!("another file keeps the mount: mend it there, and bootstrap {}", keeper(&self.path));
        (!self.managed).then(|| Remedy { text: text(), command: None })
    }

    /// A change of what a file says about the mount: in this one, or in the one that keeps it.
    pub(crate) fn in_its_file(&self, change: &str) -> Remedy {
        let text = if self.managed {
            format!("{change}; then run `vaultk8s bootstrap`")
        } else {
            format!("in {}: {change}; then run `vaultk8s bootstrap` with that file", keeper(&self.path))
        };
        Remedy { text, command: None }
    }

    /// How to say who reviews tokens, where nothing does.
    pub(crate) fn naming_the_reviewer(&self) -> &'static str {
        if self.source.is_flags() { "--reviewer" } else { "`auth.reviewer`" }
    }

    /// The mount as `sys/auth` lists it, where that may be read.
    pub(crate) async fn listed(&self) -> Option<&AuthMount> {
        self.vault.auth_mounts().await.as_ref().ok()?.get(&format!("{}/", self.path))
    }

    /// The record of the keys that its cluster was seen to publish, where this token may see it.
    pub(crate) async fn key_records(&self) -> Option<KeyRecords> {
        if let Some(listed) = self.listed().await {
            return Some(KeyRecords::read(&listed.options));
        }
        let fetch = async || Some(self.vault.client.find(&auth_mounts::as_user(&self.path)).await.ok()??.data);
        let visible = self.visible.get_or_init(fetch).await.as_ref()?;
        Some(KeyRecords::read(&visible.options))
    }

    /// Its method: as the configuration says, else as Vault does.
    pub(crate) async fn method(&self) -> Option<AuthMethod> {
        if self.wanted.is_some() {
            return self.wanted;
        }
        match self.listed().await {
            Some(listed) => match listed.kind.as_str() {
                // One plugin has two names.
                "jwt" | "oidc" => Some(AuthMethod::Jwt),
                "kubernetes" => Some(AuthMethod::Kubernetes),
                _ => None,
            },
            None => *self.shown.get_or_init(async || self.method_of_configuration().await).await,
        }
    }

    /// Who may not list the mounts may still read the configuration of one, and each method has fields of its own.
    async fn method_of_configuration(&self) -> Option<AuthMethod> {
        #[derive(Deserialize)]
        struct Telling {
            kubernetes_host: Option<IgnoredAny>,
            bound_issuer: Option<IgnoredAny>,
        }
        let config = self.vault.client.find(&method::read_config::<Telling>(&self.path)).await.ok()??.data;
        match config {
            Telling { kubernetes_host: Some(_), .. } => Some(AuthMethod::Kubernetes),
            Telling { bound_issuer: Some(_), .. } => Some(AuthMethod::Jwt),
            _ => None,
        }
    }

    /// Its configuration in Vault; `None` where it has none.
    pub(crate) async fn config(&self) -> &Result<Option<ConfigDocument>, VaultError> {
        let fetch = async || {
            let client = &self.vault.client;
            Ok(match self.method().await {
                Some(AuthMethod::Jwt) => {
                    let config = client.find(&method::read_config::<JwtConfig>(&self.path)).await?;
                    config.map(|config| ConfigDocument::Jwt(config.data.normalised()))
                }
                Some(AuthMethod::Kubernetes) => {
                    let config = client.find(&method::read_config::<KubernetesConfig>(&self.path)).await?;
                    config.map(|config| ConfigDocument::Kubernetes(config.data.normalised()))
                }
                None => None,
            })
        };
        self.config.get_or_init(fetch).await
    }

    /// Its configuration, where it could be read.
    async fn held(&self) -> Option<&ConfigDocument> {
        self.config().await.as_ref().ok()?.as_ref()
    }

    /// Its configuration, of a `jwt` mount that could be read.
    pub(crate) async fn jwt_config(&self) -> Option<&JwtConfig> {
        self.held().await?.jwt()
    }

    /// Its configuration, of a `kubernetes` mount that could be read.
    pub(crate) async fn kubernetes_config(&self) -> Option<&KubernetesConfig> {
        self.held().await?.kubernetes()
    }

    /// The keys that Vault fetches, against those that the cluster publishes; `None` where they are pinned, or where either
    /// the configuration or the cluster's keys can't be read.
    pub(crate) async fn served_keys(&self) -> Option<&Result<ServedKeys, Obstacle>> {
        let from = self.jwt_config().await?.keys_from();
        if from.is_pinned() {
            return None;
        }
        let published = self.cluster.published().await.as_ref().ok()?;
        let context = self.cluster.connected().map(Connection::name);
        let fetch = async || {
            let mut all = Vec::new();
            for (place, ca) in key_places(&from) {
                all.push(served_keys(&place, ca, context, &published.keys).await?);
            }
            Ok(ServedKeys::together(all))
        };
        Some(self.served.get_or_init(fetch).await)
    }

    /// What it should hold, of a `jwt` mount whose cluster's facts are known.
    pub(crate) fn desired_jwt(&self) -> Option<&JwtConfig> {
        self.desired.as_ref()?.config.as_ref()?.jwt()
    }

    /// What it should hold, of a `kubernetes` mount whose cluster's facts are known.
    pub(crate) fn desired_kubernetes(&self) -> Option<&KubernetesConfig> {
        self.desired.as_ref()?.config.as_ref()?.kubernetes()
    }

    /// The reviewer that Vault presents, where it isn't the token that logs in.
    pub(crate) fn standing_reviewer(&self) -> Option<&Reviewer> {
        self.reviewer.as_ref().filter(|reviewer| reviewer.token != ReviewerToken::Client)
    }

    /// What there is of the reviewer in the cluster.
    pub(crate) async fn observed_reviewer(&self) -> Option<&Result<ObservedReviewer>> {
        let (connection, reviewer) = (self.cluster.connected()?, self.standing_reviewer()?);
        Some(self.observed.get_or_init(async || observe_reviewer(connection, reviewer).await).await)
    }

    /// A token of the reviewer, for questions from here; `None` where the token that logs in reviews itself.
    pub(crate) async fn reviewer_token(&self) -> &Result<Option<ReviewerJwt>> {
        let fetch = async || {
            let Some(reviewer) = self.standing_reviewer() else { return Ok(None) };
            let connection =
                self.cluster.connected().ok_or_else(|| Error::failed("the cluster can't be reached from here"))?;
            let source = match TokenSource::of(reviewer) {
                // For these questions, not for Vault.
                TokenSource::Bound { account, .. } => TokenSource::Bound { account, seconds: LEAST_SECONDS },
                source => source,
            };
            source.resolve(connection).await
        };
        self.jwt.get_or_init(fetch).await
    }
}
