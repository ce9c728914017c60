//! Where inventories are: the names of the policies that hold their parts.

use std::fmt::Write as _;

use crate::names::{INVENTORIES, MountPath, Owner};

/// Where one part of an inventory is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Whose roles it lists.
    pub owner: Owner,
    /// Of which mount.
    pub mount: MountPath,
    /// Which part it is, from 1.
    pub part: usize,
}

impl Place {
    /// The first part of an owner's inventory of a mount.
    pub fn first(owner: &Owner, mount: &MountPath) -> Self {
        Self { owner: owner.clone(), mount: mount.clone(), part: 1 }
    }

    /// The part after this one.
    #[must_use]
    pub fn next(&self) -> Self {
        Self { part: self.part + 1, ..self.clone() }
    }

    /// The name of its policy: `vaultk8s-inventory/<owner>/<mount>`, and `:2` and so on for further parts. Servers lower the
    /// names of policies and not those of mounts, so that a capital is written with an `@` before it.
    pub fn policy(&self) -> String {
        let mut name = named(self.owner.as_str(), &self.mount);
        if self.part > 1 {
            // Writing to a String can't fail.
            let _ = write!(name, ":{}", self.part);
        }
        name
    }

    /// The names of the first parts of all owners, as the path of a rule says it.
    pub fn of_any_owner(mount: &MountPath) -> String {
        named("+", mount)
    }

    /// The place of which this is the name; `None` where it is none.
    pub fn of(policy: &str) -> Option<Self> {
        let (owner, rest) = policy.strip_prefix(INVENTORIES)?.split_once('/')?;
        let (path, part) = match rest.rsplit_once(':') {
            Some((path, part)) => (path, part.parse().ok()?),
            None => (rest, 1),
        };
        let mut mount = String::new();
        let mut letters = path.chars();
        while let Some(letter) = letters.next() {
            mount.push(if letter == '@' { letters.next()?.to_ascii_uppercase() } else { letter });
        }
        let place = Self { owner: owner.parse().ok()?, mount: mount.parse().ok()?, part };
        // One place has one name.
        (place.policy() == policy).then_some(place)
    }
}

fn named(owner: &str, mount: &MountPath) -> String {
    let mut name = format!("{INVENTORIES}{owner}/");
    for letter in mount.as_str().chars() {
        if letter.is_ascii_uppercase() {
            name.push('@');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_one_name_and_a_name_one_place() {
        let place = Place::first(&"platform".parse().unwrap(), &"team/JWT-a".parse().unwrap());
        let second = place.next();
        assert_eq!(place.policy(), "vaultk8s-inventory/platform/team/@j@w@t-a");
        assert_eq!(second.policy(), "vaultk8s-inventory/platform/team/@j@w@t-a:2");
        for place in [place, second] {
            assert_eq!(Place::of(&place.policy()), Some(place));
        }
        for name in [
            "vaultk8s-inventory/platform",
            "vaultk8s-inventory/platform/jwt:1",
            "vaultk8s-inventory/platform/jwt:02",
            "vaultk8s-inventory/platform/jwt:0",
            "vaultk8s-inventory/platform/@",
            "vaultk8s-inventory/platform/@1",
            "vaultk8s-inventory/Platform/jwt",
            "vaultk8s-inventory//jwt",
            "inventory/platform/jwt",
        ] {
            assert_eq!(Place::of(name), None, "{name}");
        }
    }
}
