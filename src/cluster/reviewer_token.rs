//! The token that Vault presents to the `TokenReview` API: where it comes from, and what is remembered of it.
//!
//! No server shows the token that a mount has. What was written is therefore recorded as an annotation of the reviewer's
//! service account: the token's digest and its time, never the token. Each mount of each Vault has a record of its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use kube::api::{Api, Patch, PatchParams};
use secrecy::SecretString;
use serde_json::json;

use super::connect::Connection;
use super::error::{explain, refused_by};
use super::token::{ServiceAccountToken, request_token};
use crate::error::{Error, Result};
use crate::model::{FIELD_MANAGER, Record, TokenSource, digest};
use crate::names::ServiceAccountRef;
use crate::settings::{in_file, in_variable};

/// How long the controller manager is given to fill a Secret.
const FILLED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A reviewer's token.
#[derive(Debug)]
pub struct ReviewerJwt {
    /// The token.
    pub token: SecretString,
    /// Whose, where it is an account's that is looked after here.
    account: Option<ServiceAccountRef>,
    /// When it expires, in seconds since 1970, where it does.
    expires: Option<u64>,
    /// For how many seconds it was asked, where it was.
    asked: Option<u64>,
}

/// Gets the token: `None` where the mount is given none.
///
/// # Errors
/// When the cluster refuses, or nobody fills the Secret.
pub async fn reviewer_jwt(connection: &Connection, source: &TokenSource) -> Result<Option<ReviewerJwt>> {
    match source {
        TokenSource::Secret { account, name } => {
            let token = wait_for_secret(connection, account, name).await?;
            Ok(Some(ReviewerJwt { token, account: Some(account.clone()), expires: None, asked: None }))
        }
        TokenSource::Bound { account, seconds } => {
            let asked = Some(*seconds);
            let seconds = i64::try_from(*seconds).unwrap_or(i64::MAX);
            // Without audiences it is for the API server, which is who gets it.
            let token: ServiceAccountToken = request_token(connection, account, &[], seconds).await?;
            let expires = Some(token.claims.expires);
            Ok(Some(ReviewerJwt { token: token.secret().clone(), account: Some(account.clone()), expires, asked }))
        }
        TokenSource::File { .. } | TokenSource::Environment { .. } => from_elsewhere(source),
        TokenSource::Client | TokenSource::Local => Ok(None),
    }
}

/// The token, where it comes from a file or a variable: no cluster is asked for it.
///
/// # Errors
/// When it is not there, or can't be sent.
pub fn from_elsewhere(source: &TokenSource) -> Result<Option<ReviewerJwt>> {
    Ok(Some(given(match source {
        TokenSource::File { path } => in_file(path, REVIEWERS_TOKEN)?,
        TokenSource::Environment { name } => in_variable(name, REVIEWERS_TOKEN)?,
        TokenSource::Secret { .. } | TokenSource::Bound { .. } | TokenSource::Client | TokenSource::Local => {
            return Ok(None);
        }
    })))
}

/// What a token from elsewhere is called.
const REVIEWERS_TOKEN: &str = "reviewer's token";

/// A token from elsewhere, which only its server knows more of.
fn given(token: SecretString) -> ReviewerJwt {
    ReviewerJwt { token, account: None, expires: None, asked: None }
}

/// Remembers on the reviewer's service account which token the mount was given; one that is no account's is not remembered.
///
/// # Errors
/// When the cluster refuses.
pub async fn record(connection: &Connection, key: &str, vault: &str, jwt: &ReviewerJwt) -> Result<()> {
    let ReviewerJwt { token, account: Some(account), expires, asked } = jwt else { return Ok(()) };
    let record = Record {
        vault: vault.to_owned(),
        token: digest(token),
        written: seconds_now(),
        expires: *expires,
        asked: *asked,
    };
    let text = serde_json::to_string(&record)
        .map_err(|error| Error::failed("the record of the token could not be written").because(error))?;
    // Not server-side apply: that would take away the records of other mounts, which the same manager wrote.
    let patch = json!({ "metadata": { "annotations": { key: text } } });
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let accounts: Api<ServiceAccount> = Api::namespaced(connection.client(), &account.namespace);
    accounts.patch(&account.name, &params, &Patch::Merge(&patch)).await.map(drop).map_err(|error| {
        explain(refused_by(connection.server(), &format!("remembering the token on {account}"), error))
    })
}

/// The token in a Secret, if it has one.
pub(super) fn secret_token(secret: &Secret) -> Option<SecretString> {
    let token = &secret.data.as_ref()?.get("token")?.0;
    Some(SecretString::from(std::str::from_utf8(token).ok().filter(|token| !token.is_empty())?.to_owned()))
}

/// The token of a Secret, which the controller manager fills in after the Secret was made.
///
/// # Errors
/// When the cluster refuses, or nobody fills the Secret in time.
pub(super) async fn wait_for_secret(
    connection: &Connection,
    account: &ServiceAccountRef,
    name: &str,
) -> Result<SecretString> {
    let secrets: Api<Secret> = Api::namespaced(connection.client(), &account.namespace);
    let deadline = tokio::time::Instant::now() + FILLED_WITHIN;
    loop {
        let secret = secrets.get_opt(name).await.map_err(|error| {
            explain(refused_by(connection.server(), &format!("the Secret {}/{name}", account.namespace), error))
        })?;
        if let Some(token) = secret.as_ref().and_then(secret_token) {
            return Ok(token);
        }
        if tokio::time::Instant::now() >= deadline {
            let seconds = FILLED_WITHIN.as_secs();
            return Err(Error::failed(format!(
                "the Secret {}/{name} has had no token in it for {seconds} s",
                account.namespace
            ))
            .remedy("look whether the cluster's controller manager runs: it fills such Secrets")
            .remedy("or use `token: bound` for the reviewer, which needs no Secret"));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Now, in seconds since 1970.
pub(super) fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        let account = Some("a/b".parse().unwrap());
        let jwt = ReviewerJwt { token: SecretString::from("topsecret"), account, expires: None, asked: None };
        assert!(!format!("{jwt:?}").contains("topsecret"));
    }
}
