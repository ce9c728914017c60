//! What `verify-role` looks at: the roles of a configuration, or one role that flags name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::brought::{self, Use, account_of, assigned, proves_something, trials};
use super::capture;
use super::catalogue::Link;
use super::diagnosis::diagnose;
use super::external_secrets::{AstrayScene, ExternalSecret, Store, StoreScene, Uses, uses};
use super::facts::{Known, Knows, all};
use super::report::Diagnosis;
use super::scene::{
    AllRoles, ClusterScene, MountCase, MountScene, OutOfReach, RoleCase, RoleScene, Source, TokenFrom, VaultScene,
    Wanted, read_role,
};
use super::scenes::Scenes;
use super::selected::with_somebody;
use super::walk::Selection;
use crate::access::who::{Who, let_in_by};
use crate::cluster::{self, Connection, KubeSettings, OpenCluster, ServiceAccountToken, token_secrets};
use crate::config::{self, ClusterSource, Config, ConfigFiles, Reviewer, ReviewerToken};
use crate::desired::{self, DesiredMount, DesiredPolicy, KvVersions, kv_mounts};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::model::{AuthMethod, ClusterFacts, RoleDocument};
use crate::names::{Audience, ClusterName, InvalidName, MountPath, RoleName, ServiceAccountRef};
use crate::progress::Progress;
use crate::vault::Client;

/// What is looked at, and how.
pub struct Inspection<'a> {
    /// The operator's client, with a token or without.
    pub client: Client,
    /// The way to the clusters.
    pub kube: &'a KubeSettings,
    /// What is looked at.
    pub target: Target,
    /// Secrets that the logins should be able to read: `mount/path#property`, or below `kv`.
    pub paths: Vec<String>,
    /// The KV mount of the paths, where it is named.
    pub kv: Option<MountPath>,
    /// Whether anybody logs in.
    pub logins: bool,
    /// Which checks are made.
    pub selection: Selection,
    /// How many sections are gone through at once.
    pub parallelism: usize,
}

/// What is looked at.
pub enum Target {
    /// Roles of a configuration.
    Config {
        /// The configuration, narrowed to the clusters and roles that are wanted.
        config: Box<Config>,
        /// Its file, or files.
        file: ConfigFiles,
        /// Whether it has all roles of its clusters, so that any other is none of the file's.
        whole: bool,
        /// A token of a consumer's that was brought along.
        brought: Option<Box<ServiceAccountToken>>,
    },
    /// One role.
    Flags(Box<RoleFlags>),
}

/// One role, as flags name it.
pub struct RoleFlags {
    /// The auth mount.
    pub mount: MountPath,
    /// The role.
    pub role: RoleName,
    /// Who logs in; without it, whom the role is bound to.
    pub service_account: Option<ServiceAccountRef>,
    /// What the consumer asks `TokenRequest` for; without it, what the role wants.
    pub audiences: Vec<Audience>,
    /// A token that is there already.
    pub token: Option<ServiceAccountToken>,
    /// Who reviews tokens for the mount (kubernetes).
    pub reviewer: Option<Reviewer>,
    /// Whether somebody said what kind of token the reviewer has, and where.
    pub reviewer_token_is_named: bool,
}

/// What was found, and all that it was found by.
pub struct Inspected {
    /// What was found.
    pub diagnosis: Diagnosis,
    /// What was looked at; nothing where it was interrupted before.
    scenes: Option<Scenes>,
    selection: Selection,
}

impl Inspected {
    /// The run as a document from which it can be diagnosed elsewhere; `None` where it was interrupted, and so isn't whole.
    ///
    /// # Errors
    /// When it has no JSON form, or holds a token.
    pub fn capture(&self) -> Result<Option<String>> {
        let scenes = self.scenes.as_ref().filter(|_| !self.diagnosis.interrupted);
        scenes.map(|scenes| capture::write(scenes, &self.selection)).transpose()
    }
}

/// Goes through the whole chain and says what is broken.
///
/// # Errors
/// When there is nothing to look at: a path that can't be one, a token that is none, a role whose accounts can't be known.
pub async fn inspect(inspection: Inspection<'_>, interrupt: &Interrupt, progress: &Progress) -> Result<Inspected> {
    let (selection, parallelism) = (inspection.selection.clone(), inspection.parallelism);
    let scenes = tokio::select! {
        scenes = scenes(inspection) => scenes?,
        // Nobody has logged in yet, so that there is nothing to finish.
        () = interrupt.came() => {
            return Ok(Inspected { diagnosis: Diagnosis::interrupted(Vec::new()), scenes: None, selection });
        }
    };
    progress.set_length(scenes.roles.len() as u64);
    let diagnosis = diagnose(&scenes, &selection, parallelism, interrupt, progress).await;
    Ok(Inspected { diagnosis, scenes: Some(scenes), selection })
}

