//! The inventory: which roles of a mount an owner wrote, kept in Vault itself.
//!
//! A role has no field for a word about whose it is. So its owner keeps a list: a policy of comments alone, which both
//! servers give back byte for byte and which grants nothing. It holds names and nothing else, in parts of at most 256 KiB,
//! because servers refuse texts of a megabyte.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::names::{InvalidName, MountPath, Owner, RoleName};

/// Where the names of all inventories begin.
pub const PREFIX: &str = "vaultk8s-inventory/";

/// The most bytes that the text of one part has.
const LARGEST: usize = 256 * 1024;

/// What the last line takes at most.
const LAST_LINE: usize = 80;

const ROLE: &str = "# role ";

/// The line of an owner whose file keeps the mount itself.
const KEEPS: &str = "# the mount\n";

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
        let (owner, rest) = policy.strip_prefix(PREFIX)?.split_once('/')?;
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
    let mut name = format!("{PREFIX}{owner}/");
    for letter in mount.as_str().chars() {
        if letter.is_ascii_uppercase() {
            name.push('@');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

/// What one part lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// Whether the owner keeps the mount itself, which the first part says.
    keeps: bool,
    roles: BTreeSet<RoleName>,
}

impl Part {
    /// Its text.
    pub fn print(&self, place: &Place) -> String {
        let mut text = head(place);
        if self.keeps {
            text.push_str(KEEPS);
        }
        for name in &self.roles {
            let _ = writeln!(text, "{ROLE}{name}");
        }
        let end = end(&text, self.roles.len());
        text + &end
    }

    /// Reads a text that [`Part::print`] wrote.
    ///
    /// # Errors
    /// When it is anything else, a sentence that says so: an edited line may name somebody else's role, and a lost one may
    /// hide one's own.
    pub fn read(place: &Place, text: &str) -> Result<Self, String> {
        let Some(lines) = text.strip_prefix(&head(place)) else {
            return Err("it doesn't begin as one of this owner and mount does".to_owned());
        };
        let mut roles = BTreeSet::new();
        let (keeps, mut rest) = match lines.strip_prefix(KEEPS) {
            Some(rest) => (true, rest),
            None => (false, lines),
        };
        while let Some((line, after)) = rest.split_once('\n') {
            let Some(name) = line.strip_prefix(ROLE) else { break };
            let name: RoleName = name.parse().map_err(|error: InvalidName| error.to_string())?;
            roles.insert(name);
            rest = after;
        }
        if rest != end(&text[..text.len() - rest.len()], roles.len()) {
            return Err("its last line doesn't fit what is above it, so it was edited or cut".to_owned());
        }
        Ok(Self { keeps, roles })
    }

    fn size(&self) -> usize {
        self.roles.iter().map(size).sum()
    }
}

/// How many bytes the line of a name takes.
fn size(name: &RoleName) -> usize {
    ROLE.len() + name.as_str().len() + 1
}

fn head(Place { owner, mount, part }: &Place) -> String {
    format!(
        "# The roles of auth/{mount} that vaultk8s wrote for the owner {owner}, part {part}. It grants nothing; don't edit it.\n"
    )
}

fn end(text: &str, count: usize) -> String {
    let mut line = format!("# end of {count}, sha256:");
    for byte in &Sha256::digest(text.as_bytes())[..8] {
        let _ = write!(line, "{byte:02x}");
    }
    line.push('\n');
    line
}

/// What is to become of an inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// The roles that it lists then.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub claim: BTreeSet<RoleName>,
    /// Those that it lists no more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub release: BTreeSet<RoleName>,
    /// Whether the owner keeps the mount then; absent where that stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps: Option<bool>,
}

