use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use lab::{Error, Result};

/// `cargo lab rehearse`
pub(crate) fn rehearse(arguments: &[OsString]) -> Result<ExitCode> {
    let program = super::build()?;
    let vault = crate::install::ensure_vault(&super::this_program()?)?;
    // In this process's place, so that Ctrl-C is the rehearsal's own.
    let error = Command::new(program).arg("rehearse").args(arguments).env("VAULTK8S_VAULT_BIN", vault).exec();
    Err(Error::new("can't run vaultk8s").because(error))
}