/// What whoever starts this says of all roles alike.
struct OfAll {
    /// The secrets that they should be able to read.
    wanted: Vec<Wanted>,
    /// Whether anybody logs in.
    logins: bool,
}

impl OfAll {
    /// A role of which that is said, too.
    fn of(&self, case: RoleCase) -> RoleCase {
        RoleCase { wanted: [case.wanted, self.wanted.clone()].concat(), logins: self.logins, ..case }
    }
}

/// What is to be looked at.
async fn scenes(inspection: Inspection<'_>) -> Result<Scenes> {
    let Inspection { client, kube, target, paths, kv, logins, selection, .. } = inspection;
    let vault = Arc::new(VaultScene::without_dead_token(client).await?);
    let mounts = match &target {
        Target::Config { config, .. } => kv_mounts(config),
        Target::Flags(_) if paths.is_empty() => Vec::new(),
        Target::Flags(_) if kv.is_some() => vault.facts().settle(|| vault.kv_mounts().cloned()).await?,
        Target::Flags(_) => vault.facts().settle(|| mounts_of(&vault, &paths)).await?,
    };
    let wanted: Vec<Wanted> = paths.iter().map(|path| wanted(path, kv.as_ref(), &mounts)).collect::<Result<_>>()?;
    let of_all = OfAll { wanted, logins };
    let scenes = match target {
        Target::Config { config, file, whole, brought } => {
            let flags = [kube.as_flags(), vault.flags().to_vec()].concat();
            let said =
                OfFile { config: &config, source: Source::File { file, flags }, whole, brought: brought.as_deref() };
            of_config(vault, kube, said, &of_all).await?
        }
        Target::Flags(flags) => of_flags(vault, kube, *flags, &of_all).await?,
    };
    if selection.includes_some_of(Link::ExternalSecrets) { with_stores(scenes).await } else { Ok(scenes) }
}

/// The KV mounts that the token may see, and those of child namespaces that paths begin with.
fn mounts_of(vault: &VaultScene, paths: &[String]) -> Known<Vec<MountPath>> {
    let mut mounts = vault.kv_mounts()?.clone();
    for path in paths {
        let path = path.split('#').next().unwrap_or_default();
        if !mounts.iter().any(|mount| is_in_front(mount, path))
            && path.contains('/')
            && let Some(mount) = vault.kv_mount_of(path)?
        {
            mounts.push(mount.clone());
        }
    }
    Ok(mounts)
}

/// Whether a path begins with a mount.
fn is_in_front(mount: &MountPath, path: &str) -> bool {
    path.strip_prefix(mount.as_str()).is_some_and(|below| below.starts_with('/'))
}

/// A secret as people write it: `secret/k8s/app#password`. The mount that stands in front is one of `mounts`, unless one is
/// named for all paths: then it may be left away.
fn wanted(text: &str, kv: Option<&MountPath>, mounts: &[MountPath]) -> Result<Wanted> {
    let (path, property) = match text.split_once('#') {
        Some((path, property)) => (path, Some(property.to_owned()).filter(|property| !property.is_empty())),
        None => (text, None),
    };
    let in_front = |mount: &&MountPath| is_in_front(mount, path);
    // Of two mounts where one begins with the other, the longer is what the path names.
    let longest = mounts.iter().filter(in_front).max_by_key(|mount| mount.as_str().len());
    let (mount, others, is_named) = match (kv, longest) {
        (Some(kv), _) => (kv.clone(), mounts, true),
        (None, Some(mount)) => (mount.clone(), &[][..], true),
        (None, None) => {
            let usual = config::DEFAULT_KV.parse().map_err(|error: InvalidName| Error::failed(error.to_string()))?;
            let is_named = is_in_front(&usual, path);
            (usual, &[][..], is_named)
        }
    };
    let path = config::kv_path(path, &mount, others).map_err(|error| {
        let remedy = error.remedy();
        Error::usage(error.to_string()).remedy(remedy)
    })?;
    if path.is_pattern() {
        return Err(
            Error::usage(format!("{text:?} is a pattern, not a secret")).remedy("name one secret that is there")
        );
    }
    let path = path.to_string();
    Ok(Wanted { mount, path, property, mount_is_guessed: !is_named })
}

