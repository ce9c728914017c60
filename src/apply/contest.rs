//! Two owners that claim the same name at the same moment.
//!
//! Each writes its claim first and looks at the other inventories then, so at least one of them sees the other's. Whoever sees
//! one stops before it writes a role, and takes its own claim back; so at most one of them writes the role.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::names::{MountPath, Owner, RoleName};
use crate::ownership::Inventory;
use crate::vault::{Client, inventories_of};

/// Names of roles, by the owner whose inventory lists them.
pub(super) type ByOwner = BTreeMap<Owner, BTreeSet<RoleName>>;

/// What was known of the other owners when the plan was made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    /// The names that are taken from them, as was agreed.
    pub(super) taken_from: &'a ByOwner,
    /// Whether not all of their inventories could be read, which the plan says.
    pub(super) unseen: bool,
}

/// The names of these that other owners have now, and that nobody agreed to take from them.
///
/// # Errors
/// When Vault can't be reached or fails, or shows less than it did when the plan was made.
pub(super) async fn contested(
    client: &Client,
    (owner, mount): (&Owner, &MountPath),
    names: &BTreeSet<RoleName>,
    accessor: Option<&str>,
    known: Known<'_>,
) -> Result<ByOwner> {
    let others = client.explained(inventories_of(client, mount, accessor, Some(owner)).await).await?;
    let unseen = match &others {
        None => Some("the token may not list sys/policies/acl any more".to_owned()),
        Some(others) => {
            others.iter().find_map(|(other, inventory)| Some(format!("that of {other}: {}", inventory.damage()?)))
        }
    };
    if let Some(unseen) = unseen.filter(|_| !known.unseen) {
        return Err(Error::failed(format!(
            "nobody can tell whether another owner claimed the same roles of auth/{mount} meanwhile, because not all inventories \
             can be read any more ({unseen}), so none was written"
        ))
        .remedy("run it again, and look at the plan"));
    }
    let theirs = |(other, inventory): (Owner, Inventory)| {
        let agreed = |name: &RoleName| known.taken_from.get(&other).is_some_and(|names| names.contains(name));
        let theirs: BTreeSet<RoleName> =
            names.iter().filter(|name| inventory.has(name.as_str()) && !agreed(name)).cloned().collect();
        (!theirs.is_empty()).then_some((other, theirs))
    };
    Ok(others.into_iter().flatten().filter_map(theirs).collect())
}

/// Why no role is written.
pub(super) fn refusal(contested: &ByOwner, mount: &MountPath) -> Error {
    let owners: Vec<&str> = contested.keys().map(Owner::as_str).collect();
    let names: BTreeSet<&str> = contested.values().flatten().map(RoleName::as_str).collect();
    let (owners, names) = (owners.join(", "), names.into_iter().collect::<Vec<_>>().join(", "));
    Error::failed(format!(
        "the owner {owners} claimed the same roles of auth/{mount} at the same moment, so none was written: {names}"
    ))
    .remedy(format!(
        "run it again: where {owners} has them then, use other names, or agree with {owners} and approve the take-over; where both \
         runs stopped, the one that comes first gets them"
    ))
}
