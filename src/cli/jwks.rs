//! `vaultk8s jwks`.

use std::io;

use serde::ser::Error as _;
use serde::{Serialize, Serializer};

use super::Context;
use super::shared::{Source, SourceArgs};
use crate::cluster;
use crate::document::Report;
use crate::document::visible_json;
use crate::error::{Outcome, Result};

/// Print a cluster's JSON Web Key Set, once every key in it is found fit to be trusted
///
/// From the cluster, a file, or standard input.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,
}

/// A JSON Web Key Set as it came.
struct KeySet {
    text: String,
}

impl Report for KeySet {
    const KIND: &'static str = "JsonWebKeySet";

    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        writeln!(out, "{}", visible_json(self.text.trim()))
    }
}

impl Serialize for KeySet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let set: serde_json::Value = serde_json::from_str(&self.text).map_err(S::Error::custom)?;
        set.serialize(serializer)
    }
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let (text, origin) = match args.source.open(context, true).await? {
        Source::Text { text, origin } => (text, origin),
        Source::Cluster(connection) => (cluster::jwks_text(&connection).await?, connection.name().to_owned()),
    };
    // A set with a private key in it must never be printed, so it is judged first.
    cluster::trusted_keys(&text, &origin)?;
    context.ui.report(&KeySet { text })?;
    Ok(Outcome::Done)
}
