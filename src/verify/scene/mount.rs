//! One auth mount.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

use super::{ClusterScene, Source, VaultScene};
use crate::cluster::Obstacle;
use crate::config::{self, Config, Reviewer};
use crate::desired::{self, DesiredMount, DesiredTune};
use crate::error::Result;
use crate::fix::{Command, vaultk8s};
use crate::keys::KeyRecords;
use crate::model::{
    AuthMethod, AuthMount, ConfigDocument, JwtConfig, KeyPlace, KeyUrl, KeysFrom, KubernetesConfig, ObservedReviewer,
    ServedKeys,
};
use crate::names::{MountPath, Owner, PolicyName, RoleName};
use crate::plan::keeper;
use crate::vault::VaultError;
use crate::verify::facts::cluster::ReviewersObjects;
use crate::verify::facts::login::ReviewersToken;
use crate::verify::facts::mount::{HeldConfig, MethodByConfig, MountConfig, VisibleMount};
use crate::verify::facts::network::KeysServed;
use crate::verify::facts::{Facts, Known, Knows, some};
use crate::verify::finding::Remedy;

/// What the file says about a mount's roles as a whole.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
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

/// What is said of an auth mount before anybody is asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct MountCase {
    pub(crate) source: Source,
    /// Its path.
    pub(crate) path: MountPath,
    /// Its method, where the configuration says it.
    pub(crate) wanted: Option<AuthMethod>,
    /// What it should hold, where the cluster's facts are known.
    pub(crate) desired: Option<DesiredMount>,
    /// Whether the configuration keeps it; else another file does.
    pub(crate) managed: bool,
    /// Its settings, as far as the configuration names them.
    pub(crate) tune: DesiredTune,
    /// Whether the configuration names the issuer that it should trust.
    #[serde(default)]
    pub(crate) names_issuer: bool,
    /// Who reviews tokens for it, where that is known (kubernetes).
    pub(crate) reviewer: Option<Reviewer>,
    /// All roles that the file gives it, where all of them are looked at.
    pub(crate) all_roles: Option<AllRoles>,
}

/// One auth mount.
pub(crate) struct MountScene {
    pub(crate) vault: Arc<VaultScene>,
    pub(crate) cluster: Arc<ClusterScene>,
    case: MountCase,
}

impl Deref for MountScene {
    type Target = MountCase;

    fn deref(&self) -> &MountCase {
        &self.case
    }
}

/// Where Vault fetches keys from, each with the CA of that server where one is named; none where they are pinned.
pub(crate) fn key_places(from: &KeysFrom) -> Vec<(KeyPlace, Option<&str>)> {
    let place = |url: String| match from {
        KeysFrom::Discovery(_) => KeyPlace::Discovery { issuer: url },
        KeysFrom::Pinned | KeysFrom::Provider | KeysFrom::KeySet(_) | KeysFrom::KeySets(_) => KeyPlace::Jwks { url },
    };
    let urls = from.urls().iter();
    urls.map(|KeyUrl { url, ca }| (place(url.clone()), Some(ca.as_str()).filter(|ca| !ca.is_empty()))).collect()
}

impl MountCase {
    /// The mount of a cluster of the configuration; `desired` is what it should hold, where the cluster's facts are known.
    pub(crate) fn of_config(source: Source, entry: &config::Cluster, desired: Option<DesiredMount>) -> Self {
        Self {
            wanted: Some(entry.auth.method.kind()),
            desired,
            managed: entry.auth.managed,
            names_issuer: entry.auth.issuer.is_some(),
            tune: desired::tune(&entry.auth.tune),
            ..Self::of_flags(source, entry.auth.mount.clone(), entry.auth.known_reviewer().cloned())
        }
    }

    /// A mount of which nothing is known but where it is, and who reviews tokens for it.
    pub(crate) fn of_flags(source: Source, path: MountPath, reviewer: Option<Reviewer>) -> Self {
        Self {
            source,
            path,
            wanted: None,
            desired: None,
            managed: true,
            names_issuer: false,
            tune: DesiredTune::default(),
            reviewer,
            all_roles: None,
        }
    }
}

impl Knows for MountScene {
    fn facts(&self) -> &Facts {
        &self.vault.facts
    }
}

impl MountScene {
    /// What there is to look at, of this case.
    pub(crate) fn of(cluster: Arc<ClusterScene>, case: MountCase) -> Self {
        Self { vault: Arc::clone(&cluster.vault), cluster, case }
    }

    /// What was said of it.
    pub(crate) fn case(&self) -> &MountCase {
        &self.case
    }

    /// What mends anything of a mount that another file keeps; `None` where this one does, or there is none.
    pub(crate) fn keepers(&self) -> Option<Remedy> {
        let text = || format!("another file keeps the mount: mend it there, and bootstrap {}", keeper(&self.path));
        (!self.managed).then(|| Remedy { text: text(), command: None })
    }

    /// A change of what a file says about the mount: in this one, or in the one that keeps it.
    pub(crate) fn in_its_file(&self, change: &str) -> Remedy {
        let text = if self.managed {
            format!("{change}; {}", self.source.then_bootstrap())
        } else {
            format!("in {}: {change}; then bootstrap with that file", keeper(&self.path))
        };
        Remedy { text, command: None }
    }

    /// The command that shows the keys of its cluster.
    pub(crate) fn jwks(&self) -> Command {
        self.cluster.connected().map_or_else(|| vaultk8s("jwks"), |way| vaultk8s("jwks").args(way.flags()))
    }

