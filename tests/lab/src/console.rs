//! What people see: status on stderr, results on stdout.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use lab::{Error, Result};

/// A line of status, on stderr.
pub(crate) fn status(line: &str) {
    // Nobody reads it when that fails.
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// A line of the result, on stdout.
pub(crate) fn result(line: &str) -> Result<()> {
    let mut stdout = anstream::stdout();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(|error| Error::new("can't write to standard output").because(error))
}

/// The error that ends the program, on stderr.
pub(crate) fn error(error: &Error) {
    status(&format!("error: {}", error.report()));
}

/// A step that takes a while: a spinner with the elapsed time on a terminal; lines at its start, now and then, and at its
/// end elsewhere.
pub(crate) struct Step {
    name: String,
    started: Instant,
    spinner: Option<ProgressBar>,
    next_line: Duration,
}

impl Step {
    const LINE_EVERY: Duration = Duration::from_secs(30);

    pub(crate) fn start(name: &str) -> Self {
        let spinner = std::io::stderr().is_terminal().then(|| {
            let spinner = ProgressBar::new_spinner().with_prefix(name.to_owned());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}") {
                spinner.set_style(style);
            }
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        });
        if spinner.is_none() {
            status(&format!("{name} …"));
        }
        Self { name: name.to_owned(), started: Instant::now(), spinner, next_line: Self::LINE_EVERY }
    }

    /// Shows that the step goes on, with its latest detail. To be called often.
    pub(crate) fn goes_on(&mut self, detail: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(detail.to_owned());
        } else if self.started.elapsed() > self.next_line {
            status(&format!("{} … {} s {detail}", self.name, self.next_line.as_secs()));
            self.next_line += Self::LINE_EVERY;
        }
    }

    pub(crate) fn done(self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        status(&format!("{}: {:.1} s", self.name, self.started.elapsed().as_secs_f64()));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}
