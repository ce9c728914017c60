//! External Secrets itself: which versions of its kinds the cluster serves, and whether its operator is ready.

use crate::verify::catalogue::{ESO_OPERATOR, ESO_VERSIONS};
use crate::verify::facts::cluster::{Deployments, Replicas, WhoAmI};
use crate::verify::facts::installed::{Installed, VERSION};
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::Finding;
use crate::verify::scene::ClusterScene;
use crate::verify::walk::{Row, row};

/// The check of what is installed.
pub(in crate::verify) const ROWS: &[Row<ClusterScene>] = &[row!(ESO_VERSIONS, versions)];

/// The check of the operator, where External Secrets is installed.
pub(in crate::verify) const OPERATOR_ROWS: &[Row<ClusterScene>] = &[row!(ESO_OPERATOR, operator)];

/// The `ClusterRole` that lets somebody read External Secrets' objects, and its binding.
const READER: &str = "external-secrets-reader";
/// The command that makes it.
const MAKE: &str = "create clusterrole external-secrets-reader --verb=list \
     --resource=clustersecretstores.external-secrets.io,secretstores.external-secrets.io,externalsecrets.external-secrets.io";

/// The label of the operator's Deployment.
const OPERATOR: &str = "app.kubernetes.io/name=external-secrets";

fn versions(cluster: &ClusterScene) -> Known<Finding> {
    let installed = match cluster.external_secrets()? {
        None => return Ok(Finding::skipped("the cluster can't be reached from here")),
        Some(Ok(None)) => return Ok(Finding::skipped("External Secrets is not installed")),
        Some(Err(error)) => return Ok(Finding::unseen_because(error)),
        Some(Ok(Some(installed))) => installed,
    };
    if !installed.unseen.is_empty() {
        return unseen(cluster, installed);
    }
    let served = installed.versions.join(", ");
    if installed.versions.iter().all(|version| version != VERSION) {
        return Ok(Finding::warning(
            "the cluster serves External Secrets' kinds only in versions that it has given up",
        )
        .with("served", served)
        .with("the version of today", VERSION)
        .why("releases from 0.17 on serve v1 alone: manifests of v1beta1 are refused with `no matches for kind`")
        .to_do("install a release of External Secrets that serves v1, with its CRDs, and write manifests of v1"));
    }
    Ok(Finding::passed(format!("{served}, {} with a login to Vault", count(installed.stores.len()))))
}

/// What may not be listed, with the rule that allows it and the binding to whoever runs this.
fn unseen(cluster: &ClusterScene, installed: &Installed) -> Known<Finding> {
    let finding = Finding::unseen(installed.unseen.join("; "));
    let (kubectl, user) = (cluster.kubectl(), own_name(cluster)?);
    let text = match user {
        Some(_) => "let somebody who may do so allow it to whoever runs this",
        None => "let somebody who may do so allow it to whoever runs this, whose name is to be put in place of NAME",
    };
    let bind = kubectl.run("create clusterrolebinding").arg(READER).flag("--clusterrole=", READER);
    let bind = bind.flag("--user=", user.unwrap_or("NAME"));
    Ok(finding.run(text, kubectl.run(MAKE).then(&bind)))
}

/// What the API server calls whoever runs this; servers before 1.28 don't say.
fn own_name(cluster: &ClusterScene) -> Known<Option<&str>> {
    if cluster.connected().is_none() {
        return Ok(None);
    }
    Ok(cluster.facts().get(&WhoAmI { cluster: cluster.name.clone() })?.as_deref())
}

fn count(stores: usize) -> String {
    format!("{stores} store{}", if stores == 1 { "" } else { "s" })
}

fn operator(cluster: &ClusterScene) -> Known<Finding> {
    if cluster.connected().is_none() {
        return Ok(Finding::skipped("the cluster can't be reached from here"));
    }
    let deployments = match cluster.facts().get(&Deployments { cluster: cluster.name.clone(), label: OPERATOR })? {
        Ok(deployments) => deployments,
        Err(error) if error.is_forbidden() => {
            return Ok(
                Finding::unseen(error.to_string()).to_do("allow `list` of deployments.apps to whoever runs this")
            );
        }
        Err(error) => return Ok(Finding::unseen_because(error)),
    };
    let Some(Replicas { namespace, name, wanted, .. }) = deployments.first() else {
        return Ok(Finding::skipped(format!("no Deployment has the label {OPERATOR}")));
    };
    if let Some(deployment) = deployments.iter().find(|deployment| deployment.ready > 0) {
        return Ok(Finding::passed(format!("{} ready", deployment.ready)));
    }
    let finding = Finding::failed("no pod of External Secrets' operator is ready")
        .with("ready", "0")
        .with(format!("the Deployment {namespace}/{name} wants"), wanted.to_string())
        .why("nobody reads the secrets: stores and ExternalSecrets stay as they are, whatever is mended in Vault");
    let kubectl = cluster.kubectl().within(namespace);
    if *wanted == 0 {
        return Ok(finding.run("let it run", kubectl.run("scale deployment").name(name).fixed("--replicas=1")));
    }
    Ok(finding.run("look why not", kubectl.run("describe pods").flag("-l", OPERATOR)))
}
