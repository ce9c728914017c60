//! The whole trust on a throwaway server: the configuration is applied as `bootstrap` would, with stand-ins for the
//! clusters, and then everybody whom a role names logs in, and some whom it must refuse.
//!
//! A stand-in is a small API server, so that all that reads clusters, plans and applies is the code that meets the real ones.

mod allowances;
mod api;
mod cluster;
mod listener;
mod logins;
mod matrix;
mod real;
mod report;
mod server;
mod signer;
mod supervise;
mod tenants;
mod tokens;

#[cfg(test)]
mod parity;

use std::path::PathBuf;
use std::time::Duration;

use futures::future::try_join_all;

use self::cluster::{RealClusters, StandIns, stand_in_for, with_stand_ins};
use self::logins::{Logins, expected_of};
use self::matrix::Matrix;
pub use self::report::{Access, ClusterReport, GrantedPath, NotTried, Refusal, RefusalStatus, Rehearsal};
use self::server::{Program, Server};
pub use self::signer::KeyType;
pub use self::supervise::{SUPERVISE, become_program, supervise};
use self::tenants::Tenants;
use crate::access::{ExpectationResult, asked, compare, lint, lint_absent, named};
use crate::apply::{Applied, ChangeOutcome, apply};
use crate::cluster::KubeSettings;
use crate::config::{Act, ClusterSource, Config, DEFAULT_KV, KeySource, Method, ReviewerToken};
use crate::desired::{KvVersions, kv_mounts, made_kv_mounts};
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::model::{KvVersion, TrustFiles};
use crate::names::MountPath;
use crate::operator::Operator;
use crate::pipeline::{Scope, Session};
use crate::settings::Environment;
use crate::ui::Ui;
use crate::vault::{Client, Counts, kv};

/// How long a server that ends takes to be noticed, where a request has failed before.
const NOTICED_WITHIN: Duration = Duration::from_millis(500);

/// Another version of the configuration.
#[derive(Debug)]
pub struct OtherVersion {
    /// What it is called.
    pub name: String,
    /// What it says.
    pub config: Config,
    /// The files beside it, and those beside the configuration that is rehearsed, as far as both can be compared.
    pub files: [TrustFiles; 2],
}

/// How a rehearsal is done.
#[derive(Debug)]
pub struct RehearsalOptions {
    /// What the configuration is called, for the report.
    pub name: String,
    /// The server's program, where a flag names it.
    pub server_bin: Option<PathBuf>,
    /// What kind of keys the stand-ins sign with.
    pub key_type: KeyType,
    /// The KV mounts of version 1; all others are of version 2.
    pub kv_v1: Vec<MountPath>,
    /// Another version of the configuration: what differs between the two is reported.
    pub against: Option<OtherVersion>,
    /// The way to the configuration's clusters, where their own tokens are to be used.
    pub real_clusters: Option<KubeSettings>,
    /// How many requests may be under way at once.
    pub parallelism: usize,
}

/// Rehearses a configuration.
///
/// `None` is an interrupted rehearsal, of which nothing is left.
///
/// # Errors
/// When there is no server, or it doesn't stay; when the configuration can't be applied as it is. What is otherwise than it
/// says is in the report.
pub async fn rehearse(
    ui: &Ui,
    environment: &Environment,
    interrupt: &Interrupt,
    config: &Config,
    how: &RehearsalOptions,
) -> Result<Option<Rehearsal>> {
    let kv = kv_versions(config, how)?;
    // Before a server is started: it says who gains and who loses without one.
    // A mount that only rules are about is as those that are made.
    let mut all = kv.clone();
    for mount in &config.kv_mounts {
        all.entry(mount.clone()).or_insert(KvVersion::V2);
    }
    let mut found = lint(config, &all)?;
    found.extend(lint_absent(config, &named(config)));
    for found in &found {
        ui.caution(&found.warning(&config.files));
    }
    let comparison = how
        .against
        .as_ref()
        .map(|other| compare(&other.name, &other.config, config, other.files.each_ref(), &kv))
        .transpose()?;
    interrupt.watch(|| {});
    // Whatever is under way may be dropped at any moment: all of it ends with the server.
    tokio::select! {
        // First, because what an interrupt left undone is no finding.
        biased;
        () = interrupt.came() => {
            ui.warn("the rehearsal was interrupted; nothing of it is left");
            Ok(None)
        }
        report = on_a_server(ui, environment, interrupt, config, how, &kv) => {
            report.map(|report| Some(Rehearsal { comparison, ..report }))
        }
    }
}

