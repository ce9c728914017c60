//! What a rehearsal found.

mod junit;
mod markdown;
mod text;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::access::{Comparison, ExpectationResult};
use crate::apply::Applied;
use crate::config::{Cluster, Method, Role};
use crate::model::AuthMethod;
use crate::names::{Audience, ClusterName, MountPath, PolicyName, RoleName, ServiceAccountRef};
use crate::plan::Change;

/// What a rehearsal found.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsal {
    /// Which configuration was rehearsed.
    pub configuration: String,
    /// The server that it was rehearsed on.
    pub server: String,
    /// How many changes made the server hold what the configuration says.
    pub changes: usize,
    /// Those that were refused; then nobody logged in.
    #[serde(skip_serializing_if = "is_empty")]
    pub refused_changes: Applied,
    /// What the server accepted and yet doesn't hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unkept: Vec<Change>,
    /// What was found for each cluster, in the order of the file.
    pub clusters: Vec<ClusterReport>,
    /// What came of the configuration's expectations (`expect`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expectations: Vec<ExpectationResult>,
    /// In what the configuration differs from another version of it, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Rules that were not tried, because a template decides what they mean.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub unforeseen: BTreeSet<String>,
    /// What is otherwise where this isn't a rehearsal.
    pub assumptions: Vec<String>,
    /// What of the configuration does nothing here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Whether there is no role that could have been tried.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nothing_verified: bool,
    /// Whether everything is as the configuration says, and that is something.
    pub success: bool,
}

/// What was found for one cluster.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterReport {
    /// The cluster.
    pub cluster: ClusterName,
    /// Its auth mount.
    pub mount: MountPath,
    /// The mount's method.
    pub method: AuthMethod,
    /// The `iss` of its tokens.
    pub issuer: String,
    /// Whether that was made up, because the configuration doesn't say it.
    pub synthetic_issuer: bool,
    /// What each service account may do through each role.
    pub access: Vec<Access>,
    /// Who was tried that must be refused.
    pub refusals: Vec<Refusal>,
    /// The roles that nobody could log in to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_tried: Vec<NotTried>,
}

/// What a service account may do through a role.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Access {
    /// Who.
    pub service_account: ServiceAccountRef,
    /// The pattern that it is an example of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example_of: Option<String>,
    /// Through which role.
    pub role: RoleName,
    /// The audience that the role requires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// What it may do of all that the configuration's policies name.
    pub grants: Vec<GrantedPath>,
    /// On how many paths it was tried and may do nothing.
    pub refused_paths: usize,
    /// How many paths that only other roles' policies name it was not tried on, because there are too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub paths_left_out: usize,
    /// What is otherwise than the configuration says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
}

/// What may be done on a path, and why.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrantedPath {
    /// The path, as a policy names it.
    pub path: String,
    /// The path that was asked about.
    pub asked: String,
    /// What may be done.
    pub capabilities: Vec<String>,
    /// The policies of the role that grant it.
    pub policies: Vec<String>,
    /// The policies that name the path, where those are none of the role's: a wider rule reaches it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub named_by: BTreeSet<PolicyName>,
}

/// What came of somebody who must be refused.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// Which role was tried.
    pub role: RoleName,
    /// Who tried.
    pub who: &'static str,
    /// What came of it.
    pub status: RefusalStatus,
    /// The server's words, or what is wrong.
    pub detail: String,
}

/// What came of somebody who must be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RefusalStatus {
    /// Refused.
    Refused,
    /// Let in, and the configuration says so.
    LetInAsStated,
    /// Let in.
    LetIn,
    /// Something else happened.
    Unclear,
    /// A real cluster has nobody to try it as, or gives no token.
    NotTried,
}

/// A role that nobody could log in to.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotTried {
    /// The role.
    pub role: RoleName,
    /// Why not.
    pub because: String,
}

impl ClusterReport {
    /// A report without findings.
    pub(super) fn new(cluster: &Cluster, issuer: &str, synthetic: bool) -> Self {
        Self {
            cluster: cluster.name.clone(),
            mount: cluster.auth.mount.clone(),
            method: match cluster.auth.method {
                Method::Jwt(_) => AuthMethod::Jwt,
                Method::Kubernetes(_) => AuthMethod::Kubernetes,
            },
            issuer: issuer.to_owned(),
            synthetic_issuer: synthetic,
            access: Vec::new(),
            refusals: Vec::new(),
            not_tried: Vec::new(),
        }
    }

    /// Whether everything is as the configuration says.
    pub(super) fn passed(&self) -> bool {
        self.access.iter().all(|access| access.failures.is_empty()) && self.refusals.iter().all(Refusal::passed)
    }
}

impl Access {
    /// An entry without findings.
    pub(super) fn new(role: &Role, account: &ServiceAccountRef, example_of: Option<String>) -> Self {
        Self {
            service_account: account.clone(),
            example_of,
            role: role.name.clone(),
            audience: role.audiences.first().cloned(),
            grants: Vec::new(),
            refused_paths: 0,
            paths_left_out: 0,
            failures: Vec::new(),
        }
    }
}

impl Refusal {
    /// Whether it went as the configuration says.
    fn passed(&self) -> bool {
        matches!(self.status, RefusalStatus::Refused | RefusalStatus::LetInAsStated | RefusalStatus::NotTried)
    }
}

impl Rehearsal {
    fn summary(&self) -> String {
        let access = || self.clusters.iter().flat_map(|cluster| &cluster.access);
        let refusals = || self.clusters.iter().flat_map(|cluster| &cluster.refusals);
        let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
        let failed_logins = access().filter(|access| !access.failures.is_empty()).count();
        let failed_refusals = refusals().filter(|refusal| !refusal.passed()).count();
        let tried = refusals().filter(|refusal| refusal.status != RefusalStatus::NotTried).count();
        let broken = self.expectations.iter().filter(|result| !result.holds).count();
        let mut parts = vec![
            count(access().count() - failed_logins, "login") + " as the configuration says",
            count(tried - failed_refusals, "stranger") + " refused",
        ];
        if failed_logins > 0 {
            parts.push(count(failed_logins, "login") + " otherwise");
        }
        if failed_refusals > 0 {
            parts.push(count(failed_refusals, "stranger") + " not refused");
        }
        if !self.expectations.is_empty() {
            parts.push(count(self.expectations.len() - broken, "expectation") + " kept");
        }
        if broken > 0 {
            parts.push(count(broken, "expectation") + " broken");
        }
        let not_tried: usize = self.clusters.iter().map(|cluster| cluster.not_tried.len()).sum();
        if not_tried > 0 {
            parts.push(count(not_tried, "role") + " not tried");
        }
        if let Some(comparison) = &self.comparison {
            parts.push(comparison.summary());
        }
        if !is_empty(&self.refused_changes) {
            return format!("{} of the configuration refused", count(self.refused_changes.results.len(), "change"));
        }
        if self.nothing_verified {
            parts.insert(0, NOTHING_VERIFIED.to_owned());
        }
        parts.join("; ")
    }
}

/// What is said where there is no role.
const NOTHING_VERIFIED: &str = "nothing was verified: the configuration has no roles";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

fn is_empty(applied: &Applied) -> bool {
    applied.results.is_empty()
}
