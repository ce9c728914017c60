//! Why it can't be said that a role which no inventory lists is nobody's.

use super::owners::Roles;
use crate::model::{ObservedMount, RoleDocument};
use crate::names::{Owner, StoredName};
use crate::ownership::{Inventory, Mark};
use crate::text::first;

impl Roles<'_> {
    /// Why anything of the mount that is there, and the mount itself, may be another owner's: not all inventories could be read.
    pub(super) fn unread(&self) -> Option<String> {
        if let Some(unlisted) = &self.observed.inventories_unseen {
            return Some(format!("it may be another owner's: {unlisted}"));
        }
        self.others.iter().find(|(_, inventory)| inventory.damage().is_some()).map(|(owner, _)| {
            format!("it may be the owner {owner}'s, whose inventory for auth/{} can't be relied on", self.mount)
        })
    }

    /// Why a role that is there may be another owner's; `role` is what it holds, as far as it could be read.
    pub(super) fn doubt(&self, name: &str, role: Option<&RoleDocument>) -> Option<String> {
        if let Some(unread) = self.unread() {
            return Some(unread);
        }
        if let Some((owner, _)) = self.others.iter().find(|(_, inventory)| inventory.had(name)) {
            return Some(format!(
                "it may be the owner {owner}'s, whose inventory lists it for a mount that was at auth/{} before this one",
                self.mount
            ));
        }
        role.and_then(|role| self.by_policies(role))
    }

    /// Why a role may be another owner's that has no inventory of the mount: it gives policies that carry this owner's mark, and none
    /// that is the file's or another file's. An owner that has an inventory, and doesn't list the role there, didn't write it.
    pub(super) fn by_policies(&self, role: &RoleDocument) -> Option<String> {
        let has_inventory = |owner: &Owner| {
            self.others.iter().any(|(other, inventory)| *other == owner && !matches!(inventory, Inventory::Stale(_)))
        };
        let mut theirs = None;
        for Given { policy, mark, of_the_file } in self.given(role) {
            match mark {
                Some(Mark::Owner(owner)) if Some(&owner) != self.owner => theirs = theirs.or(Some((policy, owner))),
                None if !of_the_file => {}
                _ => return None,
            }
        }
        let (policy, owner) = theirs.filter(|(_, owner)| !has_inventory(owner))?;
        Some(format!(
            "it may be the owner {owner}'s: it gives the policy {policy}, which carries {owner}'s mark, and {owner} has no inventory \
             for auth/{}, which somebody may have deleted",
            self.mount
        ))
    }

    /// The roles that give policies of the file's owner and that no inventory lists, where the owner has none for the mount: a first run
    /// doesn't find such roles.
    pub(super) fn without_inventory(&self, there: &ObservedMount) -> Option<String> {
        let owner = self.owner.filter(|_| self.own.is_none() && self.observed.inventories_unseen.is_none())?;
        let is_own = |given: Given| matches!(given.mark, Some(Mark::Owner(marked)) if marked == *owner);
        let gives_own = |role: &RoleDocument| self.given(role).any(is_own);
        let names: Vec<String> = there
            .others
            .iter()
            .filter(|(name, role)| self.other(name.as_str()).is_none() && role.document().is_some_and(gives_own))
            .map(|(name, _)| name.to_string())
            .collect();
        (!names.is_empty()).then(|| {
            format!(
                "auth/{} holds roles that give policies of the owner {owner}, which has no inventory for this mount: somebody deleted it, \
                 or wrote them. What the file doesn't name is left alone: {}",
                self.mount,
                first(&names)
            )
        })
    }

    /// The policies that a role gives, as far as they were seen.
    fn given(&self, role: &RoleDocument) -> impl Iterator<Item = Given> {
        role.token().token_policies.iter().map(|policy| {
            // Roles keep the case in which policies were named, and servers lower it.
            let name = policy.to_ascii_lowercase();
            let of_the_file = name.parse().ok().and_then(|name| self.observed.policies.get(&name));
            let policy = StoredName::new(name);
            let text = of_the_file.map(|stored| &stored.policy).or_else(|| self.observed.marked.get(&policy));
            Given { mark: text.and_then(|text| Mark::read(text)), of_the_file: of_the_file.is_some(), policy }
        })
    }
}

/// A policy that a role gives.
struct Given {
    policy: StoredName,
    mark: Option<Mark>,
    /// Whether the file has it, and it is there.
    of_the_file: bool,
}