/// The KV mounts that are made, and those that the other version names, with their versions.
fn kv_versions(config: &Config, how: &RehearsalOptions) -> Result<KvVersions> {
    let mut mounts = kv_mounts_of(config);
    mounts.extend(how.against.iter().flat_map(|other| kv_mounts(&other.config)));
    if let Some(unknown) = how.kv_v1.iter().find(|mount| !mounts.contains(mount)) {
        let known: Vec<&str> = mounts.iter().map(MountPath::as_str).collect();
        return Err(Error::usage(format!("--kv-v1 names {unknown}/, and the configuration names no such KV mount"))
            .remedy(format!("it names: {}", known.join(", "))));
    }
    let version = |mount: &MountPath| if how.kv_v1.contains(mount) { KvVersion::V1 } else { KvVersion::V2 };
    Ok(mounts.into_iter().map(|mount| (mount.clone(), version(&mount))).collect())
}

/// The KV mounts of a configuration, those that it only expects something of included.
fn kv_mounts_of(config: &Config) -> Vec<MountPath> {
    let mut mounts = kv_mounts(config);
    for expectation in &config.expectations {
        if let Act::Kv { mount, .. } = &expectation.act
            && !mounts.contains(mount)
        {
            mounts.push(mount.clone());
        }
    }
    mounts
}

async fn on_a_server(
    ui: &Ui,
    environment: &Environment,
    interrupt: &Interrupt,
    config: &Config,
    how: &RehearsalOptions,
    kv: &KvVersions,
) -> Result<Rehearsal> {
    let program = Program::find(how.server_bin.as_deref(), environment).await?;
    let real = match &how.real_clusters {
        Some(kube) => real::open(config, kube).await?,
        None => RealClusters::new(),
    };
    ui.status(&format!("starting {} and a stand-in for each cluster", program.version));
    let (mut server, stand_ins) =
        tokio::try_join!(Server::start(&program, environment), stand_in_for(config, how.key_type, &real))?;
    let client = server.client()?.with_parallelism(how.parallelism);
    let stage = Stage { ui, interrupt, config: &with_stand_ins(config, &real), how, kv, client: &client };
    let result = tokio::select! {
        result = stage.play(config, &stand_ins) => result,
        error = server.died() => return Err(error),
    };
    let mut report = match result {
        Ok(report) if report.success => report,
        // A server that is gone explains all that failed.
        result => match tokio::time::timeout(NOTICED_WITHIN, server.died()).await {
            Ok(died) => return Err(died),
            Err(_) => result?,
        },
    };
    drop(server);
    report.server = program.version;
    Ok(report)
}

/// What is there while the server runs.
struct Stage<'a> {
    ui: &'a Ui,
    interrupt: &'a Interrupt,
    /// The configuration with its stand-ins.
    config: &'a Config,
    how: &'a RehearsalOptions,
    kv: &'a KvVersions,
    client: &'a Client,
}

