//! `vaultk8s issuer`.

use std::io;

use serde::Serialize;

use super::Context;
use super::shared::{Source, SourceArgs};
use crate::cluster;
use crate::document::Report;
use crate::error::{Outcome, Result};
use crate::text::printable_line;

/// Print the issuer of a cluster's service account tokens, as Vault must be told it
///
/// From the cluster, or from its discovery document in a file or on standard input (`-`).
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,
}

#[derive(Serialize)]
struct Issuer {
    issuer: String,
}

impl Report for Issuer {
    const KIND: &'static str = "Issuer";

    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        writeln!(out, "{}", printable_line(&self.issuer))
    }
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let discovery = match args.source.open(context, false).await? {
        Source::Text { text, origin } => cluster::Discovery::parse(&text, &origin)?,
        Source::Cluster(connection) => cluster::discovery(&connection).await?,
    };
    context.ui.report(&Issuer { issuer: discovery.issuer })?;
    Ok(Outcome::Done)
}
