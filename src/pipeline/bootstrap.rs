//! The whole of it: plan, show, ask, apply, look again, verify.

use std::io::{self, Write as Out};

use serde::Serialize;

use super::{Prepared, Session};
use crate::apply::{Applied, apply};
use crate::config::Cluster;
use crate::error::{Error, Outcome, Result};
use crate::plan::{Change, Object, Observed, Plan};
use crate::ui::{BAD, BOLD, DIM, Report, Ui};
use crate::vault::{Counts, catching_up};
use crate::verify::{self, Subject, Verification, verify};

/// What a bootstrap did and found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bootstrap {
    /// The plan.
    pub plan: Plan,
    /// What became of it.
    pub applied: Applied,
    /// What Vault holds otherwise than it accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unkept: Vec<Change>,
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
            (false, true) if self.applied.done() == 1 => "1 change made".to_owned(),
            (false, true) => format!("{} changes made", self.applied.done()),
            (false, false) => format!("{} of {} changes made", self.applied.done(), self.plan.changes.len()),
        }];
        if !self.unkept.is_empty() {
            parts.push(format!("{} of them did not hold", self.unkept.len()));
        }
        parts.extend(self.verification.as_ref().map(Verification::summary));
        let failed = self.plan.failed_clusters.iter();
        parts.extend(failed.map(|failed| format!("cluster {} could not be read", failed.cluster)));
        let counts = format!("{} requests to Vault, {} writes", self.requests, self.writes);
        writeln!(out, "\n{BOLD}{}.{BOLD:#} {DIM}{counts}.{DIM:#}", parts.join("; "))
    }
}

/// How a bootstrap is done.
#[derive(Debug, Clone, Copy)]
pub struct How<'a> {
    /// Whether the user said yes beforehand.
    pub yes: bool,
    /// Whether logins prove it.
    pub logins: bool,
    /// The plan that it must be.
    pub saved: Option<&'a Plan>,
}

