//! The service account's token: does the cluster give one, is it valid now, of the issuer that the mount trusts, and
//! signed with a key that the mount has?

use jiff::Timestamp;

use crate::cluster::TokenClaims;
use crate::keys::PublicKey;
use crate::model::AuthMethod;
use crate::verify::catalogue::{REVIEW, TOKEN, TOKEN_ISSUER, TOKEN_KEY, TOKEN_VALID};
use crate::verify::facts::cluster::AccountUid;
use crate::verify::facts::login::Presented;
use crate::verify::facts::{Known, Knows, some};
use crate::verify::finding::{Finding, list, sentence};
use crate::verify::links::jwt::PLACES;
use crate::verify::links::mount::{correct, unread};
use crate::verify::links::no_token::no_token;
use crate::verify::links::pinned_keys::pinned_keys;
use crate::verify::links::role::nobody;
use crate::verify::links::token_review::reviewed;
use crate::verify::scene::{RoleScene, Source};
use crate::verify::walk::{Row, row};

/// How far past its end, or before its beginning, a token still is accepted unless the role says otherwise, in seconds.
const LEEWAY: i64 = 60;

/// Getting the token.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] = &[row!(TOKEN, given)];

/// What can be said of it at a `jwt` mount.
pub(in crate::verify) const JWT_ROWS: &[Row<RoleScene>] =
    &[row!(TOKEN_ISSUER, issuer), row!(TOKEN_VALID, valid), row!(TOKEN_KEY, key)];

/// What can be said of it at a `kubernetes` mount.
pub(in crate::verify) const KUBERNETES_ROWS: &[Row<RoleScene>] = &[row!(TOKEN_VALID, valid), row!(REVIEW, reviewed)];

fn given(scene: &RoleScene) -> Known<Finding> {
    if !scene.is_presented() && scene.account.is_none() {
        return nobody(scene);
    }
    if !scene.is_presented() && scene.mount.cluster.connected().is_none() {
        return Ok(Finding::skipped(no_token(scene)));
    }
    Ok(match scene.token()? {
        Ok(token) => {
            let TokenClaims { issuer, subject, audiences, expires, .. } = &token.claims;
            let until = i64::try_from(*expires).ok().and_then(|at| Timestamp::from_second(at).ok());
            Finding::passed(format!("of {subject}, for {}", list(audiences.0.iter().map(String::as_str))))
                .with("iss", issuer.clone())
                .with("kid", token.kid.clone().unwrap_or_else(|| "none".to_owned()))
                .with("valid until", until.map_or_else(|| "no time is named".to_owned(), |until| until.to_string()))
        }
        // Not to be allowed to ask for it is no fault of the consumer's, who has one.
        Err(error) if error.is_forbidden() && !matches!(scene.mount.source, Source::Bootstrap) => {
            Finding::unseen(sentence(error))
                .to_do(match &scene.account {
                    Some(account) => format!(
                        "allow `create` on serviceaccounts/token in {} to whoever runs this (--as, --context)",
                        account.namespace
                    ),
                    None => "allow `create` on serviceaccounts/token to whoever runs this".to_owned(),
                })
                .to_do("or bring a token of the consumer along: --jwt-file")
        }
        Err(error) => {
            Finding::error(error).why("what the consumer can't get from the cluster it can't present to Vault")
        }
    })
}

