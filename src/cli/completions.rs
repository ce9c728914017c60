//! `vaultk8s completions`.

use clap_complete::Shell;

use super::{Cli, Context};
use crate::error::{Outcome, Result};

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::definition(), "vaultk8s", &mut script);
    context.ui.verbatim(&String::from_utf8_lossy(&script))?;
    Ok(Outcome::Done)
}
