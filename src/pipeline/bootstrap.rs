//! The whole of it: plan, show, ask, apply, look again, verify.

use std::io::{self, Write as Out};

use serde::Serialize;

use super::consent::{self, Agreed, Asked, Consent};
use super::finish::can_be_finished;
use super::{Prepared, Session};
use crate::apply::{Applied, Connections, apply};
use crate::cluster;
use crate::config::{Cluster, FilePolicy};
use crate::desired::kv_mounts_of;
use crate::document::Report;
use crate::error::{Error, Outcome, Result};
use crate::model::Observed;
use crate::names::MountPath;
use crate::plan::{
    Change, FetchedKeys, LoggedSecrets, Object, Orphan, Plan, Write, strangers_in_words, strangers_remedy,
};
use crate::show;
use crate::ui::{BAD, BOLD, DIM, GOOD, Ui};
use crate::vault::{Counts, caught_up};
use crate::verify::{self, Subject, Verification, refused_as_reviewer, verify};

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
pub struct BootstrapOptions<'a> {
    /// What the user agreed to beforehand.
    pub consent: &'a Consent,
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
pub async fn bootstrap(ui: &Ui, session: &Session, how: BootstrapOptions<'_>) -> Result<Outcome> {
    if let Some(saved) = how.saved {
        session.check_target(saved)?;
    }
    ui.status(&format!("reading {} and {}", clusters(session), session.address()));
    let mut prepared = session.prepare().await?;
    let interrupt = &session.interrupt;
    interrupt.watch(finish_first);
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
    if let Some(token) = &session.brought {
        verify::check_brought(&token.claims, &prepared.config, &prepared.desired.mounts)?;
    }
    ui.text(|out| show::plan(out, &prepared.plan))?;
    // Here the operator has named the keys to keep; in a file, somebody else may have.
    let vouched = if how.saved.is_some() { prepared.plan.keep_keys.as_slice() } else { &[] };
    // A saved plan was looked at when it was made.
    let asked = Asked { plan: &prepared.plan, vouched, consent: how.consent, every_change: how.saved.is_none() };
    match consent::ask(ui, asked, interrupt).await? {
        Agreed::Interrupted => return Ok(Outcome::Interrupted),
        Agreed::Answered => prepared = as_shown(session, prepared).await?,
        Agreed::Yes => {}
    }
    can_be_finished(session, &prepared.plan).await?;
    if !interrupt.is_set() {
        interrupt.watch(finish_first);
    }

    let carried_out = carry_out(ui, session, &prepared).await?;
    let applied = &carried_out.applied;
    // What was read before something was changed may be so no more.
    let before = applied.results.is_empty().then_some(&prepared.observed);
    let observed = carried_out.observed.as_ref().or(before);
    let mounts = observed.map(|observed| &observed.auth_mounts);
    let desired = mounts.map(|mounts| prepared.desired.with_accessors_of(mounts));

    // Where a change failed, a login would only say so again; the other clusters are proved all the same.
    let policies = &prepared.config.policies;
    let finished = prepared
        .config
        .with_clusters(|cluster| !applied.unfinished().any(|object| concerns(object, cluster, policies)));
    let verification = if how.logins && !interrupt.is_set() && (applied.complete() || !finished.clusters.is_empty()) {
        let config = if applied.complete() { &prepared.config } else { &finished };
        let subject = Subject {
            client: &session.client,
            config,
            desired: desired.as_deref().unwrap_or(&prepared.desired),
            observed,
            connections: &prepared.connections,
            interrupt,
            brought: session.brought.as_deref(),
        };
        let progress = ui.progress("logging in", verify::count(config));
        let verification = verify(&subject, session.parallelism, &progress).await;
        progress.finish_and_clear();
        ui.text(|out| {
            writeln!(out, "\n{BOLD}Logins{BOLD:#}")?;
            show::verification(out, &verification)
        })?;
        Some(verification)
    } else {
        None
    };

    let stopped = interrupt.is_set();
    show_strangers(ui, &carried_out.strangers)?;
    // Of a plan without changes it was told a moment ago, and yet what comes last is what is read.
    ui.text(|out| show::fetched(out, &prepared.plan.fetched_keys))?;
    ui.text(|out| show::logged(out, &prepared.plan.logged_secrets))?;
    let success = !stopped && carried_out.in_order(&prepared.plan, verification.as_ref());
    let CarriedOut { applied, unkept, strangers, unseen, .. } = carried_out;
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

/// The same plan, looked at again: a question may have stood open for long.
///
/// # Errors
/// When it isn't the same any more.
async fn as_shown(session: &Session, shown: Prepared) -> Result<Prepared> {
    let mut again = session.prepare_as_of(shown.plan.made_at).await?;
    if shown.plan.probed {
        again = session.probe(again).await?;
    }
    let differences = shown.plan.differences(&again.plan);
    if differences.is_empty() {
        return Ok(again);
    }
    Err(Error::failed(format!("No changes made: what was shown is not so any more: {}", differences.join("; ")))
        .remedy("run it again, and look at the plan once more"))
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
    /// Whether all is now as the file says, as far as anybody can tell: everything was done and holds, nothing else lets
    /// anybody in, and what was tried is as it should be.
    pub(super) fn in_order(&self, plan: &Plan, verification: Option<&Verification>) -> bool {
        self.applied.complete()
            && self.unkept.is_empty()
            && self.strangers.is_empty()
            && self.unseen.is_empty()
            && plan.beyond_changes_in_order()
            && plan.failed_clusters.is_empty()
            && verification.is_none_or(Verification::passed)
    }
}

/// Tries the reviewers' tokens that come from elsewhere, before anything is changed: one that the mount's host doesn't take would end every
/// login, and the one that Vault has can't be read back.
async fn try_reviewers(connections: &Connections, plan: &Plan) -> Result<()> {
    for change in &plan.changes {
        let Write::KubernetesConfig { cluster: name, mount, config, token: source } = &change.write else { continue };
        let Some(jwt) = cluster::from_elsewhere(source)? else { continue };
        let Some(connection) = connections.get(name) else { continue };
        let proxies = connection.proxies_to(&config.kubernetes_host);
        if let Some(refusal) = refused_as_reviewer(config, &jwt.token, &proxies).await {
            return Err(Error::failed(format!(
                "auth/{mount} would get a reviewer's token with which its host takes no reviews: {source}"
            ))
            .because(refusal)
            .remedy("put a token there that the mount's host takes; nothing was changed"));
        }
    }
    Ok(())
}

/// Makes the changes of a plan that was shown, and looks again: Vault answers 204 to fields that it doesn't know and to
/// policies that aren't there, so only reading back tells.
pub(super) async fn carry_out(ui: &Ui, session: &Session, prepared: &Prepared) -> Result<CarriedOut> {
    let progress = ui.progress("applying", prepared.plan.changes.len());
    let (connections, interrupt) = (&prepared.connections, &session.interrupt);
    try_reviewers(connections, &prepared.plan).await?;
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
        show::applied(out, &applied)
    })?;
    if !applied.complete() {
        return Ok(as_planned(applied));
    }
    let (observed, left) = look_again(session, prepared).await?;
    if !left.is_empty() {
        ui.text(|out| {
            writeln!(out, "\n{BAD}Vault accepted every change and yet holds something else:{BAD:#}\n")?;
            show::plan(out, &left)
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
        show::found(out, strangers)?;
        writeln!(out, "  {GOOD}to do:{GOOD:#} {}", strangers_remedy(strangers.iter()))
    })
}

