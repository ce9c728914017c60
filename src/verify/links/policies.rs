//! The role's policies, as they are written: are they there, and do they say what the login needs?

use std::collections::BTreeSet;

use crate::error::Error;
use crate::fix::{Command, vaultk8s};
use crate::model::KvVersion;
use crate::names::MountPath;
use crate::policy::{Capability, Policy, rule_on_a_line};
use crate::vault::VaultError;
use crate::verify::catalogue::{FILLED_IN, KV_MOUNT, NOT_DENIED, POLICIES_COVER, POLICIES_EXIST};
use crate::verify::facts::{Known, all, some};
use crate::verify::finding::{Finding, Remedy, list, plural, sentence};
use crate::verify::links::asked::{asked, grants};
use crate::verify::links::by_file;
use crate::verify::links::denials::{correct_the_rule, denied_by_its_own, not_denied};
use crate::verify::links::filled_in::filled_in;
use crate::verify::links::held_policies::{allows, default, names, policies};
use crate::verify::links::needs::{Need, needs};
use crate::verify::links::role::{set, unread};
use crate::verify::scene::RoleScene;
use crate::verify::walk::{Row, row};

/// The checks of the role's policies, as they are written.
pub(in crate::verify) const ROWS: &[Row<RoleScene>] = &[
    row!(POLICIES_EXIST, exist),
    row!(KV_MOUNT, kv_mounts),
    row!(FILLED_IN, filled_in),
    row!(POLICIES_COVER, cover),
    row!(NOT_DENIED, not_denied),
];

fn exist(scene: &RoleScene) -> Known<Finding> {
    let Some(names) = names(scene)? else { return Ok(unread()) };
    if names.iter().any(|name| name == "root") {
        return names_root(scene, &names);
    }
    if let Some(name) = names.iter().find(|name| name.chars().any(char::is_control)) {
        let others: Vec<&str> = names.iter().filter(|other| *other != name).map(String::as_str).collect();
        return Ok(Finding::failed(format!("the role names a policy that can't be one: {name:?}"))
            .with("the role names", names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", "))
            .why("no policy can have such a name: whoever logs in is refused, or may do less than was meant")
            .mend([set(scene, &[("token_policies", &others.join(","))])?]));
    }
    let mut missing = Vec::new();
    for name in &names {
        match scene.mount.vault.policy_text(name)? {
            Ok(Some(_)) => {}
            Ok(None) => missing.push(name.clone()),
            Err(error @ VaultError::Forbidden { .. }) => {
                return scene.mount.vault.refused(error);
            }
            Err(error) => return Ok(Finding::error(&Error::from(error.clone()))),
        }
    }
    if missing.is_empty() {
        if names.is_empty() {
            return none_named(scene);
        }
        return Ok(Finding::passed(names.join(", ")));
    }
    let finding = Finding::failed(format!("the role names a policy that doesn't exist: {}", missing.join(", ")))
        .with("the role names", names.join(", "))
        .why("Vault accepts such a role, and such a login, without a word: the token then may do nothing");
    Ok(match by_file::of_policies(scene, "`policies` of the role, or write the policy")? {
        Some(remedy) => finding.mend([remedy]),
        None => match scene.wanted.as_slice() {
            [] => missing.iter().fold(finding, |finding, name| {
                let command = policy(scene).name_with(name, |command| command.fixed("--read PATH"));
                finding.to_do(format!("make it: {}", command.shown()))
            }),
            // One command is for one KV mount.
            [first, others @ ..] if others.iter().any(|wanted| wanted.mount != first.mount) => {
                let commands: Vec<String> = missing.iter().map(|name| policy(scene).name(name).shown()).collect();
                finding.to_do(format!("make it, with rules for all that is named: {}", commands.join(", ")))
            }
            all @ [first, ..] => {
                let paths: BTreeSet<String> = all.iter().map(|wanted| wanted.path.clone()).collect();
                let command = |name: &String| {
                    policy(scene).name_with(name, |command| {
                        let command = command.flag("--kv", first.mount.as_str());
                        command.fixed("--read").args(paths.iter().map(String::as_str))
                    })
                };
                finding.mend(
                    Command::all(missing.iter().map(command))
                        .map(|command| Remedy { text: "make it".to_owned(), command: Some(command) }),
                )
            }
        },
    })
}

/// The beginning of a command that makes a policy.
fn policy(scene: &RoleScene) -> Command {
    vaultk8s("policy").args(scene.mount.vault.flags().iter().map(String::as_str))
}

/// A role that names the policy `root` lets nobody in.
fn names_root(scene: &RoleScene, names: &[String]) -> Known<Finding> {
    let others: Vec<&str> = names.iter().map(String::as_str).filter(|name| *name != "root").collect();
    let remedy = set(scene, &[("token_policies", &others.join(","))])?;
    Ok(Finding::failed("the role names the policy root, which no login may have")
        .with("the role names", names.join(", "))
        .why("Vault refuses every login of such a role: `auth methods cannot create root tokens`")
        .mend([remedy]))
}

