//! Writing an inventory so that what another run writes at the same time isn't lost.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::error::{Error, Result};
use crate::names::{MountPath, Owner};
use crate::ownership::{Amendment, Part, Place, amended};
use crate::vault::policies::{self, StoredPolicy};
use crate::vault::{Client, VaultError, read_parts};

/// What becomes of an owner's inventory of a mount.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amending<'a> {
    pub(super) owner: &'a Owner,
    pub(super) mount: &'a MountPath,
    pub(super) amendment: &'a Amendment,
    /// How many parts are there, where some are damaged and replaced; else 0.
    pub(super) anew: usize,
}

/// Writes the parts that change, each in place of the version that was read, and reads them back: done is what Vault holds.
///
/// A server without versions (Vault) lets two runs overwrite each other between reading and writing, which is seen here unless it
/// comes after the last look; then the next plan shows what is missing.
///
/// # Errors
/// When Vault refuses, when the inventory is damaged, or when others never stop writing it.
pub(super) async fn amend(client: &Client, amending: Amending<'_>) -> Result<()> {
    let Amending { owner, mount, mut anew, .. } = amending;
    // Of several that write at once, each gives way for another time.
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(12)
        .with_jitter()
        .build();
    loop {
        let there = match read_parts(client, owner, mount, anew).await {
            Ok(there) => there,
            Err(error) => return Err(Error::from(client.explain_forbidden(error).await)),
        };
        match (write(client, amending, anew > 0, &there).await?, waits.next()) {
            (Written::Nothing, _) => return Ok(()),
            (Written::All, Some(_)) => anew = 0,
            (Written::Overtaken(_), Some(wait)) => tokio::time::sleep(wait).await,
            (Written::Overtaken(error), None) => {
                return Err(Error::from(client.explain_forbidden(error).await)
                    .context(format!("others never stop writing the inventory of {owner} for auth/{mount}"))
                    .remedy("let the other runs end, and run it again"));
            }
            (Written::All, None) => {
                return Err(Error::failed(format!(
                    "what is written to the inventory of {owner} for auth/{mount} does not hold: others write it too"
                ))
                .remedy("let the other runs end, and run it again"));
            }
        }
    }
}

/// What came of writing what differs.
enum Written {
    /// Nothing differed.
    Nothing,
    /// All of it was taken.
    All,
    /// Somebody else wrote a part after it was read, or a request was carried out and its answer lost (OpenBao).
    Overtaken(VaultError),
}

async fn write(
    client: &Client,
    Amending { owner, mount, amendment, .. }: Amending<'_>,
    anew: bool,
    there: &[(Place, Option<StoredPolicy>)],
) -> Result<Written> {
    let mut parts = Vec::new();
    for (place, stored) in there {
        match stored.as_ref().map(|stored| Part::read(place, &stored.policy)) {
            Some(Ok(part)) => parts.push(part),
            None => parts.push(Part::default()),
            Some(Err(_)) if anew => parts.push(Part::default()),
            Some(Err(why)) => return Err(damaged(place, &why)),
        }
    }
    let mut place = Place::first(owner, mount);
    let mut written = Written::Nothing;
    for (index, part) in amended(&parts, amendment).iter().enumerate() {
        let stored = there.get(index).and_then(|(_, stored)| stored.as_ref());
        let text = part.print(&place);
        if stored.is_none_or(|stored| stored.policy != text) {
            let version = stored.and_then(|stored| stored.version);
            match client.send(&policies::replace(&place.policy(), &text, stored.is_none(), version)).await {
                Ok(_) => written = Written::All,
                Err(error @ VaultError::Rejected { status: 400, .. }) => return Ok(Written::Overtaken(error)),
                Err(error) => return Err(Error::from(client.explain_forbidden(error).await)),
            }
        }
        place = place.next();
    }
    Ok(written)
}

fn damaged(place: &Place, why: &str) -> Error {
    Error::failed(format!("the inventory of {} for auth/{} is damaged: {why}", place.owner, place.mount))
        .remedy("`vaultk8s bootstrap --approve take-over` writes it anew, with the roles that the file names")
}
