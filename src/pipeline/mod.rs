//! The pipeline from configuration to plan, for every command that needs it.

mod bootstrap;
mod login;
mod step;

use std::collections::BTreeMap;

pub use bootstrap::{Bootstrap, bootstrap};
use futures::future::try_join_all;
pub use login::{LoginReport, Presented, login};
pub use step::{Step, step};

use crate::cluster::{self, ClusterFacts, Connection, KubeSettings};
use crate::config::{ClusterSource, Config};
use crate::desired::{self, Desired, KvVersions};
use crate::error::{Error, Result};
use crate::names::ClusterName;
use crate::plan::{self, Observed, Plan};
use crate::vault::{Client, kv, observe};

/// Everything that a run needs, resolved.
pub struct Session {
    /// The configuration.
    pub config: Config,
    /// The way to Vault, with the operator's token.
    pub client: Client,
    /// The way to the clusters.
    pub kube: KubeSettings,
    /// How many requests may be under way at once.
    pub parallelism: usize,
}

/// A plan and what it was made from.
pub struct Prepared {
    /// What Vault should hold.
    pub desired: Desired,
    /// What it held.
    pub observed: Observed,
    /// What has to change.
    pub plan: Plan,
    /// The ways to the clusters that can be reached.
    pub connections: BTreeMap<ClusterName, Connection>,
}

impl Session {
    /// Reads clusters and Vault and says what has to change. Changes nothing.
    ///
    /// # Errors
    /// When the configuration asks for what this version can't do, when a cluster or Vault can't be read, or when a
    /// path that is needed is taken by something else.
    pub async fn prepare(&self) -> Result<Prepared> {
        desired::check_supported(&self.config)?;
        self.check_context_override()?;
        let (clusters, kv) = tokio::try_join!(self.open_clusters(), self.kv_versions())?;
        let mut facts: BTreeMap<ClusterName, ClusterFacts> = BTreeMap::new();
        let mut connections = BTreeMap::new();
        for (name, cluster) in clusters {
            facts.insert(name.clone(), cluster.facts);
            if let Some(connection) = cluster.connection {
                connections.insert(name, connection);
            }
        }
        let desired = desired::build(&self.config, &facts, &kv)?;
        let (observed, plan) = self.compare(&desired).await?;
        Ok(Prepared { desired, observed, plan, connections })
    }

    /// Reads what Vault holds and says in what it differs from the desired state.
    ///
    /// # Errors
    /// When Vault can't be read, or a path that is needed is taken by something else.
    pub async fn compare(&self, desired: &Desired) -> Result<(Observed, Plan)> {
        let observed = observe(&self.client, desired, self.parallelism).await?;
        let plan = plan::plan(self.address(), desired, &observed)?;
        Ok((observed, plan))
    }

    /// Vault's address, as people write it.
    fn address(&self) -> &str {
        self.client.address().as_str().trim_end_matches('/')
    }

    async fn open_clusters(&self) -> Result<Vec<(ClusterName, cluster::Cluster)>> {
        try_join_all(self.config.clusters.iter().map(async |entry| {
            let cluster = cluster::open(&entry.source, &self.kube)
                .await
                .map_err(|error| error.context(format!("cluster {} could not be read", entry.name)))?;
            Ok((entry.name.clone(), cluster))
        }))
        .await
    }

    async fn kv_versions(&self) -> Result<KvVersions> {
        let mounts = desired::kv_mounts(&self.config);
        try_join_all(
            mounts.into_iter().map(async |mount| Ok((mount.clone(), kv::version(&self.client, &mount).await?))),
        )
        .await
        .map(|versions| versions.into_iter().collect())
    }

    /// One context can't stand for several clusters.
    fn check_context_override(&self) -> Result<()> {
        let with_context =
            self.config.clusters.iter().filter(|cluster| matches!(cluster.source, ClusterSource::Context(_)));
        match self.kube.context_override() {
            Some(context) if with_context.count() > 1 => {
                Err(Error::usage(format!("--context {context} can't stand for several clusters at once"))
                    .remedy("leave --context away, or use a configuration with one cluster"))
            }
            _ => Ok(()),
        }
    }
}
