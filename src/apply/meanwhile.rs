//! What others did since a plan was made, looked at right before what they may have changed is written or deleted.
//!
//! No server writes a role or a mount on a condition, so what is left of the chance is one request long, and [`FRESH`] for what is asked
//! for all of them at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, OnceCell};

use super::{mounts, there};
use crate::error::{Error, Result};
use crate::model::AuthMount;
use crate::names::{MountPath, Owner};
use crate::ownership::Inventory;
use crate::plan::{Plan, Seen, Write};
use crate::policy::with_accessors;
use crate::vault::{Client, caught_up, inventories_of};

/// For how long an answer about all mounts, or all that other owners list, is taken as known.
pub(super) const FRESH: Duration = Duration::from_millis(100);

/// An answer, and when it was asked for.
type Asked<T> = Option<(Instant, T)>;

/// What was last heard, and what the plan saw.
#[derive(Debug)]
pub(super) struct Meanwhile<'a> {
    seen: &'a Seen,
    /// The mounts whose accessors policies of the plan need: whichever is written first, all of them are waited for.
    needed: BTreeSet<&'a MountPath>,
    mounts: Mutex<Asked<BTreeMap<String, AuthMount>>>,
    inventories: Mutex<BTreeMap<MountPath, Asked<BTreeMap<Owner, Inventory>>>>,
    /// The mounts as they were once this run had made its own: those that have to be there by then don't come later.
    made: OnceCell<BTreeMap<String, AuthMount>>,
}

impl<'a> Meanwhile<'a> {
    /// Since this plan was made.
    pub(super) fn since(plan: &'a Plan) -> Self {
        let accessors = plan.changes.iter().filter_map(|change| match &change.write {
            Write::Policy { accessors_of, .. } => Some(accessors_of),
            _ => None,
        });
        let needed = accessors.flatten().collect();
        Self {
            seen: &plan.seen,
            needed,
            mounts: Mutex::default(),
            inventories: Mutex::default(),
            made: OnceCell::new(),
        }
    }

    /// Whether new roles are claimed before they are written: those of an owner are.
    pub(super) fn claims(&self) -> bool {
        self.seen.owner.is_some()
    }

    /// Sees to it that a mount is the one that the plan saw, and kept by the same file. One that this run made is.
    ///
    /// # Errors
    /// When it isn't, or Vault can't be reached or fails.
    pub(super) async fn same_mount(&self, client: &Client, mount: &MountPath) -> Result<()> {
        let Some(seen) = self.seen.mounts.get(mount) else { return Ok(()) };
        let mut known = self.mounts.lock().await;
        if !is_fresh(known.as_ref()) {
            let asked = Instant::now();
            *known = Some((asked, mounts(client).await?));
        }
        let there = known.as_ref().and_then(|(_, mounts)| mounts.get(&format!("{mount}/")));
        match there {
            None => Err(overtaken("somebody deleted the mount meanwhile")),
            Some(there) if there.accessor != seen.accessor => Err(overtaken("somebody made the mount anew meanwhile")),
            Some(there) if there.keeper() != seen.keeper => Err(overtaken(&match there.keeper() {
                Some(keeper) => format!("the file of the owner {keeper} keeps the mount by now"),
                None => "whose file keeps the mount changed meanwhile".to_owned(),
            })),
            Some(_) => Ok(()),
        }
    }

    /// A policy's text with the accessors of these mounts, which this run has made, in place of their symbols.
    ///
    /// # Errors
    /// When one of them isn't there, has no accessor that can stand in a policy, or when Vault can't be reached or fails.
    pub(super) async fn with_accessors(&self, client: &Client, text: &str, of: &BTreeSet<MountPath>) -> Result<String> {
        if of.is_empty() {
            return Ok(text.to_owned());
        }
        let lacks = |there: &BTreeMap<String, AuthMount>| {
            self.needed.iter().any(|mount| !there.contains_key(&format!("{mount}/")))
        };
        let look = async || mounts(client).await;
        let made = self
            .made
            .get_or_try_init(|| async {
                caught_up(client, look, |found: &Result<_>| found.as_ref().is_ok_and(lacks)).await
            })
            .await
            .map_err(|error| error.context("the accessor of a mount, which the policy needs, could not be read"))?;
        let accessor = |mount: &MountPath| made.get(&format!("{mount}/"))?.accessor_word().map(str::to_owned);
        match of.iter().find(|mount| accessor(mount).is_none()) {
            Some(mount) => {
                Err(Error::failed(format!("the accessor of auth/{mount} isn't known, so the policy was not written"))
                    .remedy("run it again once the mount is there: the policy is about its identities"))
            }
            None => Ok(with_accessors(text, accessor)),
        }
    }

    /// Sees to it that no other owner lists a role.
    ///
    /// # Errors
    /// When one does, when nobody can tell any more, or when Vault can't be reached or fails.
    pub(super) async fn free_role(&self, client: &Client, mount: &MountPath, name: &str) -> Result<()> {
        let mut known = self.inventories.lock().await;
        let known = known.entry(mount.clone()).or_default();
        if !is_fresh(known.as_ref()) {
            let asked = Instant::now();
            let of = there(client, mount).await?;
            // A list of a local mount notes no accessor.
            let identity = Some(of.identity().unwrap_or_default());
            let others =
                client.explained(inventories_of(client, mount, identity, self.seen.owner.as_ref()).await).await?;
            if others.is_none() && !self.seen.unlisted {
                return Err(overtaken("the token may not list sys/policies/acl any more, where inventories are"));
            }
            *known = Some((asked, others.unwrap_or_default()));
        }
        let others = known.as_ref().map(|(_, others)| others);
        match others.into_iter().flatten().find(|(_, inventory)| inventory.has(name)) {
            Some((other, _)) => Err(overtaken(&format!("the owner {other} took it over meanwhile"))),
            None => Ok(()),
        }
    }
}

fn is_fresh<T>(asked: Option<&(Instant, T)>) -> bool {
    asked.is_some_and(|(at, _)| at.elapsed() < FRESH)
}

/// Why something is left as it is.
pub(super) fn overtaken(what: &str) -> Error {
    Error::failed(format!("{what}, so it was left alone")).remedy("run it again, and look at the plan")
}
