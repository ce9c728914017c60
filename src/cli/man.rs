//! `vaultk8s man`.

use super::{Cli, Context};
use crate::error::{Error, Outcome, Result};

/// Print the manual page of vaultk8s, or of one of its commands
///
/// `vaultk8s man plan | man -l -` shows that of `plan`; `vaultk8s man auth jwt` prints that of a command below another.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The command; without it, vaultk8s itself
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<Outcome> {
    let mut definition = Cli::definition();
    // Gives each command its full name and the global flags.
    definition.build();
    let mut page = &definition;
    for name in &args.command {
        page = page.find_subcommand(name).ok_or_else(|| {
            Error::usage(format!("there is no command {}", args.command.join(" "))).remedy("see `vaultk8s --help`")
        })?;
    }
    let title = page.get_display_name().unwrap_or("vaultk8s").to_owned();
    let mut text = Vec::new();
    clap_mangen::Man::new(page.clone()).title(title.to_uppercase()).render(&mut text)?;
    context.ui.verbatim(&String::from_utf8_lossy(&text))?;
    Ok(Outcome::Done)
}
