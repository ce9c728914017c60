//! Roles that change each other's identity.
//!
//! A jwt mount keeps one alias for each value of the claim that names the identity, with the metadata of its *last* login. Where a policy
//! is filled in from that metadata, roles that let in one account and map other claims change what each other's tokens may read.

use super::diagnostic::Problems;
use super::policies::Policies;
use super::{Cluster, FilePolicy, Grant, Method, Role};
use crate::names::{ServiceAccountRef, glob};

/// Reports roles of one mount that do.
pub(super) fn check(clusters: &[Cluster], policies: &Policies, problems: &mut Problems) {
    // Each role is compared with each: only where it can come to something.
    if !policies.list.iter().any(|built| is_filled_in(&built.policy, &|_| true)) {
        return;
    }
    for cluster in clusters.iter().filter(|cluster| matches!(cluster.auth.method, Method::Jwt(_))) {
        for (at, role) in cluster.roles.iter().enumerate() {
            let of_one_identity =
                |other: &&Role| role.user_claim == other.user_claim && let_in_one_account(role, other);
            for other in cluster.roles[..at].iter().filter(of_one_identity) {
                let told = |policy: &str, why: &str| {
                    format!(
                        "a login as {} changes what tokens of {} ({}) may do: both let in one account, the policy {policy} is filled in from the \
                         metadata of its last login, and {why}",
                        role.name,
                        other.name,
                        problems.line(other.position, role.position)
                    )
                };
                if let Some(policy) = filled_in([role, other], policies, |key| key == "role") {
                    problems.add(
                        role.position,
                        told(policy, "among these is the name of the role"),
                        "fill it in from a claim (`claimMappings`), or give each role accounts of its own",
                    );
                } else if role.claim_mappings != other.claim_mappings
                    && let Some(policy) = filled_in([role, other], policies, |_| true)
                {
                    problems.add(
                        role.position,
                        told(policy, "`claimMappings` of the two differ"),
                        "give both the same `claimMappings`, or each accounts of its own",
                    );
                }
            }
        }
    }
}

/// Whether there is an account that both let in, as far as they name accounts.
fn let_in_one_account(one: &Role, other: &Role) -> bool {
    let takes =
        |role: &Role, own: &str, subject: &str| own == subject || (role.allow_globs && glob::matches(own, subject));
    let theirs = subjects(other);
    subjects(one).iter().any(|own| theirs.iter().any(|their| takes(one, own, their) || takes(other, their, own)))
}

/// The subjects of the tokens that a role lets in, or patterns of them.
fn subjects(role: &Role) -> Vec<String> {
    let bound = ["sub", "/sub"].into_iter().filter_map(|claim| role.bound_claims.get(claim)).flatten().cloned();
    role.service_accounts.iter().map(ServiceAccountRef::subject).chain(bound).collect()
}

/// A policy of these roles that such metadata of an alias fill in.
fn filled_in<'p>(roles: [&Role; 2], policies: &'p Policies, is_it: impl Fn(&str) -> bool) -> Option<&'p str> {
    let given =
        policies.list.iter().filter(|built| roles.iter().any(|role| role.policies.contains(&built.policy.name)));
    given.map(|built| &built.policy).find(|policy| is_filled_in(policy, &is_it)).map(|policy| policy.name.as_str())
}

/// Whether such metadata of an alias fill it in.
fn is_filled_in(policy: &FilePolicy, is_it: &impl Fn(&str) -> bool) -> bool {
    let uses = |grant: &Grant| {
        let templates = grant.path().split("{{").skip(1).filter_map(|rest| rest.split("}}").next());
        let of_aliases = templates.filter_map(|name| name.trim().strip_prefix("identity.entity.aliases."));
        of_aliases.filter_map(|name| name.split_once(".metadata.")).any(|(_, key)| is_it(key))
    };
    policy.grants.iter().any(uses)
}
