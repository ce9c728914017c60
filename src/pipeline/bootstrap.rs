//! The whole of it: plan, show, ask, apply, look again, verify.

use std::io::{self, Write as Out};

use serde::Serialize;

use super::{Prepared, Session};
use crate::apply::{Applied, apply};
use crate::config::Cluster;
use crate::error::{Error, Outcome, Result};
use crate::names::MountPath;
use crate::plan::{
    Change, FetchedKeys, ForeignKey, LoggedSecrets, Object, Observed, Orphan, Plan, STRANGERS_REMEDY,
    strangers_in_words, write_fetched, write_found, write_logged,
};
use crate::ui::{BAD, BOLD, DIM, GOOD, Report, Ui, printable};
use crate::vault::{Counts, caught_up};
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
    /// The roles that exclusive mounts hold at the end beside those of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub strangers: Vec<Orphan>,
    /// The exclusive mounts whose roles could not be listed at the end, so that nobody knows whether there are others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unseen: Vec<MountPath>,
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
        if !self.strangers.is_empty() {
            parts.push(strangers_in_words(self.strangers.len()));
        }
        parts.extend(self.plan.fetched_keys.iter().map(FetchedKeys::in_words));
        parts.extend(self.plan.logged_secrets.iter().map(LoggedSecrets::in_words));
        parts.extend(self.unseen.iter().map(|mount| format!("the roles of auth/{mount} could not be listed")));
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
    prepared.warnings.iter().for_each(|warning| ui.caution(warning));
    ui.text(|out| prepared.plan.text(out))?;
    // Here the operator has named the keys to keep; in a file, somebody else may have.
    let vouched = if how.saved.is_some() { prepared.plan.keep_keys.as_slice() } else { &[] };
    confirm(ui, &prepared.plan, vouched, how.yes)?;

    let carried_out = carry_out(ui, session, &prepared).await?;
    let complete = carried_out.complete();
    let CarriedOut { applied, observed, unkept, strangers, unseen } = carried_out;
    // What was read before something was changed may be so no more.
    let observed = observed.or_else(|| applied.results.is_empty().then_some(prepared.observed));

    // Where a change failed, a login would only say so again; the other clusters are proved all the same.
    let finished =
        prepared.config.with_clusters(|cluster| !applied.unfinished().any(|object| concerns(object, cluster)));
    let verification = if how.logins && !interrupt.is_set() && (applied.complete() || !finished.clusters.is_empty()) {
        let config = if applied.complete() { &prepared.config } else { &finished };
        let subject = Subject {
            client: &session.client,
            config,
            desired: &prepared.desired,
            observed: observed.as_ref(),
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
    show_strangers(ui, &strangers)?;
    // Of a plan without changes it was told a moment ago, and yet what comes last is what is read.
    ui.text(|out| write_fetched(out, &prepared.plan.fetched_keys))?;
    ui.text(|out| write_logged(out, &prepared.plan))?;
    let success = !stopped
        && prepared.plan.beyond_changes_in_order()
        && complete
        && strangers.is_empty()
        && unseen.is_empty()
        && prepared.plan.failed_clusters.is_empty()
        && verification.as_ref().is_none_or(Verification::passed);
    // Before the report, because its end is a request too.
    session.operator.leave(ui).await;
    let Counts { requests, writes } = session.client.counts();
    ui.report(&Bootstrap {
        plan: prepared.plan,
        applied,
        unkept,
        strangers,
        unseen,
        verification,
        requests,
        writes,
        success,
    })?;
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
    /// The roles that exclusive mounts hold beside those of the file.
    pub(super) strangers: Vec<Orphan>,
    /// The exclusive mounts whose roles could not be listed.
    pub(super) unseen: Vec<MountPath>,
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
    let as_planned = |applied| CarriedOut {
        applied,
        observed: None,
        unkept: Vec::new(),
        strangers: prepared.plan.strangers().cloned().collect(),
        unseen: prepared.plan.unseen.clone(),
    };
    if prepared.plan.is_empty() {
        return Ok(as_planned(applied));
    }
    ui.text(|out| {
        writeln!(out)?;
        applied.text(out)
    })?;
    if !applied.complete() {
        return Ok(as_planned(applied));
    }
    let (observed, left) = look_again(session, prepared).await?;
    if !left.is_empty() {
        ui.text(|out| {
            writeln!(out, "\n{BAD}Vault accepted every change and yet holds something else:{BAD:#}\n")?;
            left.text(out)
        })?;
        ui.warn("somebody else may be changing the same objects, or this server doesn't know a field; look at `vaultk8s plan`");
    }
    let strangers = left.strangers().cloned().collect();
    let unseen = left.unseen;
    Ok(CarriedOut { applied, observed: Some(observed), unkept: left.changes, strangers, unseen })
}

/// Says at the end what nobody asked to delete: with it there, what the file says of a mount is not true.
fn show_strangers(ui: &Ui, strangers: &[Orphan]) -> Result<()> {
    if strangers.is_empty() {
        return Ok(());
    }
    ui.text(|out| {
        writeln!(out, "\n{BAD}Not in order: {}{BAD:#}", strangers_in_words(strangers.len()))?;
        write_found(out, strangers)?;
        writeln!(out, "  {GOOD}to do:{GOOD:#} {STRANGERS_REMEDY}")
    })
}

/// Says how the operator decides about keys one by one.
fn name_the_keys<'a>(error: Error, keys: impl IntoIterator<Item = &'a ForeignKey>) -> Error {
    keys.into_iter().filter_map(|key| Some((key, key.kid.as_ref()?))).fold(error, |error, (key, kid)| {
        error.remedy(format!(
            "if {} was a key of cluster {} and its tokens may still live: --keep-key {kid}; else: --forget-key {kid}",
            key.key, key.cluster
        ))
    })
}

