//! What the bound claims of a role of the configuration say of those whom it lets in.

use std::collections::{BTreeMap, BTreeSet};

use super::SEGMENT;
use crate::claims::{is_of_a_pod, plain};
use crate::config::Role;
use crate::names::glob;

/// The claims that a role of the configuration wants and that no such token has, each with a value that it takes.
pub(crate) fn of_a_pod(role: &Role) -> BTreeMap<String, String> {
    let one = |(claim, values): (&String, &Vec<String>)| {
        let value = values.first()?;
        let value = if role.allow_globs { value.replace('*', "x") } else { value.clone() };
        Some((claim.clone(), value))
    };
    let named = [(role.user_claim.clone(), SEGMENT.to_owned())];
    named.into_iter().chain(role.bound_claims.iter().filter_map(one)).filter(|(claim, _)| is_of_a_pod(claim)).collect()
}

/// The claim that names an account by what only its cluster knows.
const UID: &str = "/kubernetes.io/serviceaccount/uid";

/// The uid that the account which a role names as its `nth` has to have, where the role binds that: each has its own.
pub(crate) fn bound_uid(role: &Role, nth: usize) -> Option<(String, String)> {
    let value = role.bound_claims.get(UID)?.get(nth)?;
    Some((UID.to_owned(), if role.allow_globs { value.replace('*', "x") } else { value.clone() }))
}

/// The issuers that a role takes tokens of, whatever its mount does; `None` where it doesn't say.
fn bound_issuers(role: &Role) -> Option<&Vec<String>> {
    role.bound_claims.iter().find(|(claim, _)| plain(claim) == "iss").map(|(_, values)| values)
}

/// Whether a role takes tokens of an issuer, as far as its claims say.
pub(crate) fn takes_issuer(role: &Role, issuer: &str) -> bool {
    let takes = |own: &String| if role.allow_globs { glob::matches(own, issuer) } else { own == issuer };
    bound_issuers(role).is_none_or(|own| own.iter().any(takes))
}

/// The issuer that roles of one cluster bind: that which most of them take. A cluster has one.
pub(crate) fn bound_issuer(roles: &[Role]) -> Option<String> {
    let filled = |role: &Role| {
        let own = bound_issuers(role).into_iter().flatten().cloned();
        own.map(|own| if role.allow_globs { own.replace('*', "x") } else { own }).collect::<Vec<_>>()
    };
    let all: BTreeSet<String> = roles.iter().flat_map(filled).collect();
    all.into_iter().max_by_key(|issuer| roles.iter().filter(|role| takes_issuer(role, issuer)).count())
}
