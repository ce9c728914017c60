//! Rules by which a login could give itself more than its policies say: who writes policies, roles or identities is held by none.
//!
//! They are found by what they allow, not by how they are written: `*`, `+/+` and `sys/policies/acl/x` all let policies be written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::stand_in::apart;
use super::{Acl, Capability, Pattern, Policy, PolicyPath, Verdict};
use Capability::{Create, Delete, Patch, Read, Sudo, Update};

/// Paths of Vault's API with which a login can give itself more.
#[derive(Debug)]
struct Step {
    path: &'static str,
    /// Any of these will do.
    capabilities: &'static [Capability],
    /// Whether the server wants `sudo` as well.
    protected: bool,
    /// Whether a server is asked about it for every login, and not only where a rule is about it: each path costs time.
    asked: bool,
    does: Deed,
}

const WRITE: &[Capability] = &[Create, Update, Patch];

const fn step(path: &'static str, does: Deed) -> Step {
    Step { path, capabilities: WRITE, protected: false, asked: true, does }
}

const fn rare(path: &'static str, does: Deed) -> Step {
    Step { asked: false, ..step(path, does) }
}

const fn protected(path: &'static str, capabilities: &'static [Capability], does: Deed) -> Step {
    Step { path, capabilities, protected: true, asked: true, does }
}

/// What a login can do that gives itself more, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// Policies decide about everything, its own among them.
    Policies,
    /// Whoever writes a role, or a user, says which policies its logins get.
    Roles,
    /// Keys, issuers and hosts that a mount trusts.
    Trust,
    /// A token of its own, which doesn't end with the login; or one of a token role.
    Tokens,
    /// Policies come with entities and groups too.
    Identities,
    /// New auth methods, which let in whom they like.
    Methods,
    /// What a path means, and how a mount treats its logins.
    Mounts,
    /// Namespaces, with all that is in them.
    Namespaces,
    /// The storage itself, past all policies.
    Storage,
    /// Another storage in place of this one.
    Snapshots,
    /// Programs that the server runs.
    Plugins,
    /// Root tokens and keys.
    Root,
    /// The end of the service.
    Seal,
    /// `sudo`, wherever it is granted.
    Sudo,
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Policies => "write policies",
            Self::Roles => "write roles and users of auth methods",
            Self::Trust => "say whom auth methods trust",
            Self::Tokens => "make tokens that outlive it",
            Self::Identities => "change identities and their policies",
            Self::Methods => "set up auth methods",
            Self::Mounts => "mount and tune engines and auth methods",
            Self::Namespaces => "make namespaces",
            Self::Storage => "reach into the storage itself",
            Self::Snapshots => "replace all that is stored",
            Self::Plugins => "register plugins",
            Self::Root => "take part in making root tokens and keys",
            Self::Seal => "seal the server",
            Self::Sudo => "reach protected paths (sudo)",
        })
    }
}

/// The path of an auth method has one segment here, or two.
static STEPS: &[Step] = &[
    step("sys/policies/acl/*", Deed::Policies),
    step("sys/policy/*", Deed::Policies),
    step("auth/+/role/+", Deed::Roles),
    rare("auth/+/+/role/+", Deed::Roles),
    rare("auth/+/role/+/policies", Deed::Roles),
    rare("auth/+/role/+/token-policies", Deed::Roles),
    rare("auth/+/users/+", Deed::Roles),
    rare("auth/+/users/+/policies", Deed::Roles),
    rare("auth/+/users/+/password", Deed::Roles),
    rare("auth/+/groups/+", Deed::Roles),
    rare("auth/+/certs/+", Deed::Roles),
    rare("auth/+/map/*", Deed::Roles),
    rare("auth/token/roles/+", Deed::Roles),
    step("auth/+/config", Deed::Trust),
    rare("auth/+/+/config", Deed::Trust),
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
    rare("identity/persona", Deed::Identities),
    step("sys/mounts/*", Deed::Mounts),
    rare("sys/namespaces/*", Deed::Namespaces),
    rare("sys/generate-root/*", Deed::Root),
    rare("sys/rekey/*", Deed::Root),
    rare("sys/storage/raft/snapshot*", Deed::Snapshots),
    protected("sys/auth/*", WRITE, Deed::Methods),
    protected("sys/remount", WRITE, Deed::Mounts),
    protected("sys/raw/*", &[Create, Read, Update, Patch, Delete], Deed::Storage),
    protected("sys/plugins/catalog/*", WRITE, Deed::Plugins),
    protected("sys/rotate/*", WRITE, Deed::Root),
    protected("sys/seal", WRITE, Deed::Seal),
];

