//! Which paths to ask Vault about, and what the answer should be. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{Foresight, beside, off_limits};
use crate::names::MountPath;
use crate::policy::{Capability, Policy, PolicyPath};

/// The segment that stands where a policy has a wildcard. No secret of this name is read or written: Vault is only
/// asked what would be allowed.
pub(super) const SEGMENT: &str = "vaultk8s-probe";

/// What to ask a login about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Probes {
    /// What is expected on each path.
    pub expected: BTreeMap<String, Expected>,
    /// The rules whose paths are asked for, as they stand in the policies: `read secret/data/app/*`.
    pub rules: Vec<String>,
    /// The paths of rules that can't be asked for, because a template decides what they mean.
    pub unforeseen: Vec<String>,
}

/// What a login should be able to do on a path: no less than `required` and no more than `allowed`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// What the role's policies grant.
    pub required: BTreeSet<Capability>,
    /// That, and what Vault's policy `default` may add where it has its business; `None` where that isn't known.
    pub allowed: Option<BTreeSet<Capability>>,
}

/// Vault's policy `default`, as far as a login has it.
#[derive(Debug, Clone, Copy)]
pub(super) enum DefaultPolicy<'a> {
    /// The login goes without it.
    Absent,
    /// The operator may not read it.
    Unknown,
    /// It says this.
    Known(&'a Policy),
}

/// What to ask for a login with the given policies on the given auth mount.
///
/// `default` lets a token look after itself, so what it adds on and around rules that aren't KV is no surprise; on
/// secrets, and on paths of Vault itself, it is.
pub(super) fn probes(policies: &[&Policy], default: DefaultPolicy<'_>, kv: &[MountPath], auth: &MountPath) -> Probes {
    let own = Foresight::new(policies);
    let with_default = match default {
        DefaultPolicy::Known(default) => Some(Foresight::new(&[policies, &[default]].concat())),
        DefaultPolicy::Absent => Some(Foresight::new(policies)),
        DefaultPolicy::Unknown => None,
    };
    // `None` where a template decides.
    let expected = |path: &str, strict: bool| -> Option<Expected> {
        let required = own.foretold(path)?;
        let allowed = if strict || kv.iter().any(|mount| path.starts_with(&format!("{mount}/"))) {
            Some(required.clone())
        } else {
            with_default.as_ref().and_then(|acl| acl.foretold(path))
        };
        Some(Expected { required, allowed })
    };
    let mut probes = Probes::default();
    for rule in policies.iter().flat_map(|policy| policy.rules()) {
        let sample = rule.path.sample(SEGMENT);
        let Some((path, expected)) = sample.and_then(|path| Some((path.clone(), expected(&path, false)?))) else {
            probes.unforeseen.push(rule.path.to_string());
            continue;
        };
        let verbs: Vec<&str> = rule.capabilities.iter().map(|capability| capability.as_str()).collect();
        probes.rules.push(format!("{} {}", verbs.join("+"), rule.path));
        probes.expected.insert(path, expected);
    }
    let neighbours: Vec<String> = probes.expected.keys().flat_map(|path| beside(path)).collect();
    let around = neighbours.into_iter().chain(below_wildcards(policies)).chain(folders(policies));
    let beside = around.map(|path| (path, false));
    for (path, strict) in beside.chain(off_limits(kv, auth, SEGMENT).into_iter().map(|path| (path, true))) {
        if let Some(expected) = expected(&path, strict) {
            probes.expected.entry(path).or_insert(expected);
        }
    }
    probes
}

/// A path further down for each rule with a wildcard at its end: that means any depth, where a `+` means one level.
fn below_wildcards(policies: &[&Policy]) -> Vec<String> {
    let rules = policies.iter().flat_map(|policy| policy.rules()).filter(|rule| rule.path.as_str().ends_with('*'));
    rules.filter_map(|rule| Some(format!("{}/{SEGMENT}", rule.path.sample(SEGMENT)?))).collect()
}

/// The folder of each rule that lets all of it be listed: a server asks for the rules of its path with a slash.
fn folders(policies: &[&Policy]) -> Vec<String> {
    let rules = policies.iter().flat_map(|policy| policy.rules());
    let lists = rules.filter(|rule| rule.capabilities.contains(&Capability::List));
    let stems = lists.filter_map(|rule| rule.path.as_str().strip_suffix('*').filter(|stem| stem.ends_with('/')));
    stems.filter_map(|stem| PolicyPath::new(stem).ok()?.sample(SEGMENT)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talos() -> Probes {
        let policy = Policy::parse(
            r#"path "secret/data/k8s/taloslmn/*" { capabilities = ["read"] }
               path "secret/metadata/k8s/taloslmn/*" { capabilities = ["list"] }"#,
        )
        .unwrap();
        probes(&[&policy], DefaultPolicy::Absent, &["secret".parse().unwrap()], &"jwt-taloslmn".parse().unwrap())
    }

    #[test]
    fn what_the_policy_says_is_asked_for() {
        let probes = talos();
        assert_eq!(probes.rules, ["read secret/data/k8s/taloslmn/*", "list secret/metadata/k8s/taloslmn/*"]);
        assert_eq!(probes.expected["secret/data/k8s/taloslmn/vaultk8s-probe"].required, [Capability::Read].into());
        assert_eq!(probes.expected["secret/metadata/k8s/taloslmn/vaultk8s-probe"].required, [Capability::List].into());
        // The folder itself, as a LIST asks for it.
        assert_eq!(probes.expected["secret/metadata/k8s/taloslmn/"].required, [Capability::List].into());
        let deeper = &probes.expected["secret/data/k8s/taloslmn/vaultk8s-probe/vaultk8s-probe"];
        assert_eq!(deeper.required, [Capability::Read].into());
    }

    #[test]
    fn neighbours_are_asked_for_and_expected_to_be_refused() {
        let probes = talos();
        for path in [
            "secret/data/k8s/taloslmn-x/vaultk8s-probe",
            "secret/destroy/k8s/taloslmn/vaultk8s-probe",
            "auth/token/create",
        ] {
            let refused = Expected { required: BTreeSet::new(), allowed: Some(BTreeSet::new()) };
            assert_eq!(probes.expected[path], refused, "{path}");
        }
        // Another secret of the same folder is no neighbour but granted: the policy has a wildcard there.
        assert_eq!(probes.expected["secret/data/k8s/taloslmn/vaultk8s-probe-x"].required, [Capability::Read].into());
    }

    #[test]
    fn what_default_adds_is_no_surprise_but_on_secrets() {
        let policy = Policy::parse(
            r#"path "secret/data/a" { capabilities = ["read"] } path "cubbyhole/a" { capabilities = ["read"] }"#,
        )
        .unwrap();
        let default = Policy::parse(
            r#"path "secret/*" { capabilities = ["update"] } path "cubbyhole/a" { capabilities = ["update"] }"#,
        )
        .unwrap();
        let probes =
            probes(&[&policy], DefaultPolicy::Known(&default), &["secret".parse().unwrap()], &"jwt".parse().unwrap());
        assert_eq!(probes.expected["secret/data/a"].allowed, Some([Capability::Read].into()));
        assert_eq!(probes.expected["cubbyhole/a"].allowed, Some([Capability::Read, Capability::Update].into()));
        assert_eq!(probes.expected["secret/data/a-x"].allowed, Some(BTreeSet::new()));
    }
}
