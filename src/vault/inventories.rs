//! The inventories of owners, read: each part is a policy of its own.

use std::collections::BTreeMap;

use futures::stream::{StreamExt, TryStreamExt, iter};

use super::policies;
use super::{Client, VaultError};
use crate::model::StoredPolicy;
use crate::names::{MountPath, Owner};
use crate::ownership::{Inventories, Inventory, Part, Place, There, inventories};

/// How many owners' inventories of a mount are read at once.
pub(super) const AT_ONCE: usize = 8;

/// The inventories that are `wanted`, out of the names of all policies, with at most `parallelism` requests at a time. Another's that
/// may not be read is damaged as far as anybody can tell.
///
/// # Errors
/// When Vault can't be reached or fails, or when the token may not read what is `own`: that is whole, and a rule is missing.
pub(super) async fn read_listed<'a>(
    client: &Client,
    names: impl IntoIterator<Item = &'a str>,
    own: Option<&Owner>,
    wanted: impl Fn(&Place) -> bool,
    parallelism: usize,
) -> Result<Inventories, VaultError> {
    let places = names.into_iter().filter_map(Place::of).filter(wanted);
    let reads = places.map(async |place| {
        let text = match client.find(&policies::read(&place.policy())).await {
            Ok(Some(there)) => Ok(there.data.policy),
            // Somebody took it away in between.
            Ok(None) => return Ok(None),
            Err(VaultError::Forbidden { .. }) if own != Some(&place.owner) => {
                Err("the token may not read it".to_owned())
            }
            Err(error) => return Err(error),
        };
        Ok(Some((place, text)))
    });
    let parts: Vec<_> = iter(reads).buffer_unordered(parallelism).try_collect().await?;
    Ok(inventories(parts.into_iter().flatten()))
}

/// The inventories of one mount, by owner, without one owner's; `None` where the token may not list policies. With the mount's
/// accessor, those of one that was there before are told from them.
///
/// # Errors
/// When Vault can't be reached or fails.
pub async fn of_mount(
    client: &Client,
    mount: &MountPath,
    accessor: Option<&str>,
    without: Option<&Owner>,
) -> Result<Option<BTreeMap<Owner, Inventory>>, VaultError> {
    let Some(names) = policies::names(client).await? else { return Ok(None) };
    let names = names.iter().map(String::as_str);
    let wanted = |place: &Place| place.mount == *mount && Some(&place.owner) != without;
    let mut found = read_listed(client, names, None, wanted, AT_ONCE).await?;
    let owners = found.remove(mount).unwrap_or_default();
    Ok(Some(match accessor {
        // Whether the mount says so too was looked at when the plan was made.
        Some(_) => {
            let there = Some(There { accessor, says_so: true });
            owners.into_iter().map(|(owner, inventory)| (owner, inventory.of_mount(there))).collect()
        }
        None => owners,
    }))
}

/// The parts of one inventory, in order, each with what the server has of it; those up to `known`, or that the first one knows of, even
/// where they are missing.
///
/// # Errors
/// When Vault can't be reached, refuses, or fails.
pub async fn read_parts(
    client: &Client,
    owner: &Owner,
    mount: &MountPath,
    mut known: usize,
) -> Result<Vec<(Place, Option<StoredPolicy>)>, VaultError> {
    let mut parts = Vec::new();
    let mut place = Place::first(owner, mount);
    loop {
        let there = client.find(&policies::read(&place.policy())).await?.map(|there| there.data);
        if there.is_none() && place.part > known {
            return Ok(parts);
        }
        if place.part == 1 {
            let said = there.as_ref().and_then(|first| Part::read(&place, &first.policy).ok()?.parts());
            known = known.max(said.unwrap_or_default());
        }
        let next = place.next();
        parts.push((std::mem::replace(&mut place, next), there));
    }
}
