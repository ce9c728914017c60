//! The role's policies as they are in Vault, and as the file has them.

use std::collections::BTreeSet;

use crate::policy::{Acl, Capability, Policy, same_meaning};
use crate::verify::facts::{Known, some};
use crate::verify::links::needs::Need;
use crate::verify::scene::RoleScene;

/// The policies that the role in Vault names; `None` where the role can't be read.
pub(super) fn names(scene: &RoleScene) -> Known<Option<Vec<String>>> {
    Ok(scene.held()?.map(|document| document.token().token_policies.clone()))
}

/// The role's policies as they are in Vault, with their names; `None` where one can't be read.
pub(super) fn policies(scene: &RoleScene) -> Known<Option<Vec<(String, Policy)>>> {
    let mut policies = Vec::new();
    for name in some!(names(scene)?) {
        policies.push((name.clone(), some!(scene.mount.vault.policy(&name)?)));
    }
    Ok(Some(policies))
}

/// Vault's policy `default`, where logins get it and it can be read.
pub(super) fn default(scene: &RoleScene) -> Known<Option<Policy>> {
    if some!(scene.held()?).token().token_no_default_policy {
        return Ok(None);
    }
    scene.mount.vault.policy("default")
}

/// Whether the role's policies are others than the file says, or say something else: only then a bootstrap changes them.
pub(super) fn drifted(scene: &RoleScene) -> Known<bool> {
    let Some(role) = &scene.expected else { return Ok(false) };
    let (Some(held), Some(document)) = (policies(scene)?, scene.held()?) else { return Ok(true) };
    let wanted: BTreeSet<String> = role.policies.iter().map(ToString::to_string).collect();
    Ok(wanted != held.iter().map(|(name, _)| name.to_lowercase()).collect()
        || document.token().token_no_default_policy != role.token.no_default_policy
        || scene.policies.iter().any(|desired| {
            held.iter().any(|(name, policy)| *name == desired.name.as_str() && !same_meaning(policy, &desired.policy))
        }))
}

pub(super) fn allows(policies: &[&Policy], path: &str, capability: Capability) -> bool {
    Acl::new(policies.iter().copied()).capabilities(path).allows(capability) != Some(false)
}

/// Whether the file grants all of it, as far as its policies are known here.
pub(super) fn in_the_file(scene: &RoleScene, needs: &[&Need]) -> bool {
    let file: Vec<&Policy> = scene.policies.iter().map(|policy| &policy.policy).collect();
    let unknown = scene.expected.as_ref().is_some_and(|role| role.policies.len() > file.len());
    unknown || needs.iter().all(|need| allows(&file, &need.api, need.capability))
}
