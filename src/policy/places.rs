//! The kinds of paths that some rules tell apart, with an example of each.
//!
//! What policies allow is decided by the most specific rule that matches. Two sets of policies are alike where they allow the same on
//! one path of each kind: within a rule alone, where rules meet, and at each length of path at which one of them begins or ends
//! to match.

use std::collections::{BTreeMap, BTreeSet};

use super::stand_in::apart;
use super::{Pattern, PolicyPath};

/// The kinds of paths that rules tell apart.
#[derive(Debug, Default)]
pub struct Places {
    /// An example of each, with the pattern of its kind.
    examples: BTreeMap<String, Pattern>,
    /// For each rule, the examples that show it alone: one for each length of path that matters.
    own: BTreeMap<PolicyPath, BTreeSet<String>>,
    /// An example of each kind of folders, with its slash, and the pattern of its kind.
    folders: BTreeMap<String, Pattern>,
}

impl Places {
    /// Those of these rules; `token` is what stands for any name, or ends what does, where a rule is about it. Templates have none, because only a server knows their values.
    pub fn of<'a>(rules: impl IntoIterator<Item = &'a PolicyPath>, token: &str) -> Self {
        let rules: BTreeSet<&PolicyPath> = rules.into_iter().collect();
        let token = &apart(token, rules.iter().copied());
        let patterns: Vec<(&PolicyPath, Pattern)> =
            rules.into_iter().filter_map(|rule| Some((rule, Pattern::of(rule)?))).collect();
        let deep = patterns.iter().map(|(_, pattern)| pattern.length()).max().unwrap_or_default() + 1;
        let mut wild: Vec<(String, &Pattern)> = patterns
            .iter()
            .map(|(_, pattern)| pattern)
            .filter(|pattern| pattern.has_wildcards())
            .map(|pattern| (pattern.literal(), pattern))
            .collect();
        wild.sort();
        let mut places = Self::default();
        let mut meetings: BTreeSet<Pattern> = BTreeSet::new();
        for (literal, pattern) in &wild {
            for other in beginning_with(&wild, literal) {
                meetings.extend(pattern.meet(other).filter(|met| met != *pattern && met != other));
            }
        }
        for (rule, pattern) in &patterns {
            let examples = examples(pattern, &wild, token, deep);
            places.own.insert((*rule).clone(), examples.keys().cloned().collect());
            places.add(examples);
        }
        for meeting in &meetings {
            places.add(examples(meeting, &wild, token, deep));
        }
        let folders = places.examples.iter().flat_map(|(example, pattern)| pattern.folders(example.split('/').count()));
        places.folders = folders.map(|folder| (folder.sample(token, 0), folder)).collect();
        places
    }

    /// Of two kinds with one example, the narrower gives its name: the wider one has more examples.
    fn add(&mut self, examples: BTreeMap<String, Pattern>) {
        for (example, pattern) in examples {
            let known = self.examples.entry(example).or_insert_with(|| pattern.clone());
            if known.covers(&pattern) {
                *known = pattern;
            }
        }
    }

    /// All examples, each with the pattern of its kind.
    pub fn all(&self) -> &BTreeMap<String, Pattern> {
        &self.examples
    }

    /// Examples of all kinds of folders that the rules tell apart when somebody lists them, each with the pattern of its kind. They
    /// end in a slash, because a server appends one to the path of a LIST and looks for the rules of that: `a/*` lets `a` be listed.
    pub fn folders(&self) -> &BTreeMap<String, Pattern> {
        &self.folders
    }

    /// The examples that a rule may match: no others begin as it does.
    pub fn near<'s>(&'s self, rule: &'s PolicyPath) -> impl Iterator<Item = &'s String> {
        beginning_as(&self.examples, rule.literal())
    }

    /// The folders that a rule may let somebody list.
    pub fn folders_near<'s>(&'s self, rule: &'s PolicyPath) -> impl Iterator<Item = &'s String> {
        beginning_as(&self.folders, rule.literal())
    }

    /// The examples that show a rule alone; none for a template.
    pub fn own(&self, rule: &PolicyPath) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        self.own.get(rule).unwrap_or(&NONE)
    }
}

fn beginning_as<'s, T>(examples: &'s BTreeMap<String, T>, literal: &'s str) -> impl Iterator<Item = &'s String> {
    let from = examples.range(literal.to_owned()..);
    from.map(|(example, _)| example).take_while(move |example| example.starts_with(literal))
}

/// The patterns whose literal begins with this one, or the other way round.
fn beginning_with<'a>(wild: &'a [(String, &'a Pattern)], literal: &'a str) -> impl Iterator<Item = &'a Pattern> {
    let from = wild.partition_point(|(other, _)| other.as_str() < literal);
    let longer = wild[from..].iter().take_while(move |(other, _)| other.starts_with(literal));
    longer.map(|(_, pattern)| *pattern)
}

