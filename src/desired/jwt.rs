//! A cluster with the `jwt` method → its mount, configuration and roles.

use serde_json::Value;

use super::tokens::token_fields;
use super::{DesiredMount, DesiredRole, SaidBy};
use crate::config::{self, KeySource, Leeways};
use crate::error::{Error, Result};
use crate::keys::{self, JwsAlgorithm};
use crate::model::{AuthMethod, ClusterFacts, ConfigDocument, JwtConfig, JwtRole, RoleDocument};
use crate::names::ServiceAccountRef;

/// The mount of one cluster.
///
/// # Errors
/// When Vault is to fetch the keys and nothing says from where.
pub(super) fn mount(cluster: &config::Cluster, keys: &KeySource, facts: &ClusterFacts) -> Result<DesiredMount> {
    let auth = &cluster.auth;
    let config = self::config(cluster, keys, facts)?;
    let key_retention = if let KeySource::Pinned { retention } = keys { *retention } else { 0 };
    Ok(DesiredMount {
        cluster: cluster.name.clone(),
        path: auth.mount.clone(),
        method: AuthMethod::Jwt,
        managed: auth.managed,
        description: auth.description.clone(),
        tune: super::tune(&auth.tune),
        exclusive: auth.exclusive,
        config: Some(ConfigDocument::Jwt(config.normalised())),
        provider: if auth.provider_config.is_some() { SaidBy::File } else { SaidBy::Mount },
        keeps_unsaid: !auth.whole,
        extensions: if auth.cert_extensions.is_some() { SaidBy::File } else { SaidBy::Mount },
        keys: facts.keys.clone(),
        key_retention,
        reviewer: None,
        roles: cluster.roles.iter().map(desired_role).collect(),
    })
}

/// The whole configuration, with one source of keys.
fn config(cluster: &config::Cluster, keys: &KeySource, facts: &ClusterFacts) -> Result<JwtConfig> {
    let issuer = cluster.auth.issuer.as_ref().unwrap_or(&facts.issuer).clone();
    // Left empty, Vault would accept ten algorithms.
    let mut algorithms = keys::algorithms(&facts.keys);
    let ca = facts.ca.clone().unwrap_or_default();
    let mut config = JwtConfig {
        bound_issuer: issuer.clone(),
        default_role: cluster.auth.default_role.as_ref().map(ToString::to_string).unwrap_or_default(),
        unsupported_critical_cert_extensions: cluster.auth.cert_extensions.clone().unwrap_or_default(),
        provider_config: cluster.auth.provider_config.clone().unwrap_or_default(),
        ..JwtConfig::default()
    };
    match keys {
        // One block for each element: a bundle in one string is refused.
        KeySource::Pinned { .. } => {
            config.jwt_validation_pubkeys =
                facts.keys.iter().map(|key| keys::pinned(&key.key, key.kid.as_deref())).collect();
        }
        KeySource::JwksUrl { url } => {
            let url = url.as_ref().or(facts.jwks_uri.as_ref()).ok_or_else(|| {
                Error::failed(format!("cluster {} does not say where it publishes its keys", cluster.name))
                    .remedy("name the URL, as Vault reaches it, with `auth.jwksUrl`")
            })?;
            config.jwks_url.clone_from(url);
            config.jwks_ca_pem = ca;
        }
        // The provider is their source.
        KeySource::Authenticated => {}
        KeySource::OidcDiscovery => {
            if issuer.contains("/.well-known/") {
                return Err(Error::failed(format!(
                    "the issuer {issuer:?} of cluster {} contains `.well-known`, which Vault appends by itself",
                    cluster.name
                ))
                .remedy("write `keys: jwksUrl` or `keys: pinned`"));
            }
            config.oidc_discovery_url = issuer;
            config.oidc_discovery_ca_pem = ca;
        }
    }
    if !matches!(keys, KeySource::Pinned { .. }) {
        // Vault fetches a new key before this tool runs again, and that may be of another kind.
        algorithms.extend(JwsAlgorithm::ALL_OF_KUBERNETES);
    }
    config.jwt_supported_algs = algorithms.iter().map(ToString::to_string).collect();
    Ok(config)
}

/// A role, whole.
pub(super) fn desired_role(role: &config::Role) -> DesiredRole {
    DesiredRole { name: role.name.clone(), document: RoleDocument::Jwt(self::role(role)).normalised() }
}

/// Every field of one role, because a POST keeps what it doesn't name.
fn role(role: &config::Role) -> JwtRole {
    let mut bound_claims: std::collections::BTreeMap<String, Value> =
        role.bound_claims.iter().map(|(claim, values)| (claim.clone(), values.clone().into())).collect();
    if !role.service_accounts.is_empty() {
        let subjects: Vec<String> = role.service_accounts.iter().map(ServiceAccountRef::subject).collect();
        bound_claims.insert("sub".to_owned(), subjects.into());
    }
    let Leeways { expiration, not_before, clock_skew } = role.leeways;
    JwtRole {
        role_type: "jwt".to_owned(),
        user_claim: role.user_claim.clone(),
        user_claim_json_pointer: role.user_claim.starts_with('/'),
        bound_audiences: role.audiences.iter().map(ToString::to_string).collect(),
        bound_claims,
        claim_mappings: role.claim_mappings.clone(),
        groups_claim: role.groups_claim.clone().unwrap_or_default(),
        bound_claims_type: if role.allow_globs { "glob" } else { "string" }.to_owned(),
        expiration_leeway: expiration.unwrap_or(0),
        not_before_leeway: not_before.unwrap_or(0),
        clock_skew_leeway: clock_skew.unwrap_or(0),
        token: token_fields(role),
        ..JwtRole::default()
    }
}
