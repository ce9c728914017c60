//! `vaultk8s render argocd`: the Application by which Argo CD installs External Secrets, with the rendered manifests beside its chart.
//!
//! Source: `argoproj.io/v1alpha1`, with `spec.sources`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::files::Rendered;
use super::manifest::{Manifest, Spec};
use crate::config::Config;
use crate::error::{Error, Result};

/// Where External Secrets' chart is.
const CHARTS: &str = "https://charts.external-secrets.io";
/// What both the chart and its release are called, and the namespace that it goes into unless accounts say another.
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
    // An account that the chart has to make: that of the stores, where it is one, in the namespace that the chart goes into.
    let mut accounts: Vec<_> =
        config.stores.iter().filter(|store| store.namespace.is_none()).map(|store| &store.account).collect();
    accounts.sort();
    accounts.dedup();
    let own = match accounts.as_slice() {
        [one] => Some(*one),
        _ => accounts.iter().copied().find(|account| account.namespace == NAME && account.name == NAME),
    };
    let values = Values {
        install_crds: true,
        service_account: own.map(|account| ServiceAccount { create: true, name: account.name.clone() }),
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
        destination: Destination {
            server: delivery.destination.clone(),
            namespace: own.map_or(NAME, |account| account.namespace.as_str()).to_owned(),
        },
        sources: vec![chart, manifests],
        sync_policy: SyncPolicy {
            automated: Automated { prune: true, self_heal: true },
            sync_options: ["CreateNamespace=true", "ServerSideApply=true"],
        },
    };
    let waves = BTreeMap::from([("argocd.argoproj.io/sync-wave", delivery.sync_wave.to_string())]);
    let manifest = Manifest::new("argoproj.io/v1alpha1", "Application", NAME, Some(&delivery.namespace), Spec { spec })
        .annotated(waves);
    let mut rendered = Rendered::new("argocd");
    rendered.add(&cluster.name, &manifest)?;
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
