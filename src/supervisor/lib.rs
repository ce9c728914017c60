//! How a process ends with whoever had it started, also when that is killed.
//!
//! A process can't be asked, without unsafe code, to die with its parent. So a server is the child of a small supervisor, whose
//! standard input is a pipe from whoever wants the server. When that one lets go of the pipe or dies, however it dies, the pipe
//! closes, and the supervisor kills the server ([`run`]). Should the supervisor be killed, the server is, too: what the supervisor
//! starts is its own program once more ([`dying_with_this`]), which asks to die with its parent and then becomes the server
//! ([`become_program`]).

use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, Command};
use tokio::sync::oneshot;

/// The first argument of what becomes another program, before its parent's process id and the command. A program that calls
/// [`dying_with_this`] hands what follows it to [`become_program`].
pub const BECOME: &str = "become-supervised";

/// The command that becomes a program which ends with this process: arguments, environment and streams are the caller's to add.
///
/// # Errors
/// When this program can't be found.
#[cfg(target_os = "linux")]
pub fn dying_with_this(program: &OsStr) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(BECOME).arg(std::process::id().to_string()).arg(program);
    Ok(command)
}

/// Elsewhere a process can't ask for its death.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn dying_with_this(program: &OsStr) -> io::Result<Command> {
    Ok(Command::new(program))
}

/// Becomes the program that stands, with its arguments, after the parent's process id, and ends with that parent. Returns only
/// where that fails: the program can't be started, or the parent is gone.
#[cfg(target_os = "linux")]
pub fn become_program(command: &[OsString]) -> io::Error {
    use std::os::unix::process::CommandExt as _;

    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    let [parent, program, arguments @ ..] = command else {
        return io::Error::new(io::ErrorKind::InvalidInput, "there is no command to become");
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // It may have ended before it was asked for its death.
    let now = getppid().map(|parent| parent.as_raw_nonzero().to_string());
    if now.as_deref().map(OsStr::new) != Some(parent) {
        return io::Error::other("the supervisor is gone");
    }
    std::process::Command::new(program).args(arguments).exec()
}

/// Elsewhere nobody asks for it.
#[cfg(not(target_os = "linux"))]
pub fn become_program(_command: &[OsString]) -> io::Error {
    io::ErrorKind::Unsupported.into()
}

/// Runs a command until it ends, until standard input closes, or until `end` comes; what it started and left is killed with it. The
/// status is of a command that ended by itself.
///
/// # Errors
/// When the command can't be started.
pub async fn run(mut command: Command, end: impl Future<Output = ()>) -> io::Result<Option<ExitStatus>> {
    let closed = standard_input_closes();
    let mut child = command.stdin(Stdio::null()).kill_on_drop(true).spawn()?;
    let group = Group::of(&child);
    let by_itself = tokio::select! {
        status = child.wait() => Some(status?),
        _ = closed => None,
        () = end => None,
    };
    if by_itself.is_none() {
        // What it says is of no use any more.
        let _ended = child.kill().await;
        group.end();
    } else {
        group.end_others();
    }
    Ok(by_itself)
}

/// The process group of a child: what a wrapper script runs, or the compilers that a build has started.
#[cfg(unix)]
enum Group {
    /// One that it leads.
    OfItsOwn(rustix::process::Pid),
    /// That of this process, which leads it.
    Shared,
    /// Started by hand, a supervisor may share the group of a shell's other commands.
    OfOthers,
}

#[cfg(unix)]
impl Group {
    fn of(child: &Child) -> Self {
        use rustix::process::{Pid, getpgid, getpid};

        let child = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        match getpgid(child) {
            Ok(group) if Some(group) == child => Self::OfItsOwn(group),
            Ok(group) if group == getpid() => Self::Shared,
            _ => Self::OfOthers,
        }
    }

    /// Kills all of it, and this process, where it leads it.
    fn end(&self) {
        if matches!(self, Self::Shared) {
            kill(rustix::process::getpid());
        }
        self.end_others();
    }

    /// Kills what the child left of it.
    fn end_others(&self) {
        if let Self::OfItsOwn(group) = self {
            kill(*group);
        }
    }
}

#[cfg(unix)]
fn kill(group: rustix::process::Pid) {
    // An error means that nobody is left in it.
    let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
}

#[cfg(not(unix))]
struct Group;

#[cfg(not(unix))]
impl Group {
    fn of(_child: &Child) -> Self {
        Self
    }

    fn end(&self) {}

    fn end_others(&self) {}
}

/// Comes when standard input closes. A thread reads it, because the runtime would wait for a read that it had begun.
pub fn standard_input_closes() -> oneshot::Receiver<()> {
    let (sender, receiver) = oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while matches!(io::stdin().read(&mut buffer), Ok(1..)) {}
        // Nobody waits any more where the process has ended by itself.
        let _late = sender.send(());
    });
    receiver
}
