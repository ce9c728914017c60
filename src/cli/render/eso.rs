//! `vaultk8s render eso`.

use std::path::Path;

use super::super::Context;
use super::super::shared::{FileArgs, read_config};
use super::folder::Scope;
use super::output::OutputArgs;
use crate::error::{Error, Outcome, Result};
use crate::input;
use crate::render::{self, API_VERSIONS};

/// Print the manifests of External Secrets: stores that log in as the roles, and the Secrets that are made from them
///
/// From `stores:` and `secrets:` of the configuration; without `stores:` one for each role. A `caProvider` in
/// a ConfigMap comes with that, from `vault.caCert`. Neither Vault nor a cluster is asked anything.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// Only this cluster; may be repeated
    #[arg(long, value_name = "NAME")]
    cluster: Vec<String>,
    /// The version of External Secrets' API: `v1beta1` before 0.16
    #[arg(long, value_name = "VERSION", default_value = "v1", value_parser = API_VERSIONS)]
    api_version: String,
    #[command(flatten)]
    output: OutputArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<Outcome> {
    let config = read_config(&context.ui, &args.files.file)?.only_clusters(&args.cluster)?;
    for warning in &config.warnings {
        context.ui.caution(&warning.warning(&config.files));
    }
    let read = |file: &Path| {
        input::read_pem(file)
            .map_err(|error| Error::usage(format!("{} could not be read", file.display())).because(error))
    };
    let rendered = render::eso(&config, &args.api_version, &read)?;
    let clusters: Vec<String> = config.clusters.iter().map(|cluster| cluster.name.to_string()).collect();
    let scope = if args.cluster.is_empty() { Scope::All } else { Scope::Clusters(clusters.clone()) };
    args.output.put(context, &rendered, &scope, &clusters)
}
