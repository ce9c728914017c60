//! The keys that Vault fetches by itself: whoever runs the server that it fetches them from decides which.

use super::mount::remake;
use crate::model::{AuthMethod, JwtConfig, KeysFrom, ServedKeys};
use crate::verify::facts::Known;
use crate::verify::finding::{Finding, plural, shortened};
use crate::verify::scene::MountScene;

/// What can be said of keys that nobody but OpenBao's own pod is given.
pub(super) const OF_ITS_OWN_CLUSTER: &str = "OpenBao asks the cluster that it runs in for the keys, with the token of its own pod: it can't be \
                                             tried from here, and a login proves it";

/// The keys that are there, or that this machine doesn't see them.
fn served(mount: &MountScene) -> Known<Result<&ServedKeys, Finding>> {
    if mount.jwt_config()?.is_some_and(|config| config.keys_from() == KeysFrom::Provider) {
        return Ok(Err(Finding::skipped(OF_ITS_OWN_CLUSTER)));
    }
    if mount.jwt_config()?.is_some_and(|config| mount.serves_its_own(&config.keys_from())) {
        return Ok(Err(Finding::skipped(
            "Vault takes those of the issuer itself, and there are no others to compare them with",
        )));
    }
    Ok(match mount.served_keys()? {
        Some(Ok(served)) => Ok(served),
        Some(Err(obstacle)) => Err(Finding::unseen_because(&obstacle.error)
            .to_do("run this where the keys can be fetched from, or write `keys: pinned`")),
        None => Err(Finding::unseen("the cluster's keys can't be read")),
    })
}

/// Whether the cluster's keys are there.
pub(super) fn fetched_keys(mount: &MountScene) -> Known<Finding> {
    let served = match served(mount)? {
        Ok(served) => served,
        Err(finding) => return Ok(finding),
    };
    let Ok(published) = mount.cluster.published()? else {
        return Ok(Finding::unseen("the cluster's keys can't be read"));
    };
    let (all, url) = (published.keys.len(), &served.url);
    if served.missing.is_empty() {
        return Ok(Finding::passed(format!("{all} of {all} at {url}, where Vault fetches them")));
    }
    // Tokens that are signed with the others still work: which key signs, the token itself shows.
    let finding = if served.missing.len() == all {
        Finding::failed(format!("{url} serves none of the cluster's keys"))
    } else {
        Finding::warning(format!("{url} lacks {} of the cluster's {}", served.missing.len(), plural(all, "key")))
    };
    Ok(finding
        .with("not there", served.missing.join(", "))
        .with("it serves", plural(served.count, "key"))
        .why("`error verifying token signature: no known key successfully validated the token signature`")
        .to_do(match &mount.cluster.issuer {
            Some(issuer) => format!("ask whoever runs {url} to serve the keys that {issuer} serves"),
            None => format!("ask whoever runs {url} to serve the keys that {} shows", mount.jwks().shown()),
        })
        .mend([remake(mount, AuthMethod::Jwt)]))
}

/// No cluster needs several places for its keys, and nothing that this tool writes names them: where one can't be looked at, that is not
/// in order.
fn of_several(mount: &MountScene, unseen: Finding) -> Known<Finding> {
    let from = mount.jwt_config()?.map(JwtConfig::keys_from);
    let Some(KeysFrom::KeySets(urls)) = from else { return Ok(unseen) };
    let names: Vec<String> = urls.iter().map(|url| url.url.clone()).collect();
    Ok(Finding::failed(format!(
        "Vault takes keys from {} at once, and not all of them can be looked at",
        plural(urls.len(), "URL")
    ))
    .with("it takes keys from", shortened(&names))
    .with("in the way", unseen.detail)
    .why("whoever runs one of these servers signs tokens that Vault takes for the cluster's")
    .mend([remake(mount, AuthMethod::Jwt)]))
}

/// Whether others are there.
pub(super) fn foreign_keys(mount: &MountScene) -> Known<Finding> {
    let served = match served(mount)? {
        Ok(served) => served,
        Err(finding) => return of_several(mount, finding),
    };
    let url = &served.url;
    if served.foreign.is_empty() {
        return Ok(Finding::passed(format!("none at {url}, where Vault fetches them")));
    }
    let finding = Finding::failed(format!(
        "{url} serves {} that the cluster doesn't publish, and Vault trusts all that it serves",
        plural(served.foreign.len(), "key")
    ))
    .with("served, not published", shortened(&served.foreign))
    .why("whoever has such a key signs tokens that Vault takes for the cluster's")
    .to_do(format!("ask whoever runs {url} whose keys these are, and have them taken out"));
    if mount.source.is_flags() {
        return Ok(finding.mend([remake(mount, AuthMethod::Jwt)]));
    }
    Ok(finding.mend([mount.in_its_file("or write `keys: pinned`, with which only the cluster's own keys count")]))
}
