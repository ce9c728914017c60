//! What a login is meant to be able to do: what its policies say as they should be, what every server gives its tokens, and what
//! the configuration allows beside that.

use std::collections::BTreeSet;

use super::{Foresight, SEGMENT};
use crate::policy::{
    Acl, Capability, Pattern, Places, Policy, PolicyPath, Rule, SlashOrder, Verdict, stand_in, stock_default,
};

/// What a login is meant to be able to do.
pub(crate) struct Meant {
    /// The login's policies as they should be, those alone that are known for sure, and the same beside what servers give; then
    /// that alone.
    surely: Vec<Foresight>,
    /// What is allowed wherever it matches, however narrow a rule decides.
    allowed: Vec<(Pattern, BTreeSet<Capability>)>,
    /// Rules that only a server can judge.
    perhaps: Vec<Rule>,
    /// Those of them that are about the login itself, as every server gives them.
    itself: Vec<Rule>,
    /// The paths of all rules that tell what is meant.
    named: Vec<PolicyPath>,
}

/// What is meant on a path.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct MeantThere {
    /// This for sure.
    pub(crate) surely: BTreeSet<Capability>,
    /// And this, where the server makes it so.
    pub(crate) perhaps: BTreeSet<Capability>,
}

impl Meant {
    /// What these policies mean, and these rules beside them; `default` is what every token of the server has, where the login
    /// has it.
    pub(crate) fn new(policies: &[&Policy], default: Option<&Policy>, allowed: &Policy) -> Self {
        let rules = policies.iter().flat_map(|policy| policy.rules());
        let beside = default.into_iter().chain([allowed]).flat_map(Policy::rules);
        let named = rules.clone().chain(beside).map(|rule| rule.path.clone()).collect();
        let (uncertain, own): (Vec<&Rule>, Vec<&Rule>) = rules.partition(|rule| rule.is_uncertain());
        let own = Policy::new(own.into_iter().cloned());
        let mut surely = vec![Foresight::new(&[&own])];
        let mut perhaps: Vec<Rule> = uncertain.into_iter().cloned().collect();
        let mut itself = Vec::new();
        if let Some(default) = default {
            let (uncertain, sure): (Vec<&Rule>, Vec<&Rule>) =
                default.rules().iter().partition(|rule| rule.is_uncertain());
            let sure = Policy::new(sure.into_iter().cloned());
            surely.extend([Foresight::new(&[&own, &sure]), Foresight::new(&[&sure])]);
            itself.extend(uncertain.into_iter().cloned());
        }
        let pattern = |rule: &Rule| Some((Pattern::of(&rule.path)?, rule.capabilities.clone()));
        perhaps.extend(allowed.rules().iter().filter(|rule| rule.is_uncertain()).cloned());
        Self { surely, allowed: allowed.rules().iter().filter_map(pattern).collect(), perhaps, itself, named }
    }

    /// The segment that stands for any name among what is meant and these policies: no rule is about it alone.
    pub(crate) fn stand_in(&self, policies: &[&Policy]) -> String {
        let rules = policies.iter().flat_map(|policy| policy.rules()).map(|rule| &rule.path);
        stand_in(self.named.iter().chain(rules))
    }

    /// What is meant on a path.
    pub(crate) fn at(&self, path: &str) -> MeantThere {
        let mut surely: BTreeSet<Capability> =
            self.surely.iter().flat_map(|foresight| foresight.on_some_server(path)).collect();
        for (_, capabilities) in self.allowed.iter().filter(|(pattern, _)| pattern.matches(path)) {
            surely.extend(capabilities);
        }
        // Nothing is called as the examples of wildcards are.
        let itself = self.itself.iter().filter(|rule| !path.contains(SEGMENT) && rule.may_match(path));
        surely.extend(itself.flat_map(|rule| &rule.capabilities));
        let mut perhaps: BTreeSet<Capability> = self
            .perhaps
            .iter()
            .filter(|rule| rule.may_match(path))
            .flat_map(|rule| &rule.capabilities)
            .copied()
            .collect();
        perhaps.remove(&Capability::Deny);
        MeantThere { surely, perhaps }
    }

