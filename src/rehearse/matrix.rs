//! Who may do what: which paths to ask a role's token about, and what the answers mean. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{AskedExpectation, Deviation, Foresight, Meant, Standards, beside, granted, off_limits};
use crate::config::Role;
use crate::desired::Desired;
use crate::names::{MountPath, PolicyName};
use crate::policy::{Acl, Identity, Pattern, Places, Policy, PolicyPath, Rule, Verdict, stand_in};
use crate::vault::CapabilitiesByPath;

use super::report::GrantedPath;
use super::tenants::{Filled, Own};

/// How many paths all roles together are asked about that nothing gives them, as far as the configuration says; and how many
/// each role at least. A server takes a fifth of a millisecond for a path, and roles × paths are soon millions.
const OTHERS_IN_ALL: usize = 40_000;
const OTHERS_AT_LEAST: usize = 20;

/// What the configuration says about every path that its policies name.
pub(super) struct Matrix<'a> {
    /// Those paths, with something in place of their wildcards, and those that expectations are about.
    named: BTreeMap<String, Named>,
    places: Places,
    /// Rules that can't be asked about, because a template decides what they mean.
    pub(super) unforeseen: BTreeSet<String>,
    policies: BTreeMap<&'a PolicyName, &'a Policy>,
    /// Vault's policy `default`.
    default: Option<Policy>,
    kv: &'a [MountPath],
    /// How many paths a role is asked about that others name and nothing gives it.
    others: usize,
    /// What stands for any name in these paths.
    segment: String,
    /// What the configuration expects of its outcome.
    pub(super) expectations: Vec<AskedExpectation<'a>>,
}

/// What to ask a role's token about.
pub(super) struct Questions {
    pub(super) paths: Vec<String>,
    /// How many paths that the policies name are left out, because there are too many.
    pub(super) left_out: usize,
}

/// An example of a kind of paths.
#[derive(Default)]
struct Named {
    /// The rules that it stands for, with the policies that have them; none where rules only meet, or where only an expectation is
    /// about it.
    rules: BTreeMap<String, BTreeSet<PolicyName>>,
    /// Whether an expectation is about it.
    expected: bool,
}

impl Named {
    /// The rule of one of the login's own policies, if one has it.
    fn own_rule(&self, own: &Own<'_>) -> Option<&str> {
        let has = |rule: &str, by: &BTreeSet<PolicyName>| {
            own.policies
                .iter()
                .any(|(name, policy)| by.contains(*name) && policy.rules().iter().any(|own| own.path.as_str() == rule))
        };
        self.rules.iter().find(|(rule, by)| has(rule, by)).map(|(rule, _)| rule.as_str())
    }
}

/// What the answers for one role came to.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// What is granted of what the policies name.
    pub(super) grants: Vec<GrantedPath>,
    /// On how many paths nothing is granted.
    pub(super) refused: usize,
    /// What is otherwise than the configuration says, a sentence each.
    pub(super) failures: Vec<String>,
}

impl<'a> Matrix<'a> {
    /// The matrix of a desired state with so many roles, on a server with this policy `default`, and with what is expected.
    /// `filled` is what the templates of its policies come to.
    pub(super) fn new(
        desired: &'a Desired,
        filled: Filled,
        kv: &'a [MountPath],
        default: Option<&str>,
        roles: usize,
        mut expectations: Vec<AskedExpectation<'a>>,
    ) -> Self {
        let Filled { policies: filled, unforeseen } = filled;
        let policies = desired.policies.iter().map(|policy| (&policy.name, &policy.policy)).collect();
        let default = default.and_then(|text| Policy::parse(text).ok());
        let others = (OTHERS_IN_ALL / roles.max(1)).max(OTHERS_AT_LEAST);
        let all = || desired.policies.iter().chain(&filled);
        let written = || all().flat_map(|policy| policy.policy.rules().iter().map(move |rule| (policy, rule)));
        let paths =
            || written().map(|(_, rule)| &rule.path).chain(expectations.iter().flat_map(AskedExpectation::rules));
        let given = default.iter().flat_map(Policy::rules).map(|rule| &rule.path);
        let segment = stand_in(paths().chain(given));
        let places = Places::of(paths(), &segment);
        let mut named: BTreeMap<String, Named> =
            places.all().keys().map(|example| (example.clone(), Named::default())).collect();
        for (policy, rule) in written() {
            // The longest stands for the rule; the others only tell it from its neighbours.
            let example = places.own(&rule.path).iter().max_by_key(|example| example.len());
            if let Some(named) = example.and_then(|example| named.get_mut(example)) {
                named.rules.entry(rule.path.to_string()).or_default().insert(policy.name.clone());
            }
        }
        for asked in &mut expectations {
            asked.settle(&places, written().map(|(_, rule)| &rule.path));
        }
        for path in expectations.iter().flat_map(AskedExpectation::paths) {
            named.entry(path.to_owned()).or_default().expected = true;
        }
        Self { named, places, unforeseen, policies, default, kv, others, segment, expectations }
    }

