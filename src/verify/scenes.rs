//! Everything that is looked at, and how it stands in a file.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::external_secrets::{Astray, AstrayScene, ExternalSecret, Store, StoreScene};
use super::facts::Facts;
use super::scene::{ClusterCase, ClusterScene, MountCase, MountScene, RoleCase, RoleScene, VaultCase, VaultScene};
use crate::error::{Error, Result};

/// Everything that is looked at.
pub(crate) struct Scenes {
    pub(crate) vault: Arc<VaultScene>,
    pub(crate) clusters: Vec<Arc<ClusterScene>>,
    pub(crate) mounts: Vec<Arc<MountScene>>,
    pub(crate) roles: Vec<Arc<RoleScene>>,
    /// The stores of External Secrets that use the roles.
    pub(crate) stores: Vec<StoreScene>,
    /// Those of each cluster that lead to no role.
    pub(crate) astray: Vec<AstrayScene>,
}

/// Something, with the place of what it belongs to.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Of<T> {
    of: usize,
    case: T,
}

/// What stands in a file of all that is looked at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cases {
    vault: VaultCase,
    clusters: Vec<ClusterCase>,
    mounts: Vec<Of<MountCase>>,
    roles: Vec<Of<RoleCase>>,
    stores: Vec<Of<StoreCase>>,
    astray: Vec<Option<Vec<Astray>>>,
}

/// A store, and what refers to it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreCase {
    store: Store,
    secrets: Vec<ExternalSecret>,
}

impl Scenes {
    /// These, without stores of External Secrets.
    pub(crate) fn without_stores(
        vault: Arc<VaultScene>,
        clusters: Vec<Arc<ClusterScene>>,
        mounts: Vec<Arc<MountScene>>,
        roles: Vec<Arc<RoleScene>>,
    ) -> Self {
        let astray =
            clusters.iter().map(|cluster| AstrayScene { cluster: Arc::clone(cluster), stores: None }).collect();
        Self { vault, clusters, mounts, roles, stores: Vec::new(), astray }
    }

    /// What a file says of all this.
    ///
    /// # Errors
    /// When something belongs to what isn't there.
    pub(crate) fn of(cases: Cases, facts: Facts) -> Result<Self, String> {
        let Cases { vault, clusters, mounts, roles, stores, astray } = cases;
        let vault = Arc::new(VaultScene::of(vault, facts));
        let scene = |case| Arc::new(ClusterScene::of(Arc::clone(&vault), case));
        let clusters: Vec<_> = clusters.into_iter().map(scene).collect();
        let mounts: Vec<Arc<MountScene>> = mounts
            .into_iter()
            .map(|Of { of, case }| Ok(Arc::new(MountScene::of(there(&clusters, of, "cluster")?, case))))
            .collect::<Result<_, String>>()?;
        let roles: Vec<Arc<RoleScene>> = roles
            .into_iter()
            .map(|Of { of, case }| Ok(Arc::new(RoleScene::of(there(&mounts, of, "mount")?, case))))
            .collect::<Result<_, String>>()?;
        let stores = stores
            .into_iter()
            .map(|Of { of, case: StoreCase { store, secrets } }| {
                Ok(StoreScene { role: there(&roles, of, "role")?, store, secrets })
            })
            .collect::<Result<_, String>>()?;
        if astray.len() != clusters.len() {
            return Err(format!("there are {} clusters, and stores astray of {}", clusters.len(), astray.len()));
        }
        let astray = clusters.iter().zip(astray);
        let astray = astray.map(|(cluster, stores)| AstrayScene { cluster: Arc::clone(cluster), stores }).collect();
        Ok(Self { vault, clusters, mounts, roles, stores, astray })
    }

    /// As it stands in a file, to be read as [`Cases`].
    ///
    /// # Errors
    /// When something has no JSON form.
    pub(crate) fn written(&self) -> Result<Value> {
        let mounts =
            self.mounts.iter().map(|mount| Of { of: place(&self.clusters, &mount.cluster), case: mount.case() });
        let roles = self.roles.iter().map(|role| Of { of: place(&self.mounts, &role.mount), case: role.case() });
        let stores = self.stores.iter().map(|StoreScene { role, store, secrets }| {
            let case = StoreCase { store: store.clone(), secrets: secrets.clone() };
            Of { of: place(&self.roles, role), case }
        });
        let form = |value: serde_json::Result<Value>| {
            value.map_err(|error| Error::failed("what is looked at has no JSON form").because(error))
        };
        Ok(json!({
            "vault": form(serde_json::to_value(self.vault.case()))?,
            "clusters": form(serde_json::to_value(self.clusters.iter().map(|scene| scene.case()).collect::<Vec<_>>()))?,
            "mounts": form(serde_json::to_value(mounts.collect::<Vec<_>>()))?,
            "roles": form(serde_json::to_value(roles.collect::<Vec<_>>()))?,
            "stores": form(serde_json::to_value(stores.collect::<Vec<_>>()))?,
            "astray": form(serde_json::to_value(self.astray.iter().map(|scene| &scene.stores).collect::<Vec<_>>()))?,
        }))
    }
}

/// What is at a place.
fn there<T>(all: &[Arc<T>], at: usize, what: &str) -> Result<Arc<T>, String> {
    all.get(at).map(Arc::clone).ok_or_else(|| format!("there is no {what} at {at}"))
}

/// The place of something: it is there.
fn place<T>(all: &[Arc<T>], one: &Arc<T>) -> usize {
    all.iter().position(|other| Arc::ptr_eq(other, one)).unwrap_or(all.len())
}
