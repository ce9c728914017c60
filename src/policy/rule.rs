//! One rule of a policy, and how rules for one path become one.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Capability, PolicyPath, restriction};

/// What a policy says about one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Where it applies.
    pub path: PolicyPath,
    /// What it grants. None at all grants nothing, but still wins over a less specific rule; `deny` stands alone.
    pub capabilities: BTreeSet<Capability>,
    /// Its other fields as JSON: `allowed_parameters`, `min_wrapping_ttl`, `control_group` … Lists that are sets are
    /// sorted, durations are seconds, and what changes nothing is left out.
    pub other: BTreeMap<String, Value>,
}

impl Rule {
    /// A rule that grants these capabilities and restricts nothing further.
    pub fn new(path: PolicyPath, capabilities: impl IntoIterator<Item = Capability>) -> Self {
        Self { path, capabilities: capabilities.into_iter().collect(), other: BTreeMap::new() }.normalised()
    }

    /// Whether it applies only until a date, so that its effect depends on the clock.
    pub fn expires(&self) -> bool {
        self.other.contains_key(restriction::EXPIRATION)
    }

    /// Whether only a server knows what it does: where its path is a template, or while it hasn't expired.
    pub fn is_uncertain(&self) -> bool {
        self.path.is_template() || self.expires()
    }

    /// Whether it may be about a path, for some value of its templates.
    pub fn may_match(&self, path: &str) -> bool {
        super::template::may_match(self.path.as_str(), path)
    }

    /// Whether it denies.
    pub fn denies(&self) -> bool {
        self.capabilities.contains(&Capability::Deny)
    }

    /// `deny` leaves nothing of the rule but the time until which it denies (`policy.go`, `goto PathFinished`).
    pub(super) fn normalised(mut self) -> Self {
        if self.denies() {
            self.capabilities = BTreeSet::from([Capability::Deny]);
            self.other.retain(|field, _| field == restriction::EXPIRATION);
        }
        self
    }

    /// Whether it holds a field that servers merge differently, or only while it hasn't expired.
    fn stands_alone(&self) -> bool {
        self.other.keys().any(|field| !restriction::can_merge(field))
    }

    fn absorb(&mut self, other: Self) {
        self.capabilities.extend(other.capabilities);
        for (field, value) in other.other {
            let merged = match self.other.remove(&field) {
                Some(mine) => restriction::merge(&field, mine, value),
                None => value,
            };
            self.other.insert(field, merged);
        }
    }
}

/// The rules of one path as few as they can be, in the order in which they take effect.
pub(super) fn merged(rules: &[Rule]) -> Vec<Rule> {
    if let Some(denial) = rules.iter().find(|rule| rule.denies() && !rule.expires()) {
        return vec![denial.clone()];
    }
    let mut merged: Vec<Rule> = Vec::new();
    for rule in rules {
        let partner = merged.iter_mut().find(|earlier| !earlier.stands_alone());
        match partner {
            Some(earlier) if !rule.stands_alone() => earlier.absorb(rule.clone()),
            _ => merged.push(rule.clone()),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use Capability::{Create, Deny, Read, Update};
    use serde_json::json;

    use super::*;
    use crate::policy::Policy;

    fn rule(capabilities: &[Capability], other: Value) -> Rule {
        let path = PolicyPath::new("a").unwrap();
        let other = serde_json::from_value(other).unwrap();
        Rule { path, capabilities: capabilities.iter().copied().collect(), other }
    }

    fn merge(rules: Vec<Rule>) -> Vec<Rule> {
        Policy::new(rules).rules().to_vec()
    }

    #[test]
    fn capabilities_add_up_and_deny_wins() {
        let both = merge(vec![rule(&[Read], json!({})), rule(&[Create, Update], json!({}))]);
        assert_eq!(both, [rule(&[Create, Read, Update], json!({}))]);
        for order in [[0, 1], [1, 0]] {
            let rules = [rule(&[Deny, Read], json!({"pagination_limit": 5})), rule(&[Read], json!({}))];
            let denied = merge(order.map(|place| rules[place].clone()).to_vec());
            assert_eq!(denied, [rule(&[Deny], json!({}))]);
        }
    }

    #[test]
    fn restrictions_merge_as_in_the_server() {
        let one = rule(
            &[Read],
            json!({"min_wrapping_ttl": 60, "max_wrapping_ttl": "1500000000ns", "required_parameters": ["a"],
                   "allowed_parameters": {"x": ["1"], "y": ["1"]}, "pagination_limit": 9}),
        );
        let other = rule(
            &[Read],
            json!({"min_wrapping_ttl": 30, "max_wrapping_ttl": 90, "required_parameters": ["b", "a"],
                   "allowed_parameters": {"x": ["2", "1"], "y": [], "z": [3]}, "pagination_limit": 5}),
        );
        let expected = rule(
            &[Read],
            json!({"min_wrapping_ttl": 30, "max_wrapping_ttl": "1500000000ns", "required_parameters": ["a", "b"],
                   "allowed_parameters": {"x": ["1", "2"], "y": [], "z": [3]}, "pagination_limit": 5}),
        );
        assert_eq!(merge(vec![one.clone(), other.clone()]), std::slice::from_ref(&expected));
        assert_eq!(merge(vec![other, one]), [expected]);
    }

    #[test]
    fn what_depends_on_the_clock_or_the_server_is_not_merged() {
        let until = rule(&[Deny, Read], json!({"expiration": "2030-01-01T00:00:00Z", "pagination_limit": 1}));
        let rules = merge(vec![until, rule(&[Read], json!({})), rule(&[Update], json!({}))]);
        let expected = [rule(&[Deny], json!({"expiration": "2030-01-01T00:00:00Z"})), rule(&[Read, Update], json!({}))];
        assert_eq!(rules, expected);
        let group = rule(&[Read], json!({"control_group": {"ttl": "1h"}}));
        assert_eq!(merge(vec![group.clone(), group]).len(), 2);
    }
}
