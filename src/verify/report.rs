//! What verification found, apart from how it found it.

use std::io::{self, Write as Out};

use serde::Serialize;

use super::checks::Check;
use crate::names::{ClusterName, MountPath, RoleName, ServiceAccountRef};
use crate::ui::{BAD, BOLD, DIM, GOOD, NOTE};

/// What verification found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// What was found about mounts that a login alone doesn't prove, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<MountReport>,
    /// A report for each service account of each role, in the order of the file.
    pub roles: Vec<RoleReport>,
}

/// What was found about one mount.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MountReport {
    /// The cluster.
    pub cluster: ClusterName,
    /// The auth mount.
    pub mount: MountPath,
    /// The checks, in order.
    pub checks: Vec<CheckResult>,
}

/// What was found about one login.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleReport {
    /// The cluster.
    pub cluster: ClusterName,
    /// The auth mount.
    pub mount: MountPath,
    /// The role.
    pub role: RoleName,
    /// Who logged in; absent where the role names nobody to try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<ServiceAccountRef>,
    /// The checks, in order.
    pub checks: Vec<CheckResult>,
}

/// The result of one check.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckResult {
    /// Which check.
    #[serde(flatten)]
    pub check: Check,
    /// How it went.
    pub status: Status,
    /// The evidence.
    pub detail: String,
    /// What to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<String>,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It is as it should be.
    Passed,
    /// It should be looked at.
    Warning,
    /// It is not as it should be.
    Failed,
    /// It can't be tried from here.
    Skipped,
}

impl Verification {
    /// Whether nothing failed.
    pub fn passed(&self) -> bool {
        let mounts = self.mounts.iter().all(|mount| status(&mount.checks) != Status::Failed);
        mounts && self.roles.iter().all(|role| role.status() != Status::Failed)
    }

    /// Writes it for people: a line for each login, and more where something is wrong.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        for mount in &self.mounts {
            let (sign, style) = status(&mount.checks).sign();
            writeln!(out, "  {style}{sign}{style:#} {BOLD}auth/{}{BOLD:#}", mount.mount)?;
            mount.checks.iter().try_for_each(|check| check.text(out))?;
        }
        let several = self.roles.windows(2).any(|pair| pair[0].mount != pair[1].mount);
        self.roles.iter().try_for_each(|role| role.text(out, several))
    }

    /// `3 logins verified, 1 failed, 2 not tried`.
    pub fn summary(&self) -> String {
        let count = |status| self.roles.iter().filter(|role| role.status() == status).count();
        let verified = count(Status::Passed) + count(Status::Warning);
        let mut parts = vec![format!("{verified} login{} verified", if verified == 1 { "" } else { "s" })];
        for (status, word) in [(Status::Failed, "failed"), (Status::Skipped, "not tried")] {
            if count(status) > 0 {
                parts.push(format!("{} {word}", count(status)));
            }
        }
        let mounts = self.mounts.iter().filter(|mount| status(&mount.checks) == Status::Failed).count();
        if mounts > 0 {
            parts.push(format!("{mounts} mounts not in order"));
        }
        parts.join(", ")
    }
}

impl RoleReport {
    /// What counts of its checks: a failure before what could not be tried, that before a warning.
    pub fn status(&self) -> Status {
        status(&self.checks)
    }

    fn text(&self, out: &mut dyn Out, with_mount: bool) -> io::Result<()> {
        let status = self.status();
        let (sign, style) = status.sign();
        write!(out, "  {style}{sign}{style:#} {BOLD}{}{BOLD:#}", self.role)?;
        if with_mount {
            write!(out, " {DIM}on{DIM:#} {}", self.mount)?;
        }
        match &self.service_account {
            Some(account) => writeln!(out, " {DIM}as {account}{DIM:#}")?,
            None => writeln!(out)?,
        }
        for check in &self.checks {
            // Of what is in order, only what the login may and may not do is worth a line.
            if status == Status::Passed && !check.check.id.starts_with("VK4") {
                continue;
            }
            check.text(out)?;
        }
        Ok(())
    }
}

impl CheckResult {
    fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        let (sign, style) = self.status.sign();
        writeln!(out, "      {style}{sign}{style:#} {DIM}{}{DIM:#} {}", self.check.id, self.detail)?;
        for remedy in &self.remedies {
            writeln!(out, "          {GOOD}to do:{GOOD:#} {}", remedy.replace('\n', "\n            "))?;
        }
        if self.status == Status::Failed {
            writeln!(out, "          {DIM}see {}{DIM:#}", self.check.anchor())?;
        }
        Ok(())
    }
}

fn status(checks: &[CheckResult]) -> Status {
    let has = |status: &Status| checks.iter().any(|check| check.status == *status);
    [Status::Failed, Status::Skipped, Status::Warning].into_iter().find(has).unwrap_or(Status::Passed)
}

impl Status {
    fn sign(self) -> (&'static str, anstyle::Style) {
        match self {
            Self::Passed => ("✓", GOOD),
            Self::Warning => ("!", NOTE),
            Self::Failed => ("✗", BAD),
            Self::Skipped => ("–", DIM),
        }
    }
}
