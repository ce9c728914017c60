//! KV mounts: where they are, and which version they are of.
//!
//! A mount of a child namespace is reached from its parents by both paths, one after the other: `pay/secret` is the mount `secret` of the namespace
//! `pay` below this one.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use crate::error::{Error, Result};
use crate::model::KvVersion;
use crate::names::MountPath;
use crate::vault::request::encoded;
use crate::vault::{Client, Data, Done, Request, VaultError};

/// A secrets mount, as far as its KV version goes.
#[derive(Debug, Clone, Deserialize)]
struct SecretsMount {
    #[serde(rename = "type")]
    kind: String,
    options: Option<BTreeMap<String, String>>,
    /// Its own path, where the server says it.
    #[serde(default)]
    path: String,
}

impl SecretsMount {
    fn is_kv(&self) -> bool {
        matches!(self.kind.as_str(), "kv" | "generic")
    }

    fn version(&self) -> KvVersion {
        let version = self.options.as_ref().and_then(|options| options.get("version"));
        if version.is_some_and(|version| version == "2") { KvVersion::V2 } else { KvVersion::V1 }
    }
}

/// A mount as an operator sees it (`GET sys/mounts/{path}`).
fn as_operator(path: &MountPath) -> Request<Data<SecretsMount>> {
    Request::read(format!("sys/mounts/{path}"))
}

/// The mount that a path is below, as a token sees it that may use it (`GET sys/internal/ui/mounts/{path}`).
fn as_user(path: &str) -> Request<Data<SecretsMount>> {
    Request::read(format!("sys/internal/ui/mounts/{}", encoded(path)))
}

/// How deep below its own namespace a mount is looked for: each step is a request.
const DEEPEST: usize = 8;

/// A path as one of a child namespace, for each that may be one: the namespace, and the path there.
fn below(path: &str) -> impl Iterator<Item = (&str, &str)> {
    path.match_indices('/').take(DEEPEST).map(|(at, _)| (&path[..at], &path[at + 1..]))
}

/// The path of a mount as it is seen from a client's namespace. A server tells that of another namespace from the root on.
fn seen_from<'a>(client: &Client, own: &'a str) -> &'a str {
    let own = own.trim_matches('/');
    client.namespace().and_then(|namespace| own.strip_prefix(namespace)?.strip_prefix('/')).unwrap_or(own)
}

/// The KV mounts that a token may see, with their versions (`GET sys/internal/ui/mounts`).
///
/// # Errors
/// When Vault doesn't answer.
pub(crate) async fn visible(client: &Client) -> Result<BTreeMap<MountPath, KvVersion>, VaultError> {
    #[derive(Deserialize)]
    struct Visible {
        #[serde(default)]
        secret: BTreeMap<String, SecretsMount>,
    }
    let visible = client.send(&Request::<Data<Visible>>::read("sys/internal/ui/mounts")).await?.data.secret;
    let kv = visible.into_iter().filter(|(_, mount)| mount.is_kv());
    Ok(kv.filter_map(|(path, mount)| Some((path.trim_end_matches('/').parse().ok()?, mount.version()))).collect())
}

/// Makes a KV mount.
pub fn enable(path: &MountPath, version: KvVersion) -> Request<Done> {
    Request::write(format!("sys/mounts/{path}"), json!({ "type": "kv", "options": { "version": version } })).once()
}

/// Removes a secrets mount with all that is in it.
pub fn disable(path: &MountPath) -> Request<Done> {
    Request::delete(format!("sys/mounts/{path}"))
}

/// Where the mount of a path is, as a token sees it that may use it; `None` where it sees none, or that isn't KV.
pub(crate) async fn mount_of(client: &Client, path: &str) -> Option<MountPath> {
    match client.send(&as_user(path)).await.map(|answer| answer.data) {
        Ok(mount) => {
            let own = seen_from(client, &mount.path);
            return Some(own).filter(|_| mount.is_kv())?.parse().ok();
        }
        Err(error) if !error.is_refusal() => return None,
        Err(_) => {}
    }
    let (namespace, mount) = used_below(client, path).await.ok()??;
    let own = mount.path.trim_matches('/');
    Some(format!("{namespace}/{own}")).filter(|_| mount.is_kv())?.parse().ok()
}

