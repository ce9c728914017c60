//! All that is known of what a login's policies give: as they should be, and as Vault has them, whoever adds them.

use std::collections::{BTreeMap, BTreeSet};

use super::capabilities::Surplus;
use super::probes::Probes;
use crate::access::{Absent, Dead, Denial, Passed, Taken};
use crate::policy::{Acl, Capability, Pattern, Policy, PolicyPath, Rule};
use crate::vault::tokens::{ResultantAcl, ToldRule};

/// What a login should be able to do, and what its policies in Vault say.
#[derive(Debug)]
pub(super) struct Compared {
    /// What to ask about, and what the answers should be.
    pub(super) probes: Probes,
    /// Where rules of its policies have to deny, as they should be.
    pub(super) denials: BTreeSet<Denial>,
    /// What other policies take away of what its own grant.
    pub(super) taken: Vec<Taken>,
    /// Those of its own rules that a slash at the end of a path passes by.
    pub(super) passed: Vec<Passed>,
    /// Those that grant nothing, because its own policies deny it.
    pub(super) dead: Vec<Dead>,
    /// Those of these rules that are about a mount which isn't there, as far as mounts can be listed.
    pub(super) absent: Vec<(PolicyPath, Absent)>,
    /// What stands for any name in the paths that are asked about: none of all these policies is about it alone.
    pub(super) segment: String,
    /// What servers give every token, where the login is meant to have it.
    pub(super) stock: Policy,
    /// What the configuration allows it beside its policies.
    pub(super) allowed: Policy,
    /// The login's policies as they should be, by name.
    pub(super) own: Vec<(String, Policy)>,
    /// Its policies as Vault has them.
    pub(super) held: Held,
    /// The rules of these that only the server can judge, each with the name of its policy.
    pub(super) unsure: Vec<(String, PolicyPath)>,
}

/// The policies that a login carries, as Vault has them.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Those that could be read, by name.
    pub(super) policies: Vec<(String, Policy)>,
    /// The names of those that could not.
    pub(super) unread: Vec<String>,
    /// The names of those that are there in words that aren't understood here.
    pub(super) unclear: Vec<String>,
    /// What the login itself is told of its rules, where some could not be read.
    pub(super) told: Option<Policy>,
}

impl Held {
    /// All that can be said of them, by name.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &Policy)> {
        let told = self.told.iter().map(|policy| ("", policy));
        self.policies.iter().map(|(name, policy)| (name.as_str(), policy)).chain(told)
    }

    /// The names of those of which it isn't known what they give.
    pub(super) fn unknown(&self) -> Vec<String> {
        self.unread.iter().chain(&self.unclear).cloned().collect()
    }
}

/// What is granted beside what is meant, by whom, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Source {
    /// The rule's path, or a path itself where no rule that is known grants it.
    pub(super) path: String,
    /// The policies, where some are known to.
    pub(super) policies: BTreeSet<String>,
}

/// What is too much, source by source, each with the path that was asked about.
pub(super) fn by_source(held: &Held, extra: &[Surplus]) -> BTreeMap<Source, Surplus> {
    let acl = Acl::new(held.all().map(|(_, policy)| policy));
    let sure = acl.for_sure();
    let mut sources: BTreeMap<Source, Surplus> = BTreeMap::new();
    for surplus in extra {
        let source = source(held, [&acl, &sure], surplus);
        let known = sources.entry(source).or_insert_with(|| surplus.clone());
        known.capabilities.extend(surplus.capabilities.iter().cloned());
    }
    sources
}

