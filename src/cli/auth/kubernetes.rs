//! `vaultk8s auth kubernetes`.

use std::path::PathBuf;

use url::Url;

use super::super::Context;
use super::super::step::{StepArgs, duration, name};
use crate::cluster::KubeArgs;
use crate::config::{self, ClusterSource, Config, KubernetesAuth, NewCluster, ReviewerFlags, ReviewerToken};
use crate::error::{Outcome, Result};
use crate::names::{MountPath, ServiceAccountRef};

/// Enable a kubernetes mount, or adopt the one that is there, with the account that reviews tokens for it
///
/// Takes the API server's address and CA from the kubeconfig, makes the reviewer's service account, its binding to
/// system:auth-delegator and its token, and gives that token to Vault. The step of `bootstrap` that comes before policies
/// and roles; running it again changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The path of the mount, such as kubernetes-prod
    #[arg(long, value_name = "PATH", value_parser = name::<MountPath>)]
    mount: MountPath,
    /// The description of the mount; without it, the one that is there stays
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// The API server's URL as Vault reaches it; without it the kubeconfig's
    #[arg(long, value_name = "URL", value_parser = config::server_url)]
    host: Option<Url>,
    /// A PEM file with the CA of the API server's certificate; without it the kubeconfig's
    #[arg(long, value_name = "FILE")]
    host_ca_cert: Option<PathBuf>,
    /// The issuer that tokens must have; without it the one that is there stays, and a new mount leaves that to the API server
    #[arg(long, value_name = "ISSUER")]
    issuer: Option<String>,
    /// The service account that reviews tokens; vault-auth/vault-auth unless set
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = name::<ServiceAccountRef>, help_heading = "Reviewer")]
    reviewer: Option<ServiceAccountRef>,
    /// What kind of token it has
    #[arg(long, value_name = "KIND", value_enum, default_value_t, help_heading = "Reviewer")]
    reviewer_token: ReviewerToken,
    /// A file with it: any token that the API server, or what stands before it, takes
    #[arg(long, value_name = "FILE", conflicts_with = "reviewer_token", help_heading = "Reviewer")]
    reviewer_token_file: Option<PathBuf>,
    /// The variable of the environment that has it
    #[arg(long, value_name = "NAME", conflicts_with_all = ["reviewer_token", "reviewer_token_file"], help_heading = "Reviewer")]
    reviewer_token_env: Option<String>,
    /// The Secret with its long-lived token; named after the account unless set
    #[arg(long, value_name = "NAME", help_heading = "Reviewer")]
    secret_name: Option<String>,
    /// Its ClusterRoleBinding to system:auth-delegator; named after the account unless set
    #[arg(long, value_name = "NAME", help_heading = "Reviewer")]
    binding_name: Option<String>,
    /// How long a bound token is asked for, such as 24h
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Reviewer")]
    lifetime: Option<u64>,
    #[command(flatten)]
    step: StepArgs,
    #[command(flatten)]
    kube: KubeArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let flags = ReviewerFlags {
        service_account: args.reviewer,
        token: match (args.reviewer_token_file, args.reviewer_token_env) {
            (Some(file), _) => ReviewerToken::File(file),
            (None, Some(name)) => ReviewerToken::Environment(name),
            (None, None) => args.reviewer_token,
        },
        secret_name: args.secret_name,
        binding_name: args.binding_name,
        lifetime: args.lifetime,
    };
    let auth = KubernetesAuth {
        host: args.host,
        ca_cert: args.host_ca_cert,
        reviewer: flags.reviewer()?,
        reviewer_is_named: true,
        annotations_as_metadata: false,
    };
    let source = ClusterSource::Context(None);
    let cluster = NewCluster { mount: args.mount, source, issuer: args.issuer, description: args.description };
    let config = Config { clusters: vec![config::kubernetes_cluster(cluster, auth)?], ..Config::default() };
    let session = args.step.session(context, config, &args.kube).await?;
    let prepared = session.give_reviewers(session.prepare().await?)?;
    args.step.run(context, &session, prepared).await
}