    /// Whether a rule that only a server can judge is meant as it stands.
    pub(crate) fn has_uncertain(&self, rule: &Rule) -> bool {
        self.perhaps
            .iter()
            .chain(&self.itself)
            .any(|meant| meant.path == rule.path && rule.capabilities.is_subset(&meant.capabilities))
    }
}

/// The paths to ask the server about, because policies may allow more there than is meant; and the rules that only it can judge,
/// and that aren't meant as they stand. `own` are the login's policies as they should be.
pub(crate) fn beyond<'a>(
    held: &[&'a Policy],
    own: &[&'a Policy],
    meant: &Meant,
) -> (BTreeSet<String>, BTreeSet<&'a PolicyPath>) {
    let rules = || held.iter().flat_map(|policy| policy.rules());
    let unsure = |rule: &&Rule| rule.path.is_template() && !rule.denies() && !meant.has_uncertain(rule);
    let unsure: BTreeSet<&PolicyPath> = rules().filter(unsure).map(|rule| &rule.path).collect();
    if nothing_beyond(held, own) {
        return (BTreeSet::new(), unsure);
    }
    let sure: Vec<&Rule> = rules().filter(|rule| !rule.path.is_template()).collect();
    let places = Places::of(sure.iter().chain(&own_rules(own)).map(|rule| &rule.path), &meant.stand_in(held));
    let acl = Acl::new([&Policy::new(sure.iter().copied().cloned())]);
    let orders = [SlashOrder::WithFirst, SlashOrder::WithoutFirst].map(|order| acl.clone().with_slash_order(order));
    let more = |path: &&String| {
        let there = meant.at(path);
        orders.iter().any(|acl| match acl.capabilities(path) {
            Verdict::Known(has) => {
                has.iter().any(|capability| *capability != Capability::Deny && !there.surely.contains(capability))
            }
            // It ends at some time; the server knows whether it has.
            Verdict::Unknown => true,
        })
    };
    let near: BTreeSet<&String> = sure.iter().flat_map(|rule| places.near(&rule.path)).collect();
    (near.into_iter().filter(more).cloned().collect(), unsure)
}

fn own_rules<'a>(own: &[&'a Policy]) -> Vec<&'a Rule> {
    own.iter().flat_map(|policy| policy.rules()).filter(|rule| !rule.path.is_template()).collect()
}

/// Whether policies say just what others do, but for what servers give: then there is nothing to look for.
fn nothing_beyond(held: &[&Policy], own: &[&Policy]) -> bool {
    let all = |policies: &[&Policy]| Policy::new(policies.iter().flat_map(|policy| policy.rules()).cloned());
    let own = all(own);
    let stock = |rule: &&Rule| {
        let same = |other: &Rule| other.path == rule.path && rule.capabilities.is_subset(&other.capabilities);
        stock_default().rules().iter().any(same) && !own.rules().iter().any(|own| own.path == rule.path)
    };
    Policy::new(all(held).rules().iter().filter(|rule| !stock(rule)).cloned()) == own
}

#[cfg(test)]
mod tests {
    use Capability::{Create, List, Read, Update};

    use super::*;

    fn policy(text: &str) -> Policy {
        Policy::parse(text).unwrap()
    }

