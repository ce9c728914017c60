//! What the reviewer needs in its cluster: a namespace, a service account, its binding to `system:auth-delegator`, and a
//! Secret for a token that doesn't expire.
//!
//! Objects are made by server-side apply, with nothing in them but what this tool needs, and compared by that alone: labels,
//! further subjects and annotations of others are none of its business. One that is there is used; only a [binding](super::binding)
//! is ever changed.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, Subject};
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access::powers;
use super::binding::{self, ObservedBinding, Wanted};
use super::connect::Connection;
use super::error::{ClusterError, refused_by};
use super::reviewer_token::{digest, secret_token, wait_for_secret};
use crate::config::{Reviewer, ReviewerToken};
use crate::error::{Error, Result};
use crate::names::{Owner, ServiceAccountRef};

/// The field manager of everything that this tool writes in a cluster.
pub(super) const FIELD_MANAGER: &str = "vaultk8s";

/// The role that lets an account ask the `TokenReview` API.
pub const AUTH_DELEGATOR: &str = "system:auth-delegator";

/// The type of a Secret that the controller manager fills with a token.
const TOKEN_SECRET: &str = "kubernetes.io/service-account-token";
const SECRET_OF_ACCOUNT: &str = "kubernetes.io/service-account.name";

/// The kinds of objects that a reviewer needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A `v1` Namespace.
    Namespace,
    /// A `v1` `ServiceAccount`.
    ServiceAccount,
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
    /// Its binding to [`AUTH_DELEGATOR`].
    ClusterRoleBinding {
        /// The binding's name.
        name: String,
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

/// What is there of a reviewer's objects, as far as this tool needs them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ObservedReviewer {
    /// Whether the namespace is there.
    pub namespace: bool,
    /// The annotations of the service account, if it is there.
    pub account: Option<BTreeMap<String, String>>,
    /// The binding, if it is there.
    pub binding: Option<ObservedBinding>,
    /// The Secret, if it is there; not looked for where no Secret is needed.
    pub secret: Option<ObservedSecret>,
    /// What the account may do that nobody needs who reviews tokens, where it is there and that could be asked.
    pub powers: Option<Vec<String>>,
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
    pub fn kind(&self) -> Kind {
        match self {
            Self::Namespace { .. } => Kind::Namespace,
            Self::ServiceAccount { .. } => Kind::ServiceAccount,
            Self::ClusterRoleBinding { .. } => Kind::ClusterRoleBinding,
            Self::Secret { .. } => Kind::Secret,
        }
    }

    /// Its namespace, where it has one, and its name, as people write them: `vault-auth/vault-auth-token`.
    pub fn name(&self) -> String {
        match self {
            Self::Namespace { name } | Self::ClusterRoleBinding { name, .. } => name.clone(),
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
            Self::ClusterRoleBinding { name, subjects, owner, .. } => {
                json!(binding::new(name, subjects, owner.as_ref()))
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

/// Reads what is there of a reviewer's objects.
///
/// # Errors
/// When the API server can't be reached or refuses.
pub async fn observe_reviewer(connection: &Connection, reviewer: &Reviewer) -> Result<ObservedReviewer> {
    let client = connection.client();
    let account = &reviewer.service_account;
    let (namespaces, bindings): (Api<Namespace>, Api<ClusterRoleBinding>) =
        (Api::all(client.clone()), Api::all(client.clone()));
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &account.namespace);
    let secrets: Api<Secret> = Api::namespaced(client, &account.namespace);
    let secret = async {
        if reviewer.token == ReviewerToken::Secret { secrets.get_opt(&reviewer.secret_name).await } else { Ok(None) }
    };
    let (namespace, found, binding, secret) = futures::try_join!(
        namespaces.get_opt(&account.namespace),
        accounts.get_opt(&account.name),
        bindings.get_opt(&reviewer.binding_name),
        secret,
    )
    .map_err(|error| explain(refused_by(connection.server(), &format!("the objects of {account}"), error)))?;
    let powers = if found.is_some() { powers(connection, account).await } else { None };
    Ok(ObservedReviewer {
        powers,
        namespace: namespace.is_some(),
        account: found.map(|found| found.metadata.annotations.unwrap_or_default()),
        binding: binding.map(ObservedBinding::of),
        secret: secret.map(|secret| ObservedSecret {
            token: secret_token(&secret).map(|token| digest(&token)),
            account: secret.metadata.annotations.and_then(|mut all| all.remove(SECRET_OF_ACCOUNT)),
            kind: secret.type_.unwrap_or_default(),
        }),
    })
}

/// The names of the Secrets that hold a token of a service account, in order.
///
/// # Errors
/// When the API server can't be reached or refuses.
pub async fn token_secrets(connection: &Connection, account: &ServiceAccountRef) -> Result<BTreeSet<String>> {
    let secrets: Api<Secret> = Api::namespaced(connection.client(), &account.namespace);
    let listed = secrets.list_metadata(&ListParams::default().fields(&format!("type={TOKEN_SECRET}"))).await;
    let what = format!("listing the Secrets in {}", account.namespace);
    let listed = listed.map_err(|error| refused_by(connection.server(), &what, error))?;
    let names = listed.items.into_iter().map(|secret| secret.metadata).filter_map(|mut metadata| {
        let owner = metadata.annotations.take()?.remove(SECRET_OF_ACCOUNT)?;
        metadata.name.filter(|_| owner == account.name)
    });
    Ok(names.collect())
}

/// The service accounts that may review tokens: those to which some binding gives the `ClusterRole` for it, in order.
///
/// # Errors
/// When the API server can't be reached or refuses.
pub async fn delegated_reviewers(connection: &Connection) -> Result<BTreeSet<String>> {
    let bindings: Api<ClusterRoleBinding> = Api::all(connection.client());
    let bindings = bindings.list(&ListParams::default()).await;
    let bindings = bindings.map_err(|error| refused_by(connection.server(), "the clusterrolebindings", error))?;
    let delegating = |binding: &ClusterRoleBinding| {
        binding.role_ref.kind == "ClusterRole" && binding.role_ref.name == AUTH_DELEGATOR
    };
    let subjects =
        bindings.items.into_iter().filter(delegating).flat_map(|binding| binding.subjects.unwrap_or_default());
    let accounts = subjects.filter(|subject| subject.kind == "ServiceAccount");
    Ok(accounts.map(|subject| format!("{}/{}", subject.namespace.unwrap_or_default(), subject.name)).collect())
}

/// Writes an object (by server-side apply, but for a binding), and waits for the token of a Secret.
///
/// # Errors
/// When the API server refuses, or nobody fills the Secret.
pub async fn apply_manifest(connection: &Connection, manifest: &Manifest) -> Result<()> {
    let client = connection.client();
    let document = manifest.document();
    let patch = Patch::Apply(&document);
    let params = PatchParams::apply(FIELD_MANAGER);
    let applied = match manifest {
        Manifest::Namespace { name } => Api::<Namespace>::all(client).patch(name, &params, &patch).await.map(drop),
        Manifest::ServiceAccount { account } => {
            let accounts: Api<ServiceAccount> = Api::namespaced(client, &account.namespace);
            accounts.patch(&account.name, &params, &patch).await.map(drop)
        }
        Manifest::ClusterRoleBinding { name, subjects, owner, taken_over } => {
            let wanted = Wanted { name, subjects, owner: owner.as_ref(), taken_over: *taken_over };
            return binding::bind(connection, wanted).await;
        }
        Manifest::Secret { name, account } => {
            let secrets: Api<Secret> = Api::namespaced(client, &account.namespace);
            secrets.patch(name, &params, &patch).await.map(drop)
        }
    };
    applied.map_err(|error| {
        let what = format!("writing {:?} {}", manifest.kind(), manifest.name());
        explain(refused_by(connection.server(), &what, error))
    })?;
    if let Manifest::Secret { name, account } = manifest {
        wait_for_secret(connection, account, name).await?;
    }
    Ok(())
}

pub(super) fn explain(error: ClusterError) -> Error {
    match &error {
        ClusterError::Forbidden { .. } => Error::failed("these credentials don't reach the reviewer's objects")
            .because(error)
            .forbidden()
            .remedy(
                "ask for `get`, `create` and `patch` on namespaces, serviceaccounts, secrets and clusterrolebindings, `create` on \
                 serviceaccounts/token, and all that system:auth-delegator may do: nobody can bind a role that allows \
                 more than they may do themselves",
            )
            .remedy("or let somebody who may do this run `vaultk8s bootstrap` once"),
        ClusterError::Refused { code: 409, .. } => {
            Error::failed("somebody else has the last word on an object of the reviewer")
                .because(error)
                .remedy("look at who manages it: `kubectl get … -o yaml --show-managed-fields`")
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::subject;

    fn bound(account: &ServiceAccountRef, owner: Option<&str>) -> Manifest {
        let owner = owner.map(|owner| owner.parse().unwrap());
        Manifest::ClusterRoleBinding { name: "b".into(), subjects: vec![subject(account)], owner, taken_over: false }
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
    fn manifests_are_read_back_as_they_were_saved() {
        let account: ServiceAccountRef = "vault-auth/vault-auth".parse().unwrap();
        for manifest in [
            Manifest::Namespace { name: "vault-auth".into() },
            Manifest::ServiceAccount { account: account.clone() },
            bound(&account, None),
            bound(&account, Some("team-a")),
            Manifest::Secret { name: "t".into(), account },
        ] {
            let saved = serde_json::to_string(&manifest).unwrap();
            assert_eq!(serde_json::from_str::<Manifest>(&saved).unwrap(), manifest, "{saved}");
        }
    }
}
