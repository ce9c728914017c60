//! What the auth methods have in common: configuration, roles and logins of a mount, whichever method it has.
//!
//! A document is a mount's configuration or a role, with every field that matters. A configuration is written whole
//! because a POST erases what it leaves out, a role because a POST keeps it. What Vault reads back has the same form
//! after `normalised`.

use std::net::IpAddr;

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use super::jwt::{JwtConfig, JwtRole};
use super::kubernetes::{KubernetesConfig, KubernetesRole};
use super::listing::Listing;
use super::request::encoded;
use super::tokens::Login;
use super::{Data, Done, Request};
use crate::names::{MountPath, RoleName, StoredName};
use crate::policy::Capability;

/// An auth method that this tool knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMethod {
    /// Vault checks signatures itself.
    Jwt,
    /// Vault asks the cluster.
    Kubernetes,
}

impl AuthMethod {
    /// The type of its mounts, as `sys/auth` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Kubernetes => "kubernetes",
        }
    }
}

impl std::fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What each method has its own form of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Document<J, K> {
    /// Of the `jwt` method.
    Jwt(J),
    /// Of the `kubernetes` method.
    Kubernetes(K),
}

/// A mount's configuration.
pub type ConfigDocument = Document<JwtConfig, KubernetesConfig>;

/// A role.
pub type RoleDocument = Document<JwtRole, KubernetesRole>;

impl<J, K> Document<J, K> {
    /// The method of which it has the form.
    pub fn method(&self) -> AuthMethod {
        match self {
            Self::Jwt(_) => AuthMethod::Jwt,
            Self::Kubernetes(_) => AuthMethod::Kubernetes,
        }
    }

    /// The form of the `jwt` method, if it is of that.
    pub fn jwt(&self) -> Option<&J> {
        match self {
            Self::Jwt(document) => Some(document),
            Self::Kubernetes(_) => None,
        }
    }

    /// The form of the `kubernetes` method, if it is of that.
    pub fn kubernetes(&self) -> Option<&K> {
        match self {
            Self::Jwt(_) => None,
            Self::Kubernetes(document) => Some(document),
        }
    }
}

impl<J: Serialize, K: Serialize> Document<J, K> {
    /// Its fields, as Vault has them.
    pub fn fields(&self) -> Value {
        match self {
            Self::Jwt(document) => json!(document),
            Self::Kubernetes(document) => json!(document),
        }
    }
}

impl ConfigDocument {
    /// The form in which two configurations that mean the same are equal.
    #[must_use]
    pub fn normalised(self) -> Self {
        match self {
            Self::Jwt(config) => Self::Jwt(config.normalised()),
            Self::Kubernetes(config) => Self::Kubernetes(config.normalised()),
        }
    }
}

impl RoleDocument {
    /// What it says about the tokens of its logins.
    pub fn token(&self) -> &TokenFields {
        match self {
            Self::Jwt(role) => &role.token,
            Self::Kubernetes(role) => &role.token,
        }
    }

    /// The form in which two roles that mean the same are equal.
    #[must_use]
    pub fn normalised(self) -> Self {
        match self {
            Self::Jwt(role) => Self::Jwt(role.normalised()),
            Self::Kubernetes(role) => Self::Kubernetes(role.normalised()),
        }
    }
}

/// What a role of any method says about the tokens of its logins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenFields {
    /// The policies of the token.
    #[serde(deserialize_with = "null_as_default")]
    pub token_policies: Vec<String>,
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
}

impl TokenFields {
    /// Lists sorted, policy names in lower case, and CIDRs of one address as that address.
    pub(super) fn normalise(&mut self) {
        for policy in &mut self.token_policies {
            policy.make_ascii_lowercase();
        }
        for cidr in &mut self.token_bound_cidrs {
            *cidr = canonical_cidr(cidr);
        }
        sort(&mut self.token_policies);
        sort(&mut self.token_bound_cidrs);
    }
}

/// An address block as the server reads it back: the address in its shortest form, and no prefix where that covers one
/// address. Bits below the prefix stay, as they do on the server.
fn canonical_cidr(text: &str) -> String {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let Ok(address) = address.parse::<IpAddr>() else { return text.to_owned() };
    let whole = if address.is_ipv4() { "32" } else { "128" };
    match prefix.filter(|prefix| *prefix != whole) {
        Some(prefix) => format!("{address}/{prefix}"),
        None => address.to_string(),
    }
}

/// A list in which neither order nor repetition means anything.
pub(super) fn sort(list: &mut Vec<String>) {
    list.sort();
    list.dedup();
}

/// Go's JSON writes an empty list or map as `null`.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a mount's configuration; a mount that has none answers 404.
pub fn read_config<C: DeserializeOwned>(mount: &MountPath) -> Request<Data<C>> {
    Request::read(format!("auth/{mount}/config"))
}

/// Writes a mount's whole configuration.
pub fn write_config(mount: &MountPath, fields: Value) -> Request<Done> {
    Request::write(format!("auth/{mount}/config"), fields).needing(&[Capability::Update])
}

/// Where the names of a mount's roles are listed; a mount that has none answers 404.
pub fn list_roles(mount: &MountPath) -> Listing {
    Listing::new(format!("auth/{mount}/role"))
}

/// Where the names of a jwt mount's CEL roles are listed (OpenBao), which are a list of their own with a login of its own; a mount that has
/// none answers 404, and so does a server that knows no such roles, with a reason.
pub fn list_cel_roles(mount: &MountPath) -> Listing {
    Listing::new(format!("auth/{mount}/cel/role"))
}

/// Reads a role, whatever its name.
pub fn read_role<R: DeserializeOwned>(mount: &MountPath, name: &str) -> Request<Data<R>> {
    Request::read(format!("auth/{mount}/role/{}", encoded(name)))
}

/// Writes a whole role.
pub fn write_role(mount: &MountPath, name: &RoleName, fields: Value) -> Request<Done> {
    Request::write(format!("auth/{mount}/role/{name}"), fields)
}

/// Deletes a role, whatever its name.
pub fn delete_role(mount: &MountPath, name: &StoredName) -> Request<Done> {
    Request::delete(format!("auth/{mount}/role/{}", encoded(name.as_str())))
}

/// Deletes a CEL role, whatever its name.
pub fn delete_cel_role(mount: &MountPath, name: &StoredName) -> Request<Done> {
    Request::delete(format!("auth/{mount}/cel/role/{}", encoded(name.as_str())))
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
    fn address_blocks_are_as_the_server_reads_them_back() {
        // As OpenBao 2.7.2 reads them back.
        for (written, read) in [
            ("127.0.0.1/32", "127.0.0.1"),
            ("10.0.0.5/24", "10.0.0.5/24"),
            ("2001:DB8:0::1/64", "2001:db8::1/64"),
            ("fe80::0:1", "fe80::1"),
            ("::1/128", "::1"),
        ] {
            assert_eq!(canonical_cidr(written), read);
        }
    }

    #[test]
    fn a_login_never_shows_its_token() {
        let request = login(&"jwt".parse().unwrap(), &"r".parse().unwrap(), &SecretString::from("topsecret"));
        assert!(!format!("{request:?}").contains("topsecret"));
        assert!(!request.idempotent);
    }
}
