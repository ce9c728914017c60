//! Whom a role lets in by the labels of namespaces, as the cluster has them now.

use super::facts::cluster::{AccountUid, Accounts, Namespaces};
use super::facts::{Known, Knows};
use super::finding::Finding;
use super::scene::{ClusterScene, MountScene, RoleCase, RoleScene};
use crate::config::Labelled;
use crate::error::Error;
use crate::names::ServiceAccountRef;
use crate::plan::counted;

/// In how many namespaces somebody is looked for.
const LOOKED_AT: usize = 16;

/// The same, with somebody to log in as where labels let somebody in. Who that is, is for the cluster to say.
pub(super) async fn with_somebody(mount: &MountScene, case: RoleCase) -> RoleCase {
    let (Some(labelled), None) = (&case.labelled, &case.account) else { return case };
    let found = mount.facts().settle(|| somebody(&mount.cluster, labelled)).await;
    // What can't be seen is told where it is looked at.
    RoleCase { account: found.ok().flatten(), ..case }
}

/// The namespaces that are selected, with how many there are.
type Selected<'a> = Result<(Vec<&'a str>, usize), &'a Error>;

fn selected<'a>(cluster: &'a ClusterScene, labelled: &Labelled) -> Known<Selected<'a>> {
    Ok(cluster.facts().get(&Namespaces { cluster: cluster.name.clone() })?.as_ref().map(|all| {
        let matching = all.iter().filter(|(_, labels)| labelled.selector.matches(labels));
        (matching.map(|(namespace, _)| namespace.as_str()).collect(), all.len())
    }))
}

fn somebody(cluster: &ClusterScene, labelled: &Labelled) -> Known<Option<ServiceAccountRef>> {
    if cluster.connected().is_none() {
        return Ok(None);
    }
    let Ok((namespaces, _)) = selected(cluster, labelled)? else { return Ok(None) };
    for namespace in namespaces.into_iter().take(LOOKED_AT) {
        let named = labelled.names.iter().filter(|name| !name.contains('*'));
        for name in named {
            let account = ServiceAccountRef { namespace: namespace.to_owned(), name: name.clone() };
            let there = AccountUid { cluster: cluster.name.clone(), account: account.clone() };
            if matches!(cluster.facts().get(&there)?, Ok(Some(_))) {
                return Ok(Some(account));
            }
        }
        if labelled.names.iter().all(|name| !name.contains('*')) {
            continue;
        }
        let listed = Accounts { cluster: cluster.name.clone(), namespace: Some(namespace.to_owned()) };
        if let Ok(accounts) = cluster.facts().get(&listed)?
            && let Some(account) = accounts.iter().find(|account| labelled.has_name(&account.name))
        {
            return Ok(Some(account.clone()));
        }
    }
    Ok(None)
}

/// Whether an account is let in by the labels of its namespace; `None` where these can't be seen.
pub(super) fn takes(cluster: &ClusterScene, labelled: &Labelled, account: &ServiceAccountRef) -> Known<Option<bool>> {
    if !labelled.has_name(&account.name) {
        return Ok(Some(false));
    }
    Ok(selected(cluster, labelled)?.ok().map(|(namespaces, _)| namespaces.contains(&account.namespace.as_str())))
}

/// Which namespaces are selected now, after who logs in: `shop/app, …`.
pub(super) fn beside(scene: &RoleScene, labelled: &Labelled) -> Known<String> {
    Ok(match selected(&scene.mount.cluster, labelled)? {
        Ok((namespaces, _)) => format!(", of those with the labels {}: {}", labelled.selector, counted(&namespaces)),
        Err(_) => String::new(),
    })
}

/// That nobody is there to log in as, and why.
pub(super) fn nobody(scene: &RoleScene, labelled: &Labelled) -> Known<Finding> {
    if scene.mount.cluster.connected().is_none() {
        return Ok(Finding::skipped(format!("{labelled}: the cluster can't be reached from here")));
    }
    Ok(match selected(&scene.mount.cluster, labelled)? {
        Err(error) => Finding::unseen(format!(
            "which namespaces have the labels {} could not be seen: {error}",
            labelled.selector
        ))
        .to_do("grant who runs this: list on namespaces"),
        Ok((namespaces, all)) if namespaces.is_empty() => {
            let pairs = labelled.selector.labels().iter().map(|(label, value)| format!("{label}={value}"));
            let label = scene.mount.cluster.kubectl().run("label namespace").fixed("NAMESPACE");
            let label = pairs.fold(label, |label, pair| label.arg(&pair));
            Finding::warning(format!("none of the {all} namespaces has the labels {}", labelled.selector))
                .why("the role lets in nobody by them, until a namespace gets them")
                .to_do(format!("give them to the namespaces that are meant: {}", label.shown()))
                .to_do("or correct `namespaceSelector` of the role")
        }
        Ok((namespaces, _)) => {
            let none = if namespaces.len() > LOOKED_AT {
                format!("none of the first {LOOKED_AT} looked at has such an account to log in as")
            } else {
                "none has such an account to log in as".to_owned()
            };
            Finding::skipped(format!("{labelled}: {}, and {none}", counted(&namespaces)))
        }
    })
}
