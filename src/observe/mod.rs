//! Reading what Vault holds now: few requests, many at once.

mod fallen;
mod filtered;

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{StreamExt, TryStreamExt, iter};

use crate::desired::{Desired, DesiredMount};
use crate::error::{Error, Result};
use crate::model::{AuthMount, Observed, ObservedMount, StoredPolicy, Unlisted};
use crate::names::{MountPath, Owner, PolicyName, RoleName, StoredName};
use crate::ownership::{self, Inventories, Inventory, Mark, Place, There};
use crate::vault::{Client, VaultError, auth_mounts, configurations, inventories, kv, policies, roles};

/// Reads everything that the desired state touches, with at most `parallelism` requests at a time, and each role beside
/// those of the file: whom it lets in is the file's business. With `prune` also the policies of a server that has no list of
/// their texts.
///
/// # Errors
/// When Vault can't be reached or refuses; a refusal says which rule is missing.
pub async fn observe(client: &Client, desired: &Desired, prune: bool, parallelism: usize) -> Result<Observed> {
    let observation = async {
        let mut observed = Observed::default();
        let policies = read_policies(client, desired, prune, parallelism, &mut observed);
        let (mounts, listed) = futures::try_join!(auth_mounts(client), policies)?;
        observed.auth_mounts = mounts;
        let there = desired.mounts.iter().filter(|mount| {
            let there = observed.auth_mounts.get(mount.path.as_str());
            there.is_some_and(|there| there.kind == mount.method.as_str())
        });
        let one = async |mount: &DesiredMount| {
            Ok::<_, VaultError>((mount.path.clone(), read_mount(client, mount, desired.alone, parallelism).await?))
        };
        observed.mounts = futures::future::try_join_all(there.map(one)).await?.into_iter().collect();
        if let Some(Listed { names, .. }) = &listed {
            filtered::look_for_hidden(client, desired, names, &mut observed).await?;
        }
        observed.inventories = of_the_mounts_there(observed.inventories, &observed.auth_mounts);
        if let Some(Listed { names, with_texts: false }) = &listed
            && !prune
            && !desired.alone
        {
            fallen::look_for_fallen(client, desired, names, parallelism, &mut observed).await?;
        }
        Ok::<_, VaultError>(observed)
    };
    let mut observed = client.explained(observation.await).await?;
    let held = desired.kv.iter().map(async |mount| Ok::<_, Error>((mount.clone(), kv::held(client, mount).await?)));
    observed.kv = futures::future::try_join_all(held).await?.into_iter().collect();
    Ok(observed)
}

async fn auth_mounts(client: &Client) -> Result<BTreeMap<String, AuthMount>, VaultError> {
    let mounts = client.send(&auth_mounts::list()).await?.data;
    Ok(mounts.into_iter().map(|(path, mount)| (path.trim_end_matches('/').to_owned(), mount.normalised())).collect())
}

/// The inventories, each told from one of a mount that was there before under the same path.
fn of_the_mounts_there(inventories: Inventories, there: &BTreeMap<String, AuthMount>) -> Inventories {
    let of_mount = |(mount, owners): (MountPath, BTreeMap<Owner, Inventory>)| {
        let there = there.get(mount.as_str());
        let keeper = there.and_then(AuthMount::keeper);
        let of_owner = |(owner, inventory): (Owner, Inventory)| {
            let says_so = keeper.as_ref() == Some(&owner);
            let inventory = inventory.of_mount(there.map(|there| There { accessor: there.identity(), says_so }));
            (owner, inventory)
        };
        (mount, owners.into_iter().map(of_owner).collect())
    };
    inventories.into_iter().map(of_mount).collect()
}

/// The names of all policies.
struct Listed {
    names: BTreeSet<String>,
    /// Whether their texts came along.
    with_texts: bool,
}

/// All policies at once where the server can do that, else each desired one. Answers with what was listed, where that is allowed.
async fn read_policies(
    client: &Client,
    desired: &Desired,
    prune: bool,
    parallelism: usize,
    observed: &mut Observed,
) -> Result<Option<Listed>, VaultError> {
    match client.find(&policies::read_all()).await {
        Ok(Some(all)) => {
            let mut texts = all.data.key_info;
            let names = texts.keys().cloned().collect();
            observed.default_policy = texts.remove("default").map(|text| text.policy);
            let parts = texts.iter().filter_map(|(name, stored)| Some((Place::of(name)?, Ok(stored.policy.clone()))));
            observed.inventories = ownership::inventories(parts.filter(|(place, _)| matters(desired, place)));
            sort_policies(desired, texts.into_iter(), observed);
            return Ok(Some(Listed { names, with_texts: true }));
        }
        // Vault has no such path, and an operator's policy may leave it out.
        Ok(None) | Err(VaultError::Forbidden { .. } | VaultError::NotFound { .. } | VaultError::Rejected { .. }) => {}
        Err(error) => return Err(error),
    }
    let wanted: BTreeSet<&str> = desired.policies.iter().map(|policy| policy.name.as_str()).collect();
    let there = policies::names(client).await?;
    observed.inventories = read_inventories(client, desired, there.as_ref(), parallelism).await?;
    observed.inventories_unseen = there.is_none().then_some(Unlisted::Forbidden);
    // Whose the others are is in their texts: a request each, which only pruning is worth.
    let others = there.iter().flatten().filter(|name| !wanted.contains(name.as_str()) && !is_builtin(name));
    let (others, skipped): (Vec<&String>, usize) =
        if prune { (others.collect(), 0) } else { (Vec::new(), others.count()) };
    observed.policies_unseen = there.is_none() || skipped > 0;
    let one = async |name: String| {
        let text = client.find(&policies::read(&name)).await?;
        Ok::<_, VaultError>(text.map(|text| (name, text.data)))
    };
    let names = wanted.iter().filter(|name| there.as_ref().is_none_or(|there| there.contains(**name)));
    let mut found: Vec<_> =
        iter(names).map(|name| one((*name).to_owned())).buffer_unordered(parallelism).try_collect().await?;
    let read: Vec<Result<_, VaultError>> =
        iter(others).map(|name| one(name.clone())).buffer_unordered(parallelism).collect().await;
    for other in read {
        match other {
            Ok(text) => found.push(text),
            Err(VaultError::Forbidden { .. }) => observed.policies_unseen = true,
            Err(error) => return Err(error),
        }
    }
    sort_policies(desired, found.into_iter().flatten(), observed);
    // Reading `default` helps verification and is no duty: an operator may not be allowed to.
    observed.default_policy = client.find(&policies::read("default")).await.ok().flatten().map(|text| text.data.policy);
    Ok(there.map(|names| Listed { names, with_texts: false }))
}

