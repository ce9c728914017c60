//! The names that travel between Kubernetes and Vault, each parsed once at the border.
//!
//! Inside the crate a [`MountPath`] or a [`ServiceAccountRef`] needs no second look. What is refused here is what the
//! servers would take in silence and understand differently: a `*` that widens a role, an upper-case letter that Vault
//! turns into a lower-case one, a quote that would end an HCL string.

use std::fmt;
use std::str::FromStr;

pub use kv_path::KvPath;
pub use owner::Owner;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
pub use stored::StoredName;

/// A name that was refused: what it was to be, why not, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a valid {what}: {problem}")]
pub struct InvalidName {
    /// What the value was to be, such as `role name`.
    pub what: &'static str,
    /// The value as written.
    pub value: String,
    /// What is wrong with it.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

impl InvalidName {
    fn new(what: &'static str, value: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what, value: value.to_owned(), problem: problem.into(), remedy: remedy.into() }
    }
}

/// Defines a newtype over `String` with the traits that every name has; its `FromStr` is written by hand.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as the servers know it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            /// As strict as everywhere: a name in a saved plan is parsed like one in the configuration.
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) mod cidr;
pub(crate) mod glob;
mod kv_path;
mod owner;
mod stored;

/// Where the names of the policies begin that are inventories of owners.
pub const INVENTORIES: &str = "vaultk8s-inventory/";

name! {
    /// The name of a cluster in the configuration file, used in `{cluster}`.
    ClusterName
}

impl FromStr for ClusterName {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        word(
            "cluster name",
            value,
            "_.-",
            "use letters, digits, '-', '_' and '.', such as `taloslmn`: it becomes part of mount, policy and role names",
        )?;
        Ok(Self(value.to_owned()))
    }
}

name! {
    /// The path of a mount, without slashes at its ends: `jwt-taloslmn`, `secret`, `team/kv`.
    MountPath
}

impl FromStr for MountPath {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        const WHAT: &str = "mount path";
        const REMEDY: &str = "write the mount's path as Vault's CLI lists it, such as `jwt-prod`";
        let path = value.strip_suffix('/').unwrap_or(value);
        if path.is_empty() {
            return Err(InvalidName::new(WHAT, value, "it is empty", REMEDY));
        }
        for segment in path.split('/') {
            match segment {
                "" => return Err(InvalidName::new(WHAT, value, "it has an empty segment", REMEDY)),
                "." | ".." => return Err(InvalidName::new(WHAT, value, "it has a relative segment", REMEDY)),
                _ => word(WHAT, segment, "_.-", REMEDY)
                    .map_err(|error| InvalidName { value: value.to_owned(), ..error })?,
            }
        }
        if path == "auth" || path.starts_with("auth/") {
            return Err(InvalidName::new(
                WHAT,
                value,
                "it begins with `auth/`, which Vault adds itself",
                "leave `auth/` away",
            ));
        }
        Ok(Self(path.to_owned()))
    }
}

name! {
    /// The name of an ACL policy, in lower case as Vault stores it.
    PolicyName
}

impl FromStr for PolicyName {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        const WHAT: &str = "policy name";
        word(WHAT, value, "_.-:@/", "use letters, digits, '-', '_' and '.'")?;
        let name = value.to_ascii_lowercase();
        if name == "root" || name == "default" {
            return Err(InvalidName::new(
                WHAT,
                value,
                "it belongs to Vault itself",
                "give the policy a name of its own; roles carry `default` unless `noDefaultPolicy` is set",
            ));
        }
        if name.starts_with(INVENTORIES) {
            return Err(InvalidName::new(
                WHAT,
                value,
                "it is where the inventories of owners are",
                "give the policy another name: an inventory says whose the roles of a mount are, and is written by bootstrap",
            ));
        }
        Ok(Self(name))
    }
}

name! {
    /// The name of a role of an auth mount, in lower case as Vault stores it.
    RoleName
}

impl FromStr for RoleName {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        word(
            "role name",
            value,
            "_.-",
            "use letters, digits, '-', '_' and '.', beginning and ending with a letter, a digit or '_'",
        )?;
        Ok(Self(value.to_ascii_lowercase()))
    }
}

name! {
    /// The audience (`aud`) of a token: any text without white space, often a URL.
    Audience
}

