//! The paths of Vault's API with which a login can give itself more.

use std::sync::OnceLock;

use super::Deed;
use super::children::About;
use crate::policy::{Capability, Pattern, PolicyPath};
use Capability::{Create, Delete, Patch, Read, Sudo, Update};

/// Paths of Vault's API with which a login can give itself more.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) path: &'static str,
    /// Any of these will do.
    pub(super) capabilities: &'static [Capability],
    /// Whether the server wants `sudo` as well.
    protected: bool,
    /// Whether a server is asked about it for every login, and not only where a rule is about it: each path costs time.
    asked: bool,
    pub(super) does: Deed,
    patterns: OnceLock<Vec<(usize, Pattern)>>,
}

const WRITE: &[Capability] = &[Create, Update, Patch];

const fn step(path: &'static str, does: Deed) -> Step {
    Step { path, capabilities: WRITE, protected: false, asked: true, does, patterns: OnceLock::new() }
}

const fn rare(path: &'static str, does: Deed) -> Step {
    Step { path, capabilities: WRITE, protected: false, asked: false, does, patterns: OnceLock::new() }
}

const fn by_deleting(path: &'static str, does: Deed) -> Step {
    Step { path, capabilities: &[Delete], protected: false, asked: true, does, patterns: OnceLock::new() }
}

const fn protected(path: &'static str, capabilities: &'static [Capability], does: Deed) -> Step {
    Step { path, capabilities, protected: true, asked: true, does, patterns: OnceLock::new() }
}

/// The steps of logins, some of whose rules deny something or not: without a denial there is none to get rid of.
pub(super) fn relevant(denied: bool) -> impl Iterator<Item = &'static Step> {
    STEPS.iter().filter(move |step| denied || step.does != Deed::Denials)
}

/// The path of an auth mount has one segment here; longer ones are looked for where a rule may be about them.
pub(super) static STEPS: [Step; 59] = [
    step("sys/policies/acl/*", Deed::Policies),
    step("sys/policy/*", Deed::Policies),
    step("auth/+/role/+", Deed::Roles),
    rare("auth/+/role/+/policies", Deed::Roles),
    rare("auth/+/role/+/token-policies", Deed::Roles),
    rare("auth/+/role/+/bind-secret-id", Deed::Roles),
    rare("auth/+/role/+/service-accounts", Deed::Roles),
    rare("auth/+/role/+/labels", Deed::Roles),
    rare("auth/+/role/+/secret-id", Deed::Credentials),
    rare("auth/+/role/+/custom-secret-id", Deed::Credentials),
    rare("auth/+/role/+/role-id", Deed::Credentials),
    rare("auth/+/cel/role/+", Deed::Roles),
    rare("auth/+/roles/+", Deed::Roles),
    rare("auth/+/users/+", Deed::Roles),
    rare("auth/+/users/+/policies", Deed::Roles),
    rare("auth/+/users/+/password", Deed::Roles),
    rare("auth/+/groups/+", Deed::Roles),
    rare("auth/+/certs/+", Deed::Roles),
    rare("auth/+/map/*", Deed::Roles),
    rare("auth/token/roles/+", Deed::Roles),
    step("auth/+/config", Deed::Trust),
    rare("auth/+/config/*", Deed::Trust),
    rare("auth/+/crls/+", Deed::Trust),
    step("auth/token/create", Deed::Tokens),
    step("auth/token/create/+", Deed::Tokens),
    step("auth/token/create-orphan", Deed::Tokens),
    step("identity/entity", Deed::Identities),
    step("identity/entity/id/+", Deed::Identities),
    step("identity/entity/name/+", Deed::Identities),
    rare("identity/entity/merge", Deed::Identities),
    step("identity/entity-alias", Deed::Identities),
    rare("identity/entity-alias/id/+", Deed::Identities),
    step("identity/group", Deed::Identities),
    step("identity/group/id/+", Deed::Identities),
    step("identity/group/name/+", Deed::Identities),
    rare("identity/group-alias", Deed::Identities),
    rare("identity/group-alias/id/+", Deed::Identities),
    rare("identity/alias", Deed::Identities),
    rare("identity/alias/id/+", Deed::Identities),
    rare("identity/persona", Deed::Identities),
    rare("identity/persona/id/+", Deed::Identities),
    rare("identity/mfa/*", Deed::Identities),
    step("sys/mounts/*", Deed::Mounts),
    rare("sys/namespaces/*", Deed::Namespaces),
    rare("sys/generate-root/*", Deed::Root),
    rare("sys/generate-recovery-token/*", Deed::Root),
    rare("sys/rekey/*", Deed::Root),
    rare("sys/rekey-recovery-key/*", Deed::Root),
    rare("sys/storage/raft/snapshot*", Deed::Snapshots),
    by_deleting("sys/policies/acl/*", Deed::Denials),
    by_deleting("sys/policy/*", Deed::Denials),
    by_deleting("sys/mounts/*", Deed::Unmounts),
    protected("sys/auth/*", WRITE, Deed::Methods),
    protected("sys/auth/*", &[Delete], Deed::Unmounts),
    protected("sys/remount", WRITE, Deed::Mounts),
    protected("sys/raw/*", &[Create, Read, Update, Patch, Delete], Deed::Storage),
    protected("sys/plugins/catalog/*", WRITE, Deed::Plugins),
    protected("sys/rotate/*", WRITE, Deed::Root),
    protected("sys/seal", WRITE, Deed::Seal),
];

