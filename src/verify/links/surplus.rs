//! What a login may do beyond what is meant, whoever gives it: the role's own policies as they have become, Vault's policy
//! `default`, or the identity of who logs in.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::off_limits;
use crate::policy::{Pattern, PolicyPath, may_be_stock};
use crate::vault::CapabilitiesByPath;
use crate::verify::capabilities::{Surplus, differences};
use crate::verify::catalogue::GRANTED;
use crate::verify::facts::Known;
use crate::verify::finding::{Finding, Status, list};
use crate::verify::grants::{Compared, Source as Granting, by_source};
use crate::verify::links::asked::{capabilities, capabilities_so_far};
use crate::verify::links::compared::compared;
use crate::verify::links::held_policies::drifted;
use crate::verify::scene::{RoleScene, Source};

/// What is too much: in the same words for all logins that have it from the same rules.
pub(super) fn surplus(scene: &RoleScene, compared: &Compared, actual: &CapabilitiesByPath) -> Known<Finding> {
    let differences = differences(&compared.probes, actual);
    // What others grant for sure is not what a template of its own policies may be about.
    let (others, unsure): (BTreeMap<_, _>, BTreeMap<_, _>) = by_source(&compared.held, &differences.unsure)
        .into_iter()
        .partition(|(source, surplus)| elsewhere(source, compared) && !may_be_allowed(compared, surplus));
    let mut all = by_source(&compared.held, &differences.extra);
    for (source, surplus) in others {
        all.entry(source).or_insert_with(|| surplus.clone()).capabilities.extend(surplus.capabilities);
    }
    let mut doubts = doubts(compared, &unsure);
    let (mut found, mut left) = (BTreeMap::new(), BTreeMap::new());
    let flags = scene.mount.source.is_flags();
    for (source, surplus) in all {
        if may_be_servers(&source, scene, compared) && !scene.mount.vault.stock_is_known()? {
            doubts.push(format!("whether this version of the server gives {} to every token", said(&source, &surplus)));
        } else if flags && elsewhere(&source, compared) {
            left.insert(source, surplus);
        } else {
            found.insert(source, surplus);
        }
    }
    // A policy that was exchanged for another is one fault, and what the login lacks says so.
    if !found.is_empty() && !differences.missing.is_empty() && !found.keys().any(|source| elsewhere(source, compared)) {
        return Ok(Finding::not_reached(format!(
            "{} has to hold first; the login may also {}",
            GRANTED.id,
            sentences(&found)
        )));
    }
    if !found.is_empty() {
        return too_much(scene, compared, &found);
    }
    if !left.is_empty() {
        // Without a file nobody says that it is too much.
        return Ok(told(Finding::warning(format!("the login may also {}", sentences(&left))), scene, compared, &left)?
            .why("its role shows nothing of it, and no file says whether it is meant"));
    }
    // A token that may read no policy at all is no fault of the role's, unless the login carries what nobody gave it; a bootstrap has
    // to say what it did not prove.
    if compared.held.policies.is_empty()
        && !compared.held.unread.is_empty()
        && !matches!(scene.mount.source, Source::Bootstrap)
        && (flags || compared.held.told.is_some() || strange(compared).is_empty())
    {
        return Ok(Finding::unseen(
            "the login's policies can't be read with this token, so it isn't known whether it may do more than was asked about",
        ));
    }
    if !doubts.is_empty() {
        return Ok(in_doubt(scene, compared, &doubts));
    }
    let boundless = boundless(compared);
    if differences.refused == 0 || !boundless.is_empty() {
        return Ok(without_bounds(scene, &boundless, compared.probes.expected.len()));
    }
    Ok(Finding::passed(format!("refused on {} paths beside it", differences.refused)))
}

/// Whether a template of what the configuration allows may be about it.
fn may_be_allowed(compared: &Compared, surplus: &Surplus) -> bool {
    compared.allowed.rules().iter().any(|rule| rule.is_uncertain() && rule.may_match(&surplus.path))
}

/// The rules of the login's own policies that are about everything in Vault, and allow something there.
fn boundless(compared: &Compared) -> BTreeSet<String> {
    let all = compared.own.iter().flat_map(|(name, policy)| policy.rules().iter().map(move |rule| (name, rule)));
    let wide = all
        .filter(|(_, rule)| !rule.denies() && Pattern::of(&rule.path).is_some_and(|pattern| pattern.is_wild_after(0)));
    let said = wide.map(|(name, rule)| {
        let capabilities = list(rule.capabilities.iter().map(|capability| capability.as_str()));
        format!("{capabilities} on {} by the policy {name}", rule.path)
    });
    said.collect()
}

