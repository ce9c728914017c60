//! `vaultk8s login`.

use std::path::PathBuf;

use super::Context;
use super::shared::{Access, kube_settings, read_secret};
use super::step::name;
use crate::cluster::{Connection, KubeArgs};
use crate::config::ClusterSource;
use crate::error::{Outcome, Result};
use crate::names::{Audience, MountPath, RoleName, ServiceAccountRef};
use crate::pipeline::{self, PresentedToken};
use crate::settings::VaultArgs;
use crate::ui::Ui;

/// Log in as a role, and print what that gives
///
/// With a token that the cluster gives for a service account, or with one from a file. Vault's token is revoked at
/// once, unless --show-token keeps and prints it. No token for Vault is needed; where there is one, it revokes what may
/// not revoke itself.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The path of the auth mount
    #[arg(long, value_name = "PATH", value_parser = name::<MountPath>)]
    mount: MountPath,
    /// The role
    #[arg(long, value_name = "NAME", value_parser = name::<RoleName>)]
    role: RoleName,
    /// Log in as this service account, with a token that the cluster gives
    #[arg(long, value_name = "NAMESPACE/NAME", value_parser = name::<ServiceAccountRef>, required_unless_present = "jwt_file")]
    service_account: Option<ServiceAccountRef>,
    /// The audience to ask the cluster for; without it, the API server's own
    #[arg(long = "audience", value_name = "AUDIENCE", num_args = 1.., value_parser = name::<Audience>, requires = "service_account")]
    audiences: Vec<Audience>,
    /// Log in with the token in this file, or on standard input for `-`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["service_account", "kubeconfig", "context", "impersonate"])]
    jwt_file: Option<PathBuf>,
    /// Print Vault's token, and leave it alive
    #[arg(long)]
    show_token: bool,
    #[command(flatten)]
    vault: VaultArgs,
    #[command(flatten)]
    kube: KubeArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let access = Access::optional(context, &args.vault, None)?;
    let presented = match (args.service_account, args.jwt_file) {
        (Some(account), _) => {
            let kube = kube_settings(context, &args.kube, args.vault.allow_http)?;
            let connection = Box::new(Connection::open(&ClusterSource::Context(None), &kube).await?);
            PresentedToken::Requested { connection, account, audiences: args.audiences }
        }
        (None, file) => PresentedToken::Token(read_secret(&context.ui, file.as_deref())?),
    };
    let client = access.enter(context).await?;
    let interrupt = &context.interrupt;
    interrupt.watch(|| Ui::interject("stopping once the login is answered, and its token revoked"));
    let report = pipeline::login(&client, interrupt, args.mount, args.role, presented, args.show_token).await?;
    if let Some(report) = &report
        && let Err(error) = context.ui.report(report)
    {
        let ended = report.withdraw(&client).await;
        let left = (!ended).then(|| format!("the login's token lives on, for {} s", report.ttl));
        return Err(error.maybe_remedy(left));
    }
    Ok(if interrupt.is_set() { Outcome::Interrupted } else { Outcome::Done })
}
