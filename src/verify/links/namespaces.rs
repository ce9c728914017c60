//! The namespaces that a kubernetes role takes by their labels: Vault asks the cluster for these with the reviewer's token.

use crate::cluster::getting_namespaces;
use crate::fix::Command;
use crate::model::KubernetesRole;
use crate::names::{NamespaceSelector, ServiceAccountRef};
use crate::verify::binding::{names_namespace, parts};
use crate::verify::facts::cluster::NamespaceLabels;
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::{Finding, list};
use crate::verify::scene::{MountScene, RoleScene};

/// Whether a role that takes an account by name takes its namespace: by its name, or by its labels.
///
/// # Errors
/// What is wrong where the labels are others, without what the role takes and what to do about it.
pub(super) fn selected(scene: &RoleScene, role: &KubernetesRole, subject: &str) -> Known<Result<Finding, Finding>> {
    let selector = &role.bound_service_account_namespace_selector;
    let Some((namespace, _)) = parts(subject) else { return Ok(Ok(Finding::passed(subject))) };
    // Where the file has none, that it is there at all is the fault, and another check's to tell.
    let meant = scene.expected.as_ref().is_none_or(|role| role.labelled.is_some());
    if selector.is_empty() || names_namespace(role, namespace) || !meant {
        return Ok(Ok(Finding::passed(subject)));
    }
    let unseen = |why: &str| Ok(Finding::unseen(format!("whether {namespace} has the labels {selector} {why}")));
    let cluster = &scene.mount.cluster;
    if cluster.connected().is_none() {
        return Ok(unseen("can't be seen from here"));
    }
    let reviewer = scene.mount.standing_reviewer().map(|reviewer| &reviewer.service_account);
    // Of a file's reviewer that is told with its other rights.
    if let Some(reviewer) = reviewer
        && scene.expected.is_none()
        && cluster.may(reviewer, getting_namespaces(Some(namespace)))? == Some(false)
    {
        return Ok(Ok(forbidden(&scene.mount, reviewer, selector)));
    }
    let Some(wanted) = NamespaceSelector::held(selector) else {
        return Ok(unseen("was not judged: the selector is not understood here"));
    };
    let labels = NamespaceLabels { cluster: cluster.name.clone(), namespace: namespace.to_owned() };
    let labels = match scene.facts().get(&labels)? {
        Ok(found) => found.clone().unwrap_or_default(),
        Err(_) => return Ok(unseen("may not be read by who runs this")),
    };
    if wanted.matches(&labels) {
        return Ok(Ok(Finding::passed(format!("{subject}, by the labels of its namespace"))));
    }
    let labels: Vec<String> = labels.iter().map(|(label, value)| format!("{label}={value}")).collect();
    Ok(Err(Finding::failed(format!("the namespace {namespace} has other labels than the role asks for"))
        .with("the labels of the namespace", list(labels.iter().map(String::as_str)))
        .with("the role's bound_service_account_namespace_selector", selector.clone())
        .why("`namespace not authorized`")))
}

fn forbidden(mount: &MountScene, reviewer: &ServiceAccountRef, selector: &str) -> Finding {
    let ServiceAccountRef { namespace, name } = reviewer;
    let role = format!("{namespace}-{name}-namespaces");
    Finding::failed(format!("the reviewer {reviewer} may not get namespaces, and the role names them by their labels"))
        .with("the role's bound_service_account_namespace_selector", selector)
        .why(
            "Vault reads the labels with the reviewer's token; the ClusterRole system:auth-delegator doesn't allow it: \
             `cannot get resource \"namespaces\" in API group \"\"`",
        )
        .run("let it get them", let_get(mount, &role, reviewer))
        .to_do("or name the namespaces themselves: bound_service_account_namespaces")
}

/// The command that lets a reviewer get namespaces, by a `ClusterRole` and a binding of this name.
pub(super) fn let_get(mount: &MountScene, role: &str, reviewer: &ServiceAccountRef) -> Command {
    let kubectl = mount.cluster.kubectl();
    let create = kubectl.run("create clusterrole").name(role).fixed("--verb=get --resource=namespaces");
    create.then(&kubectl.bind(role, role, reviewer))
}