/// The same, with the stores of External Secrets that use the roles, and what is known of the roles by these.
async fn with_stores(scenes: Scenes) -> Result<Scenes> {
    // Without Vault there is nothing to compare them with.
    let facts = scenes.vault.facts();
    if facts.settle(|| scenes.vault.seal()).await?.is_err() {
        return Ok(scenes);
    }
    let found = scenes.clusters.iter().map(|cluster| facts.settle(|| uses(cluster, &scenes.roles)));
    let found: Vec<Option<Uses>> = futures::future::try_join_all(found).await?;
    let (mut used, mut astray) = (Vec::new(), Vec::new());
    for (cluster, uses) in scenes.clusters.iter().zip(found) {
        let (found, stores) = uses.map(|uses| (uses.found, uses.astray)).unzip();
        used.extend(found.into_iter().flatten());
        astray.push(AstrayScene { cluster: Arc::clone(cluster), stores });
    }
    let role = |(at, role): (usize, &Arc<RoleScene>)| {
        let own = used.iter().filter(|(of, ..)| *of == at).map(|(_, store, secrets)| (store, secrets.as_slice()));
        Arc::new(RoleScene::of(Arc::clone(&role.mount), used_by(role.case().clone(), &own.collect::<Vec<_>>())))
    };
    let roles: Vec<Arc<RoleScene>> = scenes.roles.iter().enumerate().map(role).collect();
    let store = |(at, store, secrets): (usize, _, _)| StoreScene { role: Arc::clone(&roles[at]), store, secrets };
    let stores = used.into_iter().map(store).collect();
    Ok(Scenes { roles, stores, astray, ..scenes })
}

/// A role that is used by these stores, each with what refers to it.
fn used_by(case: RoleCase, stores: &[(&Store, &[ExternalSecret])]) -> RoleCase {
    let uses = |(store, secrets): &(&Store, &[ExternalSecret])| {
        secrets.iter().map(|secret| secret.uses_of_a_token(store)).max()
    };
    RoleCase {
        used_by_stores: !stores.is_empty(),
        uses_at_once: stores.iter().filter_map(uses).max().unwrap_or_default(),
        refresh: stores.iter().flat_map(|(_, secrets)| *secrets).filter_map(ExternalSecret::refresh).max(),
        ..case
    }
}

/// What is said of the roles of a file.
struct OfFile<'a> {
    config: &'a Config,
    source: Source,
    whole: bool,
    brought: Option<&'a ServiceAccountToken>,
}

async fn of_config(
    vault: Arc<VaultScene>,
    kube: &KubeSettings,
    OfFile { config, source, whole, brought }: OfFile<'_>,
    of_all: &OfAll,
) -> Result<Scenes> {
    let policies = desired_policies(&vault, config).await?;
    let (mut clusters, mut mounts, mut roles) = (Vec::new(), Vec::new(), Vec::new());
    let opened = futures::future::join_all(config.clusters.iter().map(|entry| open(entry, kube))).await;
    let desired: Vec<DesiredMount> = opened.iter().filter_map(|(_, _, desired)| desired.clone()).collect();
    let trials = trials(config, |entry| desired.iter().find(|mount| mount.cluster == entry.name));
    let mut assignments = match brought {
        Some(token) => {
            let uses = assigned(&token.claims, &trials, !whole);
            if whole {
                proves_something(&trials, &uses)?;
            }
            uses.into_iter().map(Some).collect()
        }
        None => vec![None; trials.len()],
    }
    .into_iter();
    for (entry, (connection, unasked, desired)) in config.clusters.iter().zip(opened) {
        let cluster = Arc::new(ClusterScene::new(Arc::clone(&vault), entry.name.clone(), connection, unasked));
        let all_roles = whole.then(|| AllRoles::of(entry, config));
        let case = MountCase { all_roles, ..MountCase::of_config(source.clone(), entry, desired) };
        let mount = Arc::new(MountScene::of(Arc::clone(&cluster), case));
        for role in &entry.roles {
            for at in 0..RoleCase::logins_of(role) {
                let case = of_all.of(RoleCase::of_config(&entry.name, role, at, &policies, config));
                let case = with_somebody(&mount, case).await;
                // In the same order as the trials.
                let used: Option<Use> = assignments.next().flatten();
                roles.push(Arc::new(brought::scene(&mount, case, brought.zip(used))));
            }
        }
        clusters.push(cluster);
        mounts.push(mount);
    }
    Ok(Scenes::without_stores(vault, clusters, mounts, roles))
}

type Opened = (Option<Result<Connection>>, Option<OutOfReach>, Option<DesiredMount>);