/// Where all is meant, nothing can be too much: then it is said that the policies set no bounds.
fn without_bounds(scene: &RoleScene, rules: &BTreeSet<String>, asked: usize) -> Finding {
    let whose = if scene.expected.is_some() { "the file's policies" } else { "the role's policies" };
    let detail = if rules.is_empty() {
        format!("{whose} refuse the login nothing: each of the {asked} paths that were asked about allows something")
    } else {
        format!("{whose} set the login no bounds: {}", list(rules.iter().map(String::as_str)))
    };
    Finding::warning(detail)
        .why("there is nothing beside what it is meant to do, so that nothing here would show what is too much")
        .to_do("name the paths that it needs in its policies")
}

/// Whether the login may do nothing beyond what is meant, and that is known.
pub(super) fn nothing_beyond(scene: &RoleScene) -> Known<bool> {
    Ok(match (compared(scene)?, capabilities(scene)?) {
        (Some(compared), Some(Ok(actual))) => surplus(scene, compared, actual)?.status == Status::Passed,
        _ => false,
    })
}

/// Whether a rule of `default` may be one that a server of another version gives to every token.
fn may_be_servers(source: &Granting, scene: &RoleScene, compared: &Compared) -> bool {
    let only_default = source.policies.len() == 1 && source.policies.contains("default");
    let path = PolicyPath::new(&source.path);
    let off_limits = || off_limits(&scene.kv, &scene.mount.path, &compared.segment);
    only_default && path.is_ok_and(|path| may_be_stock(&path) && !off_limits().iter().any(|off| reaches(&path, off)))
}

fn reaches(rule: &PolicyPath, path: &str) -> bool {
    crate::policy::Pattern::with_templates(rule).matches(path)
}

/// Whether none of the role's own policies grants it.
fn elsewhere(source: &Granting, compared: &Compared) -> bool {
    !source.policies.is_empty() && source.policies.iter().all(|name| !compared.own.iter().any(|(own, _)| own == name))
}

/// What can't be told.
fn doubts(compared: &Compared, unsure: &BTreeMap<Granting, Surplus>) -> Vec<String> {
    let unread = compared.held.unread.iter().map(|name| format!("what the policy {name} gives, which may not be read"));
    let unclear =
        compared.held.unclear.iter().map(|name| format!("what the policy {name} gives, which is not understood here"));
    let templates =
        compared.unsure.iter().map(|(name, path)| format!("what the template {path} of the policy {name} comes to"));
    let own = unsure.iter().map(|(source, surplus)| {
        format!("whether a template of its own policies is meant to give {}", said(source, surplus))
    });
    unread.chain(unclear).chain(templates).chain(own).collect()
}

/// The policies of unknown content that no file gives to the login.
fn strange(compared: &Compared) -> Vec<String> {
    let meant = |name: &str| name == "default" || compared.own.iter().any(|(own, _)| own == name);
    compared.held.unknown().into_iter().filter(|name| !meant(name)).collect()
}

/// What nobody tells may be anything: where neither a policy that isn't the file's own can be read nor the login itself is told of its
/// rules, it is not in order. Without a file it is a warning, as what is seen to be too much is.
fn in_doubt(scene: &RoleScene, compared: &Compared, doubts: &[String]) -> Finding {
    let own = |name: &String| compared.own.iter().any(|(own, _)| own == name);
    let untold = compared.held.told.is_none() && compared.held.unknown().iter().any(|name| !own(name));
    let says: fn(String) -> Finding =
        if untold && !scene.mount.source.is_flags() { Finding::failed } else { Finding::warning };
    let finding = says(format!("can't tell {}", doubts.join("; nor ")))
        .why("whether the login may do more than is meant depends on it");
    let finding = if untold {
        finding.with("what the login itself is told of its rules", "nothing (sys/internal/ui/resultant-acl)")
    } else {
        finding
    };
    let rules: Vec<String> = compared
        .held
        .unread
        .iter()
        .map(|name| format!("path \"sys/policies/acl/{name}\" {{ capabilities = [\"read\"] }}"))
        .collect();
    let finding = if rules.is_empty() {
        finding
    } else {
        finding.to_do(format!("grant the operator's token: {}", rules.join(" ")))
    };
    if compared.unsure.is_empty() && compared.held.unclear.is_empty() {
        return finding;
    }
    finding.to_do(format!("look at what it says: {}", look(scene, "NAME")))
}

