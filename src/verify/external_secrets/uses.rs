//! Which stores use which role.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde_json::{Value, json};
use url::Url;

use super::external_secret::ExternalSecret;
use super::store_object::{Store, StoreAccount, plain_namespace};
use super::trust::{cluster_of, trusted};
use crate::names::RoleName;
use crate::vault::{AuthMethod, VaultError, auth_mounts, method};
use crate::verify::finding::{Finding, quoted};
use crate::verify::scene::{ClusterScene, RoleScene, read_role};

/// A store that uses a role, and what refers to it.
pub(crate) struct StoreScene {
    pub(crate) role: Arc<RoleScene>,
    pub(crate) store: Store,
    pub(crate) secrets: Vec<ExternalSecret>,
}

/// A store whose login leads to no role.
#[derive(Debug)]
pub(crate) struct Astray {
    pub(crate) store: Store,
    /// The roles that it shares its mount or its account with.
    pub(crate) akin: BTreeSet<RoleName>,
}

/// The stores of a cluster that use one of the roles, each with the place of that role and what refers to it. Those that
/// were probably meant to use one of them are left with the cluster.
pub(crate) async fn uses(
    cluster: &Arc<ClusterScene>,
    roles: &[Arc<RoleScene>],
) -> Vec<(usize, Store, Vec<ExternalSecret>)> {
    let Some(Ok(Some(installed))) = cluster.external_secrets().await else { return Vec::new() };
    // Whichever entry of the file leads here: a store that is of another entry's role is no stranger to this one.
    let here: Vec<(usize, &Arc<RoleScene>)> =
        roles.iter().enumerate().filter(|(_, role)| is_same(&role.mount.cluster, cluster)).collect();
    let used = installed.stores.iter().map(|store| use_of(store, &here));
    let (mut found, mut astray) = (Vec::new(), Vec::new());
    for (store, used) in installed.stores.iter().zip(futures::future::join_all(used).await) {
        match used {
            // The entry of the role tells of it.
            Use::Of(at) if tells(&roles[at].mount.cluster, cluster).await => {}
            Use::Of(at) => {
                let secrets = installed.secrets.iter().filter(|secret| secret.uses(store)).cloned().collect();
                found.push((at, store.clone(), secrets));
            }
            Use::Astray(store) => astray.push(*store),
            Use::Other => {}
        }
    }
    cluster.leave_astray(astray);
    found
}

/// Whether another entry of the file tells of the stores of a cluster: it may lead there with credentials that see none.
async fn tells(other: &Arc<ClusterScene>, cluster: &Arc<ClusterScene>) -> bool {
    !Arc::ptr_eq(other, cluster) && matches!(other.external_secrets().await, Some(Ok(Some(_))))
}

/// Whether two entries of the file lead to the same cluster.
fn is_same(one: &Arc<ClusterScene>, other: &Arc<ClusterScene>) -> bool {
    let server = |cluster: &ClusterScene| cluster.connected().map(|connection| connection.server().to_owned());
    Arc::ptr_eq(one, other) || server(one).is_some_and(|one| Some(one) == server(other))
}

/// What a store has to do with the roles that are looked at.
enum Use {
    /// It uses the one at this place, or was meant to.
    Of(usize),
    /// It uses no role at all, and shares a mount or an account with these.
    Astray(Box<Astray>),
    /// Nothing.
    Other,
}

async fn use_of(store: &Store, roles: &[(usize, &Arc<RoleScene>)]) -> Use {
    let Some((_, any)) = roles.first() else { return Use::Other };
    // Any of them leads to this Vault and this cluster.
    let scene = StoreScene { role: Arc::clone(any), store: store.clone(), secrets: Vec::new() };
    match role_of(&scene, roles).await {
        Some(_) if works_elsewhere(&scene).await => Use::Other,
        Some(at) => Use::Of(at),
        None => astray(&scene, roles).await.map_or(Use::Other, |store| Use::Astray(Box::new(store))),
    }
}

/// Whether it names that role; the server reads names of roles in lower case.
pub(super) fn names_role(store: &Store, name: &RoleName) -> bool {
    store.auth.role.eq_ignore_ascii_case(name.as_str())
}

fn at_mount(store: &Store, role: &RoleScene) -> bool {
    role.mount.path.as_str() == store.auth.mount
}

fn as_account(store: &Store, role: &RoleScene) -> bool {
    match (&store.auth.account, &role.account) {
        (StoreAccount::Named(named), Some(account)) => named == account,
        (StoreAccount::OfEach(name), Some(account)) => *name == account.name,
        _ => false,
    }
}

/// Whether nothing says that a store is of somebody else, who may have roles of the same name.
fn is_near(store: &Store, role: &RoleScene) -> bool {
    match (&store.auth.account, &role.account) {
        (StoreAccount::Named(named), Some(account)) => named.namespace == account.namespace,
        (StoreAccount::OfEach(name), Some(account)) => *name == account.name,
        (StoreAccount::Operator | StoreAccount::Token, _) => true,
        (_, None) => false,
    }
}

/// The role that a store uses, or was meant to use.
async fn role_of(scene: &StoreScene, roles: &[(usize, &Arc<RoleScene>)]) -> Option<usize> {
    let store = &scene.store;
    let named = roles.iter().filter(|(_, role)| names_role(store, &role.name));
    // `max_by_key` takes the last of several, which come in the order of the file.
    if let Some((at, role)) = named.rev().max_by_key(|(_, role)| (at_mount(store, role), as_account(store, role))) {
        if at_mount(store, role) {
            return Some(*at);
        }
        // Of two roles of one name, on two mounts, the account tells which was meant; without it, that there is no other.
        let other = leads_to_a_role(scene).await;
        let meant = match other {
            Some(there) => !there && (as_account(store, role) || is_near(store, role) && asks_this_vault(scene).await),
            None => as_account(store, role) && !store.is_ready(),
        };
        return meant.then_some(*at);
    }
    let (at, role) = roles.iter().find(|(_, role)| at_mount(store, role) && as_account(store, role))?;
    if store.auth.role.is_empty() {
        return Some(*at);
    }
    is_nowhere(&read_role(&role.mount, &store.auth.role).await).then_some(*at)
}

