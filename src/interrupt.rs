//! Ctrl-C while Vault is being changed or logins are under way: what was begun is finished, so that no test's token stays
//! behind, and nothing more is begun. The next run does the rest.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
#[cfg(unix)]
use futures::future::select_all;
use tokio::sync::watch;

/// The exit code of an interrupted run, as a shell shows a process that SIGINT ended.
const EXIT_CODE: i32 = 130;

/// For how long after a signal another one is taken for the same: `timeout` sends one to a process and then to its group, and a terminal
/// that closes sends several kinds.
const SAME: Duration = Duration::from_millis(500);

/// How long an interrupted process may take to say goodbye.
const FAREWELL: Duration = Duration::from_secs(10);

/// Whether the user, or a CI system, wants the run to end. Clones are the same.
#[derive(Clone, Default)]
pub struct Interrupt(Arc<State>);

#[derive(Default)]
struct State {
    /// Whether a signal came that the run is to answer.
    set: watch::Sender<bool>,
    /// Whether somebody listens for signals.
    listening: AtomicBool,
    /// Whether a signal is about to end the process.
    ending: AtomicBool,
    /// What the first signal calls, where the run answers it by itself.
    first: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// What is still to be done when a signal ends the process.
    farewell: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Interrupt {
    /// From now on the first SIGINT, SIGTERM, SIGQUIT or SIGHUP is the run's to answer, by [`Self::is_set`] or [`Self::came`]; `first` is
    /// called then, and a second one ends the process. Until then they end it at once.
    pub fn watch(&self, first: impl FnOnce() + Send + 'static) {
        put(&self.0.first, Box::new(first));
        self.listen();
    }

    /// Says what is to be done before a signal ends the process. One more signal ends it all the same.
    pub fn before_end(&self, farewell: impl Future<Output = ()> + Send + 'static) {
        put(&self.0.farewell, farewell.boxed());
        self.listen();
    }

    /// Whether a signal came that the run is to answer.
    pub fn is_set(&self) -> bool {
        *self.0.set.borrow()
    }

    /// Waits for a signal that the run is to answer.
    pub async fn came(&self) {
        let mut set = self.0.set.subscribe();
        // An error would mean that the sender is gone, and it is in here.
        let _set = set.wait_for(|set| *set).await;
    }

    /// Waits for the end of the process, where a signal is about to end it: what fails meanwhile is no news.
    pub async fn settle(&self) {
        if self.0.ending.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    fn listen(&self) {
        if self.0.listening.swap(true, Ordering::Relaxed) {
            return;
        }
        // Where they can't be watched, they end the process at once.
        if let Ok(signals) = Signals::watch(hangup_ends()) {
            tokio::spawn(Arc::clone(&self.0).answer(signals));
        }
    }
}

impl State {
    /// Answers signals, to the end of the process.
    async fn answer(self: Arc<Self>, mut signals: Signals) {
        loop {
            signals.next().await;
            let Some(first) = take(&self.first) else { break };
            self.set.send_replace(true);
            first();
            same(&mut signals).await;
        }
        self.ending.store(true, Ordering::Relaxed);
        if let Some(farewell) = take(&self.farewell) {
            tokio::select! {
                () = farewell => {}
                () = async { same(&mut signals).await; signals.next().await } => {}
                () = tokio::time::sleep(FAREWELL) => {}
            }
        }
        std::process::exit(EXIT_CODE);
    }
}

/// Lets pass what comes with a signal.
async fn same(signals: &mut Signals) {
    let over = tokio::time::sleep(SAME);
    tokio::pin!(over);
    loop {
        tokio::select! {
            biased;
            () = &mut over => return,
            () = signals.next() => {}
        }
    }
}

fn put<T>(place: &Mutex<Option<T>>, value: T) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
}

fn take<T>(place: &Mutex<Option<T>>) -> Option<T> {
    place.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Whether SIGHUP ends this process, as it does where a terminal or the way to it is lost: under `nohup` it is ignored. Only
/// Linux says so.
#[cfg(unix)]
fn hangup_ends() -> bool {
    /// SIGHUP's place among the signals.
    const HANGUP: u64 = 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    ignored.is_some_and(|ignored| ignored & HANGUP == 0)
}

#[cfg(not(unix))]
fn hangup_ends() -> bool {
    false
}

/// The signals that end a process, each of which is to be answered by whoever watches.
#[cfg(unix)]
pub(crate) struct Signals(Vec<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Signals {
    /// Watches for SIGINT, SIGTERM and SIGQUIT from now on, and for SIGHUP on demand: `nohup` is to keep its meaning.
    pub(crate) fn watch(hangup: bool) -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::quit()];
        let kinds = kinds.into_iter().chain(hangup.then(SignalKind::hangup));
        kinds.map(signal).collect::<io::Result<_>>().map(Self)
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        select_all(self.0.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    }
}

/// Ctrl-C, which is to be answered by whoever watches.
#[cfg(not(unix))]
pub(crate) struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Watches once [`Self::next`] is asked.
    pub(crate) fn watch(_hangup: bool) -> io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next one; forever, where it can't be watched.
    pub(crate) async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
