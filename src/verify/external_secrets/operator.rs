//! External Secrets itself: which versions of its kinds the cluster serves, and whether its operator is ready.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::api::{Api, ListParams, PostParams};

use super::read::{Installed, VERSION};
use crate::cluster::{ClusterError, refused_by};
use crate::error::Error;
use crate::verify::catalogue::{ESO_OPERATOR, ESO_VERSIONS};
use crate::verify::finding::{Finding, quoted};
use crate::verify::scene::ClusterScene;
use crate::verify::walk::{Row, row};

/// The check of what is installed.
pub(in crate::verify) const ROWS: &[Row<ClusterScene>] = &[row!(ESO_VERSIONS, versions)];

/// The check of the operator, where External Secrets is installed.
pub(in crate::verify) const OPERATOR_ROWS: &[Row<ClusterScene>] = &[row!(ESO_OPERATOR, operator)];

/// The `ClusterRole` that lets somebody read External Secrets' objects, and its binding.
const READER: &str = "external-secrets-reader";
/// What it allows, as kubectl takes it.
const RULE: &str = "--verb=list \
     --resource=clustersecretstores.external-secrets.io,secretstores.external-secrets.io,externalsecrets.external-secrets.io";

/// The label of the operator's Deployment.
const OPERATOR: &str = "app.kubernetes.io/name=external-secrets";

async fn versions(cluster: &ClusterScene) -> Finding {
    let installed = match cluster.external_secrets().await {
        None => return Finding::skipped("the cluster can't be reached from here"),
        Some(Ok(None)) => return Finding::skipped("External Secrets is not installed"),
        Some(Err(error)) => return Finding::unseen_because(error),
        Some(Ok(Some(installed))) => installed,
    };
    if !installed.unseen.is_empty() {
        return unseen(cluster, installed).await;
    }
    let served = installed.versions.join(", ");
    if installed.versions.iter().all(|version| version != VERSION) {
        return Finding::warning("the cluster serves External Secrets' kinds only in versions that it has given up")
            .with("served", served)
            .with("the version of today", VERSION)
            .why("releases from 0.17 on serve v1 alone: manifests of v1beta1 are refused with `no matches for kind`")
            .to_do("install a release of External Secrets that serves v1, with its CRDs, and write manifests of v1");
    }
    Finding::passed(format!("{served}, {} with a login to Vault", count(installed.stores.len())))
}

/// What may not be listed, with the rule that allows it and the binding to whoever runs this.
async fn unseen(cluster: &ClusterScene, installed: &Installed) -> Finding {
    let finding = Finding::unseen(installed.unseen.join("; "));
    let (kubectl, user) = (cluster.kubectl(), own_name(cluster).await);
    let text = match user {
        Some(_) => "let somebody who may do so allow it to whoever runs this",
        None => "let somebody who may do so allow it to whoever runs this, whose name is to be put in place of NAME",
    };
    let user = quoted(user.as_deref().unwrap_or("NAME"));
    let bind = format!("create clusterrolebinding {READER} --clusterrole={READER} --user={user}");
    finding.run(text, format!("{kubectl} create clusterrole {READER} {RULE} && {kubectl} {bind}"))
}

/// What the API server calls whoever runs this; servers before 1.28 don't say.
async fn own_name(cluster: &ClusterScene) -> Option<String> {
    let reviews: Api<SelfSubjectReview> = Api::all(cluster.connected()?.client());
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.ok()?;
    review.status?.user_info?.username
}

fn count(stores: usize) -> String {
    format!("{stores} store{}", if stores == 1 { "" } else { "s" })
}

async fn operator(cluster: &ClusterScene) -> Finding {
    let Some(connection) = cluster.connected() else {
        return Finding::skipped("the cluster can't be reached from here");
    };
    let deployments: Api<Deployment> = Api::all(connection.client());
    let listed = deployments.list(&ListParams::default().labels(OPERATOR)).await;
    let deployments = match listed.map_err(|error| refused_by(connection.server(), "listing Deployments", error)) {
        Ok(deployments) => deployments.items,
        Err(error @ ClusterError::Forbidden { .. }) => {
            return Finding::unseen(error.to_string()).to_do("allow `list` of deployments.apps to whoever runs this");
        }
        Err(error) => return Finding::unseen_because(&Error::from(error)),
    };
    let ready = |deployment: &Deployment| {
        deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or_default()
    };
    let Some(deployment) = deployments.first() else {
        return Finding::skipped(format!("no Deployment has the label {OPERATOR}"));
    };
    if let Some(deployment) = deployments.iter().find(|deployment| ready(deployment) > 0) {
        return Finding::passed(format!("{} ready", ready(deployment)));
    }
    let namespace = deployment.metadata.namespace.clone().unwrap_or_default();
    let name = deployment.metadata.name.clone().unwrap_or_default();
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let finding = Finding::failed("no pod of External Secrets' operator is ready")
        .with("ready", "0")
        .with(format!("the Deployment {namespace}/{name} wants"), wanted.to_string())
        .why("nobody reads the secrets: stores and ExternalSecrets stay as they are, whatever is mended in Vault");
    let (kubectl, namespace, name) = (cluster.kubectl(), quoted(&namespace), quoted(&name));
    if wanted == 0 {
        return finding.run("let it run", format!("{kubectl} -n {namespace} scale deployment {name} --replicas=1"));
    }
    finding.run("look why not", format!("{kubectl} -n {namespace} describe pods -l {OPERATOR}"))
}
