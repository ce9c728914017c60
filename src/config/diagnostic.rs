//! What is wrong with the file, and where.

use std::collections::BTreeSet;
use std::fmt;

use super::{ConfigFiles, Position};
use crate::error::{Error, ErrorKind};
use crate::names::InvalidName;

/// Something to tell about a place in the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Diagnostic {
    /// Where.
    pub position: Position,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl Diagnostic {
    pub(crate) fn new(position: Position, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { position, message: message.into(), remedy: remedy.into() }
    }

    /// As a warning about a file.
    pub(crate) fn warning(&self, files: &ConfigFiles) -> Error {
        let without_file = files.of(self.position).as_os_str().is_empty();
        let said = if without_file { self.message.clone() } else { self.in_file(files) };
        Error::failed(said).remedy(self.remedy.clone())
    }

    /// The sentence with its place in that of the files which it is about: `vaultk8s.yaml:12:5: …`.
    pub fn in_file(&self, files: &ConfigFiles) -> String {
        format!("{}: {}", files.place(self.position), self.message)
    }
}

/// Everything that is wrong with a file, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The files, as the user named them.
    pub files: ConfigFiles,
    /// The problems: at least one.
    pub problems: Vec<Diagnostic>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&problem.in_file(&self.files))?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl From<ConfigError> for Error {
    /// Wrong usage. With several problems each remedy begins with the place that it is for.
    fn from(error: ConfigError) -> Self {
        let message = error.to_string();
        let several = error.problems.len() > 1;
        let files = error.files;
        error.problems.into_iter().fold(Self::new(ErrorKind::Usage, message), |error, problem| {
            let at = problem.position;
            let file = if files.are_several() { format!("{}:", files.of(at).display()) } else { String::new() };
            error.remedy(if several {
                format!("{file}{}:{}: {}", at.line, at.column, problem.remedy)
            } else {
                problem.remedy
            })
        })
    }
}

/// Collects what there is to say while the reading goes on.
///
/// The same thing about the same place (an alias, an entry for several clusters) is said once.
#[derive(Debug, Default)]
pub(super) struct Problems {
    files: ConfigFiles,
    errors: BTreeSet<Diagnostic>,
    warnings: BTreeSet<Diagnostic>,
}

impl Problems {
    /// None yet, of these files.
    pub(super) fn of(files: ConfigFiles) -> Self {
        Self { files, ..Self::default() }
    }

    /// A line as a message about another place names it.
    pub(super) fn line(&self, of: Position, seen_from: Position) -> String {
        self.files.line(of, seen_from)
    }

    /// Notes what makes the file unusable.
    pub(super) fn add(&mut self, at: Position, message: impl Into<String>, remedy: impl Into<String>) {
        self.errors.insert(Diagnostic::new(at, message, remedy));
    }

    /// Notes what is allowed but should be looked at.
    pub(super) fn warn(&mut self, at: Position, message: impl Into<String>, remedy: impl Into<String>) {
        self.warnings.insert(Diagnostic::new(at, message, remedy));
    }

    /// Notes a name that was refused.
    pub(super) fn name(&mut self, at: Position, error: InvalidName) {
        self.add(at, error.to_string(), error.remedy);
    }

    /// Takes the value of a result, or notes why there is none.
    pub(super) fn accept<T>(&mut self, at: Position, result: Result<T, InvalidName>) -> Option<T> {
        result.map_err(|error| self.name(at, error)).ok()
    }

    /// The number of errors, to tell whether a part of the file added one.
    pub(super) fn count(&self) -> usize {
        self.errors.len()
    }

    /// The errors or, when there are none, the warnings, in the order of the file.
    pub(super) fn into_result(self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        if self.errors.is_empty() {
            Ok(self.warnings.into_iter().collect())
        } else {
            Err(self.errors.into_iter().collect())
        }
    }
}
