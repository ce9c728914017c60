//! The inventory: which roles of a mount an owner wrote, kept in Vault itself.
//!
//! A role has no field for a word about whose it is. So its owner keeps a list: a policy of comments alone, which both
//! servers give back byte for byte and which grants nothing. It holds names and nothing else, in parts of at most 256 KiB,
//! because servers refuse texts of a megabyte.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

use super::{Part, Place};
use crate::names::{MountPath, Owner, RoleName};

/// An owner's inventory of a mount, as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inventory {
    /// These are the owner's.
    Whole(Listed),
    /// It is of a mount that was there before, under the same path: its names say nothing about what is there now.
    Stale(Listed),
    /// It can't be relied on.
    Damaged {
        /// Why, a sentence without a full stop.
        why: String,
        /// How many parts it has, the missing ones included.
        parts: usize,
    },
}

/// What an inventory says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Whether its owner's file keeps the mount itself.
    pub keeps: bool,
    /// The accessor of the mount, where it is known.
    pub accessor: Option<String>,
    /// The roles.
    pub roles: BTreeSet<RoleName>,
    /// Whether there are more parts than the first one says: a run was cut short between the two.
    pub miscounted: bool,
}

/// What tells a mount that is there from another one of the same path.
#[derive(Debug, Clone, Copy)]
pub struct There<'a> {
    /// Its accessor, where that tells it: a local mount has another one on each of the servers that replicate.
    pub accessor: Option<&'a str>,
    /// Whether it says itself that the inventory's owner keeps it.
    pub says_so: bool,
}

impl There<'_> {
    /// Whether an inventory is of this mount. One that says no accessor, of a local mount or by an earlier version, and that keeps the
    /// mount, is of it where the mount says so too.
    fn is_that_of(self, listed: &Listed) -> bool {
        match (listed.accessor.as_deref(), self.accessor) {
            (Some(of), now) => now == Some(of),
            (None, _) => self.says_so || !listed.keeps,
        }
    }
}

impl Inventory {
    /// Whether it lists a role of the mount, as far as it can be read.
    pub fn has(&self, name: &str) -> bool {
        self.roles().is_some_and(|roles| lists(roles, name))
    }

    /// Whether it listed a role of this name on a mount that was there before.
    pub fn had(&self, name: &str) -> bool {
        self.stale().is_some_and(|listed| lists(&listed.roles, name))
    }

    /// The names that it lists; `None` where it can't be relied on, or is of another mount.
    pub fn roles(&self) -> Option<&BTreeSet<RoleName>> {
        match self {
            Self::Whole(listed) => Some(&listed.roles),
            Self::Stale(_) | Self::Damaged { .. } => None,
        }
    }

    /// What it says of a mount that was there before, where it does.
    pub fn stale(&self) -> Option<&Listed> {
        match self {
            Self::Stale(listed) => Some(listed),
            Self::Whole(_) | Self::Damaged { .. } => None,
        }
    }

    /// Why it can't be relied on, where it can't.
    pub fn damage(&self) -> Option<&str> {
        match self {
            Self::Whole(_) | Self::Stale(_) => None,
            Self::Damaged { why, .. } => Some(why),
        }
    }

    /// Whether its owner's file keeps the mount, as far as it can be read. That is about the path: it holds for a mount that was
    /// made anew.
    pub fn keeps(&self) -> bool {
        match self {
            Self::Whole(listed) | Self::Stale(listed) => listed.keeps,
            Self::Damaged { .. } => false,
        }
    }

    /// The same, known to be of the mount that is there or of another; `None` stands for a mount that isn't there.
    #[must_use]
    pub fn of_mount(self, there: Option<There<'_>>) -> Self {
        match self {
            Self::Whole(listed) if !there.is_some_and(|there| there.is_that_of(&listed)) => Self::Stale(listed),
            other => other,
        }
    }
}

fn lists(roles: &BTreeSet<RoleName>, name: &str) -> bool {
    // A name that is none of a role's isn't listed, and parsing lowers it as servers do.
    name.parse().is_ok_and(|name| roles.contains(&name))
}

/// The inventories of mounts, by owner.
pub type Inventories = BTreeMap<MountPath, BTreeMap<Owner, Inventory>>;

/// Puts inventories together from the policies that hold their parts; a text is missing, with the reason, where it could
/// not be read.
pub fn inventories(parts: impl IntoIterator<Item = (Place, Result<String, String>)>) -> Inventories {
    let mut texts: BTreeMap<(MountPath, Owner), BTreeMap<usize, Result<Part, String>>> = BTreeMap::new();
    for (place, text) in parts {
        let part = text.and_then(|text| Part::read(&place, &text));
        texts.entry((place.mount, place.owner)).or_default().insert(place.part, part);
    }
    let mut all = Inventories::new();
    for ((mount, owner), parts) in texts {
        all.entry(mount).or_default().insert(owner, whole(parts));
    }
    all
}

