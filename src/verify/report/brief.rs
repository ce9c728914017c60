//! What a bootstrap found at its end: a line for each login, and more where something is wrong.

use std::io::{self, Write as Out};

use serde::Serialize;

use super::text::details;
use super::{About, Section, worst};
use crate::text::printable_line;
use crate::ui::{BOLD, DIM};
use crate::verify::catalogue::{Check, GRANTED, HOST, LOGIN, NOTHING_ELSE, TOKEN};
use crate::verify::finding::Status;

/// Whether a check is of those that say what a login may and may not do, which are worth a line also where they pass.
fn tells_access(check: &Check) -> bool {
    [GRANTED, NOTHING_ELSE, HOST].contains(check)
}

/// What the logins of a bootstrap showed.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// What was found about mounts that a login alone doesn't prove, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Section>,
    /// A section for each service account of each role, in the order of the file.
    pub roles: Vec<Section>,
}

impl Verification {
    /// Whether nothing failed.
    pub fn passed(&self) -> bool {
        self.mounts.iter().chain(&self.roles).all(|section| worst(&section.checks) != Status::Failed)
    }

    /// Writes it for people: a line for each login, and more where something is wrong.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        for section in self.mounts.iter().chain(&self.roles) {
            section.brief(out)?;
        }
        Ok(())
    }

    /// `3 logins verified, 1 failed, 2 not tried`.
    pub fn summary(&self) -> String {
        let count = |status| self.roles.iter().filter(|section| section.login() == status).count();
        let verified = count(Status::Passed);
        let mut parts = vec![format!("{verified} login{} verified", if verified == 1 { "" } else { "s" })];
        for (status, word) in [(Status::Failed, "failed"), (Status::Skipped, "not tried")] {
            if count(status) > 0 {
                parts.push(format!("{} {word}", count(status)));
            }
        }
        let mounts = self.mounts.iter().filter(|section| worst(&section.checks) == Status::Failed).count();
        if mounts > 0 {
            parts.push(format!("{mounts} mounts not in order"));
        }
        parts.join(", ")
    }
}

impl Section {
    /// What became of a login: passed, failed or not tried.
    fn login(&self) -> Status {
        let has = |status: Status| self.checks.iter().any(|check| check.finding.status == status);
        if has(Status::Failed) {
            Status::Failed
        } else if self.checks.iter().any(|check| check.check == LOGIN && check.finding.status == Status::Passed) {
            Status::Passed
        } else {
            Status::Skipped
        }
    }

    /// The lines of a bootstrap: of what is in order, only what the login may and may not do.
    fn brief(&self, out: &mut dyn Out) -> io::Result<()> {
        let status = match &self.about {
            About::Role { .. } if self.login() == Status::Skipped => Status::Skipped,
            _ => worst(&self.checks),
        };
        let (sign, style) = status.sign();
        writeln!(out, "  {style}{sign}{style:#} {BOLD}{}{BOLD:#}", printable_line(&self.about.to_string()))?;
        for result in &self.checks {
            let status = result.finding.status;
            let quiet = match status {
                Status::Passed => !tells_access(&result.check),
                Status::NotReached => true,
                Status::Skipped => ![TOKEN, LOGIN].contains(&result.check),
                _ => false,
            };
            if quiet {
                continue;
            }
            let (sign, style) = status.sign();
            writeln!(
                out,
                "      {style}{sign}{style:#} {DIM}{}{DIM:#} {}",
                result.check.id,
                printable_line(&result.finding.detail)
            )?;
            if status != Status::Passed {
                details(&result.finding, out, "          ")?;
            }
            if status == Status::Failed {
                writeln!(out, "          {DIM}see {}{DIM:#}", result.docs)?;
            }
        }
        Ok(())
    }
}
