//! The pipeline from configuration to plan, for every command that needs it.

mod bootstrap;
mod consent;
mod finish;
mod login;
mod own_file;
mod rights;
mod saved;
mod show;
mod step;
mod stores;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

pub use bootstrap::{Bootstrap, BootstrapOptions, bootstrap};
pub use consent::{Approval, Consent};
use futures::future::{join_all, try_join_all};
use jiff::Timestamp;
pub use login::{LoginReport, PresentedToken, login};
pub use own_file::{Draft, OwnKind};
pub use saved::{check_plan_file, read_plan, write_plan};
pub use show::show;
pub use step::{Step, step};

use crate::access::{beside_kv, denies, lint, lint_absent};
use crate::apply::Connections;
use crate::cluster::{self, Connection, KeyServer, KubeSettings, ServiceAccountToken};
use crate::config::{self, ClusterSource, Config, KeySource, Method, Reviewer};
use crate::desired::{self, Desired, KvVersions};
use crate::error::{Error, ErrorKind, Result};
use crate::fix::vaultk8s_with;
use crate::interrupt::Interrupt;
use crate::keys::KeyDecisions;
use crate::model::{ClusterFacts, MountTable, Observed, ObservedReviewer, ServedKeys};
use crate::names::{ClusterName, Labels, MountPath};
use crate::observe::observe;
use crate::operator::Operator;
use crate::plan::{self, FailedCluster, Plan};
use crate::vault::{Client, Edition, kv};
use crate::verify::{Subject, refusing_mounts};

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
    /// Which part of the configuration it is about, and whether orphans are deleted.
    pub scope: Scope,
    /// The login that gave the operator's token, where one did.
    pub operator: Operator,
    /// Whether the user wants it to end.
    pub interrupt: Interrupt,
    /// A token of a consumer's, brought along to prove logins with.
    pub brought: Option<Arc<ServiceAccountToken>>,
}

/// Which part of the configuration a run is about, and whether orphans are deleted.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// The clusters that it was narrowed to; empty for all of the file.
    pub clusters: Vec<ClusterName>,
    /// The auth mounts that the file keeps for clusters that were left out: what carries their mark is the file's all the same.
    pub other_mounts: Vec<MountPath>,
    /// Whether clusters were left out.
    pub narrowed: bool,
    /// Whether orphans are deleted.
    pub prune: bool,
    /// Whether the configuration is one step on its own, which says nothing about what else is there.
    pub single_step: bool,
    /// What the operator decided about single keys.
    pub keys: KeyDecisions,
    /// The time to plan for, where that isn't now: that of a saved plan.
    pub now: Option<Timestamp>,
}

/// A plan and what it was made from.
pub struct Prepared {
    /// The part of the configuration that the plan is about: without the clusters that could not be read.
    pub config: Config,
    /// What Vault should hold.
    pub desired: Desired,
    /// What it held.
    pub observed: Observed,
    /// What has to change.
    pub plan: Plan,
    /// The ways to the clusters that can be reached.
    pub connections: Connections,
    /// What should be looked at before anything is changed.
    pub warnings: Vec<Error>,
    /// What the plan tells of how the clusters were read.
    read_notes: Vec<String>,
}

/// The clusters that could be read, and those that could not.
#[derive(Default)]
struct Opened {
    clusters: Vec<(ClusterName, cluster::OpenCluster, Option<Error>)>,
    reviewers: Reviewers,
    served: BTreeMap<ClusterName, ServedKeys>,
    failed: Vec<FailedCluster>,
    /// What is to be told of how they were read.
    notes: Vec<String>,
}

/// What there is of reviewers, by cluster.
type Reviewers = BTreeMap<ClusterName, ObservedReviewer>;

/// A cluster that could be read, what Vault will meet where it fetches keys, and what there is of its reviewer.
struct OpenedCluster {
    cluster: cluster::OpenCluster,
    server: KeyServer,
    reviewer: Option<ObservedReviewer>,
}