/// The mount of a path in a child namespace, and which one that is, as that namespace tells who may use the mount: from here it tells the operator
/// alone.
///
/// # Errors
/// When Vault doesn't say, which is no refusal: it may be there.
async fn used_below<'a>(client: &Client, path: &'a str) -> Result<Option<(&'a str, SecretsMount)>, VaultError> {
    for (namespace, rest) in below(path) {
        let there = Request::<Data<SecretsMount>>::read(format!("{namespace}/{}", as_user(rest).path));
        match client.send(&there).await {
            Ok(mount) => return Ok(Some((namespace, mount.data))),
            Err(error) if error.is_refusal() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Asks Vault for the version of a KV mount.
///
/// # Errors
/// When there is no such mount, it is no KV mount, or the token may not see it.
pub async fn version(client: &Client, path: &MountPath) -> Result<KvVersion> {
    let mount = match client.send(&as_operator(path)).await {
        Err(forbidden @ VaultError::Forbidden { .. }) => match client.send(&as_user(path.as_str())).await {
            Ok(mount) => mount.data,
            Err(VaultError::Forbidden { .. }) => match used_below(client, path.as_str()).await? {
                Some((namespace, mount)) => {
                    let own = format!("{namespace}/{}", mount.path.trim_matches('/'));
                    return version_of(path, &own, &mount, client);
                }
                // What the operator's own rule would be is the better advice of the two.
                None => return Err(client.explain_forbidden(forbidden).await.into()),
            },
            Err(error) => return Err(error.into()),
        },
        Err(VaultError::Rejected { status: 400, errors, .. })
            if errors.iter().any(|e| e.contains("No secret engine")) =>
        {
            return Err(absent(client, path).await);
        }
        Err(VaultError::NotFound { .. }) => return Err(absent(client, path).await),
        answer => answer?.data,
    };
    // The server answers for a path below a mount with that mount. Its own path is told to its users alone.
    let own = if path.as_str().contains('/') {
        match client.send(&as_user(path.as_str())).await {
            Ok(mount) => mount.data.path,
            Err(_) => mount.path.clone(),
        }
    } else {
        String::new()
    };
    let own = own.trim_matches('/');
    version_of(path, if own == path.as_str() { own } else { seen_from(client, own) }, &mount, client)
}

/// The version of a mount that is at its own path, as far as the server tells that one.
fn version_of(path: &MountPath, own: &str, mount: &SecretsMount, client: &Client) -> Result<KvVersion> {
    if !own.is_empty() && own != path.as_str() {
        return Err(Error::failed(format!("there is no secrets mount at {path}/: that is a path of the mount {own}/"))
            .remedy(format!("name the mount alone: {own}")));
    }
    if !mount.is_kv() {
        return Err(Error::failed(format!("{path}/ is a secrets mount of type {}, not KV", mount.kind))
            .remedy(format!("set `kv:` to a KV mount; {} shows them", client.cli().run("secrets list").shown())));
    }
    Ok(mount.version())
}

/// The child namespace that a path without a mount leads to, and the path there.
async fn namespace_below<'a>(client: &Client, path: &'a str) -> Option<(&'a str, &'a str)> {
    let mut found = None;
    for (namespace, rest) in below(path) {
        let there = Request::<Data<SecretsMount>>::read(format!("{namespace}/sys/mounts/{rest}"));
        // A namespace that isn't there has no such path.
        match client.send(&there).await {
            Err(error) if error.means_absent() => found = Some((namespace, rest)),
            _ => break,
        }
    }
    found
}

async fn absent(client: &Client, path: &MountPath) -> Error {
    let below = namespace_below(client, path.as_str()).await;
    let full = |below: &str| client.namespace().map_or_else(|| below.to_owned(), |here| format!("{here}/{below}"));
    let (namespace, path, cli) = match below {
        // A mount is made in its own namespace.
        Some((below, rest)) => (Some(full(below)), rest, client.cli().in_namespace(&full(below))),
        None => (client.namespace().map(str::to_owned), path.as_str(), client.cli().clone()),
    };
    let here = namespace.as_ref().map_or(String::new(), |namespace| format!(" in the namespace {namespace}"));
    let error = Error::failed(format!("there is no secrets mount at {path}/{here}"));
    let error = match namespace {
        Some(namespace) => {
            error.remedy(format!("look whether the namespace {namespace} is the right one, and is there"))
        }
        None => error,
    };
    error
        .remedy(format!(
            "set `kv:` to the mount that holds the secrets; {} shows them",
            cli.run("secrets list").shown()
        ))
        .remedy(format!(
            "or make it: {}",
            cli.run("secrets enable").flag("-path=", path).fixed("-version=2 kv").shown()
        ))
}
