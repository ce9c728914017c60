//! What verification found, apart from how it found it.

use std::io::{self, Write as Out};

use serde::Serialize;

use super::catalogue::{Check, Severity};
use super::external_secrets::StoreScene;
use super::finding::{CheckResult, Finding, Status};
use super::scene::RoleScene;
use crate::names::{ClusterName, MountPath, RoleName, ServiceAccountRef};
use crate::ui::{BAD, BOLD, DIM, GOOD, NOTE, Report};

/// What was found, section by section.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// Whether no check failed.
    pub success: bool,
    /// What failed or should be looked at: the worst first, then in the order in which a login goes.
    pub causes: Vec<Cause>,
    /// Everything that was looked at.
    pub sections: Vec<Section>,
}

/// The checks of one thing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Section {
    /// Which.
    pub about: About,
    /// The checks, in order.
    pub checks: Vec<CheckResult>,
}

/// What a section is about.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase", tag = "kind", rename_all_fields = "camelCase")]
pub enum About {
    /// Vault itself.
    Vault {
        /// Its address.
        address: String,
    },
    /// A cluster.
    Cluster {
        /// Its name.
        cluster: ClusterName,
    },
    /// An auth mount.
    Mount {
        /// The cluster that it is for.
        cluster: ClusterName,
        /// Its path.
        mount: MountPath,
    },
    /// A role, and one service account that logs in as it.
    Role {
        /// The cluster.
        cluster: ClusterName,
        /// The auth mount.
        mount: MountPath,
        /// The role.
        role: RoleName,
        /// Who logs in.
        #[serde(skip_serializing_if = "Option::is_none")]
        service_account: Option<ServiceAccountRef>,
    },
    /// A store of External Secrets that uses a role.
    Store {
        /// The cluster.
        cluster: ClusterName,
        /// `ClusterSecretStore` or `SecretStore`.
        resource: &'static str,
        /// The namespace of a `SecretStore`.
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
        /// Its name.
        name: String,
        /// The role.
        role: RoleName,
    },
}

/// A check that did not pass, and where.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Where.
    pub about: About,
    /// What.
    #[serde(flatten)]
    pub result: CheckResult,
}

impl About {
    /// A role's.
    pub(super) fn of_role(scene: &RoleScene) -> Self {
        Self::Role {
            cluster: scene.mount.cluster.name.clone(),
            mount: scene.mount.path.clone(),
            role: scene.name.clone(),
            service_account: scene.account.clone(),
        }
    }

    /// A store's.
    pub(super) fn of_store(scene: &StoreScene) -> Self {
        let StoreScene { role, store, .. } = scene;
        Self::Store {
            cluster: role.mount.cluster.name.clone(),
            resource: store.kind(),
            namespace: store.namespace.clone(),
            name: store.name.clone(),
            role: role.name.clone(),
        }
    }
}

impl std::fmt::Display for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Vault { address } => write!(f, "Vault {address}"),
            Self::Cluster { cluster } => write!(f, "cluster {cluster}"),
            Self::Mount { mount, .. } => write!(f, "mount auth/{mount}"),
            Self::Role { role, service_account: Some(account), .. } => write!(f, "role {role} as {account}"),
            Self::Role { role, .. } => write!(f, "role {role}"),
            Self::Store { resource, namespace: Some(namespace), name, .. } => {
                write!(f, "{resource} {namespace}/{name}")
            }
            Self::Store { resource, name, .. } => write!(f, "{resource} {name}"),
        }
    }
}

/// How many sections of roles are shown in full; of more, those that are in order have a line each.
const IN_FULL: usize = 1;

impl Diagnosis {
    /// Sorts what was found.
    pub(super) fn new(sections: Vec<Section>) -> Self {
        let told = |status: Status| matches!(status, Status::Failed | Status::Warning);
        let mut causes: Vec<Cause> = sections
            .iter()
            .flat_map(|section| section.checks.iter().map(|result| (section.about.clone(), result)))
            .filter(|(_, result)| told(result.finding.status))
            .map(|(about, result)| Cause { about, result: result.clone() })
            .collect();
        // A stable sort: within the same severity the order is that of the way.
        causes.sort_by_key(|cause| {
            let failed = cause.result.finding.status == Status::Failed;
            if failed { cause.result.check.severity } else { Severity::Advises }
        });
        let success = causes.iter().all(|cause| cause.result.finding.status != Status::Failed);
        Self { success, causes, sections }
    }

    fn count(&self, status: Status) -> usize {
        self.sections
            .iter()
            .flat_map(|section| &section.checks)
            .filter(|result| result.finding.status == status)
            .count()
    }
}

impl Report for Diagnosis {
    const KIND: &'static str = "RoleVerification";

    fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        let roles = self.sections.iter().filter(|section| matches!(section.about, About::Role { .. })).count();
        for section in &self.sections {
            section.text(out, roles <= IN_FULL)?;
        }
        for (number, cause) in self.causes.iter().enumerate() {
            cause.text(out, number + 1)?;
        }
        let parts: Vec<String> = [
            (Status::Passed, "in order"),
            (Status::Failed, "failed"),
            (Status::Warning, "to look at"),
            (Status::Unseen, "not seen with these credentials"),
            (Status::Skipped, "not tried"),
            (Status::NotReached, "not reached"),
        ]
        .into_iter()
        .map(|(status, words)| (self.count(status), words))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
        writeln!(out, "\n{BOLD}{}.{BOLD:#}", parts.join(", "))
    }
}

