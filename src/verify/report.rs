//! What verification found, sorted, apart from how it found it and from how it is shown.

use serde::Serialize;

use super::catalogue::Severity;
use super::cause::Cause;
use super::consequences::arrange;
use super::finding::{CheckResult, Status};
use super::outrank::outrank;
use super::section::{About, Section};
use super::unproved::fail_where_nothing_was_proved;

/// What was found, section by section.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// Whether no check failed, and all were made.
    pub success: bool,
    /// Whether it ended before all was looked at.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Whether there is no role that could have been verified, or none of the checks could be made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nothing_verified: bool,
    /// What failed or should be looked at: the worst first, then in the order in which a login goes.
    pub causes: Vec<Cause>,
    /// Everything that was looked at.
    pub sections: Vec<Section>,
}

/// What is said where there is no role.
pub(super) const NOTHING_VERIFIED: &str = "nothing was verified: there are no roles";

/// What is said where no check found anything out.
pub(super) const NOTHING_CHECKED: &str = "nothing was verified: none of the checks that were asked for could be made";

impl Diagnosis {
    /// Sorts what was found.
    pub(super) fn new(mut sections: Vec<Section>) -> Self {
        fail_where_nothing_was_proved(&mut sections);
        Self::sorted(sections)
    }

    fn sorted(mut sections: Vec<Section>) -> Self {
        outrank(&mut sections);
        let told = |status: Status| matches!(status, Status::Failed | Status::Warning);
        let all = sections.iter().flat_map(|section| section.checks.iter().map(|result| (&section.about, result)));
        let mut causes: Vec<Cause> = Vec::new();
        for (about, result) in all.filter(|(_, result)| told(result.finding.status)) {
            match causes.iter_mut().find(|cause| cause.is_of(result)) {
                Some(cause) => cause.take(about, &result.finding),
                None => causes.push(Cause::new(about, result)),
            }
        }
        // A stable sort: within the same severity the order is that of the way.
        causes.sort_by_key(|cause| {
            let failed = cause.result.finding.status == Status::Failed;
            if failed { cause.result.check.severity } else { Severity::Advises }
        });
        arrange(&mut causes);
        let success = causes.iter().all(|cause| cause.result.finding.status != Status::Failed);
        Self { success, interrupted: false, nothing_verified: false, causes, sections }
    }

    /// What was found where there is no role: that says nothing of anybody's login, so that it is no success.
    pub(super) fn of_no_role(sections: Vec<Section>) -> Self {
        Self { success: false, nothing_verified: true, ..Self::new(sections) }
    }

    /// What the checks found that were asked for. Where none of them could be made, nothing is in order.
    pub(super) fn of_checks(sections: Vec<Section>) -> Self {
        let found =
            |result: &CheckResult| matches!(result.finding.status, Status::Passed | Status::Failed | Status::Warning);
        let made = sections.iter().flat_map(|section| &section.checks).any(found);
        let all = Self::new(sections);
        if made { all } else { Self { success: false, nothing_verified: true, ..all } }
    }

    /// What is said of it where nothing was verified.
    pub(crate) fn nothing(&self) -> Option<&'static str> {
        let roles = self.sections.iter().any(|section| matches!(section.about, About::Role { .. }));
        self.nothing_verified.then_some(if roles { NOTHING_CHECKED } else { NOTHING_VERIFIED })
    }

    /// What was found until somebody wanted it to end.
    pub(super) fn interrupted(sections: Vec<Section>) -> Self {
        Self { success: false, interrupted: true, ..Self::sorted(sections) }
    }

    pub(crate) fn count(&self, status: Status) -> usize {
        self.sections
            .iter()
            .flat_map(|section| &section.checks)
            .filter(|result| result.finding.status == status)
            .count()
    }
}
