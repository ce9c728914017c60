//! The `ClusterRoleBinding` of a reviewer: whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};

use serde::{Deserialize, Serialize};

use crate::names::{Owner, ServiceAccountRef};
use crate::text::printable_line;

/// The field manager of everything that this tool writes in a cluster.
pub(crate) const FIELD_MANAGER: &str = "vaultk8s";

/// The role that lets an account ask the `TokenReview` API.
pub const AUTH_DELEGATOR: &str = "system:auth-delegator";

/// The annotation that says whose file made a binding. One without an owner leaves none, as earlier releases did.
const OWNER: &str = "vaultk8s.io/owner";

/// A `ClusterRoleBinding`, as far as it matters.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedBinding {
    /// `kind/name` of its role, which can't be changed.
    pub role: String,
    /// Its subjects.
    pub subjects: Vec<Subject>,
    /// The owner whose file made it, where it says one.
    owner: Option<String>,
    /// The field managers that wrote its role, and so made it.
    made_by: BTreeSet<String>,
    /// The field manager beside this tool that applies its subjects, and goes on doing so.
    applied_by: Option<String>,
}

/// Whose a binding is, for a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// The file's, or that of a run which left no word about whose it is.
    Own,
    /// Another owner's.
    Owner(String),
    /// Nobody's of this tool: it was made with this, as far as the cluster says.
    Other(Option<String>),
    /// Its subjects are applied by another tool, which would undo any change, or fail because of it.
    Applied(String),
}

impl fmt::Display for Whose {
    /// As part of a sentence, after "it belongs to".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("this file"),
            Self::Owner(owner) => write!(f, "the owner {}", printable_line(owner)),
            Self::Other(Some(manager)) => write!(f, "whoever made it with {}", printable_line(manager)),
            Self::Other(None) => f.write_str("whoever made it"),
            Self::Applied(manager) => write!(f, "{}, which applies its subjects", printable_line(manager)),
        }
    }
}

/// Those to whom a binding gives its role beside an account, as people write them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// Groups, and those who don't say who they are: nobody listed who that is.
    pub crowds: Vec<String>,
    /// Single accounts and users, and administrators, who may do everything anyway.
    pub single: Vec<String>,
}

impl ObservedBinding {
    /// As it is in the cluster.
    pub(crate) fn of(binding: ClusterRoleBinding) -> Self {
        let managers = binding.metadata.managed_fields.unwrap_or_default();
        let of_field = |field: &str, applied: bool| -> BTreeSet<String> {
            let wrote = |entry: &&ManagedFieldsEntry| {
                entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get(field).is_some())
                    && (!applied || entry.operation.as_deref() == Some("Apply"))
            };
            managers.iter().filter(wrote).filter_map(|entry| entry.manager.clone()).collect()
        };
        Self {
            role: format!("{}/{}", binding.role_ref.kind, binding.role_ref.name),
            subjects: binding.subjects.unwrap_or_default(),
            owner: binding.metadata.annotations.and_then(|mut all| all.remove(OWNER)),
            made_by: of_field("f:roleRef", false),
            applied_by: of_field("f:subjects", true).into_iter().find(|manager| manager != FIELD_MANAGER),
        }
    }

    /// Whether it gives the role that it takes to review tokens.
    pub fn delegates(&self) -> bool {
        self.gives(AUTH_DELEGATOR)
    }

    /// Whether it gives this `ClusterRole`.
    pub fn gives(&self, role: &str) -> bool {
        self.role.strip_prefix("ClusterRole/") == Some(role)
    }

    /// Whether this account is one of its subjects.
    pub fn has(&self, account: &ServiceAccountRef) -> bool {
        self.subjects.iter().any(|subject| is_subject(subject, account))
    }

    /// Whose it is for a file of this owner. What an earlier release made says nothing of owners.
    pub fn whose(&self, ours: Option<&Owner>) -> Whose {
        if let Some(manager) = &self.applied_by {
            return Whose::Applied(manager.clone());
        }
        if let Some(owner) = &self.owner {
            let own = ours.is_some_and(|ours| ours.as_str() == owner);
            return if own { Whose::Own } else { Whose::Owner(owner.clone()) };
        }
        match self.made_by.iter().find(|manager| *manager != FIELD_MANAGER) {
            None if self.made_by.is_empty() => Whose::Other(None),
            None => Whose::Own,
            Some(manager) => Whose::Other(Some(manager.clone())),
        }
    }

    /// Those to whom it gives its role beside this account.
    pub fn others(&self, account: &ServiceAccountRef) -> Others {
        let others = self.subjects.iter().filter(|subject| !is_subject(subject, account));
        let crowd = |subject: &&Subject| match subject.kind.as_str() {
            "Group" => subject.name != "system:masters",
            _ => subject.name == "system:anonymous",
        };
        let (crowds, single): (Vec<&Subject>, Vec<&Subject>) = others.partition(crowd);
        let described = |subjects: Vec<&Subject>| subjects.into_iter().map(described_subject).collect();
        Others { crowds: described(crowds), single: described(single) }
    }
}