impl Stage<'_> {
    /// Applies the configuration, and lets everybody log in. `written` is the configuration as it is written.
    async fn play(&self, written: &Config, stand_ins: &StandIns) -> Result<Rehearsal> {
        let Self { ui, interrupt, how, client, .. } = *self;
        let kv = kv_mounts_of(self.config);
        // What the file makes itself is made as it would be, unless it is to be of version 1.
        let made = made_kv_mounts(self.config);
        let there = kv.iter().filter(|mount| !made.contains(mount) || how.kv_v1.contains(mount)).cloned();
        make_kv_mounts(client, &there.collect::<Vec<_>>(), self.kv).await?;
        let settings = stand_ins.iter().map(|(name, stand_in)| (name.to_string(), stand_in.settings())).collect();
        let session = Session {
            config: self.config.clone(),
            client: client.clone(),
            kube: KubeSettings::only(settings),
            parallelism: how.parallelism,
            scope: Scope::default(),
            // The root token is no login's, and ends with the server.
            operator: Operator::default(),
            interrupt: interrupt.clone(),
            brought: None,
        };
        let prepared = session.prepare().await?;
        if let Some(failed) = prepared.plan.failed_clusters.first() {
            return Err(Error::failed(format!("the stand-in for cluster {} could not be read", failed.cluster))
                .because(failed.failure.error.clone()));
        }
        let progress = ui.progress("applying", prepared.plan.changes.len());
        let mut applied =
            apply(client, &prepared.connections, &prepared.plan, how.parallelism, &progress, interrupt).await;
        progress.finish_and_clear();
        let changes = applied.done();
        let complete = applied.complete();
        applied.results.retain(|result| !matches!(result.outcome, ChangeOutcome::Done));
        let mut rehearsal = Rehearsal {
            configuration: how.name.clone(),
            server: String::new(),
            changes,
            refused_changes: applied,
            unkept: Vec::new(),
            clusters: Vec::new(),
            expectations: Vec::new(),
            comparison: None,
            unforeseen: std::collections::BTreeSet::new(),
            assumptions: assumptions(written, stand_ins),
            notes: Vec::new(),
            nothing_verified: false,
            success: false,
        };
        if !complete {
            return Ok(rehearsal);
        }
        rehearsal.refused_changes = Applied::default();
        let (observed, left) = session.compare(&prepared.desired, &prepared.connections, prepared.plan.made_at).await?;
        let roles = session.config.clusters.iter().map(|cluster| cluster.roles.len()).sum();
        let expectations = asked(&session.config, self.kv)?;
        let desired = prepared.desired.with_accessors_of(&observed.auth_mounts);
        let tenants = Tenants::of(&session.config, &observed.auth_mounts);
        let filled = tenants.fill(&session.config, &desired, |cluster, role| expected_of(&expectations, cluster, role));
        let matrix = Matrix::new(&desired, filled, &kv, observed.default_policy.as_deref(), roles, expectations);
        let logins = Logins { client, config: &session.config, stand_ins, matrix: &matrix, tenants: &tenants };
        let progress = ui.progress("logging in", roles);
        let found = logins.try_all(how.parallelism, &progress).await?;
        progress.finish_and_clear();
        let Counts { requests, .. } = client.counts();
        ui.status(&format!("{requests} requests to the server, which is gone again with all that it held"));
        let files = &session.config.files;
        let judged = matrix.expectations.iter().map(|asked| {
            let file = files.are_several().then(|| files.of(asked.position()).to_owned());
            ExpectationResult { file, ..asked.judge(&found.holdings) }
        });
        rehearsal.expectations = judged.collect();
        rehearsal.notes = allowances::notes(&session.config, observed.default_policy.as_deref());
        rehearsal.clusters = found.clusters;
        rehearsal.unkept = left.changes;
        rehearsal.nothing_verified = roles == 0;
        rehearsal.success = roles > 0
            && rehearsal.unkept.is_empty()
            && rehearsal.clusters.iter().all(ClusterReport::passed)
            && rehearsal.expectations.iter().all(|result| result.holds);
        rehearsal.unforeseen = matrix.unforeseen;
        Ok(rehearsal)
    }
}

