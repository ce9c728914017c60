//! What a server's answers about a login are held against, path by path.

use std::collections::BTreeSet;

use super::{Foresight, Meant, MeantThere};
use crate::policy::{Capability, Policy};

/// What a login should be able to do, wherever it is asked about.
pub(crate) struct Standards {
    /// Its policies as they should be.
    own: Foresight,
    /// The same beside what servers give every token.
    decided: Foresight,
    meant: Meant,
}

/// What a login should be able to do on a path: no less than `required`, and no more than is meant.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Standard {
    /// What its policies grant, and nothing else takes away.
    pub(crate) required: BTreeSet<Capability>,
    /// That, and what it may have beside it.
    pub(crate) meant: MeantThere,
}

/// In what an answer is otherwise.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Deviation {
    /// What is missing.
    pub(crate) lacks: BTreeSet<String>,
    /// What is too much.
    pub(crate) more: BTreeSet<String>,
    /// What is too much, unless the server makes it so.
    pub(crate) unsure: BTreeSet<String>,
}

impl Standards {
    /// Those of a login with these policies, which is meant to have so much; `default` is what every token of the server has, where
    /// the login has it.
    pub(crate) fn new(policies: &[&Policy], default: Option<&Policy>, meant: Meant) -> Self {
        // A template of `default` is about the login itself, and no path that is asked about is.
        let sure =
            default.map(|policy| Policy::new(policy.rules().iter().filter(|rule| !rule.path.is_template()).cloned()));
        let decided = Foresight::new(&policies.iter().copied().chain(&sure).collect::<Vec<_>>());
        Self { own: Foresight::new(policies), decided, meant }
    }

    /// What it should be able to do on a path; `None` where a template decides, or where servers differ.
    pub(crate) fn at(&self, path: &str) -> Option<Standard> {
        let granted = self.own.foretold(path)?;
        // A rule of `default` may be the more specific one: then that alone counts, and what a wider rule grants doesn't.
        let left = self.decided.foretold(path).unwrap_or_default();
        Some(Standard { required: granted.intersection(&left).copied().collect(), meant: self.meant.at(path) })
    }

    /// What it may do on a path where nothing is asked of it.
    pub(crate) fn limit(&self, path: &str) -> Standard {
        Standard { required: BTreeSet::new(), meant: self.meant.at(path) }
    }
}

impl Standard {
    /// Whether nothing is meant here.
    pub(crate) fn is_refusal(&self) -> bool {
        self.meant == MeantThere::default()
    }

    /// Compares what a server says with it.
    pub(crate) fn deviation<'a>(&self, answer: impl IntoIterator<Item = &'a String>) -> Deviation {
        let words = |set: &BTreeSet<Capability>| -> BTreeSet<String> { set.iter().map(ToString::to_string).collect() };
        let has: BTreeSet<String> = granted(answer).cloned().collect();
        let perhaps = words(&self.meant.perhaps);
        let (unsure, more) =
            has.difference(&words(&self.meant.surely)).cloned().partition(|capability| perhaps.contains(capability));
        Deviation { lacks: words(&self.required).difference(&has).cloned().collect(), more, unsure }
    }
}

/// What an answer grants: a path without anything has the word `deny`.
pub(crate) fn granted<'a>(answer: impl IntoIterator<Item = &'a String>) -> impl Iterator<Item = &'a String> {
    answer.into_iter().filter(|word| *word != "deny")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        Policy::parse(text).unwrap()
    }

    fn deviation(own: &str, default: &str, path: &str, answer: &[&str]) -> Option<Deviation> {
        let (own, default) = (policy(own), policy(default));
        let meant = Meant::new(&[&own], Some(&default), &Policy::default());
        let answer: Vec<String> = answer.iter().map(ToString::to_string).collect();
        Some(Standards::new(&[&own], Some(&default), meant).at(path)?.deviation(&answer))
    }

    #[test]
    fn an_answer_may_have_too_little_and_too_much() {
        let own = r#"path "a/*" { capabilities = ["read", "list"] } path "b/{{identity.entity.id}}" { capabilities = ["read"] }"#;
        let found = deviation(own, "", "a/x", &["read", "update"]).unwrap();
        assert_eq!((found.lacks, found.more), (["list".to_owned()].into(), ["update".to_owned()].into()));
        assert_eq!(deviation(own, "", "c", &["deny"]), Some(Deviation::default()));
        // Whose template it is, a server knows.
        assert_eq!(deviation(own, "", "b/x", &["read"]), None);
    }

    #[test]
    fn a_narrower_rule_of_default_decides_in_place_of_a_wide_one() {
        let (own, default) =
            (r#"path "*" { capabilities = ["read"] }"#, r#"path "auth/token/x" { capabilities = ["update"] }"#);
        assert_eq!(deviation(own, default, "auth/token/x", &["update"]), Some(Deviation::default()));
        assert_eq!(deviation(own, default, "auth/token/y", &["deny"]).unwrap().lacks, ["read".to_owned()].into());
    }
}
