//! How the throwaway server ends with the tool, also when the tool is killed.
//!
//! A process can't be asked, without unsafe code, to die with its parent. So the server is the child of a small supervisor,
//! which is this program again (`vaultk8s supervise-rehearsal`), with a pipe from the tool as its standard input. When the tool
//! lets go of the pipe or dies, however it dies, the pipe closes, and the supervisor kills the server and removes its folder.
//! Should the supervisor be killed, the server is, too: what the supervisor starts is this program once more, which asks to die
//! with its parent and then becomes the server.
//! Supervisors are process groups of their own, so that Ctrl-C at a terminal reaches only the tool, which then ends in order.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::oneshot;

use crate::error::{Error, Outcome, Result};
use crate::interrupt::Signals;
use crate::settings::Environment;

/// The first argument of the supervisor, before the command.
pub const SUPERVISE: &str = "supervise-rehearsal";

/// The first argument of what becomes the server, before the supervisor's process id and the command.
pub const BECOME: &str = "become-rehearsal";

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
    let closed = standard_input_closes();
    // Before there is anything to end.
    let mut signals = Signals::watch(true).map_err(|error| Error::failed("signals can't be watched").because(error))?;
    let folder = tempfile::Builder::new()
        .prefix("vaultk8s-rehearsal-")
        .tempdir()
        .map_err(|error| Error::failed("no temporary folder could be made").because(error))?;
    let mut command = dying_with_this(program)?;
    command.args(arguments).current_dir(folder.path()).stdin(Stdio::null()).kill_on_drop(true);
    command.env("HOME", folder.path()).env("TMPDIR", folder.path());
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command
        .spawn()
        .map_err(|error| Error::failed(format!("{} could not be started", program.display())).because(error))?;
    let group = child.id();
    let by_itself = tokio::select! {
        status = child.wait() => Some(status),
        _ = closed => None,
        () = signals.next() => None,
    };
    end_group(group);
    // What it says is of no use any more.
    let _ended = child.kill().await;
    remove(folder).await;
    Ok(if by_itself.is_some_and(|status| status.is_ok_and(|status| status.success())) {
        Outcome::Done
    } else {
        Outcome::ChecksFailed
    })
}

/// The command that becomes a program that ends with this process.
#[cfg(target_os = "linux")]
fn dying_with_this(program: &OsString) -> Result<Command> {
    let failed = |error| Error::failed("this program can't be found").because(error);
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg(BECOME).arg(std::process::id().to_string()).arg(program);
    Ok(command)
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "elsewhere it may fail")]
fn dying_with_this(program: &OsString) -> Result<Command> {
    Ok(Command::new(program))
}

/// Becomes a program that ends with its parent, which is the process of that number; returns only where that fails.
///
/// # Errors
/// When the program can't be started, or the parent is gone.
#[cfg(target_os = "linux")]
pub fn become_program(command: &[OsString]) -> Result<Outcome> {
    use std::os::unix::process::CommandExt as _;

    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    let [parent, program, arguments @ ..] = command else {
        return Err(Error::usage("there is no command to become"));
    };
    let failed = |error| Error::failed(format!("{} could not be started", program.display())).because(error);
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| failed(error.into()))?;
    // It may have ended before it was asked for its death.
    let now = getppid().map(|parent| parent.as_raw_nonzero().to_string());
    if now.as_deref().map(std::ffi::OsStr::new) != Some(parent) {
        return Err(Error::failed("the supervisor is gone"));
    }
    Err(failed(std::process::Command::new(program).args(arguments).exec()))
}

/// Elsewhere nobody asks for it.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn become_program(_command: &[OsString]) -> Result<Outcome> {
    Err(Error::usage("there is no such command"))
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

/// Kills the server and all that it started, such as what a wrapper script runs.
#[cfg(unix)]
fn end_group(leader: Option<u32>) {
    let leader = leader.and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(leader) = leader {
        // An error means that nobody is left in it.
        let _gone = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
    }
}

#[cfg(not(unix))]
fn end_group(_leader: Option<u32>) {}

/// Comes when standard input closes. A thread reads it, because the runtime would wait for a read that it had begun.
fn standard_input_closes() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while matches!(io::stdin().read(&mut buffer), Ok(1..)) {}
        // Nobody waits any more where the server has ended by itself.
        let _late = sender.send(());
    });
    receiver
}
