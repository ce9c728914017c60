//! Auth mounts: `sys/auth`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::method::null_as_default;
use super::{AuthMethod, Data, Done, Request};
use crate::names::MountPath;
use crate::policy::Capability;

/// An auth mount as `GET sys/auth` shows it, with its configured values, not the effective ones.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
}

/// All auth mounts by path, each with a slash at its end (`GET sys/auth`).
pub fn list() -> Request<Data<BTreeMap<String, AuthMount>>> {
    Request::read("sys/auth")
}

/// Enables an auth method (`POST sys/auth/{path}`), which takes `sudo`. Fails where the path is in use.
pub fn enable(path: &MountPath, method: AuthMethod, description: &str) -> Request<Done> {
    Request::write(format!("sys/auth/{path}"), json!({ "type": method, "description": description }))
        .needing(&[Capability::Create, Capability::Update, Capability::Sudo])
        .once()
}

/// Sets a mount's description (`POST sys/mounts/auth/{path}/tune`, the way that needs no `sudo`).
pub fn describe(path: &MountPath, description: &str) -> Request<Done> {
    Request::write(format!("sys/mounts/auth/{path}/tune"), json!({ "description": description }))
        .needing(&[Capability::Update])
}
