//! The checks of one thing, as they went.

use serde::Serialize;

use super::finding::{CheckResult, Status};
use crate::names::{Audience, ClusterName, MountPath, RoleName, ServiceAccountRef};

/// The checks of one thing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Section {
    /// Which.
    pub about: About,
    /// The checks, in order.
    pub checks: Vec<CheckResult>,
}

/// What a section is about.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind", rename_all_fields = "camelCase")]
pub enum About {
    /// Vault itself.
    Vault {
        /// Its address.
        address: String,
    },
    /// A cluster.
    Cluster {
        /// Its name.
        cluster: ClusterName,
    },
    /// An auth mount.
    Mount {
        /// The cluster that it is for.
        cluster: ClusterName,
        /// Its path.
        mount: MountPath,
    },
    /// A role, and one service account that logs in as it.
    Role {
        /// The cluster.
        cluster: ClusterName,
        /// The auth mount.
        mount: MountPath,
        /// The role.
        role: RoleName,
        /// Who logs in.
        #[serde(skip_serializing_if = "Option::is_none")]
        service_account: Option<ServiceAccountRef>,
        /// For whom the token is, where the role takes several audiences and each is tried alone.
        #[serde(skip_serializing_if = "Option::is_none")]
        audience: Option<Audience>,
    },
    /// A store of External Secrets that uses a role.
    Store {
        /// The cluster.
        cluster: ClusterName,
        /// `ClusterSecretStore` or `SecretStore`.
        resource: &'static str,
        /// The namespace of a `SecretStore`.
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        /// Its name.
        name: String,
        /// The role.
        role: RoleName,
    },
}

impl std::fmt::Display for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Vault { address } => write!(f, "Vault {address}"),
            // Its name where nothing else gives it one.
            Self::Cluster { cluster } if cluster.as_str() == "cluster" => f.write_str("the cluster"),
            Self::Cluster { cluster } => write!(f, "cluster {cluster}"),
            Self::Mount { mount, .. } => write!(f, "mount auth/{mount}"),
            Self::Role { role, service_account: Some(account), audience, .. } => {
                write!(f, "role {role} as {account}")?;
                audience.iter().try_for_each(|audience| write!(f, " for {audience}"))
            }
            Self::Role { role, .. } => write!(f, "role {role}"),
            Self::Store { resource, namespace: Some(namespace), name, .. } => {
                write!(f, "{resource} {namespace}/{name}")
            }
            Self::Store { resource, name, .. } => write!(f, "{resource} {name}"),
        }
    }
}

/// What counts of several: a failure before what could not be tried, that before a warning.
pub(crate) fn worst(checks: &[CheckResult]) -> Status {
    let has = |status: &Status| checks.iter().any(|check| check.finding.status == *status);
    [Status::Failed, Status::NotReached, Status::Unseen, Status::Warning]
        .into_iter()
        .find(has)
        .unwrap_or(Status::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_without_a_name_of_its_own_is_not_named_twice() {
        for (name, shown) in [("cluster", "the cluster"), ("lab", "cluster lab")] {
            assert_eq!(About::Cluster { cluster: name.parse().unwrap() }.to_string(), shown);
        }
    }
}