    #[test]
    fn what_is_allowed_adds_to_what_the_policies_mean_and_takes_nothing_away() {
        let own = policy(
            r#"path "secret/data/a/*" { capabilities = ["read"] } path "kv/{{identity.entity.name}}/*" { capabilities = ["read"] }"#,
        );
        let allowed =
            policy(r#"path "secret/data/a/b" { capabilities = ["list"] } path "kv/x/*" { capabilities = ["list"] }"#);
        let meant = Meant::new(&[&own], Some(stock_default()), &allowed);
        let cases: [(&str, &[Capability], &[Capability]); 5] = [
            ("secret/data/a/b", &[Read, List], &[]),
            ("secret/data/a/c", &[Read], &[]),
            ("secret/data/b", &[], &[]),
            ("kv/x/y", &[List], &[Read]),
            ("sys/tools/hash/x", &[Create, Update], &[]),
        ];
        for (path, surely, perhaps) in cases {
            let expected =
                MeantThere { surely: surely.iter().copied().collect(), perhaps: perhaps.iter().copied().collect() };
            assert_eq!(meant.at(path), expected, "{path}");
        }
        assert_eq!(Meant::new(&[&own], None, &Policy::default()).at("sys/tools/hash/x"), MeantThere::default());
    }

    /// The paths to be asked about.
    fn asked(own: &Policy, held: &[&Policy]) -> Vec<String> {
        let meant = Meant::new(&[own], Some(stock_default()), &Policy::default());
        beyond(held, &[own], &meant).0.into_iter().map(|path| path.replace(SEGMENT, "x")).collect()
    }

    #[test]
    fn the_server_is_asked_where_the_policies_say_more_than_is_meant() {
        let own = policy(r#"path "a/*" { capabilities = ["read"] } path "a/b" { capabilities = ["deny"] }"#);
        let held = policy(r#"path "a/*" { capabilities = ["read"] }"#);
        assert_eq!(asked(&own, &[&own, stock_default()]), Vec::<String>::new());
        assert_eq!(asked(&own, &[&held, stock_default()]), ["a/b"], "a denial that is gone");
        let payroll = policy(
            r#"path "secret/data/payroll/x" { capabilities = ["read"] } path "a/c" { capabilities = ["read"] }"#,
        );
        assert_eq!(
            asked(&own, &[&own, &payroll]),
            ["secret/data/payroll/x"],
            "and what is meant anyway is not asked about"
        );
        let sudo = policy(r#"path "sys/tools/hash" { capabilities = ["update", "sudo"] }"#);
        assert_eq!(asked(&own, &[&own, &sudo]), ["sys/tools/hash"]);
    }

    #[test]
    fn what_anybody_may_do_without_a_token_is_not_asked_about() {
        let own = policy(r#"path "a/*" { capabilities = ["read"] }"#);
        for (rule, words) in [
            ("sys/health", r#""read""#),
            ("sys/leader", r#""read""#),
            ("auth/+/login", r#""create", "update""#),
            ("auth/jwt-prod/login", r#""update""#),
            ("identity/oidc/.well-known/*", r#""read""#),
            ("auth/token/renew-self", r#""create", "update""#),
        ] {
            let held = policy(&format!(r#"path "{rule}" {{ capabilities = [{words}] }}"#));
            assert_eq!(asked(&own, &[&own, &held]), Vec::<String>::new(), "{rule}");
        }
        // What is beside it is.
        let held = policy(
            r#"path "sys/init" { capabilities = ["read", "update"] } path "auth/+/role/login" { capabilities = ["update"] }"#,
        );
        assert_eq!(asked(&own, &[&own, &held]), ["auth/x/role/login", "sys/init"]);
    }

    #[test]
    fn a_denial_of_some_names_hides_nothing_beside_them() {
        let own = policy(r#"path "a/*" { capabilities = ["read"] }"#);
        for named in ["v*", "vault*", "vaultk8s-probe", "vaultk8s-probe/*"] {
            let payroll = |word: &str| {
                policy(&format!(
                    r#"path "payroll/*" {{ capabilities = ["read"] }} path "payroll/{named}" {{ capabilities = ["{word}"] }}"#
                ))
            };
            let denied = asked(&own, &[&own, &payroll("deny")]);
            assert!(denied.iter().any(|path| path.starts_with("payroll/a-x/")), "{named}: {denied:?}");
            // Nor does what is allowed hide what is not.
            let allowed = policy(&format!(r#"path "payroll/{named}" {{ capabilities = ["read"] }}"#));
            let (meant, held) = (Meant::new(&[&own], None, &allowed), payroll("read"));
            let found = beyond(&[&own, &held], &[&own], &meant).0;
            assert!(found.iter().any(|path| path.starts_with("payroll/a-")), "{named}: {found:?}");
        }
    }

    #[test]
    fn a_template_is_known_where_it_is_meant_as_it_stands() {
        let own = policy(r#"path "a/{{identity.entity.name}}/*" { capabilities = ["read"] }"#);
        let other = policy(r#"path "b/{{identity.entity.name}}/*" { capabilities = ["read"] }"#);
        let meant = Meant::new(&[&own], Some(stock_default()), &Policy::default());
        assert!(beyond(&[&own, stock_default()], &[&own], &meant).1.is_empty());
        assert_eq!(beyond(&[&own, &other], &[&own], &meant).1.len(), 1);
    }
}
