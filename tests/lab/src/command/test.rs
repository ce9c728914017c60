use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use lab::supervise::Supervised;
use lab::{Result, STATE_VARIABLE};

use crate::{signals, workspace};

/// `cargo lab test`
pub(crate) fn test(arguments: &[OsString]) -> Result<ExitCode> {
    let running = super::start()?;
    let signals = signals::catch()?;
    let mut cargo = workspace::cargo();
    cargo.arg("test");
    if !arguments.iter().any(|argument| argument == "-p" || argument == "--package") {
        cargo.arg("--workspace");
    }
    cargo.args(arguments).env(STATE_VARIABLE, running.state_file());
    workspace::isolate(&mut cargo);
    let mut tests = Supervised::command_of(running.lab().run(), "cargo test", &cargo)?;
    loop {
        if let Some(status) = tests.exited()? {
            // The supervisor has a shell's answer for a command that a signal ended, so there is always a code.
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
        }
        if let Ok(signal) = signals.recv_timeout(Duration::from_millis(50)) {
            return Ok(ExitCode::from(128 + signal));
        }
    }
}