/// Whether a mount has no role of a name: also where no role can have it, which the server then has no path for.
fn is_nowhere<T>(found: &Result<Option<T>, VaultError>) -> bool {
    matches!(found, Ok(None) | Err(VaultError::NotFound { .. } | VaultError::Unsendable { .. }))
}

/// Whether the mount that a store names, in its own namespace of this Vault, has a role of that name: then it is that
/// one which it uses. `None` where that can't be seen.
async fn leads_to_a_role(scene: &StoreScene) -> Option<bool> {
    let auth = &scene.store.auth;
    if auth.role.is_empty() && auth.method == AuthMethod::Jwt {
        // The mount may have one of its own for those that name none.
        return None;
    }
    let Ok(path) = auth.mount.parse() else { return Some(false) };
    if auth.role.is_empty() {
        return Some(false);
    }
    let client = scene.role.mount.vault.client.with_namespace(scene.store.login_namespace());
    let found = client.find(&method::read_role::<IgnoredAny>(&path, &auth.role)).await;
    if found.is_ok() || is_nowhere(&found) {
        return Some(!is_nowhere(&found));
    }
    // What may be read is often named mount by mount: one that isn't there is refused like any other.
    let mounts = client.send(&auth_mounts::list()).await.ok()?.data;
    (!mounts.contains_key(&format!("{path}/"))).then_some(false)
}

/// Whether the server that a store names is this Vault, and the namespace that of the roles.
async fn asks_this_vault(scene: &StoreScene) -> bool {
    let vault = &scene.role.mount.vault;
    let Ok(url) = scene.store.vault.server.parse::<Url>() else { return false };
    plain_namespace(vault.client.namespace()) == scene.store.login_namespace()
        && (place(&url) == place(vault.client.address()) || matches!(same_vault(scene, &url).await, Some(true)))
}

/// Whether a store is of another Vault or namespace, and content there: roles and mounts are often called the same.
async fn works_elsewhere(scene: &StoreScene) -> bool {
    let (store, vault) = (&scene.store, &scene.role.mount.vault);
    if !store.is_ready() {
        return false;
    }
    if plain_namespace(vault.client.namespace()) != store.login_namespace() {
        return leads_to_a_role(scene).await != Some(false);
    }
    match store.vault.server.parse::<Url>() {
        Ok(url) if place(&url) != place(vault.client.address()) => same_vault(scene, &url).await == Some(false),
        _ => false,
    }
}

/// A store whose login leads nowhere, though it has to do with the roles.
async fn astray(scene: &StoreScene, roles: &[(usize, &Arc<RoleScene>)]) -> Option<Astray> {
    let store = &scene.store;
    let akin = roles.iter().filter(|(_, role)| at_mount(store, role) || as_account(store, role));
    let akin: BTreeSet<RoleName> = akin.map(|(_, role)| role.name.clone()).collect();
    let lost = !akin.is_empty()
        && !store.is_ready()
        && leads_to_a_role(scene).await == Some(false)
        && asks_this_vault(scene).await;
    lost.then(|| Astray { store: store.clone(), akin })
}

/// Host and port.
pub(super) fn place(url: &Url) -> (Option<&str>, Option<u16>) {
    (url.host_str(), url.port_or_known_default())
}

/// Whether what answers at a URL, for the CA of a store, is this Vault; `None` where that can't be told.
async fn same_vault(scene: &StoreScene, url: &Url) -> Option<bool> {
    let ours = &scene.role.mount.vault.seal().await.as_ref().ok()?.cluster_id;
    let authorities = trusted(scene).await.ok()?;
    let theirs = cluster_of(url, authorities.as_ref()).await.ok()?;
    (!ours.is_empty() && !theirs.is_empty()).then_some(theirs == *ours)
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

    /// The command that changes the store step by step (RFC 6902).
    pub(super) fn patch_by_steps(&self, steps: &Value) -> String {
        format!("{} --type json -p {}", self.kubectl("patch"), quoted(&steps.to_string()))
    }

    /// The command that gives the store Vault's CA, from the file that it is in here.
    pub(super) fn patch_ca(&self) -> String {
        let patch = json!({ "spec": { "provider": { "vault": { "caBundle": "CA" } } } }).to_string();
        let read = format!(r#"'"$(base64 < {} | tr -d '\n')"'""#, self.ca_file());
        format!("{} '{}'", self.patch_of(), patch.replace("CA\"", &read))
    }

    /// The file of Vault's CA, as a shell takes it.
    pub(super) fn ca_file(&self) -> String {
        match self.role.mount.vault.client.ca_file() {
            Some(file) => quoted(&std::path::absolute(file).unwrap_or_else(|_| file.to_owned()).display().to_string()),
            None => "CA.pem".to_owned(),
        }
    }

    /// The words for a command that takes Vault's CA from its file.
    pub(super) fn with_ca(&self, text: &str) -> String {
        match self.role.mount.vault.client.ca_file() {
            Some(_) => text.to_owned(),
            // The system's authorities, or several files.
            None => format!("{text}; put the CA into CA.pem first"),
        }
    }
}
