//! Who gains and who loses access between two versions of a configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::changed_terms::{TermsChange, terms_changes};
use super::ground::{Ground, Place, RuleNumber};
use super::reach::{Reach, Side, Through};
use super::who::{Who, let_in};
use super::words;
use crate::config::Config;
use crate::desired::KvVersions;
use crate::error::Result;
use crate::model::TrustFiles;
use crate::names::{ClusterName, RoleName};
use crate::policy::Capability;

/// In what one version of a configuration differs from another, for those who log in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// What the other version is called.
    pub with: String,
    /// Who gains and who loses access to what.
    pub access: Vec<AccessChange>,
    /// What else decides who is let in, and for how long.
    pub terms: Vec<TermsChange>,
    /// What is no longer expected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expectations_gone: Vec<String>,
    /// What is newly expected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expectations_new: Vec<String>,
}

/// Somebody's access to a path that is otherwise than before.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessChange {
    /// The cluster.
    pub cluster: ClusterName,
    /// Who, of that cluster: a service account, or a pattern or claims in words.
    pub who: String,
    /// What became of the access.
    pub change: AccessShift,
    /// What may be done.
    pub verbs: Vec<String>,
    /// On which path, as the configuration writes it.
    pub path: String,
    /// The paths of the rules, as Vault's policies write them: of version 2, reading and listing have one each.
    pub rules: Vec<String>,
    /// The roles through which it is possible now and was not before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub now_through: Vec<RoleName>,
    /// The roles through which it was possible before and no longer is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub no_longer_through: Vec<RoleName>,
    /// Paths below that are named by other rules and change just so.
    #[serde(skip_serializing_if = "SomePaths::is_none")]
    pub including: SomePaths,
    /// Paths below on which all of this was possible before, and is now.
    #[serde(skip_serializing_if = "SomePaths::is_none")]
    pub but_not: SomePaths,
}

/// The first of some paths, and how many more there are.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SomePaths {
    /// The first, in their order.
    pub paths: Vec<String>,
    /// How many more.
    pub more: usize,
}

impl SomePaths {
    /// How many are named: with a thousand applications below one path, nobody reads on.
    const NAMED: usize = 6;

    fn is_none(&self) -> bool {
        self.paths.is_empty()
    }
}

impl fmt::Display for SomePaths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.paths.join(", "))?;
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}

/// What became of somebody's access to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AccessShift {
    /// It was not possible, and is now.
    Gained,
    /// It was possible, and no longer is.
    Lost,
    /// It is possible as before, but through other roles.
    OtherRoles,
}

impl fmt::Display for AccessShift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gained => "gains",
            Self::Lost => "loses",
            Self::OtherRoles => "keeps",
        })
    }
}

impl AccessChange {
    /// Through which roles: `through r-new, no longer through r-old`.
    pub fn through(&self) -> String {
        let names = |roles: &[RoleName]| roles.iter().map(RoleName::as_str).collect::<Vec<_>>().join(", ");
        let (now, before) = (names(&self.now_through), names(&self.no_longer_through));
        match (self.change, self.now_through.is_empty(), self.no_longer_through.is_empty()) {
            (AccessShift::Gained, ..) => format!("through {now}"),
            (AccessShift::Lost, ..) => format!("through {before}"),
            (_, false, false) => format!("through {now}, no longer through {before}"),
            (_, false, true) => format!("also through {now}"),
            (_, true, _) => format!("but no longer through {before}"),
        }
    }

    /// What else that is about: `including a/*; as before on b/*`. `None` where there is nothing else.
    pub fn extent(&self) -> Option<String> {
        let parts = [("including", &self.including), ("as before on", &self.but_not)];
        let told = parts.iter().filter(|(_, paths)| !paths.is_none());
        let told: Vec<String> = told.map(|(word, paths)| format!("{word} {paths}")).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }
}

impl Comparison {
    /// How many of those who log in gain and lose something.
    pub fn summary(&self) -> String {
        let count = |change: AccessShift| {
            let whom = self.access.iter().filter(|one| one.change == change).map(|one| (&one.cluster, &one.who));
            whom.collect::<BTreeSet<_>>().len()
        };
        let verb = |number: usize, one: &str, more: &str| format!("{number} {}", if number == 1 { one } else { more });
        let (gain, lose) = (count(AccessShift::Gained), count(AccessShift::Lost));
        let notable = self.terms.iter().filter(|change| change.is_notable()).count() + self.expectations_gone.len();
        let terms = verb(notable, "term to look at", "terms to look at");
        format!(
            "compared with {}, {} and {} access, {terms}",
            self.with,
            verb(gain, "gains", "gain"),
            verb(lose, "loses", "lose")
        )
    }
}

