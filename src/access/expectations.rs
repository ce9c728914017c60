//! What a configuration expects of its own outcome (`expect:`), held against what logins may do.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::who::{LetsIn, Who, lets_in};
use crate::config::{ClusterAccount, Config, Expectation, Expected, Role, Verb};
use crate::desired::{self, KvVersions};
use crate::error::{Error, Result};
use crate::names::ClusterName;
use crate::policy::{Capability, Pattern, Places, PolicyPath, Rule};
use crate::vault::KvVersion;

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
    demands: Vec<Demand>,
}

/// What may be done where: all of it for who can, none of it for who can't.
struct Demand {
    rule: Rule,
    /// The paths of its kind on which something may be otherwise.
    paths: Vec<String>,
}

/// What somebody may do through a role, on the paths that expectations are about.
pub(crate) struct Holding<'a> {
    pub(crate) cluster: &'a ClusterName,
    pub(crate) role: &'a Role,
    /// Who it is that the role names.
    pub(crate) who: Who,
    /// What may be done on each path; nothing on those that are left out.
    pub(crate) allowed: BTreeMap<String, BTreeSet<String>>,
    /// The rules of the role that only a server can judge.
    pub(crate) unforeseen: Vec<&'a Rule>,
    /// Whether it was tried.
    pub(crate) tried: bool,
}

/// The expectations of a configuration, as the rules of what they are about.
///
/// # Errors
/// When the version of a KV mount is missing, or a path can't be that of a rule.
pub(crate) fn asked<'a>(config: &'a Config, kv: &KvVersions) -> Result<Vec<Asked<'a>>> {
    let one = |expectation: &'a Expectation| {
        let Expectation { verb, mount, path, expected, .. } = expectation;
        let main = desired::kv_rule(mount, *verb, path, kv)?;
        // Who can do it can do it as everybody does; who can't must not be able to in any other way.
        let rules = match expected {
            Expected::Can(_) => vec![main],
            Expected::Cannot(_) | Expected::NobodyBut(_) => every_way(main, expectation, kv)?,
        };
        let demands = rules.into_iter().map(|rule| Demand { rule, paths: Vec::new() }).collect();
        Ok(Asked { expectation, demands })
    };
    config.expectations.iter().map(one).collect()
}

/// All rules that let somebody do what is expected of nobody: beside the usual one, a change of a part, and what destroys or brings
/// back versions.
fn every_way(mut main: Rule, expectation: &Expectation, kv: &KvVersions) -> Result<Vec<Rule>> {
    let Expectation { verb, mount, path, .. } = expectation;
    let mut rules = Vec::new();
    let elsewhere: &[(&str, &[Capability])] = match verb {
        Verb::Read => &[],
        Verb::List => {
            main.capabilities.insert(Capability::Scan);
            &[]
        }
        Verb::Write => {
            main.capabilities.insert(Capability::Patch);
            &[("undelete", &[Capability::Create, Capability::Update])]
        }
        Verb::Delete => &[
            ("delete", &[Capability::Create, Capability::Update]),
            ("destroy", &[Capability::Create, Capability::Update]),
            ("metadata", &[Capability::Delete]),
        ],
    };
    if kv.get(mount) == Some(&KvVersion::V2) {
        for (part, capabilities) in elsewhere {
            let path = PolicyPath::new(&format!("{mount}/{part}/{path}"));
            let path =
                path.map_err(|error| Error::usage("an expectation's path can't be that of a rule").because(error))?;
            rules.push(Rule::new(path, capabilities.iter().copied()));
        }
    }
    rules.insert(0, main);
    Ok(rules)
}

