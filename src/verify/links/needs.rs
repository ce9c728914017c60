//! What the login should be able to do.

use std::collections::BTreeSet;

use crate::names::MountPath;
use crate::policy::{Acl, Capability, stand_in};
use crate::verify::facts::Known;
use crate::verify::scene::RoleScene;

/// Something that the login should be able to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Need {
    /// The API path.
    pub(super) api: String,
    pub(super) capability: Capability,
    /// The KV mount, and the path below it without `data/` and `metadata/`, for what is a secret.
    pub(super) kv: Option<(MountPath, String)>,
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", self.capability, self.api)
    }
}

/// What the login should be able to do: what the file's policies say, and the secrets that were named.
pub(super) fn needs(scene: &RoleScene) -> Known<BTreeSet<Need>> {
    let mut needs = BTreeSet::new();
    let acl = Acl::new(scene.policies.iter().map(|policy| &policy.policy));
    let rules = || scene.policies.iter().flat_map(|policy| policy.policy.rules());
    let segment = stand_in(rules().map(|rule| &rule.path));
    for rule in rules() {
        let Some(sample) = rule.path.sample(&segment) else { continue };
        let deeper = rule.path.as_str().ends_with('*').then(|| format!("{sample}/{segment}"));
        let samples: Vec<String> = std::iter::once(sample).chain(deeper).collect();
        for capability in rule.capabilities.iter().filter(|capability| **capability != Capability::Deny) {
            // What the policies themselves take back in one place is meant in another.
            let granted = |api: &&String| acl.capabilities(api).allows(*capability) != Some(false);
            let Some(api) = samples.iter().find(granted) else { continue };
            let kv = scene.kv.iter().find_map(|mount| {
                let below = api.strip_prefix(&format!("{mount}/"))?;
                let below = below.strip_prefix("data/").or_else(|| below.strip_prefix("metadata/")).unwrap_or(below);
                Some((mount.clone(), below.to_owned()))
            });
            needs.insert(Need { api: api.clone(), capability: *capability, kv });
        }
    }
    for wanted in &scene.wanted {
        if let Some(api) = scene.api_path(wanted)? {
            needs.insert(Need {
                api,
                capability: Capability::Read,
                kv: Some((wanted.mount.clone(), wanted.path.clone())),
            });
        }
    }
    Ok(needs)
}
