//! The keys behind the URL that Vault fetches them from, held against those that the cluster publishes.

use serde::{Deserialize, Serialize};

use crate::keys::{Jwks, PublicKey, VerificationKey};

/// Where Vault fetches keys from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyPlace {
    /// A key set (`jwks_url`).
    Jwks {
        /// Its URL.
        url: String,
    },
    /// What an issuer's discovery document names (`oidc_discovery_url`).
    Discovery {
        /// The issuer.
        issuer: String,
    },
}

impl KeyPlace {
    /// What Vault fetches first.
    pub fn url(&self) -> String {
        match self {
            Self::Jwks { url } => url.clone(),
            Self::Discovery { issuer } => format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/')),
        }
    }
}

/// What a URL serves, against what the cluster publishes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedKeys {
    /// The URL of the key set.
    pub url: String,
    /// How many keys it serves.
    pub count: usize,
    /// Those that the cluster doesn't publish, by kind and fingerprint.
    pub foreign: Vec<String>,
    /// Those of the cluster that are not there, by name.
    pub missing: Vec<String>,
}

impl ServedKeys {
    /// What several serve, to whoever trusts all of them.
    pub fn together(all: impl IntoIterator<Item = Self>) -> Self {
        let both = |mut all: Self, one: Self| {
            all.url = format!("{} and {}", all.url, one.url);
            all.count += one.count;
            all.foreign.extend(one.foreign.into_iter().filter(|key| !all.foreign.contains(key)).collect::<Vec<_>>());
            all.missing.retain(|key| one.missing.contains(key));
            all
        };
        all.into_iter().reduce(both).unwrap_or_default()
    }

    /// Compares a key set with the keys of a cluster.
    ///
    /// An entry that this tool refuses is foreign as well: Vault is less strict, and the cluster's own were all accepted. Only where a
    /// foreign key goes by the name of one of the cluster's, that one is refused in its place, and is there all the same.
    pub(crate) fn compare(url: String, jwks: &Jwks, published: &[VerificationKey]) -> Self {
        let is_published = |served: &PublicKey| published.iter().any(|key| key.key == *served);
        let unknown = jwks.keys.iter().filter(|served| !is_published(&served.key));
        let foreign = unknown.map(|served| {
            format!("{} {} kid {}", served.key, served.key.short_fingerprint(), served.key.kubernetes_kid())
        });
        let refused = jwks.refused.iter().filter(|refused| !refused.key.as_ref().is_some_and(is_published));
        let misnamed = jwks.misnamed.iter().map(|name| format!("a list of keys under the name {name:?}"));
        let foreign: Vec<String> = foreign.chain(refused.map(ToString::to_string)).chain(misnamed).collect();
        let served = || {
            let refused = jwks.refused.iter().filter_map(|refused| refused.key.as_ref());
            jwks.keys.iter().map(|served| &served.key).chain(refused)
        };
        let absent = published.iter().filter(|key| !served().any(|served| *served == key.key));
        let missing = absent.map(|key| key.kid.clone().unwrap_or_else(|| key.key.short_fingerprint())).collect();
        Self { url, count: jwks.keys.len() + jwks.refused.len(), foreign, missing }
    }
}
