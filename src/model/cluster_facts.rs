//! What Vault has to know about a cluster.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::keys::VerificationKey;

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

/// What is in the files that decide whom Vault trusts, by path: keys and certificates, each by name and fingerprint. One that could not
/// be read is not among them.
pub type TrustFiles = BTreeMap<PathBuf, Vec<String>>;
