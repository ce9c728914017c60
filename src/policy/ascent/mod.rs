//! Rules by which a login could give itself more than its policies say: who writes policies, roles or identities is held by none.
//!
//! They are found by what they allow, not by how they are written: `*`, `+/+` and `sys/policies/acl/x` all let policies be written.

mod children;
mod deed;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub use deed::Deed;

use super::stand_in::apart;
use super::{Acl, Capability, Policy, PolicyPath, Verdict};
use crate::names::MountPath;
use Capability::Sudo;
use children::About;
use steps::{STEPS, Step, relevant};

/// A way in which a login can give itself more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ascent {
    /// What it can do.
    pub does: Deed,
    /// Where, as a rule writes it.
    pub rule: PolicyPath,
}

/// What logins with some policies together can give themselves, as far as rules tell; a rule whose path only a server knows counts as
/// what it may be.
///
/// `kv` are mounts below which there are secrets, whatever they are called.
pub fn ascents(policies: &[&Policy], kv: &[MountPath]) -> BTreeSet<Ascent> {
    let acl = Acl::new(policies.iter().copied());
    let rules: Vec<_> = policies.iter().flat_map(|policy| policy.rules()).filter(|rule| !rule.denies()).collect();
    let paths: Vec<About<'_>> = rules.iter().flat_map(|rule| About::all(&rule.path, kv)).collect();
    let token = apart(TOKEN, policies.iter().flat_map(|policy| policy.rules()).map(|rule| &rule.path));
    let mut found = BTreeSet::new();
    let mut add = |does: Deed, rule: &PolicyPath| found.insert(Ascent { does, rule: rule.clone() });
    for step in relevant(narrowed(policies)) {
        for (sample, rule) in step.samples(&paths, &token) {
            let Some(rule) = rule else { continue };
            let own = || rules.iter().filter(|other| other.path == *rule).flat_map(|other| &other.capabilities);
            let verdict = acl.capabilities(&sample);
            let has = |capability: Capability| {
                verdict.allows(capability).unwrap_or_else(|| own().any(|own| *own == capability))
            };
            // Another rule for the same paths may be the one that allows it.
            if own().any(|own| step.capabilities.contains(own))
                && let Some(does) = step.done(&has)
            {
                add(does, rule);
            }
        }
    }
    for rule in rules.iter().filter(|rule| rule.capabilities.contains(&Sudo)) {
        let decides = rule.path.sample(&token).and_then(|sample| acl.capabilities(&sample).allows(Sudo));
        if decides != Some(false) {
            add(Deed::Sudo, &rule.path);
        }
    }
    found
}

/// Whether some of the rules take away what others may give: all that is lost with them is their denial.
pub fn narrowed(policies: &[&Policy]) -> bool {
    policies.iter().flat_map(|policy| policy.rules()).any(|rule| rule.denies() || rule.capabilities.is_empty())
}

/// What stands for any name, where no rule is about it.
const TOKEN: &str = "vaultk8s-anything";

/// What to ask a server about, to know what a login can give itself.
#[derive(Debug, Default)]
pub struct Ladder {
    steps: BTreeMap<String, Vec<&'static Step>>,
}

impl Ladder {
    /// For a login with these policies, whose rules may be narrower than the paths that are asked of everybody. `own` are further
    /// paths, such as those of its own role and policies; `token` is a name that nothing has; `kv` are mounts with secrets; and
    /// `denied` is whether any of its policies, whoever adds it, takes something away.
    pub fn of(policies: &[&Policy], own: &[String], token: &str, kv: &[MountPath], denied: bool) -> Self {
        let rules = policies.iter().flat_map(|policy| policy.rules());
        let paths: Vec<About<'_>> = rules.flat_map(|rule| About::all(&rule.path, kv)).collect();
        let mut steps: BTreeMap<String, Vec<&'static Step>> = BTreeMap::new();
        for step in relevant(denied) {
            let own = own.iter().filter(|path| step.matches(path)).cloned();
            let samples = step.samples(&paths, token).into_iter().map(|(sample, _)| sample);
            for sample in own.chain(samples).collect::<BTreeSet<String>>() {
                steps.entry(sample).or_default().push(step);
            }
        }
        Self { steps }
    }

    /// Whether some of the rules seem to be about child namespaces, where these are KV mounts: others may tell otherwise.
    pub fn reaches_children(policies: &[&Policy], kv: &[MountPath]) -> bool {
        let rules = policies.iter().flat_map(|policy| policy.rules());
        rules.flat_map(|rule| About::all(&rule.path, kv)).any(|about| !about.namespace.is_empty())
    }

    /// The paths to ask about.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.steps.keys().map(String::as_str)
    }

    /// What can be done by whoever has this, each with the paths on which it can. `has` says whether a path allows something.
    pub fn climbed(&self, has: impl Fn(&str, Capability) -> bool) -> BTreeMap<Deed, Vec<&str>> {
        let mut climbed: BTreeMap<Deed, Vec<&str>> = BTreeMap::new();
        for (path, steps) in &self.steps {
            let has = |capability: Capability| has(path, capability);
            let done: BTreeSet<Deed> =
                steps.iter().filter_map(|step| step.done(&has)).chain(has(Sudo).then_some(Deed::Sudo)).collect();
            for does in done {
                climbed.entry(does).or_default().push(path);
            }
        }
        climbed
    }

    /// Whether policies themselves say that something can be done on a path, or may say so.
    pub fn said(policies: &[&Policy], path: &str, does: Deed) -> bool {
        let acl = Acl::new(policies.iter().copied());
        let verdict = acl.capabilities(path);
        if verdict == Verdict::Unknown {
            return true;
        }
        let has = |capability: Capability| verdict.allows(capability) == Some(true);
        let steps = STEPS.iter().filter(|step| step.does == does);
        steps.filter_map(|step| step.done(&has)).chain(has(Sudo).then_some(Deed::Sudo)).any(|done| done == does)
    }
}
