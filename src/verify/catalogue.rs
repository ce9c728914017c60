//! The catalogue of checks: a row each, with an id that never changes its meaning, what it needs to be worth a look, and
//! an entry of the same name in `docs/troubleshooting.md`.
//!
//! The order is that in which a login goes. Where a check fails, those that need it are not reached: a broken link is
//! reported once, and not again by everything that hangs on it.

use serde::Serialize;

/// The id of a check, such as `VK312`: nothing but the catalogue makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CheckId(&'static str);

impl CheckId {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl std::fmt::Display for CheckId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.0)
    }
}

/// A check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its id.
    pub id: CheckId,
    /// The link of the chain that it looks at.
    pub link: Link,
    /// What is true when it passes.
    pub title: &'static str,
    /// What it means when it doesn't.
    pub severity: Severity,
    /// The checks that must not have failed for this one to say anything.
    pub needs: &'static [CheckId],
}

/// The links of the chain from a service account to a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Link {
    /// Vault itself.
    Vault,
    /// The cluster itself.
    Cluster,
    /// The auth mount.
    Mount,
    /// The mount's configuration.
    Config,
    /// The role.
    Role,
    /// The service account's token, and the login with it.
    Login,
    /// What the login's token may do.
    Access,
    /// The secret.
    Secret,
    /// How long the login's token lives and how often it may be used.
    Lifetime,
    /// Who must be refused.
    Strangers,
    /// What External Secrets makes of it.
    ExternalSecrets,
}

/// What a failed check means. The order is that in which causes are told: the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Somebody gets in, or at something, who should not.
    Exposes,
    /// Somebody does not get in, or at something, who should.
    Breaks,
    /// It works, and should be looked at all the same.
    Advises,
}

impl Check {
    /// Where the documentation explains it.
    pub fn anchor(&self) -> String {
        format!("docs/troubleshooting.md#{}", self.id.as_str().to_lowercase())
    }
}

/// Declares checks as constants, and the catalogue in the order in which they stand.
macro_rules! catalogue {
    ($($name:ident = $id:literal $link:ident $severity:ident, $title:literal, [$($need:literal),*];)*) => {
        $(
            #[doc = concat!($title, ".")]
            pub(crate) const $name: Check = Check {
                id: CheckId($id),
                link: Link::$link,
                title: $title,
                severity: Severity::$severity,
                needs: &[$(CheckId($need)),*],
            };
        )*
        /// All checks, in the order in which a login goes.
        pub const CATALOGUE: &[Check] = &[$($name),*];
    };
}