impl Session {
    /// Narrows the run to these clusters; to none means all of the file.
    ///
    /// # Errors
    /// When the configuration has no such cluster.
    pub fn select(&mut self, names: &[String]) -> Result<()> {
        let narrowed = self.config.only_clusters(names)?;
        if names.is_empty() {
            return Ok(());
        }
        let selected = |cluster: &config::Cluster| names.iter().any(|name| name == cluster.name.as_str());
        let (inside, outside): (Vec<_>, Vec<_>) = self.config.clusters.iter().partition(|cluster| selected(cluster));
        self.scope.clusters = inside.iter().map(|cluster| cluster.name.clone()).collect();
        self.scope.narrowed = !outside.is_empty();
        self.scope.other_mounts = desired::kept(outside).collect();
        self.config = narrowed;
        Ok(())
    }

    /// Reads clusters and Vault and says what has to change. Changes nothing.
    ///
    /// Of several clusters, one that can't be read is in the plan as failed, and nothing of it is touched: neither its
    /// mount nor the policies that only its roles name.
    ///
    /// # Errors
    /// When the configuration asks for what this version can't do, when the only cluster or Vault can't be read, or when a
    /// path that is needed is taken by something else.
    pub async fn prepare(&self) -> Result<Prepared> {
        match self.prepare_as_of(self.scope.now.unwrap_or_else(Timestamp::now)).await {
            Err(error) => Err(self.with_all_that_is_missing(error).await),
            prepared => prepared,
        }
    }

    /// The same for a time at which a plan was made before: what is recorded of keys says when.
    ///
    /// # Errors
    /// Those of [`Session::prepare`].
    pub(super) async fn prepare_as_of(&self, now: Timestamp) -> Result<Prepared> {
        self.kube.check_override_for(self.config.clusters.iter())?;
        let (opened, kv) = tokio::try_join!(self.open_clusters(), self.kv_versions())?;
        let mut facts: BTreeMap<ClusterName, ClusterFacts> = BTreeMap::new();
        let mut connections = Connections::new();
        let mut warnings = Vec::new();
        for (name, cluster, warning) in opened.clusters {
            warnings
                .extend(warning.map(|warning| warning.context(format!("cluster {name}: Vault may not get the keys"))));
            facts.insert(name.clone(), cluster.facts);
            if let Some(connection) = cluster.connection {
                connections.insert(name, connection);
            }
        }
        let config = if opened.failed.is_empty() {
            self.config.clone()
        } else {
            self.config.with_clusters(|cluster| facts.contains_key(&cluster.name))
        };
        let mut desired = desired::build(&config, &facts, &kv)?;
        warnings.extend(self.lint(&kv).await?);
        desired.owners = desired::kept(&self.config.clusters).chain(self.scope.other_mounts.iter().cloned()).collect();
        desired.alone = self.scope.single_step;
        let unread = self.config.clusters.len() > desired.mounts.len();
        desired.partial = desired.alone || self.scope.narrowed || unread;
        desired.keys.clone_from(&self.scope.keys);
        self.check_edition(&config).await?;
        let mut observed = self.observe(&desired, &opened.reviewers, &connections).await?;
        observed.served = opened.served;
        if self.scope.prune {
            observed.stores = stores::stores(&connections).await;
        }
        if let Cow::Owned(filled) = desired.with_accessors_of(&observed.auth_mounts) {
            desired = filled;
        }
        plan::check_key_decisions(&desired, &observed)?;
        let mut plan = self.plan(&desired, &observed, now)?;
        plan.failed_clusters.extend(opened.failed);
        plan.notes.extend(opened.notes.iter().cloned());
        let failed = |cluster: &config::Cluster| plan.failed_clusters.iter().any(|f| f.cluster == cluster.name);
        let config = config.with_clusters(|cluster| !failed(cluster));
        Ok(Prepared { config, desired, observed, plan, connections, warnings, read_notes: opened.notes })
    }