/// The parts of an inventory once it was amended: those that there are keep their names, so that a change touches few of them.
pub fn amended(parts: &[Part], Amendment { claim, release, keeps }: &Amendment) -> Vec<Part> {
    const ROOM: usize = LARGEST - LAST_LINE - 2048;
    let mut parts = parts.to_vec();
    for part in &mut parts {
        part.roles.retain(|name| !release.contains(name));
    }
    if let Some(keeps) = keeps
        && *keeps != parts.first().is_some_and(|first| first.keeps)
    {
        if parts.is_empty() {
            parts.push(Part::default());
        }
        parts[0].keeps = *keeps;
    }
    let mut room: Vec<usize> = parts.iter().map(|part| ROOM.saturating_sub(part.size())).collect();
    for name in claim.iter().filter(|name| !release.contains(*name)) {
        if parts.iter().any(|part| part.roles.contains(name)) {
            continue;
        }
        let at = room.iter().position(|room| *room >= size(name)).unwrap_or_else(|| {
            parts.push(Part::default());
            room.push(ROOM);
            parts.len() - 1
        });
        room[at] = room[at].saturating_sub(size(name));
        parts[at].roles.insert(name.clone());
    }
    parts
}

/// An owner's inventory of a mount, as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Inventory {
    /// These are the owner's.
    Whole {
        /// Whether its file keeps the mount itself.
        keeps: bool,
        /// Its roles.
        roles: BTreeSet<RoleName>,
    },
    /// It can't be relied on.
    Damaged {
        /// Why, a sentence without a full stop.
        why: String,
        /// How many parts it has, the missing ones included.
        parts: usize,
    },
}

impl Inventory {
    /// Whether it lists a role, as far as it can be read.
    pub fn has(&self, name: &str) -> bool {
        // A name that is none of a role's isn't listed, and parsing lowers it as servers do.
        self.roles().zip(name.parse().ok()).is_some_and(|(roles, name)| roles.contains(&name))
    }

    /// The names that it lists; `None` where it can't be relied on.
    pub fn roles(&self) -> Option<&BTreeSet<RoleName>> {
        match self {
            Self::Whole { roles, .. } => Some(roles),
            Self::Damaged { .. } => None,
        }
    }

    /// Why it can't be relied on, where it can't.
    pub fn damage(&self) -> Option<&str> {
        match self {
            Self::Whole { .. } => None,
            Self::Damaged { why, .. } => Some(why),
        }
    }

    /// Whether its owner keeps the mount, as far as it can be read.
    pub fn keeps(&self) -> bool {
        matches!(self, Self::Whole { keeps: true, .. })
    }
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
    let damaged = |why| Inventory::Damaged { why, parts: last };
    let (mut keeps, mut roles) = (false, BTreeSet::new());
    for (expected, (number, part)) in (1..).zip(parts) {
        match part {
            _ if number != expected => return damaged(format!("part {expected} is missing")),
            Err(why) => return damaged(format!("part {number} can't be read: {why}")),
            Ok(part) => {
                keeps |= part.keeps;
                roles.extend(part.roles);
            }
        }
    }
    Inventory::Whole { keeps, roles }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place() -> Place {
        Place::first(&"platform".parse().unwrap(), &"team/JWT-a".parse().unwrap())
    }

