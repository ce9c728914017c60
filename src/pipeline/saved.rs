//! Plans in files: made by one run, reviewed, and applied by another if nothing has changed meanwhile.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::Session;
use crate::error::{Error, Result};
use crate::input;
use crate::keys::KeyDecisions;
use crate::plan::{Plan, PlanDocument};
use crate::ui::{API_VERSION, Report, json_document};

/// Refuses to save a plan in place of the configuration, or of anything else that isn't a saved plan.
///
/// # Errors
/// When that is what the file is.
pub fn check_plan_file(file: &Path, configuration: &Path) -> Result<()> {
    if let (Ok(file), Ok(configuration)) = (file.canonicalize(), configuration.canonicalize())
        && file == configuration
    {
        return Err(Error::usage(format!("{} is the configuration itself", file.display()))
            .remedy("name another file with --out, or print the plan with `vaultk8s plan -o json`"));
    }
    keep_others_files(file)
}

/// A saved plan is made anew, and an empty file has nothing to lose; whatever else a slip of the pen names is somebody's.
fn keep_others_files(file: &Path) -> Result<()> {
    let Ok(there) = fs::symlink_metadata(file) else { return Ok(()) };
    if !there.is_file() {
        return Err(Error::usage(format!("{} is not a plain file", file.display()))
            .remedy("name a file, or print the plan with `vaultk8s plan -o json`"));
    }
    if there.len() == 0 || input::read_text(file, input::PLAN).is_ok_and(|text| is_saved_plan(&text)) {
        return Ok(());
    }
    Err(Error::usage(format!("{} is there already and is no saved plan", file.display()))
        .remedy("name another file with --out, or move that one away if it isn't needed"))
}

/// Whether a text is a plan that this program saved, of whatever version.
fn is_saved_plan(text: &str) -> bool {
    let Ok(document) = serde_json::from_str::<serde_json::Value>(text) else { return false };
    let program = API_VERSION.split('/').next();
    let version = document["apiVersion"].as_str().and_then(|version| version.split('/').next());
    document["kind"] == PlanDocument::KIND && version == program
}

/// Writes a plan to a file that only its owner may read, in place of a plan that was there before.
///
/// It holds no secret, but it says who may read what. A new file takes the old one's place, so neither a link nor looser
/// permissions are followed.
///
/// # Errors
/// When the file can't be written, or is something else than a saved plan.
pub fn write_plan(file: &Path, plan: &Plan) -> Result<()> {
    let unwritable = |error| Error::failed(format!("the plan could not be saved to {}", file.display())).because(error);
    keep_others_files(file)?;
    let text = json_document(PlanDocument::KIND, &plan.document()?)?;
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = PathBuf::from(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options
        .open(&new)
        .and_then(|mut out| out.write_all(text.as_bytes()).and_then(|()| out.sync_all()))
        .and_then(|()| fs::rename(&new, file));
    written.map_err(|error| {
        // What is left of it is of no use; that it failed is told.
        let _not_there = fs::remove_file(&new);
        unwritable(error)
    })
}

/// Reads a plan from a file.
///
/// # Errors
/// When it can't be read or isn't a plan of this version.
pub fn read_plan(file: &Path) -> Result<Plan> {
    let text = input::read_text(file, input::PLAN).map_err(|error| {
        Error::usage(format!("the plan {} could not be read", file.display()))
            .because(error)
            .remedy("make one with `vaultk8s plan --out FILE`")
    })?;
    Plan::from_document(&text, &file.display().to_string())
}

/// Refuses a saved plan that isn't the one that would be made now.
pub(super) fn still_holds(saved: &Plan, now: &Plan) -> Result<()> {
    let differences = saved.differences(now);
    if differences.is_empty() { Ok(()) } else { Err(refused(&differences)) }
}

fn refused(differences: &[String]) -> Error {
    Error::failed(format!("the saved plan does not hold any more: {}", differences.join("; ")))
        .remedy("make the plan anew and look at it: `vaultk8s plan --out FILE`")
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