impl Step {
    /// Whether a path is one of its own.
    pub(super) fn matches(&self, path: &str) -> bool {
        self.patterns().first().is_some_and(|(_, own)| own.matches(path))
    }

    /// What somebody can do who has this on one of its paths; a server says `root` of what no policy binds.
    pub(super) fn done(&self, has: &dyn Fn(Capability) -> bool) -> Option<Deed> {
        let allowed = self.capabilities.iter().any(|capability| has(*capability));
        (allowed && (!self.protected || has(Sudo))).then_some(self.does)
    }

    /// Paths that stand for it: one of its own, and one where each of the rules meets it, here or in a child namespace. `token` is a
    /// name that nothing has.
    pub(super) fn samples<'r>(&self, rules: &[About<'r>], token: &str) -> Vec<(String, Option<&'r PolicyPath>)> {
        let patterns = self.patterns();
        let mut samples = Vec::new();
        for About { rule, namespace, within } in rules {
            let of = |(mount, pattern): &(usize, Pattern)| {
                let sample = within.meet(pattern)?.sample(token, 0);
                (!is_anothers(&sample, *mount)).then_some(sample)
            };
            let prefix = namespace.iter().map(|segment| if *segment == "+" { token } else { segment });
            let prefix: String = prefix.flat_map(|segment| [segment, "/"]).collect();
            samples.extend(patterns.iter().filter_map(of).map(|sample| (prefix.clone() + &sample, Some(*rule))));
        }
        let own = patterns.first().filter(|_| self.asked);
        samples.extend(own.map(|(_, own)| (own.sample(token, 0), None)));
        samples
    }

    /// Its paths, those of an auth mount also with longer ones; each with how many segments are the mount's. They are the same for every
    /// policy, and made once.
    fn patterns(&self) -> &[(usize, Pattern)] {
        self.patterns.get_or_init(|| self.made().collect())
    }

    fn made(&self) -> impl Iterator<Item = (usize, Pattern)> {
        let mount = self.path.strip_prefix("auth/+/");
        let of_mounts = mount.into_iter().flat_map(|below| {
            ["+", "+/+", "+/+/+"]
                .into_iter()
                .zip(1..)
                .map(move |(mount, length)| (length, format!("auth/{mount}/{below}")))
        });
        let other = mount.is_none().then(|| (0, self.path.to_owned()));
        let pattern =
            |(mount, path): (usize, String)| Some((mount, Pattern::with_templates(&PolicyPath::new(&path).ok()?)));
        other.into_iter().chain(of_mounts).filter_map(pattern)
    }
}

/// Whether a path looks like one of an auth mount's with so many segments, and is none: tokens have paths of their own, and what
/// comes after a mount with a short path is no part of one with a longer.
fn is_anothers(sample: &str, mount: usize) -> bool {
    const BELOW: [&str; 11] =
        ["role", "roles", "users", "groups", "certs", "map", "config", "crls", "cel", "login", "tidy"];
    let mut mount = sample.split('/').skip(1).take(mount);
    mount.next() == Some("token") || mount.any(|segment| BELOW.contains(&segment))
}
