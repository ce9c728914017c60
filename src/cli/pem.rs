//! `vaultk8s pem`.

use std::io;

use serde::Serialize;

use super::Context;
use super::shared::{Source, SourceArgs};
use crate::cluster;
use crate::document::Report;
use crate::error::{Outcome, Result};
use crate::keys::VerificationKey;

/// Convert a cluster's JSON Web Key Set to PEM, one block a key, as Vault takes them
///
/// From the cluster, a file, or standard input: `kubectl get --raw /openid/v1/jwks | vaultk8s pem`. A key that must not
/// be trusted is an error that names it, and then nothing is printed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    source: SourceArgs,
}

/// The keys of a cluster, as a document.
#[derive(Serialize)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Serialize)]
struct Key {
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    algorithm: String,
    #[serde(rename = "type")]
    kind: String,
    fingerprint: String,
    pem: String,
}

impl Keys {
    fn new(keys: &[VerificationKey]) -> Self {
        let keys = keys.iter().map(|key| Key {
            kid: key.kid.clone(),
            algorithm: key.algorithm.to_string(),
            kind: key.key.to_string(),
            fingerprint: key.key.fingerprint(),
            pem: key.key.to_pem(),
        });
        Self { keys: keys.collect() }
    }
}

impl Report for Keys {
    const KIND: &'static str = "Keys";

    fn text(&self, out: &mut dyn io::Write) -> io::Result<()> {
        self.keys.iter().try_for_each(|key| out.write_all(key.pem.as_bytes()))
    }
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    let (text, origin) = match args.source.open(context, true).await? {
        Source::Text { text, origin } => (text, origin),
        Source::Cluster(connection) => (cluster::jwks_text(&connection).await?, connection.name().to_owned()),
    };
    context.ui.report(&Keys::new(&cluster::trusted_keys(&text, &origin)?))?;
    Ok(Outcome::Done)
}
