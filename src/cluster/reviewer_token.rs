//! The token that Vault presents to the `TokenReview` API: where it comes from.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use secrecy::SecretString;

use super::connect::Connection;
use super::error::explain;
use super::token::{ServiceAccountToken, request_token};
use crate::error::{Error, Result};
use crate::model::TokenSource;
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
    pub(super) account: Option<ServiceAccountRef>,
    /// When it expires, in seconds since 1970, where it does.
    pub(super) expires: Option<u64>,
    /// For how many seconds it was asked, where it was.
    pub(super) asked: Option<u64>,
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
        let secret = secrets
            .get_opt(name)
            .await
            .map_err(|error| explain(connection.refused(&format!("the Secret {}/{name}", account.namespace), error)))?;
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
