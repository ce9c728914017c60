//! One part of an inventory: its text, and what becomes of the parts when names come and go.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Place;
use crate::names::{InvalidName, RoleName};

/// The most bytes that the text of one part has.
const LARGEST: usize = 256 * 1024;

/// The most parts that an inventory has: more names than any mount holds.
const MOST: usize = 10_000;

/// What the first lines and the last one take at most.
const AROUND: usize = 2048;

/// The line of the first part that says how many parts there are. Without it a last part that is gone would not be missed.
const PARTS: &str = "# parts ";

/// The line of the first part that says which mount it is: one that was made anew under the same path has another accessor.
const ACCESSOR: &str = "# accessor ";

/// The line of an owner whose file keeps the mount itself.
const KEEPS: &str = "# the mount\n";

const ROLE: &str = "# role ";

/// What one part lists. All but the roles is said by the first part alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// How many parts there are; an inventory of an earlier version doesn't say.
    pub(super) parts: Option<usize>,
    /// The accessor of the mount; an inventory of an earlier version doesn't say.
    pub(super) accessor: Option<String>,
    /// Whether the owner keeps the mount itself.
    pub(super) keeps: bool,
    pub(super) roles: BTreeSet<RoleName>,
}

impl Part {
    /// Its text.
    pub fn print(&self, place: &Place) -> String {
        let mut text = head(place);
        // Writing to a String can't fail.
        if let Some(parts) = self.parts {
            let _ = writeln!(text, "{PARTS}{parts}");
        }
        if let Some(accessor) = &self.accessor {
            let _ = writeln!(text, "{ACCESSOR}{accessor}");
        }
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
        let Some(mut rest) = text.strip_prefix(&head(place)) else {
            return Err("it doesn't begin as one of this owner and mount does".to_owned());
        };
        let mut part = Self::default();
        if let Some(parts) = said(&mut rest, PARTS) {
            let count = parts.parse().ok().filter(|count| (1..=MOST).contains(count));
            part.parts = Some(count.ok_or_else(|| format!("{parts:?} is no number of parts"))?);
        }
        part.accessor = said(&mut rest, ACCESSOR).map(str::to_owned);
        if let Some(after) = rest.strip_prefix(KEEPS) {
            (part.keeps, rest) = (true, after);
        }
        while let Some(name) = said(&mut rest, ROLE) {
            part.roles.insert(name.parse().map_err(|error: InvalidName| error.to_string())?);
        }
        if rest != end(&text[..text.len() - rest.len()], part.roles.len()) {
            return Err("its last line doesn't fit what is above it, so it was edited or cut".to_owned());
        }
        Ok(part)
    }

    /// How many parts the inventory has, as its first one says.
    pub fn parts(&self) -> Option<usize> {
        self.parts
    }

    /// The roles that it lists.
    pub fn into_roles(self) -> BTreeSet<RoleName> {
        self.roles
    }

    /// Whether it lists a role.
    pub fn has(&self, name: &RoleName) -> bool {
        self.roles.contains(name)
    }

    /// Whether its names are those of another mount than this one.
    fn is_stale(&self, accessor: Option<&str>) -> bool {
        self.accessor.as_deref().zip(accessor).is_some_and(|(of, now)| of != now)
    }

    fn size(&self) -> usize {
        self.roles.iter().map(size).sum()
    }
}

