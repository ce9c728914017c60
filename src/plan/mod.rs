//! Desired − observed → the changes to make, in the order to make them. Pure, deterministic, and complete: applying a
//! plan leaves no choice to make.

mod adopted;
mod consent;
mod diff;
mod display;
mod document;
mod doubts;
mod elsewhere;
mod fetched;
mod fields;
mod keys;
mod kubernetes;
mod logged;
mod mount;
mod orphans;
mod owners;
mod renames;
mod saved;
mod seen;
mod settings;
pub(crate) mod trust;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use diff::plan;
pub(crate) use display::{strangers_in_words, strangers_remedy, write_found};
pub use document::PlanDocument;
pub(crate) use elsewhere::keeper;
pub use fetched::FetchedKeys;
pub(crate) use fetched::write_fetched;
pub use fields::FieldChange;
pub(crate) use fields::changed;
pub use keys::{ForeignKey, RetainedKey, check_key_decisions};
pub use logged::LoggedSecrets;
pub(crate) use logged::{InTheClear, write_logged};
pub use renames::Rename;
pub(crate) use seen::Seen;
pub(crate) use settings::{Remark, remarks};

use crate::access::Entrance;
use crate::error::Error;
use crate::model::{AuthMethod, ConfigDocument, Kind, KubernetesConfig, Manifest, RoleDocument, TokenSource};
use crate::names::{ClusterName, MountPath, Owner, PolicyName, RoleName, StoredName};
use crate::ownership::Amendment;

/// What has to change in Vault and in the clusters.
///
/// As a [`PlanDocument`] it is printed by `plan -o json`, saved by `plan --out`, and applied by `bootstrap --plan`. It never
/// holds a secret.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The Vault that it was made for.
    pub address: String,
    /// The namespace of that Vault; empty for the root namespace.
    #[serde(default)]
    pub namespace: String,
    /// The time that it was made for, on which the keys depend that a cluster no longer publishes.
    #[serde(default)]
    pub made_at: Timestamp,
    /// The clusters that it was narrowed to (`--cluster`); empty for all of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clusters: Vec<ClusterName>,
    /// Whether orphans are deleted (`--prune`).
    #[serde(default)]
    pub prune: bool,
    /// Whether reviewers' tokens were tried by a login (`--probe`).
    #[serde(default)]
    pub probed: bool,
    /// The keys that the operator vouches for (`--keep-key`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keep_keys: Vec<String>,
    /// The keys that go at once (`--forget-key`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forget_keys: Vec<String>,
    /// The changes, in order of their stages.
    pub changes: Vec<Change>,
    /// Those of them that are renames.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub renames: Vec<Rename>,
    /// How many objects are in order already.
    pub unchanged: usize,
    /// The pinned keys that their clusters no longer publish, and that stay for a while.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retained_keys: Vec<RetainedKey>,
    /// The pinned keys that their clusters neither publish nor were seen to publish.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign_keys: Vec<ForeignKey>,
    /// The keys that Vault fetches, or will, and that their clusters don't publish.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fetched_keys: Vec<FetchedKeys>,
    /// The mounts that write secrets into the audit log, which the file doesn't say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logged_secrets: Vec<LoggedSecrets>,
    /// What is the file's to say, isn't in it, and stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orphans: Vec<Orphan>,
    /// The roles that the file doesn't name on mounts that it doesn't claim: they may be somebody else's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmanaged: Vec<Orphan>,
    /// The exclusive mounts whose roles could not be listed, so that nobody knows whether there are others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<MountPath>,
    /// What else is there, or could not be seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What should give pause before saying yes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The clusters that could not be read: nothing of theirs is in the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_clusters: Vec<FailedCluster>,
    /// What was there, to be looked at again when the changes are made. What is applied is always a plan that was made now.
    #[serde(skip)]
    pub(crate) seen: Seen,
}

/// Something in Vault that isn't in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// What it is.
    #[serde(flatten)]
    pub object: Object,
    /// Why it isn't deleted, where it was to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// Whether it is a role on a mount that others use too, so that it is no drift.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shared: bool,
    /// Whom it lets in, and to what, where it is a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrance: Option<Entrance>,
}

impl Orphan {
    /// A policy, and why it isn't deleted where it was to be.
    fn policy(object: Object, kept: Option<String>) -> Self {
        Self { object, kept, shared: false, entrance: None }
    }
}

/// A cluster that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedCluster {
    /// Which.
    pub cluster: ClusterName,
    /// Why, in a sentence.
    pub error: String,
    /// The causes below that sentence.
    pub causes: Vec<String>,
    /// What to do.
    pub remedies: Vec<String>,
}

impl FailedCluster {
    /// What became of reading a cluster.
    pub fn new(cluster: ClusterName, error: &Error) -> Self {
        let remedies = error.remedies().into_iter().map(str::to_owned).collect();
        Self { cluster, error: error.to_string(), causes: error.causes(), remedies }
    }
}

