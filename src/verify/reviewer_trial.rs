//! Whether a `kubernetes` mount has the right reviewer's token, which nothing but a login shows.

use std::collections::BTreeSet;

use futures::stream::{StreamExt, iter};

use super::Subject;
use super::facts::login::end;
use super::facts::patience::Patience;
use super::facts::review::{Reviewed, review};
use super::links::login::bare;
use crate::cluster::{Connection, ServiceAccountToken, request_token, reviewer_jwt};
use crate::config::Role;
use crate::desired::DesiredMount;
use crate::model::{ConfigDocument, KubernetesConfig, TokenSource};
use crate::names::{MountPath, ServiceAccountRef};
use crate::plan::{Object, Plan};
use crate::vault::{VaultError, method};

/// How long a token for one login is asked for: the least that an API server gives.
const LEAST_SECONDS: i64 = 600;

/// The mounts that refuse a login which the reviewer in the cluster would let through: Vault has another token than that
/// reviewer's, and nothing but a login shows it.
///
/// Mounts and roles that the plan changes anyway are not tried, nor are those that have nobody to try.
pub async fn refusing_mounts(subject: &Subject<'_>, plan: &Plan, parallelism: usize) -> BTreeSet<MountPath> {
    let patience = &Patience::default();
    let planned: BTreeSet<&Object> = plan.changes.iter().map(|change| &change.object).collect();
    let trials = subject.config.clusters.iter().filter_map(|cluster| {
        let mount = subject.desired.mounts.iter().find(|mount| mount.cluster == cluster.name)?;
        let path = &mount.path;
        let ready = |object: Object| !planned.contains(&object);
        let reviewed = mount.reviewer.as_ref()?.token.is_given();
        (reviewed && ready(Object::Mount { mount: path.clone() }) && ready(Object::Config { mount: path.clone() }))
            .then_some(())?;
        let candidates = cluster.roles.iter().filter(move |role| {
            ready(Object::Role { mount: path.clone(), name: (&role.name).into() }) && role.token.bound_cidrs.is_empty()
        });
        let candidates: Vec<_> =
            candidates.flat_map(|role| role.service_accounts.iter().map(move |account| (role, account))).collect();
        Some(async move {
            // In turn, until one tells: an account that isn't there, say, tells nothing of the reviewer.
            for (role, account) in candidates {
                if subject.interrupt.is_set() {
                    break;
                }
                if let Some(refused) = refuses(subject, mount, role, account, patience).await {
                    return refused.then(|| path.clone());
                }
            }
            None
        })
    });
    let refusing: Vec<Option<MountPath>> = iter(trials).buffer_unordered(parallelism).collect().await;
    refusing.into_iter().flatten().collect()
}

/// Whether a mount refuses a token that the cluster accepts; `None` where that can't be told. What else may be wrong is for
/// [`super::verify`] to tell.
async fn refuses(
    subject: &Subject<'_>,
    mount: &DesiredMount,
    role: &Role,
    account: &ServiceAccountRef,
    patience: &Patience,
) -> Option<bool> {
    let Some(ConfigDocument::Kubernetes(config)) = &mount.config else { return None };
    let connection = subject.connections.get(&mount.cluster)?;
    let asked = role.consumers().into_iter().next().unwrap_or_default();
    let token = request_token(connection, account, &asked, LEAST_SECONDS).await.ok()?;
    let (client, login) = (subject.client.without_token(), method::login(&mount.path, &role.name, token.secret()));
    let answer = client.log_in(&login).await;
    match patience.log_in(&client, &login, answer).await {
        Ok(login) => {
            // What can't be revoked ends by itself; verification says so.
            end(subject.client, &login).await;
            Some(false)
        }
        Err(error @ VaultError::Forbidden { .. }) if bare(&error) => {
            accepts(connection, mount, config, role, &token).await.then_some(true)
        }
        Err(_) => None,
    }
}

/// Whether the cluster accepts a token when it is asked as Vault would ask, with a token of the same reviewer.
async fn accepts(
    connection: &Connection,
    mount: &DesiredMount,
    config: &KubernetesConfig,
    role: &Role,
    token: &ServiceAccountToken,
) -> bool {
    let Some(reviewer) = &mount.reviewer else { return false };
    let source = match reviewer.token_source() {
        // For this one question, not for Vault.
        TokenSource::Bound { account, .. } => TokenSource::Bound { account, seconds: LEAST_SECONDS.unsigned_abs() },
        source => source,
    };
    let Ok(reviewer) = reviewer_jwt(connection, &source).await else { return false };
    let presented = reviewer.as_ref().map_or(token.secret(), |jwt| &jwt.token);
    // As Vault does, where the role names none: those of the token itself.
    let own = || token.claims.audiences.0.clone();
    let named: Vec<String> = role.audiences.iter().map(ToString::to_string).collect();
    let audiences = if named.is_empty() { own() } else { named };
    let proxies = connection.proxies_to(&config.kubernetes_host);
    matches!(review(config, presented, token.secret(), audiences, &proxies).await, Ok(Reviewed::Accepted))
}