    /// Reads what Vault and the clusters hold and says in what it differs from the desired state.
    ///
    /// # Errors
    /// When Vault or a cluster can't be read, or something that is needed is taken by something else.
    pub async fn compare(
        &self,
        desired: &Desired,
        connections: &Connections,
        now: Timestamp,
    ) -> Result<(Observed, Plan)> {
        let observed = self.observe(desired, &observe_reviewers(desired, connections).await?, connections).await?;
        let plan = self.plan(desired, &observed, now)?;
        Ok((observed, plan))
    }

    /// Reads what Vault holds, beside what the clusters were found to hold.
    async fn observe(&self, desired: &Desired, reviewers: &Reviewers, connections: &Connections) -> Result<Observed> {
        let mut observed = observe(&self.client, desired, self.scope.prune, self.parallelism).await?;
        observed.reviewers.clone_from(reviewers);
        observed.namespaces = list_namespaces(desired, connections).await;
        Ok(observed)
    }

    /// What is between the two, with where it is for.
    fn plan(&self, desired: &Desired, observed: &Observed, now: Timestamp) -> Result<Plan> {
        let mut plan = plan::plan(self.address(), desired, observed, self.scope.prune, now)?;
        self.namespace().clone_into(&mut plan.namespace);
        plan.clusters.clone_from(&self.scope.clusters);
        plan.keep_keys.clone_from(&self.scope.keys.keep);
        plan.forget_keys.clone_from(&self.scope.keys.forget);
        Ok(plan)
    }

    /// Tries one login at each `kubernetes` mount that seems to be in order, and plans again where the reviewer's token
    /// turns out to be another: nothing else shows that.
    ///
    /// # Errors
    /// Those of the planning.
    pub async fn probe(&self, mut prepared: Prepared) -> Result<Prepared> {
        let subject = Subject {
            client: &self.client,
            config: &prepared.config,
            desired: &prepared.desired,
            observed: None,
            interrupt: &self.interrupt,
            connections: &prepared.connections,
            brought: None,
        };
        let refusing = refusing_mounts(&subject, &prepared.plan, self.parallelism).await;
        if !refusing.is_empty() {
            prepared.observed.refusing = refusing;
            self.plan_again(&mut prepared)?;
        }
        prepared.plan.probed = true;
        Ok(prepared)
    }

    /// Plans again, so that each mount is given the reviewer's token that comes from elsewhere: a command that names one is asked to give
    /// it, and which one the mount has nothing shows.
    ///
    /// # Errors
    /// Those of the planning.
    pub fn give_reviewers(&self, mut prepared: Prepared) -> Result<Prepared> {
        let mounts = prepared.desired.mounts.iter();
        let from_elsewhere =
            mounts.filter(|mount| mount.reviewer.as_ref().is_some_and(|reviewer| reviewer.token.is_elsewhere()));
        prepared.observed.asked = from_elsewhere.map(|mount| mount.path.clone()).collect();
        self.plan_again(&mut prepared)?;
        Ok(prepared)
    }

    /// Plans again, where more was observed; what was said of how the clusters were read still holds.
    fn plan_again(&self, prepared: &mut Prepared) -> Result<()> {
        let failed = std::mem::take(&mut prepared.plan.failed_clusters);
        prepared.plan = self.plan(&prepared.desired, &prepared.observed, prepared.plan.made_at)?;
        prepared.plan.failed_clusters = failed;
        prepared.plan.notes.extend(prepared.read_notes.iter().cloned());
        Ok(())
    }

    /// Vault's address, as people write it.
    fn address(&self) -> &str {
        self.client.address().as_str().trim_end_matches('/')
    }

    /// The namespace; empty for the root namespace.
    fn namespace(&self) -> &str {
        self.client.namespace().unwrap_or_default().trim_matches('/')
    }

