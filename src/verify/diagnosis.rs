//! Going through the whole chain, link by link: what `verify-role` does.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{StreamExt, iter};

use super::catalogue::{LOGIN, Link, MOUNT_EXISTS, REVOKED};
use super::external_secrets::{ASTRAY_ROWS, OPERATOR_ROWS, STORE_ROWS, VERSION_ROWS};
use super::facts::Knows;
use super::facts::login::EndOfLogin;
use super::finding::{CheckResult, Status};
use super::links::{
    access, as_written, ascent, claims, cluster, jwt, kubernetes, lifetime, limits, login, mount, nobody_else,
    other_roles, policies, reviewer, role, secret, settings, strangers, token, trust, vault,
};
use super::report::Diagnosis;
use super::scene::{MountScene, RoleScene};
use super::scenes::Scenes;
use super::section::{About, Section};
use super::walk::{Selection, Standing, afterwards, settled, walk};
use crate::interrupt::Interrupt;
use crate::model::AuthMethod;
use crate::names::{ClusterName, MountPath};
use crate::progress::Progress;

/// Makes all checks that are selected, with at most `parallelism` sections at a time.
pub(crate) async fn diagnose(
    scenes: &Scenes,
    selection: &Selection,
    parallelism: usize,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Diagnosis {
    let before = async {
        let mut sections = Vec::new();
        let mut of_vault = Standing::default();
        let checks = walk(vault::ROWS, &*scenes.vault, selection, &mut of_vault).await;
        sections.push(Section { about: About::Vault { address: scenes.vault.address().to_owned() }, checks });
        let (found, of_clusters) = clusters(scenes, selection, parallelism, &of_vault).await;
        sections.extend(found);
        let (found, of_mounts) = mounts(scenes, selection, parallelism, &of_clusters, &of_vault).await;
        sections.extend(found);
        (sections, of_mounts, of_vault)
    };
    let (mut sections, of_mounts, of_vault) = tokio::select! {
        found = before => found,
        // Nobody has logged in yet, so that there is nothing to finish.
        () = interrupt.came() => return Diagnosis::interrupted(Vec::new()),
    };

    let one = async |scene| {
        let scene: &Arc<RoleScene> = scene;
        progress.set_message(&scene.name.to_string());
        let mut standing = of_mounts.get(&scene.mount.path).unwrap_or(&of_vault).clone();
        let mut checks = walk_chain(scene, selection, &mut standing).await;
        // Before the login ends, which reads for them.
        let stores = scenes.stores.iter().filter(|store| Arc::ptr_eq(&store.role, scene)).map(async |store| {
            let mut standing = standing.clone();
            let mut checks = Vec::new();
            for rows in STORE_ROWS {
                checks.extend(walk(rows, store, selection, &mut standing).await);
            }
            Section { about: store.about(), checks }
        });
        let stores = futures::future::join_all(stores).await;
        checks.extend(end(scene, selection).await);
        checks.extend(unasked_login(scene, selection).await);
        progress.inc(1);
        std::iter::once(Section { about: scene.about(), checks }).chain(stores)
    };
    // `buffered`, not `buffer_unordered`: the report follows the file.
    let begun = iter(&scenes.roles).take_while(|_| std::future::ready(!interrupt.is_set()));
    sections.extend(begun.map(one).buffered(parallelism).collect::<Vec<_>>().await.into_iter().flatten());
    match (interrupt.is_set(), scenes.roles.is_empty()) {
        (true, _) => Diagnosis::interrupted(sections),
        (false, true) => Diagnosis::of_no_role(sections),
        (false, false) => Diagnosis::of_checks(sections),
    }
}

/// The checks of each cluster, and how they went.
async fn clusters(
    scenes: &Scenes,
    selection: &Selection,
    parallelism: usize,
    of_vault: &Standing,
) -> (Vec<Section>, BTreeMap<ClusterName, Standing>) {
    let clusters = scenes.astray.iter().map(async |astray| {
        let scene = &astray.cluster;
        let mut standing = of_vault.clone();
        let mut checks = walk(cluster::ROWS, &**scene, selection, &mut standing).await;
        checks.extend(walk(VERSION_ROWS, &**scene, selection, &mut standing).await);
        if selection.includes_some_of(Link::ExternalSecrets)
            && matches!(scene.facts().settle(|| scene.external_secrets()).await, Ok(Some(Ok(Some(_)))))
        {
            checks.extend(walk(OPERATOR_ROWS, &**scene, selection, &mut standing).await);
            checks.extend(walk(ASTRAY_ROWS, astray, selection, &mut standing).await);
        }
        (Section { about: About::Cluster { cluster: scene.name.clone() }, checks }, (scene.name.clone(), standing))
    });
    iter(clusters).buffered(parallelism).collect::<Vec<_>>().await.into_iter().unzip()
}

/// The checks of each mount, and how they and those of its cluster went.
async fn mounts(
    scenes: &Scenes,
    selection: &Selection,
    parallelism: usize,
    of_clusters: &BTreeMap<ClusterName, Standing>,
    of_vault: &Standing,
) -> (Vec<Section>, BTreeMap<MountPath, Standing>) {
    let mounts = scenes.mounts.iter().map(async |scene| {
        let mut standing = of_clusters.get(&scene.cluster.name).unwrap_or(of_vault).clone();
        let checks = walk_mount(scene, selection, &mut standing).await;
        let about = About::Mount { cluster: scene.cluster.name.clone(), mount: scene.path.clone() };
        (Section { about, checks }, (scene.path.clone(), standing))
    });
    iter(mounts).buffered(parallelism).collect::<Vec<_>>().await.into_iter().unzip()
}

/// The method whose checks are made: as the configuration says, else as Vault does, where the mount is there.
async fn method(scene: &MountScene, standing: &Standing) -> Option<AuthMethod> {
    match scene.wanted {
        None if standing.not_broken(&MOUNT_EXISTS) => scene.facts().settle(|| scene.method()).await.ok().flatten(),
        wanted => wanted,
    }
}

/// The checks of a mount, with those of its method.
pub(super) async fn walk_mount(scene: &MountScene, selection: &Selection, standing: &mut Standing) -> Vec<CheckResult> {
    let mut checks = walk(mount::ROWS, scene, selection, standing).await;
    if scene.all_roles.is_some() {
        checks.extend(walk(other_roles::ROWS, scene, selection, standing).await);
    }
    checks.extend(walk(settings::ROWS, scene, selection, standing).await);
    let of_method: &[&[_]] = match method(scene, standing).await {
        Some(AuthMethod::Jwt) => &[jwt::ROWS, trust::ROWS],
        Some(AuthMethod::Kubernetes) => &[kubernetes::ROWS, reviewer::ROWS, trust::ROWS],
        None => &[],
    };
    for rows in of_method {
        checks.extend(walk(rows, scene, selection, standing).await);
    }
    checks
}

/// The checks of a role, and the end of its login whatever came of them.
pub(super) async fn walk_role(scene: &RoleScene, selection: &Selection, standing: &mut Standing) -> Vec<CheckResult> {
    let mut checks = walk_chain(scene, selection, standing).await;
    checks.extend(end(scene, selection).await);
    checks.extend(unasked_login(scene, selection).await);
    checks
}

/// The checks of a role. Its login is to be ended.
async fn walk_chain(scene: &RoleScene, selection: &Selection, standing: &mut Standing) -> Vec<CheckResult> {
    let of_token = match method(&scene.mount, standing).await {
        Some(AuthMethod::Kubernetes) => token::KUBERNETES_ROWS,
        Some(AuthMethod::Jwt) | None => token::JWT_ROWS,
    };
    let mut checks = Vec::new();
    for rows in [
        role::ROWS,
        nobody_else::ROWS,
        token::ROWS,
        claims::ROWS,
        of_token,
        login::ROWS,
        policies::ROWS,
        access::ROWS,
        ascent::ROWS,
        lifetime::USES_ROWS,
        secret::ROWS,
        lifetime::ROWS,
        strangers::ROWS,
    ] {
        checks.extend(walk(rows, scene, selection, standing).await);
    }
    afterwards(limits::AFTERWARDS, scene, selection, standing, &mut checks).await;
    if scene.expected.is_some() {
        afterwards(as_written::AFTERWARDS, scene, selection, standing, &mut checks).await;
    }
    checks
}

/// The login that selected checks wanted to look at and Vault did not give, where the login itself is not selected: nothing of what was
/// asked for could be looked at, and that is why.
async fn unasked_login(scene: &RoleScene, selection: &Selection) -> Option<CheckResult> {
    let refused = scene.facts().settle(|| Ok(scene.login_so_far()?.is_some_and(Result::is_err))).await;
    if selection.includes(&LOGIN) || refused != Ok(true) {
        return None;
    }
    let finding = settled(scene, || login::login(scene)).await;
    (finding.status == Status::Failed).then(|| CheckResult::new(LOGIN, finding))
}

/// Ends the login, if there was one. It is told of where it is selected, or where it went wrong.
async fn end(scene: &RoleScene, selection: &Selection) -> Option<CheckResult> {
    let end = EndOfLogin(scene.consumer());
    let finding = scene.facts().settle(|| match scene.facts().get(&end)? {
        Some(ended) => login::revoked(scene, ended).map(Some),
        None => Ok(None),
    });
    // A capture that doesn't have it says nothing of it either.
    let finding = finding.await.ok()??;
    let told = selection.includes(&REVOKED) || matches!(finding.status, Status::Warning | Status::Failed);
    told.then(|| CheckResult::new(REVOKED, finding))
}
