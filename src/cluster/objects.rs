//! What the reviewer needs in its cluster: a namespace, a service account, its binding to `system:auth-delegator`, and a
//! Secret for a token that doesn't expire.
//!
//! Objects are made by server-side apply, with nothing in them but what this tool needs, and compared by that alone: labels,
//! further subjects and annotations of others are none of its business. One that is there is used; only a [binding](super::binding)
//! is ever changed.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{Api, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::access::{getting_namespaces, may, powers};
use super::binding::{self, Wanted};
use super::connect::Connection;
use super::error::explain;
use super::reviewer_token::{secret_token, wait_for_secret};
use crate::config::{Reviewer, ReviewerToken};
use crate::error::{Error, Result};
use crate::model::{
    AUTH_DELEGATOR, FIELD_MANAGER, Manifest, ObservedBinding, ObservedClusterRole, ObservedNamespaceRights,
    ObservedReviewer, ObservedSecret, SECRET_OF_ACCOUNT, TOKEN_SECRET, digest,
};
use crate::names::ServiceAccountRef;

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
    .map_err(|error| explain(connection.refused(&format!("the objects of {account}"), error)))?;
    let namespaces = if reviewer.reads_namespaces { Some(namespace_rights(connection, reviewer).await?) } else { None };
    let powers = if found.is_some() { powers(connection, account).await } else { None };
    Ok(ObservedReviewer {
        powers,
        namespace: namespace.is_some(),
        account: found.map(|found| found.metadata.annotations.unwrap_or_default()),
        unread: None,
        elsewhere: None,
        namespaces,
        binding: binding.map(ObservedBinding::of),
        secret: secret.map(|secret| ObservedSecret {
            token: secret_token(&secret).map(|token| digest(&token)),
            account: secret.metadata.annotations.and_then(|mut all| all.remove(SECRET_OF_ACCOUNT)),
            kind: secret.type_.unwrap_or_default(),
        }),
    })
}

/// What lets a reviewer read the labels of namespaces.
async fn namespace_rights(connection: &Connection, reviewer: &Reviewer) -> Result<ObservedNamespaceRights> {
    let name = reviewer.namespaces_name();
    let roles: Api<ClusterRole> = Api::all(connection.client());
    let bindings: Api<ClusterRoleBinding> = Api::all(connection.client());
    let objects = async { futures::try_join!(roles.get_opt(&name), bindings.get_opt(&name)) };
    let (objects, may) = futures::join!(objects, may(connection, &reviewer.service_account, getting_namespaces(None)));
    let (role, binding) = objects
        .map_err(|error| explain(connection.refused(&format!("the ClusterRole {name} and its binding"), error)))?;
    let (role, binding) = (role.map(ObservedClusterRole::of), binding.map(ObservedBinding::of));
    Ok(ObservedNamespaceRights { may, role, binding })
}

/// The names of the Secrets that hold a token of a service account, in order.
///
/// # Errors
/// When the API server can't be reached or refuses.
pub async fn token_secrets(connection: &Connection, account: &ServiceAccountRef) -> Result<BTreeSet<String>> {
    let secrets: Api<Secret> = Api::namespaced(connection.client(), &account.namespace);
    let listed = secrets.list_metadata(&ListParams::default().fields(&format!("type={TOKEN_SECRET}"))).await;
    let what = format!("listing the Secrets in {}", account.namespace);
    let listed = listed.map_err(|error| connection.refused(&what, error))?;
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
    let bindings = bindings.map_err(|error| connection.refused("the clusterrolebindings", error))?;
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
        Manifest::ClusterRole { name, .. } => return apply_role(connection, name, document).await,
        Manifest::ClusterRoleBinding { name, role, subjects, owner, taken_over } => {
            let wanted = Wanted { name, role, subjects, owner: owner.as_ref(), taken_over: *taken_over };
            return binding::bind(connection, wanted).await;
        }
        Manifest::Secret { name, account } => {
            let secrets: Api<Secret> = Api::namespaced(client, &account.namespace);
            secrets.patch(name, &params, &patch).await.map(drop)
        }
    };
    applied.map_err(|error| {
        let what = format!("writing {:?} {}", manifest.kind(), manifest.name());
        explain(connection.refused(&what, error))
    })?;
    if let Manifest::Secret { name, account } = manifest {
        wait_for_secret(connection, account, name).await?;
    }
    Ok(())
}

/// Writes a `ClusterRole`, unless another tool made one of its name since this was planned: its rules would be lost.
async fn apply_role(connection: &Connection, name: &str, mut document: Value) -> Result<()> {
    let roles: Api<ClusterRole> = Api::all(connection.client());
    let failed = |error| explain(connection.refused(&format!("writing ClusterRole {name}"), error));
    let mut params = PatchParams::apply(FIELD_MANAGER);
    if let Some(there) = roles.get_opt(name).await.map_err(failed)? {
        let version = there.metadata.resource_version.clone();
        let there = ObservedClusterRole::of(there);
        if !there.own && there.gives && !there.wider {
            return Ok(());
        }
        if !there.own {
            return Err(Error::failed(format!(
                "the ClusterRole {name} is not what it was when this was planned: another tool made it"
            ))
            .remedy("run it again, and look at the plan"));
        }
        // What somebody made of its rules is what is mended; of this version alone, in which that was seen.
        document["metadata"]["resourceVersion"] = json!(version);
        params = params.force();
    }
    // Without force, one that is made at this very moment with other rules is a conflict.
    roles.patch(name, &params, &Patch::Apply(&document)).await.map(drop).map_err(failed)
}
