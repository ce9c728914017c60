//! What the file's policies of a role come to, also where who runs this may not see the version of their KV mounts.

use crate::config;
use crate::desired::{self, KvVersions};
use crate::model::KvVersion;
use crate::names::MountPath;
use crate::policy::{Policy, same_meaning};
use crate::vault::TokenInfo;
use crate::verify::facts::Known;
use crate::verify::grants::Held;
use crate::verify::scene::RoleScene;

/// A policy of a login as it should be.
pub(super) struct Meaning {
    /// Its name.
    pub(super) name: String,
    /// What it says; where that isn't known, all that it may.
    pub(super) policy: Policy,
    /// Whether it is known.
    pub(super) is_known: bool,
}

impl Meaning {
    /// One that is known.
    pub(super) fn known(name: String, policy: Policy) -> Self {
        Self { name, policy, is_known: true }
    }
}

/// The role's policies of the file.
pub(super) fn of_file(scene: &RoleScene, login: &TokenInfo, held: &Held) -> Known<Vec<Meaning>> {
    let known = scene.policies.iter();
    let mut all: Vec<Meaning> =
        known.map(|policy| Meaning::known(policy.name.to_string(), policy.policy.clone())).collect();
    for policy in &scene.waiting {
        let (mut versions, mut unknown) = (KvVersions::new(), Vec::new());
        for mount in desired::kv_mounts_of([policy]) {
            match kv_version(scene, login, &mount)? {
                Some(version) => _ = versions.insert(mount, version),
                None => unknown.push(mount),
            }
        }
        let name = policy.name.to_string();
        let there = held.policies.iter().find(|(held, _)| *held == name).map(|(_, policy)| policy);
        all.extend(meaning(policy, &versions, &unknown, there).map(|(policy, is_known)| Meaning {
            name,
            policy,
            is_known,
        }));
    }
    for meaning in &mut all {
        meaning.policy = scene.mount.vault.with_accessors(&meaning.policy)?;
    }
    Ok(all)
}

/// The version of a KV mount, as whoever may see it says: who runs this, or the login.
pub(super) fn kv_version(scene: &RoleScene, login: &TokenInfo, mount: &MountPath) -> Known<Option<KvVersion>> {
    Ok(if login.num_uses == 0 { scene.kv_as(mount)? } else { scene.kv(mount)?.ok() })
}

/// What a policy comes to, and whether that is known. Where nobody knows the version of a mount, it is one of two: the one that Vault's own text
/// is equal to, else as much as both, so that what is in neither is found.
fn meaning(
    policy: &config::FilePolicy,
    versions: &KvVersions,
    unknown: &[MountPath],
    there: Option<&Policy>,
) -> Option<(Policy, bool)> {
    let with = |version: KvVersion| {
        let mut versions = versions.clone();
        versions.extend(unknown.iter().map(|mount| (mount.clone(), version)));
        Some(desired::policy(policy, &versions).ok()?.policy)
    };
    let readings = [with(KvVersion::V2)?, with(KvVersion::V1)?];
    if unknown.is_empty() {
        return readings.into_iter().next().map(|known| (known, true));
    }
    if let Some(same) = readings.iter().find(|reading| there.is_some_and(|there| same_meaning(there, reading))) {
        return Some((same.clone(), true));
    }
    Some((Policy::new(readings.iter().flat_map(|reading| reading.rules().iter().cloned())), false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Grant, Position, Verb};

    #[test]
    fn what_is_in_neither_version_is_in_no_meaning() {
        let mount: MountPath = "secret".parse().unwrap();
        let read = Grant::Kv { mount: mount.clone(), verb: Verb::Read, path: "a/*".parse().unwrap() };
        let policy =
            config::FilePolicy { name: "p".parse().unwrap(), position: Position::default(), grants: vec![read] };
        let text = |path: &str| format!(r#"path "{path}" {{ capabilities = ["read"] }}"#);
        let stored = |paths: &[&str]| Policy::parse(&paths.iter().map(|path| text(path)).collect::<String>()).unwrap();
        let meant = |versions: &KvVersions, unknown: &[MountPath], there: &Policy| {
            let (policy, is_known) = meaning(&policy, versions, unknown, Some(there)).unwrap();
            (policy.rules().iter().map(|rule| rule.path.to_string()).collect::<Vec<_>>(), is_known)
        };
        let (unknown, nothing) = ([mount.clone()], KvVersions::new());
        for one in ["secret/a/*", "secret/data/a/*"] {
            assert_eq!(meant(&nothing, &unknown, &stored(&[one])), (vec![one.to_owned()], true));
        }
        let both = vec!["secret/a/*".to_owned(), "secret/data/a/*".to_owned()];
        assert_eq!(meant(&nothing, &unknown, &stored(&["secret/data/a/*", "secret/data/payroll/*"])), (both, false));
        let known = KvVersions::from([(mount, KvVersion::V1)]);
        assert_eq!(meant(&known, &[], &stored(&[])), (vec!["secret/a/*".to_owned()], true));
    }
}
