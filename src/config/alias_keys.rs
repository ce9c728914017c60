//! What fills a policy in has to be there: metadata that a login as the role doesn't have give it nothing.

use super::diagnostic::Problems;
use super::policies::Policies;
use super::suggest::listed;
use super::{Auth, Cluster, Grant, Method, Role};
use crate::policy::accessor_symbol;

/// What a kubernetes mount gives each alias.
const OF_KUBERNETES: [&str; 4] =
    ["service_account_name", "service_account_namespace", "service_account_secret_name", "service_account_uid"];

/// Reports what roles' policies are filled in from and their logins lack.
pub(super) fn check(clusters: &[Cluster], policies: &Policies, problems: &mut Problems) {
    for Cluster { auth, roles, .. } in clusters {
        for role in roles {
            let Some(given) = given(auth, role) else { continue };
            let of_role = policies.list.iter().map(|built| &built.policy);
            for policy in of_role.filter(|policy| role.policies.contains(&policy.name)) {
                let keys = policy.grants.iter().flat_map(|grant| keys(grant, auth));
                let Some(key) = keys.into_iter().find(|key| !given.contains(&key.as_str())) else { continue };
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
        Method::Kubernetes(auth) => (!auth.annotations_as_metadata).then(|| OF_KUBERNETES.to_vec()),
    }
}

/// The metadata of aliases of a mount that a path is filled in from.
fn keys(grant: &Grant, auth: &Auth) -> Vec<String> {
    let of_mount = format!("identity.entity.aliases.{}.metadata.", accessor_symbol(&auth.mount));
    let templates = grant.path().split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0.trim()));
    templates.filter_map(|template| template.strip_prefix(&of_mount)).map(str::to_owned).collect()
}
