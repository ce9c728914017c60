//! Roles that change each other's identity.
//!
//! A jwt mount keeps one alias for each value of the claim that names the identity, with the metadata of its *last* login. Where a policy
//! is filled in from that metadata, roles that let in one account and map other claims change what each other's tokens may read.

use super::diagnostic::Problems;
use super::policies::Policies;
use super::{Cluster, FilePolicy, Grant, Method, Role};

/// Reports roles of one mount that do.
pub(super) fn check(clusters: &[Cluster], policies: &Policies, problems: &mut Problems) {
    // Each role is compared with each: only where it can come to something.
    if !policies.list.iter().any(|built| is_filled_in(&built.policy)) {
        return;
    }
    for cluster in clusters.iter().filter(|cluster| matches!(cluster.auth.method, Method::Jwt(_))) {
        for (at, role) in cluster.roles.iter().enumerate() {
            let of_one_identity = |other: &&Role| {
                role.user_claim == other.user_claim
                    && role.claim_mappings != other.claim_mappings
                    && role.service_accounts.iter().any(|account| other.service_accounts.contains(account))
            };
            for other in cluster.roles[..at].iter().filter(of_one_identity) {
                let Some(policy) = filled_in([role, other], policies) else { continue };
                problems.add(
                    role.position,
                    format!(
                        "a login as {} changes what tokens of {} ({}) may do: both let in one account, the policy {policy} is filled in from the \
                         metadata of its last login, and `claimMappings` of the two differ",
                        role.name,
                        other.name,
                        problems.line(other.position, role.position)
                    ),
                    "give both the same `claimMappings`, or each accounts of its own",
                );
            }
        }
    }
}

/// A policy of these roles that metadata of an alias fill in.
fn filled_in<'p>(roles: [&Role; 2], policies: &'p Policies) -> Option<&'p str> {
    let given =
        policies.list.iter().filter(|built| roles.iter().any(|role| role.policies.contains(&built.policy.name)));
    given.map(|built| &built.policy).find(|policy| is_filled_in(policy)).map(|policy| policy.name.as_str())
}

/// Whether metadata of an alias fill it in.
fn is_filled_in(policy: &FilePolicy) -> bool {
    let uses = |grant: &Grant| {
        grant.path().split("{{").skip(1).any(|rest| {
            rest.split("}}")
                .next()
                .is_some_and(|name| name.contains("identity.entity.aliases.") && name.contains(".metadata."))
        })
    };
    policy.grants.iter().any(uses)
}
