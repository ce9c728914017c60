//! Arguments of the commands that do one step of the pipeline from flags alone, and what they become.

use std::str::FromStr;

use super::Context;
use super::shared::{Access, ConsentArgs, kube_settings};
use crate::cluster::KubeArgs;
use crate::config::Config;
use crate::error::{Outcome, Result};
use crate::names::{InvalidName, Owner};
use crate::pipeline::{self, Prepared, Scope, Session};
use crate::settings::VaultArgs;

/// How many requests may be under way at once: a step has few.
const PARALLELISM: usize = 8;

/// The arguments of every command that does one step.
#[derive(Debug, clap::Args)]
pub(super) struct StepArgs {
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    consent: ConsentArgs,
    /// For whom: what another owner wrote is not changed unasked
    ///
    /// A policy gets the owner's mark, and a role is listed in the owner's inventory of its mount.
    #[arg(long, value_name = "NAME", value_parser = name::<Owner>)]
    owner: Option<Owner>,
    #[command(flatten)]
    vault: VaultArgs,
}

impl StepArgs {
    /// A session for a configuration that flags made. Nothing is asked of Vault or a cluster yet, but a login.
    pub(super) async fn session(&self, context: &Context, config: Config, kube: &KubeArgs) -> Result<Session> {
        let access = Access::required(context, &self.vault, None)?;
        let kube = kube_settings(context, kube, self.vault.allow_http)?.withholding(config.variables());
        Ok(Session {
            config: Config { owner: self.owner.clone(), ..config },
            client: access.enter(context).await?.with_parallelism(PARALLELISM),
            kube,
            parallelism: PARALLELISM,
            scope: Scope { single_step: true, ..Scope::default() },
            operator: context.operator.clone(),
            interrupt: context.interrupt.clone(),
            brought: None,
        })
    }

    /// Shows the plan and carries it out.
    pub(super) async fn run(&self, context: &Context, session: &Session, prepared: Prepared) -> Result<Outcome> {
        pipeline::step(&context.ui, session, prepared, self.dry_run, &self.consent.given()).await
    }
}

/// Reads a name from the command line, with the remedy in the message.
pub(super) fn name<T: FromStr<Err = InvalidName>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: InvalidName| format!("{error}; {}", error.remedy))
}

/// Reads a duration into seconds, with the remedy in the message.
pub(super) fn duration(text: &str) -> Result<u64, String> {
    crate::config::parse_duration(text).map_err(|error| format!("{error}; {}", error.remedy()))
}