    /// Whether what a role gives depends on who logs in.
    pub(super) fn depends_on_who(&self, role: &Role) -> bool {
        let own = role.policies.iter().filter_map(|name| self.policies.get(name));
        own.flat_map(|policy| policy.rules()).any(|rule| rule.path.is_template())
    }

    /// What a login was found to allow on the paths of the expectations. What was not asked about is as it is foreseen, which was
    /// found to be true of all that was asked.
    pub(super) fn found(&self, own: &Own<'_>, actual: &CapabilitiesByPath) -> BTreeMap<String, BTreeSet<String>> {
        let mut found = self.foreseen(own);
        let expected = actual.iter().filter(|(path, _)| self.named.get(*path).is_some_and(|named| named.expected));
        found.extend(expected.map(|(path, words)| (path.clone(), words.iter().cloned().collect())));
        found
    }

    /// The rules of a login's policies that only a server can judge.
    pub(super) fn unforeseen_of(own: &Own<'_>) -> Vec<Rule> {
        let rules = own.said().into_iter().flat_map(Policy::rules);
        rules.filter(|rule| rule.is_uncertain()).cloned().collect()
    }

    /// What the policies of a login say together.
    pub(super) fn acl_of(&self, own: &Own<'_>) -> Acl {
        Acl::new(own.said().into_iter().chain(self.default_of(own.role)))
    }

    /// The policy `default`, where a role has it.
    fn default_of(&self, role: &Role) -> Option<&Policy> {
        self.default.as_ref().filter(|_| !role.token.no_default_policy)
    }

    /// What a login that nobody can try from here would allow on these paths, as far as policies tell.
    pub(super) fn foreseen(&self, own: &Own<'_>) -> BTreeMap<String, BTreeSet<String>> {
        let policies: Vec<&Policy> = own.said().into_iter().chain(self.default_of(own.role)).collect();
        let foresight = Foresight::new(&policies);
        let words =
            |path: &String| foresight.foretold(path).map(|words| words.iter().map(ToString::to_string).collect());
        let is_expected = |path: &&String| self.named.get(*path).is_some_and(|named| named.expected);
        let expected = self.within_reach(&policies).into_iter().filter(is_expected);
        expected.filter_map(|path| Some((path.clone(), words(path)?))).collect()
    }

