//! One login from end to end: a token from the cluster, the login, what it may do, and its end.

use std::collections::BTreeSet;

use super::kubernetes::explain_refusal;
use super::report::RoleReport;
use super::results::{Checks, Ended};
use super::{Subject, Trial, capabilities, checks};
use crate::cluster::{self, ServiceAccountToken};
use crate::config::TokenType;
use crate::error::Error;
use crate::names::Audience;
use crate::vault::{AuthMethod, Client, ConfigDocument, LoginAuth, VaultError, method, tokens};

/// How long the cluster's token is asked for: the least that an API server gives.
const TOKEN_SECONDS: i64 = 600;

/// Tries one login and reports every check that it got to.
pub(super) async fn try_role(subject: &Subject<'_>, trial: &Trial<'_>) -> RoleReport {
    let mut checks = Checks::default();
    // The checks hang on each other: the first that fails ends the way, and all that was found is in `checks`.
    let _ended_early = steps(subject, trial, &mut checks).await;
    RoleReport {
        cluster: trial.mount.cluster.clone(),
        mount: trial.mount.path.clone(),
        role: trial.role.name.clone(),
        service_account: trial.account.cloned(),
        checks: checks.into_results(),
    }
}

async fn steps(subject: &Subject<'_>, trial: &Trial<'_>, checks: &mut Checks) -> Result<(), Ended> {
    let token = service_account_token(subject, trial, checks).await?;
    let login = login(subject, trial, &token, checks).await?;
    let role_client = subject.client.with_token(login.client_token.clone());
    compare_policies(trial, &login, checks);
    capabilities::compare(subject, trial, &role_client, &login, checks).await;
    revoke(subject, &role_client, &login, checks).await;
    Ok(())
}

async fn service_account_token(
    subject: &Subject<'_>,
    trial: &Trial<'_>,
    checks: &mut Checks,
) -> Result<ServiceAccountToken, Ended> {
    if let Some(pattern) = trial.pattern {
        return Err(checks.skip(checks::TOKEN, format!("{pattern} is a pattern: it names nobody to log in as")));
    }
    let Some(account) = trial.account else {
        return Err(
            checks.skip(checks::TOKEN, "the role names no service account, only claims: there is nobody to log in as")
        );
    };
    let Some(connection) = subject.connections.get(&trial.mount.cluster) else {
        return Err(
            checks.skip(checks::TOKEN, "the cluster can't be reached from here, so there is no token to log in with")
        );
    };
    let token = cluster::request_token(connection, account, &trial.role.token_audiences, TOKEN_SECONDS)
        .await
        .map_err(|error| checks.fail(checks::TOKEN, &error))?;
    checks.pass(checks::TOKEN, format!("{} gave a token of {account}", connection.name()));
    let has = &token.claims.issuer;
    let Some(trusts) = trusted_issuer(trial) else { return Ok(token) };
    if has != trusts {
        let error = Error::failed(format!("the token says iss {has:?}, and the mount trusts {trusts:?}"))
            .remedy("take `auth.issuer` out of the configuration, so that the issuer comes from the cluster");
        return Err(checks.fail(checks::ISSUER, &error));
    }
    checks.pass(checks::ISSUER, format!("iss {has:?}"));
    Ok(token)
}

/// The issuer that the mount compares, where it compares one.
fn trusted_issuer<'a>(trial: &Trial<'a>) -> Option<&'a str> {
    let issuer = match trial.mount.config.as_ref()? {
        ConfigDocument::Jwt(config) => &config.bound_issuer,
        ConfigDocument::Kubernetes(config) => &config.issuer,
    };
    Some(issuer.as_str()).filter(|issuer| !issuer.is_empty())
}

async fn login(
    subject: &Subject<'_>,
    trial: &Trial<'_>,
    token: &ServiceAccountToken,
    checks: &mut Checks,
) -> Result<LoginAuth, Ended> {
    let (mount, role) = (&trial.mount.path, &trial.role.name);
    match subject.client.without_token().send(&method::login(mount, role, token.secret())).await {
        Ok(login) => {
            compare_lifetime(trial, &login.auth, checks);
            Ok(login.auth)
        }
        Err(VaultError::Forbidden { .. }) if !trial.role.token.bound_cidrs.is_empty() => Err(checks.skip(
            checks::LOGIN,
            format!(
                "the role takes logins only from {}, and this is elsewhere",
                trial.role.token.bound_cidrs.join(", ")
            ),
        )),
        Err(error @ VaultError::Forbidden { .. }) if bare(&error) && trial.mount.method == AuthMethod::Kubernetes => {
            let evidence = explain_refusal(subject, trial.mount, trial.role.audience.as_ref(), token).await;
            let error = Error::failed("Vault refused the login").because(error).remedy(evidence);
            Err(checks.fail(checks::LOGIN, &error))
        }
        Err(error) => Err(checks.fail(checks::LOGIN, &explain(trial, token, error))),
    }
}

/// Whether the server says no more than that it refuses.
pub(super) fn bare(error: &VaultError) -> bool {
    error.errors().iter().all(|said| said.trim() == "permission denied")
}

