//! `vaultk8s plan`.

use std::path::PathBuf;

use super::Context;
use super::shared::{ScopeArgs, SessionArgs};
use crate::error::{Outcome, Result};
use crate::fix::vaultk8s;
use crate::pipeline;

/// Show what bootstrap would change, and change nothing
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Exit with 2 when there are changes to make, or roles that an exclusive mount should not hold
    ///
    /// With 1 where the roles of an exclusive mount can't be listed, because then nobody knows.
    #[arg(long)]
    detailed_exitcode: bool,
    /// Save the plan to this file, for `bootstrap --plan FILE`
    ///
    /// The file is written anew, readable by its owner only. It holds no secrets. What is there already is replaced only if it is a
    /// saved plan.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Log in once at each mount of the kubernetes method, to see whether its reviewer's token works
    #[arg(long)]
    probe: bool,
    // Last, because its headings go on to what follows.
    #[command(flatten)]
    session: SessionArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    if let Some(file) = &args.out {
        pipeline::check_plan_file(file, args.session.files())?;
    }
    let session = args.session.session(context, |session| args.scope.narrow(session)).await?;
    let mut prepared = session.prepare().await?;
    if args.probe {
        session.interrupt.watch(|| {});
        prepared = session.probe(prepared).await?;
        if session.interrupt.is_set() {
            return Ok(Outcome::Interrupted);
        }
    }
    let (plan, outcome) = pipeline::show(&context.ui, prepared)?;
    if outcome != Outcome::Done {
        if let Some(file) = &args.out {
            context.ui.warn(&format!("the plan was not saved to {}, because clusters are missing", file.display()));
        }
        return Ok(outcome);
    }
    if let Some(file) = &args.out {
        pipeline::write_plan(file, &plan)?;
        let file = file.display();
        context.ui.status(&format!(
            "saved to {file}; {} makes these changes, or none",
            vaultk8s("bootstrap").flag("--plan", &file.to_string()).shown()
        ));
    }
    Ok(match args.detailed_exitcode {
        true if !plan.is_empty() || plan.strangers().next().is_some() => Outcome::ChangesPending,
        // What can't be seen is not in order, and nothing says that there is something to change.
        true if !plan.in_order() => Outcome::ChecksFailed,
        _ => Outcome::Done,
    })
}
