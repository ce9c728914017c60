//! What is mounted, of secrets engines and auth methods, and which namespaces there are below.

use std::collections::BTreeSet;

use serde_json::Value;

use super::listing::Keys;
use super::{Client, Data, Request, VaultError, auth_mounts};
use crate::model::MountTable;

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
