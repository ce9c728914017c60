//! `vaultk8s render operator-policy`.

use super::super::Context;
use super::super::shared::{FileArgs, read_config};
use crate::error::{Outcome, Result};
use crate::names::Owner;
use crate::render;

/// Print the least Vault policy that bootstrap needs for this configuration, with a comment for each rule
///
/// For a token in CI, say, that is not root: `vaultk8s render operator-policy | vault policy write vaultk8s-operator -`.
/// Neither Vault nor a cluster is asked anything.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    files: FileArgs,
    /// Allow also what `bootstrap --prune` does: to delete roles and policies
    #[arg(long)]
    prune: bool,
    /// Allow also to take over what this owner wrote; may be repeated
    ///
    /// A role that is taken over goes out of its owner's inventory, which no other file's operator may write otherwise.
    #[arg(long, value_name = "OWNER")]
    take_over: Vec<Owner>,
}

pub(super) fn run(context: &Context, args: &Args) -> Result<Outcome> {
    let config = read_config(&context.ui, &args.files.file)?;
    context.ui.report(&render::operator_policy(&config, args.prune, &args.take_over)?)?;
    Ok(Outcome::Done)
}
