//! Whose the roles of a mount are, and what the inventory of the file's owner says about them afterwards.

mod claims;

use std::collections::BTreeSet;

pub(super) use self::claims::Run;
use super::{Change, Object};
use crate::desired::{Desired, DesiredMount};
use crate::model::{AuthMount, Observed, RoleDocument};
use crate::names::{MountPath, Owner, RoleName};
use crate::ownership::Inventory;
use crate::text::{first, printable_line};

/// Whose the roles of a mount are, as far as the inventories of owners say.
pub(super) struct Roles<'a> {
    pub(super) mount: &'a MountPath,
    pub(super) owner: Option<&'a Owner>,
    pub(super) own: Option<&'a Inventory>,
    pub(super) others: Vec<(&'a Owner, &'a Inventory)>,
    /// The owner whose file keeps the mount, as the mount itself says.
    noted: Option<Owner>,
    /// What else was seen: policies tell of owners too.
    pub(super) observed: &'a Observed,
    /// Whether the mount is the mark of a file that names no owner: it keeps it.
    marked_by_mount: bool,
    /// Whether nothing tells that this tool set the mount up, where the file names no owner: its roles are somebody's then.
    pub(super) is_by_hand: bool,
}

/// What runs of this tool left of a mount, whoever made them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traces {
    /// Whether a policy's mark names the mount: that of a file without an owner.
    pub(super) marked: bool,
    /// Whether there is a record of this very mount: of its cluster's keys, or of the reviewer's token.
    pub(super) recorded: bool,
}

impl Traces {
    /// Whether there is any.
    pub(super) fn is_any(self) -> bool {
        self.marked || self.recorded
    }
}

impl<'a> Roles<'a> {
    /// Those of one mount.
    pub(super) fn of(mount: &'a MountPath, desired: &'a Desired, observed: &'a Observed) -> Self {
        let owner = desired.owner.as_ref();
        let all = observed.inventories.get(mount);
        let others = all.into_iter().flatten().filter(|(other, _)| Some(*other) != owner).collect();
        let own = all.zip(owner).and_then(|(all, owner)| all.get(owner));
        let kept = |kept: &&DesiredMount| kept.path == *mount && kept.managed;
        let marked_by_mount = owner.is_none() && !desired.alone && desired.mounts.iter().any(|one| kept(&one));
        let noted = observed.auth_mounts.get(mount.as_str()).and_then(AuthMount::keeper);
        Self { mount, owner, own, others, noted, observed, marked_by_mount, is_by_hand: false }
    }

    /// Whether the file's owner wrote it.
    pub(super) fn is_own(&self, name: &str) -> bool {
        self.own.is_some_and(|own| own.has(name))
    }

