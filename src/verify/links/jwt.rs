//! The configuration of a `jwt` mount, against what the cluster publishes.

use crate::cluster::{Obstacle, is_the_clusters_own};
use crate::keys::{PublicKey, VerificationKey, algorithms};
use crate::model::{AuthMethod, JwtConfig, KeyPlace, KeysFrom};
use crate::verify::Status;
use crate::verify::catalogue::{ALGORITHMS, ISSUER, KEY_SOURCE, KEYS, STRANGE_KEYS};
use crate::verify::facts::network::AtKeyUrl;
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::{Finding, Remedy};
use crate::verify::links::fetched_keys::{OF_ITS_OWN_CLUSTER, fetched_keys};
use crate::verify::links::mount::{context_first, correct, unread};
use crate::verify::links::pinned_keys::{NO_KEY, pinned, pinned_keys};
use crate::verify::links::strange_keys::strange_keys;
use crate::verify::scene::{MountScene, key_places};
use crate::verify::walk::{Row, row};

/// The checks of a `jwt` mount's configuration.
pub(in crate::verify) const ROWS: &[Row<MountScene>] = &[
    row!(KEY_SOURCE, key_source),
    row!(ISSUER, issuer),
    row!(KEYS, keys),
    row!(STRANGE_KEYS, strange_keys),
    row!(ALGORITHMS, supported_algorithms),
];

fn key_source(mount: &MountScene) -> Known<Finding> {
    let Some(config) = mount.jwt_config()? else { return Ok(unread()) };
    let from = config.keys_from();
    if from == KeysFrom::Provider {
        return Ok(Finding::skipped(OF_ITS_OWN_CLUSTER));
    }
    let mut all = Vec::new();
    for place in key_places(&from) {
        let found = key_source_at(mount, config, place)?;
        if found.status != Status::Passed {
            return Ok(found);
        }
        all.push(found.detail);
    }
    Ok(Finding::passed(if all.is_empty() {
        "the keys are pinned: Vault fetches nothing".to_owned()
    } else {
        all.join("; ")
    }))
}

/// Whether Vault can fetch keys from one of the places that it has them from.
fn key_source_at(mount: &MountScene, config: &JwtConfig, (place, ca): (KeyPlace, Option<&str>)) -> Known<Finding> {
    let discovers = matches!(place, KeyPlace::Discovery { .. });
    if let (true, Ok(published)) = (discovers, mount.cluster.published()?)
        && published.issuer != config.oidc_discovery_url
    {
        return Ok(Finding::failed("the mount's discovery URL is not the cluster's issuer")
            .with("the mount's oidc_discovery_url", config.oidc_discovery_url.clone())
            .with("the cluster's issuer", published.issuer.clone())
            .why("Vault adds `/.well-known/openid-configuration` itself, and must find that very issuer there: else it knows no key")
            .mend([correct(mount, AuthMethod::Jwt, PLACES, "`auth.keys` or `auth.issuer`")?]));
    }
    let url = place.url();
    let at = AtKeyUrl { url: url.clone(), ca: ca.map(str::to_owned), cluster: mount.cluster.name.clone() };
    Ok(match mount.facts().get(&at)? {
        Ok(text) => match (what_is_there(mount, &url, text, discovers)?, mount.served_keys()?) {
            // The document is there, and what it leads to isn't.
            (finding, Some(Err(obstacle))) if discovers && finding.status == Status::Passed => {
                in_the_way(mount, obstacle)
            }
            (finding, _) => finding,
        },
        Err(obstacle) => in_the_way(mount, obstacle),
    })
}

/// What stands between Vault and the keys.
fn in_the_way(mount: &MountScene, obstacle: &Obstacle) -> Finding {
    let mut finding = Finding::error(&obstacle.error);
    if !obstacle.is_certain {
        return Finding { status: Status::Warning, ..finding };
    }
    finding = finding.why("Vault fetches the keys without credentials, and without them it knows no signature");
    if let (true, Some(first)) = (obstacle.is_closed, finding.remedies.first_mut()) {
        let text = "if issuer and keys may be read by anybody who reaches the server".to_owned();
        *first = Remedy { text, command: Some(mount.cluster.kubectl().open_discovery()) };
    }
    finding
}

