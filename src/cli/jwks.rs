//! `vaultk8s jwks`.

use super::Context;
use super::pem::Keys;
use super::shared::{Source, SourceArgs};
use crate::cluster;
use crate::error::{Outcome, Result};
use crate::ui::Format;

/// Print a cluster's JSON Web Key Set, once every key in it is found fit to be trusted
///
/// From the cluster, a file, or standard input.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let (text, origin) = match args.source.open(context, true).await? {
        Source::Text { text, origin } => (text, origin),
        Source::Cluster(connection) => (cluster::jwks_text(&connection).await?, connection.name().to_owned()),
    };
    // A set with a private key in it must never be printed, so it is judged first.
    let keys = cluster::trusted_keys(&text, &origin)?;
    if context.ui.format() == Format::Text {
        context.ui.verbatim(&format!("{}\n", text.trim()))?;
    } else {
        context.ui.report(&Keys::new(&keys))?;
    }
    Ok(Outcome::Done)
}
