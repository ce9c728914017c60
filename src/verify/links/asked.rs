//! What the server is asked about a login, and what it answers.

use std::collections::BTreeSet;

use crate::vault::CapabilitiesByPath;
use crate::verify::capabilities::Unasked;
use crate::verify::facts::login::Capabilities;
use crate::verify::facts::{Known, Knows, some};
use crate::verify::links::compared::compared;
use crate::verify::links::ladder::ladder;
use crate::verify::links::needs::{Need, needs};
use crate::verify::scene::RoleScene;

/// Every path that a check looks at.
pub(super) fn paths(scene: &RoleScene) -> Known<BTreeSet<String>> {
    let mut paths: BTreeSet<String> = ["auth/token/lookup-self", "auth/token/revoke-self"].map(str::to_owned).into();
    if let Some(compared) = compared(scene)? {
        paths.extend(compared.probes.expected.keys().cloned());
        paths.extend(compared.denials.iter().map(|denial| denial.path.clone()));
    }
    paths.extend(needs(scene)?.into_iter().map(|need| need.api));
    paths.extend(ladder(scene)?.paths().map(str::to_owned));
    Ok(paths)
}

/// What the login may do, as the server says, on every path that a check looks at; `None` where nobody logged in.
pub(super) fn capabilities(scene: &RoleScene) -> Known<Option<&Result<CapabilitiesByPath, Unasked>>> {
    some!(scene.logged_in()?);
    if let Some(known) = capabilities_so_far(scene) {
        return Ok(Some(known));
    }
    let paths = paths(scene)?.into_iter().collect();
    Ok(scene.facts().get(&Capabilities { consumer: scene.consumer(), paths })?.as_ref())
}

/// The same, where it was asked for already.
pub(super) fn capabilities_so_far(scene: &RoleScene) -> Option<&Result<CapabilitiesByPath, Unasked>> {
    scene.facts().known(&Capabilities { consumer: scene.consumer(), paths: Vec::new() })?.as_ref()
}

/// What the login may do, where somebody has logged in already: a look at policies alone logs nobody in.
pub(super) fn asked(scene: &RoleScene) -> Known<Option<&Result<CapabilitiesByPath, Unasked>>> {
    some!(scene.login_so_far()?);
    capabilities(scene)
}

/// Whether the server grants something.
pub(super) fn grants(actual: &CapabilitiesByPath, need: &Need) -> bool {
    let name = need.capability.to_string();
    actual.get(&need.api).is_some_and(|has| has.iter().any(|has| *has == name || has == "root"))
}
