//! One change of a plan, and when its turn is.

use serde::{Deserialize, Serialize};

use super::fields::FieldChange;
use super::object::Object;
use super::write::Write;
use crate::model::ObjectKind;
use crate::names::ClusterName;

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
    /// A change of one object, of which nothing more is to be said.
    pub(crate) fn new(action: Action, object: Object, write: Write) -> Self {
        Self {
            action,
            object,
            cluster: None,
            fields: Vec::new(),
            replaces_trust: None,
            takes_over: None,
            needs: Vec::new(),
            write,
        }
    }

    /// The same without what is of the moment alone, or said elsewhere in a document.
    pub(super) fn lasting(&self) -> Self {
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
            Object::Kubernetes { kind: ObjectKind::Namespace, .. } => Stage::Namespaces,
            Object::Kubernetes { kind: ObjectKind::ServiceAccount, .. } => Stage::ServiceAccounts,
            Object::Kubernetes { kind: ObjectKind::ClusterRole, .. } => Stage::ClusterRoles,
            Object::Kubernetes { .. } => Stage::Reviewers,
            Object::Mount { .. } => Stage::Mounts,
            Object::KvMount { .. } => Stage::KvMounts,
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

/// The stages of applying; everything in one is independent of the rest of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Namespaces in clusters.
    Namespaces,
    /// Service accounts in them.
    ServiceAccounts,
    /// What is bound to them: who may not bind anything may not bind what isn't there.
    ClusterRoles,
    /// What makes them reviewers.
    Reviewers,
    /// Auth mounts.
    Mounts,
    /// KV mounts, before anything grants what is in them.
    KvMounts,
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
    pub const ALL: [Self; 15] = [
        Self::Namespaces,
        Self::ServiceAccounts,
        Self::ClusterRoles,
        Self::Reviewers,
        Self::Mounts,
        Self::KvMounts,
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
