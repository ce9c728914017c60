//! Whose the roles of a mount are, and what the inventory of the file's owner says about them afterwards.

use std::collections::BTreeSet;

use super::{Action, Change, FieldChange, Object, Write};
use crate::desired::{Desired, DesiredMount};
use crate::error::{Error, Result};
use crate::names::{MountPath, Owner, RoleName};
use crate::ownership::Inventory;
use crate::plan::Observed;
use crate::ui::printable_line;

/// Whose the roles of a mount are, as far as the inventories of owners say.
pub(super) struct Roles<'a> {
    mount: &'a MountPath,
    owner: Option<&'a Owner>,
    own: Option<&'a Inventory>,
    others: Vec<(&'a Owner, &'a Inventory)>,
    /// Whether there may be inventories that nobody saw.
    unseen: bool,
}

impl<'a> Roles<'a> {
    /// Those of one mount.
    pub(super) fn of(mount: &'a MountPath, desired: &'a Desired, observed: &'a Observed) -> Self {
        let owner = desired.owner.as_ref();
        let all = observed.inventories.get(mount);
        let others = all.into_iter().flatten().filter(|(other, _)| Some(*other) != owner).collect();
        let own = all.zip(owner).and_then(|(all, owner)| all.get(owner));
        Self { mount, owner, own, others, unseen: observed.inventories_unseen }
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

    /// Why it can't be said that a role is nobody's.
    pub(super) fn doubt(&self) -> Option<String> {
        if self.unseen {
            return Some(
                "it may be another owner's: the token may not list sys/policies/acl, where inventories are".to_owned(),
            );
        }
        let damaged = |(owner, inventory): &(&Owner, &Inventory)| {
            matches!(inventory, Inventory::Damaged { .. }).then(|| {
                format!("it may be the owner {owner}'s, whose inventory for auth/{} can't be relied on", self.mount)
            })
        };
        self.others.iter().find_map(damaged)
    }

    /// The names that the owner wrote; none where nobody knows.
    fn names(&self) -> Option<&'a BTreeSet<RoleName>> {
        match self.own {
            Some(Inventory::Whole(names)) => Some(names),
            Some(Inventory::Damaged { .. }) | None => None,
        }
    }

    /// Whose a role is and whose it would be, where somebody else wrote it; `changes` says whether one that is there would
    /// hold something else.
    pub(super) fn taken_over(&self, name: &RoleName, changes: bool) -> Option<String> {
        let ours = match self.owner {
            Some(owner) => format!("the owner {owner}"),
            None => format!("the configuration of auth/{}, which names no owner", self.mount),
        };
        if let Some(other) = self.other(name.as_str()) {
            return Some(format!("it belongs to the owner {other}, and would belong to {ours}"));
        }
        // Without an owner, the mounts of the file are the mark.
        (self.owner.is_some() && changes && !self.is_own(name.as_str()))
            .then(|| format!("it belongs to whoever wrote it without an owner, and would belong to {ours}"))
    }

    /// What else is there of inventories, worth a warning.
    pub(super) fn warnings(&self) -> Vec<String> {
        let of = |(owner, inventory): &(&Owner, &Inventory)| match inventory {
            Inventory::Damaged { why, .. } => Some(format!(
                "the inventory of the owner {owner} for auth/{} can't be relied on: {}",
                self.mount,
                printable_line(why)
            )),
            Inventory::Whole(_) => None,
        };
        self.others.iter().filter_map(of).collect()
    }

