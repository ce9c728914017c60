//! A login that works outranks what was read.
//!
//! What stands before the login in the chain is read from outside, and may be wrong where Vault itself gets along: it reaches
//! other networks, trusts a certificate that this machine doesn't, keeps its connections. So the login is tried even where a check before it
//! failed, as long as there is something to log in at. If Vault takes the token, those checks warn; if it doesn't, they stay what they are, and the
//! login is not reached: the first of them is the cause.

use std::collections::BTreeSet;

use super::catalogue::{
    ALGORITHMS, CATALOGUE, Check, HOST, HOST_CLUSTER, KEY_SOURCE, KEYS, LOGIN, Link, MOUNT_EXISTS, MOUNT_TYPE, REVIEW,
    REVIEWER, REVIEWER_IN_VAULT, REVIEWER_RIGHTS, ROLE_EXISTS, Severity, TOKEN_KEY,
};
use super::finding::{CheckResult, Status, Weight};
use super::section::{About, Section};
use crate::names::{ClusterName, MountPath};

/// Whether a check is of the way to the login, so that the login outranks it. Who gets in who should not stays what it is.
pub(super) fn is_before_login(check: &Check) -> bool {
    let before = CATALOGUE.iter().take_while(|check| check.id != LOGIN.id).any(|before| before.id == check.id);
    before && check.severity == Severity::Breaks && check.link != Link::Vault
}

/// Whether there is nothing to log in at where this check failed.
pub(super) fn is_the_ground(check: &Check) -> bool {
    check.link == Link::Vault || [MOUNT_EXISTS.id, MOUNT_TYPE.id, ROLE_EXISTS.id].contains(&check.id)
}

/// Whether Vault took the token.
pub(super) fn took_the_token(checks: &[CheckResult]) -> bool {
    checks.iter().any(|result| result.check.id == LOGIN.id && result.finding.weight == Weight::Accepted)
}

/// Lets logins outrank what was read of their role, and of its mount and cluster: what one login at a mount shows of it, it
/// shows for all.
pub(super) fn outrank<'a>(sections: impl IntoIterator<Item = &'a mut Section>) {
    let mut sections: Vec<&mut Section> = sections.into_iter().collect();
    let mut mounts: BTreeSet<MountPath> = BTreeSet::new();
    let mut clusters: BTreeSet<ClusterName> = BTreeSet::new();
    for section in &sections {
        if let (About::Role { cluster, mount, .. }, true) = (&section.about, took_the_token(&section.checks)) {
            mounts.insert(mount.clone());
            clusters.insert(cluster.clone());
        }
    }
    for section in &mut sections {
        let outranked = match &section.about {
            About::Vault { .. } | About::Store { .. } => false,
            About::Cluster { cluster } => clusters.contains(cluster),
            About::Mount { mount, .. } => mounts.contains(mount),
            About::Role { .. } => took_the_token(&section.checks),
        };
        if outranked {
            section.checks.iter_mut().for_each(weaken);
        }
    }
}

/// What a check found, in the light of a login that works.
pub(super) fn weaken(result: &mut CheckResult) {
    let CheckResult { check, finding, .. } = result;
    // What was in its way is not in the way of logins: so it is told what is open.
    if let Some(found) = finding.behind.take() {
        *finding = *found;
        return;
    }
    if !is_before_login(check) || finding.weight == Weight::Stands {
        return;
    }
    match finding.status {
        Status::Failed => {
            finding.status = Status::Warning;
            let still = still_worth_a_look(check);
            finding.why = Some(match finding.why.take() {
                Some(why) => format!("{still}; {why}"),
                None => still.to_owned(),
            });
        }
        Status::NotReached => {
            finding.status = Status::Skipped;
            finding.detail = format!("not looked at: {}; the login works", finding.detail);
        }
        _ => {}
    }
}

/// Why what was read is worth a look though the login works.
fn still_worth_a_look(check: &Check) -> &'static str {
    let by_the_cluster = [HOST, HOST_CLUSTER, REVIEWER, REVIEWER_RIGHTS, REVIEWER_IN_VAULT, REVIEW];
    let by_keys = [KEY_SOURCE, KEYS, ALGORITHMS, TOKEN_KEY];
    match check {
        check if by_the_cluster.contains(check) => {
            "the login works all the same, so that Vault may see it otherwise than it is seen from here; or it has not noticed yet, \
             because it keeps its connections to the API server, and answers of that, for minutes"
        }
        check if by_keys.contains(check) => {
            "the login works all the same, so that Vault may see it otherwise than it is seen from here; or it still has keys \
             that it will not get again, and the next token may be signed with another"
        }
        _ => {
            "the login works all the same, so that this is not in its way now; look whether it was read wrongly, or will be \
             in the way later"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::catalogue::check;
    use crate::verify::finding::Finding;

    fn result(id: &str, finding: Finding) -> CheckResult {
        CheckResult::new(check(id), finding)
    }

    fn role(name: &str, checks: Vec<CheckResult>) -> Section {
        let about = About::Role {
            cluster: "lab".parse().unwrap(),
            mount: "kubernetes".parse().unwrap(),
            role: name.parse().unwrap(),
            service_account: None,
            audience: None,
        };
        Section { about, checks }
    }

    fn accepted() -> CheckResult {
        result("VK431", Finding::passed("a token").weighing(Weight::Accepted))
    }

    fn refused() -> CheckResult {
        result("VK431", Finding::failed("refused"))
    }

    /// A mount with a fault, a role with this login and a role with that one; and how each check went then.
    fn after(one: CheckResult, other: CheckResult, fault: Finding) -> Vec<Status> {
        let about = About::Mount { cluster: "lab".parse().unwrap(), mount: "kubernetes".parse().unwrap() };
        let fault = result("VK321", fault);
        let mut sections = [
            Section { about, checks: vec![fault] },
            role("one", vec![result("VK423", Finding::failed("the review")), one]),
            role("other", vec![result("VK423", Finding::failed("the review")), other]),
        ];
        outrank(&mut sections);
        sections.iter().flat_map(|section| &section.checks).map(|result| result.finding.status).collect()
    }

    #[test]
    fn a_login_outranks_what_was_read_of_its_mount_and_role_and_of_no_other_role() {
        use Status::{Failed, Passed, Warning};
        let fault = || Finding::failed("another CA");
        assert_eq!(after(accepted(), refused(), fault()), [Warning, Warning, Passed, Failed, Failed]);
        assert_eq!(after(refused(), refused(), fault()), [Failed, Failed, Failed, Failed, Failed]);
    }

    #[test]
    fn what_is_open_behind_a_fault_is_told_once_a_login_outranks_that() {
        let open = Finding::failed("a stranger's key");
        for (login, status) in [(accepted(), Status::Failed), (refused(), Status::NotReached)] {
            let blocked = result("VK415", Finding::not_reached("VK402 has to hold first").hiding(open.clone()));
            let mut sections = [role("one", vec![blocked, login])];
            outrank(&mut sections);
            assert_eq!(sections[0].checks[0].finding.status, status);
        }
    }

    #[test]
    fn what_is_open_stays_open() {
        let open = Finding::failed("plain http").weighing(Weight::Stands);
        assert_eq!(after(accepted(), accepted(), open)[0], Status::Failed);
        for check in CATALOGUE {
            assert!(!is_before_login(check) || check.severity == Severity::Breaks, "{}", check.id);
        }
        assert!(!is_before_login(&check("VK415")));
        assert!(!is_before_login(&check("VK506")));
    }
}
