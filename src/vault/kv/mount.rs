//! KV mounts: where they are, and which version they are of.
//!
//! A mount of a child namespace is reached from its parents by both paths, one after the other: `pay/secret` is the mount `secret` of the namespace
//! `pay` below this one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::{Error, Result};
use crate::model::{HeldKv, KvVersion};
use crate::names::{MountPath, below_namespaces};
use crate::policy::Capability;
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

/// The path of a mount as it is seen from a client's namespace. A server tells that of another namespace from the root on.
fn seen_from<'a>(client: &Client, own: &'a str) -> &'a str {
    let own = own.trim_matches('/');
    client.namespace().and_then(|namespace| own.strip_prefix(namespace)?.strip_prefix('/')).unwrap_or(own)
}

/// The secrets mounts that a token may see, by path with a slash at its end (`GET sys/internal/ui/mounts`).
#[derive(Deserialize)]
struct Visible {
    #[serde(default)]
    secret: BTreeMap<String, SecretsMount>,
}

/// The KV mounts that a token may see, with their versions (`GET sys/internal/ui/mounts`).
///
/// # Errors
/// When Vault doesn't answer.
pub(crate) async fn visible(client: &Client) -> Result<BTreeMap<MountPath, KvVersion>, VaultError> {
    let visible = client.send(&Request::<Data<Visible>>::read("sys/internal/ui/mounts")).await?.data.secret;
    let kv = visible.into_iter().filter(|(_, mount)| mount.is_kv());
    Ok(kv.filter_map(|(path, mount)| Some((path.trim_end_matches('/').parse().ok()?, mount.version()))).collect())
}

/// Makes a KV mount.
pub fn enable(path: &MountPath, version: KvVersion) -> Request<Done> {
    Request::write(format!("sys/mounts/{path}"), json!({ "type": "kv", "options": { "version": version } })).once()
}

