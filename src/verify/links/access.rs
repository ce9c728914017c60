//! What the login's token may do, as the server says.

use crate::policy::Policy;
use crate::vault::CapabilitiesByPath;
use crate::verify::capabilities::{differences, some_of};
use crate::verify::catalogue::{GRANTED, NOTHING_ELSE, POLICIES_EXIST};
use crate::verify::facts::Known;
use crate::verify::finding::{Finding, Status};
use crate::verify::grants::Compared;
use crate::verify::links::asked::{capabilities, grants};
use crate::verify::links::compared::compared;
use crate::verify::links::denials::{on_no_mount, undenied};
use crate::verify::links::held_policies::drifted;
use crate::verify::links::narrow::narrow;
use crate::verify::links::needs::needs;
use crate::verify::links::policies::missing;
use crate::verify::links::restricted::{refused_for, restrictions};
use crate::verify::links::surplus::{look, surplus};
use crate::verify::links::unasked::{told, unasked};
use crate::verify::scene::RoleScene;
use crate::verify::walk::{Row, row};

/// The checks of what the server grants.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] = &[row!(GRANTED, may), row!(NOTHING_ELSE, nothing_else)];

fn may(scene: &RoleScene) -> Known<Finding> {
    let actual = match capabilities(scene)? {
        None => return Ok(Finding::skipped("nobody logged in")),
        Some(Err(why)) => return unasked(scene, why),
        Some(Ok(actual)) => actual,
    };
    let needs = needs(scene)?;
    let mut missing: Vec<String> = needs.iter().filter(|need| !grants(actual, need)).map(ToString::to_string).collect();
    let compared = compared(scene)?;
    if let Some(compared) = compared {
        missing.extend(differences(&compared.probes, actual).missing);
    }
    missing.sort();
    missing.dedup();
    let is_denied = compared.is_some_and(|compared| !compared.denials.is_empty());
    let drifted = (!missing.is_empty() || is_denied) && drifted(scene)?;
    let lacks = (!missing.is_empty()).then(|| {
        Finding::failed(format!("the login may not {}", missing.join("; it may not ")))
            .why("this is the server's own answer (sys/capabilities), for this very token")
            .mend(scene.mount.source.bootstrap().filter(|_| drifted))
            .to_do(format!("look at the policies of the role and of its identity: {}", look(scene, "NAME")))
    });
    let restricted = compared.and_then(|compared| {
        let own: Vec<&Policy> = compared.own.iter().map(|(_, policy)| policy).collect();
        refused_for(scene, &restrictions(&compared.held.policies, &own, &needs))
    });
    let (undenied, excepted) = compared.map(|compared| undenied(scene, compared, actual, drifted)).unwrap_or_default();
    let absent = compared.map(|compared| on_no_mount(scene, compared)).unwrap_or_default();
    let narrow = compared.map(|compared| narrow(scene, compared)).unwrap_or_default();
    let mut found: Vec<Finding> =
        lacks.into_iter().chain(restricted).chain(undenied).chain(absent).chain(narrow).collect();
    // What fails comes first: with it, all of it does.
    found.sort_by_key(|finding| finding.status != Status::Failed);
    if let Some(finding) = Finding::all(found) {
        return Ok(finding);
    }
    let Some(Compared { probes, .. }) = compared else {
        return Ok(Finding::passed(if needs.is_empty() {
            "nothing was named".to_owned()
        } else {
            format!("{} granted", needs.len())
        }));
    };
    if !probes.unforeseen.is_empty() {
        return Ok(Finding::warning(format!(
            "what {} allows can't be foretold, and was not tried",
            probes.unforeseen.join(", ")
        ))
        .to_do("try a path of a template by hand: only the server knows the identity that fills it in"));
    }
    let but = if excepted { ", but for what Vault's policy default grants there" } else { "" };
    Ok(Finding::passed(format!("{}{but}", some_of(&probes.rules))))
}

fn nothing_else(scene: &RoleScene) -> Known<Finding> {
    Ok(match told(scene)? {
        Ok(told) => told.judged(scene, more_than_meant(scene, &told.actual)?),
        Err(finding) => finding,
    })
}

fn more_than_meant(scene: &RoleScene, actual: &CapabilitiesByPath) -> Known<Finding> {
    let Some(compared) = compared(scene)? else {
        let missing = missing(scene)?;
        if !missing.is_empty() {
            return Ok(Finding::not_reached(format!(
                "{} has to hold first: {} doesn't exist",
                POLICIES_EXIST.id,
                missing.join(", ")
            )));
        }
        return Ok(Finding::unseen(
            "the role's policies can't be read with this token, so it isn't known what would be too much",
        ));
    };
    surplus(scene, compared, actual)
}
