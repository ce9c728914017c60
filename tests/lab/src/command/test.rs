use std::ffi::OsString;
use std::process::{Command, ExitCode};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use lab::supervise::Supervised;
use lab::{Result, RunningLab, STATE_VARIABLE};

use crate::{signals, workspace};

/// What `--quick` leaves out: suites that start many servers of their own, look at hundreds of broken labs, or run hundreds of
/// commands.
const SLOW: [&str; 13] = [
    "catalogue::",
    "drift::",
    "external_secrets::",
    "inventories::",
    "jwt::",
    "keys::",
    "kubernetes::",
    "manage::",
    "operator_policy::",
    "owners::",
    "poison::",
    "rehearse::",
    "standby::",
];

/// `cargo lab test`
pub(crate) fn test(quick: bool, arguments: &[OsString]) -> Result<ExitCode> {
    let running = super::start()?;
    let signals = signals::catch()?;
    let commands = if quick { quick_commands().to_vec() } else { vec![all(arguments)] };
    for arguments in commands {
        let mut cargo = workspace::cargo();
        cargo.arg("test").args(arguments).env(STATE_VARIABLE, running.state_file());
        workspace::isolate(&mut cargo);
        let code = code_of(&running, &cargo, &signals)?;
        if code != 0 {
            return Ok(ExitCode::from(code));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything, or what the arguments name of it.
fn all(arguments: &[OsString]) -> Vec<OsString> {
    let of_one = arguments.iter().any(|argument| argument == "-p" || argument == "--package");
    let everywhere = (!of_one).then(|| OsString::from("--workspace"));
    everywhere.into_iter().chain(arguments.iter().cloned()).collect()
}

/// The unit tests, which are many and short, and then what is not slow of the rest.
fn quick_commands() -> [Vec<OsString>; 2] {
    let units = ["--workspace", "--lib", "--bins"].map(OsString::from).to_vec();
    let mut rest = ["--package", "vaultk8s", "--test", "integration", "--"].map(OsString::from).to_vec();
    rest.extend(SLOW.iter().flat_map(|slow| ["--skip", slow]).map(OsString::from));
    [units, rest]
}

/// Runs a command to its end, or until a signal comes: its exit code, or a shell's for the signal.
pub(super) fn code_of(running: &RunningLab, cargo: &Command, signals: &Receiver<u8>) -> Result<u8> {
    let mut tests = Supervised::command_of(running.lab().run(), "cargo test", cargo)?;
    loop {
        if let Some(status) = tests.exited()? {
            // The supervisor has a shell's answer for a command that a signal ended, so there is always a code.
            return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
        }
        if let Ok(signal) = signals.recv_timeout(Duration::from_millis(50)) {
            return Ok(128 + signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_there() {
        for slow in SLOW {
            let file = workspace::root().join("tests").join(slow.trim_end_matches("::")).with_extension("rs");
            assert!(file.exists(), "{slow} is no suite: {}", file.display());
        }
    }

    #[test]
    fn arguments_go_to_every_package_unless_they_name_one() {
        let of = |arguments: &[&str]| all(&arguments.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of(&["owners::"]), ["--workspace", "owners::"]);
        assert_eq!(of(&["-p", "vaultk8s", "--lib"]), ["-p", "vaultk8s", "--lib"]);
    }
}
