//! What verification found, apart from how it found it, and from how it is shown: `text` for `verify-role`, `brief` for a
//! bootstrap.

mod brief;
mod text;

use serde::Serialize;

pub use self::brief::Verification;
use super::catalogue::Severity;
use super::external_secrets::StoreScene;
use super::finding::{CheckResult, Status};
use super::scene::RoleScene;
use crate::names::{ClusterName, MountPath, RoleName, ServiceAccountRef};

/// What was found, section by section.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// Whether no check failed, and all were made.
    pub success: bool,
    /// Whether it ended before all was looked at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// What failed or should be looked at: the worst first, then in the order in which a login goes.
    pub causes: Vec<Cause>,
    /// Everything that was looked at.
    pub sections: Vec<Section>,
}

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

/// A check that did not pass, and where.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Where.
    pub about: About,
    /// What.
    #[serde(flatten)]
    pub result: CheckResult,
}

impl About {
    /// A role's.
    pub(super) fn of_role(scene: &RoleScene) -> Self {
        Self::Role {
            cluster: scene.mount.cluster.name.clone(),
            mount: scene.mount.path.clone(),
            role: scene.name.clone(),
            service_account: scene.account.clone(),
        }
    }

    /// A store's.
    pub(super) fn of_store(scene: &StoreScene) -> Self {
        let StoreScene { role, store, .. } = scene;
        Self::Store {
            cluster: role.mount.cluster.name.clone(),
            resource: store.kind(),
            namespace: store.namespace.clone(),
            name: store.name.clone(),
            role: role.name.clone(),
        }
    }
}

impl std::fmt::Display for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Vault { address } => write!(f, "Vault {address}"),
            Self::Cluster { cluster } => write!(f, "cluster {cluster}"),
            Self::Mount { mount, .. } => write!(f, "mount auth/{mount}"),
            Self::Role { role, service_account: Some(account), .. } => write!(f, "role {role} as {account}"),
            Self::Role { role, .. } => write!(f, "role {role}"),
            Self::Store { resource, namespace: Some(namespace), name, .. } => {
                write!(f, "{resource} {namespace}/{name}")
            }
            Self::Store { resource, name, .. } => write!(f, "{resource} {name}"),
        }
    }
}

impl Diagnosis {
    /// Sorts what was found.
    pub(super) fn new(sections: Vec<Section>) -> Self {
        let told = |status: Status| matches!(status, Status::Failed | Status::Warning);
        let mut causes: Vec<Cause> = sections
            .iter()
            .flat_map(|section| section.checks.iter().map(|result| (section.about.clone(), result)))
            .filter(|(_, result)| told(result.finding.status))
            .map(|(about, result)| Cause { about, result: result.clone() })
            .collect();
        // A stable sort: within the same severity the order is that of the way.
        causes.sort_by_key(|cause| {
            let failed = cause.result.finding.status == Status::Failed;
            if failed { cause.result.check.severity } else { Severity::Advises }
        });
        let success = causes.iter().all(|cause| cause.result.finding.status != Status::Failed);
        Self { success, interrupted: false, causes, sections }
    }

    /// What was found until somebody wanted it to end.
    pub(super) fn interrupted(sections: Vec<Section>) -> Self {
        Self { success: false, interrupted: true, ..Self::new(sections) }
    }

    fn count(&self, status: Status) -> usize {
        self.sections
            .iter()
            .flat_map(|section| &section.checks)
            .filter(|result| result.finding.status == status)
            .count()
    }
}

/// What counts of several: a failure before what could not be tried, that before a warning.
pub(super) fn worst(checks: &[CheckResult]) -> Status {
    let has = |status: &Status| checks.iter().any(|check| check.finding.status == *status);
    [Status::Failed, Status::NotReached, Status::Unseen, Status::Warning]
        .into_iter()
        .find(has)
        .unwrap_or(Status::Passed)
}
