//! Vault's own tokens: what a login gives, what a token may do, and ending it.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{Data, Done, Request};
use crate::names::MountPath;

/// What a login answers.
#[derive(Debug, Deserialize)]
pub struct Login {
    /// The token and what it carries.
    pub auth: LoginAuth,
}

/// The token that a login gives, and what it carries.
#[derive(Debug, Deserialize)]
pub struct LoginAuth {
    /// The token.
    pub client_token: SecretString,
    /// Its accessor; empty for a batch token.
    #[serde(default)]
    pub accessor: String,
    /// The policies that the role and the server gave it.
    #[serde(default)]
    pub token_policies: Vec<String>,
    /// The policies that its identity adds.
    #[serde(default)]
    pub identity_policies: Option<Vec<String>>,
    /// What the auth method says of who logged in, which it keeps with the identity's alias too.
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, String>>,
    /// The identity that the login belongs to.
    #[serde(default)]
    pub entity_id: String,
    /// How long it lives, in seconds.
    #[serde(default)]
    pub lease_duration: u64,
    /// How often it may be used; 0 is without limit.
    #[serde(default)]
    pub num_uses: u64,
    /// `service` or `batch`.
    #[serde(default)]
    pub token_type: String,
}

/// Capabilities by path, as `sys/capabilities*` answers.
pub type CapabilitiesByPath = BTreeMap<String, Vec<String>>;

/// What the asking token may do on each path (`POST sys/capabilities-self`).
pub fn capabilities_self(paths: &[String]) -> Request<Data<CapabilitiesByPath>> {
    Request::ask("sys/capabilities-self", json!({ "paths": paths }))
}

/// What another token may do on each path, by its accessor (`POST sys/capabilities-accessor`).
pub fn capabilities_accessor(accessor: &str, paths: &[String]) -> Request<Data<CapabilitiesByPath>> {
    Request::ask("sys/capabilities-accessor", json!({ "accessor": accessor, "paths": paths }))
}

/// What another token may do on each path, by the token itself (`POST sys/capabilities`): for a batch token, which has no
/// accessor.
pub fn capabilities(token: &SecretString, paths: &[String]) -> Request<Data<CapabilitiesByPath>> {
    Request::ask("sys/capabilities", json!({ "token": token.expose_secret(), "paths": paths }))
}

/// What a token is told of its own rules: all but those with a `+`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ResultantAcl {
    /// The rules without a wildcard, by path.
    pub exact_paths: BTreeMap<String, ToldRule>,
    /// The rules with a `*` at the end, by what stands before it.
    pub glob_paths: BTreeMap<String, ToldRule>,
}

/// A rule as a token is told of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct ToldRule {
    /// The capabilities.
    pub capabilities: Vec<String>,
}

/// What the asking token is told of its own rules (`GET sys/internal/ui/resultant-acl`).
pub fn resultant_acl() -> Request<Data<ResultantAcl>> {
    Request::read("sys/internal/ui/resultant-acl")
}

/// Logs in with an `AppRole`. Never retried once it may have arrived, because each login uses the secret id once more.
pub fn app_role_login(mount: &MountPath, role_id: &str, secret_id: &SecretString) -> Request<Login> {
    let body = json!({ "role_id": role_id, "secret_id": secret_id.expose_secret() });
    Request::ask(format!("auth/{mount}/login"), body).needing(&[]).once()
}

/// Ends the asking token (`POST auth/token/revoke-self`).
pub fn revoke_self() -> Request<Done> {
    Request::ask("auth/token/revoke-self", json!({})).once()
}

/// Ends another token by its accessor (`POST auth/token/revoke-accessor`).
pub fn revoke_accessor(accessor: &str) -> Request<Done> {
    Request::ask("auth/token/revoke-accessor", json!({ "accessor": accessor })).once()
}
