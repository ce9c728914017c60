//! What of a configuration's rules should be looked at, once the versions of its KV mounts are known: paths that are none, and
//! denials that another rule outranks.

use std::collections::{BTreeMap, BTreeSet};

use super::SEGMENT;
use super::dead::dead;
use super::denied::{How, denials, misplaced};
use super::slash::passed;
use super::who::{Who, let_in};
use crate::claims::{NAME, NAMESPACE, is_shared, plain};
use crate::config::{self, Cluster, Config, Diagnostic, Grant, Method, Position, Role};
use crate::desired::{self, KvVersions};
use crate::error::Result;
use crate::model::KvVersion;
use crate::names::{MountPath, PolicyName};
use crate::policy::{Acl, Capability, Pattern, Places, Policy, PolicyPath, Rule};

/// What should be looked at, in the order of the file.
///
/// # Errors
/// When a path of the configuration can't be that of a rule.
pub(crate) fn lint(config: &Config, kv: &KvVersions) -> Result<Vec<Diagnostic>> {
    let mut found: BTreeSet<Diagnostic> = rules(config).filter_map(|(at, path, _)| no_path(at, path, kv)).collect();
    found.extend(outranked(config, kv)?);
    found.extend(config.clusters.iter().flat_map(|cluster| one_identity(config, cluster)));
    Ok(found.into_iter().collect())
}

/// The rules that are written out, each with its place.
fn rules(config: &Config) -> impl Iterator<Item = (Position, &PolicyPath, &PolicyName)> {
    config.policies.iter().flat_map(|policy| {
        policy.grants.iter().filter_map(|grant| match grant {
            Grant::Rule { position, path, .. } => Some((*position, path, &policy.name)),
            Grant::Kv { .. } => None,
        })
    })
}

/// The mounts that rules may be about, as far as the file names them; and whether one is about some other secrets mount.
pub(crate) fn beside_kv(config: &Config) -> (Vec<&MountPath>, bool) {
    let about = |mount: &MountPath, path: &PolicyPath| {
        path.as_str().strip_prefix(mount.as_str()).is_some_and(|rest| rest.starts_with('/'))
    };
    let mounts = config.kv_mounts.iter().filter(|mount| rules(config).any(|(_, path, _)| about(mount, path)));
    let vaults = |path: &PolicyPath| {
        ["auth/", "sys/", "identity/", "cubbyhole/"].iter().any(|own| path.as_str().starts_with(own))
    };
    let known = |path: &PolicyPath| config.kv_mounts.iter().any(|mount| about(mount, path));
    let other = |path: &PolicyPath| path.literal().contains('/') && !vaults(path) && !known(path);
    (mounts.collect(), rules(config).any(|(_, path, _)| other(path)))
}

fn no_path(at: Position, path: &PolicyPath, kv: &KvVersions) -> Option<Diagnostic> {
    let meant = misplaced(path, kv);
    let (first, version) = meant.first()?;
    let all: Vec<String> = meant.iter().map(|(path, _)| format!("`{path}`")).collect();
    Some(match version {
        KvVersion::V2 => Diagnostic::new(
            at,
            format!(
                "nothing is at {path}: its KV mount is of version 2, so that this rule neither grants nor denies anything"
            ),
            format!("write {}: values are below `data/`, names below `metadata/`", all.join(" and ")),
        ),
        KvVersion::V1 => Diagnostic::new(
            at,
            format!(
                "{path} is about a folder of that name: its KV mount is of version 1, which has no `data/` and no `metadata/`"
            ),
            format!("write `{first}`, unless that folder is meant"),
        ),
    })
}

