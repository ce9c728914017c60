//! What is mounted, of secrets engines and auth methods, and which namespaces there are below.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::listing::Keys;
use super::{Client, Data, Request, VaultError, auth_mounts};

/// The mounts of a namespace, and its child namespaces, by their paths without a slash at the end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct MountTable {
    /// The secrets mounts.
    pub(crate) secrets: BTreeSet<String>,
    /// The auth mounts; `None` where they may not be listed.
    pub(crate) auth: Option<BTreeSet<String>>,
    /// The namespaces; `None` where they may not be listed.
    pub(crate) namespaces: Option<BTreeSet<String>>,
}

impl MountTable {
    /// All of it, as far as the token may see it; `None` where it may not list secrets mounts.
    pub(crate) async fn read(client: &Client) -> Option<Self> {
        let secrets = client.send(&Request::<Data<serde_json::Map<String, Value>>>::read("sys/mounts")).await.ok()?;
        let auth = client.send(&auth_mounts::list()).await.ok();
        let namespaces = match client.send(&Request::<Data<Keys>>::list("sys/namespaces")).await {
            Ok(namespaces) => Some(paths(namespaces.data.keys)),
            // A server without namespaces, or one that has none.
            Err(VaultError::NotFound { .. } | VaultError::Rejected { .. }) => Some(BTreeSet::new()),
            Err(_) => None,
        };
        Some(Self {
            secrets: paths(secrets.data.into_iter().map(|(path, _)| path)),
            auth: auth.map(|auth| paths(auth.data.into_keys())),
            namespaces,
        })
    }
}

fn paths(names: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    names.into_iter().map(|name| name.trim_end_matches('/').to_owned()).collect()
}