catalogue! {
    VAULT_ANSWERS = "VK101" Vault Breaks, "Vault answers", [];
    VAULT_TLS = "VK102" Vault Breaks, "the connection to Vault is secure", [];
    VAULT_UNSEALED = "VK103" Vault Breaks, "Vault is initialised and unsealed", ["VK101", "VK102"];
    VAULT_ACTIVE = "VK104" Vault Breaks, "a node of Vault is active", ["VK103"];
    VAULT_TOKEN = "VK105" Vault Breaks, "the operator's token is valid", ["VK104"];
    VAULT_NAMESPACE = "VK106" Vault Breaks, "the namespace exists", ["VK104"];
    VAULT_AUDIT = "VK107" Vault Advises, "an audit device logs requests", ["VK104", "VK105"];

    CLUSTER_ANSWERS = "VK201" Cluster Breaks, "the cluster answers", [];
    CLUSTER_KEYS = "VK202" Cluster Breaks, "the cluster publishes its issuer and keys", ["VK201"];
    CLOCKS = "VK203" Cluster Breaks, "the clocks of Vault, the cluster and this machine agree", ["VK104"];

    MOUNT_EXISTS = "VK301" Mount Breaks, "the auth mount exists", ["VK104", "VK106"];
    MOUNT_TYPE = "VK302" Mount Breaks, "the auth mount is of the right type", ["VK301"];
    MOUNT_CONFIGURED = "VK303" Mount Breaks, "the auth mount is configured", ["VK302"];
    MOUNT_ROLES = "VK304" Mount Exposes, "the mount holds only the roles of the file", ["VK302"];
    MOUNT_SETTINGS = "VK305" Mount Advises, "the auth mount's settings are as the file says, and the server's where it says nothing", ["VK302"];
    CLEAR_SECRETS = "VK306" Mount Exposes, "the auth mount keeps secrets out of the audit log", ["VK302"];
    KEY_SOURCE = "VK311" Config Breaks, "Vault can fetch the cluster's keys", ["VK303"];
    ISSUER = "VK312" Config Breaks, "the mount trusts the issuer of the cluster's tokens", ["VK201", "VK303"];
    KEYS = "VK313" Config Breaks, "the mount has every key that the cluster signs with", ["VK202", "VK303"];
    STRANGE_KEYS = "VK314" Config Exposes, "the mount has no keys that the cluster never published", ["VK202", "VK303", "VK313"];
    ALGORITHMS = "VK315" Config Breaks, "the mount accepts the algorithms that the cluster signs with", ["VK202", "VK303"];
    HOST = "VK321" Config Breaks, "the mount's host has a certificate of the mount's CA", ["VK303"];
    HOST_CLUSTER = "VK322" Config Breaks, "the mount's host is this cluster", ["VK201", "VK303", "VK321"];
    REVIEWER = "VK323" Config Breaks, "the reviewer exists and has a token", ["VK201", "VK303"];
    REVIEWER_RIGHTS = "VK324" Config Breaks, "the reviewer may review tokens", ["VK323"];
    REVIEWER_IN_VAULT = "VK325" Config Breaks, "Vault has the reviewer's token", ["VK303", "VK323"];
    REVIEWER_ONLY = "VK326" Config Exposes, "the reviewer may do nothing beside reviewing, and its binding is its own", ["VK323"];
    TRUST = "VK331" Config Exposes, "the mount trusts whom the file says", ["VK303", "VK311", "VK312", "VK313", "VK321", "VK322"];

    ROLE_EXISTS = "VK401" Role Breaks, "the role exists on the mount", ["VK302"];
    ROLE_TYPE = "VK402" Role Breaks, "the role is for tokens", ["VK401"];
    ACCOUNT = "VK403" Role Breaks, "the service account exists", ["VK201"];
    TOKEN = "VK404" Login Breaks, "the cluster gives a token of the service account", ["VK201", "VK403"];
    AUDIENCE = "VK411" Role Breaks, "the role takes the token's audience", ["VK402", "VK404"];
    BOUND_ACCOUNT = "VK412" Role Breaks, "the role takes the service account", ["VK402", "VK404"];
    BOUND_CLAIMS = "VK413" Role Breaks, "the token has the claims that the role wants", ["VK402", "VK404"];
    BOUND_CIDRS = "VK414" Role Breaks, "the role takes logins from anywhere", ["VK402"];
    NOBODY_ELSE = "VK415" Role Exposes, "the role takes nobody that was not meant", ["VK402"];
    ROLE_AS_WRITTEN = "VK416" Role Exposes, "the role in Vault is the file's", ["VK401", "VK402"];
    TOKEN_ISSUER = "VK424" Login Breaks, "the token has the issuer that the mount trusts", ["VK303", "VK312", "VK404"];
    TOKEN_VALID = "VK421" Login Breaks, "the token is valid now, for the clocks of Vault", ["VK404"];
    TOKEN_KEY = "VK422" Login Breaks, "the token is signed with a key that the mount has", ["VK303", "VK313", "VK404"];
    REVIEW = "VK423" Login Breaks, "the cluster accepts the token when it is asked as Vault asks",
        ["VK303", "VK321", "VK322", "VK323", "VK324", "VK404", "VK411"];
    LOGIN = "VK431" Login Breaks, "Vault accepts the login",
        ["VK104", "VK106", "VK301", "VK303", "VK311", "VK312", "VK313", "VK315", "VK321", "VK322", "VK323", "VK324", "VK325",
         "VK402", "VK404", "VK411", "VK412", "VK413", "VK414", "VK421", "VK422", "VK423", "VK424"];
    LOGIN_LIMITS = "VK432" Login Breaks, "logins get through Vault's quotas", ["VK431"];

    POLICIES = "VK501" Access Breaks, "the login carries the role's policies and no others", ["VK431"];
    POLICIES_EXIST = "VK502" Access Breaks, "the role's policies exist", ["VK401"];
    KV_MOUNT = "VK503" Access Breaks, "the KV mount exists", ["VK104", "VK106"];
    FILLED_IN = "VK510" Access Breaks, "logins have what the role's policies are filled in from", ["VK301", "VK402", "VK502"];
    POLICIES_COVER = "VK504" Access Breaks, "the role's policies cover the paths", ["VK502", "VK503"];
    NOT_DENIED = "VK505" Access Breaks, "no other policy of the role denies the paths", ["VK502", "VK504"];
    GRANTED = "VK506" Access Breaks, "the login may do what it is meant to", ["VK431", "VK502", "VK504", "VK505", "VK510"];
    NOTHING_ELSE = "VK507" Access Exposes, "the login may do nothing beside that", ["VK431"];
    NO_ASCENT = "VK508" Access Exposes, "the login can't give itself more", ["VK431"];
    POLICIES_AS_WRITTEN = "VK509" Access Exposes, "the role's policies in Vault are the file's", ["VK502"];

    USES = "VK702" Lifetime Breaks, "the login's token may be used often enough", ["VK401"];
    SECRET = "VK601" Secret Breaks, "the secret is there", ["VK503", "VK506", "VK702"];
    PROPERTY = "VK602" Secret Breaks, "the secret has the property", ["VK503", "VK506", "VK702"];

    LIFETIME = "VK701" Lifetime Advises, "the login's token lives as long as the role says", ["VK431"];
    SELF_SERVICE = "VK703" Lifetime Breaks, "the login's token may look itself up and revoke itself, as External Secrets wants", ["VK431"];
    REFRESH = "VK704" Lifetime Advises, "the login's token outlives the interval at which secrets are refreshed", ["VK401"];
    REVOKED = "VK705" Lifetime Advises, "the test's token was revoked", ["VK431"];

    OTHER_AUDIENCE = "VK801" Strangers Exposes, "a token for another audience is refused", ["VK431"];
    OTHER_ACCOUNT = "VK802" Strangers Exposes, "another service account of the namespace is refused", ["VK431"];
    OTHER_NAMESPACE = "VK803" Strangers Exposes, "a service account of another namespace is refused", ["VK431"];
    UNKNOWN_KEY = "VK804" Strangers Exposes, "a token that is signed with an unknown key is refused", ["VK431"];

    ESO_VERSIONS = "VK901" ExternalSecrets Breaks, "External Secrets' kinds are served in the version of today", ["VK201"];
    ESO_OPERATOR = "VK902" ExternalSecrets Breaks, "External Secrets' operator is ready", ["VK201"];
    STORES_ASTRAY = "VK903" ExternalSecrets Breaks, "each store's login leads to a role", ["VK104", "VK901"];
    STORES_THERE = "VK904" ExternalSecrets Breaks, "the stores that ExternalSecrets name are there", ["VK901"];
    STORE_CONDITIONS = "VK905" ExternalSecrets Breaks, "the store's conditions let in the namespaces of its ExternalSecrets", ["VK901"];
    STORE_SERVER = "VK911" ExternalSecrets Breaks, "the store asks this Vault", ["VK901"];
    STORE_NAMESPACE = "VK912" ExternalSecrets Breaks, "the store asks this Vault namespace", ["VK106", "VK401", "VK901"];
    STORE_MOUNT = "VK913" ExternalSecrets Breaks, "the store logs in at this mount, in its method", ["VK901"];
    STORE_ROLE = "VK914" ExternalSecrets Breaks, "the store's role is on the mount", ["VK901", "VK913"];
    STORE_ACCOUNT = "VK915" ExternalSecrets Breaks, "the store logs in as a service account that the role takes", ["VK401", "VK412", "VK901"];
    STORE_AUDIENCES = "VK916" ExternalSecrets Breaks, "the store asks for the audience that the role takes", ["VK401", "VK411", "VK901", "VK913"];
    STORE_KV = "VK917" ExternalSecrets Breaks, "the store's path and version are those of the KV mount", ["VK104", "VK106", "VK901"];
    STORE_CA = "VK918" ExternalSecrets Breaks, "the store trusts Vault's certificate", ["VK101", "VK901"];
    STORE_READY = "VK919" ExternalSecrets Breaks, "the store says that it is ready",
        ["VK431", "VK703", "VK901", "VK902", "VK911", "VK912", "VK913", "VK914", "VK915", "VK916", "VK917", "VK918"];
    REMOTE_SECRET = "VK921" ExternalSecrets Breaks, "the secret and property of an ExternalSecret are there", ["VK431", "VK702", "VK917"];
    TARGET_SECRET = "VK922" ExternalSecrets Breaks, "the Secret of an ExternalSecret is there and holds its keys",
        ["VK703", "VK902", "VK905", "VK911", "VK912", "VK913", "VK914", "VK915", "VK916", "VK917", "VK918", "VK919", "VK921"];
}

/// The check of an id, for tests.
#[cfg(test)]
pub(super) fn check(id: &str) -> Check {
    *CATALOGUE.iter().find(|check| check.id.as_str() == id).unwrap()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_check_has_its_entry_in_the_documentation() {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/troubleshooting.md")).unwrap();
        for check in CATALOGUE {
            let heading = format!("### {}\n", check.id);
            assert!(page.contains(&heading), "docs/troubleshooting.md has no entry for {}", check.id);
        }
        let entries = page.lines().filter_map(|line| line.strip_prefix("### VK"));
        for entry in entries {
            let id = format!("VK{entry}");
            assert!(
                CATALOGUE.iter().any(|check| check.id.as_str() == id),
                "docs/troubleshooting.md explains {id}, which nobody checks"
            );
        }
    }

    #[test]
    fn a_check_needs_only_what_comes_before_it() {
        let mut before = BTreeSet::new();
        for check in CATALOGUE {
            for need in check.needs {
                assert!(before.contains(need), "{} needs {need}, which does not come before it", check.id);
            }
            assert!(before.insert(check.id), "{} is there twice", check.id);
        }
    }
}