/// `read, list on secret/data/a/*, by the policy p`.
fn said(source: &Granting, surplus: &Surplus) -> String {
    let capabilities = list(surplus.capabilities.iter().map(String::as_str));
    let by = match source.policies.len() {
        0 => String::new(),
        1 => format!(", by the policy {}", list(source.policies.iter().map(String::as_str))),
        _ => format!(", by the policies {}", list(source.policies.iter().map(String::as_str))),
    };
    format!("{capabilities} on {}{by}", source.path)
}

fn sentences(sources: &BTreeMap<Granting, Surplus>) -> String {
    let all: Vec<String> = sources.iter().map(|(source, surplus)| said(source, surplus)).collect();
    all.join("; it may also ")
}

fn too_much(scene: &RoleScene, compared: &Compared, found: &BTreeMap<Granting, Surplus>) -> Known<Finding> {
    let finding = Finding::failed(format!("the login may also {}", sentences(found)))
        .why("what it may do beside its own secrets is what whoever steals its token may do");
    let drifted = drifted(scene)?;
    let ours = found.keys().any(|source| !elsewhere(source, compared));
    let finding = finding.mend(scene.mount.source.bootstrap().filter(|_| drifted && ours));
    let finding = told(finding, scene, compared, found)?;
    if scene.expected.is_none() {
        return Ok(finding);
    }
    let entries: Vec<String> = found
        .iter()
        .map(|(Granting { path, .. }, surplus)| {
            let capabilities = list(surplus.capabilities.iter().map(String::as_str));
            format!("{{ path: {path}, capabilities: [{capabilities}], why: … }}")
        })
        .collect();
    Ok(finding.to_do(format!("or, where it is meant, say so in the file: `allow: [{}]`", entries.join(", "))))
}

/// The command that shows a policy, in a sentence.
pub(super) fn look(scene: &RoleScene, policy: &str) -> String {
    scene.mount.vault.cli().run("policy read").name(policy).shown()
}

/// Where it comes from, and how to end it.
fn told(
    finding: Finding,
    scene: &RoleScene,
    compared: &Compared,
    found: &BTreeMap<Granting, Surplus>,
) -> Known<Finding> {
    let asked: Vec<&str> = found.values().map(|surplus| surplus.path.as_str()).take(4).collect();
    let unasked = matches!(capabilities_so_far(scene), Some(Err(_)));
    let label = if unasked { "by its policies, such as on" } else { "the server was asked about" };
    let mut finding = finding.with(label, list(asked));
    let names: BTreeSet<&str> = found.keys().flat_map(|source| &source.policies).map(String::as_str).collect();
    let login = scene.login_so_far()?.and_then(|login| login.as_ref().ok());
    let identity = login.and_then(|login| login.identity_policies.as_deref()).unwrap_or_default();
    let of_identity: Vec<&str> = names.iter().copied().filter(|name| identity.iter().any(|of| of == name)).collect();
    let entity = login.map(|login| login.entity_id.as_str()).filter(|id| !id.is_empty());
    if let Some(id) = entity.filter(|_| !of_identity.is_empty()) {
        let read = scene.mount.vault.cli().read(&format!("identity/entity/id/{id}"));
        finding =
            finding.with("its identity adds", of_identity.join(", ")).with("which entity or group does", read.as_str());
    }
    if names.contains("default") {
        finding = finding.to_do(format!(
            "take the rule that grants it out of Vault's policy `default`, which every login has: {} shows it",
            look(scene, "default")
        ));
    }
    if !of_identity.is_empty() {
        finding = finding.to_do(format!(
            "take the policy {} from the entity or the group that adds it, or that rule out of the policy",
            of_identity.join(", ")
        ));
    }
    let others = names.iter().any(|name| *name != "default" && !of_identity.contains(name)) || names.is_empty();
    if others {
        let own = |name: &&str| compared.own.iter().any(|(own, _)| own == name);
        let strange = names.iter().filter(|name| **name != "default" && !of_identity.contains(*name) && !own(name));
        let strange: Vec<&str> = strange.copied().collect();
        finding = if strange.is_empty() {
            finding.to_do(format!(
                "look for what grants it: a policy of its identity, or a wider rule ({})",
                look(scene, "NAME")
            ))
        } else {
            finding
                .to_do(format!("take the policy {} from the role, or that rule out of the policy", strange.join(", ")))
        };
    }
    Ok(finding)
}
