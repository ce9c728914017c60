//! Configuration × facts → what Vault should hold, fully named. Pure.

mod jwt;
mod mark;
mod policies;
mod tokens;

use std::collections::BTreeMap;

pub use mark::{mark, owners};

use crate::cluster::ClusterFacts;
use crate::config::{self, Config};
use crate::error::{Error, Result};
use crate::keys::VerificationKey;
use crate::names::{ClusterName, MountPath, PolicyName, RoleName};
use crate::policy::Policy;
use crate::vault::{AuthMethod, ConfigDocument, KvVersion, RoleDocument};

/// The version of each KV mount that the configuration names.
pub type KvVersions = BTreeMap<MountPath, KvVersion>;

/// Everything that Vault should hold.
#[derive(Debug, Clone, Default)]
pub struct Desired {
    /// The policies, in the order of the file.
    pub policies: Vec<DesiredPolicy>,
    /// The auth mounts with their roles, one for each cluster.
    pub mounts: Vec<DesiredMount>,
    /// The mounts of the whole file, whose [`mark`] the policies carry: also those of clusters that were left out.
    pub owners: Vec<MountPath>,
    /// Whether clusters of the file are left out, so that a policy which isn't here may be needed all the same.
    pub partial: bool,
}

/// A policy.
#[derive(Debug, Clone)]
pub struct DesiredPolicy {
    /// Its name.
    pub name: PolicyName,
    /// What it says.
    pub policy: Policy,
}

/// An auth mount.
#[derive(Debug, Clone)]
pub struct DesiredMount {
    /// The cluster that it trusts.
    pub cluster: ClusterName,
    /// Its path.
    pub path: MountPath,
    /// Its method.
    pub method: AuthMethod,
    /// Its description; `None` leaves an existing one alone.
    pub description: Option<String>,
    /// Whether the file names every role that it may hold.
    pub exclusive: bool,
    /// Its configuration; `None` leaves the mount's own alone.
    pub config: Option<ConfigDocument>,
    /// The keys that the cluster signs with, for telling them apart by name.
    pub keys: Vec<VerificationKey>,
    /// For how long, in seconds, a pinned key stays that the cluster no longer publishes.
    pub key_retention: u64,
    /// Its roles, in the order of the file.
    pub roles: Vec<DesiredRole>,
}

/// A role.
#[derive(Debug, Clone)]
pub struct DesiredRole {
    /// Its name.
    pub name: RoleName,
    /// What it says.
    pub document: RoleDocument,
}

/// The KV mounts that the configuration's policies need the version of.
pub fn kv_mounts(config: &Config) -> Vec<MountPath> {
    let mut mounts: Vec<MountPath> = Vec::new();
    for grant in config.policies.iter().flat_map(|policy| &policy.grants) {
        if let config::Grant::Kv { mount, .. } = grant
            && !mounts.contains(mount)
        {
            mounts.push(mount.clone());
        }
    }
    mounts
}

/// Says what Vault should hold.
///
/// # Errors
/// When the configuration asks for something that this version can't do yet, or facts are missing.
pub fn build(config: &Config, facts: &BTreeMap<ClusterName, ClusterFacts>, kv: &KvVersions) -> Result<Desired> {
    let policies = config.policies.iter().map(|policy| policies::desired(policy, kv)).collect::<Result<_>>()?;
    let owners = config.clusters.iter().map(|cluster| cluster.auth.mount.clone()).collect();
    let mounts = config
        .clusters
        .iter()
        .map(|cluster| {
            let facts = facts
                .get(&cluster.name)
                .ok_or_else(|| Error::failed(format!("the facts of cluster {} were not read", cluster.name)))?;
            match &cluster.auth.method {
                config::Method::Jwt(keys) => jwt::mount(cluster, keys, facts),
                config::Method::Kubernetes(_) => Err(unsupported(cluster)),
            }
        })
        .collect::<Result<_>>()?;
    Ok(Desired { policies, mounts, owners, partial: false })
}

/// Says what Vault should hold when only one role of a mount that is there already is wanted.
///
/// # Errors
/// When this version can't write roles of the method yet.
pub fn role_alone(cluster: &config::Cluster, method: AuthMethod, role: &config::Role) -> Result<Desired> {
    match method {
        AuthMethod::Jwt => Ok(Desired { mounts: vec![jwt::role_alone(cluster, role)], ..Desired::default() }),
        AuthMethod::Kubernetes => Err(Error::usage(format!(
            "auth/{}/ is a kubernetes mount, whose roles can't be written yet",
            cluster.auth.mount
        ))
        .remedy("name a jwt mount with --mount")),
    }
}

/// Refuses what the configuration may say but this version can't do, before anything is asked of anyone.
///
/// # Errors
/// Names the first such cluster.
pub fn check_supported(config: &Config) -> Result<()> {
    match config.clusters.iter().find(|cluster| matches!(cluster.auth.method, config::Method::Kubernetes(_))) {
        Some(cluster) => Err(unsupported(cluster)),
        None => Ok(()),
    }
}

fn unsupported(cluster: &config::Cluster) -> Error {
    Error::usage(format!("cluster {}: `method: kubernetes` is understood but can't be applied yet", cluster.name))
        .remedy("use `method: jwt` for this cluster, or take it out of the file for now")
}