    /// The other owner that wrote it, as it says.
    pub(super) fn other(&self, name: &str) -> Option<&'a Owner> {
        self.others.iter().find(|(_, inventory)| inventory.has(name)).map(|(owner, _)| *owner)
    }

    /// What must list the names of roles before they are written.
    pub(super) fn inventory(&self) -> Option<Object> {
        Some(Object::Inventory { mount: self.mount.clone(), owner: self.owner?.clone() })
    }

    /// What else is there of inventories, worth a warning.
    pub(super) fn warnings(&self) -> Vec<String> {
        let told =
            |owner: &Owner, what: String| format!("the inventory of the owner {owner} for auth/{} {what}", self.mount);
        let damaged = self.others.iter().filter_map(|(owner, inventory)| Some((owner, inventory.damage()?)));
        let damaged = damaged.map(|(owner, why)| told(owner, format!("can't be relied on: {}", printable_line(why))));
        let owners = self.owner.zip(self.own).into_iter().chain(self.others.iter().copied());
        let stale = owners.filter_map(|(owner, inventory)| Some((owner, inventory.stale()?)));
        let stale = stale.filter(|(_, listed)| !listed.roles.is_empty()).map(|(owner, listed)| {
            let names: Vec<String> = listed.roles.iter().map(ToString::to_string).collect();
            told(
                owner,
                format!(
                    "is of a mount that was there before this one, so what it lists is not counted as {owner}'s: {}; {owner}'s \
                     next bootstrap writes it anew",
                    first(&names)
                ),
            )
        });
        damaged.chain(stale).collect()
    }

    /// Whose a role is and whose it would be, where somebody else wrote it; `there` is what it holds now.
    pub(super) fn taken_over(&self, name: &RoleName, there: Option<&RoleDocument>) -> Option<String> {
        let ours = self.ours();
        if let Some(other) = self.other(name.as_str()) {
            return Some(format!("it belongs to the owner {other}, and would belong to {ours}"));
        }
        let is_own = self.marked_by_mount && !self.is_by_hand || self.is_own(name.as_str());
        let held = there.filter(|_| !is_own)?;
        let whose = self
            .doubt(name.as_str(), Some(held))
            .unwrap_or_else(|| "it belongs to whoever wrote it without an owner".to_owned());
        Some(format!("{whose}, and would belong to {ours}"))
    }

    /// The owner's names of roles that aren't there, in words: a run that ended early claimed them, or somebody deleted the roles.
    pub(super) fn left_over(&self, mount: &DesiredMount, is_there: impl Fn(&RoleName) -> bool) -> Option<String> {
        let wanted: BTreeSet<&RoleName> = mount.roles.iter().map(|role| &role.name).collect();
        let names = self.own?.roles()?.iter();
        let gone: Vec<String> =
            names.filter(|name| !wanted.contains(name) && !is_there(name)).map(ToString::to_string).collect();
        (!gone.is_empty()).then(|| {
            format!(
                "the inventory of {} for auth/{} lists roles that are not there and not in the file, which --prune takes out: {}",
                self.ours(),
                self.mount,
                first(&gone)
            )
        })
    }

    /// Marks what would change of a mount as taken over: all of it where another owner's file keeps it; what `is_somebody_s` where
    /// its `traces` don't say that it is the file's own.
    /// Answers whether anything was marked.
    pub(super) fn ask_the_keeper(
        &self,
        changes: &mut [Change],
        traces: impl Fn() -> Traces,
        is_somebody_s: impl Fn(&Change) -> bool,
    ) -> bool {
        if changes.is_empty() {
            return false;
        }
        let keeper = self.keeper();
        let ours = self.ours();
        let whose = match keeper {
            Some(keeper) => {
                format!("the mount is kept by the file of the owner {keeper}, and would be by that of {ours}")
            }
            None => match self.made_by_another(traces) {
                Some(whose) => format!("{whose}, and would belong to {ours}"),
                None => return false,
            },
        };
        let mut marked = false;
        for change in changes {
            let of_mount = matches!(
                change.object,
                Object::Mount { .. } | Object::SeenKeys { .. } | Object::Config { .. } | Object::PastKeys { .. }
            );
            if of_mount && (keeper.is_some() || is_somebody_s(change)) {
                change.takes_over = Some(format!("{whose}; `manage: false` leaves it alone"));
                marked = true;
            }
        }
        marked
    }

    /// Whose the mount is that is there, where no other owner's file keeps it and it isn't the file's own either.
    fn made_by_another(&self, traces: impl Fn() -> Traces) -> Option<String> {
        let by_hand = "it belongs to whoever set the mount up, of which vaultk8s has no record".to_owned();
        // Without an owner, the file's mounts are its mark.
        if self.owner.is_none() {
            return (!traces().is_any()).then_some(by_hand);
        }
        match self.own {
            _ if self.noted.as_ref() == self.owner => return None,
            Some(Inventory::Whole(listed)) if listed.keeps => return None,
            Some(Inventory::Stale(listed)) if listed.keeps => {
                return Some(
                    "it belongs to whoever made it anew: it isn't the mount that was there when the file kept it"
                        .to_owned(),
                );
            }
            _ => {}
        }
        self.unread().or_else(|| {
            let Traces { marked, recorded } = traces();
            Some(match (marked, recorded) {
                (true, _) => format!("it belongs to the configuration of auth/{}, which names no owner", self.mount),
                (false, true) => "it belongs to whoever set it up with vaultk8s and named no owner".to_owned(),
                (false, false) => by_hand,
            })
        })
    }

    /// The other owner whose file keeps the mount, as it says.
    pub(super) fn keeper(&self) -> Option<&Owner> {
        match &self.noted {
            Some(noted) => Some(noted).filter(|noted| Some(*noted) != self.owner),
            None => self.others.iter().find(|(_, inventory)| inventory.keeps()).map(|(owner, _)| *owner),
        }
    }

    /// Whose the file is, as part of a sentence.
    fn ours(&self) -> String {
        match self.owner {
            Some(owner) => format!("the owner {owner}"),
            None if self.marked_by_mount => format!("the configuration of auth/{}, which names no owner", self.mount),
            None => "nobody, because no owner is named".to_owned(),
        }
    }

    fn role(&self, name: &RoleName) -> Object {
        Object::Role { mount: self.mount.clone(), name: name.into() }
    }
}
