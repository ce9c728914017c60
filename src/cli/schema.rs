//! `vaultk8s schema`.

use super::Context;
use crate::config;
use crate::error::{Error, Outcome, Result};

/// Print the JSON Schema of the configuration file
///
/// Editors complete and check with it: save it, and begin the file with `# yaml-language-server: $schema=FILE`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(context: &Context, _: &Args) -> Result<Outcome> {
    let text = serde_json::to_string_pretty(&config::schema())
        .map_err(|error| Error::failed("the schema has no JSON form").because(error))?;
    context.ui.verbatim(&format!("{text}\n"))?;
    Ok(Outcome::Done)
}
