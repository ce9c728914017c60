//! What the reviewer needs in its cluster: a namespace, a service account, its binding to `system:auth-delegator`, and a
//! Secret for a token that doesn't expire.
//!
//! Objects are written by server-side apply, with nothing in them but what this tool needs, and compared by that alone:
//! labels, further subjects and annotations of others are none of its business.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, Subject};
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::access::powers;
use super::connect::Connection;
use super::error::{ClusterError, refused_by};
use super::reviewer_token::{digest, secret_token, wait_for_secret};
use crate::config::{Reviewer, ReviewerToken};
use crate::error::{Error, Result};
use crate::names::ServiceAccountRef;

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
        /// Its subjects: those that are there, and the account. A list that the API server replaces as a whole.
        subjects: Vec<Subject>,
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
#[derive(Debug, Clone, Default)]
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
    pub powers: Option<Vec<&'static str>>,
}

/// A `ClusterRoleBinding`, as far as it matters.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObservedBinding {
    /// `kind/name` of its role, which can't be changed.
    pub role: String,
    /// Its subjects.
    pub subjects: Vec<Subject>,
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

/// A Secret, without what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
pub fn is_subject(subject: &Subject, account: &ServiceAccountRef) -> bool {
    subject.kind == "ServiceAccount"
        && subject.name == account.name
        && subject.namespace.as_ref() == Some(&account.namespace)
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
            Self::ClusterRoleBinding { name, subjects } => json!({
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRoleBinding",
                "metadata": { "name": name },
                "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": AUTH_DELEGATOR },
                "subjects": subjects,
            }),
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
        binding: binding.map(|binding| ObservedBinding {
            role: format!("{}/{}", binding.role_ref.kind, binding.role_ref.name),
            subjects: binding.subjects.unwrap_or_default(),
        }),
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

/// Writes an object (server-side apply), and waits for the token of a Secret.
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
        Manifest::ClusterRoleBinding { name, subjects } => {
            bind(&Api::all(client), name, subjects, document.clone()).await
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

/// Writes a binding. The API server takes its list of subjects as a whole, so it is read once more, and written in place of what
/// was read: whoever was bound meanwhile stays.
async fn bind(
    bindings: &Api<ClusterRoleBinding>,
    name: &str,
    planned: &[Subject],
    mut document: Value,
) -> kube::Result<()> {
    const TRIES: usize = 5;
    let params = PatchParams::apply(FIELD_MANAGER).force();
    for attempt in 1.. {
        if let Some(there) = bindings.get_opt(name).await? {
            let mut subjects = there.subjects.unwrap_or_default();
            // The account is the last of those that were planned.
            let account = planned.last().filter(|account| !subjects.contains(account));
            subjects.extend(account.cloned());
            document["subjects"] = json!(subjects);
            document["metadata"]["resourceVersion"] = json!(there.metadata.resource_version);
        }
        match bindings.patch(name, &params, &Patch::Apply(&document)).await {
            Err(kube::Error::Api(status)) if status.code == 409 && attempt < TRIES => {}
            written => return written.map(drop),
        }
    }
    Ok(())
}

pub(super) fn explain(error: ClusterError) -> Error {
    match &error {
        ClusterError::Forbidden { .. } => Error::failed("these credentials don't reach the reviewer's objects")
            .because(error)
            .forbidden()
            .remedy(
                "ask for `get` and `patch` on namespaces, serviceaccounts, secrets and clusterrolebindings, `create` on \
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

    #[test]
    fn manifests_hold_what_is_needed_and_nothing_else() {
        let account: ServiceAccountRef = "vault-auth/vault-auth".parse().unwrap();
        let binding = Manifest::ClusterRoleBinding { name: "b".into(), subjects: vec![subject(&account)] };
        let document = binding.document();
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
            Manifest::ClusterRoleBinding { name: "b".into(), subjects: vec![subject(&account)] },
            Manifest::Secret { name: "t".into(), account },
        ] {
            let saved = serde_json::to_string(&manifest).unwrap();
            assert_eq!(serde_json::from_str::<Manifest>(&saved).unwrap(), manifest, "{saved}");
        }
    }
}
