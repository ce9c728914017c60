//! Desired − observed → the changes to make, in the order to make them. Pure, deterministic, and complete: applying a
//! plan leaves no choice to make.

mod adopted;
mod change;
mod consent;
mod diff;
mod document;
mod doubts;
mod elsewhere;
mod fetched;
mod fields;
mod keys;
mod kubernetes;
mod kv;
mod logged;
mod mount;
mod object;
mod orphans;
mod owners;
mod renames;
mod saved;
mod seen;
mod selected;
mod settings;
pub(crate) mod trust;
mod unsaid;
mod words;
mod write;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use change::{Action, Change, Stage};
pub use diff::plan;
pub(crate) use document::KIND as PLAN_KIND;
pub use document::PlanDocument;
pub(crate) use elsewhere::keeper;
pub use fetched::FetchedKeys;
pub use fields::FieldChange;
pub(crate) use fields::changed;
pub(crate) use keys::SEEN_KEYS;
pub use keys::{ForeignKey, RetainedKey, check_key_decisions};
pub(crate) use logged::InTheClear;
pub use logged::LoggedSecrets;
pub use object::Object;
pub use renames::Rename;
pub(crate) use seen::Seen;
pub(crate) use selected::counted;
pub(crate) use settings::{Remark, remarks};
pub(crate) use words::{strangers_in_words, strangers_remedy};
pub use write::Write;

use crate::access::Entrance;
use crate::error::{Error, Failure};
use crate::names::{ClusterName, MountPath};

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
    /// Why.
    #[serde(flatten)]
    pub failure: Failure,
}

impl FailedCluster {
    /// What became of reading a cluster.
    pub fn new(cluster: ClusterName, error: &Error) -> Self {
        Self { cluster, failure: error.into() }
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
