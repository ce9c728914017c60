//! Auth mounts: `sys/auth`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{AuthMethod, Data, Done, MountSettings, Request};
use crate::names::MountPath;
use crate::policy::Capability;

/// An auth mount as `GET sys/auth` shows it, with its configured values, not the effective ones.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct AuthMount {
    /// Its type, such as `jwt` or `kubernetes`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its accessor, which a mount of the same path that was made anew doesn't share.
    #[serde(default)]
    pub accessor: String,
    /// Its description.
    #[serde(default)]
    pub description: String,
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
}

/// All auth mounts by path, each with a slash at its end (`GET sys/auth`).
pub fn list() -> Request<Data<BTreeMap<String, AuthMount>>> {
    Request::read("sys/auth")
}

/// Enables an auth method (`POST sys/auth/{path}`), which takes `sudo`. Fails where the path is in use. `tune` are settings of the
/// mount, and `fixed` those that nothing but enabling decides.
pub fn enable(
    path: &MountPath,
    method: AuthMethod,
    description: &str,
    tune: &Map<String, Value>,
    fixed: &Map<String, Value>,
) -> Request<Done> {
    let mut body = json!({ "type": method, "description": description });
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
