//! Deleting what is still as it was when that was planned.

use std::time::Instant;

use super::meanwhile::{FRESH, Meanwhile, overtaken};
use super::send;
use crate::error::Result;
use crate::model::RoleDocument;
use crate::names::{MountPath, StoredName};
use crate::vault::{Client, method, policies, read_role};

/// Deletes a role that nobody else has claimed, and that holds what it `was` seen to hold, as far as it could be read.
///
/// # Errors
/// When somebody else has it now, or Vault refuses.
pub(super) async fn role(
    client: &Client,
    (mount, name): (&MountPath, &StoredName),
    was: Option<&RoleDocument>,
    meanwhile: &Meanwhile<'_>,
) -> Result<()> {
    // A server that takes its time is asked again: what it said first is no longer news.
    for _ in 0..3 {
        let asked = Instant::now();
        meanwhile.free_role(client, mount, name.as_str()).await?;
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
