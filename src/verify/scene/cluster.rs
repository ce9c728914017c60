//! The facts of one cluster.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use tokio::sync::OnceCell;

use super::VaultScene;
use crate::cluster::{Connection, Discovery, discovery, jwks_text, refused_by, trusted_keys};
use crate::error::{Error, Result};
use crate::keys::{Authorities, VerificationKey};
use crate::names::ClusterName;
use crate::verify::external_secrets::{self, Astray, Installed};
use crate::verify::finding::words;

/// Issuer and keys, as the cluster publishes them.
#[derive(Debug)]
pub(crate) struct Published {
    pub(crate) issuer: String,
    pub(crate) keys: Vec<VerificationKey>,
    /// Where it says that it publishes them.
    pub(crate) jwks_uri: Option<String>,
}

/// The facts of one cluster.
pub(crate) struct ClusterScene {
    /// The Vault whose clock is compared.
    pub(crate) vault: Arc<VaultScene>,
    /// What the configuration calls it.
    pub(crate) name: ClusterName,
    /// The way to it; `None` for a cluster that can't be reached, whose issuer and keys come from files.
    pub(crate) connection: Option<Result<Connection>>,
    /// Issuer and keys from files.
    files: Option<(String, Vec<VerificationKey>)>,
    published: OnceCell<Result<Published>>,
    root_ca: OnceCell<Option<Authorities>>,
    version: OnceCell<Result<String>>,
    external_secrets: OnceCell<Result<Option<Installed>>>,
    astray: OnceCell<Vec<Astray>>,
}

impl ClusterScene {
    pub(crate) fn new(
        vault: Arc<VaultScene>,
        name: ClusterName,
        connection: Option<Result<Connection>>,
        files: Option<(String, Vec<VerificationKey>)>,
    ) -> Self {
        Self {
            vault,
            name,
            connection,
            files,
            published: OnceCell::new(),
            root_ca: OnceCell::new(),
            version: OnceCell::new(),
            external_secrets: OnceCell::new(),
            astray: OnceCell::new(),
        }
    }

    /// Whether its issuer and keys come from files.
    pub(crate) fn is_in_files(&self) -> bool {
        self.files.is_some()
    }

    /// The way to it, where there is one.
    pub(crate) fn connected(&self) -> Option<&Connection> {
        self.connection.as_ref()?.as_ref().ok()
    }

    /// The beginning of a command of kubectl that reaches it, whichever context is the current one.
    pub(crate) fn kubectl(&self) -> String {
        let flags = self.connected().map(Connection::kubectl_flags).unwrap_or_default();
        format!("kubectl{}", words(&flags))
    }

    /// The CA by which its pods know its API server, where it publishes that and it may be read: the kubeconfig may name
    /// another, of something in between.
    pub(crate) async fn root_ca(&self) -> Option<&Authorities> {
        let fetch = async || {
            let maps = Api::<ConfigMap>::namespaced(self.connected()?.client(), "kube-system");
            let published = maps.get_opt("kube-root-ca.crt").await.ok()??;
            Authorities::parse(published.data?.get("ca.crt")?)
        };
        self.root_ca.get_or_init(fetch).await.as_ref()
    }

    /// Its version, which shows that it answers.
    pub(crate) async fn version(&self) -> &Result<String> {
        let fetch = async || {
            let Some(connection) = self.connected() else {
                return Err(Error::failed("there is no way to the cluster"));
            };
            let info = connection.client().apiserver_version().await;
            info.map(|info| info.git_version)
                .map_err(|error| Error::from(refused_by(connection.server(), "its version", error)))
        };
        self.version.get_or_init(fetch).await
    }

    /// What there is of External Secrets in it; `None` where it can't be reached.
    pub(crate) async fn external_secrets(&self) -> Option<&Result<Option<Installed>>> {
        let connection = self.connected()?;
        self.version().await.as_ref().ok()?;
        Some(self.external_secrets.get_or_init(async || external_secrets::read(connection).await).await)
    }

    /// Takes note of the stores whose login leads to no role.
    pub(crate) fn leave_astray(&self, stores: Vec<Astray>) {
        // They are looked for once.
        let _ = self.astray.set(stores);
    }

    /// The stores whose login leads to no role; `None` where they were not looked for.
    pub(crate) fn astray(&self) -> Option<&[Astray]> {
        self.astray.get().map(Vec::as_slice)
    }

    /// Issuer and keys as it publishes them, or as files say.
    pub(crate) async fn published(&self) -> &Result<Published> {
        let fetch = async || {
            if let Some((issuer, keys)) = &self.files {
                return Ok(Published { issuer: issuer.clone(), keys: keys.clone(), jwks_uri: None });
            }
            let Some(connection) = self.connected() else {
                return Err(Error::failed("there is no way to the cluster"));
            };
            let (discovery, jwks): (Discovery, String) =
                tokio::try_join!(discovery(connection), jwks_text(connection))?;
            let keys = trusted_keys(&jwks, &format!("{}/openid/v1/jwks", connection.server()))?;
            Ok(Published { issuer: discovery.issuer, keys, jwks_uri: discovery.jwks_uri })
        };
        self.published.get_or_init(fetch).await
    }
}
