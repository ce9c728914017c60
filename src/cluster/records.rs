//! What is remembered of the tokens that mounts were given.
//!
//! No server shows the token that a mount has. What was written is therefore recorded as an annotation of the reviewer's
//! service account: the token's digest and its time, never the token. Each mount of each Vault has a record of its own.

use std::collections::BTreeMap;

use futures::stream::{StreamExt, iter};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;

use super::connect::Connection;
use super::error::explain;
use super::objects::delegated_reviewers;
use super::reviewer_token::{ReviewerJwt, from_elsewhere, seconds_now};
use crate::config::Reviewer;
use crate::error::{Error, Result};
use crate::model::{FIELD_MANAGER, ObservedReviewer, RECORDS, Record, digest};
use crate::names::ServiceAccountRef;

/// Remembers on the reviewer's service account which token the mount was given. One that is no account's is remembered where another
/// was before it: what is remembered there would be wrong.
///
/// # Errors
/// When the cluster refuses.
pub async fn record(connection: &Connection, key: &str, vault: &str, jwt: &ReviewerJwt) -> Result<()> {
    let ReviewerJwt { token, account, expires, asked } = jwt;
    let accounts = if let Some(account) = account {
        vec![account.clone()]
    } else {
        let all = remembering(connection).await.found.into_iter();
        all.filter(|found| found.annotations.contains_key(key)).map(|found| found.account).collect()
    };
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
    for account in accounts {
        let api: Api<ServiceAccount> = Api::namespaced(connection.client(), &account.namespace);
        api.patch(&account.name, &params, &Patch::Merge(&patch))
            .await
            .map_err(|error| explain(connection.refused(&format!("remembering the token on {account}"), error)))?;
    }
    Ok(())
}

/// What there is of a reviewer whose token comes from elsewhere: which token that is, and what is remembered of tokens that mounts were
/// given before, on the accounts that review. Nothing fails for what can't be read: it says why that is not known.
pub async fn observe_elsewhere(connection: &Connection, reviewer: &Reviewer) -> ObservedReviewer {
    let token = from_elsewhere(&reviewer.token_source()).ok().flatten();
    let mut records = BTreeMap::<String, String>::new();
    let Records { found, unread } = remembering(connection).await;
    for account in found {
        for (key, text) in account.annotations {
            // Of two that remember a token of the same mount, the later one counts.
            let written = |text: &str| serde_json::from_str::<Record>(text).map_or(0, |record| record.written);
            if records.get(&key).is_none_or(|other| written(other) < written(&text)) {
                records.insert(key, text);
            }
        }
    }
    ObservedReviewer {
        account: (!records.is_empty()).then_some(records),
        elsewhere: token.map(|jwt| digest(&jwt.token)),
        unread,
        ..ObservedReviewer::default()
    }
}

/// A service account that remembers tokens which mounts were given.
struct Remembering {
    account: ServiceAccountRef,
    annotations: BTreeMap<String, String>,
}

/// The accounts that remember tokens, and why there may be more.
struct Records {
    found: Vec<Remembering>,
    unread: Option<String>,
}

/// How many accounts that may review are looked at, and how many of them at once: a cluster has a handful.
const MOST_REVIEWERS: usize = 500;
const AT_ONCE: usize = 16;

/// The service accounts that may review tokens and remember some, as far as they can be read.
async fn remembering(connection: &Connection) -> Records {
    let reviewers = match delegated_reviewers(connection).await {
        Ok(reviewers) => reviewers,
        Err(error) => return Records { found: Vec::new(), unread: Some(error.to_string()) },
    };
    let accounts = reviewers.iter().filter_map(|name| name.parse::<ServiceAccountRef>().ok());
    let read = accounts.take(MOST_REVIEWERS).map(async |account: ServiceAccountRef| {
        let api: Api<ServiceAccount> = Api::namespaced(connection.client(), &account.namespace);
        let what = format!("the service account {account}");
        let found = match api.get_opt(&account.name).await.map_err(|error| connection.refused(&what, error)) {
            Ok(found) => found?,
            Err(error) => return Some(Err(error.to_string())),
        };
        let mut annotations = found.metadata.annotations.unwrap_or_default();
        annotations.retain(|key, _| key.starts_with(RECORDS));
        (!annotations.is_empty()).then_some(Ok(Remembering { account, annotations }))
    });
    let read: Vec<Result<_, String>> =
        iter(read).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
    let unread = read.iter().filter_map(|read| read.as_ref().err()).min().cloned();
    let found = read.into_iter().flatten().collect();
    let many = (reviewers.len() > MOST_REVIEWERS).then(|| format!("more than {MOST_REVIEWERS} accounts review tokens"));
    Records { found, unread: unread.or(many) }
}
