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
}

impl Accounts {
    /// Reads the entries; with `globs` those that have a `*` are patterns.
    pub(super) fn read(
        written: impl Iterator<Item = Located<String>>,
        kubernetes: bool,
        globs: bool,
        problems: &mut Problems,
    ) -> Self {
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
        Self { exact, patterns: without_repeats(patterns) }
    }

    /// A kubernetes role binds names × namespaces: for `[a/x, b/y]` it would let `a/y` in too.
    pub(super) fn check_product(&self, at: Position, problems: &mut Problems) {
        let pairs = pairs(&self.exact, &self.patterns);
        let extra = unlisted(&pairs);
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
        let names: BTreeSet<&str> = pairs.iter().map(|(_, name)| *name).collect();
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
    unlisted(&pairs(&role.service_accounts, &role.account_patterns))
}

/// Namespaces and names, patterns as they are written.
fn pairs<'a>(exact: &'a [ServiceAccountRef], patterns: &'a [ServiceAccountPattern]) -> Vec<(&'a str, &'a str)> {
    let exact = exact.iter().map(|account| (account.namespace.as_str(), account.name.as_str()));
    exact.chain(patterns.iter().map(|pattern| (pattern.namespace.as_str(), pattern.name.as_str()))).collect()
}

fn unlisted(pairs: &[(&str, &str)]) -> Vec<String> {
    let names: BTreeSet<&str> = pairs.iter().map(|(_, name)| *name).collect();
    let namespaces: BTreeSet<&str> = pairs.iter().map(|(namespace, _)| *namespace).collect();
    namespaces
        .iter()
        .flat_map(|namespace| names.iter().map(move |name| (*namespace, *name)))
        .filter(|pair| !pairs.contains(pair))
        .map(|(namespace, name)| format!("{namespace}/{name}"))
        .collect()
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
