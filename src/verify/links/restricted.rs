//! Rules of other policies that restrict what the login is meant to do, though they deny nothing.
//!
//! Servers merge the rules of one path, whichever policy they are of, with their parameters: one that wants a wrapped answer, or a parameter,
//! wants it of all. `sys/capabilities` says nothing of it.

use std::collections::BTreeSet;

use crate::policy::{Acl, Capability, Policy};
use crate::verify::facts::{Known, some};
use crate::verify::finding::{Finding, list};
use crate::verify::links::compared::compared;
use crate::verify::links::needs::Need;
use crate::verify::scene::{RoleScene, Wanted};

/// A field of a rule by which what is granted is refused all the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Restriction {
    /// The policy's name.
    policy: String,
    /// The rule's path.
    rule: String,
    /// The field, with its value.
    field: String,
    /// What is refused.
    need: Need,
}

/// Whether a request of this kind, as it is usually made, is refused for such a field.
fn refuses(field: &str, capability: Capability) -> bool {
    use Capability::{Create, Patch, Read, Update};
    match field {
        "min_wrapping_ttl" | "max_wrapping_ttl" => true,
        "required_parameters" => matches!(capability, Create | Patch | Read | Update),
        // What is sent without any is allowed.
        "allowed_parameters" | "denied_parameters" => matches!(capability, Create | Patch | Update),
        _ => false,
    }
}

/// The restrictions of what is needed in the policies of a login that those which it is meant to have don't say.
pub(super) fn restrictions(
    held: &[(String, Policy)],
    meant: &[&Policy],
    needs: &BTreeSet<Need>,
) -> BTreeSet<Restriction> {
    let acl = Acl::new(held.iter().map(|(_, policy)| policy));
    let mut found = BTreeSet::new();
    for need in needs {
        let Some((deciding, _)) = acl.decides(&need.api) else { continue };
        let here = |policy: &Policy| -> Vec<_> {
            policy.rules().iter().filter(|rule| rule.path.as_str() == deciding).cloned().collect()
        };
        let meant: Vec<_> = meant.iter().flat_map(|policy| here(policy)).collect();
        for (name, policy) in held {
            for (field, value) in here(policy).into_iter().flat_map(|rule| rule.other) {
                let said = meant.iter().any(|rule| rule.other.get(&field) == Some(&value));
                if refuses(&field, need.capability) && !said {
                    found.insert(Restriction {
                        policy: name.clone(),
                        rule: deciding.clone(),
                        field: format!("{field} = {value}"),
                        need: need.clone(),
                    });
                }
            }
        }
    }
    found
}

/// What of the login's policies, whoever wrote them so, restricts reading a secret.
pub(super) fn of_secret(scene: &RoleScene, wanted: &Wanted) -> Known<Option<Finding>> {
    let (api, compared) = (some!(scene.api_path(wanted)?), some!(compared(scene)?));
    let kv = Some((wanted.mount.clone(), wanted.path.clone()));
    let needs = BTreeSet::from([Need { api, capability: Capability::Read, kv }]);
    Ok(refused_for(scene, &restrictions(&compared.held.policies, &[], &needs)))
}

/// What is told of them; `None` where there are none.
pub(super) fn refused_for(scene: &RoleScene, found: &BTreeSet<Restriction>) -> Option<Finding> {
    let first = found.first()?;
    let policies: BTreeSet<&str> = found.iter().map(|one| one.policy.as_str()).collect();
    let rules: BTreeSet<(&str, &str, &str)> =
        found.iter().map(|one| (one.policy.as_str(), one.rule.as_str(), one.field.as_str())).collect();
    let names = list(policies.iter().copied());
    let finding = Finding::failed(format!(
        "the policy {names} keeps the login from {}, by what it wants of requests: {}",
        first.need,
        list(rules.iter().map(|(_, _, field)| *field).collect::<BTreeSet<_>>())
    ))
    .why("rules for the same path are merged with their parameters, whichever policy of the login they are of");
    let finding = rules.iter().take(4).fold(finding, |finding, (policy, rule, field)| {
        finding.with(format!("the rule of {policy}"), format!("{field} on {rule}"))
    });
    let ours = policies.iter().any(|name| scene.policies.iter().any(|policy| policy.name.as_str() == *name));
    let finding = finding.mend(scene.mount.source.bootstrap().filter(|_| ours));
    Some(finding.to_do(format!(
        "take these fields out of the policy {names}, or that policy from the entity or the group that adds it; where they are meant, write \
         them into the file's rule too"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(own: &str, other: &str, path: &str, capability: Capability) -> usize {
        let policy = |text: &str| Policy::parse(text).unwrap();
        let (own, other) = (policy(own), policy(other));
        let needs = BTreeSet::from([Need { api: path.to_owned(), capability, kv: None }]);
        let held = [("own".to_owned(), own.clone()), ("other".to_owned(), other)];
        restrictions(&held, &[&own], &needs).len()
    }

    #[test]
    fn a_rule_for_the_same_path_restricts_whoever_it_is_of() {
        use Capability::{List, Read, Update};
        let own = r#"path "a/*" { capabilities = ["read", "update", "list"] }"#;
        let with = |fields: &str| format!(r#"path "a/*" {{ capabilities = [] {fields} }}"#);
        for (fields, capability, count) in [
            (r#"min_wrapping_ttl = "1s" max_wrapping_ttl = "2s""#, Read, 2),
            (r#"min_wrapping_ttl = "1s""#, List, 1),
            (r#"required_parameters = ["x"]"#, Read, 1),
            (r#"required_parameters = ["x"]"#, List, 0),
            (r#"allowed_parameters = { "x" = [] }"#, Read, 0),
            (r#"allowed_parameters = { "x" = [] }"#, Update, 1),
            (r#"denied_parameters = { "*" = [] }"#, Update, 1),
            ("pagination_limit = 3", List, 0),
        ] {
            assert_eq!(found(own, &with(fields), "a/b", capability), count, "{fields} {capability}");
        }
        // Another path, one that decides, and what its own policies say.
        let other = r#"path "a/b*" { capabilities = ["read"] min_wrapping_ttl = "1s" }"#;
        assert_eq!(found(own, other, "a/x", Read), 0);
        assert_eq!(found(own, other, "a/b", Read), 1);
        assert_eq!(found(&with(r#"min_wrapping_ttl = "1s""#), &with(r#"min_wrapping_ttl = "1s""#), "a/b", Read), 0);
    }
}
