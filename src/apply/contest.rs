//! Two owners that claim the same name at the same moment.
//!
//! Each writes its claim first and looks at the other inventories then, so at least one of them sees the other's. Whoever sees
//! one stops before it writes a role, and takes its own claim back; so at most one of them writes the role.

use std::collections::{BTreeMap, BTreeSet};

use super::inventory::Amending;
use crate::error::{Error, Result};
use crate::names::{MountPath, Owner, RoleName};
use crate::vault::{Client, inventories_of};

/// The names that are taken from other owners, as was agreed.
pub(super) type Taken = BTreeMap<Owner, BTreeSet<RoleName>>;

/// Another owner that has some of the claimed names now and had none of them when the plan was made.
///
/// # Errors
/// When Vault can't be reached or fails.
pub(super) async fn contested(
    client: &Client,
    Amending { owner, mount, amendment, .. }: Amending<'_>,
    accessor: Option<&str>,
    taken_from: &Taken,
) -> Result<Option<(Owner, BTreeSet<RoleName>)>> {
    if amendment.claim.is_empty() {
        return Ok(None);
    }
    let others = client.explained(inventories_of(client, mount, accessor, Some(owner)).await).await?;
    Ok(others.into_iter().find_map(|(other, inventory)| {
        let agreed = |name: &RoleName| taken_from.get(&other).is_some_and(|names| names.contains(name));
        let names: BTreeSet<RoleName> =
            amendment.claim.iter().filter(|name| inventory.has(name.as_str()) && !agreed(name)).cloned().collect();
        (!names.is_empty()).then_some((other, names))
    }))
}

/// Why no role is written.
pub(super) fn refusal(other: &Owner, mount: &MountPath, names: &BTreeSet<RoleName>) -> Error {
    let names: Vec<&str> = names.iter().map(RoleName::as_str).collect();
    Error::failed(format!(
        "the owner {other} claimed the same roles of auth/{mount} at the same moment, so none was written: {}",
        names.join(", ")
    ))
    .remedy(format!(
        "run it again: where {other} has them then, use other names, or agree with {other} and approve the take-over; where both runs \
         stopped, the one that comes first gets them"
    ))
}
