//! Plans in files: made by one run, reviewed, and applied by another if nothing has changed meanwhile.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::Session;
use super::own_file::{Draft, OwnKind};
use crate::document::json_document;
use crate::error::{Error, Result};
use crate::fix::vaultk8s;
use crate::input::{self, InputKind};
use crate::keys::KeyDecisions;
use crate::plan::{PLAN_KIND, Plan};

/// Plans in files.
const SAVED_PLAN: OwnKind = OwnKind {
    kind: PLAN_KIND,
    name: "plan",
    what: "saved plan",
    flag: "--out",
    instead: Some("print the plan with `-o json`"),
    limit: input::PLAN,
};

/// Refuses to save a plan in place of the configuration, or of anything else that isn't a saved plan.
///
/// # Errors
/// When that is what the file is.
pub fn check_plan_file(file: &Path, configuration: &[PathBuf]) -> Result<()> {
    SAVED_PLAN.check(file, configuration)
}

/// Writes a plan to a file that only its owner may read, in place of a plan that was there before.
///
/// # Errors
/// When the file can't be written, or is something else than a saved plan.
pub fn write_plan(file: &Path, plan: &Plan) -> Result<()> {
    let text = json_document(PLAN_KIND, &plan.document()?)?;
    let draft = Draft::begin(SAVED_PLAN, file)
        .map_err(|error| Error::failed(format!("the plan could not be saved to {}", file.display())).because(error))?;
    draft.finish(&text)
}

/// Reads a plan from a file.
///
/// # Errors
/// When it can't be read or isn't a plan of this version.
pub fn read_plan(file: &Path) -> Result<Plan> {
    let text = input::read_text(file, input::PLAN).map_err(|error| {
        Error::usage(format!("the plan {} could not be read", file.display()))
            .because(error)
            .remedy(format!("make one with {}", vaultk8s("plan --out FILE").shown()))
    })?;
    let shown = file.display().to_string();
    input::check(&text, InputKind::OwnDocument).map_err(|mistaken| mistaken.told_of(&shown))?;
    Plan::from_document(&text, &shown)
}

/// Refuses a saved plan that isn't the one that would be made now.
pub(super) fn still_holds(saved: &Plan, now: &Plan) -> Result<()> {
    let differences = saved.differences(now);
    if differences.is_empty() { Ok(()) } else { Err(refused(&differences)) }
}

fn refused(differences: &[String]) -> Error {
    Error::failed(format!("the saved plan does not hold any more: {}", differences.join("; ")))
        .remedy(format!("make the plan anew and look at it: {}", vaultk8s("plan --out FILE").shown()))
}

impl Session {
    /// Makes this session the one that a saved plan was made in: of the same clusters, and pruning as it did.
    ///
    /// # Errors
    /// When the configuration has one of its clusters no more.
    pub fn follow(&mut self, saved: &Plan) -> Result<()> {
        let names: Vec<String> = saved.clusters.iter().map(ToString::to_string).collect();
        let gone = names.iter().find(|name| !self.config.clusters.iter().any(|c| c.name.as_str() == name.as_str()));
        if let Some(gone) = gone {
            return Err(refused(&[format!("cluster {gone} is not in the configuration")]));
        }
        // Clocks of two machines may differ a little; more than that is not a time at which a plan was made.
        if saved.made_at.duration_since(Timestamp::now()) > SignedDuration::from_mins(5) {
            return Err(refused(&[format!("it was made at {}, which is yet to come", saved.made_at)]));
        }
        self.scope.prune = saved.prune;
        self.scope.keys = KeyDecisions { keep: saved.keep_keys.clone(), forget: saved.forget_keys.clone() };
        self.scope.now = Some(saved.made_at);
        self.select(&names)
    }

    /// Refuses a plan for another Vault before anything is asked of this one.
    pub(super) fn check_target(&self, saved: &Plan) -> Result<()> {
        if saved.address == self.address() && saved.namespace == self.namespace() {
            return Ok(());
        }
        let here =
            Plan { address: self.address().to_owned(), namespace: self.namespace().to_owned(), ..Plan::default() };
        Err(Error::failed(format!("the saved plan is for {}, and this is {}", saved.target(), here.target()))
            .remedy("give --address and --namespace as they were when it was made, or make it anew"))
    }
}
