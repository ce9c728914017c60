//! One step of the pipeline on its own: plan, show, ask, apply, look again. What the small commands do.

use std::io::{self, Write as Out};

use jiff::Timestamp;
use serde::Serialize;

use super::bootstrap::{CarriedOut, carry_out};
use super::consent::{self, Agreed, Asked, Consent};
use super::finish::can_be_finished;
use super::{Prepared, Session};
use crate::apply::{Applied, Connections};
use crate::config::{self, Cluster};
use crate::desired;
use crate::document::Report;
use crate::error::{Error, Outcome, Result};
use crate::fix::vaultk8s;
use crate::model::AuthMethod;
use crate::names::PolicyName;
use crate::plan::{Change, Plan};
use crate::show;
use crate::ui::{BOLD, DIM, Ui};
use crate::vault::{Counts, auth_mounts, policies};

/// What a step did.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The plan.
    pub plan: Plan,
    /// What became of it.
    pub applied: Applied,
    /// What Vault holds otherwise than it accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unkept: Vec<Change>,
    /// How many requests Vault got, retries included.
    pub requests: u64,
    /// How many of them were to change something.
    pub writes: u64,
    /// Whether everything was done.
    pub success: bool,
}

impl Report for Step {
    const KIND: &'static str = "Step";

    /// The summary: the parts were shown as they came.
    fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        let summary = match self.plan.changes.len() {
            0 => "nothing to change".to_owned(),
            1 if self.success => "1 change made".to_owned(),
            all if self.success => format!("{all} changes made"),
            all => format!("{} of {all} changes made", self.applied.done()),
        };
        let counts = format!("{} requests to Vault, {} writes", self.requests, self.writes);
        writeln!(out, "\n{BOLD}{summary}.{BOLD:#} {DIM}{counts}.{DIM:#}")
    }
}

/// Shows the plan and carries it out; with `dry_run` the plan is the result.
///
/// # Errors
/// When the user says no. What fails along the way is in the report, and the outcome says so.
pub async fn step(ui: &Ui, session: &Session, prepared: Prepared, dry_run: bool, consent: &Consent) -> Result<Outcome> {
    if dry_run {
        ui.report(&prepared.plan.document()?)?;
        return Ok(Outcome::Done);
    }
    ui.text(|out| show::plan(out, &prepared.plan))?;
    let asked = Asked { plan: &prepared.plan, vouched: &[], consent, every_change: false };
    if consent::ask(ui, asked, &session.interrupt).await? == Agreed::Interrupted {
        return Ok(Outcome::Interrupted);
    }
    can_be_finished(session, &prepared.plan).await?;
    session.interrupt.watch(|| Ui::interject("stopping once what is under way is finished"));
    let carried_out = carry_out(ui, session, &prepared).await?;
    let success = carried_out.in_order(&prepared.plan, None);
    let CarriedOut { applied, unkept, .. } = carried_out;
    session.operator.leave(ui).await;
    let Counts { requests, writes } = session.client.counts();
    ui.report(&Step { plan: prepared.plan, applied, unkept, requests, writes, success })?;
    Ok(if success { Outcome::Done } else { Outcome::ChecksFailed })
}

impl Session {
    /// Reads Vault and says what has to change for one role of a mount that is there; the mount's method is Vault's to say.
    ///
    /// # Errors
    /// When there is no such mount, when one of the role's policies isn't there, when the role would let in more than it
    /// lists, or when Vault can't be read.
    pub async fn prepare_role(&self, cluster: &Cluster, role: &config::Role) -> Result<Prepared> {
        let (method, ()) = tokio::try_join!(self.method_of(cluster), self.require_policies(&role.policies))?;
        if method == AuthMethod::Kubernetes {
            refuse_more_than_listed(role)?;
        }
        let mut desired = desired::role_alone(cluster, method, role);
        desired.owner.clone_from(&self.config.owner);
        let (observed, plan) = self.compare(&desired, &Connections::new(), Timestamp::now()).await?;
        let (connections, warnings) = (Connections::new(), Vec::new());
        Ok(Prepared {
            config: self.config.clone(),
            desired,
            observed,
            plan,
            connections,
            warnings,
            read_notes: Vec::new(),
        })
    }

    async fn method_of(&self, cluster: &Cluster) -> Result<AuthMethod> {
        let mount = &cluster.auth.mount;
        let mounts = match self.client.send(&auth_mounts::list()).await {
            Ok(mounts) => mounts.data,
            Err(error) => return Err(self.client.explain_forbidden(error).await.into()),
        };
        let hand_on = self.client.hand_on();
        let list = hand_on.cli.run("auth list").shown();
        let flags = || hand_on.flags.iter().map(String::as_str);
        let make = |words| vaultk8s(words).flag("--mount", mount.as_str()).args(flags()).shown();
        let kind = mounts.get(&format!("{mount}/")).map(|mount| mount.kind.as_str());
        match kind {
            Some("jwt") => Ok(AuthMethod::Jwt),
            Some("kubernetes") => Ok(AuthMethod::Kubernetes),
            Some(other) => {
                Err(Error::failed(format!("auth/{mount}/ is a mount of type {other}, which has no such roles"))
                    .remedy(format!("name a jwt or kubernetes mount with --mount; {list} shows them")))
            }
            None => Err(Error::failed(format!("there is no auth mount at auth/{mount}/"))
                .remedy(format!("make it: {}, or {}", make("auth jwt"), make("auth kubernetes")))
                .remedy(format!("or name another with --mount; {list} shows them"))),
        }
    }

    /// Vault accepts a role whose policies don't exist; its logins then may do nothing.
    async fn require_policies(&self, names: &[PolicyName]) -> Result<()> {
        for name in names {
            match self.client.find(&policies::read(name.as_str())).await {
                Ok(Some(_)) => {}
                Ok(None) => {
                    return Err(Error::failed(format!("there is no policy {name} in Vault")).remedy(format!(
                        "make it first: {}",
                        vaultk8s("policy").name_with(name.as_str(), |policy| policy.fixed("--read PATH")).shown()
                    )));
                }
                Err(error) => return Err(self.client.explain_forbidden(error).await.into()),
            }
        }
        Ok(())
    }
}

fn refuse_more_than_listed(role: &config::Role) -> Result<()> {
    let extra = config::let_in_unlisted(role);
    if extra.is_empty() {
        return Ok(());
    }
    Err(Error::usage(format!(
        "the role {} would let in more than it lists: a kubernetes role binds every name in every namespace, so also {}",
        role.name,
        extra.join(", ")
    ))
    .remedy("split it into roles with one namespace, or one name, each"))
}
