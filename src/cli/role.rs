//! `vaultk8s role`.

use super::Context;
use super::step::{StepArgs, duration, name};
use crate::cluster::KubeArgs;
use crate::config::{self, ClusterSource, Config, NewCluster, TokenSettings};
use crate::error::{Outcome, Result};
use crate::names::{Audience, MountPath, PolicyName, RoleName, ServiceAccountRef};

/// Write one role of a mount that is there
///
/// The role is written whole: what no flag says is set to its default, also where the role that is there says otherwise,
/// and the plan shows that. Its policies must exist.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The name of the role
    #[arg(value_name = "NAME", value_parser = name::<RoleName>)]
    role: RoleName,
    /// The path of the auth mount
    #[arg(long, value_name = "PATH", value_parser = name::<MountPath>)]
    mount: MountPath,
    /// Who may log in
    #[arg(long = "service-account", value_name = "NAMESPACE/NAME", num_args = 1.., required = true,
          value_parser = name::<ServiceAccountRef>)]
    service_accounts: Vec<ServiceAccountRef>,
    /// The policies that a login gives
    #[arg(long = "policy", value_name = "NAME", num_args = 1.., required = true, value_parser = name::<PolicyName>)]
    policies: Vec<PolicyName>,
    /// The audience that a token must have; given several times, those one of which it must have
    #[arg(long = "audience", value_name = "AUDIENCE", required = true, value_parser = name::<Audience>)]
    audiences: Vec<Audience>,
    /// How long the token of a login lives, such as 2h; without it, as the mount says
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "0", hide_default_value = true)]
    ttl: u64,
    /// How often the token of a login may be used; 0 is without limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    num_uses: u64,
    /// Leave out Vault's policy `default`
    #[arg(long)]
    no_default_policy: bool,
    #[command(flatten)]
    step: StepArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let Args { ttl, num_uses, no_default_policy, .. } = args;
    let token = TokenSettings { ttl, num_uses, no_default_policy, ..TokenSettings::default() };
    let role = config::one_role(args.role, args.service_accounts, args.policies, args.audiences, token);
    let cluster = config::jwt_cluster(NewCluster {
        mount: args.mount,
        source: ClusterSource::Context(None),
        issuer: None,
        description: None,
    })?;
    let session = args.step.session(context, Config::default(), &KubeArgs::default()).await?;
    let prepared = session.prepare_role(&cluster, &role).await?;
    args.step.run(context, &session, prepared).await
}