/// Makes a KV mount of version 2, in a child namespace where one is named, whose path the mount's begins with.
pub(crate) fn enable_in(namespace: Option<&str>, path: &MountPath) -> Request<Done> {
    let path = path.as_str();
    let below = namespace.and_then(|namespace| Some((namespace, path.strip_prefix(namespace)?.strip_prefix('/')?)));
    let api =
        below.map_or_else(|| format!("sys/mounts/{path}"), |(namespace, own)| format!("{namespace}/sys/mounts/{own}"));
    let body = json!({ "type": "kv", "options": { "version": KvVersion::V2 } });
    Request::write(api, body).once().needing(&[Capability::Update])
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
    for (namespace, rest) in below_namespaces(path) {
        let there = Request::<Data<SecretsMount>>::read(format!("{namespace}/{}", as_user(rest).path));
        match client.send(&there).await {
            Ok(mount) => return Ok(Some((namespace, mount.data))),
            Err(error) if error.is_refusal() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// A mount of a child namespace, as that namespace knows it. Vault's own CLI needs it so: it takes what the server says of a mount's path, from the
/// root on, for a path of the namespace that it is in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InChild {
    /// The namespace, from the root on.
    pub(crate) namespace: String,
    /// The mount there.
    pub(crate) mount: MountPath,
}

/// Which child namespace a mount is of; `None` where it is of the client's own, or nobody says.
pub(crate) async fn in_child(client: &Client, path: &MountPath) -> Option<InChild> {
    let text = path.as_str();
    let is = |mount: &SecretsMount, own: &str| mount.path.trim_matches('/') == own;
    if !text.contains('/') || client.send(&as_user(text)).await.is_ok_and(|mount| is(&mount.data, text)) {
        return None;
    }
    for (below, own) in below_namespaces(text) {
        let there = Request::<Data<SecretsMount>>::read(format!("{below}/{}", as_user(own).path));
        match client.send(&there).await {
            // A namespace tells the paths of its own mounts without itself.
            Ok(mount) if is(&mount.data, own) => {
                let namespace = in_full(client, below);
                return own.parse().ok().map(|mount| InChild { namespace, mount });
            }
            Ok(_) => {}
            Err(error) if error.is_refusal() || error.means_absent() => {}
            Err(_) => return None,
        }
    }
    None
}

/// A child namespace from the root on.
fn in_full(client: &Client, below: &str) -> String {
    client.namespace().map_or_else(|| below.to_owned(), |here| format!("{here}/{below}"))
}

/// Asks Vault for the version of a KV mount.
///
/// # Errors
/// When there is no such mount, it is no KV mount, or the token may not see it.
pub async fn version(client: &Client, path: &MountPath) -> Result<KvVersion> {
    match look(client, path).await? {
        Some(version) => Ok(version),
        None => Err(absent(client, path).await),
    }
}

/// Asks Vault for a KV mount that may not be there yet, and then where it would be made.
///
/// # Errors
/// When it is no KV mount, something is in its way, or the token may not see it.
pub(crate) async fn held(client: &Client, path: &MountPath) -> Result<HeldKv> {
    if let Some(version) = look(client, path).await? {
        return Ok(HeldKv::There(version));
    }
    let below = client.explained(namespace_below(client, path.as_str()).await).await?;
    let (namespace, own) = below.map_or((None, path.as_str()), |(namespace, own)| (Some(namespace), own));
    let prefix = namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let all = Request::<Data<Visible>>::read(format!("{prefix}sys/internal/ui/mounts"));
    // What this token doesn't see the server says when the mount is made.
    let others = client.send(&all).await.map(|visible| visible.data.secret).unwrap_or_default();
    if let Some(other) = others.keys().find(|other| other.starts_with(&format!("{own}/"))) {
        return Err(Error::failed(format!("the KV mount {path}/ can't be made beside the mount {prefix}{other}"))
            .remedy("one mount's path can't begin with another's: write another `mount:` under `kv`"));
    }
    Ok(HeldKv::Absent { namespace: namespace.map(str::to_owned) })
}

/// The version of a KV mount; `None` where there is nothing at its path.
async fn look(client: &Client, path: &MountPath) -> Result<Option<KvVersion>> {
    let mount = match client.send(&as_operator(path)).await {
        Err(forbidden @ VaultError::Forbidden { .. }) => match client.send(&as_user(path.as_str())).await {
            Ok(mount) => mount.data,
            Err(VaultError::Forbidden { .. }) => match used_below(client, path.as_str()).await? {
                Some((namespace, mount)) => {
                    let own = format!("{namespace}/{}", mount.path.trim_matches('/'));
                    return version_of(path, &own, &mount, client).map(Some);
                }
                // What the operator's own rule would be is the better advice of the two.
                None => return Err(client.explain_forbidden(forbidden).await.into()),
            },
            Err(error) => return Err(error.into()),
        },
        Err(VaultError::Rejected { status: 400, errors, .. })
            if errors.iter().any(|e| e.contains("No secret engine")) =>
        {
            return Ok(None);
        }
        Err(VaultError::NotFound { .. }) => return Ok(None),
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
    version_of(path, if own == path.as_str() { own } else { seen_from(client, own) }, &mount, client).map(Some)
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
///
/// # Errors
/// When the token may not ask the first that it may lead to.
async fn namespace_below<'a>(client: &Client, path: &'a str) -> Result<Option<(&'a str, &'a str)>, VaultError> {
    let mut found = None;
    for (namespace, rest) in below_namespaces(path) {
        let there = Request::<Data<SecretsMount>>::read(format!("{namespace}/sys/mounts/{rest}"));
        // A namespace that isn't there has no such path.
        match client.send(&there).await {
            Err(error) if error.means_absent() => found = Some((namespace, rest)),
            Err(error @ VaultError::Forbidden { .. }) if found.is_none() => return Err(error),
            _ => break,
        }
    }
    Ok(found)
}

async fn absent(client: &Client, path: &MountPath) -> Error {
    // What can't be asked isn't known: then it is looked for where it was named.
    let below = namespace_below(client, path.as_str()).await.ok().flatten();
    let (namespace, path, cli) = match below {
        // A mount is made in its own namespace.
        Some((below, rest)) => {
            let full = in_full(client, below);
            (Some(full.clone()), rest, client.cli().in_namespace(&full))
        }
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
