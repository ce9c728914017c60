//! Ctrl-C and its kind, as something to ask for.

use std::future::poll_fn;
use std::sync::mpsc::{self, Receiver};
use std::task::Poll;
use std::thread;

use lab::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};

/// From now on, SIGINT, SIGTERM and SIGHUP don't end the program but arrive here, by number.
pub(crate) fn catch() -> Result<Receiver<u8>> {
    let what = || "can't catch signals".to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context(what)?;
    let guard = runtime.enter();
    let mut signals = Vec::new();
    for (kind, number) in [(SignalKind::interrupt(), 2), (SignalKind::terminate(), 15), (SignalKind::hangup(), 1)] {
        signals.push((signal(kind).context(what)?, number));
    }
    drop(guard);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let number = poll_fn(|context| {
                    let arrived =
                        signals.iter_mut().find_map(|(s, number)| s.poll_recv(context).is_ready().then_some(*number));
                    arrived.map_or(Poll::Pending, Poll::Ready)
                })
                .await;
                if sender.send(number).is_err() {
                    return;
                }
            }
        });
    });
    Ok(receiver)
}