/// Compares a configuration with another version of it; `files` are those beside the two, as far as they could be read.
///
/// # Errors
/// When a policy can't be written as rules, or the version of a KV mount is missing.
pub(crate) fn compare(
    with: &str,
    before: &Config,
    after: &Config,
    files: [&TrustFiles; 2],
    kv: &KvVersions,
) -> Result<Comparison> {
    let sides = [Side::new(before, kv)?, Side::new(after, kv)?];
    let ground = Ground::new(sides.iter().flat_map(Side::paths).collect());
    let [before_roles, after_roles] = sides.each_ref().map(|side| side.reaches(&ground));
    let mut access = Vec::new();
    for (cluster, who) in everybody(after, before) {
        let through = |reaches: &[Reach<'_>]| Through::of(reaches, &cluster, &who);
        let (before, after) = (through(&before_roles), through(&after_roles));
        let one = Compared { cluster: &cluster, who: &who, ground: &ground, before, after, kv };
        access.extend(merged(one.changes()));
    }
    let expectations =
        |config: &Config| -> Vec<String> { config.expectations.iter().map(ToString::to_string).collect() };
    let (expected, expects) = (expectations(before), expectations(after));
    let only = |one: &[String], other: &[String]| one.iter().filter(|text| !other.contains(text)).cloned().collect();
    Ok(Comparison {
        with: with.to_owned(),
        access,
        terms: terms_changes(before, after, files),
        expectations_gone: only(&expected, &expects),
        expectations_new: only(&expects, &expected),
    })
}

/// Everybody whom a role of the versions names, in the order of the first of them.
fn everybody(first: &Config, second: &Config) -> Vec<(ClusterName, Who)> {
    let mut seen = BTreeSet::new();
    let of = |config: &Config| -> Vec<(ClusterName, Who)> {
        let clusters = config.clusters.iter();
        clusters
            .flat_map(|cluster| cluster.roles.iter().flat_map(let_in).map(|who| (cluster.name.clone(), who)))
            .collect()
    };
    let mut all = of(first);
    all.extend(of(second));
    all.retain(|one| seen.insert(one.clone()));
    all
}

/// What became of some capabilities, and through which roles: one line of the report for each path.
type Kind = (AccessShift, Vec<RoleName>, Vec<RoleName>);

/// The places where some capabilities change alike.
type Found = BTreeMap<(Kind, BTreeSet<Capability>), BTreeSet<Place>>;

/// What is told already: what changed on some rules as a whole, and in further places.
struct Told<'a> {
    kind: &'a Kind,
    capabilities: &'a BTreeSet<Capability>,
    rules: BTreeSet<RuleNumber>,
    places: BTreeSet<Place>,
}

impl Told<'_> {
    /// Whether it says as much of the roles and of what may be done.
    fn covers(&self, kind: &Kind, capabilities: &BTreeSet<Capability>) -> bool {
        among(&kind.1, &self.kind.1) && among(&kind.2, &self.kind.2) && capabilities.is_subset(self.capabilities)
    }
}

/// What one of those who log in may do, before and after.
struct Compared<'a> {
    cluster: &'a ClusterName,
    who: &'a Who,
    ground: &'a Ground<'a>,
    before: Through,
    after: Through,
    kv: &'a KvVersions,
}

