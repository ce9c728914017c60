//! Making the changes of a plan, stage by stage, many at once.
//!
//! A change that fails keeps those from being tried that need it, and no others. Stopping at any point is safe: the
//! next run plans what is left.

use std::collections::BTreeSet;
use std::io::{self, Write as Out};

use futures::stream::{StreamExt, iter};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::plan::{Action, Change, Object, Plan, Stage, Write};
use crate::ui::{DIM, GOOD, write_failure};
use crate::vault::{Client, Done, Request, VaultError, auth_mounts, method, policies};

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
    pub outcome: Outcome,
}

/// What became of a change.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum Outcome {
    /// Vault holds it now.
    Done,
    /// Vault refused it.
    Failed {
        /// Why, in a sentence.
        error: String,
        /// The causes below that sentence.
        causes: Vec<String>,
        /// What to do.
        remedies: Vec<String>,
    },
    /// It was not tried.
    Skipped {
        /// Why not.
        because: String,
    },
}

impl Applied {
    /// Whether every change was made.
    pub fn complete(&self) -> bool {
        self.results.iter().all(|result| matches!(result.outcome, Outcome::Done))
    }

    /// The objects whose change was not made.
    pub fn unfinished(&self) -> impl Iterator<Item = &Object> {
        self.results.iter().filter(|result| !matches!(result.outcome, Outcome::Done)).map(|result| &result.object)
    }

    /// How many changes were made.
    pub fn done(&self) -> usize {
        self.results.iter().filter(|result| matches!(result.outcome, Outcome::Done)).count()
    }

    /// Writes what became of each change, for people.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        for result in &self.results {
            match &result.outcome {
                Outcome::Done => {
                    let word = match result.action {
                        Action::Create => "created",
                        Action::Update => "changed",
                        Action::Delete => "deleted",
                    };
                    writeln!(out, "  {GOOD}✓{GOOD:#} {} {DIM}{word}{DIM:#}", result.object)?;
                }
                Outcome::Failed { error, causes, remedies } => {
                    write_failure(out, &result.object.to_string(), error, causes, remedies)?;
                }
                Outcome::Skipped { because } => {
                    writeln!(out, "  {DIM}–{DIM:#} {} {DIM}not tried: {because}{DIM:#}", result.object)?;
                }
            }
        }
        Ok(())
    }
}

/// Makes the changes of a plan, with at most `parallelism` requests at a time.
///
/// Nothing is deleted unless everything before it was done. After an interrupt nothing is begun any more, and what is
/// under way is finished.
pub async fn apply(
    client: &Client,
    plan: &Plan,
    parallelism: usize,
    progress: &ProgressBar,
    interrupt: &Interrupt,
) -> Applied {
    let mut outcomes: Vec<Option<Outcome>> = plan.changes.iter().map(|_| None).collect();
    let mut missing: BTreeSet<Object> = BTreeSet::new();
    for stage in Stage::ALL {
        let in_stage: Vec<(usize, &Change)> =
            plan.changes.iter().enumerate().filter(|(_, change)| change.stage() == stage).collect();
        let hold_deletions = stage.deletes() && !missing.is_empty();
        let one = async |index: usize, change: &Change| {
            progress.set_message(change.object.to_string());
            let outcome = match change.needs.iter().find(|object| missing.contains(object)) {
                _ if interrupt.is_set() => Outcome::Skipped { because: "the run was interrupted".to_owned() },
                Some(object) => Outcome::Skipped { because: format!("it needs {object}") },
                None if hold_deletions => {
                    Outcome::Skipped { because: "nothing is deleted before everything else is done".to_owned() }
                }
                None => make(client, change).await,
            };
            progress.inc(1);
            (index, outcome)
        };
        let done: Vec<(usize, Outcome)> =
            iter(in_stage).map(|(index, change)| one(index, change)).buffer_unordered(parallelism).collect().await;
        for (index, outcome) in done {
            if !matches!(outcome, Outcome::Done) {
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

async fn make(client: &Client, change: &Change) -> Outcome {
    match client.send(&request(&change.write)).await {
        Ok(_) => Outcome::Done,
        Err(error) => failed(client, error).await,
    }
}

async fn failed(client: &Client, error: VaultError) -> Outcome {
    let error = Error::from(client.explain_forbidden(error).await);
    let remedies = error.remedies().into_iter().map(str::to_owned).collect();
    Outcome::Failed { error: error.to_string(), causes: error.causes(), remedies }
}

fn request(write: &Write) -> Request<Done> {
    match write {
        Write::EnableMount { mount, method, description } => auth_mounts::enable(mount, *method, description),
        Write::DescribeMount { mount, description } => auth_mounts::describe(mount, description),
        Write::Config { mount, config } => method::write_config(mount, config.fields()),
        Write::Policy { name, text } => policies::write(name, text),
        Write::Role { mount, name, role } => method::write_role(mount, name, role.fields()),
        Write::DeleteRole { mount, name } => method::delete_role(mount, name),
        Write::DeletePolicy { name } => policies::delete(name),
    }
}
