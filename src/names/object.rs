//! Names of objects of a cluster.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::InvalidName;
use super::account::{is_dns_label, is_dns_subdomain};

name! {
    /// The name of a Kubernetes object: a DNS subdomain (RFC 1123).
    ObjectName
}

impl FromStr for ObjectName {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        if is_dns_subdomain(value) {
            return Ok(Self(value.to_owned()));
        }
        Err(InvalidName::new(
            "name of a Kubernetes object",
            value,
            "it is not a DNS subdomain",
            "use lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit",
        ))
    }
}

name! {
    /// A namespace of a cluster: a DNS label (RFC 1123).
    NamespaceName
}

impl FromStr for NamespaceName {
    type Err = InvalidName;

    fn from_str(value: &str) -> Result<Self, InvalidName> {
        if is_dns_label(value) {
            return Ok(Self(value.to_owned()));
        }
        Err(InvalidName::new(
            "namespace",
            value,
            "it is not a DNS label",
            "use at most 63 lower-case letters, digits and `-`, beginning and ending with a letter or digit",
        ))
    }
}
