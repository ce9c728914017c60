//! A policy, as a server keeps it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A policy as the server has it. All but the text is OpenBao's; a write that leaves it out sets it back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct StoredPolicy {
    /// The text, as it was written.
    pub policy: String,
    /// Whether a template's value may hold a slash.
    #[serde(default)]
    pub allow_slashes_in_identity_templates: bool,
    /// Whether a template's value may hold `*` and `+`.
    #[serde(default)]
    pub allow_wildcards_in_identity_templates: bool,
    /// When it ends (RFC 3339).
    #[serde(default)]
    pub expiration: Option<String>,
    /// Whether a write must name the version that it replaces.
    #[serde(default)]
    pub cas_required: bool,
    /// Its version.
    #[serde(default)]
    pub version: Option<u64>,
}

impl StoredPolicy {
    /// What it has beside its text that a policy of ours doesn't have, by field.
    pub fn extras(&self) -> Vec<(&'static str, Value)> {
        let flags = [
            ("allow_slashes_in_identity_templates", self.allow_slashes_in_identity_templates),
            ("allow_wildcards_in_identity_templates", self.allow_wildcards_in_identity_templates),
        ];
        let flags = flags.into_iter().filter(|(_, set)| *set).map(|(field, _)| (field, Value::Bool(true)));
        flags.chain(self.expiration.iter().map(|at| ("expiration", at.clone().into()))).collect()
    }

    /// The version that a write must name, where one must.
    pub fn required_cas(&self) -> Option<u64> {
        self.version.filter(|_| self.cas_required)
    }
}
