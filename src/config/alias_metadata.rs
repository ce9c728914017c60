//! Roles that change each other's identity.
//!
//! A jwt mount keeps one alias for each value of the claim that names the identity, with the metadata of its *last* login. Where a policy
//! is filled in from that metadata, roles that let in one account and map other claims change what each other's tokens may read.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::Problems;
use super::policies::Policies;
use super::{Cluster, FilePolicy, Method, Role};
use crate::names::{ServiceAccountRef, glob};
use crate::policy::{accessor_symbol, of_aliases};

/// Reports roles of one mount that do.
pub(super) fn check(clusters: &[Cluster], policies: &Policies, problems: &mut Problems) {
    for cluster in clusters.iter().filter(|cluster| matches!(cluster.auth.method, Method::Jwt(_))) {
        let symbol = accessor_symbol(&cluster.auth.mount);
        let mut read: BTreeMap<&str, Vec<FilledIn<'_>>> = BTreeMap::new();
        let mut filled: Vec<Vec<FilledIn<'_>>> = Vec::with_capacity(cluster.roles.len());
        for role in &cluster.roles {
            let mut of_role = Vec::new();
            for policy in policies.of(role) {
                let of_policy = read.entry(policy.name.as_str()).or_insert_with(|| filled_in(policy, &symbol));
                of_role.extend(of_policy.iter().cloned());
            }
            filled.push(of_role);
        }
        // Only where it can come to something.
        if filled.iter().all(Vec::is_empty) {
            continue;
        }
        let mut accounts = Accounts::default();
        for (at, role) in cluster.roles.iter().enumerate() {
            for before in accounts.shared_with(role) {
                let other = &cluster.roles[before];
                if role.user_claim == other.user_claim {
                    compare([role, other], [&filled[at], &filled[before]], problems);
                }
            }
        }
    }
}

/// A policy that metadata of an alias fill in.
#[derive(Clone)]
struct FilledIn<'p> {
    policy: &'p str,
    /// Of the metadata.
    key: String,
    /// Whether the alias is one of the mount's; else an accessor is written out, and nobody knows here whose it is.
    own: bool,
}

/// The metadata that fill a policy in, of aliases of the mount for whose accessor this stands or of one that is written out.
fn filled_in<'p>(policy: &'p FilePolicy, symbol: &str) -> Vec<FilledIn<'p>> {
    let mut filled = Vec::new();
    for grant in &policy.grants {
        for part in of_aliases(grant.path()) {
            let own = part.accessor == symbol;
            // Of another mount's symbol it is known that it is of no login here.
            if let Some(key) = part.metadata().filter(|_| own || !part.accessor.contains('{')) {
                filled.push(FilledIn { policy: policy.name.as_str(), key: key.to_owned(), own });
            }
        }
    }
    filled
}

/// Reports two roles that let in one account, the later one first, if a login as the one changes what the other's tokens may do.
fn compare(roles: [&Role; 2], filled: [&[FilledIn<'_>]; 2], problems: &mut Problems) {
    let [role, other] = roles;
    let [mine, others] = filled;
    let find = |is_it: &dyn Fn(&FilledIn<'_>) -> bool| mine.iter().chain(others).find(|filled| is_it(filled));
    for own in [true, false] {
        let of_role = find(&|filled| filled.own == own && filled.key == "role");
        let of_claims = find(&|filled| filled.own == own).filter(|_| role.claim_mappings != other.claim_mappings);
        let (policy, why, remedy) = match (of_role, of_claims) {
            (Some(filled), _) => (
                filled.policy,
                "among these is the name of the role",
                "fill it in from a claim (`claimMappings`), or give each role accounts of its own",
            ),
            (None, Some(filled)) => (
                filled.policy,
                "`claimMappings` of the two differ",
                "give both the same `claimMappings`, or each accounts of its own",
            ),
            (None, None) => continue,
        };
        let line = problems.line(other.position, role.position);
        let (role_name, other_name) = (&role.name, &other.name);
        if own {
            let told = format!(
                "a login as {role_name} changes what tokens of {other_name} ({line}) may do: both let in one account, the policy {policy} is \
                 filled in from the metadata of its last login, and {why}"
            );
            problems.add(role.position, told, remedy);
        } else {
            let told = format!(
                "a login as {role_name} may change what tokens of {other_name} ({line}) may do: both let in one account, the policy {policy} is \
                 filled in from the metadata of the last login at a mount whose accessor is written out, and {why}"
            );
            problems.warn(role.position, told, remedy);
        }
        return;
    }
}

/// The roles so far by the accounts that they let in, as far as they name accounts: each is compared with few.
#[derive(Default)]
struct Accounts {
    roles: Vec<Subjects>,
    by_subject: BTreeMap<String, Vec<usize>>,
    /// Those that name patterns.
    patterns: Vec<usize>,
}

impl Accounts {
    /// The earlier roles that let in an account of this one, in order; this one is known from then on.
    fn shared_with(&mut self, role: &Role) -> BTreeSet<usize> {
        let (own, at) = (Subjects { all: subjects(role), globs: role.allow_globs }, self.roles.len());
        let same = own.all.iter().filter_map(|subject| self.by_subject.get(subject)).flatten().copied();
        let mut shared: BTreeSet<usize> = same.collect();
        let meets = |before: &usize| own.meet(&self.roles[*before]);
        if own.are_patterns() {
            shared.extend((0..at).filter(meets));
            self.patterns.push(at);
        } else {
            shared.extend(self.patterns.iter().copied().filter(meets));
        }
        for subject in &own.all {
            self.by_subject.entry(subject.clone()).or_default().push(at);
        }
        self.roles.push(own);
        shared
    }
}

/// The accounts that a role names, or patterns of them.
struct Subjects {
    all: Vec<String>,
    /// Whether a `*` in them stands for anything.
    globs: bool,
}

impl Subjects {
    fn are_patterns(&self) -> bool {
        self.globs && self.all.iter().any(|subject| subject.contains('*'))
    }

    /// Whether there is an account that both let in, as far as they name accounts.
    fn meet(&self, other: &Self) -> bool {
        let takes = |of: &Self, own: &str, subject: &str| own == subject || (of.globs && glob::matches(own, subject));
        let mut pairs = self.all.iter().flat_map(|own| other.all.iter().map(move |their| (own, their)));
        pairs.any(|(own, their)| takes(self, own, their) || takes(other, their, own))
    }
}

/// The subjects of the tokens that a role lets in, or patterns of them.
fn subjects(role: &Role) -> Vec<String> {
    let bound = ["sub", "/sub"].into_iter().filter_map(|claim| role.bound_claims.get(claim)).flatten().cloned();
    role.service_accounts.iter().map(ServiceAccountRef::subject).chain(bound).collect()
}
