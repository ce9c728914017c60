//! Which stores use which role.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use super::external_secret::ExternalSecret;
use super::store_object::{Store, StoreAccount, plain_namespace};
use super::store_scene::StoreScene;
use super::trust::{trusted, vault_at};
use crate::config::nearest;
use crate::model::AuthMethod;
use crate::names::{RoleName, ServiceAccountRef, StoredName};
use crate::verify::facts::mount::RoleNames;
use crate::verify::facts::stores::{LeadsToRole, is_nowhere};
use crate::verify::facts::{Facts, Known, Knows, all, some};
use crate::verify::scene::{ClusterScene, RoleScene, read_role};

/// A cluster, and the stores in it whose login leads to no role.
pub(crate) struct AstrayScene {
    pub(crate) cluster: Arc<ClusterScene>,
    /// `None` where they were not looked for.
    pub(crate) stores: Option<Vec<Astray>>,
}

impl Knows for AstrayScene {
    fn facts(&self) -> &Facts {
        self.cluster.facts()
    }
}

/// A store whose login leads to no role.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Astray {
    pub(crate) store: Store,
    /// The roles that it shares its mount or its account with.
    pub(crate) akin: BTreeSet<RoleName>,
}

/// The stores of a cluster, by what they have to do with the roles.
pub(crate) struct Uses {
    /// Those that use one of the roles, each with the place of that role and what refers to it.
    pub(crate) found: Vec<(usize, Store, Vec<ExternalSecret>)>,
    /// Those that were probably meant to.
    pub(crate) astray: Vec<Astray>,
}

/// The stores of a cluster that have to do with the roles; `None` where they can't be seen.
pub(crate) fn uses(cluster: &Arc<ClusterScene>, roles: &[Arc<RoleScene>]) -> Known<Option<Uses>> {
    let Some(Ok(Some(installed))) = cluster.external_secrets()? else { return Ok(None) };
    // Whichever entry of the file leads here: a store that is of another entry's role is no stranger to this one.
    let here: Vec<(usize, &Arc<RoleScene>)> =
        roles.iter().enumerate().filter(|(_, role)| is_same(&role.mount.cluster, cluster)).collect();
    let used: Vec<Use> = all(installed.stores.iter().map(|store| use_of(store, &here)))?;
    let (mut found, mut astray) = (Vec::new(), Vec::new());
    for (store, used) in installed.stores.iter().zip(used) {
        match used {
            // The entry of the role tells of it.
            Use::Of(at) if tells(&roles[at].mount.cluster, cluster)? => {}
            Use::Of(at) => {
                let secrets = installed.secrets.iter().filter(|secret| secret.uses(store)).cloned().collect();
                found.push((at, store.clone(), secrets));
            }
            Use::Astray(store) => astray.push(*store),
            Use::Other => {}
        }
    }
    Ok(Some(Uses { found, astray }))
}

/// Whether another entry of the file tells of the stores of a cluster: it may lead there with credentials that see none.
fn tells(other: &Arc<ClusterScene>, cluster: &Arc<ClusterScene>) -> Known<bool> {
    Ok(!Arc::ptr_eq(other, cluster) && matches!(other.external_secrets()?, Some(Ok(Some(_)))))
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

fn use_of(store: &Store, roles: &[(usize, &Arc<RoleScene>)]) -> Known<Use> {
    let Some((_, any)) = roles.first() else { return Ok(Use::Other) };
    // Any of them leads to this Vault and this cluster.
    let scene = StoreScene { role: Arc::clone(any), store: store.clone(), secrets: Vec::new() };
    Ok(match role_of(&scene, roles)? {
        Some(_) if works_elsewhere(&scene)? => Use::Other,
        Some(at) => Use::Of(at),
        None => astray(&scene, roles)?.map_or(Use::Other, |store| Use::Astray(Box::new(store))),
    })
}

/// Whether it names that role; the server reads names of roles in lower case.
pub(super) fn names_role(store: &Store, name: &RoleName) -> bool {
    store.auth.role.eq_ignore_ascii_case(name.as_str())
}

fn at_mount(store: &Store, role: &RoleScene) -> bool {
    role.mount.path.as_str() == store.auth.mount
}

fn as_account(store: &Store, role: &RoleScene) -> bool {
    let is_it = match (&store.auth.account, &role.account) {
        (StoreAccount::Named(named), Some(account)) => named == account,
        (StoreAccount::OfEach(name), Some(account)) => *name == account.name,
        _ => false,
    };
    // Whoever has the name may be of a namespace with the labels.
    let may_be = match (&store.auth.account, &role.labelled) {
        (StoreAccount::Named(ServiceAccountRef { name, .. }) | StoreAccount::OfEach(name), Some(labelled)) => {
            labelled.has_name(name)
        }
        _ => false,
    };
    is_it || may_be
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
fn role_of(scene: &StoreScene, roles: &[(usize, &Arc<RoleScene>)]) -> Known<Option<usize>> {
    let store = &scene.store;
    let named = roles.iter().filter(|(_, role)| names_role(store, &role.name));
    // `max_by_key` takes the last of several, which come in the order of the file.
    if let Some((at, role)) = named.rev().max_by_key(|(_, role)| (at_mount(store, role), as_account(store, role))) {
        if at_mount(store, role) {
            return Ok(Some(*at));
        }
        // Of two roles of one name, on two mounts, the account tells which was meant; without it, that there is no other.
        let other = leads_to_a_role(scene)?;
        let meant = match other {
            Some(there) => !there && (as_account(store, role) || is_near(store, role) && asks_this_vault(scene)?),
            None => as_account(store, role) && !store.is_ready(),
        };
        return Ok(meant.then_some(*at));
    }
    let candidates: Vec<_> =
        roles.iter().filter(|(_, role)| at_mount(store, role) && as_account(store, role)).collect();
    let (_, role) = some!(candidates.first());
    if !store.auth.role.is_empty() && !is_nowhere(&read_role(&role.mount, &store.auth.role, 0)?) {
        return Ok(None);
    }
    let all = scene.facts().get(&RoleNames { mount: role.mount.path.clone() })?;
    let all = all.as_ref().ok().and_then(Option::as_ref);
    let there: Option<Vec<&str>> = all.map(|all| all.iter().map(StoredName::as_str).collect());
    Ok(meant_by(&store.auth.role, &candidates, there.as_deref()))
}

/// The role that a store means which shares its account with these, and names one that isn't there. Many apps may share an account: the mount
/// has no other role, or one that is called nearly like that, or it can only be guessed.
fn meant_by(named: &str, candidates: &[&(usize, &Arc<RoleScene>)], all: Option<&[&str]>) -> Option<usize> {
    let all = all?;
    let meant = if all.len() == 1 { all.first().copied() } else { only_near(named, all) }?;
    candidates.iter().find(|(_, role)| role.name.as_str().eq_ignore_ascii_case(meant)).map(|(at, _)| *at)
}

/// The one of these names that is nearly this one.
fn only_near<'a>(wanted: &str, names: &[&'a str]) -> Option<&'a str> {
    let closest = nearest(wanted, names.iter().copied()).filter(|_| !wanted.is_empty())?;
    // Of `app-1` and `app-2` neither is meant more than the other by `app-3`.
    let others = names.iter().copied().filter(|name| *name != closest);
    nearest(wanted, others).is_none().then_some(closest)
}