/// The way to a cluster, or what is known without one; and what its mount should hold, where that can be known.
async fn open(entry: &config::Cluster, kube: &KubeSettings) -> Opened {
    let mount = async |mut facts: ClusterFacts, connection: Option<&Connection>| {
        cluster::look_at_key_server(&entry.auth, &mut facts, connection, kube.proxies()).await?;
        let desired = desired::mount(entry, &facts).ok();
        Ok::<_, Error>((facts, desired))
    };
    if let ClusterSource::Files { .. } | ClusterSource::Issuer { .. } = entry.source {
        let read = async {
            let OpenCluster { facts, unread, .. } = cluster::open(entry, kube).await?;
            Ok::<_, Error>((mount(facts, None).await?, unread))
        };
        return match read.await {
            Ok(((ClusterFacts { issuer, keys, .. }, desired), unread)) => {
                let unasked = match (&entry.source, unread) {
                    (ClusterSource::Issuer { .. }, Some(error)) => OutOfReach::Issuer { issuer, keys: Err(error) },
                    (ClusterSource::Issuer { .. }, None) => OutOfReach::Issuer { issuer, keys: Ok(keys) },
                    _ => OutOfReach::Files { issuer, keys },
                };
                (None, Some(unasked), desired)
            }
            Err(error) => (Some(Err(error)), None, None),
        };
    }
    // Once: whatever its kubeconfig names for the credentials is run as it is opened.
    let connection = Connection::open(&entry.source, kube).await;
    let desired = match &connection {
        Ok(connection) => {
            let read = async { mount(cluster::facts(entry, connection).await?, Some(connection)).await };
            // What can't be read of it is told where it is looked at.
            read.await.ok().and_then(|(_, desired)| desired)
        }
        Err(_) => None,
    };
    (Some(connection), None, desired)
}

/// The policies, as far as the versions of their KV mounts are known.
async fn desired_policies(vault: &VaultScene, config: &Config) -> Result<Vec<DesiredPolicy>> {
    let mounts = kv_mounts(config);
    let looked = || all(mounts.iter().map(|mount| Ok((mount, vault.kv(mount)?))));
    let looked: Vec<_> = vault.facts().settle(looked).await?;
    let kv: KvVersions =
        looked.into_iter().filter_map(|(mount, version)| Some((mount.clone(), version.ok()?))).collect();
    let desired: Vec<DesiredPolicy> =
        config.policies.iter().filter_map(|policy| desired::policy(policy, &kv).ok()).collect();
    let with_accessors = || {
        all(desired.iter().map(|DesiredPolicy { name, policy }| {
            Ok(DesiredPolicy { name: name.clone(), policy: vault.with_accessors(policy)? })
        }))
    };
    Ok(vault.facts().settle(with_accessors).await?)
}

async fn of_flags(vault: Arc<VaultScene>, kube: &KubeSettings, flags: RoleFlags, of_all: &OfAll) -> Result<Scenes> {
    let RoleFlags { mount, role, service_account, audiences, token, reviewer, reviewer_token_is_named } = flags;
    let kube_flags = kube.as_flags();
    let connection = Connection::open(&ClusterSource::Context(None), kube).await;
    let name = connection.as_ref().map_or("cluster", Connection::name);
    let name: ClusterName = config::cluster_named_after(name).or_else(|_| config::cluster_named_after("cluster"))?;
    let reviewer = match (reviewer, &connection) {
        (Some(reviewer), Ok(connection)) if !reviewer_token_is_named => {
            Some(with_its_token(connection, reviewer).await)
        }
        (reviewer, _) => reviewer,
    };
    // Who brings the token along may have no way to the cluster, and needs none for the login.
    let connection = Some(connection).filter(|opened| opened.is_ok() || token.is_none() || !kube_flags.is_empty());
    let cluster = Arc::new(ClusterScene::new(Arc::clone(&vault), name, connection, None));
    let source = Source::Flags { flags: [kube_flags, vault.flags().to_vec()].concat() };
    let mount = Arc::new(MountScene::of(Arc::clone(&cluster), MountCase::of_flags(source, mount, reviewer)));
    let facts = vault.facts();
    let document = facts.settle(|| read_role(&mount, role.as_str(), 0)).await?.ok().flatten();
    let account = match (&service_account, &token) {
        (Some(account), _) => Some(account.clone()),
        (None, Some(token)) => account_of(&token.claims.subject),
        (None, None) => document.and_then(bound_account),
    };
    let audience_is_guessed = audiences.is_empty() && token.is_none() && document.is_none();
    let audiences = match document {
        _ if !audiences.is_empty() => audiences,
        Some(document) => wanted_audience(document),
        // As External Secrets does, which adds this one under jwt and none under kubernetes.
        None if facts.settle(|| mount.method()).await? == Some(AuthMethod::Jwt) => {
            "vault".parse().ok().into_iter().collect()
        }
        None => Vec::new(),
    };
    let from = if token.is_some() { TokenFrom::Whoever } else { TokenFrom::Cluster };
    let labelled = document.filter(|_| account.is_none()).and_then(|document| {
        let_in_by(document).into_iter().find_map(|who| match who {
            Who::Labelled(labelled) => Some(labelled),
            _ => None,
        })
    });
    let case = RoleCase { audience_is_guessed, labelled, token: from, ..RoleCase::bare(role, account, audiences) };
    let case = with_somebody(&mount, case).await;
    let scene = RoleScene::of(Arc::clone(&mount), of_all.of(case));
    if let (Some(token), Some(servers)) = (token, facts.servers()) {
        servers.present(&scene.consumer(), token);
    }
    Ok(Scenes::without_stores(vault, vec![cluster], vec![mount], vec![Arc::new(scene)]))
}

