//! `vaultk8s auth jwt`.

use std::path::PathBuf;

use super::super::Context;
use super::super::shared::KeyArgs;
use super::super::step::{StepArgs, name};
use crate::cluster::KubeArgs;
use crate::config::{self, ClusterSource, Config, NewCluster};
use crate::error::{Outcome, Result};
use crate::names::MountPath;

/// Enable a jwt mount, or adopt the one that is there, and pin the cluster's keys in it
///
/// Reads issuer and keys from the cluster, or takes them from --issuer and --jwks-file where it can't be reached. The
/// step of `bootstrap` that comes before policies and roles; running it again changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The path of the mount, such as jwt-prod
    #[arg(long, value_name = "PATH", value_parser = name::<MountPath>)]
    mount: MountPath,
    /// The description of the mount; without it, the one that is there stays
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The issuer of the cluster's tokens, in place of the one that the cluster announces
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,
    /// A file with the cluster's JWKS, for a cluster that can't be reached from here
    #[arg(long, value_name = "FILE", requires = "issuer", conflicts_with_all = ["kubeconfig", "context", "impersonate"])]
    jwks_file: Option<PathBuf>,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    step: StepArgs,
    #[command(flatten)]
    kube: KubeArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let (source, issuer) = match (args.jwks_file, args.issuer) {
        (Some(jwks_file), Some(issuer)) => (ClusterSource::Files { issuer, jwks_file }, None),
        (_, issuer) => (ClusterSource::Context(None), issuer),
    };
    let cluster = config::jwt_cluster(NewCluster { mount: args.mount, source, issuer, description: args.description })?;
    let config = Config { clusters: vec![cluster], ..Config::default() };
    let decisions = args.keys.decisions()?;
    let mut session = args.step.session(context, config, &args.kube).await?;
    session.scope.keys = decisions;
    let prepared = session.prepare().await?;
    args.step.run(context, &session, prepared).await
}
