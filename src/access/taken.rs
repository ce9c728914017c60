//! What other policies of a login take away of what its own grant: of the rules that match a path the most specific one alone
//! counts, so that what is added may leave less.

use std::collections::{BTreeMap, BTreeSet};

use super::Foresight;
use crate::policy::{Acl, Capability, Pattern, Places, Policy, PolicyPath, Rule, stand_in};

/// What is taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The rule that takes it.
    pub(crate) rule: PolicyPath,
    /// The one that grants it.
    pub(crate) grant: PolicyPath,
    /// An example of a path where it is gone.
    pub(crate) path: String,
    /// What is gone there.
    pub(crate) lost: BTreeSet<Capability>,
}

/// What policies take away of what a login's own grant, rule by rule; `stock` is what servers give every token, which takes
/// nothing that anybody would miss.
pub(crate) fn taken(own: &[&Policy], others: &[&Policy], stock: &Policy) -> Vec<Taken> {
    let granting: Vec<Pattern> = rules(own)
        .filter(|rule| !rule.denies() && !rule.is_uncertain())
        .filter_map(|rule| Pattern::of(&rule.path))
        .collect();
    let known = |rule: &Rule| rules(own).chain(stock.rules()).any(|known| known == rule);
    let narrower: Vec<&Rule> = rules(others)
        .filter(|rule| !rule.is_uncertain() && !known(rule))
        .filter(|rule| {
            let about = Pattern::of(&rule.path);
            about.is_some_and(|about| granting.iter().any(|granting| may_meet(granting, &about)))
        })
        .collect();
    if narrower.is_empty() {
        return Vec::new();
    }
    let paths = || rules(own).chain(narrower.iter().copied()).map(|rule| &rule.path);
    let places = Places::of(paths(), &stand_in(paths().chain(rules(others).map(|rule| &rule.path))));
    let with_stock: Vec<&Policy> = own.iter().copied().chain([stock]).collect();
    let all: Vec<&Policy> = with_stock.iter().chain(others).copied().collect();
    let (alone, before, after) = (Foresight::new(own), Foresight::new(&with_stock), Foresight::new(&all));
    let (granted_by, decided_by) = (Acl::new(own.iter().copied()), Acl::new(all));
    let mut taken: BTreeMap<String, Taken> = BTreeMap::new();
    for rule in narrower {
        let near = places.near(&rule.path).map(|path| (path, false));
        for (path, folder) in near.chain(places.folders_near(&rule.path).map(|path| (path, true))) {
            // A server asks for the rules of a folder's path with its slash, and of everything else as it is.
            let of_kind = |capability: &Capability| matches!(capability, Capability::List | Capability::Scan) == folder;
            let lost = || {
                let (alone, before, after) = (alone.foretold(path)?, before.foretold(path)?, after.foretold(path)?);
                let granted: BTreeSet<Capability> = alone.intersection(&before).copied().filter(of_kind).collect();
                Some(granted.difference(&after).copied().collect::<BTreeSet<_>>()).filter(|lost| !lost.is_empty())
            };
            let Some(lost) = lost() else { continue };
            let decides = decided_by.decides(path).is_some_and(|(deciding, _)| deciding == rule.path.as_str());
            let grant = granted_by.decides(path).and_then(|(grant, _)| PolicyPath::new(&grant).ok());
            let Some(grant) = grant.filter(|_| decides) else { continue };
            let new = Taken { rule: rule.path.clone(), grant, path: path.clone(), lost: BTreeSet::new() };
            taken.entry(rule.path.to_string()).or_insert(new).lost.extend(lost);
        }
    }
    taken.into_values().collect()
}

fn rules<'a>(policies: &[&'a Policy]) -> impl Iterator<Item = &'a Rule> {
    policies.iter().flat_map(|policy| policy.rules())
}