impl Asked<'_> {
    /// The paths of its rules.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &PolicyPath> {
        self.demands.iter().map(|demand| &demand.rule.path)
    }

    /// Takes those of the places that it is about.
    pub(crate) fn settle(&mut self, places: &Places) {
        for demand in &mut self.demands {
            let Some(pattern) = Pattern::of(&demand.rule.path) else { continue };
            demand.paths = places.near(&demand.rule.path).filter(|path| pattern.matches(path)).cloned().collect();
        }
    }

    /// The paths that it is about.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.demands.iter().flat_map(|demand| &demand.paths).map(String::as_str)
    }

    /// Says whether it holds, by what everybody may do.
    pub(crate) fn judge(&self, holdings: &[Holding<'_>]) -> ExpectationResult {
        let mut failures: Vec<String> = match &self.expectation.expected {
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
                    .filter_map(|holding| self.can(holding, &format!("{} of {}", holding.who, holding.cluster), false))
                    .collect()
            }
        };
        let holds = failures.is_empty();
        if failures.len() > FAILURES_TOLD {
            let more = failures.len() - FAILURES_TOLD;
            failures.truncate(FAILURES_TOLD);
            failures.push(format!("and {more} more"));
        }
        let line = self.expectation.position.line;
        ExpectationResult { expectation: self.expectation.to_string(), line, holds, failures }
    }

    /// Why an account can't do it through any role; `None` where it can.
    fn cannot(&self, account: &ClusterAccount, holdings: &[Holding<'_>]) -> Option<String> {
        let mut lacking = Vec::new();
        for holding in holdings.iter().filter(|holding| holding.cluster == &account.cluster) {
            let role = &holding.role.name;
            match lets_in(holding.role, &account.account) {
                LetsIn::No => continue,
                // A login that was tried with its token is proof enough.
                LetsIn::Perhaps if !(holding.tried && holding.who == Who::Account(account.account.clone())) => {
                    lacking.push(format!("whether {role} lets it in is for its claims to say"));
                    continue;
                }
                LetsIn::Perhaps | LetsIn::Yes => {}
            }
            let lacks = |demand: &Demand, path: &String| {
                let allowed = holding.allowed.get(path);
                !demand.rule.capabilities.iter().all(|c| allowed.is_some_and(|allowed| allowed.contains(c.as_str())))
            };
            let lack = self.demands.iter().find_map(|demand| demand.paths.iter().find(|path| lacks(demand, path)));
            match lack {
                None => return None,
                Some(path) => lacking.push(format!("{role} does not give it on {path}")),
            }
        }
        let why = if lacking.is_empty() { "no role lets it log in".to_owned() } else { lacking.join(", ") };
        Some(format!("{account} can't: {why}"))
    }

    /// Through which roles an account can do it, or may.
    fn can_through(&self, account: &ClusterAccount, holdings: &[Holding<'_>]) -> Vec<String> {
        let of_cluster = holdings.iter().filter(|holding| holding.cluster == &account.cluster);
        of_cluster
            .filter_map(|holding| match lets_in(holding.role, &account.account) {
                LetsIn::No => None,
                LetsIn::Perhaps => self.can(holding, &account.to_string(), true),
                LetsIn::Yes => self.can(holding, &account.to_string(), false),
            })
            .collect()
    }

    /// How somebody can do it through a role, if so.
    fn can(&self, holding: &Holding<'_>, who: &str, perhaps: bool) -> Option<String> {
        let role = &holding.role.name;
        let can = if perhaps { "may, if its claims are those," } else { "can," };
        let allowed = |demand: &Demand, path: &String| {
            let allowed = holding.allowed.get(path);
            demand.rule.capabilities.iter().any(|c| allowed.is_some_and(|allowed| allowed.contains(c.as_str())))
        };
        let path = self.demands.iter().find_map(|demand| demand.paths.iter().find(|path| allowed(demand, path)));
        if let Some(path) = path {
            return Some(format!("{who} {can} through {role}, on {path}"));
        }
        let unforeseen = holding.unforeseen.iter().find(|rule| {
            let about = Pattern::with_templates(&rule.path);
            self.demands.iter().any(|demand| {
                let meets = Pattern::of(&demand.rule.path).is_some_and(|pattern| pattern.meet(&about).is_some());
                meets && demand.rule.capabilities.iter().any(|capability| rule.capabilities.contains(capability))
            })
        })?;
        Some(format!("{who} may, through {role}, where the server makes it so of {}", unforeseen.path))
    }
}

/// How many of those are named who can do what nobody should.
const FAILURES_TOLD: usize = 6;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::access::who::let_in;
    use crate::policy::{Acl, Policy, Verdict};

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
        let mut asked = asked(&config, &kv).unwrap();
        let policies: BTreeMap<_, Policy> = config
            .policies
            .iter()
            .map(|policy| desired::policy(policy, &kv).unwrap())
            .map(|policy| (policy.name, policy.policy))
            .collect();
        let rules = policies.values().flat_map(Policy::rules).map(|rule| &rule.path);
        let places = Places::of(rules.chain(asked.iter().flat_map(Asked::rules)), "x");
        for asked in &mut asked {
            asked.settle(&places);
        }
        let holdings: Vec<Holding<'_>> = config
            .clusters
            .iter()
            .flat_map(|cluster| cluster.roles.iter().map(move |role| (cluster, role)))
            .flat_map(|(cluster, role)| let_in(role).into_iter().map(move |who| (cluster, role, who)))
            .map(|(cluster, role, who)| {
                let acl = Acl::new(role.policies.iter().map(|name| &policies[name]));
                let may = |path: &str| match acl.capabilities(path) {
                    Verdict::Known(words) => words.iter().map(ToString::to_string).collect(),
                    Verdict::Unknown => BTreeSet::new(),
                };
                let allowed = asked.iter().flat_map(Asked::paths).map(|path| (path.to_owned(), may(path))).collect();
                let own = role.policies.iter().flat_map(|name| policies[name].rules());
                let unforeseen = own.filter(|rule| rule.path.is_template()).collect();
                Holding { cluster: &cluster.name, role, who, allowed, unforeseen, tried: false }
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