impl Section {
    fn text(&self, out: &mut dyn Out, in_full: bool) -> io::Result<()> {
        if self.checks.is_empty() {
            return Ok(());
        }
        let (sign, style) = worst(&self.checks).sign();
        let passed = self.checks.iter().all(|result| matches!(result.finding.status, Status::Passed | Status::Skipped));
        let about = &self.about;
        if passed && !in_full && matches!(about, About::Role { .. } | About::Store { .. }) {
            let count = self.checks.iter().filter(|result| result.finding.status == Status::Passed).count();
            return writeln!(out, "{style}{sign}{style:#} {BOLD}{about}{BOLD:#} {DIM}{count} checks in order{DIM:#}");
        }
        writeln!(out, "{BOLD}{about}{BOLD:#}")?;
        let (unreached, rest): (Vec<_>, Vec<_>) =
            self.checks.iter().partition(|result| result.finding.status == Status::NotReached);
        for result in rest {
            result.line(out)?;
        }
        if !unreached.is_empty() {
            let ids: Vec<&str> = unreached.iter().map(|result| result.check.id).collect();
            writeln!(out, "  {DIM}– not reached: {}{DIM:#}", ids.join(", "))?;
        }
        Ok(())
    }
}

impl Cause {
    fn text(&self, out: &mut dyn Out, number: usize) -> io::Result<()> {
        let CheckResult { check, finding, docs } = &self.result;
        let (_, style) = finding.status.sign();
        let heading = match (finding.status, check.severity) {
            (Status::Warning, _) => "to look at",
            (_, Severity::Exposes) => "too much is let in",
            _ => "broken",
        };
        writeln!(
            out,
            "\n{BOLD}{number}.{BOLD:#} {style}{heading}{style:#}: {} {DIM}({}, {}){DIM:#}",
            finding.detail, check.id, self.about
        )?;
        details(finding, out, "   ")?;
        writeln!(out, "   {DIM}see {docs}{DIM:#}")
    }
}

/// The evidence, why it matters, and what to do.
fn details(finding: &Finding, out: &mut dyn Out, indent: &str) -> io::Result<()> {
    let width = finding.evidence.iter().map(|evidence| evidence.what.chars().count()).max().unwrap_or_default();
    for evidence in &finding.evidence {
        writeln!(out, "{indent}  {DIM}{:width$}{DIM:#}  {}", evidence.what, evidence.value)?;
    }
    if let Some(why) = &finding.why {
        writeln!(out, "{indent}{DIM}why it matters:{DIM:#} {why}")?;
    }
    for remedy in &finding.remedies {
        writeln!(out, "{indent}{GOOD}to do:{GOOD:#} {}", remedy.text.replace('\n', &format!("\n{indent}  ")))?;
        if let Some(command) = &remedy.command {
            writeln!(out, "{indent}    $ {command}")?;
        }
    }
    Ok(())
}

impl CheckResult {
    fn line(&self, out: &mut dyn Out) -> io::Result<()> {
        let (sign, style) = self.finding.status.sign();
        writeln!(
            out,
            "  {style}{sign}{style:#} {DIM}{}{DIM:#} {}{DIM}: {}{DIM:#}",
            self.check.id, self.check.title, self.finding.detail
        )
    }
}

/// What counts of several: a failure before what could not be tried, that before a warning.
pub(super) fn worst(checks: &[CheckResult]) -> Status {
    let has = |status: &Status| checks.iter().any(|check| check.finding.status == *status);
    [Status::Failed, Status::NotReached, Status::Unseen, Status::Warning]
        .into_iter()
        .find(has)
        .unwrap_or(Status::Passed)
}

/// Whether a check is of those that say what a login may and may not do, which are worth a line also where they pass.
fn tells_access(check: &Check) -> bool {
    matches!(check.id, "VK506" | "VK507" | "VK321")
}

impl Status {
    pub(super) fn sign(self) -> (&'static str, anstyle::Style) {
        match self {
            Self::Passed => ("✓", GOOD),
            Self::Warning => ("!", NOTE),
            Self::Failed => ("✗", BAD),
            Self::Skipped | Self::Unseen | Self::NotReached => ("–", DIM),
        }
    }
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
        } else if self.checks.iter().any(|check| check.check.id == "VK431" && check.finding.status == Status::Passed) {
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
        writeln!(out, "  {style}{sign}{style:#} {BOLD}{}{BOLD:#}", self.about)?;
        for result in &self.checks {
            let status = result.finding.status;
            let quiet = match status {
                Status::Passed => !tells_access(&result.check),
                Status::NotReached => true,
                Status::Skipped => !matches!(result.check.id, "VK404" | "VK431"),
                _ => false,
            };
            if quiet {
                continue;
            }
            let (sign, style) = status.sign();
            writeln!(out, "      {style}{sign}{style:#} {DIM}{}{DIM:#} {}", result.check.id, result.finding.detail)?;
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
