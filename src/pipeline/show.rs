//! Planning alone: what `plan` prints, and `bootstrap --dry-run`.

use super::Prepared;
use crate::error::{Outcome, Result};
use crate::plan::Plan;
use crate::ui::Ui;

/// Prints what would change as the result of the run; the outcome says whether every cluster is in it.
///
/// # Errors
/// When the plan can't be printed.
pub fn show(ui: &Ui, prepared: Prepared) -> Result<(Plan, Outcome)> {
    prepared.warnings.iter().for_each(|warning| ui.caution(warning));
    ui.report(&prepared.plan.document()?)?;
    let missing = !prepared.plan.failed_clusters.is_empty();
    Ok((prepared.plan, if missing { Outcome::ChecksFailed } else { Outcome::Done }))
}
