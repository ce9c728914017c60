//! The policies of a role as they are for one login: their templates are filled in with what is known of it before.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::access::before_login;
use crate::access::who::{Who, let_in};
use crate::config::{Cluster, Config, Role};
use crate::desired::{Desired, DesiredPolicy};
use crate::model::AuthMount;
use crate::names::{MountPath, PolicyName};
use crate::policy::{Identity, Policy};

/// The accessors of the mounts of a configuration, without which nobody's identity is known.
#[derive(Debug, Default)]
pub(super) struct Tenants(BTreeMap<MountPath, String>);

/// The policies of a role for one login.
pub(super) struct Own<'a> {
    pub(super) role: &'a Role,
    pub(super) policies: Vec<(&'a PolicyName, Cow<'a, Policy>)>,
}

impl<'a> Own<'a> {
    /// As they are for an identity.
    pub(super) fn new(
        role: &'a Role,
        policies: impl IntoIterator<Item = (&'a PolicyName, &'a Policy)>,
        identity: &Identity,
    ) -> Self {
        let fill = |policy: &'a Policy| {
            let has_templates = policy.rules().iter().any(|rule| rule.path.is_template());
            if has_templates { Cow::Owned(policy.filled(identity)) } else { Cow::Borrowed(policy) }
        };
        Self { role, policies: policies.into_iter().map(|(name, policy)| (name, fill(policy))).collect() }
    }

    /// Whether some of them are filled in.
    pub(super) fn is_filled(&self) -> bool {
        self.policies.iter().any(|(_, policy)| matches!(policy, Cow::Owned(_)))
    }

    /// What they say.
    pub(super) fn said(&self) -> Vec<&Policy> {
        self.policies.iter().map(|(_, policy)| &**policy).collect()
    }
}

/// What the templates of a configuration come to.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// Each policy for each login that fills in something of it.
    pub(super) policies: Vec<DesiredPolicy>,
    /// The paths with templates that remain for somebody, or that nobody has: only a server knows what they mean.
    pub(super) unforeseen: BTreeSet<String>,
}

impl Tenants {
    /// With the mounts that are there, by path.
    pub(super) fn of(config: &Config, there: &BTreeMap<String, AuthMount>) -> Self {
        let accessor = |cluster: &Cluster| {
            let mount = &cluster.auth.mount;
            Some((mount.clone(), there.get(mount.as_str())?.accessor.clone()))
        };
        Self(config.clusters.iter().filter_map(accessor).collect())
    }

    /// What is known of somebody who logs in as a role.
    pub(super) fn identity(&self, cluster: &Cluster, role: &Role, who: &Who) -> Identity {
        let mount = &cluster.auth.mount;
        before_login((mount, self.0.get(mount).map(String::as_str)), cluster.auth.method.kind(), role, who)
    }

    /// What the templates of policies come to, for all whom roles name, and these.
    pub(super) fn fill(
        &self,
        config: &Config,
        desired: &Desired,
        others: impl Fn(&Cluster, &Role) -> Vec<Who>,
    ) -> Filled {
        let templated: BTreeMap<&PolicyName, &Policy> = desired
            .policies
            .iter()
            .filter(|policy| policy.policy.rules().iter().any(|rule| rule.path.is_template()))
            .map(|policy| (&policy.name, &policy.policy))
            .collect();
        let mut filled = Filled::default();
        let mut had = BTreeSet::new();
        for cluster in &config.clusters {
            for role in &cluster.roles {
                let own = || role.policies.iter().filter_map(|name| templated.get_key_value(name));
                if own().next().is_none() {
                    continue;
                }
                for who in let_in(role).into_iter().chain(others(cluster, role)) {
                    let identity = self.identity(cluster, role, &who);
                    for (name, policy) in own() {
                        had.insert(*name);
                        filled.add(name, policy, &identity);
                    }
                }
            }
        }
        for (name, policy) in templated.into_iter().filter(|(name, _)| !had.contains(name)) {
            filled.add(name, policy, &Identity::default());
        }
        filled
    }
}

impl Filled {
    fn add(&mut self, name: &PolicyName, policy: &Policy, identity: &Identity) {
        let own = policy.filled(identity);
        let remains = own.rules().iter().filter(|rule| rule.path.is_template());
        self.unforeseen.extend(remains.map(|rule| rule.path.to_string()));
        if own != *policy {
            let resolved = own.rules().iter().filter(|rule| !rule.path.is_template()).cloned();
            self.policies.push(DesiredPolicy { name: name.clone(), policy: Policy::new(resolved) });
        }
    }
}