fn valid(scene: &RoleScene) -> Known<Finding> {
    let Ok(token) = scene.token()? else { return Ok(Finding::skipped("there is no token")) };
    let time = scene.mount.vault.time(scene.moment())?;
    let now = time.vault.unwrap_or(time.here);
    let at = |seconds: i64| Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |at| at.to_string());
    let seconds = |claim: &str| token.claims.value(claim).and_then(|value| value.parse::<i64>().ok());
    let expires = Some(token.claims.expires).filter(|at| *at != 0).map(|at| i64::try_from(at).unwrap_or(i64::MAX));
    let starts = ["nbf", "iat"].map(|claim| (claim, seconds(claim)));
    let leeway = leeway(scene)?;
    let with_leeway = |finding: Finding| match leeway {
        LEEWAY => finding,
        other => finding.with("the role's clock_skew_leeway", format!("{other} s")),
    };
    if let Some(over) = expires.map(|at| now - at).filter(|over| *over > 0) {
        let end = at(now - over);
        let compared =
            |finding: Finding| with_leeway(finding.with("the token's exp", end.clone()).with("Vault's clock", at(now)));
        if over > leeway {
            return Ok(compared(Finding::failed(format!("the token expired {over} s ago")))
                .why("`invalid expiration time (exp) claim: token is expired`")
                .to_do("present a new token: TokenRequest gives one (--service-account), and a projected volume renews its own"));
        }
        return Ok(compared(Finding::warning(format!(
            "the token expired {over} s ago; what Vault allows for clocks still lets it in"
        )))
        .to_do("present a new token"));
    }
    for (claim, from) in starts {
        if let Some(from) = from.filter(|from| *from > now.saturating_add(leeway)) {
            let finding = Finding::failed(format!("the token is valid only in {} s, by Vault's clock", from - now));
            return Ok(with_leeway(finding.with(format!("the token's {claim}"), at(from)).with("Vault's clock", at(now)))
                .why("`invalid not before (nbf) claim: token not yet valid`, `invalid issued at (iat) claim: token issued in the future`")
                .to_do("set the clock that is wrong, and let both machines keep time (NTP)"));
        }
    }
    let timeless = expires.is_none() && starts.iter().all(|(_, from)| from.is_none());
    if timeless && scene.mount.method()? == Some(AuthMethod::Jwt) {
        return Ok(Finding::failed("the token doesn't say when it is valid")
            .with("the token's exp, nbf and iat", "none")
            .why("`no issued at (iat), not before (nbf), or expiration time (exp) claims in token`")
            .to_do(
                "present a token of TokenRequest (a projected volume has one): one that stands in a Secret never ends",
            ));
    }
    Ok(of_the_account_that_is_there(scene, token)?.unwrap_or_else(|| {
        Finding::passed(match expires {
            Some(expires) => format!("for another {} s", expires - now),
            None => "no end is named".to_owned(),
        })
    }))
}

/// How many seconds the clocks may be apart for the role: as it says (`jwt`), else as both methods do.
fn leeway(scene: &RoleScene) -> Known<i64> {
    Ok(match scene.held()?.and_then(|document| document.jwt()).map_or(0, |role| role.clock_skew_leeway) {
        0 => LEEWAY,
        seconds => seconds.max(0),
    })
}

/// A service account that was deleted and made anew is another one: tokens of the first end with it. Of a token of another
/// cluster nothing can be said here.
fn of_the_account_that_is_there(scene: &RoleScene, token: &Presented) -> Known<Option<Finding>> {
    if let Ok(published) = scene.mount.cluster.published()? {
        let kid = token.kid.clone();
        if token.claims.issuer != published.issuer || !published.keys.iter().any(|key| key.kid == kid) {
            return Ok(None);
        }
    }
    let has = some!(token.claims.text("/kubernetes.io/serviceaccount/uid"));
    let account = some!(scene.account.as_ref());
    some!(scene.mount.cluster.connected());
    let there = AccountUid { cluster: scene.mount.cluster.name.clone(), account: account.clone() };
    let uid = some!(some!(scene.facts().get(&there)?.as_ref().ok()).clone());
    let asks = scene.mount.method()? == Some(AuthMethod::Kubernetes);
    let finding = if asks { Finding::failed } else { Finding::warning };
    Ok((uid != has).then(|| {
        finding(format!("the token is of a service account {account} that was deleted, and made anew since"))
            .with("the token's account has the uid", has)
            .with("the account that is there", uid)
            .why("the cluster no longer knows the token; a jwt mount, which never asks the cluster, goes on accepting it until it ends")
            .to_do("present a new token: restart the pods that hold the old one")
    }))
}

