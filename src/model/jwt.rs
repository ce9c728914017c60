//! The documents of the `jwt` auth method: its configuration and roles.
//!
//! Source: `auth/<mount>/config` and `auth/<mount>/role/<name>` of Vault's JWT/OIDC method.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::token_fields::{TokenFields, null_as_default, sort};

/// A `jwt` mount's configuration. What Vault reads back has the same form after [`JwtConfig::normalised`].
///
/// Every field that a server reads back is here, so that any of them changed by hand is found; but `status`, which is the
/// server's own. A field that the
/// server doesn't have is read as its default, and ignored by that server when written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JwtConfig {
    /// The issuer that tokens must have; empty leaves it unchecked.
    pub bound_issuer: String,
    /// The algorithms that signatures may have; empty accepts ten of them.
    #[serde(deserialize_with = "null_as_default")]
    pub jwt_supported_algs: Vec<String>,
    /// The keys, one PEM block each.
    #[serde(deserialize_with = "null_as_default")]
    pub jwt_validation_pubkeys: Vec<String>,
    /// Where Vault fetches the keys.
    pub jwks_url: String,
    /// The CA of `jwks_url`.
    pub jwks_ca_pem: String,
    /// Where Vault discovers issuer and keys.
    pub oidc_discovery_url: String,
    /// The CA of `oidc_discovery_url`.
    pub oidc_discovery_ca_pem: String,
    /// The role of a login that names none.
    pub default_role: String,
    /// Names that the certificate of `jwks_url` or `oidc_discovery_url` may have instead of the URL's host (OpenBao).
    #[serde(deserialize_with = "null_as_default")]
    pub override_allowed_server_names: Vec<String>,
    /// What is known of the provider behind the issuer.
    #[serde(deserialize_with = "null_as_default")]
    pub provider_config: BTreeMap<String, Value>,
    /// Several sources of keys at once (Vault only), which this tool never writes: with them one cluster can pass as
    /// another. They are read so that replacing them is no surprise.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub jwks_pairs: Vec<Value>,
    /// Critical extensions of certificates that Vault doesn't know and is to ignore (Vault only, by their OIDs). Where a file says
    /// nothing of them, those that somebody set are kept.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub unsupported_critical_cert_extensions: Vec<String>,
    /// What concerns logins by browser.
    #[serde(flatten)]
    pub browser: Box<BrowserConfig>,
}

/// The part of a configuration for logins by browser, which a cluster's mount has none of: nobody's, as a new mount has
/// it. Were a client set here, people could log in beside the service accounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrowserConfig {
    /// The client at the provider.
    pub oidc_client_id: String,
    /// How the provider answers.
    pub oidc_response_mode: String,
    /// What the provider answers with.
    #[serde(deserialize_with = "null_as_default")]
    pub oidc_response_types: Vec<String>,
    /// Whether the state carries the namespace. A POST that leaves it out keeps it.
    pub namespace_in_state: bool,
}

impl Default for BrowserConfig {
    fn default() -> Self {
        Self {
            oidc_client_id: String::new(),
            oidc_response_mode: String::new(),
            oidc_response_types: Vec::new(),
            namespace_in_state: true,
        }
    }
}

/// Where Vault has a mount's keys from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeysFrom {
    /// From the configuration itself.
    Pinned,
    /// From a key set (`jwks_url`).
    KeySet(KeyUrl),
    /// From what an issuer's discovery document names (`oidc_discovery_url`).
    Discovery(KeyUrl),
    /// From the cluster that OpenBao runs in, with the credentials of its own pod (`provider_config`).
    Provider,
    /// From several key sets at once (`jwks_pairs`, Vault only): it trusts all that any of them serves.
    KeySets(Vec<KeyUrl>),
}

/// A URL that Vault fetches keys from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct KeyUrl {
    /// The URL.
    #[serde(rename = "jwks_url")]
    pub url: String,
    /// The CA of its server, PEM; empty where any authority of the system will do.
    #[serde(rename = "jwks_ca_pem")]
    pub ca: String,
}

impl KeysFrom {
    /// Whether Vault has them itself, and fetches none.
    pub fn is_pinned(&self) -> bool {
        matches!(self, Self::Pinned)
    }

    /// Where they are fetched.
    pub fn urls(&self) -> &[KeyUrl] {
        match self {
            Self::Pinned | Self::Provider => &[],
            Self::KeySet(url) | Self::Discovery(url) => std::slice::from_ref(url),
            Self::KeySets(urls) => urls,
        }
    }

    /// Whether both are from the same place, whichever CA its server is known by.
    pub fn is_same_place(&self, other: &Self) -> bool {
        let urls = |from: &Self| -> Vec<String> { from.urls().iter().map(|url| url.url.clone()).collect() };
        std::mem::discriminant(self) == std::mem::discriminant(other) && urls(self) == urls(other)
    }
}

