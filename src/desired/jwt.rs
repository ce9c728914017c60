//! A cluster with the `jwt` method → its mount, configuration and roles.

use serde_json::Value;

use super::tokens::token_fields;
use super::{DesiredMount, DesiredRole};
use crate::cluster::ClusterFacts;
use crate::config::{self, Leeways};
use crate::keys;
use crate::names::ServiceAccountRef;
use crate::vault::{AuthMethod, ConfigDocument, JwtConfig, JwtRole, RoleDocument};

/// The mount of one cluster.
pub(super) fn mount(cluster: &config::Cluster, facts: &ClusterFacts) -> DesiredMount {
    let auth = &cluster.auth;
    let config = JwtConfig {
        bound_issuer: auth.issuer.clone().unwrap_or_else(|| facts.issuer.clone()),
        // Left empty, Vault would accept ten algorithms.
        jwt_supported_algs: keys::algorithms(&facts.keys).iter().map(ToString::to_string).collect(),
        // One block for each element: a bundle in one string is refused.
        jwt_validation_pubkeys: facts.keys.iter().map(|key| key.key.to_pem()).collect(),
        ..JwtConfig::default()
    };
    let roles = cluster
        .roles
        .iter()
        .map(|role| DesiredRole { name: role.name.clone(), document: RoleDocument::Jwt(self::role(role)).normalised() })
        .collect();
    DesiredMount {
        cluster: cluster.name.clone(),
        path: auth.mount.clone(),
        method: AuthMethod::Jwt,
        description: auth.description.clone(),
        config: ConfigDocument::Jwt(config.normalised()),
        keys: facts.keys.clone(),
        reviewer: None,
        roles,
    }
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
        bound_audiences: vec![role.audience.to_string()],
        bound_claims,
        bound_claims_type: if role.allow_globs { "glob" } else { "string" }.to_owned(),
        expiration_leeway: expiration.unwrap_or(0),
        not_before_leeway: not_before.unwrap_or(0),
        clock_skew_leeway: clock_skew.unwrap_or(0),
        token: token_fields(role),
        ..JwtRole::default()
    }
}
