//! What checks look at: the facts of Vault, of each cluster, mount and role, each fetched when the first check asks for
//! it, and only once.

mod cluster;
mod mount;
mod role;
mod vault;

use std::collections::HashMap;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

pub(crate) use cluster::ClusterScene;
pub(crate) use mount::{AllRoles, MountScene, key_places};
pub(crate) use role::{RoleScene, Wanted, read_role};
pub(crate) use vault::{LeaderStatus, OperatorToken, VaultScene};

use super::finding::{Remedy, quoted};

/// Facts by key, each fetched once, however many ask for it at the same time.
pub(crate) struct Memo<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K: Eq + Hash, V: Clone> Memo<K, V> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    /// The fact of that key.
    pub(crate) async fn get(&self, key: K, fetch: impl Future<Output = V>) -> V {
        let cell = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default());
        cell.get_or_init(|| fetch).await.clone()
    }

    /// Takes a fact for known.
    pub(crate) fn know(&self, key: K, fact: V) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Arc::new(OnceCell::new_with(Some(fact))));
    }
}

/// What the run was started from, and so what mends what is wrong in Vault.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// A bootstrap that has just made Vault hold what its file says.
    Bootstrap,
    /// A configuration file: it says how things should be.
    File {
        /// The file.
        file: PathBuf,
        /// The flags that lead to the clusters and to Vault: ` --context NAME`, or nothing.
        flags: String,
    },
    /// Flags: nothing says how things should be but the tokens themselves.
    Flags {
        /// The flags that lead to the cluster and to Vault: ` --context NAME`, or nothing.
        flags: String,
    },
}

impl Source {
    /// Whether nothing says how things should be.
    pub(crate) fn is_flags(&self) -> bool {
        matches!(self, Self::Flags { .. })
    }

    /// The command that makes Vault hold what the file says, where there is one.
    pub(crate) fn bootstrap(&self) -> Option<Remedy> {
        let (file, flags) = match self {
            Self::File { file, flags } => (file, flags),
            Self::Bootstrap => {
                return Some(Remedy {
                    text:
                        "look whether somebody else changes it: `vaultk8s plan`; and what `vaultk8s verify-role` says"
                            .to_owned(),
                    command: None,
                });
            }
            Self::Flags { .. } => return None,
        };
        let file = quoted(&file.display().to_string());
        Some(Remedy {
            text: "the file says otherwise than Vault: let Vault hold what the file says".to_owned(),
            command: Some(format!("vaultk8s bootstrap -f {file}{flags}")),
        })
    }
}
