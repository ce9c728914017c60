//! The steps by which a login could give itself more.

use crate::names::MountPath;
use crate::policy::{Ladder, Policy, SEGMENT, narrowed};
use crate::verify::facts::{Known, some};
use crate::verify::links::compared::compared;
use crate::verify::scene::RoleScene;

/// What to ask about: what lets anybody have more, and what decides about this very role.
pub(super) fn ladder(scene: &RoleScene) -> Known<Ladder> {
    let (mount, role) = (&scene.mount.path, &scene.name);
    let mut own = vec![
        format!("auth/{mount}/config"),
        format!("auth/{mount}/role/{role}"),
        format!("sys/mounts/auth/{mount}/tune"),
    ];
    let names = scene.held()?.map(|document| document.token().token_policies.clone());
    own.extend(names.into_iter().flatten().map(|name| format!("sys/policies/acl/{name}")));
    let segment = compared(scene)?.map_or(SEGMENT, |compared| &compared.segment);
    let meant = meant(scene)?.unwrap_or_default();
    let held = compared(scene)?.into_iter().flat_map(|compared| compared.held.all());
    let denied = narrowed(&meant) || narrowed(&held.map(|(_, policy)| policy).collect::<Vec<_>>());
    Ok(Ladder::of(&meant, &own, segment, &kv(scene, &meant)?, denied))
}

/// The KV mounts: a secret may be called like a path of a child namespace.
pub(super) fn kv(scene: &RoleScene, meant: &[&Policy]) -> Known<Vec<MountPath>> {
    let mut kv: Vec<MountPath> = scene.kv.iter().chain(&scene.rules_kv).cloned().collect();
    if Ladder::reaches_children(meant, &kv) {
        kv.extend(scene.mount.vault.kv_mounts()?.iter().cloned());
    }
    Ok(kv)
}

/// What the login is meant to have: the file's policies and what it allows beside them, else the role's own as they are in Vault.
pub(super) fn meant(scene: &RoleScene) -> Known<Option<Vec<&Policy>>> {
    let own = some!(compared(scene)?).own.iter().map(|(_, policy)| policy);
    Ok(Some(own.chain([&scene.allow]).collect()))
}
