//! KV mounts: which version they are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Client, Data, Done, Request, VaultError};
use crate::error::{Error, Result};
use crate::names::MountPath;

/// The version of a KV mount, which decides whether API paths carry `data/` and `metadata/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum KvVersion {
    /// One value for each path.
    #[serde(rename = "1")]
    V1,
    /// Versioned values.
    #[serde(rename = "2")]
    V2,
}

/// A secrets mount, as far as its KV version goes.
#[derive(Debug, Clone, Deserialize)]
pub struct SecretsMount {
    #[serde(rename = "type")]
    kind: String,
    options: Option<BTreeMap<String, String>>,
}

/// A mount as an operator sees it (`GET sys/mounts/{path}`).
fn as_operator(path: &MountPath) -> Request<Data<SecretsMount>> {
    Request::read(format!("sys/mounts/{path}"))
}

/// A mount as a token sees it that may use it (`GET sys/internal/ui/mounts/{path}`).
fn as_user(path: &MountPath) -> Request<Data<SecretsMount>> {
    Request::read(format!("sys/internal/ui/mounts/{path}"))
}

/// Makes a KV mount.
pub fn enable(path: &MountPath, version: KvVersion) -> Request<Done> {
    Request::write(format!("sys/mounts/{path}"), json!({ "type": "kv", "options": { "version": version } })).once()
}

/// Removes a secrets mount with all that is in it.
pub fn disable(path: &MountPath) -> Request<Done> {
    Request::delete(format!("sys/mounts/{path}"))
}

/// Asks Vault for the version of a KV mount.
///
/// # Errors
/// When there is no such mount, it is no KV mount, or the token may not see it.
pub async fn version(client: &Client, path: &MountPath) -> Result<KvVersion> {
    let mount = match client.send(&as_operator(path)).await {
        Err(forbidden @ VaultError::Forbidden { .. }) => match client.send(&as_user(path)).await {
            Ok(mount) => mount.data,
            // What the operator's own rule would be is the better advice of the two.
            Err(VaultError::Forbidden { .. }) => return Err(client.explain_forbidden(forbidden).await.into()),
            Err(error) => return Err(error.into()),
        },
        Err(VaultError::Rejected { status: 400, errors, .. })
            if errors.iter().any(|e| e.contains("No secret engine")) =>
        {
            return Err(absent(client, path));
        }
        Err(VaultError::NotFound { .. }) => return Err(absent(client, path)),
        answer => answer?.data,
    };
    if !matches!(mount.kind.as_str(), "kv" | "generic") {
        return Err(Error::failed(format!("{path}/ is a secrets mount of type {}, not KV", mount.kind))
            .remedy("set `kv:` to a KV mount; `vault secrets list` shows them"));
    }
    let version = mount.options.and_then(|options| options.get("version").cloned());
    Ok(if version.as_deref() == Some("2") { KvVersion::V2 } else { KvVersion::V1 })
}

fn absent(client: &Client, path: &MountPath) -> Error {
    let here = client.namespace().map_or(String::new(), |namespace| format!(" in the namespace {namespace}"));
    let error = Error::failed(format!("there is no secrets mount at {path}/{here}"));
    let error = match client.namespace() {
        Some(namespace) => {
            error.remedy(format!("look whether the namespace {namespace} is the right one, and is there"))
        }
        None => error,
    };
    error
        .remedy("set `kv:` to the mount that holds the secrets; `vault secrets list` shows them")
        .remedy(format!("or make it: `vault secrets enable -path={path} -version=2 kv`"))
}