/// The roles of a mount that make several accounts one identity, where a policy gives each identity what is its own.
fn one_identity<'a>(config: &'a Config, cluster: &'a Cluster) -> impl Iterator<Item = Diagnostic> + 'a {
    let template = |role: &Role| {
        let own = config.policies.iter().filter(|policy| role.policies.contains(&policy.name));
        let paths = own.flat_map(|policy| &policy.grants).map(Grant::path);
        paths.into_iter().find(|path| path.contains("{{identity.")).map(str::to_owned)
    };
    // Of which account a value is; nothing where nobody here knows.
    let value = |role: &Role, who: &Who| match (who, plain(&role.user_claim)) {
        (Who::Account(account), NAME) => Some(account.name.clone()),
        (Who::Account(account), NAMESPACE) => Some(account.namespace.clone()),
        _ => None,
    };
    let alike = |role: &&Role| matches!(cluster.auth.method, Method::Jwt(_)) && is_shared(&role.user_claim);
    cluster.roles.iter().filter(alike).filter_map(move |role| {
        let path = template(role)?;
        let others = || {
            let same = cluster.roles.iter().filter(|other| other.user_claim == role.user_claim);
            same.flat_map(|other| let_in(other).into_iter().map(move |who| (other, who)))
        };
        let shared = let_in(role).into_iter().any(|who| match value(role, &who) {
            None => true,
            Some(own) => others().any(|(other, theirs)| {
                theirs != who && value(other, &theirs).is_none_or(|theirs| theirs == own)
            }),
        });
        shared.then(|| {
            let claim = &role.user_claim;
            Diagnostic::new(
                role.position,
                format!(
                    "accounts with the same {claim} are one identity (`userClaim`), so that each of them has what {path} gives the others"
                ),
                "leave `userClaim` away, which is `sub` then: an identity for each account; or write the path out",
            )
        })
    })
}

/// The rules that do not do what they say for a role, because another rule of its policies decides: denials in any place, and rules
/// that narrow a wider one in every place that they are about.
fn outranked(config: &Config, kv: &KvVersions) -> Result<Vec<Diagnostic>> {
    let written: BTreeMap<(&PolicyName, &PolicyPath), Position> =
        rules(config).map(|(at, path, policy)| ((policy, path), at)).collect();
    let known =
        |policy: &&config::FilePolicy| desired::kv_mounts_of([*policy]).iter().all(|mount| kv.contains_key(mount));
    let policies = config.policies.iter().filter(known).map(|policy| {
        let desired = desired::policy(policy, kv)?;
        Ok((desired.name, desired.policy))
    });
    let policies = policies.collect::<Result<BTreeMap<PolicyName, Policy>>>()?;
    let roles = config.clusters.iter().flat_map(|cluster| &cluster.roles);
    let sets: BTreeSet<&[PolicyName]> = roles.map(|role| role.policies.as_slice()).collect();
    let mut found = Vec::new();
    for names in sets.into_iter().filter(|names| names.iter().any(|name| written.keys().any(|(of, _)| *of == name))) {
        let own: Vec<(&PolicyName, &Policy)> = names.iter().filter_map(|name| policies.get_key_value(name)).collect();
        let all: Vec<&Policy> = own.iter().map(|(_, policy)| *policy).collect();
        let place = |path: &PolicyPath| -> Vec<Position> {
            names.iter().filter_map(|name| written.get(&(name, path))).copied().collect()
        };
        found.extend(passed_by(&all, kv).into_iter().flat_map(|(rule, message, remedy)| {
            place(&rule).into_iter().map(|at| Diagnostic::new(at, message.clone(), remedy.clone())).collect::<Vec<_>>()
        }));
        found.extend(granted_in_vain(config, names, &all, kv)?.into_iter().flat_map(|(denial, message)| {
            place(&denial).into_iter().map(|at| Diagnostic::new(at, message.clone(), IN_VAIN)).collect::<Vec<_>>()
        }));
        let denials = denials(&all, &[], kv).into_iter().filter(|denial| !matches!(denial.how, How::Misplaced(_)));
        let denials = denials.filter_map(|denial| Some((denial.outranked(&all)?, denial)));
        let (scanned, denials): (Vec<_>, Vec<_>) = denials.partition(|(_, denial)| denial.how == How::Scanned);
        found.extend(scanned.into_iter().flat_map(|((rule, _), denial)| {
            let message = format!(
                "this does not keep the names at {} from who may scan {}, which the rule {rule} allows: a scan tells all that is below",
                denial.rule, denial.path
            );
            place(&denial.rule).into_iter().map(|at| Diagnostic::new(at, message.clone(), NO_SCAN)).collect::<Vec<_>>()
        }));
        let denials = denials.into_iter();
        let undenied = denials.map(|((rule, allowed), denial)| (denial.rule, "deny all of", rule, allowed));
        let own_written = own.iter().flat_map(|(name, policy)| policy.rules().iter().map(move |rule| (*name, rule)));
        let own_written: Vec<&Rule> = own_written
            .filter(|(name, rule)| written.contains_key(&(*name, &rule.path)))
            .map(|(_, rule)| rule)
            .collect();
        let narrower = useless(&all, &own_written).into_iter();
        let narrower = narrower.map(|(path, rule, allowed)| (path, "narrow anything at", rule, allowed));
        for (path, does, rule, allowed) in undenied.chain(narrower) {
            let by = own.iter().find(|(_, policy)| policy.rules().iter().any(|other| other.path.as_str() == rule));
            let by = by.map(|(name, _)| format!(" of the policy {name}")).unwrap_or_default();
            let what: Vec<&str> = allowed.iter().map(|capability| capability.as_str()).collect();
            let message = format!(
                "this does not {does} {path}: the rule {rule}{by} decides there, and allows {}",
                what.join(", ")
            );
            let remedy = "of two rules the one with more before its first `+` or `*` decides, then the one with fewer `+`: name more \
                          of the path, or narrow that rule";
            let places = names.iter().filter_map(|name| written.get(&(name, &path)));
            found.extend(places.map(|at| Diagnostic::new(*at, message.clone(), remedy)));
        }
    }
    Ok(found)
}

