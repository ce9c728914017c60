//! A part of a configuration: some of its clusters, and what they need.

use super::{Cluster, Config};

impl Config {
    /// The configuration with only those clusters, and the policies that their roles name.
    #[must_use]
    pub fn with_clusters(&self, keep: impl Fn(&Cluster) -> bool) -> Self {
        let mut config = self.clone();
        config.clusters.retain(keep);
        let clusters = &config.clusters;
        config.policies.retain(|policy| {
            clusters.iter().flat_map(|cluster| &cluster.roles).any(|role| role.policies.contains(&policy.name))
        });
        config
    }
}
