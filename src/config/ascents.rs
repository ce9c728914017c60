//! Policies by which a login could give itself more than the file says.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::Problems;
use super::policies::{Built, Policies};
use super::{Allowance, Cluster, Grant, Position};
use crate::names::PolicyName;
use crate::policy::{self, Deed, PolicyPath, Rule, ascents};

/// Warns of the rules that let somebody do so, each with its place: as roles have them, whose other policies may deny it; and where
/// no role has a policy, by itself.
pub(super) fn lint(policies: &Policies, clusters: &[Cluster], allow: &[Allowance], problems: &mut Problems) {
    let known: BTreeMap<&PolicyName, (&Built, policy::Policy)> =
        policies.list.iter().map(|built| (&built.policy.name, (built, rules(built)))).collect();
    let mut held: BTreeSet<Vec<&PolicyName>> =
        clusters.iter().flat_map(|cluster| &cluster.roles).map(|role| role.policies.iter().collect()).collect();
    let used: BTreeSet<&PolicyName> = held.iter().flatten().copied().collect();
    held.extend(known.keys().filter(|name| !used.contains(*name)).map(|name| vec![*name]));
    let mut found: BTreeMap<Position, BTreeSet<Deed>> = BTreeMap::new();
    for names in &held {
        let of: Vec<&(&Built, policy::Policy)> = names.iter().filter_map(|name| known.get(*name)).collect();
        for ascent in ascents(&of.iter().map(|(_, policy)| policy).collect::<Vec<_>>(), &policies.mounts) {
            for at in of.iter().filter_map(|(built, _)| place(built, &ascent.rule)) {
                found.entry(at).or_default().insert(ascent.does);
            }
        }
    }
    for (at, does) in found {
        problems.warn(
            at,
            format!("a login with this rule can give itself more than the file says: it can {}", some(&does)),
            "leave that to operators; who may do so is held by no other policy, and by nothing that is expected",
        );
    }
    let mut allowed: BTreeMap<Position, BTreeSet<Deed>> = BTreeMap::new();
    for Allowance { position, path, capabilities, .. } in allow {
        let rule = policy::Policy::new([Rule::new(path.clone(), capabilities.iter().copied())]);
        let does = ascents(&[&rule], &policies.mounts).into_iter().map(|ascent| ascent.does);
        allowed.entry(*position).or_default().extend(does);
    }
    for (at, does) in allowed.into_iter().filter(|(_, does)| !does.is_empty()) {
        problems.warn(
            at,
            format!(
                "a login that has what this allows can give itself more than the file says: it can {}",
                some(&does)
            ),
            "leave that to operators, and out of `allow`: of what is allowed here no check tells that somebody has it",
        );
    }
}

/// Where a policy has a rule on a path.
fn place(built: &Built, rule: &PolicyPath) -> Option<Position> {
    built.policy.grants.iter().find_map(|grant| match grant {
        Grant::Rule { position, path, .. } if path == rule => Some(*position),
        Grant::Rule { .. } | Grant::Kv { .. } => None,
    })
}

/// What a policy's own rules say: the verbs are for secrets.
fn rules(built: &Built) -> policy::Policy {
    policy::Policy::new(built.policy.grants.iter().filter_map(|grant| match grant {
        Grant::Rule { path, capabilities, .. } => Some(Rule::new(path.clone(), capabilities.iter().copied())),
        Grant::Kv { .. } => None,
    }))
}

/// The first few: a rule for everything does all of it.
fn some(does: &BTreeSet<Deed>) -> String {
    const SHOWN: usize = 4;
    let first: Vec<String> = does.iter().take(SHOWN).map(Deed::to_string).collect();
    match does.len().saturating_sub(SHOWN) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
