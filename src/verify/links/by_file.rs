//! Whether a bootstrap with the file would change what is wrong in Vault: only then it is what mends it.
//!
//! Where the file says the same as Vault, it is the file that is to be corrected; where that can't be seen, its plan tells.

use crate::desired;
use crate::model::{AuthMethod, ConfigDocument, RoleDocument};
use crate::plan::changed;
use crate::policy::same_meaning;
use crate::verify::facts::Known;
use crate::verify::finding::Remedy;
use crate::verify::links::held_policies;
use crate::verify::scene::{MountScene, RoleScene, Source};

/// What mends something of which Vault may have another value than the file; nothing where there is no file. `correct` says what of the
/// file is wrong where both have the same.
fn remedy(source: &Source, differs: Option<bool>, correct: &str) -> Option<Remedy> {
    let bootstrap = source.bootstrap()?;
    let Source::File { .. } = source else { return Some(bootstrap) };
    Some(match differs {
        Some(true) => bootstrap,
        Some(false) => {
            let text = format!("the file says the same as Vault: correct {correct} there; {}", source.then_bootstrap());
            Remedy { text, command: None }
        }
        None => Remedy {
            text: "whether the file says otherwise can't be seen with this token: its plan shows what would change"
                .to_owned(),
            command: Some(source.own("plan")),
        },
    })
}

/// What mends the role.
pub(super) fn role(scene: &RoleScene, correct: &str) -> Known<Option<Remedy>> {
    Ok(remedy(&scene.mount.source, role_differs(scene)?, correct))
}

/// Whether the role in Vault is another than the file's; `None` where that can't be seen.
pub(in crate::verify) fn role_differs(scene: &RoleScene) -> Known<Option<bool>> {
    Ok(match (scene.document()?, &scene.expected) {
        (Ok(Some(held)), Some(wanted)) => {
            let method = match held {
                RoleDocument::Jwt(_) => AuthMethod::Jwt,
                RoleDocument::Kubernetes(_) => AuthMethod::Kubernetes,
            };
            Some(!changed(Some(&held.fields()), &desired::role(method, wanted).document.fields()).is_empty())
        }
        (Ok(None), Some(_)) => Some(true),
        _ => None,
    })
}

/// What mends the role's policies, or which of them it has.
pub(super) fn of_policies(scene: &RoleScene, correct: &str) -> Known<Option<Remedy>> {
    Ok(remedy(&scene.mount.source, policies_differ(scene)?, correct))
}

/// Whether the role or a policy of the file's is another in Vault; `None` where that can't be seen.
pub(in crate::verify) fn policies_differ(scene: &RoleScene) -> Known<Option<bool>> {
    let of_role = role_differs(scene)?;
    if of_role == Some(true) {
        return Ok(of_role);
    }
    let mut unseen = of_role.is_none() || !scene.waiting.is_empty();
    for desired in &scene.policies {
        match scene.mount.vault.policy_text(desired.name.as_str())? {
            Ok(None) => return Ok(Some(true)),
            Ok(Some(text)) => match crate::policy::Policy::parse(text) {
                Ok(held) if same_meaning(&held, &desired.policy) => {}
                _ => return Ok(Some(true)),
            },
            Err(_) => unseen = true,
        }
    }
    Ok((!unseen).then_some(false))
}

/// What makes these fields of a mount's configuration what they should be, where there is a file and it keeps the mount.
pub(super) fn config(mount: &MountScene, fields: &[&str], correct: &str) -> Known<Option<Remedy>> {
    Ok(remedy(&mount.source, config_differs(mount, fields)?, correct))
}

/// Whether the mount has something else than the file says in one of these fields; `None` where that isn't known.
pub(in crate::verify) fn config_differs(mount: &MountScene, fields: &[&str]) -> Known<Option<bool>> {
    let Some(wanted) = mount.desired.as_ref().and_then(|desired| desired.config.as_ref()) else { return Ok(None) };
    let Ok(held) = mount.config()? else { return Ok(None) };
    let held = held.map(ConfigDocument::fields);
    Ok(Some(changed(held.as_ref(), &wanted.fields()).iter().any(|change| fields.contains(&change.field.as_str()))))
}

/// Whether the file, where there is one, says of these fields what the mount has.
pub(super) fn is_same(mount: &MountScene, fields: &[&str]) -> Known<bool> {
    Ok(mount.source.is_flags() || config_differs(mount, fields)? == Some(false))
}

/// Whether the file itself grants what is needed, as far as that is known: then Vault has something else.
pub(super) fn grants(scene: &RoleScene, needs: &[&super::needs::Need]) -> Known<bool> {
    Ok(held_policies::in_the_file(scene, needs) && policies_differ(scene)? != Some(false))
}