    fn roles(names: &[&str]) -> BTreeSet<RoleName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_place_has_one_name_and_a_name_one_place() {
        let second = place().next();
        assert_eq!(place().policy(), "vaultk8s-inventory/platform/team/@j@w@t-a");
        assert_eq!(second.policy(), "vaultk8s-inventory/platform/team/@j@w@t-a:2");
        for place in [place(), second] {
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

    #[test]
    fn a_text_is_read_back_and_an_edited_one_is_not() {
        let part = Part { keeps: true, roles: roles(&["a", "b.c", "d_e"]) };
        let text = part.print(&place());
        assert_eq!(text.lines().count(), 6);
        assert!(text.lines().all(|line| line.starts_with("# ")), "{text}");
        assert_eq!(Part::read(&place(), &text), Ok(part));
        assert_eq!(Part::read(&place(), &Part::default().print(&place())), Ok(Part::default()));
        assert!(Part::read(&place().next(), &text).is_err());
        for edited in [
            text.replace("# role a\n", ""),
            text.replace("# role a\n", "# role x\n"),
            text.replace("# the mount\n", ""),
            text.replace("# role a\n", "# role a\n# role a2\n"),
            text.replace("# role a\n", "# role a\n\n"),
            text.replace("# role a\n", "# rôle a\n"),
            text.trim_end().to_owned(),
            format!("{text}\n"),
            format!("{text}path \"*\" {{ capabilities = [\"read\"] }}\n"),
            text[..text.len() / 2].to_owned(),
            String::new(),
        ] {
            assert!(Part::read(&place(), &edited).is_err(), "{edited}");
        }
    }

    #[test]
    fn who_keeps_the_mount_is_said_until_it_is_given_up() {
        let kept = amended(&[], &Amendment { keeps: Some(true), ..Amendment::default() });
        assert!(kept[0].print(&place()).contains("\n# the mount\n"));
        assert_eq!(amended(&kept, &Amendment::default()), kept);
        assert_eq!(amended(&kept, &Amendment { keeps: Some(false), ..Amendment::default() }), [Part::default()]);
        assert_eq!(amended(&[], &Amendment { keeps: Some(false), ..Amendment::default() }), []);
    }

    #[test]
    fn inventories_are_put_together_and_gaps_are_seen() {
        let part = |keeps, names| Part { keeps, roles: roles(names) };
        let parts = [part(true, &["a"]), part(false, &["b"])];
        let second = place().next();
        let texts = [(place(), Ok(parts[0].print(&place()))), (second.clone(), Ok(parts[1].print(&second)))];
        let of = |texts: &[(Place, Result<String, String>)]| {
            inventories(texts.iter().cloned()).remove(&place().mount).unwrap().remove(&place().owner).unwrap()
        };
        assert_eq!(of(&texts), Inventory::Whole { keeps: true, roles: roles(&["a", "b"]) });
        assert_eq!(of(&texts[1..]), Inventory::Damaged { why: "part 1 is missing".to_owned(), parts: 2 });
        let unread = (second, Err("the token may not read it".to_owned()));
        assert!(
            matches!(of(&[texts[0].clone(), unread]), Inventory::Damaged { why, .. } if why.contains("may not read"))
        );
    }

    #[test]
    fn ten_thousand_names_of_any_length_fit_into_parts() {
        let names: BTreeSet<RoleName> =
            (0..10_000).map(|i| format!("r{i}{}", "x".repeat(i % 500)).parse().unwrap()).collect();
        let parts = amended(&[], &Amendment { claim: names, keeps: Some(true), ..Amendment::default() });
        let mut at = place();
        for part in &parts {
            assert!(part.print(&at).len() <= LARGEST);
            at = at.next();
        }
        assert_eq!(parts.iter().map(|part| part.roles.len()).sum::<usize>(), 10_000);
        assert!(parts.len() < 14, "{}", parts.len());
        // One name more and one less touch one part each.
        let change = Amendment { claim: roles(&["new"]), release: roles(&["r0"]), keeps: None };
        let after = amended(&parts, &change);
        assert!(parts.iter().zip(&after).filter(|(before, after)| before != after).count() <= 2);
    }

    proptest! {
        #[test]
        fn claims_and_releases_are_kept(
            steps in prop::collection::vec((prop::collection::btree_set("[a-z]{1,3}", 0..20), prop::collection::btree_set("[a-z]{1,3}", 0..20)), 0..8)
        ) {
            let (mut parts, mut model) = (Vec::new(), BTreeSet::new());
            for (claim, release) in steps {
                let named = |names: &BTreeSet<String>| -> BTreeSet<RoleName> { names.iter().map(|n| n.parse().unwrap()).collect() };
                let (claim, release) = (named(&claim), named(&release));
                let change = Amendment { claim, release, keeps: None };
                parts = amended(&parts, &change);
                model.extend(change.claim);
                model.retain(|name| !change.release.contains(name));
                let held: Vec<RoleName> = parts.iter().flat_map(|part: &Part| part.roles.iter().cloned()).collect();
                prop_assert_eq!(held.len(), model.len());
                prop_assert_eq!(held.into_iter().collect::<BTreeSet<_>>(), model.clone());
                for part in &parts {
                    prop_assert_eq!(&Part::read(&place(), &part.print(&place())).unwrap(), part);
                }
            }
        }
    }
}
