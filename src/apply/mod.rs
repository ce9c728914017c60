//! Making the changes of a plan, stage by stage, many at once.
//!
//! A change that fails keeps those from being tried that need it, and no others. Stopping at any point is safe: the
//! next run plans what is left.

mod contest;
mod deletion;
mod inventory;
mod meanwhile;

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{StreamExt, iter};
use inventory::{Amending, amend, claim};
use meanwhile::Meanwhile;
use serde::Serialize;

use crate::cluster::{self, Connection, reviewer_jwt};
use crate::error::{Error, Failure, Result};
use crate::interrupt::Interrupt;
use crate::model::{AuthMount, HeldKv, KubernetesConfig, KvVersion, TokenSource, record_key};
use crate::names::{ClusterName, MountPath, PolicyName};
use crate::plan::{Action, Change, Object, Plan, Stage, Write};
use crate::progress::Progress;
use crate::vault::policies::InPlaceOf;
use crate::vault::{
    Client, Done, Request, VaultError, auth_mounts, caught_up, kv, method, policies, write_kubernetes_config,
};

/// What became of each change of a plan, in the plan's order.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The changes with their outcomes.
    pub results: Vec<Applying>,
}

/// What became of one change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Applying {
    /// Whether the object was to be made or changed.
    pub action: Action,
    /// What it is.
    #[serde(flatten)]
    pub object: Object,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: ChangeOutcome,
}

/// What became of a change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum ChangeOutcome {
    /// Vault, or the cluster, holds it now.
    Done,
    /// It was refused.
    Failed(Failure),
    /// It was not tried.
    Skipped {
        /// Why not.
        because: String,
    },
}

impl Applied {
    /// Whether every change was made.
    pub fn complete(&self) -> bool {
        self.results.iter().all(|result| matches!(result.outcome, ChangeOutcome::Done))
    }

    /// The objects whose change was not made.
    pub fn unfinished(&self) -> impl Iterator<Item = &Object> {
        self.results.iter().filter(|result| !matches!(result.outcome, ChangeOutcome::Done)).map(|result| &result.object)
    }

    /// How many changes were made.
    pub fn done(&self) -> usize {
        self.results.iter().filter(|result| matches!(result.outcome, ChangeOutcome::Done)).count()
    }
}

/// The ways to the clusters that can be reached.
pub type Connections = BTreeMap<ClusterName, Connection>;

/// Makes the changes of a plan, with at most `parallelism` requests at a time.
///
/// Nothing is deleted unless everything before it was done. After an interrupt nothing is begun any more, and what is
/// under way is finished.
pub async fn apply(
    client: &Client,
    connections: &Connections,
    plan: &Plan,
    parallelism: usize,
    progress: &Progress,
    interrupt: &Interrupt,
) -> Applied {
    let mut outcomes: Vec<Option<ChangeOutcome>> = plan.changes.iter().map(|_| None).collect();
    let mut missing: BTreeSet<Object> = BTreeSet::new();
    let meanwhile = Meanwhile::since(plan);
    for stage in Stage::ALL {
        let in_stage: Vec<(usize, &Change)> =
            plan.changes.iter().enumerate().filter(|(_, change)| change.stage() == stage).collect();
        let hold_deletions = stage.deletes() && !missing.is_empty();
        let one = async |index: usize, change: &Change| {
            progress.set_message(&change.object.to_string());
            let outcome = match change.needs.iter().find(|object| missing.contains(object)) {
                _ if interrupt.is_set() => ChangeOutcome::Skipped { because: "the run was interrupted".to_owned() },
                Some(object) => ChangeOutcome::Skipped { because: format!("it needs {object}") },
                None if hold_deletions => {
                    ChangeOutcome::Skipped { because: "nothing is deleted before everything else is done".to_owned() }
                }
                None => make(client, connections, change, &meanwhile).await,
            };
            progress.inc(1);
            (index, outcome)
        };
        let done: Vec<(usize, ChangeOutcome)> =
            iter(in_stage).map(|(index, change)| one(index, change)).buffer_unordered(parallelism).collect().await;
        for (index, outcome) in done {
            if !matches!(outcome, ChangeOutcome::Done) {
                missing.insert(plan.changes[index].object.clone());
            }
            outcomes[index] = Some(outcome);
        }
    }
    let results = plan.changes.iter().zip(outcomes).filter_map(|(change, outcome)| {
        Some(Applying { action: change.action, object: change.object.clone(), outcome: outcome? })
    });
    Applied { results: results.collect() }
}

