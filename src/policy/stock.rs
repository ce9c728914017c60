//! The rules that servers put into their policy `default` by themselves.

use std::sync::LazyLock;

use super::Capability::{self, Create, Delete, List, Read, Update};
use super::{Policy, PolicyPath, Rule};

/// What one server or another gives every token to begin with, path by path. Its text is in the server's storage from the day
/// on which it was set up, so that one of today may hold the rules of years ago: what counts is all of them together.
const RULES: &[(&str, &[Capability])] = &[
    // Every server.
    ("auth/token/lookup-self", &[Read]),
    ("auth/token/renew-self", &[Update]),
    ("auth/token/revoke-self", &[Update]),
    ("sys/capabilities-self", &[Update]),
    ("cubbyhole/*", &[Create, Read, Update, Delete, List]),
    ("sys/wrapping/wrap", &[Update]),
    ("sys/wrapping/lookup", &[Update]),
    ("sys/wrapping/unwrap", &[Update]),
    ("sys/leases/renew", &[Update]),
    ("sys/leases/lookup", &[Update]),
    ("sys/tools/hash", &[Update]),
    ("sys/tools/hash/*", &[Update]),
    // Servers of today.
    ("sys/internal/ui/resultant-acl", &[Read]),
    ("identity/entity/id/{{identity.entity.id}}", &[Read]),
    ("identity/entity/name/{{identity.entity.name}}", &[Read]),
    ("identity/oidc/provider/+/authorize", &[Read, Update]),
    // Vault.
    ("sys/renew", &[Update]),
    // Vault of today: its version, which is hidden from others.
    ("sys/internal/ui/version", &[Read]),
    // Vault Enterprise.
    ("sys/control-group/request", &[Update]),
    // Older versions of Vault.
    ("sys/tools/random", &[Update]),
    ("sys/tools/random/*", &[Update]),
    ("cubbyhole", &[List]),
];

/// All of these rules.
pub fn stock_default() -> &'static Policy {
    static STOCK: LazyLock<Policy> = LazyLock::new(|| {
        Policy::new(RULES.iter().filter_map(|(path, capabilities)| {
            Some(Rule::new(PolicyPath::new(path).ok()?, capabilities.iter().copied()))
        }))
    });
    &STOCK
}

/// Whether a rule for this path can be one that a server of another version gives every token: those are about Vault's own
/// paths, never about a secrets mount.
pub fn may_be_stock(path: &PolicyPath) -> bool {
    ["auth/token/", "sys/", "identity/", "cubbyhole/"].iter().any(|own| path.literal().starts_with(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_is_one() {
        assert_eq!(stock_default().rules().len(), RULES.len());
        assert!(
            stock_default().rules().iter().all(|rule| rule.path.as_str() == "cubbyhole" || may_be_stock(&rule.path))
        );
        for path in ["secret/data/*", "*", "+/data", "auth/jwt/login"] {
            assert!(!may_be_stock(&PolicyPath::new(path).unwrap()), "{path}");
        }
    }
}