/// Those of the role's policies that don't exist, as far as it can be seen.
pub(super) fn missing(scene: &RoleScene) -> Known<Vec<String>> {
    let names = names(scene)?.unwrap_or_default();
    let looked = names.into_iter().map(|name| {
        let is_missing = matches!(scene.mount.vault.policy_text(&name)?, Ok(None));
        Ok(is_missing.then_some(name))
    });
    let missing: Vec<Option<String>> = all(looked)?;
    Ok(missing.into_iter().flatten().collect())
}

/// A role that names no policies may still be given some by the identity of who logs in.
fn none_named(scene: &RoleScene) -> Known<Finding> {
    let finding =
        Finding::warning("the role names no policies: its logins may do what `default` and their identity allow");
    let wants = scene.expected.as_ref().is_some_and(|role| !role.policies.is_empty());
    if let Some(remedy) = scene.mount.source.bootstrap().filter(|_| wants) {
        return Ok(finding.mend([remedy]));
    }
    let needs = needs(scene)?;
    Ok(match append(scene, &needs.iter().collect::<Vec<_>>())?.filter(|_| !needs.is_empty()) {
        Some(remedy) => finding.mend([remedy]),
        None => finding.to_do("let the role name a policy: `policies` in the file, or `token_policies` of the role"),
    })
}

fn kv_mounts(scene: &RoleScene) -> Known<Finding> {
    let mounts: BTreeSet<&MountPath> =
        scene.own_kv.iter().chain(scene.wanted.iter().map(|wanted| &wanted.mount)).collect();
    let mut found = Vec::new();
    for mount in mounts {
        match scene.kv(mount)? {
            Ok(KvVersion::V1) => found.push(format!("{mount}/ (version 1)")),
            Ok(KvVersion::V2) => found.push(format!("{mount}/ (version 2)")),
            Err(error) if error.is_forbidden() => return Ok(Finding::unseen_because(error)),
            Err(error) => {
                let finding = if scene.made_kv.contains(mount) {
                    let finding = Finding::failed(sentence(error)).mend(scene.mount.source.bootstrap());
                    error.remedies().into_iter().fold(finding, Finding::to_do)
                } else {
                    Finding::error(error)
                };
                return Ok(scene.with_guesses(finding.why(
                    "a path below a mount that isn't there is refused like one that may not be read: `permission denied`",
                )));
            }
        }
    }
    Ok(if found.is_empty() { Finding::skipped("no secret is named") } else { Finding::passed(found.join(", ")) })
}

fn cover(scene: &RoleScene) -> Known<Finding> {
    let Some(policies) = policies(scene)? else {
        return Ok(Finding::unseen(
            "the role's policies can't be read with this token; what the login may do will tell",
        ));
    };
    let needs = needs(scene)?;
    if needs.is_empty() {
        return Ok(Finding::skipped(
            "nothing here says what the login should be able to do; name a secret with --path",
        ));
    }
    let default = default(scene)?;
    let granting: Vec<&Policy> = policies.iter().map(|(_, policy)| policy).chain(&default).collect();
    let mut missing: Vec<&Need> = needs
        .iter()
        .filter(|need| !granting.iter().any(|policy| allows(&[policy], &need.api, need.capability)))
        .collect();
    // What an identity adds stands in no policy of the role: the server's own answer is the better one.
    if !missing.is_empty()
        && let Some(Ok(actual)) = asked(scene)?
    {
        missing.retain(|need| !grants(actual, need));
        if missing.is_empty() {
            return Ok(Finding::passed(
                "the server grants it, by policies that the role does not name: its identity's",
            ));
        }
    }
    if let Some(finding) = missing.iter().find_map(|need| denied_by_its_own(&policies, need)) {
        return correct_the_rule(scene, finding, &missing);
    }
    if missing.is_empty() {
        return Ok(Finding::passed(format!(
            "{} on {}",
            plural(needs.len(), "permission"),
            list(policies.iter().map(|(name, _)| name.as_str()))
        )));
    }
    let all: Vec<&Policy> = policies.iter().map(|(_, policy)| policy).collect();
    let mut shape = None;
    for need in &missing {
        shape = shape.or(misplaced(scene, &all, need)?);
    }
    let rules: Vec<String> = all
        .iter()
        .flat_map(|policy| policy.rules())
        .take(6)
        .map(|rule| {
            let verbs: Vec<&str> = rule.capabilities.iter().map(|capability| capability.as_str()).collect();
            format!("{} on {}", verbs.join(", "), rule.path)
        })
        .collect();
    let finding = Finding::failed(
        shape.unwrap_or_else(|| "the role's policies don't cover what the login is meant to do".to_owned()),
    )
    .with("it needs", missing.iter().take(4).map(ToString::to_string).collect::<Vec<_>>().join("; "))
    .with("the policies say", if rules.is_empty() { "nothing".to_owned() } else { rules.join("; ") })
    .why("the login works, and then every read is refused: `permission denied`");
    let finding = match scene.mount.source.bootstrap() {
        Some(remedy) if by_file::grants(scene, &missing)? => finding.mend([remedy]),
        Some(_) => finding.to_do(format!(
            "the file does not grant it either: correct --path, or add it to `read` or `list` (or correct `kv`) of a policy \
             of the role; {}",
            scene.mount.source.then_bootstrap()
        )),
        None => finding.mend(append(scene, &missing)?),
    };
    Ok(scene.with_guesses(finding))
}

