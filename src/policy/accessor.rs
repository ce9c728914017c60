//! The accessor of an auth mount in a rule's path, where it isn't known yet.
//!
//! A file says `{accessor}`; which one that is only the server knows, once the mount is there. Until then a symbol of the mount stands in
//! its place, so that two policies are compared as they will be, and what is filled in is never read as a placeholder again.

use std::collections::BTreeSet;

use super::{Policy, PolicyPath, Rule};
use crate::names::MountPath;

const BEGIN: &str = "{accessor:";
const END: char = '}';

/// Stands for a slash of the mount's path: no part of one has such a character, and the symbol is one segment wherever it is.
const SLASH: char = ':';

/// What stands for the accessor of a mount.
pub fn accessor_symbol(mount: &MountPath) -> String {
    format!("{BEGIN}{}{END}", mount.as_str().replace('/', &SLASH.to_string()))
}

/// A text with the accessors that are known in place of their symbols.
pub fn with_accessors(text: &str, known: impl Fn(&MountPath) -> Option<String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, symbol)) = rest.split_once(BEGIN) {
        filled.push_str(before);
        let accessor = mount_of(symbol).and_then(|(mount, after)| Some((known(&mount)?, after)));
        if let Some((accessor, after)) = accessor {
            filled.push_str(&accessor);
            rest = after;
        } else {
            filled.push_str(BEGIN);
            rest = symbol;
        }
    }
    filled + rest
}

/// The mounts whose accessors a text has symbols of.
pub fn accessors_in(text: &str) -> BTreeSet<MountPath> {
    text.split(BEGIN).skip(1).filter_map(|symbol| Some(mount_of(symbol)?.0)).collect()
}

/// The mount of the symbol that a text goes on with, and what is after that.
fn mount_of(symbol: &str) -> Option<(MountPath, &str)> {
    let (mount, after) = symbol.split_once(END)?;
    Some((mount.replace(SLASH, "/").parse().ok()?, after))
}

impl Policy {
    /// The policy with the accessors that are known in place of their symbols.
    #[must_use]
    pub fn with_accessors(&self, known: impl Fn(&MountPath) -> Option<String>) -> Self {
        let filled = |rule: &Rule| match PolicyPath::new(&with_accessors(rule.path.as_str(), &known)) {
            Ok(path) => Rule { path, ..rule.clone() },
            Err(_) => rule.clone(),
        };
        Self::new(self.rules.iter().map(filled))
    }

    /// Whether it has symbols of accessors.
    pub fn has_accessors(&self) -> bool {
        self.rules.iter().any(|rule| rule.path.as_str().contains(BEGIN))
    }

    /// The mounts whose accessors it has symbols of.
    pub fn accessors(&self) -> BTreeSet<MountPath> {
        self.rules.iter().flat_map(|rule| accessors_in(rule.path.as_str())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(mount: &MountPath) -> Option<String> {
        (mount.as_str() != "new").then(|| format!("acc-{}", mount.as_str().replace('/', "-")))
    }

    #[test]
    fn what_is_known_is_filled_in_and_the_rest_stays() {
        let [jwt, deep, new] = ["jwt-prod", "team/jwt", "new"].map(|mount| accessor_symbol(&mount.parse().unwrap()));
        let text = format!("a/{{{{identity.entity.aliases.{jwt}.metadata.x}}}}/{deep}/{new}/*");
        let filled = with_accessors(&text, known);
        assert_eq!(filled, format!("a/{{{{identity.entity.aliases.acc-jwt-prod.metadata.x}}}}/acc-team-jwt/{new}/*"));
        assert_eq!(accessors_in(&text).len(), 3);
        assert_eq!(accessors_in(&filled), ["new".parse().unwrap()].into());
    }

    #[test]
    fn a_symbol_is_one_segment_and_part_of_a_template() {
        let symbol = accessor_symbol(&"team/jwt".parse().unwrap());
        assert!(!symbol.contains('/'));
        let path = format!("a/{{{{identity.entity.aliases.{symbol}.name}}}}/*");
        let policy = Policy::parse(&format!("path \"{path}\" {{ capabilities = [\"read\"] }}")).unwrap();
        assert!(policy.rules()[0].path.is_template());
        assert_eq!(Policy::parse(&policy.print(&[])).unwrap(), policy);
        let filled = policy.with_accessors(known);
        assert_eq!(filled.rules()[0].path.as_str(), "a/{{identity.entity.aliases.acc-team-jwt.name}}/*");
        assert!(filled.accessors().is_empty());
    }

    #[test]
    fn rules_that_come_to_the_same_are_one() {
        let symbol = accessor_symbol(&"jwt".parse().unwrap());
        let text = format!(
            "path \"a/{symbol}\" {{ capabilities = [\"read\"] }} path \"a/acc-jwt\" {{ capabilities = [\"list\"] }}"
        );
        assert_eq!(Policy::parse(&text).unwrap().with_accessors(known).rules().len(), 1);
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in ["a/{accessor:", "a/{accessor:}", "a/{accessor:x y}/z", "{accessor}", ""] {
            assert_eq!(with_accessors(text, known), text);
            assert!(accessors_in(text).is_empty());
        }
    }
}
