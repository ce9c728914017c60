//! Desired − observed → the changes to make, in the order to make them. Pure, deterministic, and complete: applying a
//! plan leaves no choice to make.

mod diff;
mod display;
mod fields;
mod kubernetes;
mod observed;

use serde::Serialize;

pub use diff::plan;
pub use fields::FieldChange;
pub use observed::{Observed, ObservedMount};

use crate::cluster::{Kind, Manifest, TokenSource};
use crate::names::{ClusterName, MountPath, PolicyName, RoleName};
use crate::vault::{AuthMethod, ConfigDocument, KubernetesConfig, RoleDocument};

/// What has to change in Vault and in the clusters.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The Vault that it was made for.
    pub address: String,
    /// The changes, in order of their stages.
    pub changes: Vec<Change>,
    /// How many objects are in order already.
    pub unchanged: usize,
    /// What to know before saying yes, in sentences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

impl Plan {
    /// Whether Vault holds everything already.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The changes that would replace what Vault trusts now: these are confirmed first.
    pub fn trust_replaced(&self) -> impl Iterator<Item = (&Change, &str)> {
        self.changes.iter().filter_map(|change| Some((change, change.replaces_trust.as_deref()?)))
    }
}

/// One object that has to be made or changed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Whether it is made or changed.
    pub action: Action,
    /// What it is.
    #[serde(flatten)]
    pub object: Object,
    /// The cluster that it is for; policies are everybody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterName>,
    /// The fields that change.
    pub fields: Vec<FieldChange>,
    /// What is trusted now and would not be any more, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces_trust: Option<String>,
    /// The objects of this plan that must be there first.
    #[serde(skip)]
    pub needs: Vec<Object>,
    /// What to send.
    #[serde(skip)]
    pub write: Write,
}

impl Change {
    /// Which stage of applying it belongs to.
    pub fn stage(&self) -> Stage {
        match self.object {
            Object::Kubernetes { kind: Kind::Namespace, .. } => Stage::Namespaces,
            Object::Kubernetes { kind: Kind::ServiceAccount, .. } => Stage::ServiceAccounts,
            Object::Kubernetes { .. } => Stage::Reviewers,
            Object::Mount { .. } => Stage::Mounts,
            Object::Config { .. } => Stage::Configs,
            Object::Policy { .. } => Stage::Policies,
            Object::Role { .. } => Stage::Roles,
        }
    }
}

/// Whether an object is made or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is not there yet.
    Create,
    /// It is there and says something else.
    Update,
}

/// An object in Vault or in a cluster, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase", tag = "object")]
pub enum Object {
    /// An object in a cluster.
    Kubernetes {
        /// The cluster.
        #[serde(rename = "inCluster")]
        cluster: ClusterName,
        /// Its kind.
        kind: Kind,
        /// Its namespace, where it has one, and its name.
        name: String,
    },
    /// An auth mount.
    Mount {
        /// Its path.
        mount: MountPath,
    },
    /// The configuration of an auth mount.
    Config {
        /// The mount's path.
        mount: MountPath,
    },
    /// A policy.
    Policy {
        /// Its name.
        name: PolicyName,
    },
    /// A role.
    Role {
        /// The mount's path.
        mount: MountPath,
        /// Its name.
        name: RoleName,
    },
}

impl Stage {
    /// All of them, in their order.
    pub const ALL: [Self; 7] = [
        Self::Namespaces,
        Self::ServiceAccounts,
        Self::Reviewers,
        Self::Mounts,
        Self::Configs,
        Self::Policies,
        Self::Roles,
    ];
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kubernetes { cluster, kind, name } => write!(f, "{kind:?} {name} in cluster {cluster}"),
            Self::Mount { mount } => write!(f, "mount auth/{mount}"),
            Self::Config { mount } => write!(f, "config auth/{mount}/config"),
            Self::Policy { name } => write!(f, "policy {name}"),
            Self::Role { mount, name } => write!(f, "role auth/{mount}/role/{name}"),
        }
    }
}

/// The stages of applying; everything in one is independent of the rest of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Namespaces in clusters.
    Namespaces,
    /// Service accounts in them.
    ServiceAccounts,
    /// What makes them reviewers.
    Reviewers,
    /// Auth mounts.
    Mounts,
    /// Their configuration.
    Configs,
    /// Policies.
    Policies,
    /// Roles.
    Roles,
}

/// What a change sends to Vault or to a cluster.
#[derive(Debug, Clone)]
pub enum Write {
    /// Write an object of a cluster.
    Kubernetes {
        /// The cluster.
        cluster: ClusterName,
        /// The object.
        manifest: Manifest,
    },
    /// Write the configuration of a `kubernetes` mount, with the reviewer's token, and remember which token it was.
    KubernetesConfig {
        /// The cluster that has the token.
        cluster: ClusterName,
        /// Which mount.
        mount: MountPath,
        /// All of it but the token.
        config: KubernetesConfig,
        /// Where the token comes from when the change is made.
        token: TokenSource,
    },
    /// Enable the auth method.
    EnableMount {
        /// Where.
        mount: MountPath,
        /// Which.
        method: AuthMethod,
        /// Its description.
        description: String,
    },
    /// Set a mount's description.
    DescribeMount {
        /// Which.
        mount: MountPath,
        /// Its description.
        description: String,
    },
    /// Write a mount's configuration.
    Config {
        /// Which mount.
        mount: MountPath,
        /// All of it.
        config: ConfigDocument,
    },
    /// Write a policy.
    Policy {
        /// Which.
        name: PolicyName,
        /// Its text.
        text: String,
    },
    /// Write a role.
    Role {
        /// Which mount.
        mount: MountPath,
        /// Which role.
        name: RoleName,
        /// All of it.
        role: Box<RoleDocument>,
    },
}