/// `ServiceAccount vault-auth/vault-auth`, `Group system:masters`.
pub fn described_subject(subject: &Subject) -> String {
    match &subject.namespace {
        Some(namespace) => format!("{} {namespace}/{}", subject.kind, subject.name),
        None => format!("{} {}", subject.kind, subject.name),
    }
}

/// The subject that stands for a service account in a binding.
pub fn subject(account: &ServiceAccountRef) -> Subject {
    Subject {
        api_group: None,
        kind: "ServiceAccount".to_owned(),
        name: account.name.clone(),
        namespace: Some(account.namespace.clone()),
    }
}

/// Whether a subject of a binding is this service account.
fn is_subject(subject: &Subject, account: &ServiceAccountRef) -> bool {
    subject.kind == "ServiceAccount"
        && subject.name == account.name
        && subject.namespace.as_ref() == Some(&account.namespace)
}

/// The annotations of what a file of this owner makes in a cluster.
pub(super) fn annotations(owner: Option<&Owner>) -> Option<BTreeMap<String, String>> {
    owner.map(|owner| BTreeMap::from([(OWNER.to_owned(), owner.to_string())]))
}

/// A binding to a `ClusterRole`.
pub(crate) fn new(name: &str, role: &str, subjects: &[Subject], owner: Option<&Owner>) -> ClusterRoleBinding {
    let annotations = annotations(owner);
    ClusterRoleBinding {
        metadata: ObjectMeta { name: Some(name.to_owned()), annotations, ..ObjectMeta::default() },
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".into(),
            kind: "ClusterRole".to_owned(),
            name: role.to_owned(),
        },
        subjects: Some(subjects.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn binding(owner: Option<&str>, managers: serde_json::Value) -> ObservedBinding {
        let mut binding = new("b", AUTH_DELEGATOR, &[], owner.map(|owner| owner.parse().unwrap()).as_ref());
        binding.metadata.managed_fields = serde_json::from_value(managers).unwrap();
        ObservedBinding::of(binding)
    }

    fn entry(manager: &str, operation: &str, fields: &[&str]) -> serde_json::Value {
        let fields: serde_json::Map<_, _> = fields.iter().map(|field| ((*field).to_owned(), json!({}))).collect();
        json!({ "manager": manager, "operation": operation, "fieldsV1": fields })
    }

    #[test]
    fn a_binding_is_whose_it_says_or_else_who_made_it() {
        let ours: Owner = "platform".parse().unwrap();
        let all = &["f:roleRef", "f:subjects"];
        let own = json!([entry("vaultk8s", "Apply", all)]);
        let of = |owner, managers: &serde_json::Value| binding(owner, managers.clone()).whose(Some(&ours));
        assert_eq!(of(None, &own), Whose::Own);
        assert_eq!(of(Some("platform"), &own), Whose::Own);
        assert_eq!(of(Some("data"), &own), Whose::Owner("data".to_owned()));
        assert_eq!(binding(Some("data"), own).whose(None), Whose::Owner("data".to_owned()));
        // Restored from a backup, it is no less the owner's.
        let restored = json!([entry("velero-server", "Update", all)]);
        assert_eq!(of(Some("platform"), &restored), Whose::Own);
        assert_eq!(of(None, &restored), Whose::Other(Some("velero-server".to_owned())));
        assert_eq!(of(None, &json!([])), Whose::Other(None));
        // Subjects that were edited by hand don't make it another's, and those that are applied do.
        let made = entry("vaultk8s", "Update", &["f:roleRef"]);
        assert_eq!(of(None, &json!([made, entry("kubectl-edit", "Update", &["f:subjects"])])), Whose::Own);
        let applied = json!([made, entry("argocd", "Apply", all)]);
        assert_eq!(of(Some("platform"), &applied), Whose::Applied("argocd".to_owned()));
    }
}
