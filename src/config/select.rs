//! A part of a configuration: some of its clusters, and what they need.

use std::collections::BTreeSet;

use super::{Cluster, Config};
use crate::error::{Error, Result};

impl Config {
    /// Only the clusters of these names; none means all.
    ///
    /// # Errors
    /// When there is no such cluster.
    pub fn only_clusters(&self, names: &[String]) -> Result<Self> {
        let known: Vec<&str> = self.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
        if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(Error::usage(format!("the configuration has no cluster {unknown:?}"))
                .remedy(format!("it has: {}", known.join(", "))));
        }
        if names.is_empty() {
            return Ok(self.clone());
        }
        Ok(self.with_clusters(|cluster| names.iter().any(|name| name == cluster.name.as_str())))
    }

    /// The configuration with only those clusters, and the policies that their roles name.
    #[must_use]
    pub fn with_clusters(&self, keep: impl Fn(&Cluster) -> bool) -> Self {
        let mut config = self.clone();
        config.clusters.retain(keep);
        let names: BTreeSet<_> = config.clusters.iter().map(|cluster| &cluster.name).collect();
        config.stores.iter_mut().for_each(|stores| stores.retain(|store| names.contains(&store.cluster)));
        config.secrets.retain(|secret| names.contains(&secret.cluster));
        let roles = config.clusters.iter().flat_map(|cluster| &cluster.roles);
        let given: BTreeSet<_> = roles.flat_map(|role| &role.policies).collect();
        config.policies.retain(|policy| given.contains(&policy.name));
        config
    }
}
