//! The `jwt` auth method: its configuration, roles and logins, as documents with every field that matters.
//!
//! Source: `auth/<mount>/config`, `auth/<mount>/role/<name>` and `auth/<mount>/login` of Vault's JWT/OIDC method. A
//! configuration is written whole because a POST erases what it leaves out, a role because a POST keeps it.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::tokens::Login;
use super::{Data, Done, Request};
use crate::names::{MountPath, RoleName};

/// A `jwt` mount's configuration. What Vault reads back has the same form after [`JwtConfig::normalised`].
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
}

impl JwtConfig {
    /// The form in which two configurations that mean the same are equal.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        self.jwt_supported_algs.sort();
        self.jwt_supported_algs.dedup();
        for pem in &mut self.jwt_validation_pubkeys {
            *pem = pem.trim().to_owned();
        }
        self.jwt_validation_pubkeys.sort();
        self.jwt_validation_pubkeys.dedup();
        self
    }
}

/// A role of a `jwt` mount. What Vault reads back has the same form after [`JwtRole::normalised`].
#[expect(clippy::struct_excessive_bools, reason = "Vault's document has them")]
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
    /// The policies of the token.
    #[serde(deserialize_with = "null_as_default")]
    pub token_policies: Vec<String>,
    /// Whether policy names are filled in from claims (OpenBao).
    pub token_policies_template_claims: bool,
    /// Seconds.
    pub token_ttl: u64,
    /// Seconds.
    pub token_max_ttl: u64,
    /// Seconds.
    pub token_explicit_max_ttl: u64,
    /// Seconds.
    pub token_period: u64,
    /// 0 is without limit.
    pub token_num_uses: u64,
    /// Whether the token goes without the policy `default`.
    pub token_no_default_policy: bool,
    /// Where a login may come from.
    #[serde(deserialize_with = "null_as_default")]
    pub token_bound_cidrs: Vec<String>,
    /// Whether the token stays bound to the address of its login (OpenBao).
    pub token_strictly_bind_ip: bool,
    /// `default`, `service` or `batch`.
    pub token_type: String,
    /// Whether the server logs claims, tokens among them.
    pub verbose_oidc_logging: bool,
}

impl JwtRole {
    /// The form in which two roles that mean the same are equal: lists sorted, policy names in lower case, a list of one
    /// claim value as that value, and CIDRs of one address as that address.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        for policy in &mut self.token_policies {
            policy.make_ascii_lowercase();
        }
        for cidr in &mut self.token_bound_cidrs {
            let host = if cidr.contains(':') { cidr.strip_suffix("/128") } else { cidr.strip_suffix("/32") };
            if let Some(host) = host {
                *cidr = host.to_owned();
            }
        }
        for list in [&mut self.bound_audiences, &mut self.token_policies, &mut self.token_bound_cidrs] {
            list.sort();
            list.dedup();
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

/// Go's JSON writes an empty list or map as `null`.
fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads the configuration; a mount that has none answers 404.
pub fn read_config(mount: &MountPath) -> Request<Data<JwtConfig>> {
    Request::read(format!("auth/{mount}/config"))
}

/// Writes the whole configuration.
pub fn write_config(mount: &MountPath, config: &JwtConfig) -> Request<Done> {
    Request::write(format!("auth/{mount}/config"), json!(config)).needing(&[crate::policy::Capability::Update])
}

/// Reads a role.
pub fn read_role(mount: &MountPath, name: &RoleName) -> Request<Data<JwtRole>> {
    Request::read(format!("auth/{mount}/role/{name}"))
}

/// Writes a whole role.
pub fn write_role(mount: &MountPath, name: &RoleName, role: &JwtRole) -> Request<Done> {
    Request::write(format!("auth/{mount}/role/{name}"), json!(role))
}

/// Logs in with a service account's token. Never retried once it may have arrived, because each login is a new token.
pub fn login(mount: &MountPath, role: &RoleName, token: &SecretString) -> Request<Login> {
    Request::ask(format!("auth/{mount}/login"), json!({ "role": role, "jwt": token.expose_secret() }))
        .needing(&[])
        .once()
}

#[cfg(test)]
mod tests {
    use super::*;

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
            token_policies: vec!["p-x".into()],
            token_bound_cidrs: vec!["127.0.0.1/32".into()],
            token_ttl: 7200,
            token_type: "default".into(),
            ..JwtRole::default()
        };
        assert_eq!(read.normalised(), written.normalised());
    }

    #[test]
    fn a_login_never_shows_its_token() {
        let request = login(&"jwt".parse().unwrap(), &"r".parse().unwrap(), &SecretString::from("topsecret"));
        assert!(!format!("{request:?}").contains("topsecret"));
        assert!(!request.idempotent);
    }
}