/// The server's words say which comparison failed; the values that it compared are here.
fn explain(trial: &Trial<'_>, token: &ServiceAccountToken, error: VaultError) -> Error {
    let said = error.to_string();
    let claims = &token.claims;
    let (audience, trusts) =
        (trial.role.audience.as_ref().map_or("any", Audience::as_str), trusted_issuer(trial).unwrap_or_default());
    let (evidence, remedy) = if said.contains("audience") {
        (
            format!("the token has aud {:?}, the role wants {audience:?}", claims.audiences.0),
            "make `tokenAudiences`, and the consumer's own `audiences`, name the role's `audience`".to_owned(),
        )
    } else if said.contains("(iss)") {
        (
            format!("the token has iss {:?}, the mount trusts {trusts:?}", claims.issuer),
            "take `auth.issuer` out of the configuration, so that the issuer comes from the cluster".to_owned(),
        )
    } else if let Some(claim) = said.split("claim \"").nth(1).and_then(|rest| rest.split('"').next()) {
        let has = claims.value(claim).map_or_else(|| "no such claim".to_owned(), |value| format!("{claim} {value}"));
        (format!("the token has {has}"), "correct `serviceAccounts` or `boundClaims` of the role".to_owned())
    } else if said.contains("not authorized") {
        (format!("the token has sub {:?}", claims.subject), "correct `serviceAccounts` of the role".to_owned())
    } else if said.contains("signature") {
        (
            "the mount knows no key that signed this token".to_owned(),
            "run `vaultk8s bootstrap` again: the keys rotated, or somebody changed the mount".to_owned(),
        )
    } else {
        (
            format!("the token has iss {:?}, sub {:?}, aud {:?}", claims.issuer, claims.subject, claims.audiences.0),
            format!("look at the server's words in {}", checks::LOGIN.anchor()),
        )
    };
    Error::failed(format!("Vault refused the login, and {evidence}")).because(error).remedy(remedy)
}

/// What the role asked for against what the mount's or the server's own limits made of it.
fn compare_lifetime(trial: &Trial<'_>, login: &LoginAuth, checks: &mut Checks) {
    let (mount, wanted) = (&trial.mount.path, &trial.role.token);
    let seconds = login.lease_duration;
    let kind = match wanted.token_type {
        TokenType::Default => None,
        TokenType::Service => Some("service"),
        TokenType::Batch => Some("batch"),
    };
    let tune = format!("look at the mount's limits: `vault read sys/mounts/auth/{mount}/tune`");
    if seconds < wanted.ttl && wanted.period == 0 {
        let wanted = wanted.ttl;
        checks.warn(checks::LOGIN, format!("its token lives for {seconds} s, not the {wanted} s of the role"), &tune);
    } else if let Some(kind) = kind.filter(|kind| *kind != login.token_type) {
        checks.warn(checks::LOGIN, format!("it gave a {} token, not a {kind} token", login.token_type), &tune);
    } else {
        checks.pass(checks::LOGIN, format!("auth/{mount}/login gave a token for {seconds} s"));
    }
}

/// What the login carries against what the role names.
fn compare_policies(trial: &Trial<'_>, login: &LoginAuth, checks: &mut Checks) {
    let mut expected: BTreeSet<&str> = trial.role.policies.iter().map(crate::names::PolicyName::as_str).collect();
    if !trial.role.token.no_default_policy {
        expected.insert("default");
    }
    let has: BTreeSet<&str> = login.token_policies.iter().map(String::as_str).collect();
    let identity = login.identity_policies.as_deref().unwrap_or_default();
    if has != expected {
        let error = Error::failed(format!("it carries {}, and the role names {}", list(&has), list(&expected)))
            .remedy("look whether somebody else changes the role: `vaultk8s plan`");
        checks.fail(checks::POLICIES, &error);
    } else if identity.is_empty() {
        checks.pass(checks::POLICIES, list(&has));
    } else {
        let extra = identity.iter().map(String::as_str).collect();
        checks.warn(
            checks::POLICIES,
            format!("{}, and its identity adds {}", list(&has), list(&extra)),
            "look at the entity and its groups: `vault list identity/entity/name`",
        );
    }
}

/// By itself, or by the operator where the token may not.
pub(super) async fn revoke(subject: &Subject<'_>, role_client: &Client, login: &LoginAuth, checks: &mut Checks) {
    if login.token_type == "batch" {
        checks.pass(checks::REVOKED, "a batch token leaves nothing behind; it ends by itself");
        return;
    }
    if role_client.send(&tokens::revoke_self()).await.is_ok() {
        checks.pass(checks::REVOKED, "by itself");
        return;
    }
    match subject.client.send(&tokens::revoke_accessor(&login.accessor)).await {
        Ok(_) => checks.pass(checks::REVOKED, "by its accessor, with the operator's token"),
        Err(error) => {
            let error = Error::from(subject.client.explain_forbidden(error).await);
            checks.warn(
                checks::REVOKED,
                format!("the test's token could not be revoked and lives for {} s: {error}", login.lease_duration),
                "let the operator's token `update` `auth/token/revoke-accessor`",
            );
        }
    }
}

fn list(names: &BTreeSet<&str>) -> String {
    if names.is_empty() { "none".to_owned() } else { names.iter().copied().collect::<Vec<_>>().join(", ") }
}
