//! `vaultk8s bootstrap`.

use super::Context;
use super::shared::SessionArgs;
use crate::error::{Outcome, Result};
use crate::pipeline;

/// Make Vault hold what the configuration says, and prove it with real logins
///
/// Shows the plan, makes the changes, logs in as every role with a token that the cluster gives, and compares what that
/// login may do with what its policies say. Running it again changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    session: SessionArgs,
    /// Replace what a mount trusts (another issuer, other keys) without asking
    #[arg(short, long)]
    yes: bool,
    /// Leave the logins away
    #[arg(long)]
    no_verify: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let session = args.session.session(context)?;
    pipeline::bootstrap(&context.ui, &session, args.yes, !args.no_verify).await
}