/// What to do where a denial leaves nothing of a grant.
const IN_VAIN: &str = "take the denial out, or the grant, or let the role have one of the two policies alone; to deny a part, name more of the path";

/// What to do where a scan passes by a denial.
const NO_SCAN: &str = "grant `list` without `scan` there, or deny `scan` on the folder that is scanned";

/// The rules that a slash at the end of a path passes by, each with what to say and to do.
fn passed_by(policies: &[&Policy], kv: &KvVersions) -> Vec<(PolicyPath, String, String)> {
    let said = passed(policies, policies, kv).into_iter().map(|passed| {
        let left: Vec<&str> = passed.left.iter().map(|left| left.as_str()).collect();
        let message = format!(
            "this does not keep {} from {}: the same secret is at {} with a slash at its end, where the rule {} decides",
            passed.rule,
            left.join(", "),
            passed.path.replace(SEGMENT, "…"),
            passed.by
        );
        let remedy = passed.remedy();
        (passed.rule, message, remedy)
    });
    said.collect()
}

/// The denials that leave nothing of what a policy of the same role grants, each with what to say.
fn granted_in_vain(
    config: &Config,
    names: &[PolicyName],
    policies: &[&Policy],
    kv: &KvVersions,
) -> Result<Vec<(PolicyPath, String)>> {
    // As they are written: one policy keeps no grant beside a denial of the same path.
    let mut granting: Vec<(&PolicyName, Rule)> = Vec::new();
    for policy in config.policies.iter().filter(|policy| names.contains(&policy.name)) {
        if !desired::kv_mounts_of([policy]).iter().all(|mount| kv.contains_key(mount)) {
            continue;
        }
        for grant in &policy.grants {
            granting.extend(desired::rules_of(grant, kv)?.into_iter().map(|rule| (&policy.name, rule)));
        }
    }
    let found = dead(policies, granting.iter().map(|(_, rule)| rule)).into_iter().map(|dead| {
        let of: BTreeSet<&str> =
            granting.iter().filter(|(_, rule)| rule.path == dead.grant && !rule.denies()).map(|(name, _)| name.as_str()).collect();
        let of = Vec::from_iter(of).join(", ");
        let message = format!(
            "this leaves nothing of {}, which the policy {of} grants to the same role: where both decide, a denial wins",
            dead.grant
        );
        (dead.denial, message)
    });
    Ok(found.collect())
}