fn whole(parts: BTreeMap<usize, Result<Part, String>>) -> Inventory {
    let last = parts.keys().next_back().copied().unwrap_or_default();
    // Without the first part, or where it can't be read, nobody says.
    let said = parts.get(&1).and_then(|first| first.as_ref().ok()?.parts).unwrap_or(last);
    let damaged = |why| Inventory::Damaged { why, parts: last.max(said) };
    let mut listed = Listed { miscounted: last > said, ..Listed::default() };
    for (expected, (number, part)) in (1..).zip(parts) {
        match part {
            _ if number != expected => return damaged(format!("part {expected} is missing")),
            Err(why) => return damaged(format!("part {number} can't be read: {why}")),
            Ok(part) => {
                listed.keeps |= part.keeps;
                listed.accessor = listed.accessor.or(part.accessor);
                listed.roles.extend(part.roles);
            }
        }
    }
    if last < said {
        return damaged(format!("part {} is missing", last + 1));
    }
    Inventory::Whole(listed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ownership::fixture::{place, roles};
    use crate::ownership::{Amendment, amended};

    fn of(texts: &[(Place, Result<String, String>)]) -> Inventory {
        inventories(texts.iter().cloned()).remove(&place().mount).unwrap().remove(&place().owner).unwrap()
    }

    fn damage(texts: &[(Place, Result<String, String>)]) -> (String, usize) {
        let Inventory::Damaged { why, parts } = of(texts) else { panic!("it is whole") };
        (why, parts)
    }

    fn texts(parts: &[Part]) -> Vec<(Place, Result<String, String>)> {
        let places = std::iter::successors(Some(place()), |place| Some(place.next()));
        parts.iter().zip(places).map(|(part, place)| (place.clone(), Ok(part.print(&place)))).collect()
    }

    /// Three parts' worth of names.
    fn many() -> Vec<Part> {
        let claim = (0..1500).map(|i| format!("r{i}{}", "x".repeat(400)).parse().unwrap()).collect();
        let parts = amended(&[], &Amendment { claim, ..Amendment::default() }, Some("auth_jwt_1"));
        assert_eq!(parts.len(), 3);
        parts
    }

    #[test]
    fn inventories_are_put_together_and_gaps_are_seen() {
        let texts = texts(&many());
        assert!(matches!(of(&texts), Inventory::Whole(listed) if listed.roles.len() == 1500 && !listed.miscounted));
        for (left, missing) in
            [(&texts[1..], 1), (&[texts[0].clone(), texts[2].clone()], 2), (&texts[..2], 3), (&texts[..1], 2)]
        {
            assert_eq!(damage(left), (format!("part {missing} is missing"), 3));
        }
        let unread = (texts[1].0.clone(), Err("the token may not read it".to_owned()));
        let (why, parts) = damage(&[texts[0].clone(), unread]);
        assert!(why.contains("part 2 can't be read") && parts == 3, "{why}");
    }

    #[test]
    fn an_inventory_of_an_earlier_version_says_neither_parts_nor_mount() {
        let part = |keeps, names| Part { keeps, roles: roles(names), ..Part::default() };
        let found = of(&texts(&[part(true, &["a"]), part(false, &["b"])]));
        assert_eq!(found, Inventory::Whole(Listed { keeps: true, roles: roles(&["a", "b"]), ..Listed::default() }));
        let there = |accessor, says_so| Some(There { accessor, says_so });
        for accessor in [Some("auth_jwt_1"), None] {
            assert_eq!(found.clone().of_mount(there(accessor, true)), found);
            assert!(found.clone().of_mount(there(accessor, false)).stale().is_some(), "it would say so");
        }
        let guest = of(&texts(&[part(false, &["a"])]));
        assert_eq!(guest.clone().of_mount(there(None, false)), guest);
        assert!(found.of_mount(None).stale().is_some(), "there is no mount");
    }

    #[test]
    fn a_run_that_was_cut_short_while_it_grew_leaves_a_part_too_many_and_no_damage() {
        let mut parts = many();
        parts[0].parts = Some(2);
        assert!(
            matches!(of(&texts(&parts)), Inventory::Whole(listed) if listed.roles.len() == 1500 && listed.miscounted)
        );
    }

    #[test]
    fn an_inventory_of_another_mount_lists_nothing_of_this_one() {
        let amendment = Amendment { claim: roles(&["a"]), keeps: Some(true), ..Amendment::default() };
        let found = of(&texts(&amended(&[], &amendment, Some("auth_jwt_1"))));
        let of_mount = |accessor| found.clone().of_mount(Some(There { accessor, says_so: true }));
        assert!(of_mount(Some("auth_jwt_1")).has("A"));
        assert!(of_mount(None).stale().is_some(), "it wasn't local");
        let stale = of_mount(Some("auth_jwt_2"));
        assert!(!stale.has("a") && stale.had("a") && stale.keeps() && stale.roles().is_none());
        assert!(stale.damage().is_none());
    }
}
