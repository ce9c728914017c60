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

/// A rule that one of the versions has.
pub(super) struct Named<'a> {
    pub(super) path: &'a PolicyPath,
    /// A path that it is about; `None` where only a server knows one.
    sample: Option<String>,
}

impl<'a> Named<'a> {
    pub(super) fn new(path: &'a PolicyPath) -> Self {
        // Deeper than one segment, so that `a/*` is told from `a/+`.
        let deeper = if path.as_str().ends_with('*') { format!("/{SEGMENT}") } else { String::new() };
        Self { path, sample: path.sample(SEGMENT).map(|sample| sample + &deeper) }
    }
}

/// One of the versions.
pub(super) struct Side<'a> {
    config: &'a Config,
    policies: BTreeMap<PolicyName, Policy>,
}

/// What a role allows on each of the rules' paths.
pub(super) struct Reach<'a> {
    cluster: &'a ClusterName,
    role: &'a Role,
    allowed: Vec<BTreeSet<Capability>>,
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
    pub(super) fn reaches(&self, rules: &[Named<'_>]) -> Vec<Reach<'a>> {
        // Many roles have the same policies.
        let mut known: BTreeMap<&[PolicyName], Vec<BTreeSet<Capability>>> = BTreeMap::new();
        let mut reaches = Vec::new();
        for Cluster { name: cluster, roles, .. } in &self.config.clusters {
            for role in roles {
                let allowed = known.entry(&role.policies).or_insert_with(|| self.allowed(&role.policies, rules));
                reaches.push(Reach { cluster, role, allowed: allowed.clone() });
            }
        }
        reaches
    }

    fn allowed(&self, policies: &[PolicyName], rules: &[Named<'_>]) -> Vec<BTreeSet<Capability>> {
        let own = policies.iter().filter_map(|name| self.policies.get(name)).flat_map(Policy::rules);
        // What only a server knows is compared as it is written.
        let (unforeseen, foreseen): (Vec<&Rule>, Vec<&Rule>) =
            own.partition(|rule| rule.path.is_template() || rule.expires());
        let acl = Acl::new([&Policy::new(foreseen.into_iter().cloned())]);
        let one = |rule: &Named<'_>| {
            let mut allowed = match rule.sample.as_deref().map(|sample| acl.capabilities(sample)) {
                Some(Verdict::Known(allowed)) => allowed,
                Some(Verdict::Unknown) | None => BTreeSet::new(),
            };
            let written = unforeseen.iter().filter(|written| written.path == *rule.path);
            allowed.extend(written.flat_map(|rule| &rule.capabilities));
            allowed.remove(&Capability::Deny);
            allowed
        };
        rules.iter().map(one).collect()
    }
}

/// Through which roles somebody may do what, rule by rule.
pub(super) struct Through(Vec<BTreeMap<Capability, BTreeSet<RoleName>>>);

impl Through {
    pub(super) fn of(reaches: &[Reach<'_>], cluster: &ClusterName, who: &Who, rules: usize) -> Self {
        let mut through = vec![BTreeMap::new(); rules];
        for reach in reaches.iter().filter(|reach| reach.cluster == cluster && surely_lets_in(reach.role, who)) {
            for (at, allowed) in reach.allowed.iter().enumerate() {
                for capability in allowed {
                    let names: &mut BTreeSet<RoleName> = through[at].entry(*capability).or_default();
                    names.insert(reach.role.name.clone());
                }
            }
        }
        Self(through)
    }

    pub(super) fn roles(&self, rule: usize, capability: Capability) -> BTreeSet<RoleName> {
        self.0[rule].get(&capability).cloned().unwrap_or_default()
    }

    pub(super) fn allows(&self, rule: usize, capabilities: &BTreeSet<Capability>) -> bool {
        capabilities.iter().all(|capability| self.0[rule].contains_key(capability))
    }
}

/// The rules that are about a part of what one rule is about.
pub(super) fn below<'a>(rules: &'a [Named<'_>], at: usize) -> impl Iterator<Item = usize> + 'a {
    let all = Acl::new([&Policy::new([Rule::new(rules[at].path.clone(), [Capability::Read])])]);
    rules.iter().enumerate().filter_map(move |(other, rule)| {
        let sample = rule.sample.as_deref()?;
        (other != at && all.capabilities(sample).allows(Capability::Read) == Some(true)).then_some(other)
    })
}
