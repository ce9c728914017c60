//! Rules that grant nothing, because a denial of the same policies decides wherever they match.

use super::SEGMENT;
use crate::policy::{Acl, Capability, Pattern, Places, Policy, PolicyPath, Rule};

/// A rule that grants nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Dead {
    /// Its path.
    pub(crate) grant: PolicyPath,
    /// The rule that denies it all.
    pub(crate) denial: PolicyPath,
}

/// Those of these rules that grant nothing to a login with these policies.
pub(crate) fn dead<'a>(policies: &[&'a Policy], granting: impl IntoIterator<Item = &'a Rule>) -> Vec<Dead> {
    let rules = || policies.iter().flat_map(|policy| policy.rules());
    if !rules().any(Rule::denies) {
        return Vec::new();
    }
    let granting: Vec<&Rule> = granting
        .into_iter()
        .filter(|rule| !rule.is_uncertain() && !rule.denies() && !rule.capabilities.is_empty())
        .collect();
    let acl = Acl::new(policies.iter().copied());
    let places = Places::of(rules().chain(granting.iter().copied()).map(|rule| &rule.path), SEGMENT);
    let dead = |rule: &Rule| {
        let pattern = Pattern::of(&rule.path)?;
        let folders = places
            .folders_near(&rule.path)
            .filter(|folder| rule.capabilities.contains(&Capability::List) && pattern.lists(folder));
        let mut denial = None;
        for path in places.near(&rule.path).filter(|path| pattern.matches(path)).chain(folders) {
            let (deciding, allowed) = acl.decides(path)?;
            if !allowed.contains(&Capability::Deny) {
                return None;
            }
            denial = denial.or(Some(deciding));
        }
        Some(Dead { grant: rule.path.clone(), denial: PolicyPath::new(&denial?).ok()? })
    };
    let mut found: Vec<Dead> = granting.into_iter().filter_map(dead).collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(rules: &[(&str, &str)]) -> Policy {
        let rule = |(path, word): &(&str, &str)| format!("path \"{path}\" {{ capabilities = [\"{word}\"] }}\n");
        Policy::parse(&rules.iter().map(rule).collect::<String>()).unwrap()
    }

    fn found(grants: &[(&str, &str)], denials: &[(&str, &str)]) -> Vec<String> {
        let (grants, denials) = (policy(grants), policy(denials));
        let all = dead(&[&grants, &denials], grants.rules());
        all.iter().map(|dead| format!("{} by {}", dead.grant, dead.denial)).collect()
    }

    #[test]
    fn a_grant_that_is_denied_everywhere_is_dead() {
        for (grant, denial) in [
            ("secret/data/c/x", "secret/data/c/x"),
            ("secret/data/c/*", "secret/data/c/*"),
            ("secret/data/+/x", "secret/data/+/x"),
            ("secret/+/c/x", "secret/+/c/x"),
        ] {
            assert_eq!(found(&[(grant, "read")], &[(denial, "deny")]), [format!("{grant} by {denial}")]);
        }
        let list = found(&[("secret/metadata/c/*", "list")], &[("secret/metadata/c/*", "deny")]);
        assert_eq!(list.len(), 1, "{list:?}");
    }

    #[test]
    fn a_grant_that_is_left_something_is_not() {
        for (grant, denial) in [
            ("secret/data/c/*", "secret/data/c/x"),
            ("secret/data/c/*", "secret/data/c/+"),
            ("secret/data/c/x", "secret/data/c/*"),
            ("secret/data/c/x", "secret/data/d"),
        ] {
            assert_eq!(found(&[(grant, "read")], &[(denial, "deny")]), Vec::<String>::new(), "{grant} {denial}");
        }
    }
}
