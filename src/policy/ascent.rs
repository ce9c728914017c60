//! Rules by which a login could give itself more than its policies say: who writes policies, roles or identities is held by none.
//!
//! They are found by what they allow, not by how they are written: `*`, `+/+` and `sys/policies/acl/x` all let policies be written.

use std::collections::{BTreeMap, BTreeSet};

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
    does: &'static str,
}

const WRITE: &[Capability] = &[Create, Update, Patch];

const fn step(path: &'static str, does: &'static str) -> Step {
    Step { path, capabilities: WRITE, protected: false, asked: true, does }
}

const fn rare(path: &'static str, does: &'static str) -> Step {
    Step { asked: false, ..step(path, does) }
}

const fn protected(path: &'static str, capabilities: &'static [Capability], does: &'static str) -> Step {
    Step { path, capabilities, protected: true, asked: true, does }
}

const POLICIES: &str = "write policies";
const ROLES: &str = "write roles and users of auth methods";
const TRUST: &str = "say whom auth methods trust";
const TOKENS: &str = "make tokens that outlive it";
const IDENTITIES: &str = "change identities and their policies";
const MOUNTS: &str = "mount and tune engines and auth methods";
const ROOT: &str = "make root tokens, with the shares of the key";

/// What a person may call a mount has one segment or two here; what a rule names is compared with all of it.
static STEPS: &[Step] = &[
    step("sys/policies/acl/*", POLICIES),
    step("sys/policy/*", POLICIES),
    step("auth/+/role/+", ROLES),
    rare("auth/+/+/role/+", ROLES),
    rare("auth/+/role/+/policies", ROLES),
    rare("auth/+/role/+/token-policies", ROLES),
    rare("auth/+/users/+", ROLES),
    rare("auth/+/groups/+", ROLES),
    rare("auth/+/certs/+", ROLES),
    rare("auth/+/map/*", ROLES),
    rare("auth/token/roles/+", ROLES),
    step("auth/+/config", TRUST),
    rare("auth/+/+/config", TRUST),
    step("auth/token/create", TOKENS),
    step("auth/token/create/+", TOKENS),
    step("auth/token/create-orphan", TOKENS),
    step("identity/entity", IDENTITIES),
    step("identity/entity/id/+", IDENTITIES),
    step("identity/entity/name/+", IDENTITIES),
    rare("identity/entity/merge", IDENTITIES),
    step("identity/entity-alias", IDENTITIES),
    rare("identity/entity-alias/id/+", IDENTITIES),
    step("identity/group", IDENTITIES),
    step("identity/group/id/+", IDENTITIES),
    step("identity/group/name/+", IDENTITIES),
    rare("identity/group-alias", IDENTITIES),
    rare("identity/group-alias/id/+", IDENTITIES),
    rare("identity/alias", IDENTITIES),
    rare("identity/persona", IDENTITIES),
    step("sys/mounts/*", MOUNTS),
    rare("sys/namespaces/*", "make namespaces"),
    rare("sys/generate-root/*", ROOT),
    rare("sys/rekey/*", ROOT),
    rare("sys/storage/raft/snapshot*", "replace all that is stored"),
    protected("sys/auth/*", WRITE, "set up auth methods"),
    protected("sys/remount", WRITE, MOUNTS),
    protected("sys/raw/*", &[Create, Read, Update, Patch, Delete], "reach into the storage itself"),
    protected("sys/plugins/catalog/*", WRITE, "register plugins"),
    protected("sys/rotate/*", WRITE, ROOT),
    protected("sys/seal", WRITE, "seal the server"),
];

/// What `sudo` alone does, wherever it is granted.
const UNPROTECTED: &str = "reach protected paths (sudo)";

impl Step {
    /// Whether a path is one of its own.
    fn matches(&self, path: &str) -> bool {
        PolicyPath::new(self.path).is_ok_and(|own| Pattern::with_templates(&own).matches(path))
    }

    /// What somebody can do who has this on one of its paths; a server says `root` of what no policy binds.
    fn done(&self, has: &dyn Fn(Capability) -> bool) -> Option<&'static str> {
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
        // Tokens have paths of their own, which look like those of a mount.
        all.filter(|(sample, _)| !self.path.starts_with("auth/+") || !sample.starts_with("auth/token/")).collect()
    }
}

