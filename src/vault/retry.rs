//! When a request is sent again, and after how long.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

use super::Client;
use super::error::VaultError;

/// Whether a failed request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// The next answer would be the same.
    Never,
    /// It may have been carried out: only where twice is the same as once.
    IfIdempotent,
    /// It was not carried out: it never arrived, or was turned away unread.
    Always,
    /// It was turned away unread, because there were too many.
    MoreSlowly,
}

/// An attempt that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// What the caller is told when this was the last attempt.
    pub(super) error: VaultError,
    /// Whether there may be another one.
    pub(super) again: Again,
    /// How long the server wants to be left alone.
    pub(super) after: Option<Duration>,
}

impl Failure {
    /// A failure that another attempt would not change.
    pub(super) fn last(error: VaultError) -> Self {
        Self { error, again: Again::Never, after: None }
    }

    /// A failure that another attempt may change.
    pub(super) fn passing(error: VaultError, again: Again) -> Self {
        Self { error, again, after: None }
    }
}

/// The waits before each further attempt: jittered and growing from a quarter of a second to five.
pub(super) fn waits(max_retries: u32) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(5))
        .with_max_times(max_retries as usize)
        .with_jitter()
        .build()
}

/// Asks, and asks again while an answer looks like that of a standby that is late and can't be told what to catch up with: up
/// to five times, jittered, within some three seconds in all.
pub(crate) async fn caught_up<T>(client: &Client, ask: impl AsyncFn() -> T, looks_late: impl Fn(&T) -> bool) -> T {
    let mut waits = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_times(5)
        .with_jitter()
        .build();
    loop {
        let answer = ask().await;
        match waits.next() {
            Some(wait) if looks_late(&answer) && client.may_be_late().await => tokio::time::sleep(wait).await,
            _ => return answer,
        }
    }
}

/// How long to wait before the next attempt; `None` when this failure is final.
pub(super) fn next(failure: &Failure, idempotent: bool, waits: &mut ExponentialBackoff) -> Option<Duration> {
    match failure.again {
        // How slowly is decided for all requests together.
        Again::Never | Again::MoreSlowly => None,
        Again::IfIdempotent if !idempotent => None,
        Again::IfIdempotent | Again::Always => waits.next(),
    }
}