/// Makes the KV mounts that the configuration names, in place of the one that a server in dev mode has.
async fn make_kv_mounts(client: &Client, mounts: &[MountPath], versions: &KvVersions) -> Result<()> {
    let own: MountPath = DEFAULT_KV.parse().map_err(|error| Error::failed("there is no KV mount").because(error))?;
    client.send(&kv::disable(&own)).await?;
    try_join_all(mounts.iter().map(async |mount| {
        let version = versions.get(mount).copied().unwrap_or(KvVersion::V2);
        let made = client.send(&kv::enable(mount, version)).await;
        made.map(drop).map_err(|error| {
            Error::failed(format!("the KV mount {mount}/ could not be made for the rehearsal")).because(error)
        })
    }))
    .await
    .map(drop)
}

/// What a rehearsal can't know.
fn assumptions(config: &Config, stand_ins: &StandIns) -> Vec<String> {
    let mut assumptions = Vec::new();
    let vault = config.vault.address.as_ref().map(|address| format!("Vault at {address}"));
    let stood_in =
        config.clusters.iter().filter(|cluster| stand_ins.get(&cluster.name).is_none_or(|one| one.real().is_none()));
    let elsewhere = stood_in.filter_map(|cluster| match &cluster.source {
        ClusterSource::Context(Some(context)) => Some(format!("the context {context}")),
        ClusterSource::Context(None) => Some("the current context".to_owned()),
        ClusterSource::InCluster => Some(format!("the cluster {}", cluster.name)),
        ClusterSource::Files { .. } | ClusterSource::Issuer { .. } => None,
    });
    let elsewhere: Vec<String> = vault.into_iter().chain(elsewhere).collect();
    if !elsewhere.is_empty() {
        assumptions.push(format!("not contacted: {}", elsewhere.join(", ")));
    }
    for cluster in &config.clusters {
        let (name, Some(stand_in)) = (&cluster.name, stand_ins.get(&cluster.name)) else { continue };
        if !cluster.auth.managed {
            assumptions.push(format!(
                "{name}: another file keeps auth/{0}; it was set up as this file describes it, with no other roles on it",
                cluster.auth.mount
            ));
        }
        if let Some(real) = stand_in.real() {
            let (server, what) = (
                real.server(),
                match &cluster.auth.method {
                    Method::Jwt(KeySource::Pinned { .. }) => "its keys are pinned as a bootstrap would",
                    Method::Jwt(_) => "its keys are the cluster's, and Vault reaches the place where it is to get them",
                    Method::Kubernetes(_) => "its reviews are the cluster's; host, CA and reviewer stand in",
                },
            );
            assumptions.push(format!("{name}: the tokens are those of {server}; {what}"));
            continue;
        }
        if cluster.roles.iter().any(|role| role.token_audiences.is_empty()) {
            assumptions.push(format!(
                "{name}: tokens that are asked for without an audience have {}, as its API server's own",
                stand_in.default_audiences().join(", ")
            ));
        }
        match &cluster.auth.method {
            Method::Kubernetes(auth) if auth.reviewer.token == ReviewerToken::Client => {
                assumptions.push(format!("{name}: every account that logs in is bound to system:auth-delegator"));
            }
            Method::Kubernetes(auth) if !auth.reviewer.token.is_of_the_account() => {
                let source = auth.reviewer.token_source();
                assumptions.push(format!(
                    "{name}: another reviewer stands in for the file's ({source}), which may review tokens"
                ));
            }
            Method::Jwt(KeySource::OidcDiscovery | KeySource::JwksUrl { .. }) => {
                assumptions.push(format!("{name}: Vault reaches the URL of its keys, and needs no credentials there"));
            }
            Method::Jwt(KeySource::Authenticated) => assumptions.push(format!(
                "{name}: OpenBao's pod reaches the cluster's API server and may read its keys; here they are pinned"
            )),
            _ => {}
        }
    }
    assumptions
}
