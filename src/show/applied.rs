//! What became of the changes of a plan.

use std::io::{self, Write as Out};

use crate::apply::{Applied, ChangeOutcome};
use crate::error::Failure;
use crate::plan::Action;
use crate::ui::{BAD, DIM, GOOD};

/// Writes what became of each change.
///
/// # Errors
/// Those of the writer.
pub fn applied(out: &mut dyn Out, applied: &Applied) -> io::Result<()> {
    for result in &applied.results {
        match &result.outcome {
            ChangeOutcome::Done => {
                let word = match result.action {
                    Action::Create => "created",
                    Action::Update => "changed",
                    Action::Delete => "deleted",
                };
                writeln!(out, "  {GOOD}✓{GOOD:#} {} {DIM}{word}{DIM:#}", result.object)?;
            }
            ChangeOutcome::Failed(failure) => write_failure(out, &result.object.to_string(), failure)?,
            ChangeOutcome::Skipped { because } => {
                writeln!(out, "  {DIM}–{DIM:#} {} {DIM}not tried: {because}{DIM:#}", result.object)?;
            }
        }
    }
    Ok(())
}

/// Writes what failed and why, below the sign of a failure.
pub(super) fn write_failure(out: &mut dyn Out, what: &str, failure: &Failure) -> io::Result<()> {
    let Failure { error, causes, remedies } = failure;
    writeln!(out, "  {BAD}✗{BAD:#} {what}: {}", error.replace('\n', "\n        "))?;
    for cause in causes {
        writeln!(out, "      {DIM}because:{DIM:#} {}", cause.replace('\n', "\n        "))?;
    }
    for remedy in remedies {
        writeln!(out, "      {GOOD}to do:{GOOD:#} {}", remedy.replace('\n', "\n        "))?;
    }
    Ok(())
}
