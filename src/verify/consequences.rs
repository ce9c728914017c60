//! Which causes come of another: they are told under it, and go away with it.

use super::catalogue::{
    Check, HOST, HOST_CLUSTER, ISSUER, KEY_SOURCE, KEYS, MOUNT_CONFIGURED, NO_ASCENT, NOBODY_ELSE, NOTHING_ELSE,
    OTHER_ACCOUNT, OTHER_AUDIENCE, OTHER_NAMESPACE, POLICIES, POLICIES_COVER, POLICIES_EXIST, REVIEW, REVIEWER,
    ROLE_EXISTS, SELF_SERVICE, STRANGE_KEYS, TOKEN_ISSUER, TOKEN_KEY, TOKEN_VALID, TRUST,
};
use super::cause::Cause;
use super::finding::Status;
use super::section::About;

/// A check, and those whose faults come of its own.
const COME_OF: &[(Check, &[Check])] = &[
    (MOUNT_CONFIGURED, &[ROLE_EXISTS]),
    // The context of another cluster, or a mount that was set up for one.
    (ISSUER, &[KEYS]),
    (HOST_CLUSTER, &[REVIEWER]),
    (TOKEN_KEY, &[KEYS]),
    (TRUST, &[HOST, HOST_CLUSTER]),
    (STRANGE_KEYS, &[KEY_SOURCE]),
    (TOKEN_ISSUER, &[TOKEN_VALID]),
    (TOKEN_VALID, &[REVIEW]),
    // Who was let in is who the role takes.
    (NOBODY_ELSE, &[OTHER_AUDIENCE, OTHER_ACCOUNT, OTHER_NAMESPACE]),
    (POLICIES, &[POLICIES_EXIST, POLICIES_COVER, SELF_SERVICE]),
    (POLICIES_COVER, &[POLICIES_EXIST]),
    // What a policy of its identity lets it do, and that it has one.
    (NOTHING_ELSE, &[NO_ASCENT, POLICIES]),
];

/// Puts each cause that comes of another one under it, in the order in which they are told.
pub(super) fn arrange(causes: &mut Vec<Cause>) {
    let of: Vec<Option<usize>> = (0..causes.len()).map(|at| comes_of(causes, at)).collect();
    for at in 0..causes.len() {
        causes[at].consequence_of = of[at].map(|of| causes[of].result.check.id);
    }
    let mut order: Vec<usize> = Vec::with_capacity(causes.len());
    for root in (0..causes.len()).filter(|at| of[*at].is_none()) {
        order.push(root);
        order.extend((0..causes.len()).filter(|at| of[*at] == Some(root)));
    }
    let mut taken: Vec<Option<Cause>> = causes.drain(..).map(Some).collect();
    causes.extend(order.into_iter().filter_map(|at| taken[at].take()));
}

/// The place of the cause that the one at a place comes of: the root, where that one comes of another.
fn comes_of(causes: &[Cause], at: usize) -> Option<usize> {
    let direct = |at: usize| {
        let cause = &causes[at];
        let is_of = |other: &Cause| {
            let listed = COME_OF.iter().any(|(of, come)| {
                of.id == other.result.check.id && come.iter().any(|check| check.id == cause.result.check.id)
            });
            // What warns makes nothing fail.
            let weighs = other.result.finding.status == Status::Failed || cause.result.finding.status != Status::Failed;
            listed && weighs && mends(other, cause) && is_about_the_same(other, cause)
        };
        // What is told first is what somebody begins with.
        causes[..at].iter().position(is_of)
    };
    let mut root = direct(at)?;
    while let Some(above) = direct(root) {
        root = above;
    }
    Some(root)
}

/// Whether a cause goes away with what mends another one: of a mount that isn't configured, the roles are made only by what makes both.
fn mends(of: &Cause, cause: &Cause) -> bool {
    let makes_roles = || {
        let commands = of.result.finding.remedies.iter().filter_map(|remedy| remedy.command.as_ref());
        commands.into_iter().any(|command| command.as_str().starts_with(BOOTSTRAP))
    };
    of.result.check.id != MOUNT_CONFIGURED.id || cause.result.check.id != ROLE_EXISTS.id || makes_roles()
}

/// The command that makes roles with their mount.
const BOOTSTRAP: &str = "vaultk8s bootstrap";

/// Whether all places of a cause are those of another one, or roles of its mounts.
fn is_about_the_same(of: &Cause, cause: &Cause) -> bool {
    cause.all_about().all(|about| of.all_about().any(|of| covers(of, about)))
}

fn covers(of: &About, about: &About) -> bool {
    match (of, about) {
        (About::Mount { mount: of, .. }, About::Mount { mount, .. } | About::Role { mount, .. })
        | (About::Role { mount: of, .. }, About::Mount { mount, .. }) => of == mount,
        (
            About::Role { mount: of_mount, role: of, service_account: of_account, .. },
            About::Role { mount, role, service_account, .. },
        ) => (of_mount, of, of_account) == (mount, role, service_account),
        _ => false,
    }
}