async fn make(client: &Client, connections: &Connections, change: &Change, meanwhile: &Meanwhile<'_>) -> ChangeOutcome {
    let made = match still_so(client, change, meanwhile).await {
        Ok(()) => write(client, connections, change, meanwhile).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(()) => ChangeOutcome::Done,
        Err(error) => ChangeOutcome::Failed((&error).into()),
    }
}

/// Sees to it that what a change is about is as it was when the change was planned, as far as servers don't do so themselves: a policy
/// names its version, and a deletion looks at what it deletes.
async fn still_so(client: &Client, change: &Change, meanwhile: &Meanwhile<'_>) -> Result<()> {
    match &change.write {
        Write::TuneMount { mount, .. }
        | Write::RecordKeys { mount, .. }
        | Write::Config { mount, .. }
        | Write::KubernetesConfig { mount, .. } => meanwhile.same_mount(client, mount).await,
        // What is new to an owner was claimed a moment ago, and what is taken over was agreed.
        Write::Role { mount, name, .. }
            if change.takes_over.is_none() && (change.action == Action::Update || !meanwhile.claims()) =>
        {
            meanwhile.free_role(client, mount, name.as_str()).await
        }
        _ => Ok(()),
    }
}

async fn write(client: &Client, connections: &Connections, change: &Change, meanwhile: &Meanwhile<'_>) -> Result<()> {
    match &change.write {
        Write::Kubernetes { cluster, manifest } => match connection(connections, cluster) {
            Ok(connection) => cluster::apply_manifest(connection, manifest).await,
            Err(error) => Err(error),
        },
        Write::KubernetesConfig { cluster, mount, config, token } => match connection(connections, cluster) {
            Ok(connection) => configure_kubernetes(client, connection, mount, config, token).await,
            Err(error) => Err(error),
        },
        Write::EnableMount { mount, method, description, tune, fixed, options } => {
            send(client, &auth_mounts::enable(mount, *method, description, tune, fixed, options)).await
        }
        Write::EnableKv { mount, namespace } => make_kv(client, mount, namespace.as_deref()).await,
        Write::TuneMount { mount, description, tune } => {
            send(client, &auth_mounts::tune(mount, description.as_deref(), tune)).await
        }
        Write::RecordKeys { mount, options } => send(client, &auth_mounts::set_options(mount, options)).await,
        Write::Config { mount, config } => send_to(client, &method::write_config(mount, config.fields())).await,
        Write::Policy { name, text, cas, version, accessors_of } => {
            let text = &meanwhile.with_accessors(client, text, accessors_of).await?;
            let replaced = match (cas, change.action) {
                (Some(version), _) => InPlaceOf::Strictly(*version),
                (None, Action::Create) => InPlaceOf::Nothing,
                (None, _) => InPlaceOf::Version(*version),
            };
            let request = policies::write(name.as_str(), text, replaced);
            if cas.is_some() { send(client, &request).await } else { put_policy(client, name, text, &request).await }
        }
        Write::Inventory { mount, owner, amendment, anew, taken_from, unseen } => {
            let amending = Amending { owner, mount, amendment, anew: *anew };
            let known = contest::Known { taken_from, unseen: *unseen };
            match change.stage() {
                Stage::Inventories => claim(client, amending, known).await,
                _ => amend(client, amending).await,
            }
        }
        Write::Role { mount, name, role, .. } => send_to(client, &method::write_role(mount, name, role.fields())).await,
        Write::DeleteRole { mount, name, was } => {
            deletion::role(client, (mount, name), was.as_deref(), meanwhile).await
        }
        Write::DeleteCelRole { mount, name } => send(client, &method::delete_cel_role(mount, name)).await,
        Write::DeletePolicy { name, was } => deletion::policy(client, name, was).await,
    }
}

