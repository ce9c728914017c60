//! What is wrong with the file, and where.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Position;
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
    pub(crate) fn warning(&self, file: &Path) -> Error {
        let without_file = file.as_os_str().is_empty();
        let said = if without_file { self.message.clone() } else { self.in_file(file) };
        Error::failed(said).remedy(self.remedy.clone())
    }

    /// The sentence with its place in the given file: `vaultk8s.yaml:12:5: …`.
    pub fn in_file(&self, file: &Path) -> String {
        format!("{}: {}", self.position.in_file(file), self.message)
    }
}

/// Everything that is wrong with a file, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as the user named it.
    pub file: PathBuf,
    /// The problems: at least one.
    pub problems: Vec<Diagnostic>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            f.write_str(&problem.in_file(&self.file))?;
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
        error.problems.into_iter().fold(Self::new(ErrorKind::Usage, message), |error, problem| {
            error.remedy(if several {
                format!("{}:{}: {}", problem.position.line, problem.position.column, problem.remedy)
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
    errors: BTreeSet<Diagnostic>,
    warnings: BTreeSet<Diagnostic>,
}

impl Problems {
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
