//! The objects that a reviewer of tokens needs in its cluster, as they are made and as they are seen.

use std::collections::BTreeMap;

use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::binding::{self, AUTH_DELEGATOR, FIELD_MANAGER, ObservedBinding};
use crate::names::{Owner, ServiceAccountRef};

/// The type of a Secret that the controller manager fills with a token.
pub(crate) const TOKEN_SECRET: &str = "kubernetes.io/service-account-token";
/// The annotation that says whose token it is.
pub(crate) const SECRET_OF_ACCOUNT: &str = "kubernetes.io/service-account.name";

/// The kinds of objects that a reviewer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ObjectKind {
    /// A `v1` Namespace.
    Namespace,
    /// A `v1` `ServiceAccount`.
    ServiceAccount,
    /// An `rbac.authorization.k8s.io/v1` `ClusterRole`.
    ClusterRole,
    /// An `rbac.authorization.k8s.io/v1` `ClusterRoleBinding`.
    ClusterRoleBinding,
    /// A `v1` Secret.
    Secret,
}

/// An object to write, with what this tool owns of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Manifest {
    /// The account's namespace.
    Namespace {
        /// Its name.
        name: String,
    },
    /// The account itself.
    ServiceAccount {
        /// Namespace and name.
        account: ServiceAccountRef,
    },
    /// What lets it read namespaces, and their labels.
    ClusterRole {
        /// The role's name.
        name: String,
        /// Whose it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
    },
    /// Its binding to [`AUTH_DELEGATOR`], or to another `ClusterRole`.
    ClusterRoleBinding {
        /// The binding's name.
        name: String,
        /// The `ClusterRole` that it gives.
        #[serde(default = "delegator", skip_serializing_if = "is_delegator")]
        role: String,
        /// Its subjects: those that are there, and the account, which is the last.
        subjects: Vec<Subject>,
        /// Whose it is then, where this makes it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<Owner>,
        /// Whether it was somebody else's when this was planned, as the plan says.
        #[serde(default, rename = "takenOver", skip_serializing_if = "std::ops::Not::not")]
        taken_over: bool,
    },
    /// The Secret that the controller manager fills with a token of the account.
    Secret {
        /// Its name, in the account's namespace.
        name: String,
        /// Whose token.
        account: ServiceAccountRef,
    },
}

fn delegator() -> String {
    AUTH_DELEGATOR.to_owned()
}

fn is_delegator(role: &str) -> bool {
    role == AUTH_DELEGATOR
}

/// What is there of what lets a reviewer read namespaces.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ObservedNamespaceRights {
    /// Whether the reviewer may get namespaces, by whatever it is given; `None` where that may not be asked.
    pub may: Option<bool>,
    /// The `ClusterRole`, if it is there.
    pub role: Option<ObservedClusterRole>,
    /// The binding to it, if it is there.
    pub binding: Option<ObservedBinding>,
}

impl ObservedNamespaceRights {
    /// Whether the reviewer may, as far as is known: a server takes a moment to say so of what was just written.
    pub fn are_there(&self, name: &str, account: &ServiceAccountRef) -> bool {
        let given = self.role.as_ref().is_some_and(|role| role.gives)
            && self.binding.as_ref().is_some_and(|binding| binding.gives(name) && binding.has(account));
        given || self.may == Some(true)
    }
}

/// A `ClusterRole`, as far as it matters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedClusterRole {
    /// Whether it allows to get namespaces.
    pub gives: bool,
    /// Whether it allows anything beside that, or may come to: nobody is newly bound to such a one.
    #[serde(default)]
    pub wider: bool,
    /// Whether this tool made it.
    pub own: bool,
}

