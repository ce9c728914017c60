//! An auth mount.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::MountSettings;
use super::token_fields::null_as_default;
use crate::names::Owner;

/// An auth mount as `GET sys/auth` shows it, with its configured values, not the effective ones.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct AuthMount {
    /// Its type, such as `jwt` or `kubernetes`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its accessor, which a mount of the same path that was made anew doesn't share.
    #[serde(default, deserialize_with = "null_as_default")]
    pub accessor: String,
    /// Its description.
    #[serde(default, deserialize_with = "null_as_default")]
    pub description: String,
    /// Its options: what anybody who may tune it writes there, such as which keys its cluster was seen to publish.
    #[serde(default, deserialize_with = "null_as_default")]
    pub options: BTreeMap<String, String>,
    /// What decides about its logins.
    #[serde(default, rename = "config")]
    pub settings: MountSettings,
    /// Whether it stays in its cluster of servers where others replicate; only enabling decides it.
    #[serde(default)]
    pub local: bool,
    /// Whether the seal wraps what it stores once more; only enabling decides it.
    #[serde(default)]
    pub seal_wrap: bool,
}

/// The option that says whose file keeps the mount. It is set when the mount is enabled, and goes with it.
pub(crate) const OWNER_OPTION: &str = "vaultk8s-owner";

/// What it says of a file, or a single step, that names no owner. No owner has such a name.
const NOBODY: &str = "(none)";

/// What the option says of a file of this owner.
pub(crate) fn owner_option(owner: Option<&Owner>) -> BTreeMap<String, String> {
    BTreeMap::from([(OWNER_OPTION.to_owned(), owner.map_or(NOBODY, Owner::as_str).to_owned())])
}

impl AuthMount {
    /// The owner whose file keeps it, as its options say.
    pub fn keeper(&self) -> Option<Owner> {
        self.options.get(OWNER_OPTION)?.parse().ok()
    }

    /// The form in which mounts whose settings mean the same are equal.
    #[must_use]
    pub fn normalised(self) -> Self {
        Self { settings: self.settings.normalised(), ..self }
    }

    /// Its accessor, where that can stand in a policy as it is.
    pub fn accessor_word(&self) -> Option<&str> {
        let is_word = self.accessor.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        (is_word && !self.accessor.is_empty()).then_some(self.accessor.as_str())
    }

    /// Its accessor, where that tells it from a mount of the same path that was there before. Of servers that replicate each has a
    /// local mount of its own, and all have the same policies.
    pub fn identity(&self) -> Option<&str> {
        let is_word = self.accessor.bytes().all(|byte| byte.is_ascii_graphic());
        (is_word && !self.accessor.is_empty() && !self.local).then_some(self.accessor.as_str())
    }
}
