//! Service accounts, and patterns of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{InvalidName, glob};

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

/// RFC 1123 label, as Kubernetes wants a namespace to be.
fn is_dns_label(value: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&value.len()) && value.bytes().all(inner) && !value.starts_with('-') && !value.ends_with('-')
}

/// RFC 1123 subdomain, as Kubernetes wants the name of a service account to be: labels joined by dots, at most 253
/// bytes, and unlike a namespace with no limit of 63 for one label.
pub(super) fn is_dns_subdomain(value: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (1..=253).contains(&value.len()) && value.split('.').all(label)
}
