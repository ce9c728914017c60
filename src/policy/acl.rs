//! What some policies together allow at a path, as the server decides it (`acl.go`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::{Capability, Policy, Rule, template};

/// The answer of an [`Acl`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// What `sys/capabilities` answers: never empty, `deny` alone when nothing is allowed.
    Known(BTreeSet<Capability>),
    /// It depends on something that only the server knows: a template's value, or whether a rule has expired.
    Unknown,
}

impl Verdict {
    /// Whether it allows this capability, if that is known.
    pub fn allows(&self, capability: Capability) -> Option<bool> {
        match self {
            Self::Known(capabilities) => Some(capabilities.contains(&capability)),
            Self::Unknown => None,
        }
    }
}

/// Which reading of a path that ends in a slash comes first where wildcards decide. `sys/capabilities` tries both, as a
/// list request does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SlashOrder {
    /// With its slash, then without: OpenBao.
    #[default]
    WithFirst,
    /// Without its slash, then with it: Vault.
    WithoutFirst,
}

/// The access that a token has through its policies, but `root`.
#[derive(Clone, Debug, Default)]
pub struct Acl {
    exact: BTreeMap<String, BTreeSet<Capability>>,
    prefixes: BTreeMap<String, BTreeSet<Capability>>,
    segments: BTreeMap<String, BTreeSet<Capability>>,
    /// Rules whose paths or lifetimes only the server knows.
    uncertain: Vec<Rule>,
    order: SlashOrder,
}

/// What decides about a path.
enum Deciding<'a> {
    /// Only the server knows.
    Unknown,
    /// No rule matches.
    Nothing,
    /// The rules of this path, with what they say together.
    Rule(String, &'a BTreeSet<Capability>),
}

impl Acl {
    /// The access through these policies together. A token usually has `default` as well.
    pub fn new<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Self {
        let mut acl = Self::default();
        for rule in policies.into_iter().flat_map(Policy::rules) {
            acl.add(rule);
        }
        acl
    }

    /// The same access on a server that reads a slash at the end in this order.
    #[must_use]
    pub fn with_slash_order(mut self, order: SlashOrder) -> Self {
        self.order = order;
        self
    }

    /// The same without the rules of which only the server knows what they do.
    #[must_use]
    pub fn for_sure(&self) -> Self {
        Self { uncertain: Vec::new(), ..self.clone() }
    }

    fn add(&mut self, rule: &Rule) {
        if rule.is_uncertain() {
            self.uncertain.push(rule.clone());
            return;
        }
        let path = rule.path.as_str();
        let (tree, key) = if rule.path.has_segment_wildcards() {
            // With its `*`, if it has one: `a/+/b` and `a/+/b*` are two rules.
            (&mut self.segments, path)
        } else if let Some(prefix) = rule.path.before_glob() {
            (&mut self.prefixes, prefix)
        } else {
            (&mut self.exact, path)
        };
        let capabilities = tree.entry(key.to_owned()).or_default();
        capabilities.extend(&rule.capabilities);
    }

    /// What `sys/capabilities` answers for this path (`Capabilities` and `AllowOperation` in `acl.go`).
    pub fn capabilities(&self, path: &str) -> Verdict {
        let denied = || BTreeSet::from([Capability::Deny]);
        match self.deciding(path) {
            Deciding::Unknown => Verdict::Unknown,
            Deciding::Rule(_, capabilities)
                if !capabilities.contains(&Capability::Deny) && !capabilities.is_empty() =>
            {
                Verdict::Known(capabilities.clone())
            }
            Deciding::Rule(..) | Deciding::Nothing => Verdict::Known(denied()),
        }
    }

    /// The path of the rules that deny this path, where it is they that decide about it.
    pub fn denying(&self, path: &str) -> Option<String> {
        match self.deciding(path) {
            Deciding::Rule(rule, capabilities) if capabilities.contains(&Capability::Deny) => Some(rule),
            _ => None,
        }
    }

    /// The path of the rules that decide about this path, with what they say together; `None` where none matches, or only the
    /// server knows.
    pub fn decides(&self, path: &str) -> Option<(String, &BTreeSet<Capability>)> {
        match self.deciding(path) {
            Deciding::Rule(rule, capabilities) => Some((rule, capabilities)),
            Deciding::Unknown | Deciding::Nothing => None,
        }
    }

