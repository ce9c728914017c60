//! Auth mounts: `sys/auth`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::method::null_as_default;
use super::{AuthMethod, Data, Done, MountSettings, Request};
use crate::names::MountPath;
use crate::policy::Capability;

/// An auth mount as `GET sys/auth` shows it, with its configured values, not the effective ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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

impl AuthMount {
    /// The form in which mounts whose settings mean the same are equal.
    #[must_use]
    pub fn normalised(self) -> Self {
        Self { settings: self.settings.normalised(), ..self }
    }

    /// Its accessor, where that tells it from a mount of the same path that was there before. Of servers that replicate each has a
    /// local mount of its own, and all have the same policies.
    pub fn identity(&self) -> Option<&str> {
        let is_word = self.accessor.bytes().all(|byte| byte.is_ascii_graphic());
        (is_word && !self.accessor.is_empty() && !self.local).then_some(self.accessor.as_str())
    }
}

/// All auth mounts by path, each with a slash at its end (`GET sys/auth`).
pub fn list() -> Request<Data<BTreeMap<String, AuthMount>>> {
    Request::read("sys/auth")
}

/// One auth mount as a token sees it that may use it (`GET sys/internal/ui/mounts/auth/{path}`).
pub fn as_user(path: &MountPath) -> Request<Data<AuthMount>> {
    Request::read(format!("sys/internal/ui/mounts/auth/{path}"))
}

/// Enables an auth method (`POST sys/auth/{path}`), which takes `sudo`. Fails where the path is in use. `tune` are settings of the
/// mount, `fixed` those that nothing but enabling decides, and `options` what is recorded in it.
pub fn enable(
    path: &MountPath,
    method: AuthMethod,
    description: &str,
    tune: &Map<String, Value>,
    fixed: &Map<String, Value>,
    options: &BTreeMap<String, String>,
) -> Request<Done> {
    let mut body = json!({ "type": method, "description": description });
    if !options.is_empty() {
        body["options"] = json!(options);
    }
    if !tune.is_empty() {
        body["config"] = tune.clone().into();
    }
    for (field, value) in fixed {
        body[field] = value.clone();
    }
    Request::write(format!("sys/auth/{path}"), body)
        .needing(&[Capability::Create, Capability::Update, Capability::Sudo])
        .once()
}

/// Changes a mount's description and settings (`POST sys/mounts/auth/{path}/tune`, the way that needs no `sudo`); what isn't named
/// stays.
pub fn tune(path: &MountPath, description: Option<&str>, tune: &Map<String, Value>) -> Request<Done> {
    let mut body = tune.clone();
    if let Some(description) = description {
        body.insert("description".to_owned(), description.into());
    }
    Request::write(format!("sys/mounts/auth/{path}/tune"), body.into()).needing(&[Capability::Update])
}

/// Sets some of a mount's options and leaves the others (`POST sys/mounts/auth/{path}/tune`); an empty value deletes one.
pub fn set_options(path: &MountPath, options: &BTreeMap<String, String>) -> Request<Done> {
    Request::write(format!("sys/mounts/auth/{path}/tune"), json!({ "options": options })).needing(&[Capability::Update])
}
