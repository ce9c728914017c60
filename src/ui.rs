//! What the user sees: results on stdout, everything else on stderr.
//!
//! A command gives its result as a [`Report`]; which of text, JSON and YAML it becomes is decided here. Status,
//! warnings, progress and questions go to stderr, so that a pipe carries results alone. Colour follows `NO_COLOR`,
//! `CLICOLOR_FORCE`, `CLICOLOR` and then the terminal, which is what `anstream` does. All of it passes the `sink`, which
//! makes visible what others wrote to act on a terminal.

mod sink;

use std::borrow::Cow;
use std::io::{self, BufRead, IsTerminal, Write};
use std::thread;

use serde::Serialize;

pub use self::sink::Ink;
use self::sink::shown;
use crate::document::{Report, json_document, yaml_document};
use crate::error::{Error, Result};
use crate::progress::{self, Progress};
use crate::text::{cut, printable};

/// Headings and names.
pub const BOLD: Ink = Ink::Bold;
/// Details that matter less.
pub const DIM: Ink = Ink::Dim;
/// Things added, and checks passed.
pub const GOOD: Ink = Ink::Good;
/// Things changed, and warnings.
pub const NOTE: Ink = Ink::Note;
/// Things removed, and failures.
pub const BAD: Ink = Ink::Bad;

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// The terminal, as the commands see it.
#[derive(Debug)]
pub struct Ui {
    format: Format,
    quiet: bool,
    interactive: bool,
    progress: bool,
}

impl Ui {
    /// A user interface on the process's own streams.
    pub fn new(format: Format, quiet: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        Self { format, quiet, interactive: terminal && io::stdin().is_terminal(), progress: terminal && !quiet }
    }

    /// Prints a command's result: the one document on stdout.
    ///
    /// # Errors
    /// When stdout can't be written.
    pub fn report<R: Report>(&self, report: &R) -> Result<()> {
        match self.format {
            Format::Text => self.text(|out| report.text(out)),
            Format::Json | Format::Yaml => self.document(R::KIND, report),
        }
    }

    /// Prints text for people on stdout as the work goes on; with `-o json|yaml` the document at the end says it all.
    ///
    /// # Errors
    /// When stdout can't be written.
    pub fn text(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
        if self.format == Format::Text {
            let mut text = Vec::new();
            write(&mut text)?;
            let mut out = anstream::stdout().lock();
            let written = out.write_all(shown(&String::from_utf8_lossy(&text)).as_bytes()).and_then(|()| out.flush());
            return heard(written);
        }
        Ok(())
    }

    /// Prints what has one form only, such as PEM, whatever `-o` says.
    ///
    /// # Errors
    /// When stdout can't be written.
    pub fn verbatim(&self, text: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        // Tabs stand in what is for shells to read.
        let shown = text.split('\t').map(printable).collect::<Vec<_>>().join("\t");
        let written = out.write_all(shown.as_bytes()).and_then(|()| out.flush());
        heard(written)
    }

    fn document<R: Serialize>(&self, kind: &str, report: &R) -> Result<()> {
        self.verbatim(&match self.format {
            Format::Yaml => yaml_document(kind, report)?,
            _ => json_document(kind, report)?,
        })
    }

    /// Says on stderr what is being done.
    pub fn status(&self, message: &str) {
        if !self.quiet {
            complain(&format!("{DIM}{}{DIM:#}", indent(message)));
        }
    }

    /// Says on stderr what must be said even where no `Ui` is at hand, such as in answer to a signal.
    pub fn interject(message: &str) {
        complain(&format!("{NOTE}{message}{NOTE:#}"));
    }

    /// Warns on stderr.
    pub fn warn(&self, message: &str) {
        complain(&format!("{NOTE}warning:{NOTE:#} {}", indent(message)));
    }

    /// Warns on stderr, with the causes and what to do.
    pub fn caution(&self, warning: &Error) {
        let mut lines = vec![format!("{NOTE}warning:{NOTE:#} {}", indent(&warning.to_string()))];
        lines.extend(warning.causes().iter().map(|cause| format!("  {DIM}because:{DIM:#} {}", indent(cause))));
        lines.extend(warning.remedies().iter().map(|remedy| format!("  {GOOD}to do:{GOOD:#} {}", indent(remedy))));
        complain(&lines.join("\n"));
    }

