//! KV: what is in a secret, values apart, and which version its mount is.

mod mount;

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};

pub(crate) use self::mount::{InChild, enable_in, held, in_child, mount_of, visible};
pub use self::mount::{disable, enable, version};
use super::request::encoded;
use super::{Client, Data, Request, VaultError};
use crate::model::KvVersion;
use crate::names::MountPath;

/// The latest version of a secret, where it was deleted (version 2): the server answers 404, with this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// Its number.
    pub version: u64,
    /// When it was deleted, where it can be brought back.
    #[serde(rename = "deletion_time")]
    pub deleted_at: String,
    /// Whether nothing can bring it back.
    pub destroyed: bool,
}

impl Gone {
    /// What the body of a 404 says.
    pub(super) fn of(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Metadata {
            metadata: Gone,
        }
        serde_json::from_slice::<Data<Metadata>>(body).ok().map(|answer| answer.data.metadata)
    }
}

/// The names of what is in a secret, at every depth, without the values.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Shape {
    /// Properties.
    Object(BTreeMap<String, Shape>),
    /// Items.
    List(Vec<Shape>),
    /// A value.
    Value(#[serde(serialize_with = "nothing")] IgnoredAny),
}

/// A value that nobody kept.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn nothing<S: Serializer>(_: &IgnoredAny, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_unit()
}

impl Shape {
    /// The names of its properties.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::Object(properties) => properties.keys().map(String::as_str).collect(),
            Self::List(_) | Self::Value(_) => Vec::new(),
        }
    }

    /// Whether it has a property, as External Secrets looks for it: by its whole name, else by a path of gjson. `None` where
    /// that is more than names and places: a query, a wildcard or a modifier asks for the values.
    pub fn has(&self, property: &str) -> Option<bool> {
        if self.inner(property).is_some() {
            return Some(true);
        }
        let names = plain_path(property)?;
        Some(names.iter().try_fold(self, |shape, name| shape.inner(name)).is_some())
    }

    /// The property of a name, or the item at a place.
    fn inner(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(properties) => properties.get(name),
            Self::List(items) => items.get(name.parse::<usize>().ok()?),
            Self::Value(_) => None,
        }
    }
}

/// The names of a path of gjson, with dots between them unless a backslash stands before; `None` of what has other syntax.
fn plain_path(path: &str) -> Option<Vec<String>> {
    if path.starts_with("..") {
        // Lines of JSON.
        return None;
    }
    let (mut names, mut name) = (Vec::new(), String::new());
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => name.extend(characters.next()),
            '.' => names.push(std::mem::take(&mut name)),
            '*' | '?' | '|' | '#' => return None,
            '@' | '!' | '[' | '{' if name.is_empty() => return None,
            plain => name.push(plain),
        }
    }
    names.push(name);
    Some(names)
}

/// Where a secret of a KV mount is read.
pub fn value_path(mount: &MountPath, version: KvVersion, path: &str) -> String {
    match version {
        KvVersion::V1 => format!("{mount}/{path}"),
        KvVersion::V2 => format!("{mount}/data/{path}"),
    }
}

/// What is in a secret, values apart (`GET {mount}/data/{path}`, or `{mount}/{path}` of version 1).
///
/// # Errors
/// [`VaultError::NotFound`] with what is known where its latest version was deleted.
pub async fn shape(
    client: &Client,
    mount: &MountPath,
    version: KvVersion,
    path: &str,
) -> Result<Option<Shape>, VaultError> {
    #[derive(Deserialize)]
    struct Versioned {
        data: Shape,
    }
    let api = encoded(&value_path(mount, version, path));
    Ok(match version {
        KvVersion::V1 => client.find(&Request::<Data<Shape>>::read(api)).await?.map(|answer| answer.data),
        KvVersion::V2 => client.find(&Request::<Data<Versioned>>::read(api)).await?.map(|answer| answer.data.data),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_has_names_and_no_values() {
        let shape: Shape = serde_json::from_str(r#"{"password": "hunter2", "db": {"user": "u"}, "a.b": 1}"#).unwrap();
        assert_eq!(shape.names(), ["a.b", "db", "password"]);
        for property in ["password", "db", "db.user", "a.b"] {
            assert_eq!(shape.has(property), Some(true), "{property}");
        }
        for property in ["user", "db.password", "a", "", "password.x"] {
            assert_eq!(shape.has(property), Some(false), "{property}");
        }
        assert!(!format!("{shape:?}").contains("hunter2"));
    }

    #[test]
    fn a_property_is_found_as_external_secrets_finds_it() {
        let text = r#"{"nested": {"a": 1, "list": [{"n": "x"}], "dotted.key": 2}, "q?": 3, "list": [1]}"#;
        let shape: Shape = serde_json::from_str(text).unwrap();
        for (property, expected) in [
            ("nested.list.0.n", Some(true)),
            ("nested.list.1.n", Some(false)),
            ("nested.list.n", Some(false)),
            (r"nested.dotted\.key", Some(true)),
            // A whole name is taken for one at the top alone.
            ("nested.dotted.key", Some(false)),
            ("q?", Some(true)),
            ("user@host", Some(false)),
            (r#"nested.list.#(n=="x").n"#, None),
            ("list.#", None),
            ("nest*.a", None),
            ("nested|a", None),
            ("@this", None),
            ("nested.@keys", None),
            ("{nested.a}", None),
            ("nested.[a]", None),
            ("!1", None),
            ("..0.nested", None),
        ] {
            assert_eq!(shape.has(property), expected, "{property}");
        }
    }

    #[test]
    fn a_deleted_version_says_so_in_its_404() {
        let body = r#"{"data":{"data":null,"metadata":{"created_time":"x","deletion_time":"2026-01-01T00:00:00Z","destroyed":false,"version":3}}}"#;
        let gone = Gone::of(body.as_bytes()).unwrap();
        assert_eq!((gone.version, gone.destroyed), (3, false));
        assert_eq!(Gone::of(br#"{"errors":[]}"#), None);
    }
}
