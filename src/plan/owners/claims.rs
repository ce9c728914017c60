//! What the inventory of the file's owner says of a mount afterwards, and those of others from whom names are taken.

use std::collections::{BTreeMap, BTreeSet};

use super::Roles;
use crate::desired::DesiredMount;
use crate::error::{Error, Result};
use crate::model::{AuthMount, ObservedMount, RoleDocument};
use crate::names::{Owner, RoleName};
use crate::ownership::{Amendment, Inventory, Listed};
use crate::plan::{Action, Change, FieldChange, Object, Write};
use crate::text::{first, printable_line};

/// How a run is made, as far as inventories matter.
#[derive(Debug, Clone, Copy)]
pub(in crate::plan) struct Run {
    /// Whether it is one step on its own.
    pub(in crate::plan) alone: bool,
    /// Whether orphans are deleted.
    pub(in crate::plan) prune: bool,
    /// Whether it takes the mount over.
    pub(in crate::plan) takes_mount: bool,
}

impl Roles<'_> {
    /// The changes before the `roles` are written that change: the names of all are claimed, and taken from the inventories of those who
    /// had them, which is done last. `there` is what the mount holds already.
    ///
    /// # Errors
    /// When the owner's inventory is damaged and what is wanted can't be done without it.
    pub(in crate::plan) fn claims(
        &self,
        mount: &DesiredMount,
        there: Option<&ObservedMount>,
        roles: &[Change],
        run: Run,
    ) -> Result<Vec<Change>> {
        let damaged = self.own.and_then(Inventory::damage);
        if let (Some(owner), Some(why)) = (self.owner, damaged.filter(|_| run.alone || run.prune)) {
            return Err(self.unusable(owner, why, run));
        }
        let wanted: BTreeSet<RoleName> = mount.roles.iter().map(|role| role.name.clone()).collect();
        let claim: BTreeSet<RoleName> = wanted.iter().filter(|name| !self.is_own(name.as_str())).cloned().collect();
        // Where two files keep a mount and say the same of it, it stays the first one's.
        let is_said = self.own.is_some_and(Inventory::keeps) && self.noted.as_ref() == self.owner;
        let keeps = mount.managed && mount.config.is_some() && !is_said && (self.keeper().is_none() || run.takes_mount);
        // A file that says `manage: false` from now on keeps it no more.
        let gives_up = !mount.managed && !run.alone && self.own.is_some_and(Inventory::keeps);
        let keeps = if gives_up { Some(false) } else { keeps.then_some(true) };
        let identity = self.observed.auth_mounts.get(self.mount.as_str()).and_then(AuthMount::identity);
        let has_to_be_written = match self.own {
            Some(Inventory::Whole(listed)) => listed.miscounted || listed.accessor.as_deref() != identity,
            Some(Inventory::Stale(listed)) => *listed != Listed { keeps: listed.keeps, ..Listed::default() },
            Some(Inventory::Damaged { .. }) => true,
            None => false,
        };
        let mut changes = Vec::new();
        if let Some(owner) = self.owner
            && (!claim.is_empty() || keeps.is_some() || has_to_be_written)
        {
            changes.push(self.claim(mount, owner, claim, keeps, there));
        }
        // Without an owner, what is as the file says stays whose it is.
        let name = |role: &Change| match &role.write {
            Write::Role { name, .. } => Some(name.clone()),
            _ => None,
        };
        let written: BTreeSet<RoleName> = roles.iter().filter_map(name).collect();
        changes.extend(self.others.iter().filter_map(|(other, inventory)| {
            let taken = |name: &&RoleName| self.owner.is_some() || written.contains(*name);
            let taken = wanted.iter().filter(|name| inventory.has(name.as_str())).filter(taken).cloned().collect();
            self.take(mount, other, inventory, taken, (keeps == Some(true) || run.takes_mount) && inventory.keeps())
        }));
        Ok(changes)
    }

    /// The owner's names that are to be given up: `gone` are those whose roles this plan deletes.
    pub(in crate::plan) fn release(
        &self,
        mount: &DesiredMount,
        gone: &BTreeSet<RoleName>,
        is_there: impl Fn(&RoleName) -> bool,
    ) -> Option<Change> {
        let (owner, names) = (self.owner?, self.own?.roles()?);
        let wanted: BTreeSet<&RoleName> = mount.roles.iter().map(|role| &role.name).collect();
        // Of an exclusive mount also roles go that nobody wrote.
        let mut release: BTreeSet<RoleName> = gone.intersection(names).cloned().collect();
        let needs = release.iter().map(|name| self.role(name)).collect();
        let over = names.iter().filter(|name| !wanted.contains(name));
        release.extend(over.filter(|name| !is_there(name) || self.other(name.as_str()).is_some()).cloned());
        if release.is_empty() {
            return None;
        }
        let fields = vec![count(names.len(), names.len() - release.len())];
        let amendment = Amendment { release, ..Amendment::default() };
        Some(Change { needs, ..self.change(mount, owner, amendment, fields) })
    }

    fn unusable(&self, owner: &Owner, why: &str, run: Run) -> Error {
        let what = if run.prune { "--prune can't tell which roles are its own" } else { "a single step can't use it" };
        Error::failed(format!(
            "the inventory of the owner {owner} for auth/{} can't be relied on, so that {what}: {}",
            self.mount,
            printable_line(why)
        ))
        .remedy("a bootstrap with `--approve take-over` writes it anew, with the roles that the file names; then prune")
    }

    /// Lists names in the owner's inventory, and that its file keeps the mount.
    fn claim(
        &self,
        mount: &DesiredMount,
        owner: &Owner,
        claim: BTreeSet<RoleName>,
        keeps: Option<bool>,
        there: Option<&ObservedMount>,
    ) -> Change {
        let before = self.own.and_then(Inventory::roles).map(BTreeSet::len);
        let after = before.unwrap_or_default() + claim.len();
        let mut fields = match (before, self.own.and_then(Inventory::stale)) {
            (Some(before), _) => vec![count(before, after)],
            (None, Some(stale)) => vec![count(stale.roles.len(), after), self.another_mount(stale)],
            (None, None) => vec![FieldChange { field: "roles".to_owned(), before: None, after: after.into() }],
        };
        // Those that the run makes are in the plan anyway.
        let held = |name: &RoleName| there.and_then(|there| there.roles.get(name));
        let found: Vec<(&RoleName, &RoleDocument)> =
            claim.iter().filter_map(|name| Some((name, held(name)?))).collect();
        if !found.is_empty() {
            let names: Vec<String> = found.iter().map(|(name, _)| name.to_string()).collect();
            fields.push(FieldChange { field: "taken in".to_owned(), before: None, after: first(&names).into() });
        }
        if let Some(keeps) = keeps {
            let before = (!keeps).then(|| true.into());
            fields.push(FieldChange { field: "keeps the mount".to_owned(), before, after: keeps.into() });
        }
        if matches!(self.own, Some(Inventory::Whole(listed)) if listed.accessor.is_none())
            && let Some(there) = self.observed.auth_mounts.get(self.mount.as_str()).and_then(AuthMount::identity)
        {
            fields.push(FieldChange { field: "accessor of the mount".to_owned(), before: None, after: there.into() });
        }
        if matches!(self.own, Some(Inventory::Whole(listed)) if listed.miscounted) {
            fields.push(FieldChange { field: "count of parts".to_owned(), before: None, after: "corrected".into() });
        }
        let takes_over = match self.own.and_then(Inventory::damage) {
            Some(why) => Some(format!(
                "it can't be relied on ({}), and would hold the roles of the file, and what those of its parts list that are whole",
                printable_line(why)
            )),
            // What is there already may be listed where nobody can read it.
            None => self.doubted(&found),
        };
        let others = self.others.iter().map(|(other, inventory)| {
            let theirs = claim.iter().filter(|name| inventory.has(name.as_str())).cloned().collect();
            ((*other).clone(), theirs)
        });
        let mut from: BTreeMap<Owner, BTreeSet<RoleName>> =
            others.filter(|(_, theirs): &(_, BTreeSet<RoleName>)| !theirs.is_empty()).collect();
        if keeps == Some(true)
            && let Some(keeper) = self.keeper()
        {
            from.entry(keeper.clone()).or_default();
        }
        let amendment = Amendment { claim, keeps, ..Amendment::default() };
        let mut change = Change {
            action: if self.own.is_none() { Action::Create } else { Action::Update },
            object: Object::Inventory { mount: self.mount.clone(), owner: owner.clone() },
            takes_over,
            needs: vec![Object::Mount { mount: self.mount.clone() }],
            ..self.change(mount, owner, amendment, fields)
        };
        if let Write::Inventory { taken_from, unseen, .. } = &mut change.write {
            (*taken_from, *unseen) = (from, self.unread().is_some());
        }
        change
    }

    /// Why roles that are there and as the file says can't be taken in unasked.
    fn doubted(&self, found: &[(&RoleName, &RoleDocument)]) -> Option<String> {
        let mut doubts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, role) in found {
            if let Some(doubt) = self.doubt(name.as_str(), Some(role)) {
                doubts.entry(doubt).or_default().push(name.to_string());
            }
        }
        let doubts: Vec<String> =
            doubts.into_iter().map(|(doubt, names)| format!("{}: {doubt}", first(&names))).collect();
        (!doubts.is_empty()).then(|| doubts.join("; "))
    }

    /// That the inventory is of a mount which is gone.
    fn another_mount(&self, stale: &Listed) -> FieldChange {
        let there = self.observed.auth_mounts.get(self.mount.as_str()).map(|mount| mount.accessor.as_str());
        FieldChange {
            field: "accessor of the mount".to_owned(),
            before: Some(stale.accessor.as_deref().unwrap_or("of a mount that is gone").into()),
            after: there.unwrap_or("of the one that is made").into(),
        }
    }

    /// Takes names, and the mount, out of the inventory of the owner that had them.
    fn take(
        &self,
        mount: &DesiredMount,
        other: &Owner,
        inventory: &Inventory,
        release: BTreeSet<RoleName>,
        gives_up: bool,
    ) -> Option<Change> {
        if release.is_empty() && !gives_up {
            return None;
        }
        let mut names: Vec<String> = release.iter().map(ToString::to_string).collect();
        if gives_up {
            names.insert(0, "the mount".to_owned());
        }
        let takes_over = format!("it lists {}, which would belong to {}", first(&names), self.ours());
        let needs = release.iter().map(|name| self.role(name)).collect();
        let before = inventory.roles().map_or(0, BTreeSet::len);
        let fields = vec![count(before, before.saturating_sub(release.len()))];
        let amendment = Amendment { release, keeps: gives_up.then_some(false), ..Amendment::default() };
        Some(Change { takes_over: Some(takes_over), needs, ..self.change(mount, other, amendment, fields) })
    }

    /// A change of an inventory once all else is done.
    fn change(&self, mount: &DesiredMount, owner: &Owner, amendment: Amendment, fields: Vec<FieldChange>) -> Change {
        let anew = match self.own {
            Some(Inventory::Damaged { parts, .. }) if Some(owner) == self.owner => *parts,
            _ => 0,
        };
        Change {
            cluster: Some(mount.cluster.clone()),
            fields,
            ..Change::new(
                Action::Update,
                Object::Released { mount: self.mount.clone(), owner: owner.clone() },
                Write::Inventory {
                    mount: self.mount.clone(),
                    owner: owner.clone(),
                    amendment,
                    anew,
                    taken_from: BTreeMap::new(),
                    unseen: false,
                },
            )
        }
    }
}

/// How many roles an inventory lists, and how many then.
fn count(before: usize, after: usize) -> FieldChange {
    FieldChange { field: "roles".to_owned(), before: Some(before.into()), after: after.into() }
}
