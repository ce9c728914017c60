//! Objects of a cluster, as its manifests say them: the fields in the order in which people write them.

use std::collections::BTreeMap;

use serde::Serialize;

/// An object of Kubernetes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest<C> {
    api_version: String,
    kind: &'static str,
    metadata: Metadata,
    #[serde(flatten)]
    content: C,
}

#[derive(Debug, Serialize)]
struct Metadata {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'static str, String>,
}

impl<C: Serialize> Manifest<C> {
    /// An object of that kind and name.
    pub(super) fn new(api_version: &str, kind: &'static str, name: &str, namespace: Option<&str>, content: C) -> Self {
        let metadata =
            Metadata { name: name.to_owned(), namespace: namespace.map(str::to_owned), annotations: BTreeMap::new() };
        Self { api_version: api_version.to_owned(), kind, metadata, content }
    }

    /// The same with annotations.
    pub(super) fn annotated(mut self, annotations: BTreeMap<&'static str, String>) -> Self {
        self.metadata.annotations = annotations;
        self
    }

    /// Its file's name: kind, namespace and name, with dots between, as neither kinds nor namespaces have one.
    pub(super) fn file_name(&self) -> String {
        let parts =
            [Some(self.kind.to_ascii_lowercase()), self.metadata.namespace.clone(), Some(self.metadata.name.clone())];
        parts.into_iter().flatten().chain(["yaml".to_owned()]).collect::<Vec<_>>().join(".")
    }
}

/// What most objects have: a `spec`.
#[derive(Debug, Serialize)]
pub(super) struct Spec<S> {
    pub(super) spec: S,
}

/// What a `ConfigMap` has.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    pub(super) data: BTreeMap<String, String>,
}
