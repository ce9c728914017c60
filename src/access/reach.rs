//! How far roles reach: what each allows on the path of every rule that two versions of a configuration have.

use std::collections::{BTreeMap, BTreeSet};

use super::who::{Who, surely_lets_in};
use crate::config::{Cluster, Config, Role};
use crate::desired::{self, KvVersions};
use crate::error::Result;
use crate::names::{ClusterName, PolicyName, RoleName};
use crate::policy::{Acl, Capability, Policy, PolicyPath, Rule, Verdict};

/// The segment that stands where a rule has a wildcard.
const SEGMENT: &str = "vaultk8s-rehearsal";

/// The paths of the rules of both versions, each once.
pub(super) struct Rules<'a> {
    paths: Vec<&'a PolicyPath>,
    /// A path that each is about, where not only a server knows one, and the rules that have it.
    samples: BTreeMap<String, Vec<usize>>,
    /// For each, the others that are about a part of it.
    below: Vec<Vec<usize>>,
}

impl<'a> Rules<'a> {
    pub(super) fn new(paths: BTreeSet<&'a PolicyPath>) -> Self {
        let paths: Vec<&PolicyPath> = paths.into_iter().collect();
        let mut samples: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (at, path) in paths.iter().enumerate() {
            // Deeper than one segment, so that `a/*` is told from `a/+`.
            let deeper = if path.as_str().ends_with('*') { format!("/{SEGMENT}") } else { String::new() };
            if let Some(sample) = path.sample(SEGMENT) {
                samples.entry(sample + &deeper).or_default().push(at);
            }
        }
        let mut rules = Self { paths, samples, below: Vec::new() };
        rules.below = (0..rules.paths.len()).map(|at| rules.inside(at)).collect();
        rules
    }

    /// The path of a rule.
    pub(super) fn path(&self, at: usize) -> &PolicyPath {
        self.paths[at]
    }

    /// The rules that are about a part of what one rule is about.
    pub(super) fn below(&self, at: usize) -> &[usize] {
        &self.below[at]
    }

    fn inside(&self, at: usize) -> Vec<usize> {
        let path = self.paths[at];
        let all = Acl::new([&Policy::new([Rule::new(path.clone(), [Capability::Read])])]);
        let matched =
            self.near(path).filter(|(sample, _)| all.capabilities(sample).allows(Capability::Read) == Some(true));
        matched.flat_map(|(_, rules)| rules).copied().filter(|other| *other != at).collect()
    }

    /// The samples that a rule may match, with their rules.
    fn near<'s>(&'s self, path: &'s PolicyPath) -> impl Iterator<Item = (&'s String, &'s Vec<usize>)> {
        let literal = path.literal();
        self.samples.range(literal.to_owned()..).take_while(move |(sample, _)| sample.starts_with(literal))
    }
}

/// One of the versions.
pub(super) struct Side<'a> {
    config: &'a Config,
    policies: BTreeMap<PolicyName, Policy>,
}

/// What may be done on the paths of rules; nothing on those that are left out.
type Allowed = BTreeMap<usize, BTreeSet<Capability>>;

/// What a role allows.
pub(super) struct Reach<'a> {
    cluster: &'a ClusterName,
    role: &'a Role,
    allowed: Allowed,
}

impl<'a> Side<'a> {
    pub(super) fn new(config: &'a Config, kv: &KvVersions) -> Result<Self> {
        let policies = config.policies.iter().map(|policy| {
            let desired = desired::policy(policy, kv)?;
            Ok((desired.name, desired.policy))
        });
        Ok(Self { config, policies: policies.collect::<Result<_>>()? })
    }

    /// The paths of its rules.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PolicyPath> {
        self.policies.values().flat_map(Policy::rules).map(|rule| &rule.path)
    }

    /// What its roles allow, cluster by cluster.
    pub(super) fn reaches(&self, rules: &Rules<'_>) -> Vec<Reach<'a>> {
        // Many roles have the same policies.
        let mut known: BTreeMap<&[PolicyName], Allowed> = BTreeMap::new();
        let mut reaches = Vec::new();
        for Cluster { name: cluster, roles, .. } in &self.config.clusters {
            for role in roles {
                let allowed = known.entry(&role.policies).or_insert_with(|| self.allowed(&role.policies, rules));
                reaches.push(Reach { cluster, role, allowed: allowed.clone() });
            }
        }
        reaches
    }

    fn allowed(&self, policies: &[PolicyName], rules: &Rules<'_>) -> Allowed {
        let own = policies.iter().filter_map(|name| self.policies.get(name)).flat_map(Policy::rules);
        // What only a server knows is compared as it is written.
        let (unforeseen, foreseen): (Vec<&Rule>, Vec<&Rule>) =
            own.partition(|rule| rule.path.is_template() || rule.expires());
        let near: BTreeMap<&String, &Vec<usize>> = foreseen.iter().flat_map(|rule| rules.near(&rule.path)).collect();
        let acl = Acl::new([&Policy::new(foreseen.into_iter().cloned())]);
        let mut allowed = Allowed::new();
        for (sample, named) in near {
            if let Verdict::Known(capabilities) = acl.capabilities(sample) {
                allowed.extend(named.iter().map(|at| (*at, capabilities.clone())));
            }
        }
        for rule in unforeseen {
            if let Ok(at) = rules.paths.binary_search(&&rule.path) {
                allowed.entry(at).or_default().extend(&rule.capabilities);
            }
        }
        for capabilities in allowed.values_mut() {
            capabilities.remove(&Capability::Deny);
        }
        allowed
    }
}

/// Through which roles somebody may do what, rule by rule.
#[derive(Default)]
pub(super) struct Through(BTreeMap<usize, BTreeMap<Capability, BTreeSet<RoleName>>>);

impl Through {
    pub(super) fn of(reaches: &[Reach<'_>], cluster: &ClusterName, who: &Who) -> Self {
        let mut through = Self::default();
        for reach in reaches.iter().filter(|reach| reach.cluster == cluster && surely_lets_in(reach.role, who)) {
            for (at, allowed) in &reach.allowed {
                for capability in allowed {
                    let names = through.0.entry(*at).or_default().entry(*capability).or_default();
                    names.insert(reach.role.name.clone());
                }
            }
        }
        through
    }

    /// The rules on whose paths anything may be done.
    pub(super) fn rules(&self) -> impl Iterator<Item = usize> {
        self.0.keys().copied()
    }

    /// What may be done on the path of a rule, and through which roles.
    pub(super) fn on(&self, rule: usize) -> Option<&BTreeMap<Capability, BTreeSet<RoleName>>> {
        self.0.get(&rule)
    }

    pub(super) fn allows(&self, rule: usize, capabilities: &BTreeSet<Capability>) -> bool {
        let roles = self.on(rule);
        capabilities.iter().all(|capability| roles.is_some_and(|roles| roles.contains_key(capability)))
    }
}
