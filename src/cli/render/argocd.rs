//! `vaultk8s render argocd`.

use url::Url;

use super::super::Context;
use super::super::shared::{FileArgs, read_config};
use super::super::step::name;
use super::folder::Scope;
use super::output::OutputArgs;
use crate::config::server_url;
use crate::error::{Outcome, Result};
use crate::names::{NamespaceName, ObjectName};
use crate::render::{self, Delivery};

/// Print the Application by which Argo CD installs External Secrets, with the manifests of `render eso` beside its chart
///
/// For one cluster. With --out its file is called after the cluster, in a folder `argocd`: not among the manifests that it syncs.
/// Neither Vault nor a cluster is asked anything.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// The cluster that it is for, where the configuration has several
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// The repository that the manifests are committed to
    #[arg(long, value_name = "URL", value_parser = repository)]
    repository: String,
    /// The folder in it that this cluster's manifests are in
    #[arg(long, value_name = "FOLDER", value_parser = folder)]
    path: String,
    /// The branch, tag or commit
    #[arg(long, value_name = "REVISION", default_value = "main", value_parser = word)]
    revision: String,
    /// The version of External Secrets' chart
    #[arg(long, value_name = "VERSION", value_parser = word)]
    chart_version: String,
    /// Argo CD's project
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = name::<ObjectName>)]
    project: ObjectName,
    /// The namespace that Argo CD itself is in
    #[arg(long, value_name = "NAME", default_value = "argocd", value_parser = name::<NamespaceName>)]
    argocd_namespace: NamespaceName,
    /// When it is synced among others: what uses stores comes later
    #[arg(long, value_name = "NUMBER", default_value_t = -10, allow_negative_numbers = true)]
    sync_wave: i32,
    /// The namespace that External Secrets is installed in
    #[arg(long, value_name = "NAME", default_value = "external-secrets", value_parser = name::<NamespaceName>)]
    namespace: NamespaceName,
    /// The API server of the cluster, as Argo CD has it
    #[arg(long, value_name = "URL", default_value = "https://kubernetes.default.svc", value_parser = server_url)]
    destination: Url,
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
        project: args.project.to_string(),
        argocd_namespace: args.argocd_namespace.to_string(),
        namespace: args.namespace.to_string(),
        sync_wave: args.sync_wave,
        destination: args.destination.as_str().trim_end_matches('/').to_owned(),
    };
    let rendered = render::argocd(&config, &delivery)?;
    args.output.put(context, &rendered, &Scope::None, &[])
}

/// A word: of a version, a branch.
fn word(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("write one word, without spaces");
    }
    Ok(text.to_owned())
}

/// A folder of a repository.
fn folder(text: &str) -> Result<String, &'static str> {
    let path = word(text)?;
    if path.starts_with('/') || path.split('/').any(|segment| segment == "..") {
        return Err("write the folder as it is in the repository, such as `manifests/prod`");
    }
    Ok(path)
}

/// The address of a repository, as git takes it.
fn repository(text: &str) -> Result<String, &'static str> {
    let address = word(text)?;
    match Url::parse(&address) {
        Ok(url) if url.password().is_some() => {
            Err("a password doesn't belong into a manifest: Argo CD has credentials of its own for repositories")
        }
        Ok(url) if !matches!(url.scheme(), "https" | "http" | "ssh" | "oci") => {
            Err("write an https or ssh URL, or `git@host:path`")
        }
        Err(_) if !address.contains(':') => Err("write an https or ssh URL, or `git@host:path`"),
        _ => Ok(address),
    }
}
