//! What External Secrets is given: stores that log in as a role, and the Secrets that it makes from them.

use std::path::PathBuf;

use url::Url;

use super::Position;
use crate::names::{ClusterName, KvPath, MountPath, NamespaceName, ObjectName, RoleName, ServiceAccountRef};

/// A store of External Secrets, filled in (`stores`).
#[derive(Debug, Clone)]
pub struct FileStore {
    /// Where its entry begins.
    pub position: Position,
    /// The cluster that it is in.
    pub cluster: ClusterName,
    /// Its name there.
    pub name: ObjectName,
    /// Its namespace: that of a `SecretStore`; a `ClusterSecretStore` has none.
    pub namespace: Option<NamespaceName>,
    /// The role that it logs in as.
    pub role: RoleName,
    /// The service account that it logs in with: one that the role lets in.
    pub account: ServiceAccountRef,
    /// What External Secrets calls the server.
    pub provider: StoreProvider,
    /// Where Vault is, as the cluster reaches it; without it `vault.address`.
    pub server: Option<Url>,
    /// Whom it takes for Vault; without it what the operator's image trusts.
    pub trust: Option<StoreTrust>,
    /// The KV mount that it reads.
    pub kv: MountPath,
    /// Whether that is of version 1.
    pub is_version_1: bool,
    /// How long the token is asked for, in seconds.
    pub expiration: Option<u64>,
}

/// A provider of External Secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreProvider {
    /// `vault`, for Vault and OpenBao.
    Vault,
    /// `openBao`.
    OpenBao,
}

/// Where a store has Vault's CA from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreTrust {
    /// From an object of its cluster (`caProvider`).
    Object {
        /// Whether it is a Secret, and not a `ConfigMap`.
        is_secret: bool,
        /// Its name.
        name: ObjectName,
        /// Its namespace.
        namespace: NamespaceName,
        /// The key in it.
        key: String,
    },
    /// From a PEM file, relative to the directory of the configuration (`caBundle`).
    Bundle(PathBuf),
}

/// A Secret that External Secrets is to make, filled in (`secrets`).
#[derive(Debug, Clone)]
pub struct FileSecret {
    /// Where its entry begins.
    pub position: Position,
    /// The cluster that it is in.
    pub cluster: ClusterName,
    /// Its name there.
    pub name: ObjectName,
    /// Its namespace.
    pub namespace: NamespaceName,
    /// The store that it reads from.
    pub store: ObjectName,
    /// Whether that is a `SecretStore`, of the same namespace.
    pub store_is_namespaced: bool,
    /// How often it is read again, in seconds.
    pub refresh_interval: Option<u64>,
    /// Its keys, in the order of the file.
    pub data: Vec<SecretKey>,
    /// What becomes of it when what it is made from is gone.
    pub deletion_policy: Option<String>,
}

/// A key of a Secret, and where its value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretKey {
    /// The key.
    pub key: String,
    /// The secret in Vault.
    pub path: KvPath,
    /// The property of that; all of it, as JSON, where there is none.
    pub property: Option<String>,
}
