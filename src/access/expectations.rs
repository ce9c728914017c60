//! What a configuration expects of its own outcome (`expect:`), held against what logins may do.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::who::{LetsIn, Who, lets_in};
use crate::config::{ClusterAccount, Config, Expectation, Expected, Role};
use crate::desired::{self, KvVersions};
use crate::error::Result;
use crate::names::ClusterName;
use crate::policy::{Acl, Capability, Policy, Rule};

/// What came of an expectation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpectationResult {
    /// What is expected, in words.
    pub expectation: String,
    /// The line of its entry in the file.
    pub line: u64,
    /// Whether it holds.
    pub holds: bool,
    /// Why it doesn't.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<String>,
}

/// An expectation as it is asked about.
pub(crate) struct Asked<'a> {
    expectation: &'a Expectation,
    capabilities: BTreeSet<Capability>,
    /// The paths that it is about.
    paths: Vec<String>,
}

/// What somebody may do through a role, on the paths that expectations are about.
pub(crate) struct Holding<'a> {
    pub(crate) cluster: &'a ClusterName,
    pub(crate) role: &'a Role,
    /// Who it is that the role names.
    pub(crate) who: Who,
    /// What may be done on each path.
    pub(crate) allowed: BTreeMap<String, BTreeSet<String>>,
}

/// The paths that each expectation is about: one that its pattern matches, and of the `known` paths all that it matches.
///
/// # Errors
/// When the version of a KV mount is missing, or a path can't be that of a rule.
pub(crate) fn asked<'a>(config: &'a Config, kv: &KvVersions, known: &[&str], segment: &str) -> Result<Vec<Asked<'a>>> {
    let one = |expectation: &'a Expectation| {
        let Expectation { verb, mount, path, .. } = expectation;
        let rule = desired::kv_rule(mount, *verb, path, kv)?;
        let capabilities = rule.capabilities.clone();
        let sample = rule.path.sample(segment);
        let literal = rule.path.literal().to_owned();
        let pattern = Acl::new([&Policy::new([Rule::new(rule.path, [Capability::Read])])]);
        let near = known.iter().filter(|path| path.starts_with(&literal));
        let inside = near.filter(|path| pattern.capabilities(path).allows(Capability::Read) == Some(true));
        let mut paths: Vec<String> = sample.into_iter().chain(inside.map(|path| (*path).to_owned())).collect();
        paths.sort_unstable();
        paths.dedup();
        Ok(Asked { expectation, capabilities, paths })
    };
    config.expectations.iter().map(one).collect()
}

