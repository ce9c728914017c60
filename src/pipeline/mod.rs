//! The pipeline from configuration to plan, for every command that needs it.

mod bootstrap;

use std::collections::BTreeMap;

pub use bootstrap::{Bootstrap, bootstrap};
use futures::future::try_join_all;
use jiff::Timestamp;

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
    /// The time that it was made for.
    pub now: Timestamp,
    /// The ways to the clusters that can be reached.
    pub connections: BTreeMap<ClusterName, Connection>,
    /// What should be looked at before anything is changed.
    pub warnings: Vec<Error>,
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
        let mut warnings = Vec::new();
        for (name, cluster, warning) in clusters {
            warnings
                .extend(warning.map(|warning| warning.context(format!("cluster {name}: Vault may not get the keys"))));
            facts.insert(name.clone(), cluster.facts);
            if let Some(connection) = cluster.connection {
                connections.insert(name, connection);
            }
        }
        let desired = desired::build(&self.config, &facts, &kv)?;
        let now = Timestamp::now();
        let (observed, plan) = self.compare(&desired, now).await?;
        Ok(Prepared { desired, observed, plan, now, connections, warnings })
    }

    /// Reads what Vault holds and says in what it differs from the desired state.
    ///
    /// # Errors
    /// When Vault can't be read, or a path that is needed is taken by something else.
    pub async fn compare(&self, desired: &Desired, now: Timestamp) -> Result<(Observed, Plan)> {
        let observed = observe(&self.client, desired, self.parallelism).await?;
        let plan = plan::plan(self.address(), desired, &observed, now)?;
        Ok((observed, plan))
    }

    /// Vault's address, as people write it.
    fn address(&self) -> &str {
        self.client.address().as_str().trim_end_matches('/')
    }

    async fn open_clusters(&self) -> Result<Vec<(ClusterName, cluster::Cluster, Option<Error>)>> {
        try_join_all(self.config.clusters.iter().map(async |entry| {
            let read = async {
                let mut cluster = cluster::open(&entry.source, &self.kube).await?;
                let warning =
                    cluster::look_at_key_server(&entry.auth, &mut cluster.facts, cluster.connection.as_ref()).await?;
                Ok((entry.name.clone(), cluster, warning))
            };
            read.await.map_err(|error: Error| error.context(format!("cluster {} could not be read", entry.name)))
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
