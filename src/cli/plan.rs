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
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let session = args.session.session(context)?;
    let prepared = session.prepare().await?;
    prepared.warnings.iter().for_each(|warning| context.ui.caution(warning));
    context.ui.report(&prepared.plan)?;
    Ok(if args.detailed_exitcode && !prepared.plan.is_empty() { Outcome::ChangesPending } else { Outcome::Done })
}
