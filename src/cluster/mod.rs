//! Kubernetes: connecting as kubectl would, the issuer and keys of a cluster, tokens of its service accounts, and the
//! objects of the account that reviews tokens for Vault.

mod access;
mod binding;
mod ca;
mod cause;
mod client;
mod connect;
mod credentials;
mod discovery;
mod error;
mod inside;
mod issuer;
mod key_server;
mod key_url;
mod kubeconfig;
mod namespaces;
mod objects;
mod public;
mod records;
mod reviewer_token;
mod served_keys;
mod token;
mod trust_files;
mod way;

pub(crate) use access::{creating_token_reviews, getting_namespaces, may};
pub use cause::ClientCause;
pub(crate) use client::{Deadlines, client};
pub use connect::{Connection, KubeArgs, KubeSettings};
pub(crate) use credentials::KubeCredentials;
pub use discovery::{Discovery, discovery, jwks_text};
pub use error::ClusterError;
pub(crate) use error::refused_by;
pub(crate) use inside::is_the_clusters_own;
pub use key_server::{AskedThrough, KeyServer, look_at_key_server};
pub use key_url::{Obstacle, Vantage, try_key_url};
pub use kubeconfig::ChosenContext;
pub use namespaces::namespaces;
pub use objects::{apply_manifest, delegated_reviewers, observe_reviewer, token_secrets};
pub use public::keys_for;
pub use records::{observe_elsewhere, record};
pub use reviewer_token::{ReviewerJwt, from_elsewhere, reviewer_jwt};
pub use served_keys::served_keys;
pub use token::{ServiceAccountToken, TokenClaims, request_token, service_accounts};
pub use trust_files::{UnreadFile, read_trust_files, shared_by};
pub use way::Way;

use crate::config::{self, ClusterSource, Method};
use crate::error::{Error, Result};
use crate::fix::Kubectl;
use crate::input::{self, InputKind};
use crate::keys::{Jwks, VerificationKey};
use crate::model::ClusterFacts;

/// A cluster with its facts, and a connection where it can be reached.
pub struct OpenCluster {
    /// What Vault has to know.
    pub facts: ClusterFacts,
    /// The way to its API server; `None` where the facts come from files, or an issuer is all that there is.
    pub connection: Option<Connection>,
    /// Why the keys of an issuer, which is all that there is, can't be read from here.
    pub unread: Option<Error>,
}

/// Connects to a cluster and reads its facts, or reads them from the files that the configuration names.
///
/// # Errors
/// When the cluster can't be reached, refuses discovery, or publishes a key that must not be trusted.
pub async fn open(cluster: &config::Cluster, settings: &KubeSettings) -> Result<OpenCluster> {
    let source = &cluster.source;
    if let ClusterSource::Files { issuer, jwks_file } = source {
        let text = input::read_text(jwks_file, input::DOCUMENT).map_err(|error| {
            Error::usage(format!("the JWKS file {} could not be read", jwks_file.display())).because(error).remedy(
                format!(
                    "write it with {}, where the cluster can be reached",
                    Kubectl::default().run("get --raw /openid/v1/jwks").shown()
                ),
            )
        })?;
        let shown = jwks_file.display().to_string();
        input::check(&text, InputKind::Document).map_err(|mistaken| mistaken.told_of(&shown))?;
        let keys = trusted_keys(&text, &shown)?;
        return Ok(OpenCluster {
            facts: ClusterFacts { issuer: issuer.clone(), keys, ..ClusterFacts::default() },
            connection: None,
            unread: None,
        });
    }
    if let ClusterSource::Issuer { issuer } = source {
        return issuer::open(issuer, &cluster.auth, settings.proxies()).await;
    }
    let connection = Connection::open(source, settings).await?;
    let facts = facts(cluster, &connection).await?;
    Ok(OpenCluster { facts, connection: Some(connection), unread: None })
}

/// Reads the facts of a cluster that can be reached.
///
/// # Errors
/// When it doesn't answer, refuses discovery, or publishes a key that must not be trusted.
pub async fn facts(cluster: &config::Cluster, connection: &Connection) -> Result<ClusterFacts> {
    let server = Some(connection.server().to_owned());
    if let Method::Kubernetes(auth) = &cluster.auth.method {
        let ca = match &auth.ca_cert {
            Some(file) => Some(ca::read_ca(file)?),
            None => connection.ca().map(str::to_owned),
        };
        // Vault asks the cluster itself: issuer and keys, which not everybody may read, are not needed.
        return Ok(ClusterFacts { server, ca, ..ClusterFacts::default() });
    }
    let (discovery, jwks) = tokio::try_join!(discovery(connection), jwks_text(connection))?;
    let keys = trusted_keys(&jwks, &format!("{}/openid/v1/jwks", connection.server()))?;
    let ca = connection.ca().map(str::to_owned);
    Ok(ClusterFacts { issuer: discovery.issuer, keys, jwks_uri: discovery.jwks_uri, server, ca })
}

/// The keys of a JWKS, all of them: a key that must not be used is an error, because leaving it out in silence would
/// lock out the tokens that it signs.
///
/// # Errors
/// When the text is not a JWKS, holds no key, or holds one that is refused.
pub fn trusted_keys(jwks: &str, origin: &str) -> Result<Vec<VerificationKey>> {
    Jwks::parse(jwks).and_then(Jwks::into_keys).map_err(|error| {
        let remedy = error.remedy();
        Error::failed(format!("the keys from {origin} can't be used")).because(error).maybe_remedy(remedy)
    })
}