/// What Vault holds after all changes, and what of it is otherwise than it should be. A standby that is late, and can't be told
/// what to catch up with, is asked again before its answer counts.
async fn look_again(session: &Session, prepared: &Prepared) -> Result<(Observed, Plan)> {
    let look = async || session.compare(&prepared.desired, &prepared.connections, prepared.plan.made_at).await;
    let looks_late = |found: &Result<(Observed, Plan)>| found.as_ref().map_or(true, |(_, left)| !left.is_empty());
    caught_up(&session.client, look, looks_late).await
}

/// Whether a cluster's logins depend on an object.
fn concerns(object: &Object, cluster: &Cluster) -> bool {
    match object {
        Object::Mount { mount }
        | Object::SeenKeys { mount }
        | Object::Config { mount }
        | Object::PastKeys { mount }
        | Object::Role { mount, .. }
        | Object::CelRole { mount, .. } => *mount == cluster.auth.mount,
        Object::Kubernetes { cluster: other, .. } => *other == cluster.name,
        Object::Policy { name } => {
            cluster.roles.iter().any(|role| role.policies.iter().any(|policy| name.is(policy.as_str())))
        }
    }
}

fn clusters(session: &Session) -> String {
    let names: Vec<&str> = session.config.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    format!("cluster {}", names.join(", "))
}

/// A wrong kubeconfig context must not take over a mount in silence, and a line that fell out of the file must not delete
/// anything in silence.
///
/// `vouched` are the keys that are kept because a file says so.
pub(super) fn confirm(ui: &Ui, plan: &Plan, vouched: &[String], yes: bool) -> Result<()> {
    let replaced: Vec<String> =
        plan.trust_replaced().map(|(change, why)| format!("{}: {why}", change.object)).collect();
    let deleted: Vec<String> = plan.deletions().map(|change| change.object.to_string()).collect();
    // Said beforehand, a yes can't tell a key that was rotated out from one that somebody put in.
    let undecided: Vec<&ForeignKey> = plan.foreign_keys.iter().filter(|key| key.undecided).collect();
    if yes && !undecided.is_empty() {
        let keys: Vec<String> = undecided.iter().map(|key| format!("auth/{} {}", key.mount, key.key)).collect();
        return Err(name_the_keys(
            Error::failed(format!(
                "Vault was left as it is, because --yes doesn't decide about pinned keys that no cluster publishes where \
                 nothing is recorded yet, or only what can't be true: {}",
                keys.join(", ")
            )),
            undecided,
        ));
    }
    let widened: Vec<String> =
        plan.trust_widened().map(|found| format!("auth/{} {}", found.mount, found.in_words())).collect();
    if yes || [&replaced, &deleted, &widened].iter().all(|reasons| reasons.is_empty()) && vouched.is_empty() {
        return Ok(());
    }
    let (mut questions, mut reasons) = (Vec::new(), Vec::new());
    if !replaced.is_empty() {
        let list = replaced.join("\n  ");
        questions.push(format!("This replaces what Vault trusts:\n  {list}\nTokens that work now will be refused."));
        reasons.push(format!("replace what it trusts: {list}"));
    }
    if !widened.is_empty() {
        let list = widened.join("\n  ");
        questions.push(format!("This makes Vault trust more than the cluster's keys:\n  {list}"));
        reasons.push(format!("trust keys that the cluster doesn't publish: {list}"));
    }
    if !deleted.is_empty() {
        questions.push(format!("This deletes:\n  {}", deleted.join("\n  ")));
        reasons.push(format!("delete {}", deleted.join(", ")));
    }
    if !vouched.is_empty() {
        let keys = printable(&vouched.join(", "));
        questions.push(format!("The saved plan vouches for keys that nobody was seen to publish:\n  {keys}"));
        reasons.push(format!("keep trusting keys that only the saved plan vouches for: {keys}"));
    }
    let unconfirmed = || {
        let said = format!("Vault was left as it is, because this would {}", reasons.join("; and it would "));
        name_the_keys(Error::failed(said), plan.foreign_keys.iter())
    };
    match ui.confirm(&questions.join("\n")) {
        Ok(true) => Ok(()),
        Ok(false) => Err(unconfirmed()),
        Err(error) => Err(unconfirmed().because(error)),
    }
}
