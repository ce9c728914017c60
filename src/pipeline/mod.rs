//! The pipeline from configuration to plan, for every command that needs it.

mod bootstrap;

use std::collections::BTreeMap;

pub use bootstrap::{Bootstrap, bootstrap};
use futures::future::try_join_all;

use crate::apply::Connections;
use crate::cluster::{self, ClusterFacts, KubeSettings, ObservedReviewer};
use crate::config::{ClusterSource, Config, ReviewerToken};
use crate::desired::{self, Desired, KvVersions};
use crate::error::{Error, Result};
use crate::names::ClusterName;
use crate::plan::{self, Observed, Plan};
use crate::vault::{Client, kv, observe};
use crate::verify::{Subject, probe};

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
    pub connections: Connections,
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
        let mut connections = Connections::new();
        for (name, cluster) in clusters {
            facts.insert(name.clone(), cluster.facts);
            if let Some(connection) = cluster.connection {
                connections.insert(name, connection);
            }
        }
        let desired = desired::build(&self.config, &facts, &kv)?;
        let (observed, plan) = self.compare(&desired, &connections).await?;
        Ok(Prepared { desired, observed, plan, connections })
    }

    /// Reads what Vault and the clusters hold and says in what it differs from the desired state.
    ///
    /// # Errors
    /// When Vault or a cluster can't be read, or something that is needed is taken by something else.
    pub async fn compare(&self, desired: &Desired, connections: &Connections) -> Result<(Observed, Plan)> {
        let vault = observe(&self.client, desired, self.parallelism);
        let (mut observed, reviewers) = tokio::try_join!(vault, observe_reviewers(desired, connections))?;
        observed.reviewers = reviewers;
        let plan = plan::plan(self.address(), desired, &observed)?;
        Ok((observed, plan))
    }

    /// Tries one login at each `kubernetes` mount that seems to be in order, and plans again where the reviewer's token
    /// turns out to be another: nothing else shows that.
    ///
    /// # Errors
    /// Those of the planning.
    pub async fn probe(&self, mut prepared: Prepared) -> Result<Prepared> {
        let subject = Subject {
            client: &self.client,
            config: &self.config,
            desired: &prepared.desired,
            default_policy: None,
            connections: &prepared.connections,
        };
        let refusing = probe(&subject, &prepared.plan, self.parallelism).await;
        if !refusing.is_empty() {
            prepared.observed.refusing = refusing;
            prepared.plan = plan::plan(self.address(), &prepared.desired, &prepared.observed)?;
        }
        Ok(prepared)
    }

    /// Vault's address, as people write it.
    fn address(&self) -> &str {
        self.client.address().as_str().trim_end_matches('/')
    }

    async fn open_clusters(&self) -> Result<Vec<(ClusterName, cluster::Cluster)>> {
        try_join_all(self.config.clusters.iter().map(async |entry| {
            let cluster = cluster::open(entry, &self.kube)
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

/// What is there of the reviewers of all clusters that have one.
async fn observe_reviewers(
    desired: &Desired,
    connections: &Connections,
) -> Result<BTreeMap<ClusterName, ObservedReviewer>> {
    let reads = desired.mounts.iter().filter_map(|mount| {
        let reviewer = mount.reviewer.as_ref().filter(|reviewer| reviewer.token != ReviewerToken::Client)?;
        let connection = connections.get(&mount.cluster)?;
        Some(async {
            let observed = cluster::observe_reviewer(connection, reviewer)
                .await
                .map_err(|error| error.context(format!("cluster {} could not be read", mount.cluster)))?;
            Ok::<_, Error>((mount.cluster.clone(), observed))
        })
    });
    Ok(try_join_all(reads).await?.into_iter().collect())
}