/// `acls` are all rules, and those alone that are known for sure: where a template might decide, what grants it for sure is to be told.
fn source(held: &Held, acls: [&Acl; 2], surplus: &Surplus) -> Source {
    let grants = |rule: &&Rule| rule.capabilities.iter().any(|has| surplus.capabilities.contains(has.as_str()));
    let rule = acls.into_iter().find_map(|acl| acl.decides(&surplus.path)).map(|(rule, _)| rule);
    let of = |rule: &str| -> BTreeSet<String> {
        let has = |policy: &Policy| policy.rules().iter().filter(grants).any(|other| other.path.as_str() == rule);
        held.all().filter(|(_, policy)| has(policy)).map(|(name, _)| name.to_owned()).collect()
    };
    let mut policies = rule.as_deref().map(of).unwrap_or_default();
    // What the login is told of stands for what could not be read.
    if policies.remove("") && policies.is_empty() {
        policies.extend(held.unknown());
    }
    match rule {
        Some(path) if !policies.is_empty() => Source { path, policies },
        // A rule that ends at some time, or one that can't be seen.
        _ => {
            let may = |policy: &Policy| policy.rules().iter().filter(grants).any(|rule| rule.may_match(&surplus.path));
            let policies = held.all().filter(|(name, policy)| !name.is_empty() && may(policy));
            Source { path: surplus.path.clone(), policies: policies.map(|(name, _)| name.to_owned()).collect() }
        }
    }
}

/// The rules of others that grant what the login is there for: where nobody says what it is meant to do, that is what they are for.
pub(super) fn serving<'a>(
    others: impl IntoIterator<Item = &'a Policy>,
    needs: &BTreeSet<(String, Capability)>,
) -> Policy {
    let serves = |rule: &&Rule| {
        let pattern = Pattern::with_templates(&rule.path);
        needs.iter().any(|(path, capability)| rule.capabilities.contains(capability) && pattern.matches(path))
    };
    let rules: Vec<Rule> = others.into_iter().flat_map(Policy::rules).filter(serves).cloned().collect();
    Policy::new(rules)
}

/// The rules that a token is told of, as a policy.
pub(super) fn told(answer: &ResultantAcl) -> Policy {
    let rule = |path: String, rule: &ToldRule| {
        let capabilities = rule.capabilities.iter().filter_map(|word| word.parse::<Capability>().ok());
        Some(Rule::new(PolicyPath::new(&path).ok()?, capabilities))
    };
    let exact = answer.exact_paths.iter().filter_map(|(path, told)| rule(path.clone(), told));
    let globs = answer.glob_paths.iter().filter_map(|(path, told)| rule(format!("{path}*"), told));
    Policy::new(exact.chain(globs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        Policy::parse(text).unwrap()
    }

    #[test]
    fn a_template_that_might_give_it_takes_no_blame_from_a_rule_that_does() {
        let own = policy(r#"path "secret/data/{{identity.entity.name}}/*" { capabilities = ["read"] }"#);
        let group = policy(r#"path "secret/data/payroll/*" { capabilities = ["read"] }"#);
        let policies = vec![("own".to_owned(), own), ("group".to_owned(), group)];
        let held = Held { policies, ..Held::default() };
        let of = |path: &str| {
            let surplus = Surplus { path: path.to_owned(), capabilities: ["read".to_owned()].into() };
            by_source(&held, &[surplus]).into_keys().next().unwrap()
        };
        assert_eq!(of("secret/data/payroll/x").policies, ["group".to_owned()].into());
        assert_eq!(of("secret/data/other/x").policies, ["own".to_owned()].into());
    }

    #[test]
    fn what_is_too_much_is_told_by_the_rule_that_grants_it() {
        let own = policy(r#"path "secret/data/a/*" { capabilities = ["read"] }"#);
        let payroll = policy(r#"path "secret/data/payroll/*" { capabilities = ["read", "list"] }"#);
        let policies = vec![("own".to_owned(), own), ("payroll".to_owned(), payroll)];
        let held = Held { policies, unread: vec!["hidden".to_owned()], ..Held::default() };
        let surplus =
            |path: &str, word: &str| Surplus { path: path.to_owned(), capabilities: [word.to_owned()].into() };
        let extra =
            [surplus("secret/data/payroll/x", "read"), surplus("secret/data/payroll/y", "list"), surplus("x", "read")];
        let told: Vec<String> = by_source(&held, &extra)
            .iter()
            .map(|(source, surplus)| format!("{:?} {} {:?}", source.policies, source.path, surplus.capabilities))
            .collect();
        assert_eq!(told, [r#"{"payroll"} secret/data/payroll/* {"list", "read"}"#, r#"{} x {"read"}"#]);
    }
}
