//! What verification found, apart from how it found it, and from how it is shown: `text` for `verify-role`, `brief` for a
//! bootstrap.

mod brief;
mod text;

use serde::Serialize;

pub use self::brief::Verification;
use super::catalogue::{CheckId, Severity};
use super::consequences::arrange;
use super::external_secrets::StoreScene;
use super::finding::{CheckResult, Evidence, Finding, Status};
use super::outrank::outrank;
use super::scene::RoleScene;
use super::unproved::fail_where_nothing_was_proved;
use crate::names::{ClusterName, MountPath, RoleName, ServiceAccountRef};

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

/// A check that did not pass, and where. One fault may stand in the way of many roles.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// Where.
    pub about: About,
    /// Where else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_about: Vec<About>,
    /// The check of which it is a consequence: it is told under that cause, and goes away with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consequence_of: Option<CheckId>,
    /// What, with the evidence of the first few places.
    #[serde(flatten)]
    pub result: CheckResult,
}

/// What is said where there is no role.
pub(super) const NOTHING_VERIFIED: &str = "nothing was verified: there are no roles";

/// What is said where no check found anything out.
pub(super) const NOTHING_CHECKED: &str = "nothing was verified: none of the checks that were asked for could be made";

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
            // Its name where nothing else gives it one.
            Self::Cluster { cluster } if cluster.as_str() == "cluster" => f.write_str("the cluster"),
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

impl Cause {
    /// How many places are shown, and have their evidence told.
    const SHOWN: usize = 3;

    fn new(about: &About, result: &CheckResult) -> Self {
        Self { about: about.clone(), also_about: Vec::new(), consequence_of: None, result: result.clone() }
    }

    /// Whether something found elsewhere is the same: told in the same words, and mended in the same way.
    fn is_of(&self, other: &CheckResult) -> bool {
        let (own, other_finding) = (&self.result.finding, &other.finding);
        self.result.check.id == other.check.id
            && (own.status, &own.detail, &own.remedies)
                == (other_finding.status, &other_finding.detail, &other_finding.remedies)
    }

    /// Takes in what is the same elsewhere.
    fn take(&mut self, about: &About, finding: &Finding) {
        self.also_about.push(about.clone());
        if self.also_about.len() < Self::SHOWN {
            let known = &self.result.finding.evidence;
            let new = finding.evidence.iter().filter(|evidence| !known.contains(evidence));
            let of_there = |Evidence { what, value }: &Evidence| Evidence {
                what: format!("{about}: {what}"),
                value: value.clone(),
            };
            let new: Vec<_> = new.map(of_there).collect();
            self.result.finding.evidence.extend(new);
        }
    }

    /// Every place.
    pub(super) fn all_about(&self) -> impl Iterator<Item = &About> {
        std::iter::once(&self.about).chain(&self.also_about)
    }

    /// The places, or the first of many.
    fn places(&self) -> String {
        let all: Vec<String> = std::iter::once(&self.about).chain(&self.also_about).map(ToString::to_string).collect();
        let more =
            all.len().checked_sub(Self::SHOWN + 1).map_or(String::new(), |more| format!(", and {} more", more + 1));
        all.iter().take(Self::SHOWN).cloned().collect::<Vec<_>>().join(", ") + &more
    }
}

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
    pub(super) fn nothing(&self) -> Option<&'static str> {
        let roles = self.sections.iter().any(|section| matches!(section.about, About::Role { .. }));
        self.nothing_verified.then_some(if roles { NOTHING_CHECKED } else { NOTHING_VERIFIED })
    }

    /// What was found until somebody wanted it to end.
    pub(super) fn interrupted(sections: Vec<Section>) -> Self {
        Self { success: false, interrupted: true, ..Self::sorted(sections) }
    }

    fn count(&self, status: Status) -> usize {
        self.sections
            .iter()
            .flat_map(|section| &section.checks)
            .filter(|result| result.finding.status == status)
            .count()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_without_a_name_of_its_own_is_not_named_twice() {
        for (name, shown) in [("cluster", "the cluster"), ("lab", "cluster lab")] {
            assert_eq!(About::Cluster { cluster: name.parse().unwrap() }.to_string(), shown);
        }
    }
}