/// What Vault holds after all changes, and what of it is otherwise than it should be. A standby that is late, and can't be told
/// what to catch up with, is asked again before its answer counts.
async fn look_again(session: &Session, prepared: &Prepared) -> Result<(Observed, Plan)> {
    let look = async || session.compare(&prepared.desired, &prepared.connections, prepared.plan.made_at).await;
    let looks_late = |found: &Result<(Observed, Plan)>| found.as_ref().map_or(true, |(_, left)| !left.is_empty());
    caught_up(&session.client, look, looks_late).await
}

/// What the first Ctrl-C is told while Vault may be changed.
fn finish_first() {
    Ui::interject("stopping once what is under way is finished; a second Ctrl-C ends it at once");
}

/// Whether a cluster's logins depend on an object.
fn concerns(object: &Object, cluster: &Cluster, policies: &[FilePolicy]) -> bool {
    let of_roles = |name: &str| cluster.roles.iter().any(|role| role.policies.iter().any(|own| own.as_str() == name));
    match object {
        Object::Mount { mount }
        | Object::SeenKeys { mount }
        | Object::Config { mount }
        | Object::PastKeys { mount }
        | Object::Inventory { mount, .. }
        | Object::Released { mount, .. }
        | Object::Role { mount, .. }
        | Object::CelRole { mount, .. } => *mount == cluster.auth.mount,
        Object::KvMount { mount } => {
            let own = policies.iter().filter(|policy| of_roles(policy.name.as_str()));
            *mount == cluster.kv || kv_mounts_of(own).contains(mount)
        }
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
