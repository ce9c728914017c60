//! How far roles reach: what each allows in every place where two versions of a configuration can differ.

use std::collections::{BTreeMap, BTreeSet};

use super::ground::{Ground, Place};
use super::who::{Who, surely_lets_in};
use crate::config::{Cluster, Config, Role};
use crate::desired::{self, KvVersions};
use crate::error::Result;
use crate::names::{ClusterName, PolicyName, RoleName};
use crate::policy::{Acl, Capability, Policy, PolicyPath, Rule, Verdict};

/// One of the versions.
pub(super) struct Side<'a> {
    config: &'a Config,
    policies: BTreeMap<PolicyName, Policy>,
}

/// What may be done in places; nothing in those that are left out.
type Allowed = BTreeMap<Place, BTreeSet<Capability>>;

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
    pub(super) fn reaches(&self, ground: &Ground<'_>) -> Vec<Reach<'a>> {
        // Many roles have the same policies.
        let mut known: BTreeMap<&[PolicyName], Allowed> = BTreeMap::new();
        let mut reaches = Vec::new();
        for Cluster { name: cluster, roles, .. } in &self.config.clusters {
            for role in roles {
                let allowed = known.entry(&role.policies).or_insert_with(|| self.allowed(&role.policies, ground));
                reaches.push(Reach { cluster, role, allowed: allowed.clone() });
            }
        }
        reaches
    }

    fn allowed(&self, policies: &[PolicyName], ground: &Ground<'_>) -> Allowed {
        let own = policies.iter().filter_map(|name| self.policies.get(name)).flat_map(Policy::rules);
        // What only a server knows is compared as it is written.
        let (unforeseen, foreseen): (Vec<&Rule>, Vec<&Rule>) = own.partition(|rule| rule.is_uncertain());
        let near: BTreeMap<Place, &str> =
            foreseen.iter().flat_map(|rule| ground.near(&rule.path)).map(|(example, place)| (place, example)).collect();
        let acl = Acl::new([&Policy::new(foreseen.into_iter().cloned())]);
        let mut allowed = Allowed::new();
        for (place, example) in near {
            if let Verdict::Known(mut capabilities) = acl.capabilities(example) {
                capabilities.remove(&Capability::Deny);
                if ground.is_folder(place) {
                    capabilities.retain(|capability| matches!(capability, Capability::List | Capability::Scan));
                }
                allowed.insert(place, capabilities);
            }
        }
        // A denial among them counts as much as what is granted.
        for rule in unforeseen {
            if let Some(place) = ground.unforeseen(&rule.path) {
                allowed.entry(place).or_default().extend(&rule.capabilities);
            }
        }
        allowed
    }
}

/// Through which roles somebody may do what, place by place.
#[derive(Default)]
pub(super) struct Through(BTreeMap<Place, BTreeMap<Capability, BTreeSet<RoleName>>>);

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

    /// The places where anything may be done.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        self.0.keys().copied()
    }

    /// What may be done in a place, and through which roles.
    pub(super) fn at(&self, place: Place) -> Option<&BTreeMap<Capability, BTreeSet<RoleName>>> {
        self.0.get(&place)
    }

    pub(super) fn allows(&self, place: Place, capabilities: &BTreeSet<Capability>) -> bool {
        let roles = self.at(place);
        capabilities.iter().all(|capability| roles.is_some_and(|roles| roles.contains_key(capability)))
    }
}
