//! Whom the role takes beside those that are meant.

use crate::names::ServiceAccountRef;
use crate::vault::{JwtRole, KubernetesRole, RoleDocument};
use crate::verify::binding::values;
use crate::verify::finding::Finding;
use crate::verify::links::role::unread;
use crate::verify::scene::RoleScene;

/// Whether the role takes more than was meant.
pub(super) async fn nobody_else(scene: &RoleScene) -> Finding {
    let extra = match scene.held().await {
        Some(RoleDocument::Jwt(role)) => taken_by_jwt(scene, role),
        Some(RoleDocument::Kubernetes(role)) => taken_by_kubernetes(scene, role),
        _ => return unread(),
    };
    if extra.is_empty() {
        return Finding::passed("nothing in it takes anybody else");
    }
    let finding = Finding::failed(format!("the role takes more than was meant: {}", extra.join("; ")))
        .why("whoever gets such a token reads what was meant for somebody else");
    match scene.mount.source.bootstrap() {
        Some(remedy) => finding.mend([remedy]),
        None => finding.to_do(
            "bind it to the accounts alone: a role of its own for each namespace, and an audience; `vaultk8s role` writes such roles",
        ),
    }
}

fn taken_by_jwt(scene: &RoleScene, role: &JwtRole) -> Vec<String> {
    let mut extra = Vec::new();
    let by_claims = role.bound_claims.keys().any(|claim| claim != "sub");
    let subjects = values(role.bound_claims.get("sub"));
    if role.bound_subject.is_empty() && role.bound_claims.is_empty() {
        extra.push("every service account that gets a token for its audience".to_owned());
    }
    if let Some(expected) = &scene.expected {
        let meant: Vec<String> = expected.service_accounts.iter().map(ServiceAccountRef::subject).collect();
        if !expected.allow_globs && expected.bound_claims.is_empty() {
            extra.extend(beside(&meant, subjects.iter().cloned()));
        }
    }
    if role.bound_claims_type == "glob" && !by_claims && scene.expected.as_ref().is_none_or(|role| !role.allow_globs) {
        extra.extend(
            subjects.iter().filter(|subject| subject.contains('*')).map(|subject| format!("whoever matches {subject}")),
        );
    }
    extra.dedup();
    extra
}

fn taken_by_kubernetes(scene: &RoleScene, role: &KubernetesRole) -> Vec<String> {
    let mut extra = Vec::new();
    let globs = scene.expected.as_ref().is_some_and(|role| role.allow_globs);
    let any_audience = scene.expected.as_ref().is_some_and(|role| role.audience.is_none());
    let (names, namespaces) = (&role.bound_service_account_names, &role.bound_service_account_namespaces);
    if !globs {
        for pattern in names.iter().chain(namespaces).filter(|pattern| pattern.contains('*')) {
            extra.push(format!("whoever matches {pattern:?}"));
        }
    }
    if !role.bound_service_account_namespace_selector.is_empty() {
        extra.push(format!("namespaces with the labels {}", role.bound_service_account_namespace_selector));
    }
    if role.audience.is_empty() && !any_audience {
        extra.push("tokens that were meant for somebody else, because it names no audience".to_owned());
    }
    let meant: Vec<String> = match (&scene.expected, &scene.account) {
        (Some(role), _) => role.service_accounts.iter().map(ToString::to_string).collect(),
        (None, Some(_)) if names.len() > 1 && namespaces.len() > 1 => {
            extra.push(format!("each of {} in each of {}", names.join(", "), namespaces.join(", ")));
            return extra;
        }
        (None, _) => return extra,
    };
    if !globs {
        let product =
            namespaces.iter().flat_map(|namespace| names.iter().map(move |name| format!("{namespace}/{name}")));
        extra.extend(beside(&meant, product.filter(|account| !account.contains('*'))));
    }
    extra
}

/// Whom a role takes beside those that are meant. A role that takes none of those is bound to somebody else altogether,
/// which is one fault, and [`BOUND_ACCOUNT`](crate::verify::catalogue::BOUND_ACCOUNT)'s to tell.
fn beside(meant: &[String], taken: impl Iterator<Item = String>) -> Vec<String> {
    let (meant, others): (Vec<String>, Vec<String>) = taken.partition(|taken| meant.contains(taken));
    if meant.is_empty() { Vec::new() } else { others }
}
