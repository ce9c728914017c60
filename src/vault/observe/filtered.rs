//! A list of policies that doesn't show all of them, without a word that it is one.
//!
//! OpenBao leaves out of a list what a rule's `list_scan_response_keys_filter_path` says. Other owners' inventories may be among
//! that, and their roles would pass for nobody's. What gives it away are policies that must be there, or may be: those that roles
//! give, and the own inventory. They are asked for by name only where the list doesn't show them.

use std::collections::{BTreeMap, BTreeSet};

use super::{matters, own_inventory};
use crate::desired::Desired;
use crate::model::RoleDocument;
use crate::names::{MountPath, PolicyName};
use crate::ownership::{self, Place};
use crate::plan::{Observed, Unlisted};
use crate::vault::{Client, VaultError, inventories, policies};

/// How many policies are asked for that roles give and the list doesn't show: usually there are none of them.
const ASKED: usize = 32;

/// A policy that every list shows, and a filtered one only to a token that may read it. A token that may read nothing but what its file has, and
/// is shown this one, is shown everything.
const UNREADABLE: &str = "root";

/// Looks whether the list of policies is whole, and reads what the file needs of those that are hidden.
///
/// # Errors
/// When Vault can't be reached or fails.
pub(super) async fn look_for_hidden(
    client: &Client,
    desired: &Desired,
    listed: &BTreeSet<String>,
    observed: &mut Observed,
) -> Result<(), VaultError> {
    let unlisted = |name: &str| !listed.contains(name) && !super::is_builtin(name);
    let Some(hidden) = hidden(client, desired, observed, unlisted).await? else { return Ok(()) };
    // Somebody may have written it after the list was read; and there are two lists, each with a rule of its own.
    let again = policies::names(client).await?.unwrap_or_default();
    if hidden.unread && again.contains(UNREADABLE) {
        return Ok(());
    }
    for name in desired.policies.iter().map(|policy| &policy.name).filter(|name| unlisted(name.as_str())) {
        if let Some(there) = client.find(&policies::read(name.as_str())).await? {
            observed.policies.insert(PolicyName::clone(name), there.data);
        }
    }
    if again.contains(&hidden.policy) {
        let names = again.iter().map(String::as_str);
        let (own, wanted) = (desired.owner.as_ref(), |place: &Place| matters(desired, place));
        observed.inventories = inventories::read_listed(client, names, own, wanted, inventories::AT_ONCE).await?;
        return Ok(());
    }
    for mount in desired.mounts.iter().map(|mount| &mount.path) {
        if own_name(desired, mount).is_some_and(|policy| unlisted(&policy)) {
            let own = ownership::inventories(own_inventory(client, desired, mount).await?);
            for (mount, owners) in own {
                observed.inventories.entry(mount).or_default().extend(owners);
            }
        }
    }
    observed.policies_unseen = true;
    observed.inventories_unseen = Some(Unlisted::Filtered(hidden.why));
    Ok(())
}

/// A policy that the list doesn't show though it is there, or may be.
struct Hidden {
    policy: String,
    /// Whether the token may not read it, so that nobody knows whether it is there.
    unread: bool,
    /// How that is known.
    why: String,
}

async fn hidden(
    client: &Client,
    desired: &Desired,
    observed: &Observed,
    unlisted: impl Fn(&str) -> bool + Copy,
) -> Result<Option<Hidden>, VaultError> {
    let mut given: BTreeMap<String, String> = BTreeMap::new();
    for (mount, there) in &observed.mounts {
        let of_file = there.roles.iter().map(|(name, role)| (name.to_string(), role));
        let others = there.others.iter().filter_map(|(name, role)| Some((name.to_string(), role.document()?)));
        for (role, document) in of_file.chain(others) {
            for policy in gives(document).filter(|policy| unlisted(policy)) {
                given.entry(policy).or_insert_with(|| format!("the role auth/{mount}/role/{role} gives"));
            }
        }
        // Without roles it is a first run, which has no inventory.
        let has_roles = !there.roles.is_empty() || !there.others.is_empty();
        if let Some(policy) = own_name(desired, mount).filter(|policy| has_roles && unlisted(policy))
            && client.find(&policies::read(&policy)).await.is_ok_and(|there| there.is_some())
        {
            return Ok(Some(Hidden {
                why: format!("it doesn't show {policy}, which is there"),
                unread: false,
                policy,
            }));
        }
    }
    let mut unread = None;
    for (policy, who) in given.into_iter().take(ASKED) {
        match client.find(&policies::read(&policy)).await {
            // A role may name what doesn't exist.
            Ok(None) => {}
            Ok(Some(_)) => {
                let why = format!("it doesn't show {policy}, which {who} and which is there");
                return Ok(Some(Hidden { policy, unread: false, why }));
            }
            Err(VaultError::Forbidden { .. }) => {
                let why =
                    format!("it doesn't show {policy}, which {who}, and the token may not read whether that is there");
                unread = unread.or(Some(Hidden { policy, unread: true, why }));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(unread)
}

/// The name of the own inventory of a mount, where the file has an owner.
fn own_name(desired: &Desired, mount: &MountPath) -> Option<String> {
    desired.owner.as_ref().map(|owner| Place::first(owner, mount).policy())
}

/// The policies that a role gives, as servers name them.
fn gives(role: &RoleDocument) -> impl Iterator<Item = String> {
    role.token().token_policies.iter().map(|policy| policy.to_ascii_lowercase())
}
