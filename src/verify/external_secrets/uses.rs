//! Which stores use which role.

use std::sync::Arc;

use serde_json::{Value, json};

use super::external_secret::ExternalSecret;
use super::store_object::{Store, StoreAccount};
use crate::names::RoleName;
use crate::vault::method;
use crate::verify::finding::{Finding, quoted};
use crate::verify::scene::{ClusterScene, MountScene, RoleScene, read_role};

/// A store that uses a role, and what refers to it.
pub(crate) struct StoreScene {
    pub(crate) role: Arc<RoleScene>,
    pub(crate) store: Store,
    pub(crate) secrets: Vec<ExternalSecret>,
}

/// The stores of a cluster that use one of the roles, each with the place of that role, and how often its secrets are
/// refreshed at the rarest, in seconds.
pub(crate) async fn uses(
    cluster: &Arc<ClusterScene>,
    roles: &[Arc<RoleScene>],
) -> Vec<(usize, Store, Vec<ExternalSecret>)> {
    let Some(Ok(Some(installed))) = cluster.external_secrets().await else { return Vec::new() };
    let here: Vec<(usize, &RoleScene)> = roles
        .iter()
        .enumerate()
        .filter(|(_, role)| Arc::ptr_eq(&role.mount.cluster, cluster))
        .map(|(at, role)| (at, &**role))
        .collect();
    let mut found = Vec::new();
    for store in &installed.stores {
        if let Some(at) = role_of(store, &here).await {
            let secrets = installed.secrets.iter().filter(|secret| secret.uses(store)).cloned().collect();
            found.push((at, store.clone(), secrets));
        }
    }
    found
}

/// The role that a store uses, or was meant to use.
async fn role_of(store: &Store, roles: &[(usize, &RoleScene)]) -> Option<usize> {
    let at_mount = |role: &RoleScene| role.mount.path.as_str() == store.auth.mount;
    let as_account = |role: &RoleScene| match (&store.auth.account, &role.account) {
        (StoreAccount::Named(named), Some(account)) => named == account,
        (StoreAccount::OfEach(name), Some(account)) => *name == account.name,
        _ => false,
    };
    let named = roles.iter().filter(|(_, role)| role.name.as_str() == store.auth.role);
    // `max_by_key` takes the last of several, which come in the order of the file.
    if let Some((at, role)) = named.rev().max_by_key(|(_, role)| (at_mount(role), as_account(role))) {
        // Of two roles of one name, on two mounts, the account tells which was meant.
        let meant = at_mount(role) || (as_account(role) && !is_there(store, &role.mount).await);
        return meant.then_some(*at);
    }
    let (at, role) = roles.iter().find(|(_, role)| at_mount(role) && as_account(role))?;
    // A name that no role can have, such as none at all, is not there either.
    let Ok(name) = store.auth.role.parse::<RoleName>() else { return Some(*at) };
    matches!(read_role(&role.mount, &name).await, Ok(None)).then_some(*at)
}

/// Whether the mount that a store names has a role of that name: then it is that one which it uses.
async fn is_there(store: &Store, mount: &MountScene) -> bool {
    let (Ok(path), Ok(role)) = (store.auth.mount.parse(), store.auth.role.parse()) else { return false };
    let client = &mount.vault.client;
    let request = method::read_role::<serde::de::IgnoredAny>(&path, &role);
    store.login_namespace() == client.namespace() && matches!(client.find(&request).await, Ok(Some(_)))
}

impl StoreScene {
    /// A failure, with what the store itself says.
    pub(super) fn failed(&self, detail: impl Into<String>, values: [(&str, String); 2]) -> Finding {
        let finding =
            values.into_iter().fold(Finding::failed(detail), |finding, (what, value)| finding.with(what, value));
        match &self.store.ready {
            Some(ready) if ready.denies() => finding.with("the store says", ready.to_string()),
            _ => finding,
        }
    }

    /// A command for the store.
    fn kubectl(&self, verb: &str) -> String {
        let (kubectl, name) = (self.role.mount.cluster.kubectl(), quoted(&self.store.name));
        match &self.store.namespace {
            None => format!("{kubectl} {verb} clustersecretstore {name}"),
            Some(namespace) => format!("{kubectl} -n {} {verb} secretstore {name}", quoted(namespace)),
        }
    }

    /// The command that shows the store and its events.
    pub(super) fn describe(&self) -> String {
        self.kubectl("describe")
    }

    /// The beginning of a command that changes the store.
    fn patch_of(&self) -> String {
        format!("{} --type merge -p", self.kubectl("patch"))
    }

    /// The command that changes fields of the store's provider.
    pub(super) fn patch(&self, fields: &Value) -> String {
        let patch = json!({ "spec": { "provider": { "vault": fields } } });
        format!("{} {}", self.patch_of(), quoted(&patch.to_string()))
    }

    /// The command that gives the store Vault's CA, from the file that `VAULT_CACERT` names.
    pub(super) fn patch_ca(&self) -> String {
        let patch = json!({ "spec": { "provider": { "vault": { "caBundle": "CA" } } } }).to_string();
        let patch = patch.replace("CA\"", r#"'"$(base64 < "$VAULT_CACERT" | tr -d '\n')"'""#);
        format!("{} '{patch}'", self.patch_of())
    }
}