impl FromStr for Audience {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        const REMEDY: &str = "name the audience that the token is requested for, such as `vault`";
        if value.is_empty() {
            return Err(InvalidName::new("audience", value, "it is empty", REMEDY));
        }
        if value.chars().any(|c| c.is_whitespace() || c.is_control() || c == ',') {
            return Err(InvalidName::new("audience", value, "it contains white space or a comma", REMEDY));
        }
        Ok(Self(value.to_owned()))
    }
}

/// A service account of a cluster, written `namespace/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceAccountRef {
    /// Its namespace: a DNS label.
    pub namespace: String,
    /// Its name: a DNS subdomain, dots allowed.
    pub name: String,
}

impl ServiceAccountRef {
    /// The `sub` claim of its tokens (`system:serviceaccount:<namespace>:<name>`).
    pub fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// The account of a `sub` claim; `None` where that is no service account's.
    pub fn from_subject(subject: &str) -> Option<Self> {
        let (namespace, name) = subject.strip_prefix("system:serviceaccount:")?.split_once(':')?;
        Some(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl FromStr for ServiceAccountRef {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        const WHAT: &str = "service account";
        const REMEDY: &str = "write `namespace/name`, such as `external-secrets/external-secrets`";
        let Some((namespace, name)) = value.split_once('/') else {
            return Err(InvalidName::new(WHAT, value, "it has no namespace", REMEDY));
        };
        if value.contains(['*', '?', '[']) {
            return Err(InvalidName::new(
                WHAT,
                value,
                "it contains a wildcard, which would let in service accounts that nobody listed",
                "list each service account; a role that needs a pattern says `allowGlobs: true` and `boundClaims`",
            ));
        }
        if !is_dns_label(namespace) {
            return Err(InvalidName::new(
                WHAT,
                value,
                format!("its namespace {namespace:?} is not a DNS label"),
                REMEDY,
            ));
        }
        if !is_dns_subdomain(name) {
            return Err(InvalidName::new(WHAT, value, format!("its name {name:?} is not a DNS subdomain"), REMEDY));
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for ServiceAccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Serialize for ServiceAccountRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ServiceAccountRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Service accounts that are named by a pattern, written `namespace/name` with a `*` in one of them or both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceAccountPattern {
    /// Its namespaces.
    pub namespace: String,
    /// Its names.
    pub name: String,
}

impl ServiceAccountPattern {
    /// Whether it is one of those service accounts, as Vault matches them.
    pub fn matches(&self, account: &ServiceAccountRef) -> bool {
        glob::matches(&self.namespace, &account.namespace) && glob::matches(&self.name, &account.name)
    }

    /// Whether all service accounts of another pattern are among its own, as far as the two texts tell.
    pub fn covers(&self, other: &Self) -> bool {
        glob::matches(&self.namespace, &other.namespace) && glob::matches(&self.name, &other.name)
    }
}

impl FromStr for ServiceAccountPattern {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        const WHAT: &str = "pattern of service accounts";
        const REMEDY: &str = "write `namespace/name` with `*` for what may differ, such as `team-*/app`";
        let Some((namespace, name)) = value.split_once('/') else {
            return Err(InvalidName::new(WHAT, value, "it has no namespace", REMEDY));
        };
        let anything = |text: &str| text.contains('*') && text.chars().all(|c| c == '*');
        if anything(namespace) && anything(name) {
            return Err(InvalidName::new(WHAT, value, "it lets in every service account of the cluster", REMEDY));
        }
        // With something in place of each `*`, both must be what Kubernetes would take.
        if !is_dns_label(&namespace.replace('*', "x")) || !is_dns_subdomain(&name.replace('*', "x")) {
            return Err(InvalidName::new(WHAT, value, "nothing that Kubernetes would take matches it", REMEDY));
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl fmt::Display for ServiceAccountPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Serialize for ServiceAccountPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ServiceAccountPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Checks letters, digits and `extra`, beginning and ending with a letter, a digit or `_`, at most 512 bytes.
fn word(what: &'static str, value: &str, extra: &str, remedy: &str) -> Result<(), InvalidName> {
    let refuse = |problem: String| Err(InvalidName::new(what, value, problem, remedy));
    if value.is_empty() {
        return refuse("it is empty".to_owned());
    }
    if value.len() > 512 {
        return refuse(format!("it is {} bytes long; 512 is the most", value.len()));
    }
    if let Some(bad) = value.chars().find(|c| !c.is_ascii_alphanumeric() && !extra.contains(*c)) {
        return refuse(match bad {
            '*' | '+' | '?' => format!("it contains the wildcard {bad:?}"),
            '{' | '}' => "it contains a template that was not filled in".to_owned(),
            _ => format!("it contains {bad:?}"),
        });
    }
    let at_the_ends = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !value.starts_with(at_the_ends) || !value.ends_with(at_the_ends) {
        return refuse("it begins or ends with a punctuation mark".to_owned());
    }
    Ok(())
}

/// RFC 1123 label, as Kubernetes wants a namespace to be.
fn is_dns_label(value: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&value.len()) && value.bytes().all(inner) && !value.starts_with('-') && !value.ends_with('-')
}

/// RFC 1123 subdomain, as Kubernetes wants the name of a service account to be: labels joined by dots, at most 253
/// bytes, and unlike a namespace with no limit of 63 for one label.
fn is_dns_subdomain(value: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (1..=253).contains(&value.len()) && value.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: FromStr<Err = InvalidName>>(value: &str) -> bool {
        value.parse::<T>().is_err_and(|error| !error.remedy.is_empty())
    }

    #[test]
    fn names_that_vault_lowers_are_lowered_here() {
        assert_eq!("P-Read".parse::<PolicyName>().unwrap().as_str(), "p-read");
        assert_eq!("R-Read".parse::<RoleName>().unwrap().as_str(), "r-read");
    }

    #[test]
    fn names_of_vault_itself_are_refused() {
        assert!(refused::<PolicyName>("root"));
        assert!(refused::<PolicyName>("Default"));
        assert!(refused::<PolicyName>("vaultk8s-inventory/platform/jwt"));
        assert!(refused::<MountPath>("auth/jwt"));
    }

    #[test]
    fn wildcards_never_widen_a_name() {
        for value in ["*/external-secrets", "external-secrets/*", "a/b*", "a/b?"] {
            assert!(refused::<ServiceAccountRef>(value), "{value}");
        }
        assert!(refused::<RoleName>("r-*"));
        assert!(refused::<PolicyName>("p-*"));
        assert!(refused::<MountPath>("jwt-*"));
    }

    #[test]
    fn patterns_have_a_star_and_nothing_else_that_is_special() {
        for value in ["team-*/app", "*/app", "apps/*", "a/*.b", "*-a/b-*"] {
            assert_eq!(value.parse::<ServiceAccountPattern>().unwrap().to_string(), value);
        }
        for value in ["*/*", "**/*", "*/**", "*", "a?/b*", "A*/b", "a/b/*", "-*/a", "/*"] {
            assert!(refused::<ServiceAccountPattern>(value), "{value}");
        }
    }

    #[test]
    fn a_pattern_covers_narrower_ones() {
        let pattern = |text: &str| text.parse::<ServiceAccountPattern>().unwrap();
        for (wide, narrow) in [("*/app", "team-*/app"), ("team-*/app", "team-*-x/app"), ("a/*", "a/*")] {
            assert!(pattern(wide).covers(&pattern(narrow)), "{wide} {narrow}");
        }
        for (one, other) in [("team-*/app", "*/app"), ("a/*", "b/*")] {
            assert!(!pattern(one).covers(&pattern(other)), "{one} {other}");
        }
        assert!(pattern("team-*/app").matches(&"team-a/app".parse().unwrap()));
        assert!(!pattern("team-*/app").matches(&"team-a/app2".parse().unwrap()));
    }

    #[test]
    fn service_accounts_need_a_namespace_and_may_have_dots() {
        assert!(refused::<ServiceAccountRef>("external-secrets"));
        assert!(refused::<ServiceAccountRef>("a/b/c"));
        assert!(refused::<ServiceAccountRef>("a.b/c"));
        assert!(refused::<ServiceAccountRef>("A/b"));
        let account: ServiceAccountRef = "ns/a.b".parse().unwrap();
        assert_eq!(account.subject(), "system:serviceaccount:ns:a.b");
    }

    #[test]
    fn mount_paths_lose_their_last_slash() {
        assert_eq!("team/kv/".parse::<MountPath>().unwrap().as_str(), "team/kv");
        for value in ["", "/", "a//b", "../a", "a b", "a%2fb"] {
            assert!(refused::<MountPath>(value), "{value:?}");
        }
    }
}
