//! Whom a role takes, as its document says it: no more than reading, and no Vault.

use serde_json::Value;

use super::glob;
use crate::access::who::bound_values;
use crate::model::{JwtRole, KubernetesRole, RoleDocument};
use crate::names::ServiceAccountRef;

/// Namespace and name of a service account's subject.
pub(super) fn parts(subject: &str) -> Option<(&str, &str)> {
    subject.strip_prefix("system:serviceaccount:")?.split_once(':')
}

/// The subjects that a jwt role takes: where `bound_subject` and `bound_claims` both name some, what both do.
pub(super) fn bound_subjects(role: &JwtRole) -> Vec<String> {
    let listed = values(role.bound_claims.get("sub"));
    match role.bound_subject.as_str() {
        "" => listed,
        subject if listed.is_empty() || takes_subject(role, subject).is_ok() => vec![subject.to_owned()],
        _ => Vec::new(),
    }
}

/// Whether a role takes a subject; else the server's words.
pub(super) fn takes(role: &RoleDocument, subject: &str) -> Result<(), &'static str> {
    match role {
        RoleDocument::Jwt(role) => takes_subject(role, subject),
        RoleDocument::Kubernetes(role) => takes_account(role, subject),
    }
}

/// Whether a jwt role takes a subject; else the server's words.
fn takes_subject(role: &JwtRole, subject: &str) -> Result<(), &'static str> {
    if !role.bound_subject.is_empty() && role.bound_subject != subject {
        return Err("invalid subject (sub) claim");
    }
    let bound = values(role.bound_claims.get("sub"));
    if bound.is_empty() || bound.iter().any(|bound| matches(role, bound, subject)) {
        return Ok(());
    }
    Err("error validating claims: claim \"sub\" does not match any associated bound claim values")
}

/// Whether a claim of a token is a bound one.
pub(super) fn matches(role: &JwtRole, bound: &str, has: &str) -> bool {
    if role.bound_claims_type == "glob" { glob::matches(bound, has) } else { bound == has }
}

/// Whether a kubernetes role takes a subject; else the server's words.
fn takes_account(role: &KubernetesRole, subject: &str) -> Result<(), &'static str> {
    let Some((namespace, name)) = parts(subject) else { return Err("service account name not authorized") };
    if !role.bound_service_account_names.iter().any(|bound| glob::matches(bound, name)) {
        return Err("service account name not authorized");
    }
    // What a selector of labels takes only the cluster can say.
    if !names_namespace(role, namespace) && role.bound_service_account_namespace_selector.is_empty() {
        return Err("namespace not authorized");
    }
    Ok(())
}

/// Whether a kubernetes role takes a namespace by its name.
pub(super) fn names_namespace(role: &KubernetesRole, namespace: &str) -> bool {
    role.bound_service_account_namespaces.iter().any(|bound| glob::matches(bound, namespace))
}

/// Whether a role names an account, patterns apart.
pub(super) fn lists(document: &RoleDocument, account: &ServiceAccountRef) -> bool {
    match document {
        RoleDocument::Jwt(role) => {
            let subject = account.subject();
            role.bound_subject == subject || values(role.bound_claims.get("sub")).contains(&subject)
        }
        RoleDocument::Kubernetes(role) => {
            // Which namespaces a selector of labels names is for the cluster to say.
            let selected = !role.bound_service_account_namespace_selector.is_empty();
            role.bound_service_account_names.contains(&account.name)
                && (selected || role.bound_service_account_namespaces.contains(&account.namespace))
        }
    }
}

/// The values of a bound claim.
pub(super) fn values(claim: Option<&Value>) -> Vec<String> {
    claim.map(bound_values).unwrap_or_default()
}