    /// The changes before the roles are written: their names are claimed, and taken from the inventories of those who had
    /// them, which is done last.
    ///
    /// # Errors
    /// When the owner's inventory is damaged and what is wanted can't be done without it.
    pub(super) fn claims(&self, mount: &DesiredMount, alone: bool, prune: bool) -> Result<Vec<Change>> {
        let Some(owner) = self.owner else { return Ok(Vec::new()) };
        let wanted: BTreeSet<RoleName> = mount.roles.iter().map(|role| role.name.clone()).collect();
        let damaged = match self.own {
            Some(Inventory::Damaged { why, parts }) => Some((why, *parts)),
            _ => None,
        };
        if let Some((why, _)) = damaged
            && (alone || prune)
        {
            let what = if prune { "--prune can't tell whose roles are" } else { "a single step can't mend it" };
            return Err(Error::failed(format!(
                "the inventory of the owner {owner} for auth/{} can't be relied on, so that {what}: {}",
                self.mount,
                printable_line(why)
            ))
            .remedy("`vaultk8s bootstrap --approve take-over` writes it anew, with the roles that the file names; then prune"));
        }
        let claim: BTreeSet<RoleName> = wanted.iter().filter(|name| !self.is_own(name.as_str())).cloned().collect();
        let mut changes = Vec::new();
        if !claim.is_empty() || damaged.is_some() {
            let before = self.names().map(BTreeSet::len);
            let field = FieldChange {
                field: "roles".to_owned(),
                before: before.map(Into::into),
                after: (before.unwrap_or_default() + claim.len()).into(),
            };
            let takes_over = damaged.map(|(why, _)| {
                format!("it can't be relied on ({}), and would hold the roles of the file alone", printable_line(why))
            });
            changes.push(Change {
                action: if self.own.is_none() { Action::Create } else { Action::Update },
                object: Object::Inventory { mount: self.mount.clone(), owner: owner.clone() },
                takes_over,
                ..self.amendment(
                    mount,
                    owner,
                    claim,
                    BTreeSet::new(),
                    damaged.map_or(0, |(_, parts)| parts),
                    vec![field],
                )
            });
        }
        for (other, inventory) in &self.others {
            let taken: BTreeSet<RoleName> =
                wanted.iter().filter(|name| inventory.has(name.as_str())).cloned().collect();
            if taken.is_empty() {
                continue;
            }
            let names: Vec<&str> = taken.iter().map(RoleName::as_str).collect();
            let takes_over = format!(
                "it lists {}, which would belong to the owner {owner}",
                super::orphans::first(&names.iter().map(ToString::to_string).collect::<Vec<_>>())
            );
            let needs =
                taken.iter().map(|name| Object::Role { mount: self.mount.clone(), name: name.into() }).collect();
            let field = less(inventory, &taken);
            changes.push(Change {
                takes_over: Some(takes_over),
                needs,
                ..self.amendment(mount, other, BTreeSet::new(), taken, 0, vec![field])
            });
        }
        Ok(changes)
    }

    /// The owner's names that are to be given up: `gone` are those whose roles this plan deletes.
    pub(super) fn release(
        &self,
        mount: &DesiredMount,
        gone: BTreeSet<RoleName>,
        is_there: impl Fn(&RoleName) -> bool,
    ) -> Option<Change> {
        let (owner, names) = (self.owner?, self.names()?);
        let wanted: BTreeSet<&RoleName> = mount.roles.iter().map(|role| &role.name).collect();
        let needs = gone.iter().map(|name| Object::Role { mount: self.mount.clone(), name: name.into() }).collect();
        let over = names.iter().filter(|name| !wanted.contains(name));
        let mut release = gone;
        release.extend(over.filter(|name| !is_there(name) || self.other(name.as_str()).is_some()).cloned());
        let field = less(self.own?, &release);
        (!release.is_empty())
            .then(|| Change { needs, ..self.amendment(mount, owner, BTreeSet::new(), release, 0, vec![field]) })
    }

    fn amendment(
        &self,
        mount: &DesiredMount,
        owner: &Owner,
        claim: BTreeSet<RoleName>,
        release: BTreeSet<RoleName>,
        anew: usize,
        fields: Vec<FieldChange>,
    ) -> Change {
        Change {
            action: Action::Update,
            object: Object::Released { mount: self.mount.clone(), owner: owner.clone() },
            cluster: Some(mount.cluster.clone()),
            fields,
            replaces_trust: None,
            takes_over: None,
            needs: Vec::new(),
            write: Write::Inventory { mount: self.mount.clone(), owner: owner.clone(), claim, release, anew },
        }
    }
}

/// How many names an inventory has, and how many without these.
fn less(inventory: &Inventory, release: &BTreeSet<RoleName>) -> FieldChange {
    let before = match inventory {
        Inventory::Whole(names) => names.len(),
        Inventory::Damaged { .. } => 0,
    };
    let after = before.saturating_sub(release.len());
    FieldChange { field: "roles".to_owned(), before: Some(before.into()), after: after.into() }
}