/// Whether two rules may be about one path, a folder's with its slash or without.
fn may_meet(one: &Pattern, other: &Pattern) -> bool {
    one.meet(other).is_some()
        || [(one, other), (other, one)]
            .iter()
            .any(|(one, other)| other.folder().is_some_and(|folder| one.meet(&folder).is_some()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::{SEGMENT, SlashOrder, Verdict, stock_default};

    fn policy(rules: &[(&str, &str)]) -> Policy {
        let rule = |(path, words): &(&str, &str)| {
            let words: Vec<String> = words.split_whitespace().map(|word| format!("{word:?}")).collect();
            format!("path {path:?} {{ capabilities = [{}] }}\n", words.join(", "))
        };
        Policy::parse(&rules.iter().map(rule).collect::<String>()).unwrap()
    }

    /// What is taken, by which rule, where.
    fn told(own: &[(&str, &str)], others: &[(&str, &str)]) -> Vec<String> {
        let told = |taken: &Taken| {
            let lost: Vec<&str> = taken.lost.iter().map(|lost| lost.as_str()).collect();
            format!(
                "{} takes {} of {} at {}",
                taken.rule,
                lost.join(" "),
                taken.grant,
                taken.path.replace(SEGMENT, "x")
            )
        };
        let (own, others) = (policy(own), policy(others));
        taken(&[&own], &[&own, &others, stock_default()], stock_default()).iter().map(told).collect()
    }

    #[test]
    fn what_another_policy_takes_is_told_with_its_rule() {
        let own = [("secret/data/team/*", "read"), ("secret/metadata/team/*", "list")];
        for (other, words, expected) in [
            (
                "secret/data/team/db",
                "deny",
                "secret/data/team/db takes read of secret/data/team/* at secret/data/team/db",
            ),
            ("secret/data/team/db", "", "secret/data/team/db takes read of secret/data/team/* at secret/data/team/db"),
            (
                "secret/data/team/db",
                "list",
                "secret/data/team/db takes read of secret/data/team/* at secret/data/team/db",
            ),
            (
                "secret/data/team/m*",
                "deny",
                "secret/data/team/m* takes read of secret/data/team/* at secret/data/team/mx/x",
            ),
            (
                "secret/data/team/db/*",
                "deny",
                "secret/data/team/db/* takes read of secret/data/team/* at secret/data/team/db/x",
            ),
            (
                "secret/data/team/+/db",
                "deny",
                "secret/data/team/+/db takes read of secret/data/team/* at secret/data/team/x/db",
            ),
            (
                "secret/data/team/*",
                "deny",
                "secret/data/team/* takes read of secret/data/team/* at secret/data/team/x/x",
            ),
            (
                "secret/metadata/team/db",
                "deny",
                "secret/metadata/team/db takes list of secret/metadata/team/* at secret/metadata/team/db/",
            ),
        ] {
            let told = told(&own, &[(other, words)]);
            let (rule, _) = expected.split_once(" at ").unwrap();
            assert!(told.len() == 1 && told[0].starts_with(rule), "{other} [{words}]: {told:?}");
        }
        // A wider rule of others is the more specific one where it names more before its wildcard.
        let told = told(&[("secret/+/c/ab", "read")], &[("secret/data/c*", "delete")]);
        assert_eq!(told, ["secret/data/c* takes read of secret/+/c/ab at secret/data/c/ab"]);
    }

    #[test]
    fn what_takes_nothing_is_not_told() {
        let own = [("secret/data/team/*", "read"), ("auth/token/*", "update"), ("secret/data/team/ops", "deny")];
        for (other, words) in [
            ("secret/data/*", "deny"),
            ("secret/data/other/db", "deny"),
            ("secret/data/team/db", "read"),
            ("secret/data/team/db", "read update"),
            ("secret/data/team/*", "list"),
            // What its own policies deny anyway.
            ("secret/data/team/ops", "deny"),
            ("secret/data/team/ops", "list"),
            // What only the server knows.
            ("secret/data/team/{{identity.entity.name}}", "deny"),
        ] {
            assert_eq!(told(&own, &[(other, words)]), Vec::<String>::new(), "{other} [{words}]");
        }
    }

    fn some() -> impl Strategy<Value = Policy> {
        let segment = prop_oneof![3 => "[ab]{1,2}", 1 => Just("+".to_owned())];
        let words = prop::sample::select(vec![
            vec![Capability::Read],
            vec![Capability::Deny],
            vec![Capability::Delete],
            vec![],
        ]);
        let rule = (proptest::collection::vec(segment, 1..4), prop::sample::select(vec!["", "*", "/*"]), words)
            .prop_filter_map("no path of a rule", |(segments, end, words)| {
                Some(Rule::new(PolicyPath::new(&(segments.join("/") + end)).ok()?, words))
            });
        proptest::collection::vec(rule, 0..4).prop_map(Policy::new)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn whatever_is_lost_anywhere_is_told(own in some(), other in some(), path in "[ab]{1,2}(/[ab]{1,2}){0,3}") {
            let reads = |policies: &[&Policy], path: &str| Acl::new(policies.iter().copied())
                .with_slash_order(SlashOrder::WithFirst).capabilities(path).allows(Capability::Read) == Some(true);
            let none = Policy::default();
            let told = taken(&[&own], &[&other], &none);
            if reads(&[&own], &path) && !reads(&[&own, &other], &path) {
                prop_assert!(told.iter().any(|told| told.lost.contains(&Capability::Read)), "{path}: {told:?}");
            }
            for told in told {
                let lost = |capability: &Capability| {
                    let verdict = |policies: &[&Policy]| Acl::new(policies.iter().copied()).capabilities(&told.path);
                    let has = |verdict: Verdict| verdict.allows(*capability) == Some(true);
                    has(verdict(&[&own])) && !has(verdict(&[&own, &other]))
                };
                prop_assert!(told.lost.iter().any(lost), "{told:?}");
            }
        }
    }
}
