//! Where a store reads: External Secrets puts the store's path and a key together, and KV version 2 has `data/` between.

use super::external_secret::RemoteRef;
use crate::names::MountPath;
use crate::verify::external_secrets::store_scene::StoreScene;
use crate::verify::facts::{Known, some};
use crate::verify::scene::Wanted;

/// The secret that a key names.
pub(super) fn secret(scene: &StoreScene, ask: &RemoteRef) -> Known<Option<Wanted>> {
    let path = scene.store.vault.path.as_deref();
    let (mount, below) = if scene.store.is_versioned() {
        let (mount, below) = some!(versioned(path, &ask.key));
        (some!(mount.parse().ok()), below)
    } else {
        let whole = plain(path, &ask.key);
        let mount = some!(mount_above(scene, &whole)?);
        let below = some!(whole.strip_prefix(&format!("{mount}/"))).to_owned();
        (mount, below)
    };
    let property = ask.property.clone().filter(|property| !property.is_empty());
    Ok(Some(Wanted { mount, path: below, property, mount_is_guessed: false }))
}

/// The mount of version 2 and the secret below it. The key may repeat the store's path, and then `data/` as well.
fn versioned(path: Option<&str>, key: &str) -> Option<(String, String)> {
    let (mount, below) = match path {
        Some(path) => {
            let repeated = key.strip_prefix(path).and_then(|key| key.strip_prefix('/'));
            (path, repeated.map_or(key, |below| below.strip_prefix("data/").unwrap_or(below)))
        }
        None => key.split_once("/data/").or_else(|| key.split_once('/'))?,
    };
    Some((mount.trim_matches('/').to_owned(), below.to_owned()))
}

/// The whole path of version 1, mount and all.
fn plain(path: Option<&str>, key: &str) -> String {
    match path {
        Some(path) if !key.starts_with(&format!("{path}/")) => format!("{}/{key}", path.trim_matches('/')),
        _ => key.to_owned(),
    }
}

/// The KV mount that a path of version 1 is below, or is: a store's path may go on below it.
pub(super) fn mount_above(scene: &StoreScene, path: &str) -> Known<Option<MountPath>> {
    let role = &scene.role;
    let known = role.kv.iter().chain(role.wanted.iter().map(|wanted| &wanted.mount));
    let is_above = |mount: &&MountPath| path.strip_prefix(mount.as_str()).is_some_and(|rest| rest.starts_with('/'));
    if let Some(mount) = known.filter(is_above).max_by_key(|mount| mount.as_str().len()) {
        return Ok(Some(mount.clone()));
    }
    for (end, _) in path.rmatch_indices('/') {
        let Ok(mount) = path[..end].parse::<MountPath>() else { continue };
        if role.kv(&mount)?.is_ok() {
            return Ok(Some(mount));
        }
    }
    Ok(some!(path.split('/').next()).parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_version_2_are_taken_as_external_secrets_takes_them() {
        for (path, key, expected) in [
            (Some("team/kv"), "app/db", ("team/kv", "app/db")),
            (Some("team/kv"), "team/kv/app/db", ("team/kv", "app/db")),
            (Some("team/kv"), "team/kv/data/app/db", ("team/kv", "app/db")),
            (Some("team/kv"), "data/app/db", ("team/kv", "data/app/db")),
            (Some("secret/"), "app", ("secret", "app")),
            (None, "secret/app/db", ("secret", "app/db")),
            (None, "secret/data/app/db", ("secret", "app/db")),
            (None, "team/kv/data/app/db", ("team/kv", "app/db")),
        ] {
            let (mount, below) = versioned(path, key).unwrap();
            assert_eq!((&*mount, &*below), expected, "{path:?} {key}");
        }
        assert_eq!(versioned(None, "app"), None);
    }

    #[test]
    fn keys_of_version_1_have_the_path_before_them_once() {
        assert_eq!(plain(Some("kv1/team"), "app"), "kv1/team/app");
        assert_eq!(plain(Some("kv1/team"), "kv1/team/app"), "kv1/team/app");
        assert_eq!(plain(None, "kv1/team/app"), "kv1/team/app");
    }
}
