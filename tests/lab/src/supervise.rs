//! How every process of a run dies with it, also when the run is killed.
//!
//! Each is the child of a small supervisor, `lab supervise`: see [`supervisor`]. Supervisors are process groups of their own, so that
//! Ctrl-C at a terminal reaches only the command in front, which then ends them in order.
//!
//! The run's folder is removed in the same way by its janitor, `lab janitor`. Supervisors hold a shared lock on a file of
//! the folder; the janitor removes the folder once it gets the lock for itself.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::future;
use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{Context, Error, Result, Run};

/// A process under a supervisor. Dropping it kills the process, and all that it started.
#[derive(Debug)]
pub struct Supervised {
    name: String,
    supervisor: Child,
    log: Option<PathBuf>,
    /// How long the log was when the process started: a server that is started again writes on.
    log_start: usize,
}

impl Supervised {
    /// Starts a server with an environment of its own, its output in `folder/NAME.log`, and `folder` as its home.
    pub(crate) fn server(
        run: &Run,
        name: &str,
        folder: &Path,
        program: &Path,
        arguments: &[impl AsRef<OsStr>],
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let open = || fs::OpenOptions::new().create(true).append(true).open(&log);
        let (stdout, stderr) =
            open().and_then(|out| Ok((out.try_clone()?, out))).context(|| format!("can't write {}", log.display()))?;
        let mut command = under_supervision(&run.supervisor(), Some(&run.alive()), program, arguments);
        // Nothing of the developer's environment may reach a server: VAULT_*, BAO_* and proxies change what it does.
        command.env_clear().env("HOME", folder).env("TMPDIR", folder);
        // They live for a moment: collecting garbage less often costs memory that nobody else needs, and saves a tenth.
        command.env("GOGC", "400");
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.current_dir(folder).stdout(stdout).stderr(stderr);
        Self::spawn(name, command, Some(log))
    }

    /// Starts a command as it is, with its environment, folder and output. The run's folder stays until it has ended.
    pub fn command_of(run: &Run, name: &str, command: &Command) -> Result<Self> {
        Self::spawn(name, supervising(&run.supervisor(), Some(&run.alive()), command), None)
    }

    /// Starts a command that belongs to no run, with all that it prints in a file: [`Supervised::log`].
    pub fn captured(lab: &Path, name: &str, command: &Command, log: &Path) -> Result<Self> {
        let open = || -> io::Result<(File, File)> {
            let file = File::create(log)?;
            Ok((file.try_clone()?, file))
        };
        let (stdout, stderr) = open().context(|| format!("can't write {}", log.display()))?;
        let mut command = supervising(lab, None, command);
        command.stdout(stdout).stderr(stderr);
        Self::spawn(name, command, Some(log.to_owned()))
    }

    fn spawn(name: &str, mut command: Command, log: Option<PathBuf>) -> Result<Self> {
        let log_start = log.as_ref().and_then(|log| fs::metadata(log).ok()).map_or(0, |log| log.len());
        let log_start = usize::try_from(log_start).unwrap_or(usize::MAX);
        let supervisor = command
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .context(|| format!("can't start {name} ({})", command.get_program().display()))?;
        Ok(Self { name: name.to_owned(), supervisor, log, log_start })
    }

