//! `vaultk8s render`: one file per form.

mod argocd;
mod eso;
mod folder;
mod operator_policy;
mod output;

use super::Context;
use crate::error::{Outcome, Result};

/// Print what the configuration says in another form
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    form: Form,
}

#[derive(Debug, clap::Subcommand)]
enum Form {
    Argocd(Box<argocd::Args>),
    Eso(eso::Args),
    OperatorPolicy(operator_policy::Args),
}

pub(super) fn run(context: &Context, args: Args) -> Result<Outcome> {
    match args.form {
        Form::Argocd(args) => argocd::run(context, *args),
        Form::Eso(args) => eso::run(context, &args),
        Form::OperatorPolicy(args) => operator_policy::run(context, &args),
    }
}
