//! What the changes of a plan send.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{AuthMethod, ConfigDocument, KubernetesConfig, Manifest, RoleDocument, TokenSource};
use crate::names::{ClusterName, MountPath, Owner, PolicyName, RoleName, StoredName};
use crate::ownership::Amendment;

/// What a change sends to Vault or to a cluster. Never a secret: where one is needed, this says where it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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
        /// Its options: the record of the keys that its cluster publishes.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        options: BTreeMap<String, String>,
        /// Its settings, as far as the file names them.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        tune: Map<String, Value>,
        /// Those of them that nothing but this decides.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        fixed: Map<String, Value>,
    },
    /// Make a KV mount of version 2.
    EnableKv {
        /// Where.
        mount: MountPath,
        /// The child namespace that its path begins with, where it is of one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
    },
    /// Set a mount's description and settings. Documents call it by what it was at first.
    #[serde(rename = "describeMount")]
    TuneMount {
        /// Which.
        mount: MountPath,
        /// Its description, where that changes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// The settings that change.
        #[serde(default, skip_serializing_if = "Map::is_empty")]
        tune: Map<String, Value>,
    },
    /// Record in a mount's options which keys its cluster was seen to publish.
    RecordKeys {
        /// Which mount.
        mount: MountPath,
        /// The options to set; an empty one is deleted.
        options: BTreeMap<String, String>,
    },
    /// Write a mount's configuration.
    Config {
        /// Which mount.
        mount: MountPath,
        /// All of it.
        config: Box<ConfigDocument>,
    },
    /// Write a policy.
    Policy {
        /// Which.
        name: PolicyName,
        /// Its text.
        text: String,
        /// The version that it replaces, where the server wants that named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cas: Option<u64>,
        /// The version that it replaces, where the server has versions and doesn't insist on them. It is of the moment, and no part of
        /// a document: who writes the same text anew changes nothing that a plan says.
        #[serde(skip)]
        version: Option<u64>,
        /// The mounts whose accessors take the places of their symbols in the text, once they are there.
        #[serde(rename = "accessorsOf", default, skip_serializing_if = "BTreeSet::is_empty")]
        accessors_of: BTreeSet<MountPath>,
    },
    /// Change which roles an owner's inventory lists.
    Inventory {
        /// Of which mount.
        mount: MountPath,
        /// Whose.
        owner: Owner,
        /// What becomes of it.
        #[serde(flatten)]
        amendment: Amendment,
        /// How many parts it has, where some of them are damaged and replaced; else 0.
        #[serde(default)]
        anew: usize,
        /// Which of the claimed names other owners have, from whom they are taken, and whose the mount was where it is taken too. Whoever
        /// else has one claimed it meanwhile.
        #[serde(rename = "takenFrom", default, skip_serializing_if = "BTreeMap::is_empty")]
        taken_from: BTreeMap<Owner, BTreeSet<RoleName>>,
        /// Whether not all inventories of others could be read, so that nobody knew what they list.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unseen: bool,
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
    /// Delete a role.
    DeleteRole {
        /// Of which mount.
        mount: MountPath,
        /// Which role.
        name: StoredName,
        /// What it held, as far as it could be read. The fields of the change say so in a document.
        #[serde(skip)]
        was: Option<Box<RoleDocument>>,
    },
    /// Delete a CEL role.
    DeleteCelRole {
        /// Of which mount.
        mount: MountPath,
        /// Which.
        name: StoredName,
    },
    /// Delete a policy.
    DeletePolicy {
        /// Which.
        name: StoredName,
        /// Its text. The fields of the change say so in a document.
        #[serde(skip)]
        was: String,
    },
}
