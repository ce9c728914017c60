//! `vaultk8s bootstrap`.

use std::path::PathBuf;
use std::sync::Arc;

use super::Context;
use super::shared::{ConsentArgs, ScopeArgs, SessionArgs};
use crate::error::{Outcome, Result};
use crate::pipeline::{self, BootstrapOptions, Session};

/// Make Vault hold what the configuration says, and prove it with real logins
///
/// Shows the plan, asks at a terminal, makes the changes, logs in as every role with a token that the cluster gives, and
/// compares what that login may do with what its policies say. Running it again changes nothing. Interrupted, it finishes
/// what is under way, revokes the tokens of its logins and exits with 130; running it again does the rest.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Show the plan and nothing else, as `vaultk8s plan` does
    #[arg(long, conflicts_with = "plan")]
    dry_run: bool,
    #[command(flatten)]
    consent: ConsentArgs,
    /// Leave the logins away
    #[arg(long)]
    no_verify: bool,
    /// Make the changes of this saved plan (`plan --out FILE`), or none if they are not the ones to make any more
    ///
    /// The plan is made again and compared. Its clusters, whether it prunes, and what it decides about keys come from the file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["clusters", "prune", "forget_key", "keep_key"])]
    plan: Option<PathBuf>,
    /// Prove logins with the token in this file, or on standard input for `-`, where it meets the bounds of a role
    ///
    /// For issuers that nobody here can ask for tokens. The other logins are made with tokens that their clusters give, or told as not
    /// tried. The token is shown nowhere, and nothing here ends it.
    #[arg(long, value_name = "FILE", conflicts_with = "no_verify")]
    jwt_file: Option<PathBuf>,
    // Last, because its headings go on to what follows.
    #[command(flatten)]
    session: SessionArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let saved = args.plan.as_deref().map(pipeline::read_plan).transpose()?;
    let narrow = |session: &mut Session| match &saved {
        Some(saved) => session.follow(saved),
        None => args.scope.narrow(session),
    };
    let brought = args.jwt_file.as_deref().map(|file| args.session.brought(context, file)).transpose()?;
    let mut session = args.session.session(context, narrow).await?;
    session.brought = brought.map(Arc::new);
    if args.dry_run {
        return Ok(pipeline::show(&context.ui, session.prepare().await?)?.1);
    }
    let consent = args.consent.given();
    let how = BootstrapOptions { consent: &consent, logins: !args.no_verify, saved: saved.as_ref() };
    pipeline::bootstrap(&context.ui, &session, how).await
}
