//! What a bootstrap found at its end: a line for each login, and more where something is wrong.

use std::io::{self, Write as Out};

use super::diagnosis::{details, sign_of};
use crate::text::printable_line;
use crate::ui::{BOLD, DIM};
use crate::verify::catalogue::{GRANTED, HOST, LOGIN, NOTHING_ELSE, TOKEN};
use crate::verify::{About, Check, Section, Status, Verification, worst};

/// Whether a check is of those that say what a login may and may not do, which are worth a line also where they pass.
fn tells_access(check: &Check) -> bool {
    [GRANTED, NOTHING_ELSE, HOST].contains(check)
}

/// Writes what the logins of a bootstrap showed.
///
/// # Errors
/// Those of the writer.
pub fn verification(out: &mut dyn Out, found: &Verification) -> io::Result<()> {
    found.mounts.iter().chain(&found.roles).try_for_each(|section| brief(out, section))
}

/// The lines of a bootstrap: of what is in order, only what the login may and may not do.
fn brief(out: &mut dyn Out, section: &Section) -> io::Result<()> {
    let status = match &section.about {
        About::Role { .. } if section.login() == Status::Skipped => Status::Skipped,
        _ => worst(&section.checks),
    };
    let (sign, style) = sign_of(status);
    writeln!(out, "  {style}{sign}{style:#} {BOLD}{}{BOLD:#}", printable_line(&section.about.to_string()))?;
    for result in &section.checks {
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
        let (sign, style) = sign_of(status);
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