/// The inventories of the desired mounts: without a list, only the own ones can be asked for.
async fn read_inventories(
    client: &Client,
    desired: &Desired,
    names: Option<&BTreeSet<String>>,
    parallelism: usize,
) -> Result<Inventories, VaultError> {
    if let Some(names) = names {
        let names = names.iter().map(String::as_str);
        let (own, wanted) = (desired.owner.as_ref(), |place: &Place| matters(desired, place));
        return inventories::read_listed(client, names, own, wanted, parallelism).await;
    }
    let mut parts = Vec::new();
    for mount in &desired.mounts {
        parts.extend(own_inventory(client, desired, &mount.path).await?);
    }
    Ok(ownership::inventories(parts))
}

/// The parts of the own inventory of a mount, asked for by their names; none where the file has no owner.
async fn own_inventory(
    client: &Client,
    desired: &Desired,
    mount: &MountPath,
) -> Result<Vec<(Place, Result<String, String>)>, VaultError> {
    let Some(owner) = &desired.owner else { return Ok(Vec::new()) };
    let read = inventories::read_parts(client, owner, mount, 0).await?;
    Ok(read.into_iter().filter_map(|(place, stored)| Some((place, Ok(stored?.policy)))).collect())
}

/// Whether an inventory is of a mount of the file, or of the file's owner: its roles on other mounts need its policies too.
fn matters(desired: &Desired, place: &Place) -> bool {
    desired.owner.as_ref() == Some(&place.owner) || desired.mounts.iter().any(|mount| mount.path == place.mount)
}

/// The desired policies, and those that carry somebody's mark; the rest is nobody's business here.
fn sort_policies(desired: &Desired, stored: impl Iterator<Item = (String, StoredPolicy)>, observed: &mut Observed) {
    let wanted: BTreeSet<&PolicyName> = desired.policies.iter().map(|policy| &policy.name).collect();
    for (name, stored) in stored {
        match name.parse::<PolicyName>() {
            Ok(name) if wanted.contains(&name) => _ = observed.policies.insert(name, stored),
            // Under whatever name: a server takes more of them than this tool gives.
            _ if !is_builtin(&name) && Mark::read(&stored.policy).is_some() => {
                observed.marked.insert(StoredName::new(name), stored.policy);
            }
            _ => {}
        }
    }
}

/// Vault's own policies; the last since Vault 2.
fn is_builtin(name: &str) -> bool {
    matches!(name, "default" | "root" | "default-ceiling")
}

async fn read_mount(
    client: &Client,
    mount: &DesiredMount,
    alone: bool,
    parallelism: usize,
) -> Result<ObservedMount, VaultError> {
    let config =
        if mount.config.is_some() { configurations::read(client, &mount.path, mount.method).await? } else { None };
    let listed = roles::list(client, &mount.path).await?;
    let one = async |name: &RoleName| {
        let role = roles::read(client, &mount.path, mount.method, name.as_str()).await?;
        Ok::<_, VaultError>((name.clone(), role))
    };
    let lowered: Option<BTreeSet<String>> =
        listed.as_ref().map(|listed| listed.iter().map(StoredName::lowered).collect());
    let there = |name: &RoleName| lowered.as_ref().is_none_or(|lowered| lowered.contains(name.as_str()));
    let names: Vec<&RoleName> = mount.roles.iter().map(|role| &role.name).filter(|name| there(name)).collect();
    let found: Vec<_> = iter(names).map(one).buffer_unordered(parallelism).try_collect().await?;
    let unlisted = listed.is_none();
    let wanted: BTreeSet<&str> = mount.roles.iter().map(|role| role.name.as_str()).collect();
    let others = if alone {
        BTreeMap::new()
    } else {
        let beside = listed.into_iter().flatten().filter(|name| !wanted.contains(name.lowered().as_str()));
        roles::read_held(client, &mount.path, mount.method, beside, parallelism).await?
    };
    let cel = if alone { Some(BTreeSet::new()) } else { roles::list_cel(client, &mount.path, mount.method).await? };
    let cel_unlisted = cel.is_none();
    let roles = found.into_iter().filter_map(|(name, role)| Some((name, role?))).collect();
    Ok(ObservedMount { config, roles, others, unlisted, cel: cel.unwrap_or_default(), cel_unlisted })
}
