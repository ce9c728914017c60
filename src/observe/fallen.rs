//! Policies that fell out of the file, on a server that has no list of their texts (HashiCorp Vault): without reading all of them, those
//! are found that a role of the file, or one of its owner's, still gives as Vault has it.

use std::collections::BTreeSet;

use futures::stream::{StreamExt, iter};

use super::{is_builtin, sort_policies};
use crate::desired::Desired;
use crate::model::{HeldRole, Observed, RoleDocument};
use crate::vault::{Client, VaultError, policies};

/// How many are read at the most: more than an owner takes away at once.
const MOST: usize = 200;

/// Reads the policies among these names that roles of the file or of its owner give and the file doesn't have.
///
/// # Errors
/// When Vault can't be reached or fails.
pub(super) async fn look_for_fallen(
    client: &Client,
    desired: &Desired,
    names: &BTreeSet<String>,
    parallelism: usize,
    observed: &mut Observed,
) -> Result<(), VaultError> {
    let wanted: BTreeSet<&str> = desired.policies.iter().map(|policy| policy.name.as_str()).collect();
    let given: BTreeSet<String> = given(desired, observed);
    let fallen: Vec<String> = given
        .into_iter()
        .filter(|name| names.contains(name) && !wanted.contains(name.as_str()) && !is_builtin(name))
        .take(MOST)
        .collect();
    let one = async |name: String| match client.find(&policies::read(&name)).await {
        Ok(text) => Ok(text.map(|text| (name, text.data))),
        // It stays unseen, as others do.
        Err(VaultError::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error),
    };
    let read: Vec<Result<_, VaultError>> = iter(fallen).map(one).buffer_unordered(parallelism).collect().await;
    let read: Vec<Option<_>> = read.into_iter().collect::<Result<_, _>>()?;
    sort_policies(desired, read.into_iter().flatten(), observed);
    Ok(())
}

/// The policies that the file's roles, and those that its owner's inventories list, give now.
fn given(desired: &Desired, observed: &Observed) -> BTreeSet<String> {
    let mut given = BTreeSet::new();
    for (mount, there) in &observed.mounts {
        let inventory = desired
            .owner
            .as_ref()
            .and_then(|owner| observed.inventories.get(mount).and_then(|owners| owners.get(owner)));
        let listed =
            there.others.iter().filter(|(name, _)| inventory.is_some_and(|inventory| inventory.has(name.as_str())));
        let listed = listed.filter_map(|(_, role)| match role {
            HeldRole::Read(document) => Some(&**document),
            HeldRole::Unread(_) => None,
        });
        let of = |document: &RoleDocument| document.token().token_policies.clone();
        given.extend(there.roles.values().chain(listed).flat_map(of));
    }
    given
}
