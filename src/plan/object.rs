//! What a plan makes, changes or deletes, by its name.

use serde::{Deserialize, Serialize};

use crate::model::ObjectKind;
use crate::names::{ClusterName, MountPath, Owner, StoredName};

/// An object in Vault or in a cluster, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "object")]
pub enum Object {
    /// An object in a cluster.
    Kubernetes {
        /// The cluster.
        #[serde(rename = "inCluster")]
        cluster: ClusterName,
        /// Its kind.
        kind: ObjectKind,
        /// Its namespace, where it has one, and its name.
        name: String,
    },
    /// An auth mount.
    Mount {
        /// Its path.
        mount: MountPath,
    },
    /// A KV mount.
    #[serde(rename = "kvMount")]
    KvMount {
        /// Its path.
        mount: MountPath,
    },
    /// The record of the keys that a mount's cluster was seen to publish.
    #[serde(rename = "seenKeys")]
    SeenKeys {
        /// The mount's path.
        mount: MountPath,
    },
    /// The configuration of an auth mount.
    Config {
        /// The mount's path.
        mount: MountPath,
    },
    /// The part of that record which is over.
    #[serde(rename = "pastKeys")]
    PastKeys {
        /// The mount's path.
        mount: MountPath,
    },
    /// A policy.
    Policy {
        /// Its name.
        name: StoredName,
    },
    /// An owner's inventory of a mount: what it lists before roles are written.
    Inventory {
        /// The mount's path.
        mount: MountPath,
        /// Whose it is.
        owner: Owner,
    },
    /// The same, once names are given up.
    Released {
        /// The mount's path.
        mount: MountPath,
        /// Whose it is.
        owner: Owner,
    },
    /// A role.
    Role {
        /// The mount's path.
        mount: MountPath,
        /// Its name.
        name: StoredName,
    },
    /// A CEL role (OpenBao), which no file has.
    #[serde(rename = "celRole")]
    CelRole {
        /// The mount's path.
        mount: MountPath,
        /// Its name.
        name: StoredName,
    },
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kubernetes { cluster, kind, name } => write!(f, "{kind:?} {name} in cluster {cluster}"),
            Self::Mount { mount } => write!(f, "mount auth/{mount}"),
            Self::KvMount { mount } => write!(f, "KV mount {mount}/"),
            Self::SeenKeys { mount } => write!(f, "record of seen keys auth/{mount}"),
            Self::Config { mount } => write!(f, "config auth/{mount}/config"),
            Self::PastKeys { mount } => write!(f, "record of past keys auth/{mount}"),
            Self::Policy { name } => write!(f, "policy {name}"),
            Self::Inventory { mount, owner } => write!(f, "inventory of {owner} for auth/{mount}"),
            Self::Released { mount, owner } => write!(f, "released names of {owner} for auth/{mount}"),
            Self::Role { mount, name } => write!(f, "role auth/{mount}/role/{name}"),
            Self::CelRole { mount, name } => write!(f, "CEL role auth/{mount}/cel/role/{name}"),
        }
    }
}
