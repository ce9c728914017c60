//! Kubernetes: connecting as kubectl would, the issuer and keys of a cluster, and tokens of its service accounts.

mod ca;
mod cause;
mod connect;
mod discovery;
mod error;
mod key_server;
mod token;

pub use cause::Cause;
pub use connect::{ChosenContext, Connection, KubeArgs, KubeSettings};
pub use discovery::{Discovery, discovery, jwks_text};
pub use error::ClusterError;
pub use key_server::{OPEN_DISCOVERY, look_at_key_server};
pub use token::{Claims, ServiceAccountToken, request_token};

use crate::config::ClusterSource;
use crate::error::{Error, Result};
use crate::keys::{Jwks, VerificationKey};

/// What Vault has to know about a cluster.
#[derive(Debug, Clone)]
pub struct ClusterFacts {
    /// The `iss` of its service account tokens, byte for byte.
    pub issuer: String,
    /// The keys that its tokens are signed with.
    pub keys: Vec<VerificationKey>,
    /// Where the cluster says that it publishes its keys (`jwks_uri` of its discovery document).
    pub jwks_uri: Option<String>,
    /// The CA of its API server as PEM, or of the server that Vault fetches keys from; `None` where the system's
    /// authorities will do.
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
pub async fn open(source: &ClusterSource, settings: &KubeSettings) -> Result<Cluster> {
    if let ClusterSource::Files { issuer, jwks_file } = source {
        let text = std::fs::read_to_string(jwks_file).map_err(|error| {
            Error::usage(format!("the JWKS file {} could not be read", jwks_file.display()))
                .because(error)
                .remedy("write it with `kubectl get --raw /openid/v1/jwks`, where the cluster can be reached")
        })?;
        let keys = trusted_keys(&text, &jwks_file.display().to_string())?;
        return Ok(Cluster {
            facts: ClusterFacts { issuer: issuer.clone(), keys, jwks_uri: None, ca: None },
            connection: None,
        });
    }
    let connection = Connection::open(source, settings).await?;
    let (discovery, jwks) = tokio::try_join!(discovery(&connection), jwks_text(&connection))?;
    let keys = trusted_keys(&jwks, &format!("{}/openid/v1/jwks", connection.server()))?;
    let ca = connection.ca().map(str::to_owned);
    let facts = ClusterFacts { issuer: discovery.issuer, keys, jwks_uri: discovery.jwks_uri, ca };
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