impl Asked<'_> {
    /// The paths that it is about.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// Says whether it holds, by what everybody may do.
    pub(crate) fn judge(&self, holdings: &[Holding<'_>]) -> ExpectationResult {
        let failures: Vec<String> = match &self.expectation.expected {
            Expected::Can(accounts) => accounts.iter().filter_map(|account| self.cannot(account, holdings)).collect(),
            Expected::Cannot(accounts) => {
                accounts.iter().flat_map(|account| self.can_through(account, holdings)).collect()
            }
            Expected::NobodyBut(accounts) => {
                let expected = |holding: &Holding<'_>| {
                    matches!(&holding.who, Who::Account(account)
                        if accounts.iter().any(|but| but.cluster == *holding.cluster && but.account == *account))
                };
                let others = holdings.iter().filter(|holding| !expected(holding));
                others
                    .filter_map(|holding| self.can(holding, &format!("{} of {}", holding.who, holding.cluster)))
                    .collect()
            }
        };
        ExpectationResult {
            expectation: self.expectation.to_string(),
            line: self.expectation.position.line,
            holds: failures.is_empty(),
            failures,
        }
    }

    /// Why an account can't do it through any role; `None` where it can.
    fn cannot(&self, account: &ClusterAccount, holdings: &[Holding<'_>]) -> Option<String> {
        let own = holdings.iter().filter(|holding| {
            holding.cluster == &account.cluster && lets_in(holding.role, &account.account) == LetsIn::Yes
        });
        let mut lacking = Vec::new();
        for holding in own {
            let lacks = |path: &&String| {
                let allowed = holding.allowed.get(*path);
                !self.capabilities.iter().all(|c| allowed.is_some_and(|allowed| allowed.contains(c.as_str())))
            };
            match self.paths.iter().find(lacks) {
                None => return None,
                Some(path) => lacking.push(format!("{} does not give it on {path}", holding.role.name)),
            }
        }
        let why = if lacking.is_empty() { "no role lets it log in".to_owned() } else { lacking.join(", ") };
        Some(format!("{account} can't: {why}"))
    }

    /// Through which roles an account can do it, or may.
    fn can_through(&self, account: &ClusterAccount, holdings: &[Holding<'_>]) -> Vec<String> {
        let own = holdings.iter().filter(|holding| {
            holding.cluster == &account.cluster && lets_in(holding.role, &account.account) != LetsIn::No
        });
        own.filter_map(|holding| self.can(holding, &account.to_string())).collect()
    }

    /// How somebody can do it through a role, if so.
    fn can(&self, holding: &Holding<'_>, who: &str) -> Option<String> {
        let allowed = |path: &&String| {
            let allowed = holding.allowed.get(*path);
            self.capabilities.iter().any(|c| allowed.is_some_and(|allowed| allowed.contains(c.as_str())))
        };
        let path = self.paths.iter().find(allowed)?;
        Some(format!("{who} can, through {}, on {path}", holding.role.name))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::access::who::let_in;
    use crate::vault::KvVersion;

    const FILE: &str = "
clusters:
  - { name: a, context: a, auth: { method: jwt, audience: vault } }
  - { name: b, context: b, auth: { method: kubernetes, audience: k8s } }
policies:
  - { name: 'app-{cluster}', read: ['app/{cluster}/*'] }
  - { name: wide, read: ['app/*'], clusters: [b] }
roles:
  - { name: app, serviceAccounts: ns/app, policies: 'app-{cluster}', ttl: 1h }
  - { name: ops, clusters: [b], serviceAccounts: ['ops-*/ops'], allowGlobs: true, policies: wide, ttl: 1h }
  - { name: claims, clusters: [a], boundClaims: { /kubernetes.io/namespace: dev }, policies: app-a, ttl: 1h }
expect:
";

    /// What came of the expectations, where everybody may do what the policies say.
    fn results(expect: &str) -> Vec<(String, Vec<String>)> {
        let config = Config::parse(&format!("{FILE}{expect}"), Path::new("test.yaml")).unwrap();
        let kv = KvVersions::from([("secret".parse().unwrap(), KvVersion::V2)]);
        let known = ["secret/data/app/a/x", "secret/data/app/b/x", "secret/data/app/x"];
        let asked = asked(&config, &kv, &known, "x").unwrap();
        let policies: BTreeMap<_, Policy> = config
            .policies
            .iter()
            .map(|policy| desired::policy(policy, &kv).unwrap())
            .map(|policy| (policy.name, policy.policy))
            .collect();
        let holdings: Vec<Holding<'_>> = config
            .clusters
            .iter()
            .flat_map(|cluster| cluster.roles.iter().map(move |role| (cluster, role)))
            .flat_map(|(cluster, role)| let_in(role).into_iter().map(move |who| (cluster, role, who)))
            .map(|(cluster, role, who)| {
                let acl = Acl::new(role.policies.iter().map(|name| &policies[name]));
                let may = |path: &str| match acl.capabilities(path) {
                    crate::policy::Verdict::Known(words) => words.iter().map(ToString::to_string).collect(),
                    crate::policy::Verdict::Unknown => panic!("{path}"),
                };
                let allowed = asked.iter().flat_map(Asked::paths).map(|path| (path.to_owned(), may(path))).collect();
                Holding { cluster: &cluster.name, role, who, allowed }
            })
            .collect();
        asked.iter().map(|asked| asked.judge(&holdings)).map(|result| (result.expectation, result.failures)).collect()
    }

    #[test]
    fn what_holds_holds_and_is_told_in_words() {
        let told = results(
            "  - { serviceAccounts: ns/app, can: read, paths: 'app/{cluster}/db' }
  - { serviceAccounts: ns/app, clusters: [a], cannot: [write, read], paths: [app/b/*] }
  - { nobodyBut: [], can: delete, paths: '*' }
  - { serviceAccounts: ops-1/ops, clusters: b, can: read, paths: 'app/*' }
  - { serviceAccounts: dev/any, clusters: a, can: read, paths: app/a/x }",
        );
        let words: Vec<&str> = told.iter().map(|(words, _)| words.as_str()).collect();
        assert_eq!(
            words,
            [
                "ns/app of a can read secret/app/a/db",
                "ns/app of b can read secret/app/b/db",
                "ns/app of a cannot write secret/app/b/*",
                "ns/app of a cannot read secret/app/b/*",
                "nobody can delete secret/*",
                "ops-1/ops of b can read secret/app/*",
                "dev/any of a can read secret/app/a/x",
            ]
        );
        assert!(told.iter().all(|(_, failures)| failures.is_empty()), "{told:#?}");
    }

    #[test]
    fn what_does_not_hold_says_who_and_through_which_role() {
        let told = results(
            "  - { nobodyBut: ns/app, can: read, paths: 'app/a/*' }
  - { serviceAccounts: ns/app, clusters: a, can: [write], paths: app/a/x }
  - { serviceAccounts: ns/other, clusters: b, can: read, paths: app/b/x }
  - { serviceAccounts: ops-1/ops, cannot: read, clusters: b, paths: app/a/x }",
        );
        let failures: Vec<Vec<&str>> = told.iter().map(|(_, all)| all.iter().map(String::as_str).collect()).collect();
        assert_eq!(
            failures,
            [
                vec![
                    "whoever has /kubernetes.io/namespace dev of a can, through claims, on secret/data/app/a/x",
                    "whatever matches ops-*/ops of b can, through ops, on secret/data/app/a/x",
                ],
                vec!["ns/app of a can't: app does not give it on secret/data/app/a/x"],
                vec!["ns/other of b can't: no role lets it log in"],
                vec!["ops-1/ops of b can, through ops, on secret/data/app/a/x"],
            ]
        );
    }

    #[test]
    fn one_path_in_several_clusters_is_one_expectation() {
        let told = results("  - { nobodyBut: ns/app, can: read, paths: app/x/db }");
        assert_eq!(told[0].0, "nobody but ns/app of a and ns/app of b can read secret/app/x/db");
        assert_eq!(told[0].1, ["whatever matches ops-*/ops of b can, through ops, on secret/data/app/x/db"]);
    }
}
