//! Who must be refused: tokens for another audience, other service accounts, and tokens that nobody signed. Each is
//! tried; what is let in is logged out again at once, and is the worst that can be found.

use secrecy::SecretString;

use crate::cluster::{Connection, request_token, service_accounts};
use crate::names::{Audience, ServiceAccountRef};
use crate::vault::{RoleDocument, VaultError, method};
use crate::verify::binding::lists;
use crate::verify::catalogue::{OTHER_ACCOUNT, OTHER_AUDIENCE, OTHER_NAMESPACE, UNKNOWN_KEY};
use crate::verify::finding::Finding;
use crate::verify::links::login::revoke_token;
use crate::verify::scene::RoleScene;
use crate::verify::walk::{Row, row};

/// The tries that must fail.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] = &[
    row!(OTHER_AUDIENCE, other_audience),
    row!(OTHER_ACCOUNT, other_account),
    row!(OTHER_NAMESPACE, other_namespace),
    row!(UNKNOWN_KEY, unknown_key),
];

/// How long a stranger's token is asked for, in seconds: the least that an API server gives.
const LEAST_SECONDS: i64 = 600;

/// Where the own login was not accepted, that of a stranger proves nothing by being refused.
const NOT_COMPARABLE: &str = "the role's own login was not tried, so that a refusal would prove nothing";

/// What is needed to try: nothing is, where the role's own login was not tried.
async fn ready(scene: &RoleScene) -> Result<(&Connection, &ServiceAccountRef), Finding> {
    if scene.logged_in().await.is_none() {
        return Err(Finding::skipped(NOT_COMPARABLE));
    }
    match (scene.mount.cluster.connected(), &scene.account) {
        (Some(connection), Some(account)) => Ok((connection, account)),
        _ => Err(Finding::skipped("there is nobody to borrow a token of")),
    }
}

/// Tries to log in; `stranger` says as what.
async fn must_be_refused(scene: &RoleScene, stranger: &str, token: &SecretString) -> Finding {
    let client = &scene.mount.vault.client;
    match client.without_token().log_in(&method::login(&scene.mount.path, &scene.name, token)).await {
        Ok(login) => {
            let revoked = revoke_token(client, &login).await;
            let finding = Finding::failed(format!("Vault lets in {stranger}"))
                .with("it gave a token with", login.token_policies.join(", "))
                .with("what became of that token", revoked.detail)
                .why("whoever has such a token reads what was meant for the role's own service accounts");
            match scene.mount.source.bootstrap() {
                Some(remedy) => finding
                    .mend([remedy])
                    .to_do("or, if the file itself lets it in, correct `serviceAccounts`, `audience` and `allowGlobs` of the role"),
                None => finding.to_do("bind the role to its audience and to its service accounts: look at `vault read` of the role"),
            }
        }
        Err(error @ VaultError::SecondFactor { .. }) => Finding::failed(format!(
            "Vault lets in {stranger}, but for a second factor"
        ))
        .with("the server says", error.to_string())
        .why("the role takes whoever has such a token: what keeps them out is an enforcement that anybody may change")
        .mend(scene.mount.source.bootstrap())
        .to_do("bind the role to its audience and to its service accounts"),
        // What is no refusal says nothing about the token.
        Err(error) if error.is_refusal() => Finding::passed(format!("{stranger} is refused")),
        Err(error) => Finding::skipped(format!("whether {stranger} is refused could not be tried: {error}")),
    }
}

async fn other_audience(scene: &RoleScene) -> Finding {
    let (connection, account) = match ready(scene).await {
        Ok(ready) => ready,
        Err(finding) => return finding,
    };
    if scene.expected.as_ref().is_some_and(|role| role.audience.is_none()) {
        return Finding::skipped("the role is meant to take any audience (anyAudience)");
    }
    let Ok(other) = "vaultk8s-probe.invalid".parse::<Audience>() else {
        return Finding::skipped("there is no other audience");
    };
    match request_token(connection, account, &[other], LEAST_SECONDS).await {
        Ok(token) => {
            must_be_refused(scene, "a token that was made for somebody else (another audience)", token.secret()).await
        }
        Err(error) => Finding::unseen_because(&error),
    }
}

