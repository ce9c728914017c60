//! Configuration × facts → what Vault should hold, fully named. Pure.

mod jwt;
mod kubernetes;
mod policies;
mod tokens;
mod tune;

use std::borrow::Cow;
use std::collections::BTreeMap;

pub use tune::{DesiredTune, tune};

use serde::{Deserialize, Serialize};

use crate::config::{self, Config, Method, Reviewer};
use crate::error::{Error, Result};
use crate::keys::{KeyDecisions, VerificationKey};
use crate::model::{AuthMethod, AuthMount, ClusterFacts, ConfigDocument, KubernetesRole, KvVersion, RoleDocument};
use crate::names::{ClusterName, KvPath, MountPath, Owner, PolicyName, RoleName};
use crate::policy::{Policy, Rule};

/// The version of each KV mount that the configuration names.
pub type KvVersions = BTreeMap<MountPath, KvVersion>;

/// Everything that Vault should hold.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// Whose the file is.
    pub owner: Option<Owner>,
    /// The KV mounts that are made where they aren't there.
    pub kv: Vec<MountPath>,
    /// The policies, in the order of the file.
    pub policies: Vec<DesiredPolicy>,
    /// The auth mounts with their roles, one for each cluster.
    pub mounts: Vec<DesiredMount>,
    /// The mounts that the whole file keeps, whose [`Mark`](crate::ownership::Mark) the policies carry: also those of clusters that
    /// were left out.
    pub owners: Vec<MountPath>,
    /// Whether clusters of the file are left out, so that a policy which isn't here may be needed all the same.
    pub partial: bool,
    /// What the operator decided about single keys.
    pub keys: KeyDecisions,
    /// Whether it is one step on its own, which says nothing about what else there is.
    pub alone: bool,
}

impl Desired {
    /// The same with the accessors of the mounts that are there, of the method that the file gives them, where policies have symbols.
    pub fn with_accessors_of(&self, there: &BTreeMap<String, AuthMount>) -> Cow<'_, Self> {
        if !self.policies.iter().any(|policy| policy.policy.has_accessors()) {
            return Cow::Borrowed(self);
        }
        let accessor = |mount: &MountPath| {
            let there = there.get(mount.as_str())?;
            let wanted = self.mounts.iter().find(|wanted| wanted.path == *mount);
            let same = wanted.is_none_or(|wanted| wanted.method.as_str() == there.kind);
            there.accessor_word().filter(|_| same).map(str::to_owned)
        };
        let mut filled = self.clone();
        for policy in filled.policies.iter_mut().filter(|policy| policy.policy.has_accessors()) {
            policy.policy = policy.policy.with_accessors(accessor);
        }
        Cow::Owned(filled)
    }
}

/// A policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DesiredPolicy {
    /// Its name.
    pub name: PolicyName,
    /// What it says.
    pub policy: Policy,
}

/// An auth mount.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DesiredMount {
    /// The cluster that it trusts.
    pub cluster: ClusterName,
    /// Its path.
    pub path: MountPath,
    /// Its method.
    pub method: AuthMethod,
    /// Whether the file keeps it; else another one does, and nothing but its roles is changed.
    pub managed: bool,
    /// Its description; `None` leaves an existing one alone.
    pub description: Option<String>,
    /// Its settings, as far as the file names them.
    pub tune: DesiredTune,
    /// Whether the file names every role that it may hold.
    pub exclusive: bool,
    /// Its configuration; `None` leaves the mount's own alone.
    pub config: Option<ConfigDocument>,
    /// Who says what the mount knows of a provider (jwt).
    #[serde(default)]
    pub provider: SaidBy,
    /// Whether more of its configuration that is named nowhere is left as it is, because flags and no file made this: the default role
    /// (jwt); issuer, keys and the word on annotations (kubernetes), but where it is to ask another cluster.
    #[serde(default)]
    pub keeps_unsaid: bool,
    /// Who says which extensions of certificates are passed over (jwt).
    #[serde(default)]
    pub extensions: SaidBy,
    /// The keys that the cluster signs with, for telling them apart by name.
    pub keys: Vec<VerificationKey>,
    /// For how long, in seconds, a pinned key stays that the cluster no longer publishes.
    pub key_retention: u64,
    /// Who reviews tokens for it (kubernetes), and so what its cluster should hold; nobody's where it isn't managed.
    pub reviewer: Option<Reviewer>,
    /// Its roles, in the order of the file.
    pub roles: Vec<DesiredRole>,
}

/// Who says what a field of a mount holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SaidBy {
    /// The mount that is there: it stays so.
    #[default]
    Mount,
    /// The file.
    File,
}

impl DesiredMount {
    /// Whether some role of it selects namespaces by their labels.
    pub fn selects_namespaces(&self) -> bool {
        self.roles.iter().filter_map(|role| role.document.kubernetes()).any(KubernetesRole::selects_namespaces)
    }
}