impl Compared<'_> {
    /// What changes, told by the widest rules that change as a whole; what is left is told place by place.
    fn changes(&self) -> Vec<AccessChange> {
        let mut changes = Vec::new();
        let mut told: Vec<Told<'_>> = Vec::new();
        let found = self.found();
        for ((kind, capabilities), places) in &found {
            // Within rules that are gained or lost as a whole, other roles go without saying.
            let implied = |place: &Place| {
                kind.0 == AccessShift::OtherRoles
                    && told.iter().any(|one| {
                        one.kind.0 != AccessShift::OtherRoles
                            && one.covers(kind, capabilities)
                            && one.rules.iter().any(|rule| self.ground.matches(*rule, *place))
                    })
            };
            let kept = places.iter().copied().filter(|place| !self.ground.is_folder(*place) && !implied(place));
            let places: BTreeSet<Place> = kept.collect();
            let rules = self.ground.rules_on(&places);
            let inside: BTreeSet<RuleNumber> = rules
                .iter()
                .flat_map(|rule| self.ground.below(*rule))
                .filter(|below| rules.contains(below))
                .copied()
                .collect();
            for rule in rules.difference(&inside) {
                changes.push(self.change(kind, capabilities, *rule, &inside));
            }
            let alone = |place: &Place| !rules.iter().any(|rule| self.ground.matches(*rule, *place));
            let places: BTreeSet<Place> = places.into_iter().filter(alone).collect();
            changes.extend(places.iter().map(|place| self.told(kind, capabilities, &self.ground.shown(*place))));
            told.push(Told { kind, capabilities, rules, places });
        }
        changes.extend(self.changed_folders(&found, &told));
        changes
    }

    /// Folders that somebody may list, or no longer, where that doesn't go without saying: a rule that denies `a` keeps the folder from
    /// being listed, though `a/*` lets it be.
    fn changed_folders(&self, found: &Found, told: &[Told<'_>]) -> Vec<AccessChange> {
        let mut changes = Vec::new();
        for ((kind, capabilities), places) in found {
            let implied = |folder: &Place| {
                told.iter().any(|one| {
                    one.kind.0 == kind.0
                        && one.covers(kind, capabilities)
                        && (one.rules.iter().any(|rule| self.ground.matches(*rule, *folder))
                            || one.places.iter().any(|place| self.ground.is_folder_of(*folder, *place)))
                })
            };
            let folders = places.iter().filter(|place| self.ground.is_folder(**place) && !implied(place));
            changes.extend(folders.map(|folder| self.told(kind, capabilities, &self.ground.shown(*folder))));
        }
        changes
    }

    /// Gains and losses come first.
    fn found(&self) -> Found {
        let mut found = Found::new();
        let nothing = BTreeMap::new();
        for place in self.before.places().chain(self.after.places()).collect::<BTreeSet<Place>>() {
            let [before, after] = [&self.before, &self.after].map(|through| through.at(place).unwrap_or(&nothing));
            let mut by_kind: BTreeMap<Kind, BTreeSet<Capability>> = BTreeMap::new();
            for capability in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
                let (change, was, is) = match (before.get(capability), after.get(capability)) {
                    (Some(was), Some(is)) if was == is => continue,
                    (Some(was), Some(is)) => (AccessShift::OtherRoles, was.clone(), is.clone()),
                    (was, Some(is)) => (AccessShift::Gained, was.cloned().unwrap_or_default(), is.clone()),
                    (was, None) => (AccessShift::Lost, was.cloned().unwrap_or_default(), BTreeSet::new()),
                };
                let only =
                    |one: &BTreeSet<RoleName>, other: &BTreeSet<RoleName>| one.difference(other).cloned().collect();
                by_kind.entry((change, only(&is, &was), only(&was, &is))).or_default().insert(*capability);
            }
            for group in by_kind {
                found.entry(group).or_default().insert(place);
            }
        }
        found
    }

    fn change(
        &self,
        kind: &Kind,
        capabilities: &BTreeSet<Capability>,
        rule: RuleNumber,
        inside: &BTreeSet<RuleNumber>,
    ) -> AccessChange {
        let below = self.ground.below(rule);
        let paths = |keep: &dyn Fn(RuleNumber) -> bool| -> SomePaths {
            let kept: Vec<RuleNumber> = below.iter().copied().filter(|at| keep(*at)).collect();
            let named = kept.len().min(SomePaths::NAMED);
            let path = |at: &RuleNumber| words::told(self.kv, self.ground.path(*at), capabilities).1;
            SomePaths { paths: kept[..named].iter().map(path).collect(), more: kept.len() - named }
        };
        let unchanged = |at: RuleNumber| {
            let allowed =
                |through: &Through| self.ground.own(at).iter().all(|place| through.allows(*place, capabilities));
            allowed(&self.before) && allowed(&self.after)
        };
        AccessChange {
            including: paths(&|at| inside.contains(&at)),
            but_not: if kind.0 == AccessShift::OtherRoles { SomePaths::default() } else { paths(&unchanged) },
            ..self.told(kind, capabilities, self.ground.path(rule))
        }
    }

    fn told(&self, kind: &Kind, capabilities: &BTreeSet<Capability>, path: &str) -> AccessChange {
        let (change, now_through, no_longer_through) = kind.clone();
        let (verbs, told) = words::told(self.kv, path, capabilities);
        AccessChange {
            cluster: self.cluster.clone(),
            who: self.who.to_string(),
            change,
            verbs,
            path: told,
            rules: vec![path.to_owned()],
            now_through,
            no_longer_through,
            including: SomePaths::default(),
            but_not: SomePaths::default(),
        }
    }
}

fn among(some: &[RoleName], all: &[RoleName]) -> bool {
    some.iter().all(|role| all.contains(role))
}

/// One line for reading and listing the same secrets.
fn merged(changes: Vec<AccessChange>) -> Vec<AccessChange> {
    let mut merged: Vec<AccessChange> = Vec::new();
    for change in changes {
        let same = |other: &&mut AccessChange| {
            (other.change, &other.path, &other.now_through, &other.no_longer_through)
                == (change.change, &change.path, &change.now_through, &change.no_longer_through)
                && (&other.including, &other.but_not) == (&change.including, &change.but_not)
        };
        match merged.iter_mut().find(same) {
            Some(other) => {
                other.verbs.extend(change.verbs);
                other.rules.extend(change.rules);
            }
            None => merged.push(change),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