fn connection<'a>(connections: &'a Connections, cluster: &ClusterName) -> Result<&'a Connection> {
    connections.get(cluster).ok_or_else(|| {
        Error::failed(format!("cluster {cluster} can't be reached from here, and this needs it"))
            .remedy("run it where the cluster can be reached")
    })
}

async fn send(client: &Client, request: &Request<Done>) -> Result<()> {
    client.explained(client.send(request).await).await.map(|_| ())
}

/// All auth mounts, by path with a slash at its end.
async fn mounts(client: &Client) -> Result<BTreeMap<String, AuthMount>> {
    Ok(client.explained(client.send(&auth_mounts::list()).await).await?.data)
}

/// A mount, as it is there now: it may have been made a moment ago, or anew, and its accessor is what tells.
///
/// # Errors
/// When it isn't there any more, or Vault can't be asked.
async fn there(client: &Client, mount: &MountPath) -> Result<AuthMount> {
    mounts(client)
        .await?
        .remove(&format!("{mount}/"))
        .ok_or_else(|| Error::failed(format!("auth/{mount} is gone: somebody else is changing the same mounts")))
}

/// Makes a KV mount. One of the same kind that somebody made meanwhile, or a request whose answer was lost, is as good.
async fn make_kv(client: &Client, mount: &MountPath, namespace: Option<&str>) -> Result<()> {
    let refused = match client.send(&kv::enable_in(namespace, mount)).await {
        Err(error @ VaultError::Rejected { status: 400, .. }) => error,
        answer => return client.explained(answer).await.map(|_| ()),
    };
    match kv::held(client, mount).await {
        Ok(HeldKv::There(KvVersion::V2)) => Ok(()),
        _ => Err(refused.into()),
    }
}

/// Writes a policy unless somebody else did since it was read. Of a request that was sent twice, because its answer was lost, the
/// second finds what the first wrote.
async fn put_policy(client: &Client, name: &PolicyName, text: &str, request: &Request<Done>) -> Result<()> {
    let refused = match client.send(request).await {
        Err(error @ VaultError::Rejected { status: 400, .. }) => error,
        Ok(_) => return Ok(()),
        Err(error) => return Err(Error::from(client.explain_forbidden(error).await)),
    };
    match client.find(&policies::read(name.as_str())).await {
        Ok(Some(there)) if there.data.policy == text => Ok(()),
        _ => Err(Error::from(client.explain_forbidden(refused).await)
            .remedy("if somebody else wrote it meanwhile: run it again, and look at the plan")),
    }
}

/// Sends what is for a mount that is there, as an answer said: a standby that hasn't heard of it, and can't be told to wait, is
/// given the time. It turns the request away before it looks at it.
async fn send_to(client: &Client, request: &Request<Done>) -> Result<()> {
    let looks_late =
        |answer: &std::result::Result<Done, VaultError>| answer.as_ref().is_err_and(VaultError::means_no_mount);
    client.explained(caught_up(client, async || client.send(request).await, looks_late).await).await.map(|_| ())
}

/// Gets the reviewer's token, writes the whole configuration with it, and remembers which token it was.
async fn configure_kubernetes(
    client: &Client,
    connection: &Connection,
    mount: &MountPath,
    config: &KubernetesConfig,
    source: &TokenSource,
) -> Result<()> {
    let jwt = reviewer_jwt(connection, source).await?;
    send_to(client, &write_kubernetes_config(mount, config, jwt.as_ref().map(|jwt| &jwt.token))).await?;
    let Some(jwt) = jwt else { return Ok(()) };
    let there = there(client, mount).await?;
    let address = client.address().as_str().trim_end_matches('/');
    cluster::record(connection, &record_key(address, &there.accessor), address, &jwt)
        .await
        .map_err(|error| error.context("Vault has the reviewer's token, but it could not be remembered which"))
}
