//! Deleting what is still as it was when that was planned: somebody else may have it by now.
//!
//! No server deletes on a condition, so this looks right before.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use super::{send, there};
use crate::error::{Error, Result};
use crate::model::RoleDocument;
use crate::names::{MountPath, Owner, StoredName};
use crate::ownership::Inventory;
use crate::vault::{Client, inventories_of, method, policies, read_role};

/// For how long what other owners list is taken as known, so that many deletions don't each ask for all of it.
const FRESH: Duration = Duration::from_millis(100);

/// What other owners list of the mounts of which roles are deleted, with when that was asked.
#[derive(Debug, Default)]
pub(super) struct Claims(Mutex<BTreeMap<MountPath, (Instant, BTreeMap<Owner, Inventory>)>>);

impl Claims {
    /// Sees to it that no other owner lists a role.
    ///
    /// # Errors
    /// When one does, or Vault can't be reached or fails.
    pub(super) async fn free(
        &self,
        client: &Client,
        mount: &MountPath,
        name: &str,
        owner: Option<&Owner>,
    ) -> Result<()> {
        let mut known = self.0.lock().await;
        if known.get(mount).is_none_or(|(asked, _)| asked.elapsed() > FRESH) {
            let of = there(client, mount).await?;
            let asked = Instant::now();
            let others = client.explained(inventories_of(client, mount, of.identity(), owner).await).await?;
            // Without the list, what is deleted is what the file's own inventory lists, as the plan says.
            known.insert(mount.clone(), (asked, others.unwrap_or_default()));
        }
        let others = known.get(mount).into_iter().flat_map(|(_, others)| others);
        match others.into_iter().find(|(_, inventory)| inventory.has(name)) {
            Some((other, _)) => Err(overtaken(&format!("the owner {other} took it over meanwhile"))),
            None => Ok(()),
        }
    }
}

/// A role to delete.
#[derive(Clone, Copy)]
pub(super) struct Role<'a> {
    pub(super) mount: &'a MountPath,
    pub(super) name: &'a StoredName,
    /// The owner whose file says so.
    pub(super) owner: Option<&'a Owner>,
    /// What it was seen to hold, as far as it could be read.
    pub(super) was: Option<&'a RoleDocument>,
}

/// Deletes a role that nobody else has claimed, and that holds what it was seen to hold.
///
/// # Errors
/// When somebody else has it now, or Vault refuses.
pub(super) async fn role(client: &Client, Role { mount, name, owner, was }: Role<'_>, claims: &Claims) -> Result<()> {
    // A server that takes its time is asked again: what it said first is no longer news.
    for _ in 0..3 {
        let asked = Instant::now();
        claims.free(client, mount, name.as_str(), owner).await?;
        // What nobody could read is deleted unread, which was said.
        if let Some(was) = was {
            match client.explained(read_role(client, mount, was.method(), name.as_str()).await).await? {
                None => return Ok(()),
                Some(now) if now == *was => {}
                Some(_) => return Err(overtaken("somebody changed it meanwhile")),
            }
        }
        if asked.elapsed() < FRESH {
            break;
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
        Some(_) => Err(overtaken("somebody changed it meanwhile")),
    }
}

fn overtaken(what: &str) -> Error {
    Error::failed(format!("{what}, so it was left alone")).remedy("run it again, and look at the plan")
}
