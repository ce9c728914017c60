//! The rules that servers put into their policy `default` by themselves.

use std::sync::LazyLock;

use super::Capability::{self, Create, Delete, List, Read, Update};
use super::{Policy, PolicyPath, Rule};

/// What one server or another gives every token to begin with, path by path; who may update may create there too, which is
/// the same request. Its text is in the server's storage from the day
/// on which it was set up, so that one of today may hold the rules of years ago: what counts is all of them together.
const RULES: &[(&str, &[Capability])] = &[
    // Every server.
    ("auth/token/lookup-self", &[Read]),
    ("auth/token/renew-self", &[Create, Update]),
    ("auth/token/revoke-self", &[Create, Update]),
    ("sys/capabilities-self", &[Create, Update]),
    ("cubbyhole/*", &[Create, Read, Update, Delete, List]),
    ("sys/wrapping/wrap", &[Create, Update]),
    ("sys/wrapping/lookup", &[Create, Update]),
    ("sys/wrapping/unwrap", &[Create, Update]),
    ("sys/leases/renew", &[Create, Update]),
    ("sys/leases/lookup", &[Create, Update]),
    ("sys/tools/hash", &[Create, Update]),
    ("sys/tools/hash/*", &[Create, Update]),
    // Servers of today.
    ("sys/internal/ui/resultant-acl", &[Read]),
    ("identity/entity/id/{{identity.entity.id}}", &[Read]),
    ("identity/entity/name/{{identity.entity.name}}", &[Read]),
    ("identity/oidc/provider/+/authorize", &[Create, Read, Update]),
    // Vault.
    ("sys/renew", &[Create, Update]),
    // Vault of today: its version, which is hidden from others.
    ("sys/internal/ui/version", &[Read]),
    // Vault Enterprise.
    ("sys/control-group/request", &[Create, Update]),
    // Older versions of Vault.
    ("sys/tools/random", &[Create, Update]),
    ("sys/tools/random/*", &[Create, Update]),
    ("cubbyhole", &[List]),
];

/// What anybody may do without a token: a rule for it gives nothing.
const OPEN: &[(&str, &[Capability])] = &[
    ("sys/health", &[Read]),
    ("sys/init", &[Read]),
    ("sys/leader", &[Read]),
    ("sys/seal-status", &[Read]),
    ("auth/+/login", &[Create, Update]),
    ("identity/oidc/.well-known/*", &[Read]),
];

/// All of these rules.
pub fn stock_default() -> &'static Policy {
    static STOCK: LazyLock<Policy> = LazyLock::new(|| {
        Policy::new(RULES.iter().chain(OPEN).filter_map(|(path, capabilities)| {
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
        assert_eq!(stock_default().rules().len(), RULES.len() + OPEN.len());
        let paths = RULES.iter().map(|(path, _)| PolicyPath::new(path).unwrap());
        assert!(paths.into_iter().all(|path| path.as_str() == "cubbyhole" || may_be_stock(&path)));
        for path in ["secret/data/*", "*", "+/data", "auth/jwt/login"] {
            assert!(!may_be_stock(&PolicyPath::new(path).unwrap()), "{path}");
        }
    }
}