/// Those of the rules that allow less than a wider one, which decides wherever they match; with that rule, and what it allows.
fn useless(policies: &[&Policy], rules: &[&Rule]) -> Vec<(PolicyPath, String, BTreeSet<Capability>)> {
    let acl = Acl::new(policies.iter().copied());
    let sure: Vec<&Rule> = rules.iter().copied().filter(|rule| !rule.is_uncertain() && !rule.denies()).collect();
    if sure.is_empty() {
        return Vec::new();
    }
    let places = Places::of(policies.iter().flat_map(|policy| policy.rules()).map(|rule| &rule.path), SEGMENT);
    let decided = |rule: &Rule| {
        let own = Pattern::of(&rule.path)?;
        let mut by = None;
        for example in places.own(&rule.path) {
            let (deciding, allowed) = acl.decides(example)?;
            let wider = PolicyPath::new(&deciding).ok().as_ref().and_then(Pattern::of)?;
            if deciding == rule.path.as_str() || !wider.covers(&own) || allowed.is_subset(&rule.capabilities) {
                return None;
            }
            by = Some((rule.path.clone(), deciding, allowed.clone()));
        }
        by
    };
    sure.into_iter().filter_map(decided).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What is said about a file with these lines in its only policy, and more roles and policies.
    fn said(policy: &str, more: &str) -> Vec<String> {
        let text = format!(
            "
clusters: [{{ name: c, context: c, auth: {{ method: jwt, audience: vault }} }}]
roles: [{{ name: r, serviceAccounts: ns/app, policies: [p, q], ttl: 1h }}]
policies:
  - name: q
    read: shared/*
    {more}
  - name: p
{policy}"
        );
        let config = Config::parse(&text, Path::new("test.yaml")).unwrap();
        let kv = [("secret".parse().unwrap(), KvVersion::V2), ("kv1".parse().unwrap(), KvVersion::V1)].into();
        let said = lint(&config, &kv).unwrap();
        said.iter().map(|said| format!("{}: {} ({})", said.position.line, said.message, said.remedy)).collect()
    }

    #[test]
    fn a_path_that_is_none_is_told_with_its_line_whatever_it_allows() {
        for word in ["deny", "read", "list"] {
            let said = said(
                &format!("    read: team/*\n    rules: [{{ path: secret/team/admins, capabilities: [{word}] }}]"),
                "",
            );
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(
                said[0].starts_with("10: nothing is at secret/team/admins")
                    && said[0].contains("`secret/data/team/admins`")
            );
        }
        let said = said("    rules: [{ path: kv1/data/team/*, capabilities: [read] }]", "");
        assert!(said.len() == 1 && said[0].contains("write `kv1/team/*`"), "{said:?}");
    }

    #[test]
    fn a_denial_that_is_outranked_is_told_with_the_rule() {
        let own =
            said("    read: team/*\n    rules: [{ path: secret/data/team/+/private/*, capabilities: [deny] }]", "");
        assert!(own.len() == 1 && own[0].contains("the rule secret/data/team/* of the policy p"), "{own:?}");
        let other = said("    rules: [{ path: secret/data/+/admins, capabilities: [deny] }]", "");
        assert!(other.len() == 1 && other[0].contains("the rule secret/data/shared/* of the policy q"), "{other:?}");
    }

    #[test]
    fn a_rule_that_narrows_nothing_is_told() {
        let told =
            said("    read: team/*\n    rules: [{ path: secret/data/team/+/private/*, capabilities: [list] }]", "");
        assert!(
            told.len() == 1 && told[0].contains("this does not narrow anything at secret/data/team/+/private/*"),
            "{told:?}"
        );
        // One that does, one that says the same, and one that adds.
        for path in ["secret/data/team/private/*", "secret/data/team/*"] {
            let rules = format!("    read: team/*\n    rules: [{{ path: {path}, capabilities: [list] }}]");
            assert_eq!(said(&rules, ""), Vec::<String>::new(), "{path}");
        }
        let adds = "    read: team/*\n    rules: [{ path: secret/data/team/+/x/*, capabilities: [read, delete] }]";
        assert_eq!(said(adds, ""), Vec::<String>::new());
    }

    #[test]
    fn a_slash_that_passes_by_a_rule_is_told() {
        let wide = "    read: team/*\n    delete: team/*\n    rules: ";
        let told = said(&format!("{wide}[{{ path: secret/data/team/x, capabilities: [deny] }}]"), "");
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("11: this does not keep secret/data/team/x from delete")
                && told[0].contains("secret/data/team/x/ with a slash")
                && told[0].contains("for secret/data/team/x/ too"),
            "{told:?}"
        );
        let closed =
            "[{ path: secret/data/team/x, capabilities: [deny] }, { path: secret/data/team/x/, capabilities: [deny] }]";
        assert_eq!(said(&format!("{wide}{closed}"), ""), Vec::<String>::new());
    }

    #[test]
    fn a_scan_that_passes_by_a_denial_is_told() {
        let rules = "    rules: [{ path: secret/metadata/team/*, capabilities: [list, scan] }, { path: secret/metadata/team/x/*, capabilities: [deny] }]";
        let told = said(rules, "");
        assert!(told.len() == 1 && told[0].contains("who may scan secret/metadata/team/, which the rule"), "{told:?}");
    }

    #[test]
    fn a_grant_in_vain_is_told_and_not_the_denial() {
        let deny = |path: &str| format!("    rules: [{{ path: {path}, capabilities: [deny] }}]");
        // In the other policy of the role, and in the same.
        for (policy, of) in
            [(deny("secret/data/shared/*"), "q"), (format!("    read: c/x\n{}", deny("secret/data/c/x")), "p")]
        {
            let told = said(&policy, "");
            assert!(
                told.len() == 1
                    && told[0].contains("this leaves nothing of")
                    && told[0].contains(&format!("which the policy {of} grants")),
                "{told:?}"
            );
        }
    }

    #[test]
    fn accounts_that_are_one_identity_and_have_what_is_each_one_s_are_told() {
        let told = |claim: &str, roles: &[&str], path: &str| {
            let role = |(nth, accounts): (usize, &&str)| {
                format!(
                    "  - {{ name: r{nth}, serviceAccounts: [{accounts}], policies: own, ttl: 1h, userClaim: {claim} }}"
                )
            };
            let roles: Vec<String> = roles.iter().enumerate().map(role).collect();
            let text = format!(
                "clusters: [{{ name: c, context: c, auth: {{ method: jwt, audience: vault }} }}]
policies: [{{ name: own, read: ['{path}'] }}]
roles:
{}
",
                roles.join("\n")
            );
            let config = Config::parse(&text, Path::new("test.yaml")).unwrap();
            let kv = [("secret".parse().unwrap(), KvVersion::V2)].into();
            let said = lint(&config, &kv).unwrap();
            said.iter().filter(|said| said.message.contains("one identity")).count()
        };
        let (name, namespace, own) =
            ("/kubernetes.io/serviceaccount/name", "/kubernetes.io/namespace", "per/{{identity.entity.id}}/*");
        assert_eq!(told(name, &["team-a/app", "team-b/app"], own), 2);
        assert_eq!(told(name, &["team-a/app, team-b/app"], own), 1);
        assert_eq!(told(namespace, &["team-a/app, team-a/other", "team-b/app"], own), 1);
        for (claim, roles, path) in [
            ("sub", &["team-a/app", "team-b/app"][..], own),
            ("/kubernetes.io/serviceaccount/uid", &["team-a/app", "team-b/app"], own),
            (name, &["team-a/app", "team-b/other"], own),
            (namespace, &["team-a/app", "team-b/app"], own),
            (name, &["team-a/app", "team-b/app"], "per/all/*"),
        ] {
            assert_eq!(told(claim, roles, path), 0, "{claim} {roles:?} {path}");
        }
    }

    #[test]
    fn a_denial_that_works_is_not_told() {
        for rules in [
            "[{ path: secret/data/team/admins, capabilities: [deny] }]",
            "[{ path: secret/data/shared/private/*, capabilities: [deny] }]",
            "[{ path: secret/data/team/*, capabilities: [deny] }, { path: secret/data/team/ops, capabilities: [read] }]",
            "[{ path: secret/*, capabilities: [deny] }]",
        ] {
            assert_eq!(said(&format!("    rules: {rules}"), ""), Vec::<String>::new(), "{rules}");
        }
    }
}