/// The command that adds rules to a policy, and leaves what is in it.
pub(super) fn adding(scene: &RoleScene, policy: &str, rules: &[String]) -> Command {
    scene.mount.vault.cli().add_to_policy(policy, rules)
}

/// The policy of the role that missing rules belong to: one that is about their KV mount already, else the first.
fn closest(scene: &RoleScene, names: &[String], missing: &[&Need]) -> Known<Option<String>> {
    let mounts: BTreeSet<String> =
        missing.iter().filter_map(|need| need.kv.as_ref()).map(|(mount, _)| format!("{mount}/")).collect();
    let own = || names.iter().filter(|name| *name != "default");
    for name in own() {
        let Some(policy) = scene.mount.vault.policy(name)? else { continue };
        if policy.rules().iter().any(|rule| mounts.iter().any(|mount| rule.path.as_str().starts_with(mount))) {
            return Ok(Some(name.clone()));
        }
    }
    Ok(own().next().cloned())
}

/// Adds the missing rules to one of the role's policies, and leaves what is in it; where it has none but `default`, to one of
/// its own.
fn append(scene: &RoleScene, missing: &[&Need]) -> Known<Option<Remedy>> {
    let names = some!(names(scene)?);
    let own = closest(scene, &names, missing)?;
    let rules: Vec<String> = missing.iter().map(|need| rule_on_a_line(&need.api, [need.capability.as_str()])).collect();
    let Some(name) = own else {
        let mut name = scene.name.to_string().to_lowercase();
        // What can't be read may be there, and is not to be written over.
        while some!(scene.mount.vault.policy_text(&name)?.as_ref().as_ref().ok()).is_some() {
            name.push_str("-paths");
        }
        let all = names.into_iter().chain([name.clone()]).collect::<Vec<_>>().join(",");
        let change = some!(set(scene, &[("token_policies", &all)])?.command);
        return Ok(Some(Remedy {
            text: "make a policy that says so, and let the role name it".to_owned(),
            command: Some(scene.mount.vault.cli().write_policy(&name, &rules).then(&change)),
        }));
    };
    Ok(Some(Remedy {
        text: "add what is missing to the policy".to_owned(),
        command: Some(adding(scene, &name, &rules)),
    }))
}

/// In what the policies miss a path by little.
fn misplaced(scene: &RoleScene, policies: &[&Policy], need: &Need) -> Known<Option<String>> {
    let (mount, below) = some!(need.kv.as_ref());
    let version = some!(scene.kv(mount)?.ok());
    let data = allows(policies, &format!("{mount}/data/{below}"), Capability::Read);
    Ok(match version {
        KvVersion::V2 if allows(policies, &format!("{mount}/{below}"), need.capability) => Some(format!(
            "the policy names {mount}/… as if the KV mount were of version 1: it is of version 2, where values are below \
             {mount}/data/ and names below {mount}/metadata/"
        )),
        KvVersion::V2 if data && need.api.starts_with(&format!("{mount}/metadata/")) => Some(format!(
            "the policy lacks {mount}/metadata/…, where the names of secrets are: it has {mount}/data/… alone"
        )),
        KvVersion::V2
            if need.api.starts_with(&format!("{mount}/data/"))
                && allows(policies, &format!("{mount}/metadata/{below}"), Capability::List) =>
        {
            Some(format!(
                "the policy lacks {mount}/data/…, where the values of secrets are: it has {mount}/metadata/… alone"
            ))
        }
        KvVersion::V1 if data || allows(policies, &format!("{mount}/metadata/{below}"), need.capability) => {
            Some(format!(
                "the policy names {mount}/data/… as if the KV mount were of version 2: it is of version 1, where paths have no data/ and no metadata/"
            ))
        }
        _ => {
            let rest = some!(need.api.strip_prefix(&format!("{mount}/")));
            let rules = policies.iter().flat_map(|policy| policy.rules());
            let other = some!(rules.flat_map(|rule| beginnings(rule.path.as_str(), version)).find(|other| {
                *other != mount.as_str() && allows(policies, &format!("{other}/{rest}"), need.capability)
            }));
            Some(format!("the policy names the mount {other}/, and the secrets are in {mount}/"))
        }
    })
}

/// The beginnings of a rule's path that may be a mount of this version, the shortest first. A wildcard that follows at once
/// takes any path whatever, and so says nothing of what was meant.
fn beginnings(path: &str, version: KvVersion) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| (&path[..end], &path[end + 1..])).filter_map(move |(mount, below)| {
        let first = below.split('/').next().unwrap_or_default();
        let lines_up = match version {
            KvVersion::V1 => !first.is_empty() && !first.contains(['*', '+']),
            KvVersion::V2 => matches!(first, "data" | "metadata"),
        };
        let inside = mount.split('/').any(|part| matches!(part, "data" | "metadata") || part.contains(['*', '+']));
        (lines_up && !inside).then_some(mount)
    })
}
