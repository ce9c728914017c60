//! Which roles stores of External Secrets use, for a run that deletes roles.

use std::collections::BTreeMap;

use futures::future::join_all;

use crate::apply::Connections;
use crate::model::{StoreUse, Stores};
use crate::names::ClusterName;
use crate::verify::installed_external_secrets;

/// What the clusters that can be reached have of stores. One that can't be asked is said to be unseen, and keeps nothing from
/// being done: it is for the operator to say whether that matters.
pub(super) async fn stores(connections: &Connections) -> BTreeMap<ClusterName, Stores> {
    let reads = connections.iter().map(async |(cluster, connection)| {
        let stores = match installed_external_secrets(connection).await {
            Ok(None) => Stores::default(),
            Ok(Some(installed)) => Stores {
                uses: installed
                    .stores
                    .iter()
                    .map(|store| StoreUse {
                        store: store.shown(),
                        mount: store.auth.mount.trim_matches('/').to_owned(),
                        role: store.auth.role.clone(),
                    })
                    .collect(),
                unseen: installed.unseen.first().cloned(),
            },
            Err(error) => Stores { uses: Vec::new(), unseen: Some(error.to_string()) },
        };
        (cluster.clone(), stores)
    });
    join_all(reads).await.into_iter().collect()
}
