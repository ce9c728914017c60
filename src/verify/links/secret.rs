//! The secrets that were named: are they there, with their property? Values are read, because nothing else proves that
//! they can be, and dropped at once.

use crate::vault::{VaultError, kv};
use crate::verify::catalogue::{PROPERTY, SECRET};
use crate::verify::facts::Known;
use crate::verify::finding::{Finding, list};
use crate::verify::links::restricted::of_secret;
use crate::verify::scene::{RoleScene, Wanted};
use crate::verify::walk::{Row, row};

/// The checks of the secrets.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] = &[row!(SECRET, there), row!(PROPERTY, property)];

/// How often a login may have been used before it reads the first secret, as servers count: for what it may do, its entity, its mounts.
const ASKED_BEFORE: u64 = 4;

fn there(scene: &RoleScene) -> Known<Finding> {
    Ok(scene.with_guesses(are_there(scene)?))
}

fn are_there(scene: &RoleScene) -> Known<Finding> {
    if scene.wanted.is_empty() {
        return Ok(Finding::skipped("no secret is named; name one with --path"));
    }
    if scene.logged_in()?.is_none() {
        return Ok(Finding::skipped("nobody logged in who could read it"));
    }
    let uses = scene.logged_in()?.map_or(0, |login| login.num_uses);
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for (at, wanted) in scene.wanted.iter().enumerate() {
        match scene.secret(wanted)? {
            Ok(Some(_)) => found.push(wanted.to_string()),
            Ok(None) => faults.push(missing(scene, wanted, None)?),
            Err(VaultError::NotFound { gone: Some(gone), .. }) => faults.push(missing(scene, wanted, Some(gone))?),
            // What was asked so far, the question what it may do among it, may have been the last that the token was good for.
            Err(VaultError::Forbidden { .. }) if uses > 0 && uses <= at as u64 + ASKED_BEFORE => {
                if faults.is_empty() {
                    return Ok(Finding::skipped(format!(
                        "a token of this role may be used {uses} times, too few to read all that is named"
                    )));
                }
                break;
            }
            Err(error @ VaultError::Forbidden { .. }) => {
                if let Some(found) = of_secret(scene, wanted)? {
                    faults.push(found.with("the server says", error.to_string()));
                    continue;
                }
                faults.push(
                    Finding::failed(format!("the login may not read {wanted}"))
                        .with("the server says", error.to_string())
                        .why("what a policy grants, a control group, a quota or an endpoint rule may still refuse")
                        .to_do("look at the rule that grants it for parameters that it wants or forbids, and at the quotas of the mount"),
                );
            }
            Err(error) => faults.push(Finding::error(&error.clone().into())),
        }
    }
    if let Some(fault) = Finding::all(faults) {
        return Ok(fault);
    }
    found.dedup();
    Ok(Finding::passed(found.join(", ")))
}

fn missing(scene: &RoleScene, wanted: &Wanted, gone: Option<&kv::Gone>) -> Known<Finding> {
    let Wanted { mount, path, .. } = wanted;
    let kv = |words| scene.kv_command(words, mount);
    let why = "the server answers 404, and External Secrets `Secret does not exist`";
    Ok(match gone {
        None => {
            Finding::failed(format!("there is no secret {}/{}", wanted.mount, wanted.path)).why(why).to_do(format!(
                "look what is there: {}; then correct the path, or put the secret there",
                kv("kv list")?.fixed("…").shown()
            ))
        }
        Some(gone) if gone.destroyed => Finding::failed(format!(
            "the latest version ({}) of {}/{} was destroyed",
            gone.version, wanted.mount, wanted.path
        ))
        .why(why)
        .to_do(format!(
            "put the secret there anew: {}; what was destroyed can't be brought back",
            kv("kv put")?.name(path).fixed("…").shown()
        )),
        Some(gone) => Finding::failed(format!(
            "the latest version ({}) of {}/{} was deleted",
            gone.version, wanted.mount, wanted.path
        ))
        .with("deleted at", gone.deleted_at.clone())
        .why(why)
        .run("bring it back", scene.kv_undelete(wanted, Some(gone.version))?),
    })
}

/// What is said of a property that only the values tell.
pub(in crate::verify) fn beyond(wanted: &Wanted) -> String {
    format!("whether {wanted} is there can't be judged here: that is a query of gjson")
}

fn property(scene: &RoleScene) -> Known<Finding> {
    let (mut read, mut found, mut faults, mut untold) = (0, 0, Vec::new(), None);
    for wanted in &scene.wanted {
        // Of several secrets, those that are there have their properties told, whatever became of the others.
        let Ok(Some(secret)) = scene.secret(wanted)? else { continue };
        read += 1;
        let Some(property) = wanted.property.as_deref() else { continue };
        match secret.has(property) {
            Some(false) => {}
            Some(true) => {
                found += 1;
                continue;
            }
            None => {
                untold = Some(beyond(wanted));
                continue;
            }
        }
        let Wanted { mount, path, .. } = wanted;
        let fault = Finding::failed(format!("the secret {mount}/{path} has no property {property:?}"))
            .with("it is asked for", property)
            .with("the secret has", list(secret.names()))
            .why("External Secrets answers `cannot find secret data for key`")
            .to_do(format!(
                "correct `property` of the ExternalSecret (or --path), or add it: {}",
                scene.kv_command("kv patch", mount)?.name(path).arg(&format!("{property}=…")).shown()
            ));
        faults.push(fault);
    }
    if let Some(fault) = Finding::all(faults) {
        return Ok(fault);
    }
    if found > 0 {
        return Ok(Finding::passed(if found == 1 { "1 property".to_owned() } else { format!("{found} properties") }));
    }
    if let Some(untold) = untold {
        return Ok(Finding::skipped(untold));
    }
    if read == 0 && !scene.wanted.is_empty() && scene.logged_in()?.is_some() {
        return Ok(Finding::not_reached(format!("{} has to hold first", SECRET.id)));
    }
    Ok(Finding::skipped("no property is named"))
}