/// What the next line says after these words; it is taken off where it has them.
fn said<'a>(rest: &mut &'a str, words: &str) -> Option<&'a str> {
    let (line, after) = rest.split_once('\n')?;
    let value = line.strip_prefix(words)?;
    *rest = after;
    Some(value)
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
///
/// With the `accessor` of the mount, which is empty for a local one, names of one that was there before are dropped, and the first part
/// says from then on which mount it is.
pub fn amended(parts: &[Part], Amendment { claim, release, keeps }: &Amendment, accessor: Option<&str>) -> Vec<Part> {
    const ROOM: usize = LARGEST - AROUND;
    let mut parts = parts.to_vec();
    let stale = parts.first().is_some_and(|first| first.is_stale(accessor));
    for part in &mut parts {
        part.roles.retain(|name| !stale && !release.contains(name));
    }
    if parts.is_empty() && *keeps == Some(true) {
        parts.push(Part::default());
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
    let count = parts.len();
    if let Some(first) = parts.first_mut() {
        first.parts = Some(count);
        first.keeps = keeps.unwrap_or(first.keeps);
        if let Some(accessor) = accessor {
            first.accessor = Some(accessor.to_owned()).filter(|accessor| !accessor.is_empty());
        }
    }
    parts
}
#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ownership::fixture::{place, roles};

    fn part(names: &[&str]) -> Part {
        Part { parts: Some(1), accessor: Some("auth_jwt_1".to_owned()), keeps: true, roles: roles(names) }
    }

    #[test]
    fn a_text_is_read_back_and_an_edited_one_is_not() {
        let whole = part(&["a", "b.c", "d_e"]);
        let text = whole.print(&place());
        assert_eq!(text.lines().count(), 8);
        assert!(text.lines().all(|line| line.starts_with("# ")), "{text}");
        assert_eq!(Part::read(&place(), &text), Ok(whole));
        assert_eq!(Part::read(&place(), &Part::default().print(&place())), Ok(Part::default()));
        assert!(Part::read(&place().next(), &text).is_err());
        for edited in [
            text.replace("# role a\n", ""),
            text.replace("# role a\n", "# role x\n"),
            text.replace("# the mount\n", ""),
            text.replace("# parts 1\n", ""),
            text.replace("# parts 1\n", "# parts 2\n"),
            text.replace("# parts 1\n", "# parts many\n"),
            Part { parts: Some(0), ..part(&["a"]) }.print(&place()),
            Part { parts: Some(MOST + 1), ..part(&["a"]) }.print(&place()),
            text.replace("auth_jwt_1", "auth_jwt_2"),
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
        let keeping = |keeps| Amendment { keeps: Some(keeps), ..Amendment::default() };
        let kept = amended(&[], &keeping(true), None);
        assert!(kept[0].print(&place()).contains("\n# the mount\n"));
        assert_eq!(amended(&kept, &Amendment::default(), None), kept);
        let given_up = Part { keeps: false, ..kept[0].clone() };
        assert_eq!(amended(&kept, &keeping(false), None), [given_up]);
        assert_eq!(amended(&[], &keeping(false), None), []);
    }

    #[test]
    fn names_of_a_mount_that_is_gone_are_dropped_and_the_new_one_is_named() {
        let claim = Amendment { claim: roles(&["b"]), ..Amendment::default() };
        let names = |accessor| amended(&[part(&["a"])], &claim, accessor)[0].clone();
        assert_eq!(names(Some("auth_jwt_1")), part(&["a", "b"]));
        assert_eq!(names(None), part(&["a", "b"]));
        let anew = Part { accessor: Some("auth_jwt_2".to_owned()), ..part(&["b"]) };
        assert_eq!(names(Some("auth_jwt_2")), anew);
        assert_eq!(names(Some("")), Part { accessor: None, ..part(&["b"]) }, "it wasn't local");
        // One that didn't say which mount it is of keeps its names, and says it from now on.
        let before = Part { keeps: true, roles: roles(&["a"]), ..Part::default() };
        assert_eq!(amended(&[before], &claim, Some("auth_jwt_1")), [part(&["a", "b"])]);
    }

    #[test]
    fn ten_thousand_names_of_any_length_fit_into_parts() {
        let names: BTreeSet<RoleName> =
            (0..10_000).map(|i| format!("r{i}{}", "x".repeat(i % 500)).parse().unwrap()).collect();
        let claim = Amendment { claim: names, keeps: Some(true), ..Amendment::default() };
        let parts = amended(&[], &claim, Some("auth_jwt_1"));
        let mut at = place();
        for part in &parts {
            assert!(part.print(&at).len() <= LARGEST);
            at = at.next();
        }
        assert_eq!(parts.iter().map(|part| part.roles.len()).sum::<usize>(), 10_000);
        assert!(parts.len() < 14, "{}", parts.len());
        assert_eq!(parts[0].parts(), Some(parts.len()));
        // One name more and one less touch one part each.
        let change = Amendment { claim: roles(&["new"]), release: roles(&["r0"]), keeps: None };
        let after = amended(&parts, &change, Some("auth_jwt_1"));
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
                parts = amended(&parts, &change, None);
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
