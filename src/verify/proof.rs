//! What a bootstrap proves at its end: that each role's logins work, and give what they should.

use std::sync::Arc;

use futures::stream::{StreamExt, iter};

use super::Subject;
use super::brought::{self, Use, assigned, trials};
use super::catalogue::{Check, GRANTED, HOST, LIFETIME, LOGIN, NOTHING_ELSE, POLICIES, REVOKED, TOKEN};
use super::diagnosis::{walk_mount, walk_role};
use super::finding::Status;
use super::outrank::{outrank, took_the_token, weaken};
use super::scene::{ClusterScene, MountCase, MountScene, OutOfReach, RoleCase, Source, VaultScene};
use super::section::{About, Section};
use super::selected::with_somebody;
use super::verification::Verification;
use super::walk::{Selection, Standing};
use crate::config::{ClusterSource, Config, Role};
use crate::desired::DesiredMount;
use crate::error::Error;
use crate::model::AuthMethod;
use crate::progress::Progress;

/// What a login alone doesn't prove of a mount.
const OF_MOUNTS: &[Check] = &[HOST];
/// What a login proves of a role.
const OF_ROLES: &[Check] = &[TOKEN, LOGIN, POLICIES, GRANTED, NOTHING_ELSE, LIFETIME, REVOKED];

/// How many logins [`verify`] will try.
pub fn count(config: &Config) -> usize {
    config.clusters.iter().flat_map(|cluster| &cluster.roles).map(RoleCase::logins_of).sum()
}

/// Logs in as every service account of every role, with at most `parallelism` at a time. Where that fails, the whole
/// chain is gone through to say why.
pub async fn verify(subject: &Subject<'_>, parallelism: usize, progress: &Progress) -> Verification {
    let known = subject.observed.into_iter().flat_map(|observed| {
        let policies = observed.policies.iter().map(|(name, stored)| (name.as_str(), stored.policy.as_str()));
        policies.chain(observed.default_policy.iter().map(|text| ("default", text.as_str())))
    });
    let vault = Arc::new(VaultScene::new(subject.client.clone()).with_policies(known));
    let mut mounts = Vec::new();
    for cluster in &subject.config.clusters {
        let Some(desired) = subject.desired.mounts.iter().find(|mount| mount.cluster == cluster.name) else { continue };
        let connection = subject.connections.get(&cluster.name).cloned().map(Ok);
        let unasked = connection.is_none().then(|| unasked(&cluster.source, desired));
        let scene = Arc::new(ClusterScene::new(Arc::clone(&vault), cluster.name.clone(), connection, unasked));
        let mount =
            Arc::new(MountScene::of(scene, MountCase::of_config(Source::Bootstrap, cluster, Some(desired.clone()))));
        mounts.push((cluster, mount));
    }
    let trials = trials(subject.config, |cluster| subject.desired.mounts.iter().find(|it| it.cluster == cluster.name));
    let claims = subject.brought.map(|token| &token.claims);
    let uses: Vec<Option<Use>> = match claims {
        Some(claims) => assigned(claims, &trials, false).into_iter().map(Some).collect(),
        None => vec![None; trials.len()],
    };
    let trials: Vec<(&Arc<MountScene>, &Role, usize, Option<Use>)> = trials
        .into_iter()
        .zip(uses)
        .filter_map(|(trial, used)| {
            let (_, mount) = mounts.iter().find(|(cluster, _)| cluster.name == trial.cluster.name)?;
            Some((mount, trial.role, trial.at, used))
        })
        .collect();
    let (of_mounts, of_roles) = (Selection::of(OF_MOUNTS), Selection::of(OF_ROLES));
    let one = async |(mount, role, at, used): (&Arc<MountScene>, &Role, usize, Option<Use>)| {
        progress.set_message(&role.name.to_string());
        let cluster = &mount.cluster.name;
        let case = || RoleCase::of_config(cluster, role, at, &subject.desired.policies, subject.config);
        let somebody = with_somebody(mount, case()).await.account;
        let case = || RoleCase { account: somebody.clone(), ..case() };
        let scene = |case| brought::scene(mount, case, subject.brought.zip(used.clone()));
        let brief = scene(case());
        let again = || scene(RoleCase { attempt: 1, ..case() });
        let mut checks = walk_role(&brief, &of_roles, &mut Standing::default()).await;
        for check in &mut checks {
            // A bootstrap proves; what can't be seen is not proved.
            if check.finding.status == Status::Unseen {
                check.finding.status = Status::Failed;
            }
        }
        let failed = |check: &&super::CheckResult| check.finding.status == Status::Failed;
        if checks.iter().any(|check| failed(&check)) && !subject.interrupt.is_set() {
            let mut standing = Standing::default();
            let mut causes = walk_mount(mount, &Selection::default(), &mut standing).await;
            causes.extend(walk_role(&again(), &Selection::strangers_apart(), &mut standing).await);
            if took_the_token(&causes) {
                causes.iter_mut().for_each(weaken);
            }
            causes.retain(|check| failed(&check));
            // What is found must explain the failure, or the failure itself is what there is to tell.
            if !causes.is_empty() {
                checks.retain(|check| !failed(&check));
                checks.extend(causes);
            }
        }
        progress.inc(1);
        Section { about: brief.about(), checks }
    };
    let of_mount =
        mounts.iter().filter(|(_, mount)| mount.wanted == Some(AuthMethod::Kubernetes)).map(async |(_, mount)| {
            let checks = walk_mount(mount, &of_mounts, &mut Standing::default()).await;
            let about = About::Mount { cluster: mount.cluster.name.clone(), mount: mount.path.clone() };
            Section { about, checks }
        });
    let mut mounts: Vec<Section> = iter(of_mount).buffered(parallelism).collect().await;
    // `buffered`, not `buffer_unordered`: the report follows the file.
    let begun = iter(trials).take_while(|_| std::future::ready(!subject.interrupt.is_set()));
    let mut roles: Vec<Section> = begun.map(one).buffered(parallelism).collect().await;
    outrank(mounts.iter_mut().chain(&mut roles));
    Verification { mounts, roles }
}

/// What is known of a cluster that isn't asked.
fn unasked(source: &ClusterSource, desired: &DesiredMount) -> OutOfReach {
    let keys = desired.keys.clone();
    match source {
        ClusterSource::Issuer { issuer } if keys.is_empty() => {
            OutOfReach::Issuer { issuer: issuer.clone(), keys: Err(Error::failed("its keys can't be read from here")) }
        }
        ClusterSource::Issuer { issuer } => OutOfReach::Issuer { issuer: issuer.clone(), keys: Ok(keys) },
        ClusterSource::Files { issuer, .. } => OutOfReach::Files { issuer: issuer.clone(), keys },
        // Of these there is a connection, where there is anything.
        ClusterSource::Context(_) | ClusterSource::InCluster => OutOfReach::Files { issuer: String::new(), keys },
    }
}
