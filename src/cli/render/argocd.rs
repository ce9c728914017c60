//! `vaultk8s render argocd`.

use super::super::Context;
use super::super::shared::{FileArgs, read_config};
use super::output::OutputArgs;
use crate::error::{Outcome, Result};
use crate::render::{self, Delivery};

/// Print the Application by which Argo CD installs External Secrets, with the manifests of `render eso` beside its chart
///
/// For one cluster. Neither Vault nor a cluster is asked anything.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// The cluster that it is for, where the configuration has several
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// The repository that the manifests are committed to
    #[arg(long, value_name = "URL")]
    repository: String,
    /// The folder in it that this cluster's manifests are in
    #[arg(long, value_name = "FOLDER")]
    path: String,
    /// The branch, tag or commit
    #[arg(long, value_name = "REVISION", default_value = "main")]
    revision: String,
    /// The version of External Secrets' chart
    #[arg(long, value_name = "VERSION")]
    chart_version: String,
    /// Argo CD's project
    #[arg(long, value_name = "NAME", default_value = "default")]
    project: String,
    /// The namespace that Argo CD itself is in
    #[arg(long, value_name = "NAME", default_value = "argocd")]
    argocd_namespace: String,
    /// When it is synced among others: what uses stores comes later
    #[arg(long, value_name = "NUMBER", default_value_t = -10, allow_negative_numbers = true)]
    sync_wave: i32,
    /// The API server of the cluster, as Argo CD has it
    #[arg(long, value_name = "URL", default_value = "https://kubernetes.default.svc")]
    destination: String,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(context: &Context, args: Args) -> Result<Outcome> {
    let names: Vec<String> = args.cluster.into_iter().collect();
    let config = read_config(&context.ui, &args.files.file)?.only_clusters(&names)?;
    let delivery = Delivery {
        repository: args.repository,
        path: args.path,
        revision: args.revision,
        chart_version: args.chart_version,
        project: args.project,
        namespace: args.argocd_namespace,
        sync_wave: args.sync_wave,
        destination: args.destination,
    };
    let rendered = render::argocd(&config, &delivery)?;
    let clusters: Vec<String> = config.clusters.iter().map(|cluster| cluster.name.to_string()).collect();
    args.output.put(context, &rendered, &clusters)
}