/// A reviewer with the kind of token that it has in the cluster, where that can be seen: the Secret's, else a bound one.
async fn with_its_token(connection: &Connection, reviewer: Reviewer) -> Reviewer {
    if reviewer.token != ReviewerToken::Secret {
        return reviewer;
    }
    // Who may not list them may still read the one that is named as usual.
    let Ok(there) = token_secrets(connection, &reviewer.service_account).await else { return reviewer };
    match there.first() {
        _ if there.contains(&reviewer.secret_name) => reviewer,
        Some(name) => Reviewer { secret_name: name.clone(), ..reviewer },
        None => Reviewer { token: ReviewerToken::Bound, ..reviewer },
    }
}

/// The account that a role is bound to, where it is one.
fn bound_account(document: &RoleDocument) -> Option<ServiceAccountRef> {
    match document {
        RoleDocument::Jwt(role) => {
            let bound = role.bound_claims.get("sub").and_then(|bound| match bound {
                serde_json::Value::Array(values) => values.first()?.as_str(),
                value => value.as_str(),
            });
            account_of(bound.unwrap_or(&role.bound_subject)).or_else(|| by_claims(document))
        }
        RoleDocument::Kubernetes(role) => {
            let (names, namespaces) = (&role.bound_service_account_names, &role.bound_service_account_namespaces);
            format!("{}/{}", namespaces.first()?, names.first()?).parse().ok()
        }
    }
}

/// The account that other claims than its subject name.
fn by_claims(document: &RoleDocument) -> Option<ServiceAccountRef> {
    let_in_by(document).into_iter().find_map(|who| match who {
        Who::Account(account) => account.to_string().parse().ok(),
        _ => None,
    })
}

/// What a consumer of a role would ask for: External Secrets adds the audience under jwt, and none under kubernetes.
fn wanted_audience(role: &RoleDocument) -> Vec<Audience> {
    match role {
        RoleDocument::Jwt(role) => {
            role.bound_audiences.first().and_then(|audience| audience.parse().ok()).into_iter().collect()
        }
        RoleDocument::Kubernetes(_) => Vec::new(),
    }
}

/// Narrows a configuration to the roles of these names, and to the clusters that have one.
///
/// # Errors
/// When no cluster has a role of that name.
pub(crate) fn narrow(config: &Config, roles: &[RoleName]) -> Result<Config> {
    let mut counts: BTreeMap<&RoleName, usize> = roles.iter().map(|role| (role, 0)).collect();
    for role in config.clusters.iter().flat_map(|cluster| &cluster.roles) {
        counts.entry(&role.name).and_modify(|count| *count += 1);
    }
    if let Some((name, _)) = counts.iter().find(|(_, count)| **count == 0) {
        let known = config.clusters.iter().flat_map(|cluster| &cluster.roles).map(|role| role.name.as_str());
        let known: Vec<&str> = known.take(12).collect();
        return Err(Error::usage(format!("the configuration has no role {name}"))
            .remedy(format!("it has: {}", known.join(", ")))
            .remedy("or name a role that no file has: --mount PATH --role NAME --service-account NAMESPACE/NAME"));
    }
    let mut narrowed = config.with_clusters(|cluster| cluster.roles.iter().any(|role| roles.contains(&role.name)));
    for cluster in &mut narrowed.clusters {
        cluster.roles.retain(|role| roles.contains(&role.name));
    }
    Ok(narrowed)
}
