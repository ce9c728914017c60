//! The files that decide whom Vault trusts and that stand beside the configuration: whoever changes one changes whom it lets in.

use std::path::Path;

use super::{ClusterSource, Config, Method};

/// One such file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustFile<'a> {
    /// `jwksFile`: the keys that tokens are signed with.
    Keys(&'a Path),
    /// `caCert`: the authorities of a server.
    Authorities(&'a Path),
}

impl<'a> TrustFile<'a> {
    /// Where it is.
    pub fn path(self) -> &'a Path {
        match self {
            Self::Keys(path) | Self::Authorities(path) => path,
        }
    }

    /// What its content is called among the terms.
    pub fn field(self) -> &'static str {
        match self {
            Self::Keys(_) => "keys in jwksFile",
            Self::Authorities(_) => "certificates in caCert",
        }
    }
}

impl super::Cluster {
    /// The files that decide about this cluster.
    pub fn trust_files(&self) -> Vec<TrustFile<'_>> {
        let keys = match &self.source {
            ClusterSource::Files { jwks_file, .. } => Some(TrustFile::Keys(jwks_file)),
            ClusterSource::Context(_) | ClusterSource::InCluster | ClusterSource::Issuer { .. } => None,
        };
        let ca = match &self.auth.method {
            Method::Jwt(_) => self.auth.keys_ca_cert.as_deref(),
            Method::Kubernetes(auth) => auth.ca_cert.as_deref(),
        };
        keys.into_iter().chain(ca.map(TrustFile::Authorities)).collect()
    }
}

impl Config {
    /// The folder that its files are relative to.
    pub fn folder(&self) -> &Path {
        self.files.folder()
    }

    /// All of these files, those of Vault first.
    pub fn trust_files(&self) -> Vec<TrustFile<'_>> {
        let of_clusters = self.clusters.iter().flat_map(super::Cluster::trust_files);
        self.vault.ca_cert.as_deref().map(TrustFile::Authorities).into_iter().chain(of_clusters).collect()
    }
}