/// A way in which a login can give itself more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ascent {
    /// What it can do: `write policies`.
    pub does: &'static str,
    /// Where, as a rule writes it.
    pub rule: PolicyPath,
}

/// What logins with some policies together can give themselves, as far as rules tell; a rule whose path only a server knows counts as
/// what it may be.
pub fn ascents(policies: &[&Policy]) -> BTreeSet<Ascent> {
    let acl = Acl::new(policies.iter().copied());
    let rules: Vec<_> = policies.iter().flat_map(|policy| policy.rules()).filter(|rule| !rule.denies()).collect();
    let paths: Vec<&PolicyPath> = rules.iter().map(|rule| &rule.path).collect();
    let mut found = BTreeSet::new();
    let mut add = |does: &'static str, rule: &PolicyPath| found.insert(Ascent { does, rule: rule.clone() });
    for step in STEPS {
        for (sample, rule) in step.samples(&paths, TOKEN) {
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
        let decides = rule.path.sample(TOKEN).and_then(|sample| acl.capabilities(&sample).allows(Sudo));
        if decides != Some(false) {
            add(UNPROTECTED, &rule.path);
        }
    }
    found
}

/// A segment that no rule has.
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
    pub fn climbed(&self, has: impl Fn(&str, Capability) -> bool) -> BTreeMap<&'static str, Vec<&str>> {
        let mut climbed: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
        for (path, steps) in &self.steps {
            let has = |capability: Capability| has(path, capability);
            let done: BTreeSet<&'static str> =
                steps.iter().filter_map(|step| step.done(&has)).chain(has(Sudo).then_some(UNPROTECTED)).collect();
            for does in done {
                climbed.entry(does).or_default().push(path);
            }
        }
        climbed
    }

    /// Whether policies themselves say that something can be done on a path, or may say so.
    pub fn said(policies: &[&Policy], path: &str, does: &str) -> bool {
        let acl = Acl::new(policies.iter().copied());
        let verdict = acl.capabilities(path);
        if verdict == Verdict::Unknown {
            return true;
        }
        let has = |capability: Capability| verdict.allows(capability) == Some(true);
        let steps = STEPS.iter().filter(|step| step.does == does);
        steps.filter_map(|step| step.done(&has)).chain(has(Sudo).then_some(UNPROTECTED)).any(|done| done == does)
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
            ("sys/policies/acl/*", "update", POLICIES),
            ("sys/policies/acl/own", "create", POLICIES),
            ("+/policies/acl/own", "update", POLICIES),
            ("sys/+/acl/+", "update", POLICIES),
            ("sys/policy/own", "update", POLICIES),
            ("sys/*", "update", POLICIES),
            ("*", "update", POLICIES),
            ("+/+/+/own", "patch", POLICIES),
            ("auth/jwt-prod/role/*", "update", ROLES),
            ("auth/team/jwt/role/app", "update", ROLES),
            ("auth/+/+/app", "update", ROLES),
            ("auth/userpass/users/bob", "update", ROLES),
            ("auth/jwt-prod/config", "update", TRUST),
            ("auth/+/+", "update", TRUST),
            ("auth/token/create", "update", TOKENS),
            ("auth/token/create/ci", "update", TOKENS),
            ("auth/token/*", "create", TOKENS),
            ("+/+/create-orphan", "update", TOKENS),
            ("identity/*", "update", IDENTITIES),
            ("identity/group/id/{{identity.groups.names.x.id}}", "update", IDENTITIES),
            ("+/+", "update", IDENTITIES),
            ("sys/mounts/auth/jwt-prod/tune", "update", MOUNTS),
            ("sys/auth/evil", "create sudo", "set up auth methods"),
            ("sys/raw/core/*", "read sudo", "reach into the storage itself"),
            ("secret/data/x", "read sudo", UNPROTECTED),
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
        // One that does not.
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
        assert_eq!(climbed, [(POLICIES, vec!["sys/policies/acl/own"])].into());
        assert!(Ladder::said(&[&policy], "sys/policies/acl/own", POLICIES));
        assert!(!Ladder::said(&[&policy], "sys/policies/acl/T", POLICIES));
        let none = ladder.climbed(|_, _| false);
        assert!(none.is_empty());
    }
}