impl Plan {
    /// Whether Vault holds everything already.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The roles that are left on mounts of which the file names every role: drift that this plan doesn't end.
    pub fn strangers(&self) -> impl Iterator<Item = &Orphan> {
        self.orphans.iter().filter(|orphan| !matches!(orphan.object, Object::Policy { .. }) && !orphan.shared)
    }

    /// Whether Vault holds what the file says and, where the file names every role, nothing beside that.
    pub fn in_order(&self) -> bool {
        self.is_empty() && self.strangers().next().is_none() && self.unseen.is_empty() && self.beyond_changes_in_order()
    }

    /// Whether nothing is wrong that changes to Vault by this program don't end.
    pub(crate) fn beyond_changes_in_order(&self) -> bool {
        self.fetched_keys.is_empty() && self.logged_secrets.is_empty()
    }

    /// The changes that delete something: these are confirmed first.
    pub fn deletions(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|change| change.action == Action::Delete)
    }

    /// The changes that would replace what Vault trusts now: these are confirmed first.
    pub fn trust_replaced(&self) -> impl Iterator<Item = (&Change, &str)> {
        self.changes.iter().filter_map(|change| Some((change, change.replaces_trust.as_deref()?)))
    }

    /// The changes to what somebody else wrote, with whose it is and would be: these are confirmed first.
    pub fn taken_over(&self) -> impl Iterator<Item = (&Change, &str)> {
        self.changes.iter().filter_map(|change| Some((change, change.takes_over.as_deref()?)))
    }
}

/// One object that has to be made, changed or deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Whether it is made, changed or deleted.
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
    /// Whose it is now and whose it would be, in a sentence, where somebody else wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_over: Option<String>,
    /// The objects of this plan that must be there first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Object>,
    /// What to send.
    pub write: Write,
}

impl Change {
    /// The same without what is of the moment alone, or said elsewhere in a document.
    fn lasting(&self) -> Self {
        let mut change = self.clone();
        match &mut change.write {
            Write::Policy { version, .. } => *version = None,
            Write::DeleteRole { was, .. } => *was = None,
            Write::DeletePolicy { was, .. } => was.clear(),
            _ => {}
        }
        change
    }

    /// Which stage of applying it belongs to.
    pub fn stage(&self) -> Stage {
        match self.object {
            Object::Role { .. } if self.action == Action::Delete => Stage::DeletedRoles,
            Object::CelRole { .. } => Stage::DeletedRoles,
            Object::Policy { .. } if self.action == Action::Delete => Stage::DeletedPolicies,
            Object::Kubernetes { kind: Kind::Namespace, .. } => Stage::Namespaces,
            Object::Kubernetes { kind: Kind::ServiceAccount, .. } => Stage::ServiceAccounts,
            Object::Kubernetes { .. } => Stage::Reviewers,
            Object::Mount { .. } => Stage::Mounts,
            Object::SeenKeys { .. } => Stage::SeenKeys,
            Object::Config { .. } => Stage::Configs,
            Object::PastKeys { .. } => Stage::PastKeys,
            Object::Policy { .. } => Stage::Policies,
            Object::Inventory { .. } => Stage::Inventories,
            Object::Released { .. } => Stage::Releases,
            Object::Role { .. } => Stage::Roles,
        }
    }
}

/// Whether an object is made, changed or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is not there yet.
    Create,
    /// It is there and says something else.
    Update,
    /// It is there and should not be.
    Delete,
}

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
        kind: Kind,
        /// Its namespace, where it has one, and its name.
        name: String,
    },
    /// An auth mount.
    Mount {
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
    /// What keys were seen, before a configuration trusts them.
    SeenKeys,
    /// Their configuration.
    Configs,
    /// What keys are over, once no configuration trusts them.
    PastKeys,
    /// Policies.
    Policies,
    /// Whose roles they are, before they are written.
    Inventories,
    /// Roles.
    Roles,
    /// Roles to delete.
    DeletedRoles,
    /// Policies to delete, which no role of ours names any more.
    DeletedPolicies,
    /// Whose roles they were, once they are gone.
    Releases,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 13] = [
        Self::Namespaces,
        Self::ServiceAccounts,
        Self::Reviewers,
        Self::Mounts,
        Self::SeenKeys,
        Self::Configs,
        Self::PastKeys,
        Self::Policies,
        Self::Inventories,
        Self::Roles,
        Self::DeletedRoles,
        Self::DeletedPolicies,
        Self::Releases,
    ];

    /// Whether it deletes, which is done only once everything before it is.
    pub fn deletes(self) -> bool {
        matches!(self, Self::DeletedRoles | Self::DeletedPolicies | Self::Releases)
    }
}

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