/// Makes Vault hold what the configuration says and proves it.
///
/// # Errors
/// When nothing could be begun, or when the user says no. What fails along the way is in the report, and the outcome says
/// so.
pub async fn bootstrap(ui: &Ui, session: &Session, how: How<'_>) -> Result<Outcome> {
    if let Some(saved) = how.saved {
        session.check_target(saved)?;
    }
    ui.status(&format!("reading {} and {}", clusters(session), session.address()));
    let mut prepared = session.prepare().await?;
    let interrupt = &session.interrupt;
    interrupt.watch(|| {
        Ui::interject("stopping once what is under way is finished; a second Ctrl-C ends it at once");
    });
    // A saved plan is compared with one that was made in the same way.
    if how.saved.map_or(how.logins, |saved| saved.probed) {
        prepared = session.probe(prepared).await?;
    }
    if let Some(saved) = how.saved {
        super::saved::still_holds(saved, &prepared.plan)?;
        // What depends on the time, such as keys that are due, is as of then.
        ui.status(&format!("the saved plan holds, as of {}", saved.made_at));
    }
    ui.keep_going();
    prepared.warnings.iter().for_each(|warning| ui.caution(warning));
    ui.text(|out| prepared.plan.text(out))?;
    confirm(ui, &prepared.plan, how.yes)?;

    let carried_out = carry_out(ui, session, &prepared).await?;
    let complete = carried_out.complete();
    let CarriedOut { applied, observed, unkept } = carried_out;
    let default_policy = observed.map_or(prepared.observed.default_policy, |observed| observed.default_policy);

    // Where a change failed, a login would only say so again; the other clusters are proved all the same.
    let finished =
        prepared.config.with_clusters(|cluster| !applied.unfinished().any(|object| concerns(object, cluster)));
    let verification = if how.logins && !interrupt.is_set() && (applied.complete() || !finished.clusters.is_empty()) {
        let config = if applied.complete() { &prepared.config } else { &finished };
        let subject = Subject {
            client: &session.client,
            config,
            desired: &prepared.desired,
            default_policy: default_policy.as_deref(),
            connections: &prepared.connections,
            interrupt,
        };
        let progress = ui.progress("logging in", verify::count(config));
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

    let stopped = interrupt.is_set();
    let success = !stopped
        && complete
        && prepared.plan.failed_clusters.is_empty()
        && verification.as_ref().is_none_or(Verification::passed);
    // Before the report, because its end is a request too.
    session.operator.leave(ui).await;
    let Counts { requests, writes } = session.client.counts();
    ui.report(&Bootstrap { plan: prepared.plan, applied, unkept, verification, requests, writes, success })?;
    if stopped {
        ui.warn("the run was interrupted: the next one does what is left");
    }
    Ok(match (stopped, success) {
        (true, _) => Outcome::Interrupted,
        (false, true) => Outcome::Done,
        (false, false) => Outcome::ChecksFailed,
    })
}

/// What came of carrying a plan out.
pub(super) struct CarriedOut {
    /// What became of each change.
    pub(super) applied: Applied,
    /// What Vault holds then; `None` where nothing was to change or something failed.
    pub(super) observed: Option<Observed>,
    /// What it holds otherwise than it accepted.
    pub(super) unkept: Vec<Change>,
}

impl CarriedOut {
    /// Whether everything was done, and holds.
    pub(super) fn complete(&self) -> bool {
        self.applied.complete() && self.unkept.is_empty()
    }
}

/// Makes the changes of a plan that was shown, and looks again: Vault answers 204 to fields that it doesn't know and to
/// policies that aren't there, so only reading back tells.
pub(super) async fn carry_out(ui: &Ui, session: &Session, prepared: &Prepared) -> Result<CarriedOut> {
    let progress = ui.progress("applying", prepared.plan.changes.len());
    let (connections, interrupt) = (&prepared.connections, &session.interrupt);
    let applied = apply(&session.client, connections, &prepared.plan, session.parallelism, &progress, interrupt).await;
    progress.finish_and_clear();
    if prepared.plan.is_empty() {
        return Ok(CarriedOut { applied, observed: None, unkept: Vec::new() });
    }
    ui.text(|out| {
        writeln!(out)?;
        applied.text(out)
    })?;
    if !applied.complete() {
        return Ok(CarriedOut { applied, observed: None, unkept: Vec::new() });
    }
    let (observed, left) = look_again(session, prepared).await?;
    if !left.is_empty() {
        ui.text(|out| {
            writeln!(out, "\n{BAD}Vault accepted every change and yet holds something else:{BAD:#}\n")?;
            left.text(out)
        })?;
        ui.warn("somebody else may be changing the same objects, or this server doesn't know a field; look at `vaultk8s plan`");
    }
    Ok(CarriedOut { applied, observed: Some(observed), unkept: left.changes })
}

/// What Vault holds after all changes, and what of it is otherwise than it should be. A standby that is late, and can't be told
/// what to catch up with, is asked again before its answer counts.
async fn look_again(session: &Session, prepared: &Prepared) -> Result<(Observed, Plan)> {
    let mut waits = catching_up();
    loop {
        let found = session.compare(&prepared.desired, &prepared.connections, prepared.plan.made_at).await;
        let late = match &found {
            Ok((_, left)) => !left.is_empty(),
            Err(_) => true,
        };
        match waits.next() {
            Some(wait) if late && session.client.may_be_late().await => tokio::time::sleep(wait).await,
            _ => return found,
        }
    }
}

/// Whether a cluster's logins depend on an object.
fn concerns(object: &Object, cluster: &Cluster) -> bool {
    match object {
        Object::Mount { mount } | Object::Config { mount } | Object::Role { mount, .. } => *mount == cluster.auth.mount,
        Object::Kubernetes { cluster: other, .. } => *other == cluster.name,
        Object::Policy { name } => cluster.roles.iter().any(|role| role.policies.contains(name)),
    }
}

fn clusters(session: &Session) -> String {
    let names: Vec<&str> = session.config.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    format!("cluster {}", names.join(", "))
}

/// A wrong kubeconfig context must not take over a mount in silence, and a line that fell out of the file must not delete
/// anything in silence.
pub(super) fn confirm(ui: &Ui, plan: &Plan, yes: bool) -> Result<()> {
    let replaced: Vec<String> =
        plan.trust_replaced().map(|(change, why)| format!("{}: {why}", change.object)).collect();
    let deleted: Vec<String> = plan.deletions().map(|change| change.object.to_string()).collect();
    if yes || (replaced.is_empty() && deleted.is_empty()) {
        return Ok(());
    }
    let (mut questions, mut reasons) = (Vec::new(), Vec::new());
    if !replaced.is_empty() {
        let list = replaced.join("\n  ");
        questions.push(format!("This replaces what Vault trusts:\n  {list}\nTokens that work now will be refused."));
        reasons.push(format!("replace what it trusts: {list}"));
    }
    if !deleted.is_empty() {
        questions.push(format!("This deletes:\n  {}", deleted.join("\n  ")));
        reasons.push(format!("delete {}", deleted.join(", ")));
    }
    let unconfirmed =
        || Error::failed(format!("Vault was left as it is, because this would {}", reasons.join("; and it would ")));
    match ui.confirm(&questions.join("\n")) {
        Ok(true) => Ok(()),
        Ok(false) => Err(unconfirmed()),
        Err(error) => Err(unconfirmed().because(error)),
    }
}
