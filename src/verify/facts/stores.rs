//! What is asked about the stores of External Secrets.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{Api, ListParams};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::installed::{self, Installed};
use super::{Query, Servers};
use crate::error::Result;
use crate::names::ClusterName;
use crate::vault::{VaultError, auth_mounts, method};

/// What there is of External Secrets in a cluster; `None` where it isn't installed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WhatIsInstalled {
    pub(crate) cluster: ClusterName,
}

impl Query for WhatIsInstalled {
    type Answer = Result<Option<Installed>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        installed::read(servers.way_to(&self.cluster)?).await
    }
}

/// Whether a store's mount, in its own namespace of this Vault, has a role of that name. `None` where that can't be seen.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LeadsToRole {
    pub(crate) namespace: Option<String>,
    pub(crate) mount: crate::names::MountPath,
    pub(crate) role: String,
}

impl Query for LeadsToRole {
    type Answer = Option<bool>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let client = servers.vault.with_namespace(self.namespace.as_deref());
        let found = client.find(&method::read_role::<IgnoredAny>(&self.mount, &self.role)).await;
        let is_nowhere = is_nowhere(&found.as_ref().map(Option::as_ref));
        if found.is_ok() || is_nowhere {
            return Some(!is_nowhere);
        }
        // What may be read is often named mount by mount: one that isn't there is refused like any other.
        let mounts = client.send(&auth_mounts::list()).await.ok()?.data;
        (!mounts.contains_key(&format!("{}/", self.mount))).then_some(false)
    }
}

/// Whether a mount has no role of a name: also where no role can have it, which the server then has no path for.
pub(crate) fn is_nowhere<T>(found: &Result<Option<T>, &VaultError>) -> bool {
    matches!(found, Ok(None) | Err(VaultError::NotFound { .. } | VaultError::Unsendable { .. }))
}

/// What a `ConfigMap` or `Secret` holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Holder {
    pub(crate) namespace: Option<String>,
    /// Its keys; where there is a certificate under one, that is public, and here too.
    pub(crate) keys: BTreeMap<String, Option<String>>,
    /// Of a Secret.
    pub(crate) kind: Option<String>,
}

/// A certificate's text, and nothing else of what a Secret may hold.
fn certificate(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value);
    crate::keys::Authorities::parse(&text).map(|authorities| authorities.to_pem())
}

impl From<ConfigMap> for Holder {
    fn from(map: ConfigMap) -> Self {
        let keys = map.data.unwrap_or_default().into_iter().map(|(key, text)| (key, certificate(text.as_bytes())));
        Self { namespace: map.metadata.namespace, keys: keys.collect(), kind: None }
    }
}

impl From<Secret> for Holder {
    fn from(secret: Secret) -> Self {
        let keys = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, certificate(&value.0)));
        Self { namespace: secret.metadata.namespace, keys: keys.collect(), kind: secret.type_ }
    }
}

/// Where a CA may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum HolderKind {
    ConfigMap,
    Secret,
}

/// A `ConfigMap` or `Secret`; `None` where it isn't there.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Held {
    pub(crate) cluster: ClusterName,
    pub(crate) kind: HolderKind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Query for Held {
    type Answer = Result<Option<Holder>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let Self { cluster, kind, namespace, name } = self;
        let connection = servers.way_to(cluster)?;
        let client = connection.client();
        let found = match kind {
            HolderKind::ConfigMap => {
                Api::<ConfigMap>::namespaced(client, namespace).get_opt(name).await.map(|found| found.map(Holder::from))
            }
            HolderKind::Secret => {
                Api::<Secret>::namespaced(client, namespace).get_opt(name).await.map(|found| found.map(Holder::from))
            }
        };
        let what = match kind {
            HolderKind::ConfigMap => format!("ConfigMap {namespace}/{name}"),
            HolderKind::Secret => format!("Secret {namespace}/{name}"),
        };
        found.map_err(|error| connection.refused(&what, error).into())
    }
}

/// The `ConfigMap`s or `Secret`s of a name in all namespaces; `None` where they may not be listed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HeldAnywhere {
    pub(crate) cluster: ClusterName,
    pub(crate) kind: HolderKind,
    pub(crate) name: String,
}

impl Query for HeldAnywhere {
    type Answer = Option<Vec<Holder>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let client = servers.cluster(&self.cluster)?.client();
        let named = ListParams::default().fields(&format!("metadata.name={}", self.name));
        match self.kind {
            HolderKind::ConfigMap => {
                let listed = Api::<ConfigMap>::all(client).list(&named).await.ok()?;
                Some(listed.items.into_iter().map(Holder::from).collect())
            }
            HolderKind::Secret => {
                let listed = Api::<Secret>::all(client).list(&named).await.ok()?;
                Some(listed.items.into_iter().map(Holder::from).collect())
            }
        }
    }
}