impl Step {
    /// Whether a path is one of its own.
    fn matches(&self, path: &str) -> bool {
        PolicyPath::new(self.path).is_ok_and(|own| Pattern::with_templates(&own).matches(path))
    }

    /// What somebody can do who has this on one of its paths; a server says `root` of what no policy binds.
    fn done(&self, has: &dyn Fn(Capability) -> bool) -> Option<Deed> {
        let allowed = self.capabilities.iter().any(|capability| has(*capability));
        (allowed && (!self.protected || has(Sudo))).then_some(self.does)
    }

    /// Paths that stand for it: one of its own, and one where each of the rules meets it. `token` is a name that nothing has.
    fn samples<'r>(&self, rules: &[&'r PolicyPath], token: &str) -> Vec<(String, Option<&'r PolicyPath>)> {
        let Some(path) = PolicyPath::new(self.path).ok() else { return Vec::new() };
        let own = Pattern::with_templates(&path);
        let met = rules.iter().filter_map(|rule| {
            let met = Pattern::with_templates(rule).meet(&own)?;
            Some((met.sample(token, 0), Some(*rule)))
        });
        let all = met.chain(self.asked.then(|| (own.sample(token, 0), None)));
        // Tokens have paths of their own, which look like those of a mount, and so have the roles of a mount with a short path.
        let other = |sample: &str| {
            (self.path.starts_with("auth/+/") && sample.starts_with("auth/token/"))
                || (self.path.starts_with("auth/+/+/") && sample.split('/').nth(2) == Some("role"))
        };
        all.filter(|(sample, _)| !other(sample)).collect()
    }
}

/// A way in which a login can give itself more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ascent {
    /// What it can do.
    pub does: Deed,
    /// Where, as a rule writes it.
    pub rule: PolicyPath,
}

/// What logins with some policies together can give themselves, as far as rules tell; a rule whose path only a server knows counts as
/// what it may be.
pub fn ascents(policies: &[&Policy]) -> BTreeSet<Ascent> {
    let acl = Acl::new(policies.iter().copied());
    let rules: Vec<_> = policies.iter().flat_map(|policy| policy.rules()).filter(|rule| !rule.denies()).collect();
    let paths: Vec<&PolicyPath> = rules.iter().map(|rule| &rule.path).collect();
    let token = apart(TOKEN, policies.iter().flat_map(|policy| policy.rules()).map(|rule| &rule.path));
    let mut found = BTreeSet::new();
    let mut add = |does: Deed, rule: &PolicyPath| found.insert(Ascent { does, rule: rule.clone() });
    for step in STEPS {
        for (sample, rule) in step.samples(&paths, &token) {
            let Some(rule) = rule else { continue };
            let own = || rules.iter().filter(|other| other.path == *rule).flat_map(|other| &other.capabilities);
            let verdict = acl.capabilities(&sample);
            let has = |capability: Capability| {
                verdict.allows(capability).unwrap_or_else(|| own().any(|own| *own == capability))
            };
            // Another rule for the same paths may be the one that allows it.
            if own().any(|own| step.capabilities.contains(own))
                && let Some(does) = step.done(&has)
            {
                add(does, rule);
            }
        }
    }
    for rule in rules.iter().filter(|rule| rule.capabilities.contains(&Sudo)) {
        let decides = rule.path.sample(&token).and_then(|sample| acl.capabilities(&sample).allows(Sudo));
        if decides != Some(false) {
            add(Deed::Sudo, &rule.path);
        }
    }
    found
}

/// What stands for any name, where no rule is about it.
const TOKEN: &str = "vaultk8s-anything";

