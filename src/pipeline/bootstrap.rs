//! The whole of it: plan, show, ask, apply, look again, verify.

use std::io::{self, Write as Out};

use serde::Serialize;

use super::Session;
use crate::apply::{Applied, apply};
use crate::error::{Error, Outcome, Result};
use crate::plan::Plan;
use crate::ui::{BOLD, DIM, Report, Ui};
use crate::vault::Counts;
use crate::verify::{self, Subject, Verification, verify};

/// What a bootstrap did and found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// The plan.
    pub plan: Plan,
    /// What became of it.
    pub applied: Applied,
    /// What the logins showed; absent where they were left away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// How many requests Vault got, retries included.
    pub requests: u64,
    /// How many of them were to change something.
    pub writes: u64,
    /// Whether everything was done and every check passed.
    pub success: bool,
}

impl Report for Bootstrap {
    const KIND: &'static str = "Bootstrap";

    /// The summary: the parts were shown as they came.
    fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        let mut parts = vec![match (self.plan.is_empty(), self.applied.complete()) {
            (true, _) => "nothing to change".to_owned(),
            (false, true) => format!("{} changes made", self.applied.done()),
            (false, false) => format!("{} of {} changes made", self.applied.done(), self.plan.changes.len()),
        }];
        parts.extend(self.verification.as_ref().map(Verification::summary));
        let counts = format!("{} requests to Vault, {} writes", self.requests, self.writes);
        writeln!(out, "\n{BOLD}{}.{BOLD:#} {DIM}{counts}.{DIM:#}", parts.join("; "))
    }
}

/// Makes Vault hold what the configuration says and proves it.
///
/// # Errors
/// When nothing could be begun, when the user says no, or when Vault holds something else than what it accepted. What
/// fails along the way is in the report, and the outcome says so.
pub async fn bootstrap(ui: &Ui, session: &Session, yes: bool, logins: bool) -> Result<Outcome> {
    ui.status(&format!("reading {} and {}", clusters(session), session.address()));
    let mut prepared = session.prepare().await?;
    if logins {
        prepared = session.probe(prepared).await?;
    }
    ui.text(|out| prepared.plan.text(out))?;
    confirm(ui, &prepared.plan, yes)?;

    let progress = ui.progress("applying", prepared.plan.changes.len());
    let applied = apply(&session.client, &prepared.connections, &prepared.plan, session.parallelism, &progress).await;
    progress.finish_and_clear();
    if !prepared.plan.is_empty() {
        ui.text(|out| {
            writeln!(out)?;
            applied.text(out)
        })?;
    }
    let mut default_policy = prepared.observed.default_policy;
    if applied.complete() && !prepared.plan.is_empty() {
        let (observed, left) = session.compare(&prepared.desired, &prepared.connections).await?;
        default_policy = observed.default_policy;
        kept(&left)?;
    }

    let verification = if logins && applied.complete() {
        let subject = Subject {
            client: &session.client,
            config: &session.config,
            desired: &prepared.desired,
            default_policy: default_policy.as_deref(),
            connections: &prepared.connections,
        };
        let progress = ui.progress("logging in", verify::count(&session.config));
        let verification = verify(&subject, session.parallelism, &progress).await;
        progress.finish_and_clear();
        ui.text(|out| {
            writeln!(out, "\n{BOLD}Logins{BOLD:#}")?;
            verification.text(out)
        })?;
        Some(verification)
    } else {
        None
    };

    let success = applied.complete() && verification.as_ref().is_none_or(Verification::passed);
    let Counts { requests, writes } = session.client.counts();
    ui.report(&Bootstrap { plan: prepared.plan, applied, verification, requests, writes, success })?;
    Ok(if success { Outcome::Done } else { Outcome::ChecksFailed })
}

fn clusters(session: &Session) -> String {
    let names: Vec<&str> = session.config.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    format!("cluster {}", names.join(", "))
}

/// A wrong kubeconfig context must not take over a mount in silence.
fn confirm(ui: &Ui, plan: &Plan, yes: bool) -> Result<()> {
    let replaced: Vec<String> =
        plan.trust_replaced().map(|(change, why)| format!("{}: {why}", change.object)).collect();
    if replaced.is_empty() || yes {
        return Ok(());
    }
    let list = replaced.join("\n  ");
    let question = format!("This replaces what Vault trusts:\n  {list}\nTokens that work now will be refused.");
    let unconfirmed =
        || Error::failed(format!("Vault was left as it is, because this would replace what it trusts: {list}"));
    match ui.confirm(&question) {
        Ok(true) => Ok(()),
        Ok(false) => Err(unconfirmed()),
        Err(error) => Err(unconfirmed().because(error)),
    }
}

/// Vault answers 204 to fields that it doesn't know and policies that aren't there; only reading back tells.
fn kept(left: &Plan) -> Result<()> {
    if left.is_empty() {
        return Ok(());
    }
    let objects: Vec<String> = left
        .changes
        .iter()
        .map(|change| {
            let fields: Vec<&str> = change.fields.iter().map(|field| field.field.as_str()).collect();
            format!("{} ({})", change.object, fields.join(", "))
        })
        .collect();
    Err(Error::failed(format!("Vault accepted every change and yet holds something else: {}", objects.join("; ")))
        .remedy("look at the difference with `vaultk8s plan`; somebody else may be changing the same objects"))
}