/// Whether what the URL answers is what Vault looks for there.
fn what_is_there(mount: &MountScene, url: &str, text: &str, discovers: bool) -> Known<Finding> {
    let field = if discovers { "jwks_uri" } else { "keys" };
    let document: Option<serde_json::Value> = serde_json::from_str(text).ok();
    if document.is_some_and(|document| document.get(field).is_some()) {
        let asked = match mount.cluster.connected() {
            Some(way) if is_the_clusters_own(url) => {
                format!(
                    ", as the cluster's API server says at {}: that Vault reaches it the login proves",
                    way.server()
                )
            }
            _ => String::new(),
        };
        return Ok(Finding::passed(format!("{url} answers to who has no credentials{asked}")));
    }
    let what = if discovers { "an OpenID discovery document" } else { "a JSON Web Key Set" };
    Ok(Finding::failed(format!("{url} answers, but not with {what}"))
        .why("Vault finds no keys there, and so accepts no signature")
        .mend([correct(mount, AuthMethod::Jwt, PLACES, "`auth.keys` or its URL")?])
        .to_do(if discovers {
            "the discovery URL is the issuer itself: Vault adds /.well-known/openid-configuration"
        } else {
            "the JWKS URL of a cluster ends in /openid/v1/jwks"
        }))
}

fn issuer(mount: &MountScene) -> Known<Finding> {
    let Some(config) = mount.jwt_config()? else { return Ok(unread()) };
    let trusts = &config.bound_issuer;
    if let (true, url) = (trusts.is_empty(), &config.oidc_discovery_url)
        && !url.is_empty()
    {
        return Ok(Finding::passed(format!("the mount compares no issuer, and takes the keys of {url} alone")));
    }
    let has = match (mount.cluster.published()?, &mount.cluster.issuer) {
        (Ok(published), _) => &published.issuer,
        // That its keys can't be read from here changes nothing about its name.
        (Err(_), Some(issuer)) => issuer,
        (Err(_), None) => return Ok(Finding::unseen("the cluster's issuer can't be read; the login will tell")),
    };
    compare_issuers(
        mount,
        has,
        trusts,
        mount.desired_jwt().map(|desired| desired.bound_issuer.as_str()),
        AuthMethod::Jwt,
    )
}

/// The issuer of the cluster's tokens against the one that a mount trusts.
pub(super) fn compare_issuers(
    mount: &MountScene,
    has: &str,
    trusts: &str,
    desired: Option<&str>,
    method: AuthMethod,
) -> Known<Finding> {
    let mend = || {
        let mut remedy =
            correct(mount, method, &["bound_issuer", "issuer", "disable_iss_validation"], "`auth.issuer`")?;
        if (method, mount.source.is_flags()) == (AuthMethod::Kubernetes, true) {
            // Unnamed, the command leaves the one that is there.
            remedy.command = remedy.command.map(|command| command.flag("--issuer", has));
        }
        Known::Ok(remedy)
    };
    if trusts.is_empty() {
        return Ok(Finding::warning("the mount compares no issuer: it takes any that the keys vouch for")
            .why("two clusters that share a signing key could not be told apart")
            .mend([mend()?]));
    }
    if has == trusts {
        return Ok(Finding::passed(format!("both say {has:?}")));
    }
    let slash = has.trim_end_matches('/') == trusts.trim_end_matches('/');
    let detail = if slash {
        "the mount trusts the same issuer but for a slash at its end, and that counts"
    } else {
        "the mount trusts another issuer than the cluster's tokens have"
    };
    let finding = Finding::failed(detail)
        .with("the tokens' iss", format!("{has:?}"))
        .with("the mount trusts", format!("{trusts:?}"))
        .why("Vault compares byte for byte: `error validating token: invalid issuer (iss) claim`");
    let finding = if slash { finding } else { context_first(mount, finding) };
    if desired.is_some_and(|desired| desired != has) {
        let said = if mount.names_issuer {
            "take `auth.issuer` out of the file, so that the issuer is copied from the cluster"
        } else {
            "the file's `issuer` of the cluster is not the one that its tokens have: correct it"
        };
        return Ok(finding.mend([mount.in_its_file(said)]));
    }
    Ok(finding.mend([mend()?]))
}

/// The fields that say where Vault has keys from.
pub(super) const PLACES: &[&str] = &[
    "jwks_url",
    "jwks_ca_pem",
    "oidc_discovery_url",
    "oidc_discovery_ca_pem",
    "jwks_pairs",
    "jwt_validation_pubkeys",
    "provider_config",
];