impl std::fmt::Display for KeysFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pinned => f.write_str("pinned ones"),
            Self::Provider => f.write_str("the cluster that OpenBao itself runs in (provider_config kubernetes)"),
            Self::KeySet(KeyUrl { url, .. }) => write!(f, "jwks_url {url}"),
            Self::Discovery(KeyUrl { url, .. }) => write!(f, "oidc_discovery_url {url}"),
            Self::KeySets(urls) => {
                let urls: Vec<&str> = urls.iter().map(|url| url.url.as_str()).collect();
                write!(f, "{} jwks_pairs ({})", urls.len(), urls.join(", "))
            }
        }
    }
}

impl JwtConfig {
    /// Where it has its keys from.
    pub fn keys_from(&self) -> KeysFrom {
        let url = |url: &String, ca: &String| KeyUrl { url: url.clone(), ca: ca.clone() };
        if !self.oidc_discovery_url.is_empty() {
            KeysFrom::Discovery(url(&self.oidc_discovery_url, &self.oidc_discovery_ca_pem))
        } else if !self.jwks_url.is_empty() {
            KeysFrom::KeySet(url(&self.jwks_url, &self.jwks_ca_pem))
        } else if !self.jwks_pairs.is_empty() {
            // One that can't be read is one that nobody can look at.
            let pair = |pair: &Value| KeyUrl::deserialize(pair).unwrap_or_default();
            KeysFrom::KeySets(self.jwks_pairs.iter().map(pair).collect())
        } else if self.is_by_provider() {
            KeysFrom::Provider
        } else {
            KeysFrom::Pinned
        }
    }

    /// Whether its provider is one that OpenBao takes keys from.
    pub fn is_by_provider(&self) -> bool {
        self.provider_config.get("provider").and_then(Value::as_str) == Some("kubernetes")
    }

    /// With the algorithms of an issuer whose keys can't be seen from here, as a mount has them that is there.
    #[must_use]
    pub fn keeping(mut self, there: Option<&Self>, keys_are_known: bool) -> Self {
        if let (Some(there), false) = (there, keys_are_known || self.keys_from().is_pinned()) {
            self.jwt_supported_algs.extend(there.jwt_supported_algs.iter().cloned());
            sort(&mut self.jwt_supported_algs);
        }
        self
    }

    /// With the extensions of certificates that a mount passes over, which a POST that leaves them out erases.
    #[must_use]
    pub fn keeping_extensions(self, there: Option<&Self>) -> Self {
        let unsupported_critical_cert_extensions =
            there.map(|there| there.unsupported_critical_cert_extensions.clone()).unwrap_or_default();
        Self { unsupported_critical_cert_extensions, ..self }
    }

    /// The form in which two configurations that mean the same are equal.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        sort(&mut self.jwt_supported_algs);
        sort(&mut self.unsupported_critical_cert_extensions);
        for pem in &mut self.jwt_validation_pubkeys {
            *pem = pem.trim().to_owned();
        }
        sort(&mut self.jwt_validation_pubkeys);
        for pem in [&mut self.jwks_ca_pem, &mut self.oidc_discovery_ca_pem] {
            let plain = pem.replace('\r', "");
            plain.trim().clone_into(pem);
        }
        sort(&mut self.override_allowed_server_names);
        sort(&mut self.browser.oidc_response_types);
        self
    }
}

/// A role of a `jwt` mount. What Vault reads back has the same form after [`JwtRole::normalised`].
///
/// Every field that a server reads back is here; one that the server doesn't have is read as its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JwtRole {
    /// `jwt`; a role that leaves it out becomes an `oidc` one.
    pub role_type: String,
    /// The claim that names the identity.
    pub user_claim: String,
    /// Whether `user_claim` is a JSON pointer.
    pub user_claim_json_pointer: bool,
    /// The audiences, one of which a token must have.
    #[serde(deserialize_with = "null_as_default")]
    pub bound_audiences: Vec<String>,
    /// The subject; empty, because `bound_claims` binds it.
    pub bound_subject: String,
    /// The claims that a token must have, each a string or a list of those that will do.
    #[serde(deserialize_with = "null_as_default")]
    pub bound_claims: BTreeMap<String, Value>,
    /// `string` or `glob`; a role that leaves it out becomes `string`.
    pub bound_claims_type: String,
    /// Claims that become metadata of the token.
    #[serde(deserialize_with = "null_as_default")]
    pub claim_mappings: BTreeMap<String, String>,
    /// The claim that names groups.
    pub groups_claim: String,
    /// Seconds; 0 is the server's default, a negative number none.
    pub expiration_leeway: i64,
    /// Seconds; 0 is the server's default, a negative number none.
    pub not_before_leeway: i64,
    /// Seconds; 0 is the server's default, a negative number none.
    pub clock_skew_leeway: i64,
    /// Whether policy names are filled in from claims (OpenBao).
    pub token_policies_template_claims: bool,
    /// Whether the server logs claims, tokens among them.
    pub verbose_oidc_logging: bool,
    /// What concerns logins by browser.
    #[serde(flatten)]
    pub browser: Box<BrowserRole>,
    /// What it says about tokens.
    #[serde(flatten)]
    pub token: TokenFields,
}

