//! What the templates of the role's policies are filled in from: aliases of a mount that is there, and metadata that logins have.
//!
//! Where that is missing, a server leaves the rule away without a word, and the login may do less than the policy says.

use std::collections::BTreeMap;

use crate::model::{AuthMount, RoleDocument};
use crate::policy::{KUBERNETES_METADATA, OfAlias, of_aliases};
use crate::verify::facts::Known;
use crate::verify::finding::{Finding, plural};
use crate::verify::links::by_file::role_differs;
use crate::verify::links::held_policies::{drifted, policies};
use crate::verify::links::role::unread;
use crate::verify::scene::RoleScene;

/// Whether something fills a part in.
enum Judged {
    /// As far as that is known before a login.
    Filled,
    /// It can't be seen.
    Unknown(Unseen),
    Lacks(Lack),
}

/// What isn't seen, and the path whose reading would show it.
struct Unseen {
    why: &'static str,
    path: String,
}

/// Something that isn't there.
struct Lack {
    what: String,
    to_do: String,
    /// Whether that is sure.
    is_sure: bool,
}

pub(super) fn filled_in(scene: &RoleScene) -> Known<Finding> {
    let (Some(held), Some(policies)) = (scene.held()?, policies(scene)?) else { return Ok(unread()) };
    let all = || policies.iter().flat_map(|(name, policy)| policy.rules().iter().map(move |rule| (name, &rule.path)));
    let templates = all().filter(|(_, path)| path.is_template()).count();
    if templates == 0 {
        return Ok(Finding::passed("none of them is filled in"));
    }
    let mut lacks: BTreeMap<String, Lack> = BTreeMap::new();
    let mut unknown = None;
    for (policy, path) in all() {
        for part in of_aliases(path.as_str()) {
            match judge(scene, held, &part)? {
                Judged::Filled => {}
                Judged::Unknown(why) => unknown = unknown.or(Some(why)),
                Judged::Lacks(lack) => {
                    lacks.entry(format!("the policy {policy} is filled in from {}", lack.what)).or_insert(lack);
                }
            }
        }
    }
    if lacks.is_empty() {
        if let Some(Unseen { why, path }) = unknown {
            let told = format!("what fills in {} is not seen: {why}", plural(templates, "template"));
            return Ok(Finding::unseen(told).to_do(format!("grant who runs this: read on {path}")));
        }
        return Ok(Finding::passed(format!("{}, as far as that is known", plural(templates, "template"))));
    }
    let told = lacks.keys().cloned().collect::<Vec<_>>().join("; ");
    let finding = if lacks.values().any(|lack| lack.is_sure) { Finding::failed(told) } else { Finding::warning(told) };
    let finding = finding
        .why("where nothing fills a template in, servers leave its rule away: the login may not do what it says");
    // What the file says otherwise mends it.
    let by_file = match scene.mount.source.bootstrap() {
        Some(bootstrap) if role_differs(scene)? == Some(true) || drifted(scene)? => Some(bootstrap),
        _ => None,
    };
    let is_mended = by_file.is_some();
    let finding = finding.mend(by_file);
    Ok(if is_mended { finding } else { lacks.into_values().fold(finding, |finding, lack| finding.to_do(lack.to_do)) })
}

fn judge(scene: &RoleScene, role: &RoleDocument, part: &OfAlias<'_>) -> Known<Judged> {
    let mount = &scene.mount;
    let unknown = |why, path: &str| Ok(Judged::Unknown(Unseen { why, path: path.to_owned() }));
    let Ok(mounts) = mount.vault.auth_mounts()? else {
        return unknown("the auth mounts, whose accessors templates name, could not be listed", "sys/auth");
    };
    let Some(own) = mount.listed()? else {
        return unknown("the role's own mount is not among the auth mounts that this token is shown", "sys/auth");
    };
    if part.accessor != own.accessor {
        return Ok(Judged::Lacks(of_another_mount(scene, mounts, own, part.accessor)));
    }
    let Some(key) = part.metadata() else { return Ok(Judged::Filled) };
    let lack = |what: String, to_do: String| Ok(Judged::Lacks(Lack { what, to_do, is_sure: true }));
    let nobody_has = format!("the metadata `{key}`, which no login as {} has", scene.name);
    match role {
        RoleDocument::Kubernetes(_) => {
            if KUBERNETES_METADATA.contains(&key) {
                return Ok(Judged::Filled);
            }
            let Some(config) = mount.kubernetes_config()? else {
                return unknown(
                    "the mount's configuration, which says whether accounts give metadata by annotations, was not read",
                    &format!("auth/{}/config", mount.path),
                );
            };
            // What annotations give, only a login shows.
            if config.use_annotations_as_alias_metadata {
                return Ok(Judged::Filled);
            }
            lack(
                nobody_has,
                format!(
                    "name what the method gives, {}: {}",
                    scene.where_policies_are(),
                    KUBERNETES_METADATA.join(", ")
                ),
            )
        }
        RoleDocument::Jwt(_) if key == "role" => Ok(Judged::Filled),
        RoleDocument::Jwt(role) => match role.claim_mappings.iter().find(|(_, name)| *name == key) {
            None => lack(
                nobody_has,
                format!("map a claim to it in the role (`claim_mappings`), such as /kubernetes.io/namespace to {key}"),
            ),
            Some((claim, _)) if claim.contains('/') && !claim.starts_with('/') => lack(
                format!(
                    "the metadata `{key}`, and the role maps the claim \"{claim}\" to it, which is no JSON pointer without a `/` in front"
                ),
                format!("map \"/{claim}\" in place of it (`claim_mappings` of the role)"),
            ),
            Some((claim, _)) => match scene.token()? {
                Ok(token) if token.claims.value(claim).is_none() => lack(
                    format!("the metadata `{key}`, and the token has no claim \"{claim}\", which the role maps to it"),
                    "map a claim that tokens of service accounts have (`claim_mappings` of the role)".to_owned(),
                ),
                _ => Ok(Judged::Filled),
            },
        },
    }
}

/// Aliases of another mount than the one that the role logs in at, or of none.
fn of_another_mount(scene: &RoleScene, mounts: &BTreeMap<String, AuthMount>, own: &AuthMount, accessor: &str) -> Lack {
    let path = &scene.mount.path;
    let to_do = format!("write the accessor of auth/{path}, {}: {}", scene.where_policies_are(), own.accessor);
    match mounts.iter().find(|(_, mount)| mount.accessor == accessor) {
        Some((other, _)) => Lack {
            what: format!(
                "aliases of auth/{other}, and the role's logins are at auth/{path}/: only an identity with both has them"
            ),
            to_do,
            is_sure: false,
        },
        None => Lack {
            what: format!(
                "aliases of the accessor {accessor}, which no auth mount has: a mount that is made anew has another one, and that of \
                 auth/{path} is {}",
                own.accessor
            ),
            to_do,
            // It may be one of a namespace above.
            is_sure: scene.mount.vault.namespace().is_none_or(str::is_empty),
        },
    }
}
