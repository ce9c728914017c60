//! The results of one login's checks, as they come.

use super::checks::Check;
use super::report::{CheckResult, Status};
use crate::error::Error;

/// The end of the way: the reason is in the checks.
pub(super) struct Ended;

/// The results so far.
#[derive(Default)]
pub(super) struct Checks(Vec<CheckResult>);

impl Checks {
    /// All of them, in order.
    pub(super) fn into_results(self) -> Vec<CheckResult> {
        self.0
    }

    fn add(&mut self, check: Check, status: Status, detail: impl Into<String>, remedies: Vec<String>) {
        self.0.push(CheckResult { check, status, detail: detail.into(), remedies });
    }

    pub(super) fn pass(&mut self, check: Check, detail: impl Into<String>) {
        self.add(check, Status::Passed, detail, Vec::new());
    }

    pub(super) fn warn(&mut self, check: Check, detail: impl Into<String>, remedy: &str) {
        self.add(check, Status::Warning, detail, vec![remedy.to_owned()]);
    }

    pub(super) fn skip(&mut self, check: Check, detail: impl Into<String>) -> Ended {
        self.add(check, Status::Skipped, detail, Vec::new());
        Ended
    }

    pub(super) fn fail(&mut self, check: Check, error: &Error) -> Ended {
        let mut detail = error.to_string();
        for cause in error.causes() {
            detail.push_str(": ");
            detail.push_str(&cause);
        }
        let remedies = error.remedies().into_iter().map(str::to_owned).collect();
        self.add(check, Status::Failed, detail, remedies);
        Ended
    }
}
