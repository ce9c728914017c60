//! Rules about one secret that a slash at the end of a path passes by.
//!
//! A rule whose path doesn't end in `*` is about that path alone, and to a server's policies `secret/data/x/` is another one: there
//! a wider rule decides. A KV engine of version 2 takes it for the secret `x` all the same, where it deletes, and where it shows metadata. It
//! has to be known: `sys/capabilities` tries a path without its slash as well, so that its answer is that of the narrow rule.

use std::collections::BTreeSet;

use super::SEGMENT;
use super::denied::within;
use crate::desired::KvVersions;
use crate::model::KvVersion;
use crate::policy::{Acl, Capability, Pattern, Places, Policy, PolicyPath};
use Capability::{Delete, Deny, Read};

/// A rule that a slash passes by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Passed {
    /// Its path.
    pub(crate) rule: PolicyPath,
    /// Whether it denies everything.
    pub(crate) denies: bool,
    /// A path that it is about, with the slash.
    pub(crate) path: String,
    /// The rule that decides there.
    pub(crate) by: String,
    /// What may be done all the same.
    pub(crate) left: BTreeSet<Capability>,
}

impl Passed {
    /// The rule that closes it.
    pub(crate) fn remedy(&self) -> String {
        format!("write a rule with the same capabilities for {}/ too", self.rule)
    }
}

/// Those of a login's own rules that a slash passes by, where it has all of these policies.
pub(crate) fn passed(own: &[&Policy], all: &[&Policy], kv: &KvVersions) -> Vec<Passed> {
    let narrow = own.iter().flat_map(|policy| policy.rules());
    let mut narrow = narrow.filter(|rule| !rule.is_uncertain() && !rule.path.as_str().ends_with(['*', '/'])).peekable();
    if narrow.peek().is_none() || !kv.values().any(|version| *version == KvVersion::V2) {
        return Vec::new();
    }
    let policies = || own.iter().chain(all).copied();
    let acl = Acl::new(policies());
    let places = Places::of(policies().flat_map(Policy::rules).map(|rule| &rule.path), SEGMENT);
    let passed = narrow.filter_map(|rule| {
        let pattern = Pattern::of(&rule.path)?;
        let denies = rule.denies() || rule.capabilities.is_empty();
        places.near(&rule.path).filter(|path| pattern.matches(path)).find_map(|path| {
            let (deciding, allowed) = acl.decides(path)?;
            if deciding != rule.path.as_str() || path.ends_with('/') {
                return None;
            }
            let path = format!("{path}/");
            let (by, there) = acl.decides_request(&path)?;
            let harm = harm(&path, kv).iter().filter(|harm| denies || **harm == Delete);
            let kept = |harm: &&Capability| allowed.contains(&Deny) || !allowed.contains(harm);
            let left: BTreeSet<Capability> = harm.filter(|harm| there.contains(harm)).filter(kept).copied().collect();
            let open = !there.contains(&Deny) && !left.is_empty();
            open.then(|| Passed { rule: rule.path.clone(), denies, path, by, left })
        })
    });
    passed.collect::<BTreeSet<_>>().into_iter().collect()
}

/// What a request does on a path with a slash: all others are refused, or find nothing.
pub(super) fn harm(path: &str, kv: &KvVersions) -> &'static [Capability] {
    match within(path, kv) {
        Some((_, KvVersion::V2, inside)) if inside.starts_with("data/") => &[Delete],
        Some((_, KvVersion::V2, inside)) if inside.starts_with("metadata/") => &[Read, Delete],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rules that are passed by, with the path and what may be done there.
    fn of(rules: &[(&str, &str)]) -> Vec<String> {
        let rule = |(path, words): &(&str, &str)| {
            let words: Vec<String> = words.split_whitespace().map(|word| format!("{word:?}")).collect();
            format!("path {path:?} {{ capabilities = [{}] }}\n", words.join(", "))
        };
        let policy = Policy::parse(&rules.iter().map(rule).collect::<String>()).unwrap();
        let kv = [("secret".parse().unwrap(), KvVersion::V2), ("kv1".parse().unwrap(), KvVersion::V1)].into();
        let told = |passed: &Passed| {
            let left: Vec<&str> = passed.left.iter().map(|left| left.as_str()).collect();
            format!("{}: {} {} by {}", passed.rule, left.join(" "), passed.path.replace(SEGMENT, "any"), passed.by)
        };
        passed(&[&policy], &[&policy], &kv).iter().map(told).collect()
    }

    #[test]
    fn a_slash_passes_by_a_rule_about_one_secret() {
        let wide = ("secret/data/sl/*", "create read update delete");
        let metadata = ("secret/metadata/sl/*", "read list delete");
        for (rules, expected) in [
            ([wide, ("secret/data/sl/x", "deny")], "secret/data/sl/x: delete secret/data/sl/x/ by secret/data/sl/*"),
            ([wide, ("secret/data/sl/x", "")], "secret/data/sl/x: delete secret/data/sl/x/ by secret/data/sl/*"),
            ([wide, ("secret/data/sl/+", "deny")], "secret/data/sl/+: delete secret/data/sl/any/ by secret/data/sl/*"),
            // A rule that allows less than the wider one.
            ([wide, ("secret/data/sl/ro", "read")], "secret/data/sl/ro: delete secret/data/sl/ro/ by secret/data/sl/*"),
            (
                [metadata, ("secret/metadata/sl/x", "deny")],
                "secret/metadata/sl/x: read delete secret/metadata/sl/x/ by secret/metadata/sl/*",
            ),
            (
                [("secret/*", "read delete"), ("secret/data/x", "deny")],
                "secret/data/x: delete secret/data/x/ by secret/*",
            ),
        ] {
            assert_eq!(of(&rules), [expected], "{rules:?}");
        }
    }

    #[test]
    fn what_a_slash_does_not_change_is_not_found() {
        let wide = ("secret/data/sl/*", "create read update delete");
        for rules in [
            // Closed, by the same rule with the slash or by one for all below.
            vec![wide, ("secret/data/sl/x", "deny"), ("secret/data/sl/x/", "deny")],
            vec![wide, ("secret/data/sl/x", "deny"), ("secret/data/sl/x/*", "deny")],
            vec![wide, ("secret/data/sl/+", "deny"), ("secret/data/sl/+/", "deny")],
            vec![wide, ("secret/data/sl/x*", "deny")],
            // What is deleted may be deleted; and reading and writing ends in an error.
            vec![wide, ("secret/data/sl/x", "delete")],
            vec![("secret/data/sl/*", "create read update"), ("secret/data/sl/x", "deny")],
            vec![("secret/metadata/sl/*", "list"), ("secret/metadata/sl/x", "deny")],
            vec![("secret/metadata/sl/*", "read list"), ("secret/metadata/sl/x", "list")],
            vec![("secret/destroy/sl/*", "update delete"), ("secret/destroy/sl/x", "deny")],
            // Other engines take the path as it is.
            vec![("kv1/sl/*", "read delete"), ("kv1/sl/x", "deny")],
            vec![("other/data/*", "read delete"), ("other/data/x", "deny")],
        ] {
            assert_eq!(of(&rules), Vec::<String>::new(), "{rules:?}");
        }
    }
}
