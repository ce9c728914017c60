//! Configuration × facts → what Vault should hold, fully named. Pure.

mod jwt;
mod kubernetes;
mod policies;
mod tokens;

use std::collections::BTreeMap;

pub use policies::MARK;

use crate::cluster::ClusterFacts;
use crate::config::{self, Config, Method, Reviewer};
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
    /// Its configuration.
    pub config: ConfigDocument,
    /// The keys that the cluster signs with, for telling them apart by name.
    pub keys: Vec<VerificationKey>,
    /// Who reviews tokens for it (kubernetes), and so what its cluster should hold.
    pub reviewer: Option<Reviewer>,
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
/// When facts are missing, or a path can't be that of a policy rule.
pub fn build(config: &Config, facts: &BTreeMap<ClusterName, ClusterFacts>, kv: &KvVersions) -> Result<Desired> {
    let policies = config.policies.iter().map(|policy| policies::desired(policy, kv)).collect::<Result<_>>()?;
    let mounts = config
        .clusters
        .iter()
        .map(|cluster| {
            let facts = facts
                .get(&cluster.name)
                .ok_or_else(|| Error::failed(format!("the facts of cluster {} were not read", cluster.name)))?;
            match &cluster.auth.method {
                Method::Jwt(_) => Ok(jwt::mount(cluster, facts)),
                Method::Kubernetes(auth) => kubernetes::mount(cluster, auth, facts),
            }
        })
        .collect::<Result<_>>()?;
    Ok(Desired { policies, mounts })
}

/// Refuses what the configuration may say but this version can't do, before anything is asked of anyone.
///
/// # Errors
/// Names the first such field.
pub fn check_supported(config: &Config) -> Result<()> {
    for cluster in &config.clusters {
        let what = match &cluster.auth.method {
            Method::Jwt(config::KeySource::JwksUrl) => "`keys: jwksUrl`",
            Method::Jwt(config::KeySource::OidcDiscovery) => "`keys: oidcDiscovery`",
            Method::Jwt(config::KeySource::Pinned) | Method::Kubernetes(_) => continue,
        };
        return Err(Error::usage(format!("cluster {}: {what} is understood but can't be applied yet", cluster.name))
            .remedy("use `method: jwt` with `keys: pinned` for this cluster, or take it out of the file for now"));
    }
    Ok(())
}
