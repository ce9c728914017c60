//! How far the work is, for whoever waits.

use std::sync::LazyLock;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::text::printable_line;

/// The bars that are seen.
static SEEN: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Writes on the terminal, with no bar in the way.
pub(crate) fn above<T>(write: impl FnOnce() -> T) -> T {
    SEEN.suspend(write)
}

/// How far the work is, at a terminal's stderr.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar for `steps` steps, where it is `seen` and there are any.
    pub(crate) fn new(what: &'static str, steps: usize, seen: bool) -> Self {
        let bar = ProgressBar::with_draw_target(u64::try_from(steps).ok(), ProgressDrawTarget::hidden());
        let bar = if seen && steps > 0 { SEEN.add(bar) } else { bar };
        if let Ok(style) = ProgressStyle::with_template("{prefix:>10} [{bar:30}] {pos}/{len} {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(what);
        Self(bar)
    }

    /// One that nobody sees.
    #[cfg(test)]
    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// Says what is being done now.
    pub fn set_message(&self, message: &str) {
        self.0.set_message(printable_line(message));
    }

    /// Says how many steps there are.
    pub fn set_length(&self, steps: u64) {
        self.0.set_length(steps);
    }

    /// Says that so many more are done.
    pub fn inc(&self, steps: u64) {
        self.0.inc(steps);
    }

    /// Takes it away.
    pub fn finish_and_clear(&self) {
        self.0.finish_and_clear();
    }
}
