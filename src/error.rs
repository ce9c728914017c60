//! The one error type that reaches the user: a kind, a sentence, its causes and what to do about it.
//!
//! Modules keep error enums of their own where a caller tells cases apart; each of them becomes an [`Error`]
//! at the border of the pipeline. Each layer's sentence says what that layer knows, the cause goes on in
//! [`source`](std::error::Error::source), and the remedy stands apart from both.

mod written;

use std::fmt;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// A `Result` whose error the user sees.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure this is; the only thing that an exit code depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorKind {
    /// The command line, the environment or the configuration file is wrong: nothing was tried.
    Usage,
    /// Something was tried and failed, or a check failed.
    Failed,
}

impl ErrorKind {
    /// The process exit code (see `docs/cli.md`). `2` is not here: it means "changes pending" and is no error.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 64,
            Self::Failed => 1,
        }
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A failure as the user meets it.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    cause: Option<Cause>,
    remedies: Vec<String>,
    forbidden: Option<By>,
}

/// Who refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Vault,
    Cluster,
}

impl Error {
    /// A failure of the given kind, told in one sentence without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), cause: None, remedies: Vec::new(), forbidden: None }
    }

    /// Wrong usage: the command line, the environment or the configuration file.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// Something was tried and failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// Adds the cause below this layer.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Puts a sentence of an outer layer before this error, of the same kind.
    #[must_use]
    pub fn context(self, message: impl Into<String>) -> Self {
        Self::new(self.kind, message).because(self)
    }

    /// Adds what the user can do about it: a command to type, a line to change.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedies.push(remedy.into());
        self
    }

    /// Adds a remedy where there is one.
    #[must_use]
    pub fn maybe_remedy(self, remedy: Option<String>) -> Self {
        match remedy {
            Some(text) => self.remedy(text),
            None => self,
        }
    }

    /// Marks it as a refusal of Vault's: who asks may not, whatever there is.
    #[must_use]
    pub(crate) fn forbidden(self) -> Self {
        Self { forbidden: Some(By::Vault), ..self }
    }

    /// Marks it as a refusal of a cluster's, about which no rule of Vault says anything.
    #[must_use]
    pub(crate) fn forbidden_by_cluster(self) -> Self {
        Self { forbidden: Some(By::Cluster), ..self }
    }

    /// The causes below this one, outermost first.
    fn below(&self) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
        std::iter::successors(std::error::Error::source(self), |error| error.source())
    }

    /// This error, and those of its causes that are of this type too.
    fn layers(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(self.below().filter_map(|error| error.downcast_ref()))
    }

    /// Whether it is a refusal, or comes of one.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.layers().any(|error| error.forbidden.is_some())
    }

    /// Whether it is a refusal of Vault's, or comes of one.
    pub(crate) fn is_forbidden_by_vault(&self) -> bool {
        self.layers().any(|error| error.forbidden == Some(By::Vault))
    }

    /// The kind, which decides the exit code.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What the user can do, from the outermost layer to the innermost.
    pub fn remedies(&self) -> Vec<&str> {
        self.layers().flat_map(|error| &error.remedies).map(String::as_str).collect()
    }

    /// The sentences of the causes below this one, outermost first.
    pub fn causes(&self) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        for sentence in self.below().map(ToString::to_string) {
            // Libraries like to repeat their cause in their own sentence; say each thing once.
            if causes.last().is_none_or(|last| !last.contains(&sentence)) && !self.message.contains(&sentence) {
                causes.push(sentence);
            }
        }
        causes
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl From<std::io::Error> for Error {
    /// For output only: files are read where their path can be named.
    fn from(error: std::io::Error) -> Self {
        Self::failed("the output could not be written").because(error)
    }
}

/// A failure in a document: what an [`Error`] says, without its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Why, in a sentence.
    pub error: String,
    /// The causes below that sentence.
    pub causes: Vec<String>,
    /// What to do.
    pub remedies: Vec<String>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let remedies = error.remedies().into_iter().map(str::to_owned).collect();
        Self { error: error.to_string(), causes: error.causes(), remedies }
    }
}

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Done, or already in order.
    Done,
    /// A check failed; the report on stdout says which.
    ChecksFailed,
    /// There are changes to make, and `--detailed-exitcode` asked to be told.
    ChangesPending,
    /// The user stopped it; the report on stdout says how far it got.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::ChecksFailed => 1,
            Outcome::ChangesPending => 2,
            // As a shell shows a process that SIGINT ended.
            Outcome::Interrupted => 130,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remedies_of_all_layers_are_kept_and_repeated_causes_are_said_once() {
        let inner = Error::failed("the file is locked").remedy("wait");
        let outer = Error::failed("the run stopped").because(inner).remedy("run again");
        assert_eq!(outer.remedies(), ["run again", "wait"]);
        assert_eq!(outer.causes(), ["the file is locked"]);
    }
}