/// The part of a role for logins by browser. It means nothing as long as `role_type` is `jwt`, and is kept as a new role has
/// it, so that it never lies in wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BrowserRole {
    /// Where the provider may send the browser.
    #[serde(deserialize_with = "null_as_default")]
    pub allowed_redirect_uris: Vec<String>,
    /// What the provider is asked for.
    #[serde(deserialize_with = "null_as_default")]
    pub oidc_scopes: Vec<String>,
    /// Seconds since the user last proved who they are; 0 is without limit.
    pub max_age: u64,
    /// `client`, `direct` or `device` (OpenBao).
    pub callback_mode: String,
    /// Which of the provider's tokens become metadata (OpenBao).
    #[serde(deserialize_with = "null_as_default")]
    pub oauth2_metadata: Vec<String>,
    /// Whether nobody is asked before the login is done (OpenBao).
    pub oidc_disable_confirmation: bool,
}

impl Default for BrowserRole {
    fn default() -> Self {
        Self {
            allowed_redirect_uris: Vec::new(),
            oidc_scopes: Vec::new(),
            max_age: 0,
            callback_mode: "client".to_owned(),
            oauth2_metadata: Vec::new(),
            oidc_disable_confirmation: false,
        }
    }
}

impl JwtRole {
    /// The form in which two roles that mean the same are equal: lists sorted, policy names in lower case, a list of one
    /// claim value as that value, and CIDRs of one address as that address.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        self.token.normalise();
        for list in [
            &mut self.bound_audiences,
            &mut self.browser.allowed_redirect_uris,
            &mut self.browser.oidc_scopes,
            &mut self.browser.oauth2_metadata,
        ] {
            sort(list);
        }
        for value in self.bound_claims.values_mut() {
            if let Value::Array(values) = value {
                values.sort_by_key(Value::to_string);
                values.dedup();
                if values.len() == 1 {
                    *value = values.remove(0);
                }
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn several_sources_of_keys_are_all_told() {
        let pinned = JwtConfig { jwt_validation_pubkeys: vec!["PEM".into()], ..JwtConfig::default() };
        assert!(pinned.keys_from().is_pinned());
        let pairs =
            json!([{ "jwks_url": "https://a/keys", "jwks_ca_pem": "A" }, { "jwks_url": "https://b/keys" }, "odd"]);
        let read: JwtConfig = serde_json::from_value(json!({ "jwks_pairs": pairs, "jwks_url": "" })).unwrap();
        let from = read.keys_from();
        assert_eq!(from.urls().len(), 3);
        assert_eq!((from.urls()[0].ca.as_str(), from.urls()[2].url.as_str()), ("A", ""));
        assert!(from.to_string().starts_with("3 jwks_pairs (https://a/keys, https://b/keys"));
        let fewer: JwtConfig = serde_json::from_value(json!({ "jwks_pairs": [pairs[0]] })).unwrap();
        assert!(!from.is_same_place(&fewer.keys_from()) && !from.is_same_place(&KeysFrom::Pinned));
    }

    #[test]
    fn what_the_server_reads_back_is_what_was_written() {
        // As OpenBao 2.7.2 reads back a role written with bound_claims.sub as a list of one.
        let read: JwtRole = serde_json::from_value(json!({
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "claim_mappings": null,
            "bound_claims": {"sub": ["system:serviceaccount:a:b"]}, "bound_claims_type": "string",
            "token_policies": ["P-x"], "token_bound_cidrs": ["127.0.0.1"], "token_ttl": 7200, "token_type": "default",
            "oidc_scopes": null, "max_age": 0
        }))
        .unwrap();
        let written = JwtRole {
            role_type: "jwt".into(),
            user_claim: "sub".into(),
            bound_audiences: vec!["vault".into()],
            bound_claims: [("sub".to_owned(), json!("system:serviceaccount:a:b"))].into(),
            bound_claims_type: "string".into(),
            token: TokenFields {
                token_policies: vec!["p-x".into()],
                token_bound_cidrs: vec!["127.0.0.1/32".into()],
                token_ttl: 7200,
                token_type: "default".into(),
                ..TokenFields::default()
            },
            ..JwtRole::default()
        };
        assert_eq!(read.normalised(), written.normalised());
    }
}
