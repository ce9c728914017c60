//! The namespaces of a cluster, by whose labels roles may let in accounts.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};

use super::connect::Connection;
use super::error::ClusterError;
use crate::names::Labels;

/// The labels of all namespaces, by name.
///
/// # Errors
/// When the API server can't be reached or refuses.
pub async fn namespaces(connection: &Connection) -> Result<BTreeMap<String, Labels>, ClusterError> {
    let namespaces: Api<Namespace> = Api::all(connection.client());
    let listed = namespaces.list_metadata(&ListParams::default()).await;
    let listed = listed.map_err(|error| connection.refused("listing the namespaces", error))?;
    let labels = |namespace: kube::core::PartialObjectMeta<Namespace>| {
        Some((namespace.metadata.name?, namespace.metadata.labels.unwrap_or_default()))
    };
    Ok(listed.items.into_iter().filter_map(labels).collect())
}
