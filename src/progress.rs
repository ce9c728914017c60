//! How far the work is, for whoever waits.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::text::printable_line;

/// How far the work is, at a terminal's stderr.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar for `steps` steps, where it is `seen` and there are any.
    pub(crate) fn new(what: &'static str, steps: usize, seen: bool) -> Self {
        let target = if seen && steps > 0 { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(u64::try_from(steps).ok(), target);
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