/// Whether the role is meant to take an account.
async fn is_meant(scene: &RoleScene, account: &ServiceAccountRef) -> bool {
    let patterns = |role: &crate::config::Role| {
        role.allow_globs || role.account_patterns.iter().any(|pattern| pattern.matches(account))
    };
    // Without a file, whom the role in Vault lists is meant.
    let listed = || async {
        scene.expected.is_none() && matches!(scene.held().await, Some(document) if lists(document, account))
    };
    scene.account.as_ref() == Some(account)
        || listed().await
        || scene.expected.as_ref().is_some_and(|role| role.service_accounts.contains(account) || patterns(role))
}

/// Those of the accounts that the role is not meant to take.
async fn strangers(scene: &RoleScene, accounts: Vec<ServiceAccountRef>) -> Vec<ServiceAccountRef> {
    let mut strangers = Vec::new();
    for account in accounts {
        if !is_meant(scene, &account).await {
            strangers.push(account);
        }
    }
    strangers
}

/// Whether accounts are bound by more than their names, so that a stranger may be meant: by the file, or without one by the
/// role in Vault.
async fn by_claims(scene: &RoleScene) -> bool {
    if let Some(role) = &scene.expected {
        return role.service_accounts.is_empty() || role.allow_globs;
    }
    matches!(
        scene.held().await,
        Some(RoleDocument::Jwt(role))
            if role.bound_subject.is_empty() && !role.bound_claims.is_empty() && !role.bound_claims.contains_key("sub")
    )
}

async fn borrowed(scene: &RoleScene, connection: &Connection, stranger: Option<ServiceAccountRef>) -> Finding {
    let Some(stranger) = stranger else { return Finding::skipped("there is none to borrow") };
    match request_token(connection, &stranger, &scene.audiences, LEAST_SECONDS).await {
        Ok(token) => must_be_refused(scene, &format!("the service account {stranger}"), token.secret()).await,
        Err(error) => Finding::unseen_because(&error),
    }
}

async fn other_account(scene: &RoleScene) -> Finding {
    let (connection, account) = match ready(scene).await {
        Ok(ready) => ready,
        Err(finding) => return finding,
    };
    if by_claims(scene).await {
        return Finding::skipped("the role is meant to take others as well");
    }
    let listed = service_accounts(connection, Some(&account.namespace)).await;
    let Ok(listed) = listed else {
        return Finding::unseen("the service accounts of the namespace can't be listed")
            .to_do("grant who runs this: list on serviceaccounts");
    };
    let strangers = strangers(scene, listed).await;
    borrowed(scene, connection, strangers.into_iter().next()).await
}

async fn other_namespace(scene: &RoleScene) -> Finding {
    let (connection, account) = match ready(scene).await {
        Ok(ready) => ready,
        Err(finding) => return finding,
    };
    if by_claims(scene).await {
        return Finding::skipped("the role is meant to take others as well");
    }
    let Ok(listed) = service_accounts(connection, None).await else {
        return Finding::unseen("the service accounts of other namespaces can't be listed")
            .to_do("grant who runs this: list on serviceaccounts, in all namespaces");
    };
    let elsewhere = listed.into_iter().filter(|other| other.namespace != account.namespace).collect();
    let elsewhere = strangers(scene, elsewhere).await;
    // One of the same name is the stranger that a loose role would take first.
    let stranger = elsewhere.iter().find(|other| other.name == account.name).or(elsewhere.first()).cloned();
    borrowed(scene, connection, stranger).await
}

async fn unknown_key(scene: &RoleScene) -> Finding {
    if scene.logged_in().await.is_none() {
        return Finding::skipped(NOT_COMPARABLE);
    }
    let Ok(token) = scene.token().await else { return Finding::skipped("there is no token") };
    must_be_refused(scene, "a token with a signature that no key of the cluster made", &token.forged()).await
}
