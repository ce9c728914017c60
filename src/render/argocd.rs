//! `vaultk8s render argocd`: the Application by which Argo CD installs External Secrets, with the rendered manifests beside its chart.
//!
//! Source: `argoproj.io/v1alpha1`, with `spec.sources`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::files::Rendered;
use super::manifest::{Manifest, Spec};
use crate::config::Config;
use crate::error::{Error, Result};

/// Where External Secrets' chart is.
const CHARTS: &str = "https://charts.external-secrets.io";
/// What both the chart and its release are called.
const NAME: &str = "external-secrets";

/// What the configuration doesn't know.
#[derive(Debug)]
pub struct Delivery {
    /// The repository that the manifests are committed to.
    pub repository: String,
    /// The folder in it that one cluster's manifests are in.
    pub path: String,
    /// The branch, tag or commit.
    pub revision: String,
    /// The version of the chart.
    pub chart_version: String,
    /// Argo CD's project.
    pub project: String,
    /// Argo CD's own namespace.
    pub argocd_namespace: String,
    /// The namespace that External Secrets goes into.
    pub namespace: String,
    /// When it is synced among others: before what uses stores.
    pub sync_wave: i32,
    /// The API server of the cluster, as Argo CD has it.
    pub destination: String,
}

/// Renders the Application for the one cluster of a configuration.
///
/// # Errors
/// When the configuration has several.
pub fn argocd(config: &Config, delivery: &Delivery) -> Result<Rendered> {
    let [cluster] = config.clusters.as_slice() else {
        let names: Vec<&str> = config.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
        return Err(Error::usage(format!(
            "the configuration has {} clusters, and an Application is for one",
            names.len()
        ))
        .remedy(format!("name the cluster with --cluster: {}", names.join(", "))));
    };
    // The chart makes the operator's own account. One of an app's is not for it: the operator may read every Secret.
    let stores = config.stores.iter().flatten().filter(|store| store.namespace.is_none());
    let accounts: BTreeSet<_> = stores
        .filter(|store| store.account.namespace == delivery.namespace)
        .map(|store| store.account.name.as_str())
        .collect();
    let own =
        if accounts.contains(NAME) { Some(NAME) } else { accounts.first().copied().filter(|_| accounts.len() == 1) };
    let values = Values {
        install_crds: true,
        service_account: own.map(|name| ServiceAccount { create: true, name: name.to_owned() }),
    };
    let chart = Source {
        repo_url: CHARTS.to_owned(),
        chart: Some(NAME),
        path: None,
        target_revision: delivery.chart_version.clone(),
        helm: Some(Helm { release_name: NAME, values_object: values }),
    };
    let manifests = Source {
        repo_url: delivery.repository.clone(),
        chart: None,
        path: Some(delivery.path.clone()),
        target_revision: delivery.revision.clone(),
        helm: None,
    };
    let spec = Application {
        project: delivery.project.clone(),
        destination: Destination { server: delivery.destination.clone(), namespace: delivery.namespace.clone() },
        sources: vec![chart, manifests],
        sync_policy: SyncPolicy {
            automated: Automated { prune: true, self_heal: true },
            sync_options: ["CreateNamespace=true", "ServerSideApply=true"],
        },
    };
    let waves = BTreeMap::from([("argocd.argoproj.io/sync-wave", delivery.sync_wave.to_string())]);
    let manifest =
        Manifest::new("argoproj.io/v1alpha1", "Application", NAME, Some(&delivery.argocd_namespace), Spec { spec })
            .annotated(waves);
    let mut rendered = Rendered::new("argocd");
    // Not in the folder that it syncs.
    rendered.add_as(format!("argocd/{}.yaml", cluster.name), &manifest)?;
    Ok(rendered)
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Application {
    project: String,
    destination: Destination,
    sources: Vec<Source>,
    sync_policy: SyncPolicy,
}

#[derive(Debug, Serialize)]
struct Destination {
    server: String,
    namespace: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Source {
    #[serde(rename = "repoURL")]
    repo_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    chart: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    target_revision: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    helm: Option<Helm>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Helm {
    release_name: &'static str,
    values_object: Values,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Values {
    #[serde(rename = "installCRDs")]
    install_crds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_account: Option<ServiceAccount>,
}

#[derive(Debug, Serialize)]
struct ServiceAccount {
    create: bool,
    name: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SyncPolicy {
    automated: Automated,
    sync_options: [&'static str; 2],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Automated {
    prune: bool,
    self_heal: bool,
}