    /// The paths that a rule of these policies may match, and the folders that it may let somebody list: the only ones on which they
    /// allow anything.
    fn within_reach<'s>(&'s self, policies: &[&'s Policy]) -> BTreeSet<&'s String> {
        let rules = policies.iter().flat_map(|policy| policy.rules());
        rules.flat_map(|rule| self.places.near(&rule.path).chain(self.places.folders_near(&rule.path))).collect()
    }

    /// The paths to ask a token of the `nth` role about: all that any policy names or an expectation is about, those beside the
    /// role's own, and those that no consumer of secrets has any business with. Of too many that nothing gives it, each role has
    /// others.
    pub(super) fn questions(&self, of: &Own<'_>, mount: &MountPath, nth: usize) -> Questions {
        let policies = of.said();
        let (foresight, reach) = (Foresight::new(&policies), self.within_reach(&policies));
        let mut canaries: BTreeSet<String> = off_limits(self.kv, mount, &self.segment).into_iter().collect();
        let (mut paths, mut others, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (path, named) in &self.named {
            let own = named.own_rule(of).is_some();
            if own {
                canaries.extend(beside(path));
            }
            // What rules only meet on is foreseen like all the rest, and there may be much of it.
            let foretold = if reach.contains(path) { foresight.foretold(path) } else { Some(BTreeSet::new()) };
            let sure = foretold.is_some_and(|capabilities| capabilities.is_empty() || named.rules.is_empty());
            match (sure && !own, named.expected) {
                (false, _) => paths.push(path.clone()),
                (true, true) => expected.push(path),
                (true, false) => others.push(path),
            }
        }
        // What is expected of nobody must be tried before what merely happens to be named.
        let mut left_out = 0;
        let mut left = self.others;
        for some in [expected, others] {
            let asked = some.len().min(left);
            left -= asked;
            left_out += some.len() - asked;
            paths.extend((0..asked).map(|at| some[(nth + at * some.len() / asked) % some.len()].clone()));
        }
        paths.extend(canaries.into_iter().filter(|path| !self.named.contains_key(path)));
        Questions { paths, left_out }
    }

    /// The policies of a role, for a login with this identity.
    pub(super) fn own(&self, role: &'a Role, identity: &Identity) -> Own<'a> {
        let policies = role.policies.iter().filter_map(|name| self.policies.get_key_value(name));
        Own::new(role, policies.map(|(name, policy)| (*name, *policy)), identity)
    }

    /// Compares what Vault says with what the configuration says.
    pub(super) fn judge(&self, of: &Own<'_>, mount: &MountPath, actual: &CapabilitiesByPath) -> Judged {
        let (own, default) = (of.said(), self.default_of(of.role));
        let meant = Meant::new(&own, default.map(|default| self.harmless(default, mount)).as_ref(), &Policy::default());
        let standards = Standards::new(&own, default, meant);
        let mut judged = Judged::default();
        for (path, answer) in actual {
            let Some(standard) = standards.at(path) else { continue };
            // What a template may give isn't told: the matrix has no place for what only a server can judge.
            let Deviation { lacks, more, unsure: _ } = standard.deviation(answer);
            let has: BTreeSet<&str> = granted(answer).map(String::as_str).collect();
            let named = self.named.get(path);
            let shown = named
                .and_then(|named| named.own_rule(of).or(named.rules.keys().next().map(String::as_str)))
                .unwrap_or(path);
            if !lacks.is_empty() {
                let lacks = list(&lacks);
                judged.failures.push(format!("it may not {lacks} {shown}, which the configuration grants"));
            }
            if !more.is_empty() {
                let more = list(&more);
                judged.failures.push(format!("it may also {more} {shown}, which the configuration does not grant"));
            }
            match named {
                _ if has.is_empty() => judged.refused += 1,
                Some(named) if named.rules.is_empty() => {}
                Some(named) => judged.grants.extend(grants(of, default, named, path, &has)),
                None => {}
            }
        }
        judged
    }

    /// The policy `default` without what is about secrets, or about Vault itself: that is meant by nobody.
    fn harmless(&self, default: &Policy, mount: &MountPath) -> Policy {
        let below = self.kv.iter().filter_map(|kv| PolicyPath::new(&format!("{kv}/*")).ok());
        let below: Vec<Pattern> = below.filter_map(|path| Pattern::of(&path)).collect();
        let off_limits = off_limits(self.kv, mount, &self.segment);
        let is_harmless = |rule: &&Rule| {
            let pattern = Pattern::with_templates(&rule.path);
            !below.iter().any(|below| pattern.meet(below).is_some())
                && !off_limits.iter().any(|path| pattern.matches(path))
        };
        Policy::new(default.rules().iter().filter(is_harmless).cloned())
    }
}

/// What is granted on a path, by the policies that grant it.
fn grants(of: &Own<'_>, default: Option<&Policy>, named: &Named, path: &str, has: &BTreeSet<&str>) -> Vec<GrantedPath> {
    let mut by: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    let own = of.policies.iter().map(|(name, policy)| (name.as_str(), &**policy));
    let candidates: Vec<(&str, Verdict)> = own
        .chain(default.map(|policy| ("default", policy)))
        .map(|(name, policy)| (name, Acl::new([policy]).capabilities(path)))
        .collect();
    for capability in has {
        let grants = candidates.iter().filter(|(_, verdict)| match verdict {
            Verdict::Known(granted) => granted.iter().any(|granted| granted.as_str() == *capability),
            Verdict::Unknown => false,
        });
        let policies: Vec<String> = grants.map(|(name, _)| (*name).to_owned()).collect();
        by.entry(policies).or_default().push((*capability).to_owned());
    }
    let own = named.own_rule(of);
    let shown = own.or(named.rules.keys().next().map(String::as_str)).unwrap_or(path);
    let others = || named.rules.values().flatten().cloned().collect();
    let named_by = if own.is_some() { BTreeSet::new() } else { others() };
    let grant = |(policies, capabilities)| GrantedPath {
        path: shown.to_owned(),
        asked: path.to_owned(),
        capabilities,
        policies,
        named_by: named_by.clone(),
    };
    by.into_iter().map(grant).collect()
}

fn list(words: &BTreeSet<String>) -> String {
    words.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::desired::DesiredPolicy;

    /// Policies by name and path, each of which lets its path be read.
    fn desired(policies: &[(&str, &str)]) -> Desired {
        let policy = |(name, path): &(&str, &str)| DesiredPolicy {
            name: name.parse().unwrap(),
            policy: Policy::parse(&format!("path \"{path}\" {{ capabilities = [\"read\"] }}")).unwrap(),
        };
        Desired { policies: policies.iter().map(policy).collect(), ..Desired::default() }
    }

    /// A role with the policy `own`.
    fn role() -> Role {
        let text = "
clusters: [{ name: c, context: c, auth: { method: jwt, audience: vault } }]
policies: [{ name: own, read: [a] }]
roles: [{ name: r, serviceAccounts: ns/app, policies: own, ttl: 1h }]
";
        let config = Config::parse(text, Path::new("test.yaml")).unwrap();
        config.clusters[0].roles[0].clone()
    }

    fn judged(policies: &[(&str, &str)], default: Option<&str>, actual: &[(&str, &[&str])]) -> Judged {
        let (desired, kv) = (desired(policies), ["secret".parse().unwrap()]);
        let actual = actual
            .iter()
            .map(|(path, words)| ((*path).to_owned(), words.iter().map(ToString::to_string).collect()))
            .collect();
        let (matrix, role) = (Matrix::new(&desired, Filled::default(), &kv, default, 1, Vec::new()), role());
        matrix.judge(&matrix.own(&role, &Identity::default()), &"jwt".parse().unwrap(), &actual)
    }

    #[test]
    fn what_is_granted_is_told_with_its_policy() {
        let policies = [("own", "secret/data/app/*"), ("other", "secret/data/app/db"), ("third", "secret/data/x")];
        let answers: [(&str, &[&str]); 3] = [
            ("secret/data/app/vaultk8s-probe/vaultk8s-probe", &["read"]),
            ("secret/data/app/db", &["read"]),
            ("secret/data/x", &["deny"]),
        ];
        let judged = judged(&policies, None, &answers);
        assert_eq!((judged.failures.len(), judged.refused), (0, 1));
        // In the order of the paths: what only another policy names says so.
        let told: Vec<_> =
            judged.grants.iter().map(|g| (g.path.as_str(), g.policies.join(","), g.named_by.len())).collect();
        assert_eq!(told, [("secret/data/app/db", "own".into(), 1), ("secret/data/app/*", "own".into(), 0)]);
    }

    #[test]
    fn a_grant_that_is_not_stated_fails_and_so_does_the_reverse() {
        let own = [("own", "secret/data/app/*"), ("other", "secret/data/x")];
        let more = judged(&own, None, &[("secret/data/x", &["read"])]);
        assert_eq!(more.failures, ["it may also read secret/data/x, which the configuration does not grant"]);
        let less = judged(&own, None, &[("secret/data/app/vaultk8s-probe/vaultk8s-probe", &["deny"])]);
        assert_eq!(less.failures, ["it may not read secret/data/app/*, which the configuration grants"]);
    }

    #[test]
    fn what_one_login_is_filled_in_with_another_one_must_not_have() {
        let (desired, kv) =
            (desired(&[("own", "secret/data/{{identity.entity.name}}/*")]), ["secret".parse().unwrap()]);
        let [one, two] = ["one", "two"].map(|name| {
            let mut identity = Identity::default();
            identity.know("identity.entity.name", name);
            identity
        });
        let policies = [&one, &two].map(|identity| DesiredPolicy {
            name: "own".parse().unwrap(),
            policy: desired.policies[0].policy.filled(identity),
        });
        let filled = Filled { policies: policies.into(), ..Filled::default() };
        let (matrix, role) = (Matrix::new(&desired, filled, &kv, None, 1, Vec::new()), role());
        let (of, mount) = (matrix.own(&role, &one), "jwt".parse().unwrap());
        let asked = matrix.questions(&of, &mount, 0).paths;
        let path =
            |name: &str| asked.iter().find(|path| path.starts_with(&format!("secret/data/{name}/"))).unwrap().clone();
        let judge = |one: &str, two: &str| {
            let answers = [(path("one"), one), (path("two"), two)];
            let answers = answers.into_iter().map(|(path, word)| (path, vec![word.to_owned()])).collect();
            matrix.judge(&of, &mount, &answers)
        };
        let right = judge("read", "deny");
        assert_eq!((right.failures.len(), right.refused), (0, 1));
        assert_eq!(right.grants[0].path, "secret/data/one/*");
        let wrong = judge("deny", "read").failures;
        assert_eq!(
            wrong,
            [
                "it may not read secret/data/one/*, which the configuration grants",
                "it may also read secret/data/two/*, which the configuration does not grant"
            ]
        );
        assert!(matrix.own(&role, &Identity::default()).said()[0].rules()[0].path.is_template());
    }

    #[test]
    fn a_rule_about_the_usual_stand_in_hides_no_path() {
        for own in ["secret/data/app/v*", "secret/data/app/vaultk8s-probe/*", "secret/data/app/vaultk8s-probe"] {
            let desired = desired(&[("own", own), ("other", "secret/data/app/*")]);
            let (kv, mount) = (["secret".parse().unwrap()], "jwt".parse().unwrap());
            let matrix = Matrix::new(&desired, Filled::default(), &kv, None, 1, Vec::new());
            let role = role();
            let of = matrix.own(&role, &Identity::default());
            let all = matrix.questions(&of, &mount, 0).paths;
            let path = all.iter().find(|path| path.starts_with("secret/data/app/a-vaultk8s-probe/")).unwrap().clone();
            assert!(all.contains(&"sys/policies/acl/a-vaultk8s-probe".to_owned()), "{all:?}");
            // A server that allows it is found out.
            let judged = matrix.judge(&of, &mount, &[(path, vec!["read".to_owned()])].into());
            assert_eq!(judged.failures.len(), 1, "{own}: {:?}", judged.failures);
        }
    }

    #[test]
    fn the_policy_default_may_look_after_the_token_and_nothing_else() {
        let default = Some(
            r#"path "auth/token/lookup-self" { capabilities = ["update"] } path "secret/*" { capabilities = ["read"] }"#,
        );
        let own = [("own", "auth/token/lookup-self")];
        let judged = judged(
            &own,
            default,
            &[("auth/token/lookup-self", &["read", "update"]), ("secret/data/vaultk8s-probe", &["read"])],
        );
        assert_eq!(judged.failures.len(), 1, "{:?}", judged.failures);
        assert!(judged.failures[0].contains("secret/data"));
        assert!(judged.grants.iter().any(|grant| grant.policies == ["default"]), "{:?}", judged.grants);
    }

    #[test]
    fn a_narrower_rule_of_default_decides_in_place_of_a_wide_one() {
        let default = Some(
            r#"path "auth/token/revoke-self" { capabilities = ["update"] }
               path "identity/entity/id/{{identity.entity.id}}" { capabilities = ["read"] }"#,
        );
        let answers: [(&str, &[&str]); 2] =
            [("auth/token/revoke-self", &["update"]), ("identity/entity/id/vaultk8s-probe", &["read"])];
        for own in ["auth/token/*", "*", "+/token/*"] {
            let own = [("own", own), ("self", "auth/token/revoke-self")];
            assert_eq!(judged(&own, default, &answers[..1]).failures, Vec::<String>::new());
            // Without `default` the wide rule decides, and a server that refuses is wrong.
            assert_eq!(judged(&own, None, &answers[..1]).failures.len(), 2);
        }
        // What only a template of `default` may be about is still asked of the wide rule.
        let wide = [("own", "identity/*")];
        assert_eq!(judged(&wide, default, &answers[1..]).failures, Vec::<String>::new());
        let lacks = judged(&wide, default, &[("identity/entity/id/vaultk8s-probe", &["deny"])]);
        assert_eq!(lacks.failures.len(), 1, "{:?}", lacks.failures);
    }

    #[test]
    fn of_too_many_paths_each_role_has_others_and_always_its_own() {
        let names: Vec<(String, String)> = (0..500).map(|at| (format!("p{at}"), format!("secret/data/{at}"))).collect();
        let mut policies: Vec<(&str, &str)> = names.iter().map(|(name, path)| (name.as_str(), path.as_str())).collect();
        policies.push(("own", "secret/data/mine/*"));
        let (desired, kv) = (desired(&policies), ["secret".parse().unwrap()]);
        let mount = "jwt".parse().unwrap();
        let (matrix, role) = (Matrix::new(&desired, Filled::default(), &kv, None, 10, Vec::new()), role());
        let all = matrix.questions(&matrix.own(&role, &Identity::default()), &mount, 3);
        assert_eq!(all.left_out, 0);
        let matrix = Matrix::new(&desired, Filled::default(), &kv, None, 100_000, Vec::new());
        let mut tried = BTreeSet::new();
        for nth in 0..25 {
            let some = matrix.questions(&matrix.own(&role, &Identity::default()), &mount, nth);
            assert_eq!(some.left_out, 500 - OTHERS_AT_LEAST);
            for path in [
                "secret/data/mine/vaultk8s-probe/vaultk8s-probe",
                "secret/data/mine-x/vaultk8s-probe/vaultk8s-probe",
                "auth/token/create",
            ] {
                assert!(some.paths.iter().any(|asked| asked == path), "{path}");
            }
            tried.extend(some.paths);
        }
        assert!(names.iter().all(|(_, path)| tried.contains(path)));
    }
}