/// Whether the mount that a store names, in its own namespace of this Vault, has a role of that name: then it is that
/// one which it uses. `None` where that can't be seen.
fn leads_to_a_role(scene: &StoreScene) -> Known<Option<bool>> {
    let auth = &scene.store.auth;
    if auth.role.is_empty() && auth.method == AuthMethod::Jwt {
        // The mount may have one of its own for those that name none.
        return Ok(None);
    }
    let Ok(path) = auth.mount.parse() else { return Ok(Some(false)) };
    if auth.role.is_empty() {
        return Ok(Some(false));
    }
    let namespace = scene.store.login_namespace().map(str::to_owned);
    scene.facts().get(&LeadsToRole { namespace, mount: path, role: auth.role.clone() }).copied()
}

/// Whether the server that a store names is this Vault, and the namespace that of the roles.
fn asks_this_vault(scene: &StoreScene) -> Known<bool> {
    let vault = &scene.role.mount.vault;
    let Ok(url) = scene.store.vault.server.parse::<Url>() else { return Ok(false) };
    Ok(plain_namespace(vault.namespace()) == scene.store.login_namespace()
        && (place(&url) == place(vault.url()) || matches!(same_vault(scene, &url)?, Some(true))))
}

/// Whether a store is of another Vault or namespace, and content there: roles and mounts are often called the same.
fn works_elsewhere(scene: &StoreScene) -> Known<bool> {
    let (store, vault) = (&scene.store, &scene.role.mount.vault);
    if !store.is_ready() {
        return Ok(false);
    }
    if plain_namespace(vault.namespace()) != store.login_namespace() {
        return Ok(leads_to_a_role(scene)? != Some(false));
    }
    Ok(match store.vault.server.parse::<Url>() {
        Ok(url) if place(&url) != place(vault.url()) => same_vault(scene, &url)? == Some(false),
        _ => false,
    })
}

/// A store whose login leads nowhere, though it has to do with the roles.
fn astray(scene: &StoreScene, roles: &[(usize, &Arc<RoleScene>)]) -> Known<Option<Astray>> {
    let store = &scene.store;
    let akin = roles.iter().filter(|(_, role)| at_mount(store, role) || as_account(store, role));
    let akin: BTreeSet<RoleName> = akin.map(|(_, role)| role.name.clone()).collect();
    let lost =
        !akin.is_empty() && !store.is_ready() && leads_to_a_role(scene)? == Some(false) && asks_this_vault(scene)?;
    Ok(lost.then(|| Astray { store: store.clone(), akin }))
}

/// Host and port.
pub(super) fn place(url: &Url) -> (Option<&str>, Option<u16>) {
    (url.host_str(), url.port_or_known_default())
}

/// Whether what answers at a URL, for the CA of a store, is this Vault; `None` where that can't be told.
fn same_vault(scene: &StoreScene, url: &Url) -> Known<Option<bool>> {
    let ours = &some!(scene.role.mount.vault.seal()?.as_ref().ok()).cluster_id;
    let authorities = some!(trusted(scene)?.ok());
    let theirs = some!(vault_at(scene, url, authorities.as_ref())?.as_ref().ok());
    Ok((!ours.is_empty() && !theirs.is_empty()).then_some(theirs == ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_near_to_one_alone_or_to_none() {
        for (wanted, names, near) in [
            ("r-wrker", &["r-api", "r-worker"][..], Some("r-worker")),
            ("nobody", &["r-api", "r-worker"], None),
            ("app-3", &["app-1", "app-2"], None),
            ("", &["r-api"], None),
        ] {
            assert_eq!(only_near(wanted, names), near, "{wanted}");
        }
    }
}