    /// Tells an error: the sentence, its causes, the remedies. With `-o json|yaml` also as a document on stdout.
    pub fn error(&self, error: &Error) {
        let causes = error.causes();
        let remedies = error.remedies();
        let mut lines = vec![format!("{BAD}error:{BAD:#} {}", indent(&error.to_string()))];
        lines.extend(causes.iter().map(|cause| format!("  {DIM}because:{DIM:#} {}", indent(cause))));
        lines.extend(remedies.iter().map(|remedy| format!("  {GOOD}to do:{GOOD:#} {}", indent(remedy))));
        complain(&lines.join("\n"));
        self.error_document(error);
    }

    /// Tells what the command line's parser says, whose words quote what was typed.
    pub fn told_by_clap(text: &str) {
        complain(text.trim_end().replacen("error:", &format!("{BAD}error:{BAD:#}"), 1).as_str());
    }

    /// The document of an error, where a document was asked for; for an error that stderr has told already.
    pub fn error_document(&self, error: &Error) {
        if self.format != Format::Text {
            let report = ErrorReport {
                message: cut(&error.to_string()).into_owned(),
                causes: error.causes().iter().map(|cause| cut(cause).into_owned()).collect(),
                remedies: error.remedies().into_iter().map(cut).collect(),
                exit_code: error.kind().exit_code(),
            };
            // stdout is gone or full: stderr has said it already, and there is nobody else to tell.
            let _unprintable = self.document("Error", &report);
        }
    }

    /// A bar for `steps` steps on a terminal's stderr, and nothing elsewhere.
    pub fn progress(&self, what: &'static str, steps: usize) -> Progress {
        Progress::new(what, steps, self.progress)
    }

    /// What says, where somebody watches the progress, that it takes longer because the server limits the rate of requests.
    pub fn tells_of_waiting(&self) -> impl FnOnce() + Send + 'static {
        let watched = self.progress;
        move || {
            if watched {
                Self::interject("Vault limits the rate of requests (429): asking more slowly");
            }
        }
    }

    /// Whether somebody is at a terminal, to read and to answer.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Why nobody can be asked here; `None` where somebody can.
    pub fn cannot_ask(&self) -> Option<&'static str> {
        match (self.interactive, self.format) {
            (true, Format::Text) => None,
            (true, _) => Some("a document is printed in place of the plan, so nobody can agree to it"),
            (false, _) => Some("nobody can be asked here, without a terminal"),
        }
    }

    /// Asks a question that only `yes` answers in the affirmative. What was typed before it is shown answers nothing.
    ///
    /// # Errors
    /// When the question can't be shown, or no answer be read.
    pub async fn confirm(&self, question: &str) -> Result<bool> {
        drop_typed_ahead()?;
        {
            let mut err = anstream::stderr().lock();
            write!(err, "\n{}\n  Only 'yes' will be accepted: ", shown(question))?;
            err.flush()?;
        }
        Ok(answer().await?.trim() == "yes")
    }
}

/// Drops what lies in the terminal already: it was typed for something else.
fn drop_typed_ahead() -> Result<()> {
    #[cfg(unix)]
    rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush)
        .map_err(|error| Error::failed("the terminal could not be made ready for a question").because(error))?;
    Ok(())
}

/// A line that somebody types. The thread that waits for it keeps neither an interrupt nor the end of the process waiting.
async fn answer() -> Result<String> {
    let unread =
        |error: Box<dyn std::error::Error + Send + Sync>| Error::failed("no answer could be read").because(error);
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let wait = move || {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line).map(|_| line);
        // Whoever asked may have gone away meanwhile.
        let _unheard = sender.send(read);
    };
    thread::Builder::new().spawn(wait).map_err(|error| unread(error.into()))?;
    receiver.await.map_err(|error| unread(error.into()))?.map_err(|error| unread(error.into()))
}

/// A reader of stdout that goes away (`… | head`) has seen enough, and is neither a failure nor a reason to stop: what was
/// begun is finished, and the exit code says how it ended, as it does for who reads on.
fn heard(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Says something on stderr.
fn complain(text: &str) {
    // A closed stderr is the user's choice; there is nowhere left to say so.
    let _unheard = progress::above(|| writeln!(anstream::stderr().lock(), "{}", shown(text)));
}

/// Continuation lines of a cause or remedy stand below their first.
fn indent(text: &str) -> String {
    cut(text).replace('\n', "\n    ")
}

/// An error as a document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ErrorReport<'a> {
    message: String,
    causes: Vec<String>,
    remedies: Vec<Cow<'a, str>>,
    exit_code: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_pipe_is_no_failure_and_a_full_disk_is() {
        let ended = |kind: io::ErrorKind| heard(Err(kind.into()));
        assert!(ended(io::ErrorKind::BrokenPipe).is_ok());
        assert_eq!(ended(io::ErrorKind::StorageFull).unwrap_err().kind(), crate::error::ErrorKind::Failed);
    }
}
