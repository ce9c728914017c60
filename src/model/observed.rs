//! What Vault and the clusters hold now, as far as the desired state touches it.

use std::collections::{BTreeMap, BTreeSet};

use super::{AuthMount, ConfigDocument, HeldKv, HeldRole, ObservedReviewer, RoleDocument, ServedKeys, StoredPolicy};
use crate::names::{ClusterName, Labels, MountPath, PolicyName, RoleName, StoredName};
use crate::ownership::Inventories;

/// What Vault and the clusters hold now.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// Every auth mount, by path without a slash at its end.
    pub auth_mounts: BTreeMap<String, AuthMount>,
    /// What is in those that are desired and are there.
    pub mounts: BTreeMap<MountPath, ObservedMount>,
    /// The KV mounts that are made where they aren't there.
    pub kv: BTreeMap<MountPath, HeldKv>,
    /// The policies that are desired and are there.
    pub policies: BTreeMap<PolicyName, StoredPolicy>,
    /// The texts of the policies that carry a [`Mark`](crate::ownership::Mark) and aren't desired, as far as they were seen.
    pub marked: BTreeMap<StoredName, String>,
    /// Whether there are policies whose text was not read, so that some may carry a mark unseen.
    pub policies_unseen: bool,
    /// Which roles of the desired mounts were written by which owner.
    pub inventories: Inventories,
    /// Why inventories of others may be there unseen, where they may.
    pub inventories_unseen: Option<Unlisted>,
    /// The text of the policy `default`, where the operator may read it: every token has it unless told otherwise.
    pub default_policy: Option<String>,
    /// What is there of the reviewers of clusters with the kubernetes method.
    pub reviewers: BTreeMap<ClusterName, ObservedReviewer>,
    /// The namespaces of the clusters with roles that select some, each with its labels, or why they couldn't be listed.
    pub namespaces: BTreeMap<ClusterName, Result<BTreeMap<String, Labels>, String>>,
    /// The keys that Vault fetches for a cluster, or will, as far as they could be seen.
    pub served: BTreeMap<ClusterName, ServedKeys>,
    /// The stores of the clusters, where roles may be deleted and the cluster can be reached.
    pub stores: BTreeMap<ClusterName, Stores>,
    /// The mounts whose logins fail with the reviewer's token that they have, as far as that was tried.
    pub refusing: BTreeSet<MountPath>,
    /// The mounts that are to be given the reviewer's token of the command, whichever they have: nothing shows which that is.
    pub asked: BTreeSet<MountPath>,
}

/// Why a list of policies doesn't show all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unlisted {
    /// The token may not list them.
    Forbidden,
    /// The server leaves some out, as is known from this, a sentence without a full stop.
    Filtered(String),
}

impl std::fmt::Display for Unlisted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Forbidden => f.write_str("the token may not list sys/policies/acl, where inventories are"),
            Self::Filtered(why) => write!(f, "the list of policies isn't whole: {why}"),
        }
    }
}

/// The stores of External Secrets in a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stores {
    /// Which role each of them logs in as.
    pub uses: Vec<StoreUse>,
    /// Why not all of them could be seen.
    pub unseen: Option<String>,
}

/// A store, and the role that it logs in as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreUse {
    /// Kind, namespace and name, as people write it.
    pub store: String,
    /// The mount that it names.
    pub mount: String,
    /// The role that it names.
    pub role: String,
}

/// What is in an auth mount.
#[derive(Debug, Clone, Default)]
pub struct ObservedMount {
    /// Its configuration, if it has one.
    pub config: Option<ConfigDocument>,
    /// The desired roles that are there.
    pub roles: BTreeMap<RoleName, RoleDocument>,
    /// The roles beside them, under whatever name, as far as they could be read. Of a single step nobody asked.
    pub others: BTreeMap<StoredName, HeldRole>,
    /// Whether its roles could not be listed, so that others may be there unseen.
    pub unlisted: bool,
    /// Its CEL roles (OpenBao's jwt method): all of them are beside the file, which has no such roles.
    pub cel: BTreeSet<StoredName>,
    /// Whether these could not be listed.
    pub cel_unlisted: bool,
}