/// Whether the mount has every key that the cluster publishes; `None` where that can't be seen.
pub(super) fn has_the_keys(mount: &MountScene) -> Known<Option<bool>> {
    let (Some(config), Ok(published)) = (mount.jwt_config()?, mount.cluster.published()?) else {
        return Ok(None);
    };
    if !pinned(config) {
        // Vault fetches them by itself.
        return Ok(None);
    }
    let pinned = pinned_keys(config);
    Ok(Some(published.keys.iter().all(|key| pinned.iter().any(|pinned| pinned.as_ref() == Some(&key.key)))))
}

/// A key by its name, else by its fingerprint.
pub(super) fn named(key: &VerificationKey) -> String {
    key.kid.clone().unwrap_or_else(|| key.key.short_fingerprint())
}

fn keys(mount: &MountScene) -> Known<Finding> {
    let Some(config) = mount.jwt_config()? else { return Ok(unread()) };
    let Ok(published) = mount.cluster.published()? else {
        return Ok(Finding::unseen("the cluster's keys can't be read; the login will tell"));
    };
    if !pinned(config) {
        return fetched_keys(mount);
    }
    let pinned = pinned_keys(config);
    let has = |key: &VerificationKey| pinned.iter().any(|pinned| pinned.as_ref() == Some(&key.key));
    let (there, missing): (Vec<_>, Vec<_>) = published.keys.iter().partition(|key| has(key));
    if missing.is_empty() {
        return Ok(Finding::passed(format!("{} of {} pinned", there.len(), published.keys.len())));
    }
    let list = |keys: &[&VerificationKey]| keys.iter().map(|key| named(key)).collect::<Vec<_>>().join(", ");
    let records = mount.key_records()?.unwrap_or_default();
    let name = |key: &PublicKey| {
        let id = key.id();
        records.keys.get(&id).map_or_else(|| id.base64(), |record| record.known_as(&id))
    };
    let pinned_names: Vec<String> =
        pinned.iter().map(|key| key.as_ref().map_or_else(|| NO_KEY.to_owned(), name)).collect();
    let detail = if there.is_empty() {
        "the mount has none of the cluster's keys: it was set up for another cluster, or the keys were replaced since"
            .to_owned()
    } else {
        format!(
            "the mount lacks {} of the cluster's {} keys: they were rotated since",
            missing.len(),
            published.keys.len()
        )
    };
    // Tokens that are signed with the others still work: which key signs, the token itself shows.
    let finding = if there.is_empty() { Finding::failed(detail) } else { Finding::warning(detail) };
    let another = there.is_empty() && !config.bound_issuer.is_empty() && config.bound_issuer != published.issuer;
    let finding = if another { context_first(mount, finding) } else { finding };
    Ok(finding
        .with("the cluster signs with", list(&published.keys.iter().collect::<Vec<_>>()))
        .with("the mount has", if pinned_names.is_empty() { "none".to_owned() } else { pinned_names.join(", ") })
        .why("`error verifying token signature: no known key successfully validated the token signature`")
        .mend([correct(mount, AuthMethod::Jwt, PLACES, "`auth.keys` or `jwksFile`")?]))
}

fn supported_algorithms(mount: &MountScene) -> Known<Finding> {
    let Some(config) = mount.jwt_config()? else { return Ok(unread()) };
    let Ok(published) = mount.cluster.published()? else {
        return Ok(Finding::unseen("the cluster's keys can't be read"));
    };
    // A key that the mount lacks is not to be blamed on its algorithm.
    let there = pinned_keys(config);
    let has = |key: &&VerificationKey| there.iter().any(|there| there.as_ref() == Some(&key.key));
    let keys: Vec<VerificationKey> = published.keys.iter().filter(|key| !pinned(config) || has(key)).cloned().collect();
    let used: Vec<String> = algorithms(&keys).iter().map(ToString::to_string).collect();
    let accepted = &config.jwt_supported_algs;
    if accepted.is_empty() {
        return Ok(Finding::passed(format!("any, {} among them", used.join(", "))));
    }
    let missing: Vec<&str> =
        used.iter().map(String::as_str).filter(|used| !accepted.iter().any(|accepted| accepted == used)).collect();
    if missing.is_empty() {
        return Ok(Finding::passed(accepted.join(", ")));
    }
    Ok(Finding::failed(format!("the mount does not accept {}", missing.join(", ")))
        .with("the cluster signs with", used.join(", "))
        .with("the mount accepts", accepted.join(", "))
        .why("`invalid algorithm (alg) header parameter: token signed with unexpected algorithm`")
        .mend([correct(mount, AuthMethod::Jwt, &["jwt_supported_algs"], "the keys in `jwksFile`")?]))
}
