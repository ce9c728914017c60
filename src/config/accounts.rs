//! Who may log in as a role: service accounts, and patterns of them where a role opts in.

use std::collections::BTreeSet;

use super::diagnostic::Problems;
use super::entry::Located;
use super::{Position, Role};
use crate::names::{InvalidName, ServiceAccountPattern, ServiceAccountRef};

/// What `serviceAccounts` says.
pub(super) struct Accounts {
    pub(super) exact: Vec<ServiceAccountRef>,
    pub(super) patterns: Vec<ServiceAccountPattern>,
    /// Names without a namespace, which `namespaceSelector` selects.
    pub(super) labelled: Vec<String>,
}

/// What may stand in `serviceAccounts`.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) kubernetes: bool,
    /// Whether there may be patterns.
    pub(super) globs: bool,
    /// Whether a name may stand alone.
    pub(super) labelled: bool,
}

impl Accounts {
    /// Reads the entries.
    pub(super) fn read(
        written: impl Iterator<Item = Located<String>>,
        Reading { kubernetes, globs, labelled }: Reading,
        problems: &mut Problems,
    ) -> Self {
        let (labelled, written): (Vec<_>, Vec<_>) =
            written.partition(|account| labelled && !account.value.contains('/'));
        let labelled = labelled.into_iter().filter_map(|name| {
            let parsed = account_name(&name.value, globs);
            problems.accept(name.at, parsed)
        });
        let labelled = without_repeats(labelled);
        let written = written.into_iter();
        let (patterns, exact): (Vec<_>, Vec<_>) = written.partition(|account| globs && account.value.contains('*'));
        let exact = exact.into_iter().filter_map(|account| {
            let parsed = account.value.parse().map_err(|error: InvalidName| {
                let wildcard = kubernetes && error.value.contains(['*', '?', '[']);
                if wildcard { InvalidName { remedy: wildcard_remedy(globs), ..error } } else { error }
            });
            problems.accept(account.at, parsed)
        });
        let exact = without_repeats(exact);
        let patterns = patterns.into_iter().filter_map(|pattern| problems.accept(pattern.at, pattern.value.parse()));
        Self { exact, patterns: without_repeats(patterns), labelled }
    }

    /// A kubernetes role binds names × namespaces: for `[a/x, b/y]` it would let `a/y` in too.
    pub(super) fn check_product(&self, at: Position, problems: &mut Problems) {
        let pairs = pairs(&self.exact, &self.patterns);
        let extra = unlisted(&pairs, &self.labelled);
        if !extra.is_empty() {
            problems.add(
                at,
                format!(
                    "this role would let in more than it lists: a kubernetes role binds every name in every namespace, so also {}",
                    extra.join(", ")
                ),
                "split it into roles with one namespace, or one name, each",
            );
            return;
        }
        let names: BTreeSet<&str> = names(&pairs, &self.labelled);
        let namespaces: BTreeSet<&str> = pairs.iter().map(|(namespace, _)| *namespace).collect();
        for (what, words) in [("name", names), ("namespace", namespaces)] {
            if words.len() > 1 && words.contains("*") {
                problems.add(
                    at,
                    format!("this role has `*` beside another {what}: Vault refuses a role that mixes them"),
                    "keep the entries with `*`, which match the others too, or those without",
                );
            }
        }
    }
}

fn wildcard_remedy(globs: bool) -> String {
    if globs {
        "write `*` for what may differ; there are no other wildcards".to_owned()
    } else {
        "list each service account, or add `allowGlobs: true` to this role if it may let in whatever matches".to_owned()
    }
}

/// Whom a kubernetes role would let in beside those that it lists: it binds every name in every namespace.
pub fn let_in_unlisted(role: &Role) -> Vec<String> {
    let labelled = role.labelled.as_ref().map_or(&[][..], |labelled| &labelled.names);
    unlisted(&pairs(&role.service_accounts, &role.account_patterns), labelled)
}

/// Namespaces and names, patterns as they are written.
fn pairs<'a>(exact: &'a [ServiceAccountRef], patterns: &'a [ServiceAccountPattern]) -> Vec<(&'a str, &'a str)> {
    let exact = exact.iter().map(|account| (account.namespace.as_str(), account.name.as_str()));
    exact.chain(patterns.iter().map(|pattern| (pattern.namespace.as_str(), pattern.name.as_str()))).collect()
}

/// All names of a role, with and without a namespace.
fn names<'a>(pairs: &[(&'a str, &'a str)], labelled: &'a [String]) -> BTreeSet<&'a str> {
    pairs.iter().map(|(_, name)| *name).chain(labelled.iter().map(String::as_str)).collect()
}

fn unlisted(pairs: &[(&str, &str)], labelled: &[String]) -> Vec<String> {
    let names = names(pairs, labelled);
    let namespaces: BTreeSet<&str> = pairs.iter().map(|(namespace, _)| *namespace).collect();
    // Every name counts in the selected namespaces as well.
    let selected = names.iter().filter(|name| !labelled.is_empty() && !labelled.iter().any(|own| own == *name));
    let selected: Vec<String> =
        selected.map(|name| format!("{name} in the namespaces of `namespaceSelector`")).collect();
    namespaces
        .iter()
        .flat_map(|namespace| names.iter().map(move |name| (*namespace, *name)))
        .filter(|pair| !pairs.contains(pair))
        .map(|(namespace, name)| format!("{namespace}/{name}"))
        .chain(selected)
        .collect()
}

/// The name of an account of whichever namespace.
fn account_name(value: &str, globs: bool) -> Result<String, InvalidName> {
    // As it would be in any namespace.
    let whole = format!("x/{value}");
    let parsed = if globs && value.contains('*') {
        whole.parse::<ServiceAccountPattern>().map(drop)
    } else {
        whole.parse::<ServiceAccountRef>().map(drop)
    };
    let own = |error: InvalidName| {
        let remedy = if value.contains(['*', '?', '[']) { wildcard_remedy(globs) } else { error.remedy.clone() };
        InvalidName { value: value.to_owned(), remedy, ..error }
    };
    parsed.map(|()| value.to_owned()).map_err(own)
}

/// Each thing once, where it is first.
pub(super) fn without_repeats<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut list = Vec::new();
    for item in items {
        if !list.contains(&item) {
            list.push(item);
        }
    }
    list
}