/// Examples of a pattern: a long one where anything may follow, and one of each shorter length at which some other pattern
/// decides otherwise than there.
fn examples(pattern: &Pattern, wild: &[(String, &Pattern)], token: &str, deep: usize) -> BTreeMap<String, Pattern> {
    let long = pattern.sample(token, deep);
    let mut examples = BTreeMap::new();
    if pattern.is_open() {
        let literal = pattern.literal();
        let shorter: Vec<&Pattern> =
            wild.iter().filter(|(other, _)| literal.starts_with(other.as_str())).map(|(_, other)| *other).collect();
        let others: Vec<&Pattern> = shorter.into_iter().chain(beginning_with(wild, &literal)).collect();
        for length in pattern.length()..deep {
            let example = pattern.sample(token, length);
            if others.iter().any(|other| other.matches(&example) != other.matches(&long)) {
                examples.insert(example, pattern.of_length(length));
            }
        }
    }
    examples.insert(long, pattern.clone());
    examples
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::{Acl, Capability, Policy, Rule, SlashOrder, Verdict};

    fn places(rules: &[&str]) -> Vec<(String, String)> {
        let rules: Vec<PolicyPath> = rules.iter().map(|rule| PolicyPath::new(rule).unwrap()).collect();
        let places = Places::of(&rules, "T");
        places.all().iter().map(|(example, pattern)| (example.clone(), pattern.to_string())).collect()
    }

    #[test]
    fn lengths_and_meetings_are_places_of_their_own() {
        let told = |rules: &[&str]| places(rules).iter().map(|(a, b)| format!("{a} = {b}")).collect::<Vec<_>>();
        assert_eq!(told(&["a/b", "a/*"]), ["a/T/T = a/*", "a/b = a/b"]);
        assert_eq!(told(&["a/*", "a/+"]), ["a/T = a/+", "a/T/T = a/*"]);
        assert_eq!(told(&["a/*", "a/+/*"]), ["a/T = a/+", "a/T/T/T = a/+/*"]);
        assert_eq!(
            told(&["a/+/root", "a/web/*"]),
            ["a/T/root = a/+/root", "a/web/T/T = a/web/*", "a/web/root = a/web/root"]
        );
    }

    #[test]
    fn a_thousand_rules_side_by_side_have_a_place_each() {
        let rules: Vec<String> = (0..1000).map(|at| format!("apps/{at}/*")).collect();
        assert_eq!(places(&rules.iter().map(String::as_str).collect::<Vec<_>>()).len(), 1000);
    }

    #[test]
    fn a_folder_is_told_from_what_is_in_it() {
        let folders = |rules: &[&str]| {
            let rules: Vec<PolicyPath> = rules.iter().map(|rule| PolicyPath::new(rule).unwrap()).collect();
            let places = Places::of(&rules, "T");
            places.folders().iter().map(|(example, pattern)| format!("{example} = {pattern}")).collect::<Vec<_>>()
        };
        assert_eq!(folders(&["a/b"]), ["a/b/ = a/b/"]);
        assert_eq!(folders(&["a/b/"]), ["a/b/ = a/b/"]);
        assert_eq!(folders(&["a/b*"]), ["a/bT/T/ = a/b*/+/"]);
        assert_eq!(folders(&["a/*"]), ["a/ = a/", "a/T/T/ = a/+/+/"]);
        assert_eq!(folders(&["a/+"]), ["a/ = a/", "a/T/ = a/+/"]);
    }

    fn policy() -> impl Strategy<Value = Policy> {
        let segment = prop_oneof![3 => "[ab]", 1 => Just("+".to_owned())];
        let rule =
            (proptest::collection::vec(segment, 1..4), prop::sample::select(vec!["", "*", "/*", "/"]), any::<bool>());
        let rule = rule.prop_filter_map("no path of a rule", |(segments, end, deny)| {
            let path = PolicyPath::new(&(segments.join("/") + end)).ok()?;
            Some(Rule::new(path, [if deny { Capability::Deny } else { Capability::Read }]))
        });
        proptest::collection::vec(rule, 0..4).prop_map(Policy::new)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn policies_that_differ_anywhere_differ_at_a_place(
            one in policy(), other in policy(), path in "[abc]{1,2}(/[abc]{1,2}){0,4}"
        ) {
            let read = |policy: &Policy, path: &str| matches!(Acl::new([policy]).capabilities(path),
                Verdict::Known(allowed) if allowed.contains(&Capability::Read));
            if read(&one, &path) != read(&other, &path) {
                let rules = one.rules().iter().chain(other.rules()).map(|rule| &rule.path);
                let places = Places::of(rules, "zz");
                prop_assert!(places.all().keys().any(|place| read(&one, place) != read(&other, place)),
                    "{path} in {:?}", places.all().keys().collect::<Vec<_>>());
            }
        }

        #[test]
        fn policies_that_differ_in_what_can_be_listed_differ_at_a_folder(
            one in policy(), other in policy(), path in "[abc]{1,2}(/[abc]{1,2}){0,4}"
        ) {
            // The server asks for the rules of the path with a slash, whoever writes it.
            for order in [SlashOrder::WithFirst, SlashOrder::WithoutFirst] {
                let list = |policy: &Policy, path: &str| Acl::new([policy]).with_slash_order(order)
                    .capabilities(path).allows(Capability::Read);
                let folder = format!("{path}/");
                if list(&one, &folder) != list(&other, &folder) {
                    let rules = one.rules().iter().chain(other.rules()).map(|rule| &rule.path);
                    let places = Places::of(rules, "zz");
                    prop_assert!(places.folders().keys().any(|place| list(&one, place) != list(&other, place)),
                        "{folder} in {:?}", places.folders().keys().collect::<Vec<_>>());
                }
            }
        }
    }
}