fn key(scene: &RoleScene) -> Known<Finding> {
    let Ok(token) = scene.token()? else { return Ok(Finding::skipped("there is no token")) };
    let Some(config) = scene.mount.jwt_config()? else {
        return Ok(unread());
    };
    let Some(kid) = token.kid.clone() else { return Ok(Finding::skipped("the token names no key")) };
    if config.jwt_validation_pubkeys.is_empty() {
        return Ok(Finding::passed(format!("{kid}; Vault fetches the keys by itself")));
    }
    let pinned: Vec<PublicKey> = pinned_keys(config).into_iter().flatten().collect();
    // Kubernetes makes the name of the key itself; others have a name that the cluster publishes, or published once.
    let records = scene.mount.key_records()?.unwrap_or_default();
    let published = scene.mount.cluster.published()?.as_ref().ok();
    let is_it = |key: &PublicKey| {
        let mut keys = published.into_iter().flat_map(|published| &published.keys);
        let id = key.id();
        id.base64() == kid
            || records.keys.get(&id).is_some_and(|record| record.known_as(&id) == kid)
            || keys.any(|published| published.kid.as_ref() == Some(&kid) && published.key == *key)
    };
    if pinned.iter().any(is_it) {
        return Ok(Finding::passed(kid));
    }
    let Some(published) = published else {
        return Ok(Finding::unseen(format!("{kid}; the cluster's keys can't be read to compare it with")));
    };
    let names: Vec<String> = pinned.iter().map(PublicKey::kubernetes_kid).collect();
    let own = published.keys.iter().any(|key| key.kid.as_ref() == Some(&kid));
    let finding = Finding::failed(if own {
        "the token is signed with a key of the cluster that the mount doesn't have"
    } else {
        "the token is signed with a key that neither the mount has nor the cluster publishes"
    })
    .with("the token's kid", kid)
    .with("the mount has", names.join(", "))
    .why("`error verifying token signature: no known key successfully validated the token signature`");
    if own {
        return Ok(finding.mend([correct(&scene.mount, AuthMethod::Jwt, PLACES, "`auth.keys` or `jwksFile`")?]));
    }
    Ok(finding.to_do("present a token of this cluster; if it is one, its keys were rotated since: take a new token"))
}

/// The issuer of a token that controllers write into Secrets, whatever the cluster's own is.
const LEGACY_ISSUER: &str = "kubernetes/serviceaccount";

/// The issuer of the token itself: one that was brought along need not be of the cluster that was looked at.
fn issuer(scene: &RoleScene) -> Known<Finding> {
    let Ok(token) = scene.token()? else { return Ok(Finding::skipped("there is no token")) };
    let Some(config) = scene.mount.jwt_config()? else { return Ok(unread()) };
    let (has, trusts) = (&token.claims.issuer, &config.bound_issuer);
    if trusts.is_empty() {
        return Ok(Finding::passed("the mount compares no issuer"));
    }
    if has == trusts {
        return Ok(Finding::passed(format!("both say {has:?}")));
    }
    let legacy = has == LEGACY_ISSUER;
    let finding = Finding::failed(if legacy {
        "the token is the legacy one of a Secret, which has another issuer than the mount trusts"
    } else {
        "the token has another issuer than the mount trusts"
    })
    .with("the token's iss", format!("{has:?}"))
    .with("the mount trusts", format!("{trusts:?}"))
    .why("Vault compares byte for byte: `error validating token: invalid issuer (iss) claim`");
    Ok(finding.to_do(if legacy {
        "take a token by TokenRequest (a projected volume has one): every cluster gives those that stand in \
         Secrets the same issuer"
    } else {
        "the token is of another cluster, or older than the cluster's present issuer: take a new one of this cluster"
    }))
}