    /// How to say who reviews tokens, where nothing does.
    pub(crate) fn naming_the_reviewer(&self) -> &'static str {
        if self.source.is_flags() { "--reviewer" } else { "`auth.reviewer`" }
    }

    /// The mount as `sys/auth` lists it, where that may be read.
    pub(crate) fn listed(&self) -> Known<Option<&AuthMount>> {
        let mounts = self.vault.auth_mounts()?.as_ref().ok();
        Ok(mounts.and_then(|mounts| mounts.get(&format!("{}/", self.path))))
    }

    /// The record of the keys that its cluster was seen to publish, where this token may see it.
    pub(crate) fn key_records(&self) -> Known<Option<KeyRecords>> {
        if let Some(listed) = self.listed()? {
            return Ok(Some(KeyRecords::read(&listed.options)));
        }
        let visible = self.facts().get(&VisibleMount { mount: self.path.clone() })?;
        Ok(visible.as_ref().map(|visible| KeyRecords::read(&visible.options)))
    }

    /// Its method: as the configuration says, else as Vault does.
    pub(crate) fn method(&self) -> Known<Option<AuthMethod>> {
        if self.wanted.is_some() {
            return Ok(self.wanted);
        }
        match self.listed()? {
            Some(listed) => Ok(match listed.kind.as_str() {
                // One plugin has two names.
                "jwt" | "oidc" => Some(AuthMethod::Jwt),
                "kubernetes" => Some(AuthMethod::Kubernetes),
                _ => None,
            }),
            None => self.facts().get(&MethodByConfig { mount: self.path.clone() }).copied(),
        }
    }

    /// Its configuration in Vault; `None` where it has none.
    pub(crate) fn config(&self) -> Known<Result<Option<&ConfigDocument>, &VaultError>> {
        let Some(method) = self.method()? else { return Ok(Ok(None)) };
        let config = self.facts().get(&MountConfig { mount: self.path.clone(), method })?;
        Ok(config.as_ref().map(|config| config.as_ref().map(|HeldConfig(document)| document)))
    }

    /// Its configuration, of a `jwt` mount that could be read.
    pub(crate) fn jwt_config(&self) -> Known<Option<&JwtConfig>> {
        Ok(self.config()?.ok().flatten().and_then(ConfigDocument::jwt))
    }

    /// Its configuration, of a `kubernetes` mount that could be read.
    pub(crate) fn kubernetes_config(&self) -> Known<Option<&KubernetesConfig>> {
        Ok(self.config()?.ok().flatten().and_then(ConfigDocument::kubernetes))
    }

    /// The keys that Vault fetches, against those that the cluster publishes; `None` where they are pinned, or where either
    /// the configuration or the cluster's keys can't be read.
    pub(crate) fn served_keys(&self) -> Known<Option<&Result<ServedKeys, Obstacle>>> {
        let from = some!(self.jwt_config()?).keys_from();
        if from.urls().is_empty() {
            return Ok(None);
        }
        let published = match self.cluster.published()? {
            Ok(published) => published.keys.clone(),
            // Whether they can be fetched there is worth to know all the same.
            Err(_) if self.serves_its_own(&from) => Vec::new(),
            Err(_) => return Ok(None),
        };
        let places = key_places(&from).into_iter().map(|(place, ca)| (place, ca.map(str::to_owned))).collect();
        let served = KeysServed { places, cluster: self.cluster.name.clone(), published };
        self.facts().get(&served).map(Some)
    }

    /// Whether Vault finds its keys where the issuer itself says that they are, and no cluster publishes others.
    pub(crate) fn serves_its_own(&self, from: &KeysFrom) -> bool {
        let is_issuers = |url: &KeyUrl| self.cluster.issuer.as_ref() == Some(&url.url);
        matches!(from, KeysFrom::Discovery(url) if is_issuers(url))
    }

    /// What it should hold, of a `jwt` mount whose cluster's facts are known.
    pub(crate) fn desired_jwt(&self) -> Option<&JwtConfig> {
        self.desired.as_ref()?.config.as_ref()?.jwt()
    }

    /// What it should hold, of a `kubernetes` mount whose cluster's facts are known.
    pub(crate) fn desired_kubernetes(&self) -> Option<&KubernetesConfig> {
        self.desired.as_ref()?.config.as_ref()?.kubernetes()
    }

    /// The reviewer whose account is looked after in the cluster.
    pub(crate) fn standing_reviewer(&self) -> Option<&Reviewer> {
        self.reviewer.as_ref().filter(|reviewer| reviewer.token.is_of_the_account())
    }

    /// Whether the reviewer's token is one that the mount's host alone knows.
    pub(crate) fn has_a_reviewer_of_its_host(&self) -> bool {
        self.reviewer.as_ref().is_some_and(|reviewer| reviewer.token.is_given() && !reviewer.token.is_of_the_account())
    }

    /// What there is of the reviewer in the cluster.
    pub(crate) fn observed_reviewer(&self) -> Known<Option<&Result<ObservedReviewer>>> {
        let reviewer = some!(self.standing_reviewer()).clone();
        if self.cluster.connected().is_none() {
            return Ok(None);
        }
        let (cluster, mount) = (self.cluster.name.clone(), self.path.clone());
        self.facts().get(&ReviewersObjects { cluster, mount, reviewer }).map(Some)
    }

    /// Whether there is a token of the reviewer for questions from here, or none is needed.
    pub(crate) fn reviewer_token(&self) -> Known<&Result<()>> {
        let (cluster, mount) = (self.cluster.name.clone(), self.path.clone());
        self.facts().get(&ReviewersToken { cluster, mount, reviewer: self.reviewer.clone() })
    }
}