/// A role.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DesiredRole {
    /// Its name.
    pub name: RoleName,
    /// What it says.
    pub document: RoleDocument,
}

/// The KV mounts that the configuration's policies need the version of.
pub fn kv_mounts(config: &Config) -> Vec<MountPath> {
    kv_mounts_of(&config.policies)
}

/// The KV mounts that some of the configuration's policies need the version of.
pub fn kv_mounts_of<'a>(policies: impl IntoIterator<Item = &'a config::FilePolicy>) -> Vec<MountPath> {
    let mut mounts: Vec<MountPath> = Vec::new();
    for grant in policies.into_iter().flat_map(|policy| &policy.grants) {
        if let config::Grant::Kv { mount, .. } = grant
            && !mounts.contains(mount)
        {
            mounts.push(mount.clone());
        }
    }
    mounts
}

/// The KV mounts that the configuration makes where they aren't there: of those that its clusters and policies have.
pub fn made_kv_mounts(config: &Config) -> Vec<MountPath> {
    let needed = kv_mounts(config);
    let is_needed = |mount: &&MountPath| needed.contains(mount) || config.clusters.iter().any(|c| c.kv == **mount);
    config.made_kv_mounts.iter().filter(is_needed).cloned().collect()
}

/// Says what Vault should hold.
///
/// # Errors
/// When facts are missing, or a path can't be that of a policy rule.
pub fn build(config: &Config, facts: &BTreeMap<ClusterName, ClusterFacts>, kv: &KvVersions) -> Result<Desired> {
    let policies = config.policies.iter().map(|entry| policy(entry, kv)).collect::<Result<_>>()?;
    let owners = kept(&config.clusters).collect();
    let mounts = config
        .clusters
        .iter()
        .map(|cluster| {
            let facts = facts
                .get(&cluster.name)
                .ok_or_else(|| Error::failed(format!("the facts of cluster {} were not read", cluster.name)))?;
            mount(cluster, facts)
        })
        .collect::<Result<_>>()?;
    Ok(Desired {
        owner: config.owner.clone(),
        kv: made_kv_mounts(config),
        policies,
        mounts,
        owners,
        ..Desired::default()
    })
}

/// The mounts that a file with these clusters keeps itself.
pub fn kept<'a>(clusters: impl IntoIterator<Item = &'a config::Cluster>) -> impl Iterator<Item = MountPath> {
    clusters.into_iter().filter(|cluster| cluster.auth.managed).map(|cluster| cluster.auth.mount.clone())
}

/// Says what the auth mount of one cluster should hold.
///
/// # Errors
/// When facts are missing.
pub fn mount(cluster: &config::Cluster, facts: &ClusterFacts) -> Result<DesiredMount> {
    match &cluster.auth.method {
        Method::Jwt(keys) => jwt::mount(cluster, keys, facts),
        Method::Kubernetes(auth) => kubernetes::mount(cluster, auth, facts),
    }
}

/// Says what one policy should hold.
///
/// # Errors
/// When the version of its KV mount is missing, or a path can't be that of a policy rule.
pub fn policy(policy: &config::FilePolicy, kv: &KvVersions) -> Result<DesiredPolicy> {
    policies::desired(policy, kv)
}

/// The rules that grant a verb on a KV path.
///
/// # Errors
/// When the version of the KV mount is missing, or the path can't be that of a policy rule.
pub fn kv_rules(mount: &MountPath, verb: config::Verb, path: &KvPath, kv: &KvVersions) -> Result<Vec<Rule>> {
    policies::kv_rules(mount, verb, path, kv)
}

/// The rules of something that a policy grants.
///
/// # Errors
/// When the version of its KV mount is missing, or its path can't be that of a policy rule.
pub fn rules_of(grant: &config::Grant, kv: &KvVersions) -> Result<Vec<Rule>> {
    policies::rules(grant, kv)
}

/// Says what one role should hold.
pub fn role(method: AuthMethod, role: &config::Role) -> DesiredRole {
    match method {
        AuthMethod::Jwt => jwt::desired_role(role),
        AuthMethod::Kubernetes => kubernetes::desired_role(role),
    }
}

/// Says what Vault should hold when only one role of a mount that is there already is wanted.
pub fn role_alone(cluster: &config::Cluster, method: AuthMethod, alone: &config::Role) -> Desired {
    let mount = DesiredMount {
        cluster: cluster.name.clone(),
        path: cluster.auth.mount.clone(),
        method,
        managed: true,
        description: None,
        tune: DesiredTune::default(),
        exclusive: false,
        config: None,
        provider: SaidBy::File,
        keeps_unsaid: false,
        extensions: SaidBy::Mount,
        keys: Vec::new(),
        key_retention: 0,
        reviewer: None,
        roles: vec![role(method, alone)],
    };
    Desired { mounts: vec![mount], partial: true, alone: true, ..Desired::default() }
}
