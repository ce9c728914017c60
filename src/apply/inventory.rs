//! Writing an inventory so that what another run writes at the same time isn't lost, and so that no two owners get the same name.

use std::collections::BTreeSet;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use super::{contest, send, there};
use crate::error::{Error, Result};
use crate::model::{AuthMount, StoredPolicy, owner_option};
use crate::names::{MountPath, Owner, RoleName};
use crate::ownership::{Amendment, Part, Place, amended};
use crate::vault::policies::InPlaceOf;
use crate::vault::{Client, VaultError, auth_mounts, policies, read_parts};

/// What becomes of an owner's inventory of a mount.
#[derive(Debug, Clone, Copy)]
pub(super) struct Amending<'a> {
    pub(super) owner: &'a Owner,
    pub(super) mount: &'a MountPath,
    pub(super) amendment: &'a Amendment,
    /// How many parts are there, where some are damaged and replaced; else 0.
    pub(super) anew: usize,
}

/// Claims names before their roles are written, for the mount that is there now.
///
/// # Errors
/// Those of [`amend`], and when another owner claimed one of the names meanwhile: then no role may be written.
pub(super) async fn claim(client: &Client, amending: Amending<'_>, known: contest::Known<'_>) -> Result<()> {
    // The mount may have been made a moment ago, or anew.
    let mount = there(client, amending.mount).await?;
    let accessor = Some(mount.identity().unwrap_or_default());
    let amendment = without_others(client, amending, accessor, known).await?;
    let amending = Amending { amendment: &amendment, ..amending };
    let claimed = settle(client, amending, accessor).await?;
    match amendment.keeps {
        Some(true) => keep(client, amending, &mount, known).await?,
        Some(false) => give_up(client, amending, &mount).await?,
        None => {}
    }
    if amendment.claim.is_empty() {
        return Ok(());
    }
    // What an earlier run of this owner's claimed stays: that run may be writing the role now.
    let (refused, release) =
        match contest::contested(client, (amending.owner, amending.mount), &amendment.claim, accessor, known).await {
            Ok(contested) if contested.is_empty() => return Ok(()),
            Ok(contested) => {
                let names = contested.values().flatten().filter(|name| claimed.contains(*name));
                (contest::refusal(&contested, amending.mount), names.cloned().collect())
            }
            // Nobody knows whose they are by now.
            Err(error) => (error, claimed),
        };
    let amendment = Amendment { release, ..Amendment::default() };
    if amendment.release.is_empty() {
        return Err(refused);
    }
    match settle(client, Amending { amendment: &amendment, anew: 0, ..amending }, None).await {
        Ok(_) => Err(refused),
        Err(error) => Err(refused.context(format!(
            "the claim of {} could not be taken back ({error}), so that each plan asks for a take-over until one of the two is",
            amending.owner
        ))),
    }
}

/// The amendment, and where a damaged inventory is written anew, without what its whole parts list and others have claimed since.
async fn without_others(
    client: &Client,
    amending: Amending<'_>,
    accessor: Option<&str>,
    known: contest::Known<'_>,
) -> Result<Amendment> {
    let Amending { owner, mount, amendment, anew } = amending;
    if anew == 0 {
        return Ok(amendment.clone());
    }
    let parts = client.explained(read_parts(client, owner, mount, anew).await).await?;
    let read = parts.iter().filter_map(|(place, stored)| Part::read(place, &stored.as_ref()?.policy).ok());
    let listed: BTreeSet<RoleName> =
        read.flat_map(Part::into_roles).filter(|name| !amendment.claim.contains(name)).collect();
    let theirs = contest::contested(client, (amending.owner, amending.mount), &listed, accessor, known).await?;
    let release = amendment.release.iter().chain(theirs.values().flatten()).cloned().collect();
    Ok(Amendment { release, ..amendment.clone() })
}

/// Notes in the mount itself whose file keeps it.
///
/// # Errors
/// When another owner's file does since the plan was made, or Vault refuses.
async fn keep(client: &Client, amending: Amending<'_>, there: &AuthMount, known: contest::Known<'_>) -> Result<()> {
    let Amending { owner, mount, .. } = amending;
    match there.keeper() {
        Some(keeper) if keeper == *owner => Ok(()),
        Some(keeper) if !known.taken_from.contains_key(&keeper) => Err(Error::failed(format!(
            "the mount auth/{mount} is kept by the file of the owner {keeper} by now, so no role was written"
        ))
        .remedy("run it again, and look at the plan")),
        _ => send(client, &auth_mounts::set_options(mount, &owner_option(Some(owner)))).await,
    }
}

