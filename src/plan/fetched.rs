//! The keys that Vault fetches by itself, where others are among them than the cluster's.

use serde::{Deserialize, Serialize};

use super::{Object, Plan, keeper};
use crate::desired::Desired;
use crate::model::Observed;
use crate::names::{ClusterName, MountPath};
use crate::text::printable;

/// Keys at a URL that Vault fetches from, or will, and that its cluster doesn't publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FetchedKeys {
    /// The cluster.
    pub cluster: ClusterName,
    /// The mount that fetches them.
    pub mount: MountPath,
    /// Where from.
    pub url: String,
    /// Each by kind and fingerprint.
    pub keys: Vec<String>,
}

/// The foreign keys of all mounts, and what else is to be told of the places that keys are fetched from.
pub(super) fn fetched(desired: &Desired, observed: &Observed) -> (Vec<FetchedKeys>, Vec<String>) {
    let (mut found, mut warnings) = (Vec::new(), Vec::new());
    for mount in desired.mounts.iter().filter(|mount| mount.config.is_some()) {
        let Some(served) = observed.served.get(&mount.cluster) else { continue };
        let url = served.url.clone();
        if !served.missing.is_empty() {
            let (lacks, all) = (served.missing.len(), mount.keys.len());
            warnings.push(format!(
                "{url} lacks {lacks} of the {all} keys that cluster {} publishes, so that Vault will accept no token signed with: {}",
                mount.cluster,
                served.missing.join(", ")
            ));
        }
        if !served.foreign.is_empty() && !mount.managed {
            warnings.push(format!(
                "{url} serves keys that cluster {} doesn't publish: {}; whoever has one signs tokens that Vault takes for the \
                 cluster's, if auth/{} fetches its keys there: {} has to change",
                mount.cluster,
                served.foreign.join(", "),
                mount.path,
                keeper(&mount.path)
            ));
        } else if !served.foreign.is_empty() {
            let (cluster, mount) = (mount.cluster.clone(), mount.path.clone());
            found.push(FetchedKeys { cluster, mount, url, keys: served.foreign.clone() });
        }
    }
    (found, warnings)
}

impl FetchedKeys {
    /// `1 key that cluster c doesn't publish at https://…`.
    pub(crate) fn in_words(&self) -> String {
        let keys = if self.keys.len() == 1 { "key" } else { "keys" };
        format!("{} {keys} at {} that cluster {} doesn't publish", self.keys.len(), printable(&self.url), self.cluster)
    }

    /// What ends that.
    pub(crate) fn remedies(&self) -> [String; 2] {
        [
            format!("ask whoever runs {} whose keys these are, and have them taken out", printable(&self.url)),
            "or write `keys: pinned`, with which only the cluster's own keys count; then run `vaultk8s bootstrap`"
                .to_owned(),
        ]
    }
}

impl Plan {
    /// What the changes make Vault trust beyond the cluster's own keys.
    pub(crate) fn trust_widened(&self) -> impl Iterator<Item = &FetchedKeys> {
        self.fetched_keys.iter().filter(|found| {
            let configures = |object: &Object| matches!(object, Object::Config { mount } if *mount == found.mount);
            self.changes.iter().any(|change| configures(&change.object))
        })
    }
}
