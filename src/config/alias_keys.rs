//! What fills a policy in has to be there: metadata that a login as the role doesn't have give it nothing.

use super::diagnostic::Problems;
use super::policies::Policies;
use super::suggest::listed;
use super::{Auth, Cluster, Grant, Method, Role};
use crate::policy::{KUBERNETES_METADATA, accessor_symbol, of_aliases};

/// Reports what roles' policies are filled in from and their logins lack.
pub(super) fn check(clusters: &[Cluster], policies: &Policies, problems: &mut Problems) {
    for Cluster { auth, roles, .. } in clusters {
        let symbol = accessor_symbol(&auth.mount);
        for role in roles {
            let Some(given) = given(auth, role) else { continue };
            for policy in policies.of(role) {
                let mut keys = policy.grants.iter().flat_map(|grant| keys(grant, &symbol));
                let Some(key) = keys.find(|key| !given.contains(key)) else { continue };
                let remedy = match auth.method {
                    Method::Jwt(_) => {
                        format!("map a claim to it, such as `claimMappings: {{ /kubernetes.io/namespace: {key} }}`")
                    }
                    Method::Kubernetes(_) => format!("name one of what the method gives: {}", listed(given)),
                };
                let (policy, name) = (&policy.name, &role.name);
                problems.add(
                    role.position,
                    format!("the policy {policy} is filled in from the metadata `{key}`, which no login as {name} has"),
                    remedy,
                );
                break;
            }
        }
    }
}

/// The metadata that a login gives its alias; `None` where annotations may say anything.
fn given<'a>(auth: &Auth, role: &'a Role) -> Option<Vec<&'a str>> {
    match &auth.method {
        Method::Jwt(_) => {
            Some(std::iter::once("role").chain(role.claim_mappings.values().map(String::as_str)).collect())
        }
        Method::Kubernetes(auth) => (!auth.annotations_as_metadata).then(|| KUBERNETES_METADATA.to_vec()),
    }
}

/// The metadata of aliases of a mount, for whose accessor this stands, that a path is filled in from.
fn keys<'g>(grant: &'g Grant, symbol: &str) -> impl Iterator<Item = &'g str> {
    of_aliases(grant.path()).filter(move |part| part.accessor == symbol).filter_map(|part| part.metadata())
}
