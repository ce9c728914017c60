//! What a bootstrap found at its end.

use serde::Serialize;

use super::catalogue::LOGIN;
use super::finding::Status;
use super::section::{Section, worst};

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
    pub(crate) fn login(&self) -> Status {
        let has = |status: Status| self.checks.iter().any(|check| check.finding.status == status);
        if has(Status::Failed) {
            Status::Failed
        } else if self.checks.iter().any(|check| check.check == LOGIN && check.finding.status == Status::Passed) {
            Status::Passed
        } else {
            Status::Skipped
        }
    }
}
