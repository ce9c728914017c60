//! What refers to stores: `ExternalSecret`s, as far as they matter here.

use std::collections::BTreeSet;

use kube::api::DynamicObject;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::store_object::{Condition, Store, at, ready, whether};

/// Namespace and name of a store; without a namespace a `ClusterSecretStore`.
pub(crate) type StoreName = (Option<String>, String);

/// An `ExternalSecret`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ExternalSecret {
    pub(crate) namespace: String,
    pub(crate) name: String,
    spec: ExternalSecretSpec,
    pub(crate) ready: Option<Condition>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ExternalSecretSpec {
    secret_store_ref: StoreRef,
    refresh_interval: Option<String>,
    refresh_policy: Option<String>,
    target: Target,
    data: Vec<Entry>,
    data_from: Vec<EntriesFrom>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct StoreRef {
    kind: String,
    name: String,
}

impl StoreRef {
    /// Whether it is that store, in an object of that namespace.
    fn is(&self, store: &Store, namespace: &str) -> bool {
        let cluster_wide = self.kind == "ClusterSecretStore";
        self.name == store.name
            && match &store.namespace {
                None => cluster_wide,
                Some(own) => !cluster_wide && own == namespace,
            }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Target {
    name: Option<String>,
    creation_policy: Option<String>,
    #[serde(serialize_with = "whether")]
    template: Option<IgnoredAny>,
    #[serde(serialize_with = "whether")]
    manifest: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Entry {
    secret_key: String,
    remote_ref: RemoteRef,
    source_ref: Option<SourceRef>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EntriesFrom {
    extract: Option<RemoteRef>,
    source_ref: Option<SourceRef>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct SourceRef {
    store_ref: Option<StoreRef>,
}

/// What is asked of Vault: `remoteRef`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct RemoteRef {
    pub(crate) key: String,
    pub(crate) property: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) metadata_policy: Option<String>,
}

impl ExternalSecret {
    /// Reads one.
    pub(crate) fn read(object: &DynamicObject) -> Option<Self> {
        let metadata = &object.metadata;
        Some(Self {
            namespace: metadata.namespace.clone()?,
            name: metadata.name.clone()?,
            spec: at(object, "/spec")?,
            ready: ready(object),
        })
    }

    /// What it asks of a store, with the field that each answer goes by.
    pub(crate) fn asks<'a>(&'a self, store: &'a Store) -> impl Iterator<Item = (String, &'a RemoteRef)> {
        let from = move |source: Option<&SourceRef>| match source {
            Some(source) => source.store_ref.as_ref().is_some_and(|store_ref| store_ref.is(store, &self.namespace)),
            None => self.spec.secret_store_ref.is(store, &self.namespace),
        };
        let data = self.spec.data.iter().enumerate().filter(move |(_, entry)| from(entry.source_ref.as_ref()));
        let all = self.spec.data_from.iter().enumerate().filter(move |(_, entry)| from(entry.source_ref.as_ref()));
        data.map(|(at, entry)| (format!("data[{at}]"), &entry.remote_ref))
            .chain(all.filter_map(|(at, entry)| Some((format!("dataFrom[{at}].extract"), entry.extract.as_ref()?))))
    }

    /// Whether it asks anything of a store.
    pub(crate) fn uses(&self, store: &Store) -> bool {
        self.spec.secret_store_ref.is(store, &self.namespace) || self.asks(store).next().is_some()
    }

    /// How often a token is used for it: once for each key that is read, to look the token up, and to revoke it.
    pub(crate) fn uses_of_a_token(&self, store: &Store) -> u64 {
        self.asks(store).count() as u64 + 2
    }

    /// The stores that it names, as kind and name, that are not among these.
    pub(crate) fn stores_that_lack(&self, stores: &BTreeSet<StoreName>) -> Vec<String> {
        let of_data = self.spec.data.iter().map(|entry| entry.source_ref.as_ref());
        let of_all = self.spec.data_from.iter().map(|entry| entry.source_ref.as_ref());
        let named = of_data.chain(of_all).flatten().filter_map(|source| source.store_ref.as_ref());
        let lacking = std::iter::once(&self.spec.secret_store_ref).chain(named).filter(|store| {
            let cluster_wide = store.kind == "ClusterSecretStore";
            let namespace = (!cluster_wide).then(|| self.namespace.clone());
            !store.name.is_empty() && !stores.contains(&(namespace, store.name.clone()))
        });
        let shown = lacking.map(|store| {
            let cluster_wide = store.kind == "ClusterSecretStore";
            if cluster_wide {
                format!("ClusterSecretStore {}", store.name)
            } else {
                format!("SecretStore {}/{}", self.namespace, store.name)
            }
        });
        shown.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The kind of the store that its `secretStoreRef` means, where the one that it names isn't there, and one of the other kind and of
    /// that name is.
    pub(crate) fn store_of_the_other_kind(&self, stores: &BTreeSet<StoreName>) -> Option<&'static str> {
        let StoreRef { kind, name } = &self.spec.secret_store_ref;
        let [cluster_wide, own] = [None, Some(self.namespace.clone())].map(|of| stores.contains(&(of, name.clone())));
        match kind == "ClusterSecretStore" {
            true if !cluster_wide && own => Some("SecretStore"),
            false if !own && cluster_wide => Some("ClusterSecretStore"),
            _ => None,
        }
    }

    /// The Secret that it makes or fills; `None` where it makes none.
    pub(crate) fn target(&self) -> Option<&str> {
        let target = &self.spec.target;
        let none = target.creation_policy.as_deref() == Some("None") || target.manifest.is_some();
        (!none).then(|| target.name.as_deref().unwrap_or(&self.name))
    }

    /// The keys that its Secret should have, as far as it says them: a template names them itself.
    pub(crate) fn target_keys(&self) -> Vec<&str> {
        if self.spec.target.template.is_some() {
            return Vec::new();
        }
        self.spec.data.iter().map(|entry| entry.secret_key.as_str()).collect()
    }

    /// How often it is refreshed, in seconds, where it is.
    pub(crate) fn refresh(&self) -> Option<u64> {
        if self.spec.refresh_policy.as_deref().is_some_and(|policy| policy != "Periodic") {
            return None;
        }
        seconds(self.spec.refresh_interval.as_deref()?).filter(|seconds| *seconds > 0)
    }
}

/// A duration as Go writes it (`1h0m0s`), in whole seconds.
fn seconds(text: &str) -> Option<u64> {
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(unit);
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let factor = match &tail[..end] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = &tail[end..];
    }
    std::time::Duration::try_from_secs_f64(total).ok().map(|total| total.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, expected) in
            [("1h0m0s", Some(3600)), ("15s", Some(15)), ("1.5h", Some(5400)), ("0", None), ("5x", None)]
        {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
