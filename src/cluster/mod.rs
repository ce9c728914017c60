//! Kubernetes: connecting as kubectl would, the issuer and keys of a cluster, tokens of its service accounts, and the
//! objects of the account that reviews tokens for Vault.

mod access;
mod binding;
mod ca;
mod cause;
mod connect;
mod discovery;
mod error;
mod key_server;
mod objects;
mod reviewer_token;
mod served_keys;
mod token;
mod trust_files;
mod way;

pub(crate) use access::{creating_token_reviews, may};
pub use binding::{ObservedBinding, Others, Whose, described_subject, subject};
pub use cause::Cause;
pub use connect::{ChosenContext, Connection, KubeArgs, KubeSettings};
pub use discovery::{Discovery, discovery, jwks_text};
pub use error::ClusterError;
pub(crate) use error::refused_by;
pub use key_server::{KeyServer, OPEN_DISCOVERY, Obstacle, look_at_key_server, try_key_url};
pub use objects::{
    AUTH_DELEGATOR, Kind, Manifest, ObservedReviewer, ObservedSecret, apply_manifest, delegated_reviewers,
    observe_reviewer, token_secrets,
};
pub use reviewer_token::{Record, ReviewerJwt, TokenSource, record, record_key, span};
pub use served_keys::{KeyPlace, ServedKeys, served_keys};
pub use token::{Claims, ServiceAccountToken, request_token, service_accounts};
pub use trust_files::{TrustFiles, UnreadFile, read_trust_files, shared_by};
pub use way::Way;

use crate::config::{self, ClusterSource, Method};
use crate::error::{Error, Result};
use crate::keys::{Jwks, VerificationKey};

/// What Vault has to know about a cluster.
#[derive(Debug, Clone, Default)]
pub struct ClusterFacts {
    /// The `iss` of its service account tokens, byte for byte; empty where the method has no use for it.
    pub issuer: String,
    /// The keys that its tokens are signed with; none where the method has no use for them.
    pub keys: Vec<VerificationKey>,
    /// Where the cluster says that it publishes its keys (`jwks_uri` of its discovery document).
    pub jwks_uri: Option<String>,
    /// The API server's URL, without a slash at its end, where the cluster can be reached.
    pub server: Option<String>,
    /// The CA of its API server as PEM, or of the server that Vault fetches keys from: from `auth.caCert`, else from the
    /// kubeconfig. `None` where nothing names one.
    pub ca: Option<String>,
}

/// A cluster with its facts, and a connection where it can be reached.
pub struct Cluster {
    /// What Vault has to know.
    pub facts: ClusterFacts,
    /// The way to its API server; `None` where the facts come from files.
    pub connection: Option<Connection>,
}

/// Connects to a cluster and reads its facts, or reads them from the files that the configuration names.
///
/// # Errors
/// When the cluster can't be reached, refuses discovery, or publishes a key that must not be trusted.
pub async fn open(cluster: &config::Cluster, settings: &KubeSettings) -> Result<Cluster> {
    let source = &cluster.source;
    if let ClusterSource::Files { issuer, jwks_file } = source {
        let text = std::fs::read_to_string(jwks_file).map_err(|error| {
            Error::usage(format!("the JWKS file {} could not be read", jwks_file.display()))
                .because(error)
                .remedy("write it with `kubectl get --raw /openid/v1/jwks`, where the cluster can be reached")
        })?;
        let keys = trusted_keys(&text, &jwks_file.display().to_string())?;
        return Ok(Cluster {
            facts: ClusterFacts { issuer: issuer.clone(), keys, ..ClusterFacts::default() },
            connection: None,
        });
    }
    let connection = Connection::open(source, settings).await?;
    let server = Some(connection.server().to_owned());
    if let Method::Kubernetes(auth) = &cluster.auth.method {
        let ca = match &auth.ca_cert {
            Some(file) => Some(ca::read_ca(file)?),
            None => connection.ca().map(str::to_owned),
        };
        // Vault asks the cluster itself: issuer and keys, which not everybody may read, are not needed.
        let facts = ClusterFacts { server, ca, ..ClusterFacts::default() };
        return Ok(Cluster { facts, connection: Some(connection) });
    }
    let (discovery, jwks) = tokio::try_join!(discovery(&connection), jwks_text(&connection))?;
    let keys = trusted_keys(&jwks, &format!("{}/openid/v1/jwks", connection.server()))?;
    let ca = connection.ca().map(str::to_owned);
    let facts = ClusterFacts { issuer: discovery.issuer, keys, jwks_uri: discovery.jwks_uri, server, ca };
    Ok(Cluster { facts, connection: Some(connection) })
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
