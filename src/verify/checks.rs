//! The catalogue of checks: a row each, with an id that stays, and an entry of the same name in
//! `docs/troubleshooting.md`.

use serde::Serialize;

/// A check that verification makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its id, which never changes its meaning.
    pub id: &'static str,
    /// What is true when it passes.
    pub title: &'static str,
}

impl Check {
    /// Where the documentation explains it.
    pub fn anchor(&self) -> String {
        format!("docs/troubleshooting.md#{}", self.id.to_lowercase())
    }
}

/// The cluster gives a token of the service account.
pub(super) const TOKEN: Check = Check { id: "VK101", title: "the cluster gives a token of the service account" };
/// The token's issuer is the one that the mount trusts.
pub(super) const ISSUER: Check = Check { id: "VK102", title: "the token's issuer is the one that the mount trusts" };
/// The mount's CA signed the certificate of its host.
pub(super) const HOST: Check = Check { id: "VK111", title: "the mount's host has a certificate of the mount's CA" };
/// Vault accepts the login.
pub(super) const LOGIN: Check = Check { id: "VK201", title: "Vault accepts the login" };
/// The login carries the role's policies.
pub(super) const POLICIES: Check = Check { id: "VK301", title: "the login carries the role's policies and no others" };
/// The login may do what the policies say.
pub(super) const GRANTED: Check = Check { id: "VK401", title: "the login may do what its policies say" };
/// The login may do nothing beside that.
pub(super) const NOTHING_ELSE: Check = Check { id: "VK402", title: "the login may do nothing beside that" };
/// The login's token was revoked.
pub(super) const REVOKED: Check = Check { id: "VK501", title: "the login's token was revoked after the test" };

/// All checks, in the order in which a login goes.
pub const CATALOGUE: [Check; 8] = [TOKEN, ISSUER, HOST, LOGIN, POLICIES, GRANTED, NOTHING_ELSE, REVOKED];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_its_entry_in_the_documentation() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/troubleshooting.md")).unwrap();
        for check in CATALOGUE {
            let heading = format!("### {}\n", check.id);
            assert!(page.contains(&heading), "docs/troubleshooting.md has no entry for {}", check.id);
        }
    }
}
