//! Deleting what is still as it was when that was planned: somebody else may have it by now.
//!
//! No server deletes on a condition, so this looks right before, and what is left of the chance is one request long.

use std::collections::BTreeMap;

use super::{send, there};
use crate::error::{Error, Result};
use crate::model::RoleDocument;
use crate::names::{MountPath, Owner, StoredName};
use crate::ownership::Inventory;
use crate::plan::{Change, Write};
use crate::vault::{Client, inventories_of, method, policies, read_role};

/// What the owners of roles say right before some of these are deleted, by mount.
pub(super) type Claims = BTreeMap<MountPath, BTreeMap<Owner, Inventory>>;

/// The inventories of the mounts of which roles are deleted.
///
/// # Errors
/// When Vault can't be reached or fails.
pub(super) async fn claims(client: &Client, changes: &[(usize, &Change)]) -> Result<Claims> {
    let mut claims = Claims::new();
    for (_, change) in changes {
        if let Write::DeleteRole { mount, owner, .. } = &change.write
            && !claims.contains_key(mount)
        {
            let of = there(client, mount).await?;
            let others = client.explained(inventories_of(client, mount, of.identity(), owner.as_ref()).await).await?;
            // Without the list, what is deleted is what the file's own inventory lists, as the plan says.
            claims.insert(mount.clone(), others.unwrap_or_default());
        }
    }
    Ok(claims)
}

/// Deletes a role that nobody else has claimed, and that holds what it `was` seen to hold.
///
/// # Errors
/// When somebody else has it now, or Vault refuses.
pub(super) async fn role(
    client: &Client,
    (mount, name): (&MountPath, &StoredName),
    was: Option<&RoleDocument>,
    claims: &Claims,
) -> Result<()> {
    let others = claims.get(mount).into_iter().flatten();
    if let Some((other, _)) = others.into_iter().find(|(_, inventory)| inventory.has(name.as_str())) {
        return Err(overtaken(format!("the owner {other} took it over meanwhile")));
    }
    // What nobody could read was deleted unread, which was said.
    if let Some(was) = was {
        match client.explained(read_role(client, mount, was.method(), name.as_str()).await).await? {
            None => return Ok(()),
            Some(now) if now == *was => {}
            Some(_) => return Err(overtaken("somebody changed it meanwhile".to_owned())),
        }
    }
    send(client, &method::delete_role(mount, name)).await
}

/// Deletes a policy that has the text that it `was` seen to have.
///
/// # Errors
/// When somebody wrote it since, or Vault refuses.
pub(super) async fn policy(client: &Client, name: &StoredName, was: &str) -> Result<()> {
    match client.explained(client.find(&policies::read(name.as_str())).await).await? {
        None => Ok(()),
        Some(now) if now.data.policy == was => send(client, &policies::delete(name)).await,
        Some(_) => Err(overtaken("somebody changed it meanwhile".to_owned())),
    }
}

fn overtaken(what: String) -> Error {
    Error::failed(format!("{what}, so it was left alone")).remedy("run it again, and look at the plan")
}
