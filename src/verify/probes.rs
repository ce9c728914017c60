//! Which paths to ask Vault about, and what the answer should be. Pure.

use std::collections::BTreeMap;

use crate::access::{Standard, Standards, beside, off_limits};
use crate::names::MountPath;
use crate::policy::{Capability, Policy, PolicyPath};

/// What to ask a login about.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Probes {
    /// What is expected on each path.
    pub expected: BTreeMap<String, Standard>,
    /// The rules whose paths are asked for, as they stand in the policies: `read secret/data/app/*`.
    pub rules: Vec<String>,
    /// The paths of rules that can't be asked for, because a template decides what they mean.
    pub unforeseen: Vec<String>,
}

/// What to ask for a login with the given policies on the given auth mount, which is held against these standards. `segment` stands
/// where a policy has a wildcard; no secret of this name is read or written: Vault is only asked what would be allowed.
pub(super) fn probes(
    policies: &[&Policy],
    standards: &Standards,
    kv: &[MountPath],
    auth: &MountPath,
    segment: &str,
) -> Probes {
    let mut probes = Probes::default();
    for rule in policies.iter().flat_map(|policy| policy.rules()) {
        let sample = rule.path.sample(segment);
        let Some((path, expected)) = sample.and_then(|path| Some((path.clone(), standards.at(&path)?))) else {
            probes.unforeseen.push(rule.path.to_string());
            continue;
        };
        let verbs: Vec<&str> = rule.capabilities.iter().map(|capability| capability.as_str()).collect();
        probes.rules.push(format!("{} {}", verbs.join("+"), rule.path));
        probes.expected.insert(path, expected);
    }
    let neighbours: Vec<String> = probes.expected.keys().flat_map(|path| beside(path)).collect();
    let around = neighbours.into_iter().chain(below_wildcards(policies, segment)).chain(folders(policies, segment));
    for path in around.chain(off_limits(kv, auth, segment)) {
        if let Some(standard) = standards.at(&path) {
            probes.expected.entry(path).or_insert(standard);
        }
    }
    probes
}

/// A path further down for each rule with a wildcard at its end: that means any depth, where a `+` means one level.
fn below_wildcards(policies: &[&Policy], segment: &str) -> Vec<String> {
    let rules = policies.iter().flat_map(|policy| policy.rules()).filter(|rule| rule.path.as_str().ends_with('*'));
    rules.filter_map(|rule| Some(format!("{}/{segment}", rule.path.sample(segment)?))).collect()
}

/// The folder of each rule that lets all of it be listed: a server asks for the rules of its path with a slash.
fn folders(policies: &[&Policy], segment: &str) -> Vec<String> {
    let rules = policies.iter().flat_map(|policy| policy.rules());
    let lists = rules.filter(|rule| rule.capabilities.contains(&Capability::List));
    let stems = lists.filter_map(|rule| rule.path.as_str().strip_suffix('*').filter(|stem| stem.ends_with('/')));
    stems.filter_map(|stem| PolicyPath::new(stem).ok()?.sample(segment)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Meant;
    use crate::policy::{SEGMENT, stock_default};

    fn of(text: &str) -> Probes {
        let policy = Policy::parse(text).unwrap();
        let meant = Meant::new(&[&policy], Some(stock_default()), &Policy::default());
        let standards = Standards::new(&[&policy], Some(stock_default()), meant);
        probes(&[&policy], &standards, &["secret".parse().unwrap()], &"jwt-taloslmn".parse().unwrap(), SEGMENT)
    }

    fn talos() -> Probes {
        of(r#"path "secret/data/k8s/taloslmn/*" { capabilities = ["read"] }
              path "secret/metadata/k8s/taloslmn/*" { capabilities = ["list"] }"#)
    }

    #[test]
    fn what_the_policy_says_is_asked_for() {
        let probes = talos();
        assert_eq!(probes.rules, ["read secret/data/k8s/taloslmn/*", "list secret/metadata/k8s/taloslmn/*"]);
        let required = |path: &str| &probes.expected[&path.replace("PROBE", SEGMENT)].required;
        assert_eq!(*required("secret/data/k8s/taloslmn/PROBE"), [Capability::Read].into());
        assert_eq!(*required("secret/metadata/k8s/taloslmn/PROBE"), [Capability::List].into());
        // The folder itself, as a LIST asks for it.
        assert_eq!(*required("secret/metadata/k8s/taloslmn/"), [Capability::List].into());
        assert_eq!(*required("secret/data/k8s/taloslmn/PROBE/PROBE"), [Capability::Read].into());
    }

    #[test]
    fn neighbours_are_asked_for_and_expected_to_be_refused() {
        let probes = talos();
        for path in ["secret/data/k8s/taloslmn-x/PROBE", "secret/destroy/k8s/taloslmn/PROBE", "auth/token/create"] {
            assert_eq!(probes.expected[&path.replace("PROBE", SEGMENT)], Standard::default(), "{path}");
        }
        // Another secret of the same folder is no neighbour but granted: the policy has a wildcard there.
        let other = format!("secret/data/k8s/taloslmn/{SEGMENT}-x");
        assert_eq!(probes.expected[&other].required, [Capability::Read].into());
    }

    #[test]
    fn what_servers_give_by_themselves_is_no_surprise() {
        let probes =
            of(r#"path "secret/data/a" { capabilities = ["read"] } path "cubbyhole/a" { capabilities = ["read"] }"#);
        let surely = |path: &str| probes.expected[path].meant.surely.clone();
        assert_eq!(surely("secret/data/a"), [Capability::Read].into());
        assert!(surely("cubbyhole/a").contains(&Capability::Update));
        assert_eq!(surely("secret/data/a-x"), [].into());
    }
}
