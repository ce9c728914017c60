//! Reading External Secrets' objects from a cluster: which versions it serves, and one list of each kind.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::APIGroup;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde::{Deserialize, Serialize};

use crate::cluster::{ClusterError, Connection};
use crate::error::{Error, Result};
use crate::verify::external_secrets::{ExternalSecret, Store, StoreName};

const GROUP: &str = "external-secrets.io";
/// The version that is asked for where it is served.
pub(crate) const VERSION: &str = "v1";

/// What there is of External Secrets in a cluster.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Installed {
    /// The versions that the API server serves.
    pub(crate) versions: Vec<String>,
    pub(crate) stores: Vec<Store>,
    /// All stores, those of other providers too.
    pub(crate) names: BTreeSet<StoreName>,
    pub(crate) secrets: Vec<ExternalSecret>,
    /// What may not be listed, in the server's words.
    pub(crate) unseen: Vec<String>,
}

/// Reads all of it; `None` where it isn't installed.
///
/// # Errors
/// When the cluster gives no answer.
pub(crate) async fn read(connection: &Connection) -> Result<Option<Installed>> {
    let refused = |error| Error::from(connection.refused("External Secrets' versions", error));
    let request = http::Request::get(format!("/apis/{GROUP}"))
        .body(Vec::new())
        .map_err(|error| Error::failed("the request can't be made").because(error))?;
    let group: APIGroup = match connection.client().request(request).await {
        Ok(group) => group,
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(None),
        Err(error) => return Err(refused(error)),
    };
    let versions: Vec<String> = group.versions.into_iter().map(|version| version.version).collect();
    let version = match versions.iter().find(|version| *version == VERSION).or(versions.first()) {
        Some(version) => version.clone(),
        None => return Ok(None),
    };
    let mut unseen = Vec::new();
    // First, so that a store that comes at the same time is not missed.
    let secrets = list(connection, &version, "ExternalSecret", &mut unseen).await?;
    let (mut stores, mut names) = (Vec::new(), BTreeSet::new());
    for kind in ["ClusterSecretStore", "SecretStore"] {
        let found = list(connection, &version, kind, &mut unseen).await?;
        names.extend(
            found.iter().filter_map(|store| Some((store.metadata.namespace.clone(), store.metadata.name.clone()?))),
        );
        stores.extend(found.iter().filter_map(Store::read));
    }
    let secrets = secrets.iter().filter_map(ExternalSecret::read).collect();
    Ok(Some(Installed { versions, stores, names, secrets, unseen }))
}

/// All objects of a kind, in all namespaces.
async fn list(
    connection: &Connection,
    version: &str,
    kind: &str,
    unseen: &mut Vec<String>,
) -> Result<Vec<DynamicObject>> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, version, kind));
    let objects: Api<DynamicObject> = Api::all_with(connection.client(), &resource);
    let what = format!("listing each {kind}");
    match objects.list(&ListParams::default()).await.map_err(|error| connection.refused(&what, error)) {
        Ok(objects) => Ok(objects.items),
        Err(ClusterError::NotFound { .. }) => Ok(Vec::new()),
        Err(error @ ClusterError::Forbidden { .. }) => {
            unseen.push(error.to_string());
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}