impl ObservedClusterRole {
    /// As it is in the cluster.
    pub(crate) fn of(role: ClusterRole) -> Self {
        let has = |list: &Option<Vec<String>>, word: &str| list.iter().flatten().any(|own| own == word || own == "*");
        let rules = role.rules.unwrap_or_default();
        let gives = rules.iter().any(|rule| {
            rule.verbs.iter().any(|verb| verb == "get" || verb == "*")
                && has(&rule.api_groups, "")
                && has(&rule.resources, "namespaces")
                && rule.resource_names.as_ref().is_none_or(Vec::is_empty)
        });
        let within = |list: &Option<Vec<String>>, word: &str| list.iter().flatten().all(|own| own == word);
        let no_more = |rule: &PolicyRule| {
            rule.verbs.iter().all(|verb| verb == "get")
                && within(&rule.api_groups, "")
                && within(&rule.resources, "namespaces")
                && rule.non_resource_urls.as_ref().is_none_or(Vec::is_empty)
        };
        // What is gathered from other roles grows with them.
        let wider = role.aggregation_rule.is_some() || !rules.iter().all(no_more);
        let managers = role.metadata.managed_fields.unwrap_or_default();
        let own = managers.iter().any(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER));
        Self { gives, wider, own }
    }
}

/// What is there of a reviewer's objects, as far as this tool needs them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ObservedReviewer {
    /// Whether the namespace is there.
    pub namespace: bool,
    /// The annotations of the service account, if it is there.
    pub account: Option<BTreeMap<String, String>>,
    /// The binding, if it is there.
    pub binding: Option<ObservedBinding>,
    /// What lets it read namespaces; not looked for where no role selects them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<ObservedNamespaceRights>,
    /// The Secret, if it is there; not looked for where no Secret is needed.
    pub secret: Option<ObservedSecret>,
    /// What the account may do that nobody needs who reviews tokens, where it is there and that could be asked.
    pub powers: Option<Vec<String>>,
    /// Why something that is remembered of tokens from elsewhere may not have been found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread: Option<String>,
    /// The digest of a token that comes from elsewhere, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere: Option<String>,
}

/// A Secret, without what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedSecret {
    /// Its type.
    pub kind: String,
    /// The service account that its annotation names.
    pub account: Option<String>,
    /// The digest of its token, once the controller manager has filled it.
    pub token: Option<String>,
}

impl ObservedSecret {
    /// Whether it is a token Secret of this account.
    pub fn belongs_to(&self, account: &ServiceAccountRef) -> bool {
        self.kind == TOKEN_SECRET && self.account.as_deref() == Some(&account.name)
    }
}

impl Manifest {
    /// Its kind.
    pub fn kind(&self) -> ObjectKind {
        match self {
            Self::Namespace { .. } => ObjectKind::Namespace,
            Self::ServiceAccount { .. } => ObjectKind::ServiceAccount,
            Self::ClusterRole { .. } => ObjectKind::ClusterRole,
            Self::ClusterRoleBinding { .. } => ObjectKind::ClusterRoleBinding,
            Self::Secret { .. } => ObjectKind::Secret,
        }
    }

    /// Its namespace, where it has one, and its name, as people write them: `vault-auth/vault-auth-token`.
    pub fn name(&self) -> String {
        match self {
            Self::Namespace { name } | Self::ClusterRole { name, .. } | Self::ClusterRoleBinding { name, .. } => {
                name.clone()
            }
            Self::ServiceAccount { account } => account.to_string(),
            Self::Secret { name, account } => format!("{}/{name}", account.namespace),
        }
    }

