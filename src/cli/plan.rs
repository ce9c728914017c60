//! `vaultk8s plan`.

use super::Context;
use super::shared::SessionArgs;
use crate::error::{Outcome, Result};

/// Show what bootstrap would change, and change nothing
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    session: SessionArgs,
    /// Exit with 2 when there are changes to make
    #[arg(long)]
    detailed_exitcode: bool,
    /// Log in once at each mount of the kubernetes method, to see whether its reviewer's token works
    #[arg(long)]
    probe: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let session = args.session.session(context)?;
    let mut prepared = session.prepare().await?;
    if args.probe {
        prepared = session.probe(prepared).await?;
    }
    context.ui.report(&prepared.plan)?;
    Ok(if args.detailed_exitcode && !prepared.plan.is_empty() { Outcome::ChangesPending } else { Outcome::Done })
}
