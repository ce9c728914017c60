//! One file per command.

mod build;
mod captures;
mod demo;
mod install;
mod rehearse;
mod test;
mod up;

pub(crate) use captures::captures;
pub(crate) use demo::demo;
pub(crate) use install::install;
pub(crate) use rehearse::rehearse;
pub(crate) use test::test;
pub(crate) use up::up;

use std::path::PathBuf;

use build::build;
use lab::{Context as _, Result, RunningLab};

use crate::console::Step;

/// This program.
fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context(|| "can't find this program".to_owned())
}

/// Installs what is missing and starts everything.
fn start() -> Result<RunningLab> {
    let servers = crate::install::ensure(&this_program()?)?;
    let step = Step::start("starting Vault and Kubernetes");
    let lab = RunningLab::start(&this_program()?, servers)?;
    step.done();
    Ok(lab)
}