    /// What the process printed so far, and those that had the same log before it.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.read_log()).into_owned()
    }

    pub(crate) fn log_of_this_start(&self) -> String {
        String::from_utf8_lossy(self.read_log().get(self.log_start..).unwrap_or_default()).into_owned()
    }

    fn read_log(&self) -> Vec<u8> {
        self.log.as_ref().map(fs::read).and_then(Result::ok).unwrap_or_default()
    }

    /// The process's exit status, when it has ended by itself.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.supervisor.try_wait().context(|| format!("can't ask for the state of {}", self.name))
    }

    /// The process group that the process is in, with all that it starts: its supervisor leads it.
    pub(crate) fn group(&self) -> u32 {
        self.supervisor.id()
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        // Not Child::wait, which closes the pipe first, and that ends the process.
        loop {
            match self.exited()? {
                Some(status) => return Ok(status),
                None => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    /// Finds out whether the process still runs.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.exited()? {
            None => Ok(()),
            Some(status) => {
                Err(Error::new(format!("{} has ended ({status})", self.name)).output(&self.log_of_this_start()))
            }
        }
    }

    /// Asks `ready` again and again until it answers, the process ends, or the time is up.
    pub(crate) fn wait_until<T>(
        &mut self,
        within: Duration,
        mut ready: impl FnMut(&Self) -> Result<Option<T>>,
    ) -> Result<T> {
        let started = Instant::now();
        loop {
            if let Some(answer) = ready(self)? {
                return Ok(answer);
            }
            self.check()?;
            if started.elapsed() > within {
                let what = format!("{} isn't ready after {} s", self.name, within.as_secs());
                return Err(Error::new(what).output(&self.log_of_this_start()));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the process and all that it started, and waits for that.
    pub fn stop(&mut self) {
        drop(self.supervisor.stdin.take());
        // An error means that it has been waited for already.
        let _ = self.supervisor.wait();
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.stop();
    }
}

fn under_supervision(
    lab: &Path,
    alive: Option<&Path>,
    program: impl AsRef<OsStr>,
    arguments: &[impl AsRef<OsStr>],
) -> Command {
    let mut command = Command::new(lab);
    command.arg("supervise");
    if let Some(alive) = alive {
        command.arg("--alive").arg(alive);
    }
    command.arg("--").arg(program).args(arguments);
    command
}

fn supervising(lab: &Path, alive: Option<&Path>, command: &Command) -> Command {
    let arguments: Vec<&OsStr> = command.get_args().collect();
    let mut supervisor = under_supervision(lab, alive, command.get_program(), &arguments);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => supervisor.env(name, value),
            None => supervisor.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        supervisor.current_dir(folder);
    }
    supervisor
}

/// `lab supervise`: runs a command until it ends or standard input closes.
///
/// # Errors
/// When the command can't be started.
pub fn supervise(alive: Option<&Path>, command: &[OsString]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().ok_or_else(|| Error::new("there is no command to supervise"))?;
    let what = || format!("can't supervise {}", program.display());
    let alive = alive.map(File::open).transpose().context(what)?;
    if let Some(alive) = &alive {
        alive.lock_shared().context(what)?;
    }
    let mut command = supervisor::dying_with_this(program).context(what)?;
    command.args(arguments);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context(what)?;
    let by_itself = runtime.block_on(supervisor::run(command, future::pending())).context(what)?;
    let code = by_itself.map(|status| status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default()));
    Ok(code.map_or(ExitCode::FAILURE, |code| ExitCode::from(u8::try_from(code).unwrap_or(1))))
}

/// Removes the run's folder when dropped, or when this process dies, after the last supervisor of the run has ended.
#[derive(Debug)]
pub struct Janitor(Child);

impl Janitor {
    pub(crate) fn hire(run: &Run) -> Result<Self> {
        Command::new(run.supervisor())
            .arg("janitor")
            .arg(run.folder())
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .map(Self)
            .context(|| "can't start the lab's janitor".to_owned())
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// `lab janitor`: waits for standard input to close and for the last supervisor to end, then removes the folder.
pub fn janitor(folder: &Path) -> Result<ExitCode> {
    // Opened now: it must be the file that the supervisors lock, also when somebody else removes the folder.
    let what = || format!("can't watch {}", folder.display());
    let alive = File::open(folder.join("alive")).context(what)?;
    // Whether it closed or can't be read: there is nobody left to wait for.
    let _ = supervisor::standard_input_closes().blocking_recv();
    alive.lock().context(what)?;
    // What a supervisor killed a moment ago may still write a last file.
    let mut outcome = Ok(());
    for _ in 0..100 {
        outcome = match fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        if outcome.is_ok() && !folder.exists() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    outcome.context(|| format!("can't remove {}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}
