//! How the throwaway server ends with the tool, also when the tool is killed.
//!
//! It is the child of a small supervisor, which is this program again (`vaultk8s supervise-rehearsal`) and makes the server's folder and
//! removes it: see [`supervisor`].
//! Supervisors are process groups of their own, so that Ctrl-C at a terminal reaches only the tool, which then ends in order.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::error::{Error, Outcome, Result};
use crate::interrupt::Signals;
use crate::settings::Environment;

/// The first argument of the supervisor, before the command.
pub const SUPERVISE: &str = "supervise-rehearsal";

/// How many lines of what a process printed are kept.
const LINES: usize = 200;

/// How long a supervisor may take to end.
const ENDING: Duration = Duration::from_secs(10);

/// A process under a supervisor, in a folder of its own. It ends when this is dropped.
pub(super) struct Supervised {
    supervisor: Child,
    /// Closing it ends the process.
    stdin: Option<ChildStdin>,
    /// The last lines that it printed.
    lines: Arc<Mutex<VecDeque<String>>>,
    readers: [tokio::task::JoinHandle<()>; 2],
}

impl Supervised {
    /// Starts a program with these variables and nothing else of the environment but the search path.
    pub(super) fn start(
        environment: &Environment,
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Self> {
        let temporary = environment.get("TMPDIR").filter(|folder| !folder.is_empty()).map(Path::new);
        if let Some(missing) = temporary.filter(|folder| !folder.is_dir()) {
            return Err(Error::usage(format!("the folder for temporary files, {}, is not there", missing.display()))
                .remedy("correct TMPDIR"));
        }
        let failed = |error| Error::failed(format!("{} could not be started", program.display())).because(error);
        let this = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(this);
        command.arg(SUPERVISE).arg(program).args(arguments);
        // VAULT_*, BAO_* and proxies change what a server does.
        command.env_clear().envs(variables.iter().copied());
        for name in ["PATH", "TMPDIR"] {
            command.envs(environment.get(name).map(|value| (name, value)));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        command.process_group(0);
        let mut supervisor = command.spawn().map_err(failed)?;
        let lines = Arc::default();
        let (out, err) = (supervisor.stdout.take(), supervisor.stderr.take());
        let readers = [tokio::spawn(keep(out, Arc::clone(&lines))), tokio::spawn(keep(err, Arc::clone(&lines)))];
        let stdin = supervisor.stdin.take();
        Ok(Self { supervisor, stdin, lines, readers })
    }

    /// Waits until the process has ended by itself and all that it printed was read.
    pub(super) async fn ended(&mut self) {
        // An error means that it has been waited for already.
        let _status = self.supervisor.wait().await;
        for reader in &mut self.readers {
            // A grandchild may keep the pipe open.
            let _read = tokio::time::timeout(Duration::from_secs(1), reader).await;
        }
    }

    /// The last lines that it printed.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let started = std::time::Instant::now();
        // Dropping is no place to await in, and it takes a few milliseconds.
        while matches!(self.supervisor.try_wait(), Ok(None)) && started.elapsed() < ENDING {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

async fn keep(from: Option<impl AsyncRead + Unpin>, lines: Arc<Mutex<VecDeque<String>>>) {
    let Some(from) = from else { return };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while matches!(from.read_until(b'\n', &mut line).await, Ok(1..)) {
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
        line.clear();
    }
}

/// The supervisor: runs a command in a new folder until it ends, standard input closes or a signal comes, and removes the
/// folder.
///
/// # Errors
/// When the folder can't be made or the command can't be started.
pub async fn supervise(command: &[OsString]) -> Result<Outcome> {
    let (program, arguments) = command.split_first().ok_or_else(|| Error::usage("there is no command to supervise"))?;
    // Before there is anything to end.
    let mut signals = Signals::watch(true).map_err(|error| Error::failed("signals can't be watched").because(error))?;
    let folder = tempfile::Builder::new()
        .prefix("vaultk8s-rehearsal-")
        .tempdir()
        .map_err(|error| Error::failed("no temporary folder could be made").because(error))?;
    let failed = |error| Error::failed(format!("{} could not be started", program.display())).because(error);
    let mut command = supervisor::dying_with_this(program).map_err(failed)?;
    command.args(arguments).current_dir(folder.path());
    command.env("HOME", folder.path()).env("TMPDIR", folder.path());
    // The folder has to be removed after the last of its processes.
    #[cfg(unix)]
    command.process_group(0);
    let by_itself = supervisor::run(command, signals.next()).await;
    remove(folder).await;
    Ok(if by_itself.map_err(failed)?.is_some_and(|status| status.success()) {
        Outcome::Done
    } else {
        Outcome::ChecksFailed
    })
}

/// Becomes the server that the supervisor starts; returns only where that fails.
///
/// # Errors
/// When the program can't be started, or the supervisor is gone.
pub fn become_program(command: &[OsString]) -> Result<Outcome> {
    Err(Error::failed("the server of the rehearsal could not be started").because(supervisor::become_program(command)))
}

/// Removes the folder; what was killed a moment ago may still write a last file.
async fn remove(folder: tempfile::TempDir) {
    let path = folder.keep();
    for _ in 0..50 {
        match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            _ => return,
        }
    }
}