    /// Reads the clusters, all at once. Of several, one that fails doesn't keep the others from their work; wrong usage
    /// does, and so does the failure of the only one.
    async fn open_clusters(&self) -> Result<Opened> {
        let entries = &self.config.clusters;
        let answers = join_all(entries.iter().map(async |entry| self.open_cluster(entry).await)).await;
        let mut opened = Opened::default();
        for (entry, answer) in entries.iter().zip(answers) {
            match answer {
                Ok(OpenedCluster { cluster, server, reviewer }) => {
                    opened.notes.extend(server.asked_through.map(|asked| format!("cluster {}: {asked}", entry.name)));
                    opened.notes.extend(self.unproved(entry));
                    opened.clusters.push((entry.name.clone(), cluster, server.obstacle));
                    opened.served.extend(server.served.map(|served| (entry.name.clone(), served)));
                    opened.reviewers.extend(reviewer.map(|reviewer| (entry.name.clone(), reviewer)));
                }
                Err(error) if error.kind() == ErrorKind::Usage || entries.len() == 1 => {
                    return Err(error.context(format!("cluster {} could not be read", entry.name)));
                }
                Err(error) => opened.failed.push(FailedCluster::new(entry.name.clone(), &error)),
            }
        }
        Ok(opened)
    }

    /// Sees to it that no server is asked for what its edition doesn't know: of a provider of keys it would say no more than that keys are
    /// missing, and of metadata by annotations nothing at all.
    async fn check_edition(&self, config: &Config) -> Result<()> {
        let first = |is: fn(&Method) -> bool| config.clusters.iter().find(|cluster| is(&cluster.auth.method));
        let by_provider = first(|method| matches!(method, Method::Jwt(KeySource::Authenticated)));
        let by_annotations = first(|method| matches!(method, Method::Kubernetes(auth) if auth.annotations_as_metadata));
        let extends = |cluster: &&config::Cluster| {
            cluster.auth.cert_extensions.as_ref().is_some_and(|extensions| !extensions.is_empty())
        };
        let extended = config.clusters.iter().find(extends);
        if by_provider.or(by_annotations).or(extended).is_none() {
            return Ok(());
        }
        let of_vault = by_annotations
            .map(|cluster| (cluster, "annotationsAsMetadata", "1.16 and later"))
            .or(extended.map(|cluster| (cluster, "unsupportedCriticalCertExtensions", "1.21, for one")));
        match (self.client.edition().await, by_provider, of_vault) {
            (Ok(Edition::OpenBao), _, Some((cluster, field, since))) => Err(Error::failed(format!(
                "cluster {}: this is OpenBao, which doesn't know `{field}`: HashiCorp's Vault ({since}) does",
                cluster.name
            ))
            .remedy(format!("take `{field}` out of the file"))),
            (Ok(Edition::Community | Edition::Enterprise), Some(cluster), _) => Err(Error::failed(format!(
                "cluster {}: this is HashiCorp's Vault, which doesn't know `providerConfig: {{ provider: kubernetes }}`: OpenBao (2.6 and \
                 later) does",
                cluster.name
            ))
            .remedy("write `keys: pinned`, which needs no way from Vault to the cluster")
            .remedy("or let it fetch the keys without credentials: `keys: jwksUrl` or `keys: oidcDiscovery`")),
            // What can't be seen the server says when it is written.
            _ => Ok(()),
        }
    }

    /// What is to be told of the logins of an issuer that no cluster gives tokens for.
    fn unproved(&self, entry: &config::Cluster) -> Option<String> {
        let ClusterSource::Issuer { issuer } = &entry.source else { return None };
        self.brought.is_none().then(|| {
            format!(
                "cluster {}: no cluster is asked for tokens of {issuer}, so that its logins are not tried; one of a consumer's proves \
                 them: {}",
                entry.name,
                vaultk8s_with("bootstrap --jwt-file FILE", self.config.files.all(), &[]).shown()
            )
        })
    }

    /// Reads one cluster, and looks at what Vault will meet there.
    async fn open_cluster(&self, entry: &config::Cluster) -> Result<OpenedCluster> {
        let mut cluster = cluster::open(entry, &self.kube).await?;
        let server = cluster::look_at_key_server(
            &entry.auth,
            &mut cluster.facts,
            cluster.connection.as_ref(),
            self.kube.proxies(),
        )
        .await?;
        let reviewer = match (&entry.auth.method, &cluster.connection) {
            (Method::Kubernetes(auth), Some(connection)) if entry.auth.managed => {
                observe_reviewer(connection, &auth.reviewer).await?
            }
            _ => None,
        };
        Ok(OpenedCluster { cluster, server, reviewer })
    }

