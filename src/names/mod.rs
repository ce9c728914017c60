//! The names that travel between Kubernetes and Vault, each parsed once at the border.
//!
//! Inside the crate a [`MountPath`] or a [`ServiceAccountRef`] needs no second look. What is refused here is what the
//! servers would take in silence and understand differently: a `*` that widens a role, an upper-case letter that Vault
//! turns into a lower-case one, a quote that would end an HCL string.

use std::fmt;
use std::str::FromStr;

pub use account::{ServiceAccountPattern, ServiceAccountRef};
pub use kv_path::KvPath;
pub use labels::{Labels, NamespaceSelector};
pub use object::{NamespaceName, ObjectName};
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

mod account;
pub(crate) mod cidr;
pub(crate) mod glob;
mod kv_path;
pub(crate) mod labels;
mod object;
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

/// How deep below its own namespace a mount is looked for: each step is a request.
const DEEPEST: usize = 8;

/// A path as one of a child namespace, for each that may be one: the namespace, and the path there.
pub(crate) fn below_namespaces(path: &str) -> impl Iterator<Item = (&str, &str)> {
    path.match_indices('/').take(DEEPEST).map(|(at, _)| (&path[..at], &path[at + 1..]))
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
        if ["root", "default", "default-ceiling"].contains(&name.as_str()) {
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