    /// The object as it is applied.
    pub fn document(&self) -> Value {
        match self {
            Self::Namespace { name } => {
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
            }
            Self::ServiceAccount { account } => json!({
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": { "name": account.name, "namespace": account.namespace },
            }),
            Self::ClusterRole { name, owner } => json!(ClusterRole {
                metadata: ObjectMeta {
                    name: Some(name.clone()),
                    annotations: binding::annotations(owner.as_ref()),
                    ..ObjectMeta::default()
                },
                rules: Some(vec![PolicyRule {
                    api_groups: Some(vec![String::new()]),
                    resources: Some(vec!["namespaces".to_owned()]),
                    verbs: vec!["get".to_owned()],
                    ..PolicyRule::default()
                }]),
                aggregation_rule: None,
            }),
            Self::ClusterRoleBinding { name, role, subjects, owner, .. } => {
                json!(binding::new(name, role, subjects, owner.as_ref()))
            }
            Self::Secret { name, account } => json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": name,
                    "namespace": account.namespace,
                    "annotations": { SECRET_OF_ACCOUNT: account.name },
                },
                "type": TOKEN_SECRET,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::subject;

    fn bound(account: &ServiceAccountRef, owner: Option<&str>) -> Manifest {
        let owner = owner.map(|owner| owner.parse().unwrap());
        Manifest::ClusterRoleBinding {
            name: "b".into(),
            role: delegator(),
            subjects: vec![subject(account)],
            owner,
            taken_over: false,
        }
    }

    #[test]
    fn manifests_hold_what_is_needed_and_nothing_else() {
        let account: ServiceAccountRef = "vault-auth/vault-auth".parse().unwrap();
        let document = bound(&account, Some("team-a")).document();
        assert_eq!(document["metadata"]["annotations"], json!({ "vaultk8s.io/owner": "team-a" }));
        let document = bound(&account, None).document();
        assert!(document["metadata"].get("annotations").is_none());
        assert_eq!(document["roleRef"]["name"], AUTH_DELEGATOR);
        assert_eq!(
            document["subjects"],
            json!([{ "kind": "ServiceAccount", "name": "vault-auth", "namespace": "vault-auth" }])
        );
        let secret = Manifest::Secret { name: "t".into(), account };
        assert_eq!(secret.name(), "vault-auth/t");
        assert_eq!(secret.document()["metadata"]["annotations"][SECRET_OF_ACCOUNT], "vault-auth");
    }

    #[test]
    fn a_role_that_allows_more_than_to_get_namespaces_is_told_from_one_that_does_not() {
        let of = |role: Value| {
            let ObservedClusterRole { gives, wider, .. } =
                ObservedClusterRole::of(serde_json::from_value(role).unwrap());
            (gives, wider)
        };
        let rules = |rules: Value| of(json!({ "metadata": {}, "rules": rules }));
        let needed = json!({ "apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"] });
        let made = Manifest::ClusterRole { name: "b-namespaces".into(), owner: None };
        assert_eq!(of(made.document()), (true, false));
        assert_eq!(rules(json!([])), (false, false));
        for more in [
            json!({ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }),
            json!({ "apiGroups": [""], "resources": ["namespaces", "secrets"], "verbs": ["get"] }),
            json!({ "apiGroups": [""], "resources": ["namespaces"], "verbs": ["get", "delete"] }),
            json!({ "apiGroups": ["", "apps"], "resources": ["namespaces"], "verbs": ["get"] }),
        ] {
            assert_eq!(rules(json!([more])), (true, true), "{more}");
            assert_eq!(rules(json!([needed, more])), (true, true), "{more}");
        }
        assert_eq!(rules(json!([needed, { "nonResourceURLs": ["/metrics"], "verbs": ["get"] }])), (true, true));
        let gathered = json!({ "metadata": {}, "rules": [needed], "aggregationRule": { "clusterRoleSelectors": [] } });
        assert_eq!(of(gathered), (true, true));
    }

    #[test]
    fn manifests_are_read_back_as_they_were_saved() {
        let account: ServiceAccountRef = "vault-auth/vault-auth".parse().unwrap();
        for manifest in [
            Manifest::Namespace { name: "vault-auth".into() },
            Manifest::ServiceAccount { account: account.clone() },
            Manifest::ClusterRole { name: "b-namespaces".into(), owner: None },
            bound(&account, None),
            bound(&account, Some("team-a")),
            Manifest::Secret { name: "t".into(), account },
        ] {
            let saved = serde_json::to_string(&manifest).unwrap();
            assert_eq!(serde_json::from_str::<Manifest>(&saved).unwrap(), manifest, "{saved}");
        }
    }
}
