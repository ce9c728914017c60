//! `vaultk8s init`.

use std::path::{Path, PathBuf};

use super::Context;
use super::shared::kube_settings;
use crate::cluster::{self, KubeArgs};
use crate::config;
use crate::error::{Error, Outcome, Result};

/// Write a commented vaultk8s.yaml for the kubeconfig's current context
///
/// With a role for External Secrets as its example. The cluster is asked for its issuer and keys, and the issuer whether everybody can
/// read them: then Vault can fetch them, and else they are pinned. The file says which, and why. Vault isn't asked anything.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to write, or - to print it
    #[arg(long, value_name = "FILE", default_value = "vaultk8s.yaml")]
    out: PathBuf,
    /// Replace the file where it is there already
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    kube: KubeArgs,
}

pub(super) async fn run(context: &Context, args: &Args) -> Result<Outcome> {
    let kube = kube_settings(context, &args.kube, false)?;
    let chosen = kube.chosen_context()?;
    let cluster = config::cluster_named_after(&chosen.cluster)?;
    let text = config::starter(&cluster, &chosen.name, &cluster::keys_for(&chosen.name, &kube).await);
    if args.out == Path::new("-") {
        context.ui.verbatim(&text)?;
        return Ok(Outcome::Done);
    }
    write(&args.out, &text, args.force)?;
    context.ui.status(&format!("wrote {}; edit it, then run `vaultk8s plan`", args.out.display()));
    Ok(Outcome::Done)
}

fn write(file: &Path, text: &str, force: bool) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    if force {
        options.write(true).create(true).truncate(true)
    } else {
        options.write(true).create_new(true)
    };
    let written = options.open(file).and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::usage(format!("{} is there already", file.display()))
            .remedy("replace it with --force, write another with --out FILE, or print it with --out -"),
        _ => Error::usage(format!("{} could not be written", file.display())).because(error),
    })
}
