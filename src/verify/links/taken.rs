//! What other policies of a login take away of a part of what its own grant.

use std::collections::BTreeSet;

use crate::access::{Taken, taken};
use crate::policy::{Policy, Rule, stock_default};
use crate::verify::facts::{Known, all};
use crate::verify::finding::{Finding, list};
use crate::verify::links::asked::asked;
use crate::verify::links::compared::{compared, taking};
use crate::verify::links::held_policies::drifted;
use crate::verify::scene::RoleScene;

/// What is taken of a part of what the role's policies grant, as they should be; `own` are these as they are in Vault, and `all` those of
/// the login, as far as they can be read.
pub(super) fn in_part(scene: &RoleScene, own: &[(String, Policy)], carried: &[(String, Policy)]) -> Known<Finding> {
    let known = if scene.login_so_far()?.is_some() { compared(scene)? } else { None };
    let held = known.map_or(carried, |compared| &compared.held.policies);
    let mut found = if let Some(compared) = known {
        compared.taken.clone()
    } else {
        let file: Vec<&Policy> = scene.policies.iter().map(|policy| &policy.policy).collect();
        let role: Vec<&Policy> = own.iter().map(|(_, policy)| policy).collect();
        let granting = if scene.expected.is_some() { file } else { role };
        let taking = taking(carried);
        taken(&granting, &taking.iter().collect::<Vec<_>>(), stock_default())
    };
    // The server knows of more than what can be read here.
    if let Some(Ok(actual)) = asked(scene)? {
        for Taken { path, lost, .. } in &mut found {
            let has = actual.get(path).map(Vec::as_slice).unwrap_or_default();
            lost.retain(|lost| !has.iter().any(|has| has == lost.as_str() || has == "root"));
        }
        found.retain(|taken| !taken.lost.is_empty());
    }
    let drifted = !found.is_empty() && drifted(scene)?;
    let own = if drifted { own } else { &[] };
    let warnings = all(found.iter().map(|taken| warning(scene, taken, own, held)))?;
    Ok(Finding::all(warnings).unwrap_or_else(|| Finding::passed("none does")))
}

/// What is said of one; `drifted` are those of its policies that a bootstrap writes anew.
fn warning(
    scene: &RoleScene,
    taken: &Taken,
    drifted: &[(String, Policy)],
    held: &[(String, Policy)],
) -> Known<Finding> {
    let Taken { rule, grant, path, lost } = taken;
    let has = |policy: &Policy| policy.rules().iter().find(|other| other.path == *rule).cloned();
    let by: Vec<(&str, Rule)> = held.iter().filter_map(|(name, policy)| Some((name.as_str(), has(policy)?))).collect();
    let names: BTreeSet<&str> = by.iter().map(|(name, _)| *name).collect();
    let lost = list(lost.iter().map(|lost| lost.as_str()));
    let finding = Finding::warning(format!(
        "the policy {} takes {lost} on {rule} away, a part of what {grant} grants",
        list(names.iter().copied())
    ))
    .with("such as on", path.clone())
    .why("of rules for the same path a `deny` wins, and of several paths the most specific one alone counts");
    let finding = by.iter().fold(finding, |finding, (name, rule)| {
        let allows = list(rule.capabilities.iter().map(|capability| capability.as_str()));
        finding.with(format!("the rule of {name}"), format!("{allows} on {}", rule.path))
    });
    let ours = drifted.iter().any(|(name, _)| names.contains(name.as_str()));
    match scene.mount.source.bootstrap() {
        Some(remedy) if ours => Ok(finding.mend([remedy])),
        _ => denied_elsewhere(scene, finding, &names),
    }
}

/// What to do about a rule that the role has nothing to do with.
pub(super) fn denied_elsewhere(scene: &RoleScene, finding: Finding, denying: &BTreeSet<&str>) -> Known<Finding> {
    let names = list(denying.iter().copied());
    let finding = finding.to_do(format!(
        "take that rule out of the policy {names}, if it isn't there on purpose; the role has nothing to do with it"
    ));
    Ok(match scene.login_so_far()? {
        Some(Ok(login)) if !login.entity_id.is_empty() && !denying.contains("default") => finding.run(
            "or see which entity or group adds it",
            scene.mount.vault.cli().read(&format!("identity/entity/id/{}", login.entity_id)),
        ),
        _ => finding,
    })
}
