//! `vaultk8s auth`: one file per auth method.

mod jwt;
mod kubernetes;

use super::Context;
use crate::error::{Outcome, Result};

/// Set up the auth mount of one cluster, and nothing else
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    method: Method,
}

#[derive(Debug, clap::Subcommand)]
enum Method {
    Jwt(Box<jwt::Args>),
    Kubernetes(Box<kubernetes::Args>),
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Outcome> {
    match args.method {
        Method::Jwt(args) => jwt::run(context, *args).await,
        Method::Kubernetes(args) => kubernetes::run(context, *args).await,
    }
}
