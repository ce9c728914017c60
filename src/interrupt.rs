//! Ctrl-C while Vault is being changed or logins are under way: what was begun is finished, so that no test's token stays
//! behind, and nothing more is begun. The next run does the rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit code of an interrupted run, as a shell shows a process that SIGINT ended.
const EXIT_CODE: i32 = 130;

/// Whether the user, or a CI system, wants the run to end.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Begins to watch for SIGINT and SIGTERM; until then they end the process at once. `first` is called at the first of
    /// them, and a second one ends the process.
    #[must_use]
    pub fn watch(first: impl FnOnce() + Send + 'static) -> Self {
        let interrupt = Self::default();
        let flag = Arc::clone(&interrupt.0);
        tokio::spawn(async move {
            signal().await;
            flag.store(true, Ordering::Relaxed);
            first();
            signal().await;
            std::process::exit(EXIT_CODE);
        });
        interrupt
    }

    /// Whether a signal came.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Waits for SIGINT or SIGTERM; forever, where they can't be watched.
pub(crate) async fn signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupt => {}
        () = terminated() => {}
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut signals) => _ = signals.recv().await,
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}
