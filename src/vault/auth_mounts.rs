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
    /// Its options: what anybody who may tune it writes there, such as which keys its cluster was seen to publish.
    #[serde(default, deserialize_with = "null_as_default")]
    pub options: BTreeMap<String, String>,
}

/// All auth mounts by path, each with a slash at its end (`GET sys/auth`).
pub fn list() -> Request<Data<BTreeMap<String, AuthMount>>> {
    Request::read("sys/auth")
}

/// One auth mount as a token sees it that may use it (`GET sys/internal/ui/mounts/auth/{path}`).
pub fn as_user(path: &MountPath) -> Request<Data<AuthMount>> {
    Request::read(format!("sys/internal/ui/mounts/auth/{path}"))
}

/// Enables an auth method (`POST sys/auth/{path}`), which takes `sudo`. Fails where the path is in use.
pub fn enable(
    path: &MountPath,
    method: AuthMethod,
    description: &str,
    options: &BTreeMap<String, String>,
) -> Request<Done> {
    let mut body = json!({ "type": method, "description": description });
    if !options.is_empty() {
        body["options"] = json!(options);
    }
    Request::write(format!("sys/auth/{path}"), body)
        .needing(&[Capability::Create, Capability::Update, Capability::Sudo])
        .once()
}

/// Sets a mount's description (`POST sys/mounts/auth/{path}/tune`, the way that needs no `sudo`).
pub fn describe(path: &MountPath, description: &str) -> Request<Done> {
    Request::write(format!("sys/mounts/auth/{path}/tune"), json!({ "description": description }))
        .needing(&[Capability::Update])
}

/// Sets some of a mount's options and leaves the others (`POST sys/mounts/auth/{path}/tune`); an empty value deletes one.
pub fn set_options(path: &MountPath, options: &BTreeMap<String, String>) -> Request<Done> {
    Request::write(format!("sys/mounts/auth/{path}/tune"), json!({ "options": options })).needing(&[Capability::Update])
}
