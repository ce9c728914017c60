//! Vault's own tokens: what a login gives, what a token may do, and ending it.

use std::collections::BTreeMap;
use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Data, Done, Request};
use crate::model::null_as_default;
use crate::names::MountPath;

/// What a login answers.
#[derive(Debug, Deserialize)]
pub struct LoginAnswer {
    /// The token and what it carries.
    pub auth: LoginAuth,
}

/// The token that a login gives, and what it carries.
#[derive(Debug, Deserialize)]
pub struct LoginAuth {
    /// The token.
    pub client_token: SecretString,
    /// What it carries.
    #[serde(flatten)]
    pub info: TokenInfo,
    /// What is wanted before there is a token: then there is none.
    #[serde(default)]
    mfa_requirement: Option<MfaRequirement>,
}

/// What a login says of the token that it gives.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Its accessor; empty for a batch token. It ends the token, so it is written nowhere.
    #[serde(default, skip_serializing)]
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

impl TokenInfo {
    /// Whether the token is stored nowhere: then nobody can end it before its time, its uses aren't counted, and it has no
    /// accessor.
    pub fn is_batch(&self) -> bool {
        self.token_type == "batch"
    }
}

impl LoginAuth {
    /// The second factors that Vault wants before it gives a token; none where it gave one.
    pub(super) fn second_factors(&self) -> Option<Vec<SecondFactor>> {
        let wanted = self.mfa_requirement.as_ref()?;
        let factor = |(enforcement, methods): (&String, &MfaMethods)| SecondFactor {
            enforcement: enforcement.clone(),
            methods: methods.any.iter().map(|method| method.kind.clone()).collect(),
        };
        Some(wanted.mfa_constraints.iter().map(factor).collect())
    }
}

/// What a login answers in place of a token where an MFA enforcement is about it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MfaRequirement {
    /// By the enforcement's name.
    mfa_constraints: BTreeMap<String, MfaMethods>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MfaMethods {
    any: Vec<MfaMethod>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MfaMethod {
    #[serde(rename = "type")]
    kind: String,
}

/// A second factor that Vault wants after a login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// The enforcement that wants it (`identity/mfa/login-enforcement/NAME`).
    pub enforcement: String,
    /// The types of the methods that would do, such as `totp`.
    pub methods: Vec<String>,
}

impl fmt::Display for SecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (enforcement {})", self.methods.join(" or "), self.enforcement)
    }
}

/// An MFA enforcement: which logins it is about (`identity/mfa/login-enforcement/NAME`).
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Enforcement {
    /// All logins of the mounts with these accessors.
    #[serde(deserialize_with = "null_as_default")]
    pub auth_method_accessors: Vec<String>,
    /// All logins of mounts of these types.
    #[serde(deserialize_with = "null_as_default")]
    pub auth_method_types: Vec<String>,
    /// Those of the members of these groups.
    #[serde(deserialize_with = "null_as_default")]
    pub identity_group_ids: Vec<String>,
    /// Those of these entities.
    #[serde(deserialize_with = "null_as_default")]
    pub identity_entity_ids: Vec<String>,
}

/// Reads an MFA enforcement.
pub fn read_enforcement(name: &str) -> Request<Data<Enforcement>> {
    Request::read(format!("identity/mfa/login-enforcement/{name}"))
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
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ResultantAcl {
    /// The rules without a wildcard, by path.
    pub exact_paths: BTreeMap<String, ToldRule>,
    /// The rules with a `*` at the end, by what stands before it.
    pub glob_paths: BTreeMap<String, ToldRule>,
}

/// A rule as a token is told of it.
#[derive(Debug, Default, Serialize, Deserialize)]
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
pub fn app_role_login(mount: &MountPath, role_id: &str, secret_id: &SecretString) -> Request<LoginAnswer> {
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