    /// What the file should be looked at for, with the versions of the KV mounts that its rules are about as far as they can be seen.
    async fn lint(&self, kv: &KvVersions) -> Result<Vec<Error>> {
        let mut kv = kv.clone();
        let (mounts, others) = beside_kv(&self.config);
        for mount in mounts {
            if !kv.contains_key(mount)
                && let Ok(version) = kv::version(&self.client, mount).await
            {
                kv.insert(mount.clone(), version);
            }
        }
        if others && let Ok(visible) = kv::visible(&self.client).await {
            for (mount, version) in visible {
                kv.entry(mount).or_insert(version);
            }
        }
        let mut found = lint(&self.config, &kv)?;
        if denies(&self.config)
            && let Some(there) = MountTable::read(&self.client).await
        {
            found.extend(lint_absent(&self.config, &there));
        }
        let files = &self.config.files;
        Ok(found.into_iter().map(|found| found.warning(files)).collect())
    }

    /// The versions of the KV mounts; what is to be made is of the version that it is made of.
    async fn kv_versions(&self) -> Result<KvVersions> {
        let (mounts, made) = (desired::kv_mounts(&self.config), desired::made_kv_mounts(&self.config));
        let version = async |mount: MountPath| {
            let version = if made.contains(&mount) {
                kv::held(&self.client, &mount).await?.version()
            } else {
                kv::version(&self.client, &mount).await?
            };
            Ok((mount, version))
        };
        try_join_all(mounts.into_iter().map(version)).await.map(|versions| versions.into_iter().collect())
    }
}

/// What is there of the reviewers of all clusters that have one.
async fn observe_reviewers(desired: &Desired, connections: &Connections) -> Result<Reviewers> {
    let reads = desired.mounts.iter().filter_map(|mount| {
        let (reviewer, connection) = (mount.reviewer.as_ref()?, connections.get(&mount.cluster)?);
        Some(async {
            let observed = observe_reviewer(connection, reviewer)
                .await
                .map_err(|error| error.context(format!("cluster {} could not be read", mount.cluster)))?;
            Ok::<_, Error>(observed.map(|observed| (mount.cluster.clone(), observed)))
        })
    });
    Ok(try_join_all(reads).await?.into_iter().flatten().collect())
}

/// The namespaces of the clusters whose roles select some. Who may not list them is told so, and nothing needs it.
async fn list_namespaces(
    desired: &Desired,
    connections: &Connections,
) -> BTreeMap<ClusterName, Result<BTreeMap<String, Labels>, String>> {
    let reads = desired.mounts.iter().filter(|mount| mount.selects_namespaces()).filter_map(|mount| {
        let connection = connections.get(&mount.cluster)?;
        Some(async {
            let listed = cluster::namespaces(connection).await;
            (mount.cluster.clone(), listed.map_err(|error| told(&Error::from(error))))
        })
    });
    join_all(reads).await.into_iter().collect()
}

/// An error with its causes, and what to do about it, as part of a sentence.
fn told(error: &Error) -> String {
    let said = error.causes().into_iter().fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    error.remedies().into_iter().fold(said, |text, remedy| format!("{text}; {remedy}"))
}

/// What is there of one reviewer; `None` for the kind that needs nothing.
async fn observe_reviewer(connection: &Connection, reviewer: &Reviewer) -> Result<Option<ObservedReviewer>> {
    if reviewer.token.is_elsewhere() {
        return Ok(Some(cluster::observe_elsewhere(connection, reviewer).await));
    }
    if !reviewer.token.is_of_the_account() {
        return Ok(None);
    }
    cluster::observe_reviewer(connection, reviewer).await.map(Some)
}
