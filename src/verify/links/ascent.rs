//! Whether the login could give itself more than its policies say, as the server says.

use crate::policy::{Ascent, Capability, Ladder, ascents};
use crate::vault::CapabilitiesByPath;
use crate::verify::catalogue::NO_ASCENT;
use crate::verify::facts::{Known, some};
use crate::verify::finding::Finding;
use crate::verify::links::ladder::{kv, ladder, meant};
use crate::verify::links::surplus::look;
use crate::verify::links::unasked::told;
use crate::verify::scene::RoleScene;
use crate::verify::walk::{Row, row};

/// The check of what a login could give itself.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] = &[row!(NO_ASCENT, no_ascent)];

fn no_ascent(scene: &RoleScene) -> Known<Finding> {
    Ok(match told(scene)? {
        Ok(told) => told.judged(scene, climbs(scene, &told.actual)?),
        Err(finding) => finding,
    })
}

fn climbs(scene: &RoleScene, actual: &CapabilitiesByPath) -> Known<Finding> {
    let ladder = ladder(scene)?;
    let climbed = ladder.climbed(|path, capability: Capability| {
        actual.get(path).is_some_and(|has| has.iter().any(|has| has == capability.as_str() || has == "root"))
    });
    if climbed.is_empty()
        && let Some(finding) = by_a_template(scene)?
    {
        return Ok(finding);
    }
    if climbed.is_empty() {
        return Ok(Finding::passed(format!("refused on {} paths that would let it", ladder.paths().count())));
    }
    let policies = meant(scene)?;
    let unsaid: Vec<String> = climbed
        .iter()
        .filter_map(|(does, paths)| {
            let unsaid = |path: &&&str| policies.as_ref().is_some_and(|meant| !Ladder::said(meant, path, *does));
            paths.iter().find(unsaid).map(|path| format!("{does} ({path})"))
        })
        .collect();
    let why = "who can is held by none of its policies, and neither is who steals its token";
    if unsaid.is_empty() {
        let all: Vec<String> =
            climbed.iter().filter_map(|(does, paths)| Some(format!("{does} ({})", paths.first()?))).collect();
        let whose = match (&policies, &scene.expected) {
            (None, _) => "the login, whose policies can't be read, can give itself more",
            (Some(_), Some(_)) => "the file's policies let the login give itself more",
            (Some(_), None) => "the role's policies let the login give itself more",
        };
        return Ok(Finding::warning(format!("{whose}: it can {}", all.join(", ")))
            .why(why)
            .to_do("leave that to operators, if it is not what the role is for"));
    }
    Ok(Finding::failed(format!(
        "the login can give itself more, which its policies don't say: it can {}",
        unsaid.join(", ")
    ))
    .why(why)
    .to_do(format!(
        "look for what grants it: a policy of its identity, Vault's policy `default`, or a wider rule ({})",
        look(scene, "NAME")
    )))
}

/// What it may be able to give itself where only the server knows what a rule is about: that was not asked.
fn by_a_template(scene: &RoleScene) -> Known<Option<Finding>> {
    let meant = some!(meant(scene)?);
    let all = ascents(&meant, &kv(scene, &meant)?);
    let doubts: Vec<String> = all
        .iter()
        .filter(|Ascent { rule, .. }| rule.is_template())
        .map(|Ascent { does, rule }| format!("{does} by {rule}"))
        .collect();
    let finding = (!doubts.is_empty())
        .then(|| Finding::warning(format!("can't tell whether the login can {}", doubts.join(", or "))));
    Ok(Some(
        some!(finding)
            .why("only the server knows what fills the template in, and its answer was not asked for")
            .to_do("leave that to operators, if it is not what the role is for"),
    ))
}
