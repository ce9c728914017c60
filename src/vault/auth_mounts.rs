//! Auth mounts: `sys/auth`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Data, Done, Request};
use crate::model::{AuthMethod, AuthMount};
use crate::names::MountPath;
use crate::policy::Capability;

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