    /// The same for a request that isn't for a list: a server takes its path with the slash at its end, where a list and
    /// `sys/capabilities` also mean the path without.
    pub fn decides_request(&self, path: &str) -> Option<(String, &BTreeSet<Capability>)> {
        if self.uncertain.iter().any(|rule| rule.may_match(path)) {
            return None;
        }
        self.exact.get(path).map(|capabilities| (path.to_owned(), capabilities)).or_else(|| self.inexact(path))
    }

    fn deciding(&self, path: &str) -> Deciding<'_> {
        let path = path.trim_start_matches('/');
        let without_slash = path.strip_suffix('/').unwrap_or(path);
        let readings = [path, without_slash];
        let exact = readings.into_iter().find_map(|path| Some((path.to_owned(), self.exact.get(path)?)));
        let uncertain = self.uncertain.iter().any(|rule| {
            // Of rules with a `*` at the end, none is exact, so none wins over one that is.
            let can_win = exact.is_none() || rule.path.before_glob().is_none();
            can_win && readings.iter().any(|path| template::may_match(rule.path.as_str(), path))
        });
        if uncertain {
            return Deciding::Unknown;
        }
        let found = exact.or_else(|| match self.order {
            SlashOrder::WithFirst => self.inexact(path).or_else(|| self.inexact(without_slash)),
            SlashOrder::WithoutFirst => self.inexact(without_slash).or_else(|| self.inexact(path)),
        });
        found.map_or(Deciding::Nothing, |(rule, capabilities)| Deciding::Rule(rule, capabilities))
    }

    /// The most specific rule with a wildcard (`CheckAllowedFromNonExactPaths` in `acl.go`).
    fn inexact(&self, path: &str) -> Option<(String, &BTreeSet<Capability>)> {
        let prefix = self
            .prefixes
            .iter()
            .filter(|(prefix, _)| path.starts_with(prefix.as_str()))
            .max_by_key(|(prefix, _)| prefix.len())
            .map(|(prefix, capabilities)| {
                let length = prefix.len();
                let specificity =
                    Specificity { literal: length, whole: false, wildcards: Reverse(0), length, path: prefix };
                (specificity, capabilities)
            });
        let segments =
            self.segments.iter().filter_map(|(rule, capabilities)| Some((segment_match(rule, path)?, capabilities)));
        let found = prefix.into_iter().chain(segments).max_by_key(|(specificity, _)| *specificity);
        found.map(|(Specificity { path, whole, .. }, capabilities)| {
            (if whole { path.to_owned() } else { format!("{path}*") }, capabilities)
        })
    }
}

/// How specific a matching rule is. The fields in this order, the greatest wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Specificity<'a> {
    /// Bytes before the first `+` or the `*`.
    literal: usize,
    /// Whether it doesn't end in `*`.
    whole: bool,
    /// Number of `+` segments: the fewer, the better.
    wildcards: Reverse<usize>,
    /// Bytes without the `*`.
    length: usize,
    /// Only to leave nothing open: the later in the alphabet.
    path: &'a str,
}

fn segment_match<'a>(rule: &'a str, path: &str) -> Option<Specificity<'a>> {
    let stem = rule.strip_suffix('*');
    let whole = stem.is_none();
    let stem = stem.unwrap_or(rule);
    let wanted: Vec<&str> = stem.split('/').collect();
    let given: Vec<&str> = path.split('/').collect();
    if given.len() < wanted.len() || (whole && given.len() != wanted.len()) {
        return None;
    }
    let last = wanted.len() - 1;
    let mut wildcards = 0;
    for (place, (wanted, given)) in wanted.iter().zip(&given).enumerate() {
        if *wanted == "+" {
            wildcards += 1;
        } else if wanted != given && (whole || place != last || !given.starts_with(wanted)) {
            return None;
        }
    }
    let literal = rule.find('+').unwrap_or_default();
    Some(Specificity { literal, whole, wildcards: Reverse(wildcards), length: stem.len(), path: stem })
}

#[cfg(test)]
mod tests;