/// What to ask a server about, to know what a login can give itself.
#[derive(Debug, Default)]
pub struct Ladder {
    steps: BTreeMap<String, Vec<&'static Step>>,
}

impl Ladder {
    /// For a login with these policies, whose rules may be narrower than the paths that are asked of everybody. `own` are further
    /// paths, such as those of its own role and policies; `token` is a name that nothing has.
    pub fn of(policies: &[&Policy], own: &[String], token: &str) -> Self {
        let paths: Vec<&PolicyPath> =
            policies.iter().flat_map(|policy| policy.rules()).map(|rule| &rule.path).collect();
        let mut steps: BTreeMap<String, Vec<&'static Step>> = BTreeMap::new();
        for step in STEPS {
            let own = own.iter().filter(|path| step.matches(path)).cloned();
            let samples = step.samples(&paths, token).into_iter().map(|(sample, _)| sample);
            for sample in own.chain(samples).collect::<BTreeSet<String>>() {
                steps.entry(sample).or_default().push(step);
            }
        }
        Self { steps }
    }

    /// The paths to ask about.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.steps.keys().map(String::as_str)
    }

    /// What can be done by whoever has this, each with the paths on which it can. `has` says whether a path allows something.
    pub fn climbed(&self, has: impl Fn(&str, Capability) -> bool) -> BTreeMap<Deed, Vec<&str>> {
        let mut climbed: BTreeMap<Deed, Vec<&str>> = BTreeMap::new();
        for (path, steps) in &self.steps {
            let has = |capability: Capability| has(path, capability);
            let done: BTreeSet<Deed> =
                steps.iter().filter_map(|step| step.done(&has)).chain(has(Sudo).then_some(Deed::Sudo)).collect();
            for does in done {
                climbed.entry(does).or_default().push(path);
            }
        }
        climbed
    }

    /// Whether policies themselves say that something can be done on a path, or may say so.
    pub fn said(policies: &[&Policy], path: &str, does: Deed) -> bool {
        let acl = Acl::new(policies.iter().copied());
        let verdict = acl.capabilities(path);
        if verdict == Verdict::Unknown {
            return true;
        }
        let has = |capability: Capability| verdict.allows(capability) == Some(true);
        let steps = STEPS.iter().filter(|step| step.does == does);
        steps.filter_map(|step| step.done(&has)).chain(has(Sudo).then_some(Deed::Sudo)).any(|done| done == does)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(policy: &str) -> Vec<String> {
        let policy = Policy::parse(policy).unwrap();
        ascents(&[&policy]).iter().map(|one| format!("{} by {}", one.does, one.rule)).collect()
    }

    fn rule(path: &str, capabilities: &str) -> String {
        let words: Vec<String> = capabilities.split(' ').map(|word| format!("{word:?}")).collect();
        format!("path {path:?} {{ capabilities = [{}] }}\n", words.join(", "))
    }

    #[test]
    fn rules_are_found_by_what_they_allow() {
        for (path, capabilities, does) in [
            ("sys/policies/acl/*", "update", Deed::Policies),
            ("sys/policies/acl/own", "create", Deed::Policies),
            ("+/policies/acl/own", "update", Deed::Policies),
            ("sys/+/acl/+", "update", Deed::Policies),
            ("sys/policy/own", "update", Deed::Policies),
            ("sys/*", "update", Deed::Policies),
            ("*", "update", Deed::Policies),
            ("+/+/+/own", "patch", Deed::Policies),
            ("auth/jwt-prod/role/*", "update", Deed::Roles),
            ("auth/team/jwt/role/app", "update", Deed::Roles),
            ("auth/+/+/app", "update", Deed::Roles),
            ("auth/userpass/users/app/policies", "update", Deed::Roles),
            ("auth/userpass/users/+/password", "update", Deed::Roles),
            ("auth/userpass/users/bob", "update", Deed::Roles),
            ("auth/jwt-prod/config", "update", Deed::Trust),
            ("auth/+/+", "update", Deed::Trust),
            ("auth/token/create", "update", Deed::Tokens),
            ("auth/token/create/ci", "update", Deed::Tokens),
            ("auth/token/*", "create", Deed::Tokens),
            ("+/+/create-orphan", "update", Deed::Tokens),
            ("identity/*", "update", Deed::Identities),
            ("identity/group/id/{{identity.groups.names.x.id}}", "update", Deed::Identities),
            ("+/+", "update", Deed::Identities),
            ("sys/mounts/auth/jwt-prod/tune", "update", Deed::Mounts),
            ("sys/auth/evil", "create sudo", Deed::Methods),
            ("sys/raw/core/*", "read sudo", Deed::Storage),
            ("secret/data/x", "read sudo", Deed::Sudo),
        ] {
            let found = found(&rule(path, capabilities));
            assert!(found.contains(&format!("{does} by {path}")), "{path} {capabilities}: {found:?}");
        }
    }

    #[test]
    fn what_gives_nothing_more_is_not_found() {
        for rules in [
            rule("secret/data/*", "create read update delete"),
            rule("sys/policies/acl/*", "read list delete"),
            rule("*", "read list"),
            // Protected paths want sudo, and a storage endpoint too.
            rule("sys/auth/evil", "create update"),
            rule("sys/raw/*", "read update"),
            // What every login may do with its own token.
            rule("auth/token/lookup-self", "read") + &rule("auth/token/renew-self", "update"),
            rule("auth/token/revoke-self", "update"),
            // A secret's identifier of another AppRole is no role.
            rule("auth/approle/role/app/secret-id", "update"),
            rule("auth/jwt-prod/role/*", "read list"),
            rule("auth/jwt-prod/login", "update"),
            rule("identity/entity/id/*", "read"),
            rule("sys/policies/password/strong", "update"),
            rule("transit/sign/app", "update"),
            rule("kubernetes/roles/app", "update"),
            // A denial that outranks it.
            rule("sys/*", "update")
                + &rule("sys/policies/*", "deny")
                + &rule("sys/policy/*", "deny")
                + &rule("sys/mounts/*", "deny")
                + &rule("sys/namespaces/*", "deny")
                + &rule("sys/generate-root/*", "deny")
                + &rule("sys/rekey/*", "deny")
                + &rule("sys/storage/*", "deny"),
        ] {
            assert_eq!(found(&rules), Vec::<String>::new(), "{rules}");
        }
        // Denials that do not, also where they are about what stands for any name.
        for denied in ["v*", "vault*", "vaultk8s-anything", "a*"] {
            let rules = rule("sys/policies/acl/*", "update") + &rule(&format!("sys/policies/acl/{denied}"), "deny");
            assert_eq!(found(&rules), ["write policies by sys/policies/acl/*"], "{denied}");
        }
        assert!(!found(&(rule("sys/policies/acl/*", "update") + &rule("sys/*", "deny"))).is_empty());
    }

    #[test]
    fn a_server_is_asked_where_the_rules_are_too() {
        let policy = Policy::parse(&rule("sys/policies/acl/own", "update")).unwrap();
        let ladder = Ladder::of(&[&policy], &["auth/jwt/role/app".to_owned(), "secret/x".to_owned()], "T");
        let paths: Vec<&str> = ladder.paths().collect();
        assert!(paths.contains(&"sys/policies/acl/own") && paths.contains(&"sys/policies/acl/T"), "{paths:?}");
        assert!(paths.contains(&"auth/jwt/role/app") && !paths.contains(&"secret/x"), "{paths:?}");
        assert!(paths.iter().all(|path| !path.contains(['+', '*'])) && paths.len() < 25, "{paths:?}");
        let climbed = ladder.climbed(|path, capability| path == "sys/policies/acl/own" && capability == Update);
        assert_eq!(climbed, [(Deed::Policies, vec!["sys/policies/acl/own"])].into());
        assert!(Ladder::said(&[&policy], "sys/policies/acl/own", Deed::Policies));
        assert!(!Ladder::said(&[&policy], "sys/policies/acl/T", Deed::Policies));
        let none = ladder.climbed(|_, _| false);
        assert!(none.is_empty());
    }
}