/// Notes in the mount that no owner's file keeps it any more, unless another one's does by now.
///
/// # Errors
/// When Vault refuses.
async fn give_up(client: &Client, Amending { owner, mount, .. }: Amending<'_>, there: &AuthMount) -> Result<()> {
    if there.keeper().as_ref() != Some(owner) {
        return Ok(());
    }
    send(client, &auth_mounts::set_options(mount, &owner_option(None))).await
}

/// Changes what an inventory lists.
///
/// # Errors
/// When Vault refuses, when the inventory is damaged, or when others never stop writing it.
pub(super) async fn amend(client: &Client, amending: Amending<'_>) -> Result<()> {
    settle(client, amending, None).await?;
    if amending.amendment.keeps == Some(false) {
        give_up(client, amending, &there(client, amending.mount).await?).await?;
    }
    Ok(())
}

/// Writes the parts that change, each in place of the version that was read, and reads them back: done is what Vault holds. Answers
/// with the claimed names that were not listed before.
///
/// A server without versions (Vault) lets two runs overwrite each other between reading and writing, which is seen here unless it
/// comes after the last look; then the next plan shows what is missing.
async fn settle(client: &Client, amending: Amending<'_>, accessor: Option<&str>) -> Result<BTreeSet<RoleName>> {
    let Amending { owner, mount, mut anew, .. } = amending;
    // Of several that write at once, each gives way for another time.
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(12)
        .with_jitter()
        .build();
    let mut claimed = BTreeSet::new();
    loop {
        let there = client.explained(read_parts(client, owner, mount, anew).await).await?;
        let writing = Writing { amending, accessor, anew: anew > 0 };
        match (writing.write(client, &there, &mut claimed).await?, waits.next()) {
            (Written::Nothing, _) => return Ok(claimed),
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

/// How an inventory is written.
struct Writing<'a> {
    amending: Amending<'a>,
    /// The mount's accessor, where the inventory is to be of that mount.
    accessor: Option<&'a str>,
    /// Whether parts that are damaged are replaced.
    anew: bool,
}

impl Writing<'_> {
    /// Writes the parts that differ, and adds to `claimed` the names that were not listed before.
    async fn write(
        &self,
        client: &Client,
        there: &[(Place, Option<StoredPolicy>)],
        claimed: &mut BTreeSet<RoleName>,
    ) -> Result<Written> {
        let Amending { owner, mount, amendment, .. } = self.amending;
        let mut parts = Vec::new();
        for (place, stored) in there {
            let part = match stored {
                Some(stored) => Part::read(place, &stored.policy),
                None => Err(format!("part {} is missing", place.part)),
            };
            match part {
                Ok(part) => parts.push(part),
                Err(_) if self.anew => parts.push(Part::default()),
                Err(why) => return Err(damaged(place, &why)),
            }
        }
        let after = amended(&parts, amendment, self.accessor);
        let places: Vec<Place> = std::iter::successors(Some(Place::first(owner, mount)), |place| Some(place.next()))
            .take(after.len())
            .collect();
        let mut written = Written::Nothing;
        // The first part, which says how many there are, comes last: cut short, this leaves a part too many, and none is missing.
        for (index, place) in places.iter().enumerate().skip(1).chain(places.iter().enumerate().take(1)) {
            let (part, stored) = (&after[index], there.get(index).and_then(|(_, stored)| stored.as_ref()));
            let text = part.print(place);
            if stored.is_some_and(|stored| stored.policy == text) {
                continue;
            }
            let version = stored.and_then(|stored| stored.version);
            let replaced = if stored.is_none() { InPlaceOf::Nothing } else { InPlaceOf::Version(version) };
            match client.send(&policies::write(&place.policy(), &text, replaced)).await {
                Ok(_) => written = Written::All,
                Err(error @ VaultError::Rejected { status: 400, .. }) => return Ok(Written::Overtaken(error)),
                Err(error) => return Err(Error::from(client.explain_forbidden(error).await)),
            }
            let is_new = |name: &&RoleName| part.has(name) && !parts.iter().any(|before| before.has(name));
            claimed.extend(amendment.claim.iter().filter(is_new).cloned());
        }
        Ok(written)
    }
}

fn damaged(place: &Place, why: &str) -> Error {
    Error::failed(format!("the inventory of {} for auth/{} is damaged: {why}", place.owner, place.mount))
        .remedy("a bootstrap with `--approve take-over` writes it anew, with the roles that the file names")
}
