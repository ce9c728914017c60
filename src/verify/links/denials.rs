//! Rules that deny what the login is meant to do: the role's own, those of its other policies, and those that the identity of
//! who logs in adds.

use std::collections::{BTreeMap, BTreeSet};

use crate::access::{Denial, How};
use crate::model::KvVersion;
use crate::policy::{Acl, Capability, Policy, PolicyPath, Rule};
use crate::vault::CapabilitiesByPath;
use crate::verify::facts::{Known, all};
use crate::verify::finding::{Finding, Remedy, list};
use crate::verify::grants::Compared;
use crate::verify::links::asked::{asked, grants};
use crate::verify::links::by_file;
use crate::verify::links::held_policies::{allows, default, policies};
use crate::verify::links::needs::{Need, needs};
use crate::verify::links::restricted::{refused_for, restrictions};
use crate::verify::links::role::set;
use crate::verify::links::surplus::look;
use crate::verify::links::taken::{denied_elsewhere, in_part};
use crate::verify::scene::RoleScene;

/// The rules that deny a path, each with the name of its policy: those alone that decide about it.
fn denials<'a>(policies: &'a [(String, Policy)], path: &str) -> Vec<(&'a str, &'a PolicyPath)> {
    let Some(deciding) = Acl::new(policies.iter().map(|(_, policy)| policy)).denying(path) else { return Vec::new() };
    let denies = |rule: &&Rule| rule.capabilities.contains(&Capability::Deny) && rule.path.as_str() == deciding;
    let of = |(name, policy): &'a (String, Policy)| {
        policy.rules().iter().filter(denies).map(move |rule| (name.as_str(), &rule.path))
    };
    policies.iter().flat_map(of).collect()
}

/// What denies something that no policy of the role grants.
pub(super) fn denied_by_its_own(policies: &[(String, Policy)], need: &Need) -> Option<Finding> {
    let denials = denials(policies, &need.api);
    let (name, path) = denials.first()?;
    Some(
        Finding::failed(format!("the policy {name} of the role denies {}", need.api))
            .with("it needs", need.to_string())
            .with(format!("the rule of {name}"), format!("deny on {path}"))
            .why("of rules for the same path a `deny` wins, and of several paths the most specific one alone counts"),
    )
}

/// A rule that denies is there on purpose, as likely as not: it is not written over by a more specific one.
pub(super) fn correct_the_rule(scene: &RoleScene, finding: Finding, needs: &[&Need]) -> Known<Finding> {
    Ok(match scene.mount.source.bootstrap() {
        Some(remedy) if by_file::grants(scene, needs)? => finding.mend([remedy]),
        Some(_) => finding.to_do(format!(
            "the file denies it as well: correct --path, or take that rule out of the file; {}",
            scene.mount.source.then_bootstrap()
        )),
        None => finding.to_do(format!(
            "correct --path, or name another role; or, if the rule isn't there on purpose, take it out of the policy: \
             {} shows it",
            look(scene, "NAME")
        )),
    })
}

/// The policies that the identity of who logs in adds, where somebody has logged in already, as far as they can be read.
fn of_the_identity(scene: &RoleScene) -> Known<Vec<(String, Policy)>> {
    let login = scene.login_so_far()?.and_then(|login| login.as_ref().ok());
    let names = login.and_then(|login| login.identity_policies.as_ref()).into_iter().flatten();
    let read = names.map(|name| Ok(scene.mount.vault.policy(name)?.map(|policy| (name.clone(), policy))));
    let read: Vec<Option<_>> = all(read)?;
    Ok(read.into_iter().flatten().collect())
}

/// What the role's policies are meant to say: as the file does, where it does.
fn meant<'a>(scene: &'a RoleScene, own: &'a [(String, Policy)]) -> Vec<&'a Policy> {
    let named = |name: &str| match &scene.expected {
        Some(role) => role.policies.iter().any(|policy| policy.as_str() == name),
        None => true,
    };
    let in_file = |name: &str| scene.policies.iter().any(|policy| policy.name.as_str() == name);
    let beside = own.iter().filter(|(name, _)| named(name) && !in_file(name)).map(|(_, policy)| policy);
    scene.policies.iter().map(|policy| &policy.policy).chain(beside).collect()
}

pub(super) fn not_denied(scene: &RoleScene) -> Known<Finding> {
    let Some(own) = policies(scene)? else {
        return Ok(Finding::unseen(
            "the role's policies can't be read with this token; what the login may do will tell",
        ));
    };
    // Every login has `default`, whether the role names it or not.
    let own: Vec<(String, Policy)> = own.into_iter().filter(|(name, _)| name != "default").collect();
    let default = default(scene)?.map(|policy| ("default".to_owned(), policy));
    let identity = of_the_identity(scene)?;
    let all: Vec<(String, Policy)> = own.iter().chain(&default).chain(&identity).cloned().collect();
    let everything: Vec<&Policy> = all.iter().map(|(_, policy)| policy).collect();
    let needs = needs(scene)?;
    let mut denied: Vec<&Need> = needs.iter().filter(|need| !allows(&everything, &need.api, need.capability)).collect();
    // The server knows of more than what can be read here.
    if !denied.is_empty()
        && let Some(Ok(actual)) = asked(scene)?
    {
        denied.retain(|need| !grants(actual, need));
    }
    let Some(denied) = denied.first() else {
        let found = restrictions(&all, &meant(scene, &own), &needs);
        return Ok(match refused_for(scene, &found) {
            Some(finding) => finding,
            None => in_part(scene, &own, &all)?,
        });
    };
    let denials = denials(&all, &denied.api);
    let denying: BTreeSet<&str> = denials.iter().map(|(name, _)| *name).collect();
    let of_the_role = |name: &&str| own.iter().any(|(own, _)| own == name);
    let finding = Finding::failed(if denying.is_empty() {
        format!("a more specific rule of another policy takes away {denied}")
    } else {
        format!(
            "the policy {} denies {}, which another policy of the role grants",
            list(denying.iter().copied()),
            denied.api
        )
    })
    .with("it needs", denied.to_string())
    .with("the role's policies", list(own.iter().map(|(name, _)| name.as_str())))
    .why("of rules for the same path a `deny` wins, and of several paths the most specific one alone counts");
    let finding = match identity.as_slice() {
        [] => finding,
        added => finding.with("the policies that its identity adds", list(added.iter().map(|(name, _)| name.as_str()))),
    };
    let finding = denials
        .iter()
        .fold(finding, |finding, (name, path)| finding.with(format!("the rule of {name}"), format!("deny on {path}")));
    if !denying.is_empty() && !denying.iter().any(of_the_role) {
        return denied_elsewhere(scene, finding, &denying);
    }
    if let Some(remedy) = scene.mount.source.bootstrap() {
        if by_file::grants(scene, &[denied])? {
            return Ok(finding.mend([remedy]));
        }
        return Ok(finding.to_do(format!(
            "the file itself denies it: take that rule, or that policy of the role, out of the file; {}",
            scene.mount.source.then_bootstrap()
        )));
    }
    if denying.is_empty() {
        return Ok(finding.to_do(format!("look at the rules of these policies: {}", look(scene, "NAME"))));
    }
    let kept: Vec<&str> = own.iter().map(|(name, _)| name.as_str()).filter(|name| !denying.contains(name)).collect();
    let remedy = set(scene, &[("token_policies", &kept.join(","))])?;
    let text = "take the policy that denies it out of the role, if it isn't there on purpose".to_owned();
    Ok(finding.mend([Remedy { text, ..remedy }]))
}

/// Rules of the login's policies that deny, where the server says that they don't: a finding for each rule. And whether Vault's policy
/// `default` makes exceptions from some, which is no fault of theirs.
pub(super) fn undenied(
    scene: &RoleScene,
    compared: &Compared,
    actual: &CapabilitiesByPath,
    drifted: bool,
) -> (Vec<Finding>, bool) {
    let policies = compared.held.policies.iter().map(|(_, policy)| policy);
    let acl = Acl::new(policies.chain([&compared.stock]));
    let mut excepted = false;
    let mut rules: BTreeMap<&PolicyPath, (&Denial, BTreeSet<&str>)> = BTreeMap::new();
    for denial in &compared.denials {
        let has = actual.get(&denial.path).into_iter().flatten().map(String::as_str);
        let left = denial.left(has);
        if left.is_empty() {
            continue;
        }
        if excepted_by_default(compared, &acl, denial, &left) {
            excepted = true;
        } else {
            rules.entry(&denial.rule).or_insert((denial, left));
        }
    }
    let found = rules.into_values().map(|(denial, left)| not_in_force(scene, compared, denial, &left, drifted));
    (found.collect(), excepted)
}

/// Rules that deny something where nothing is: a warning for each, because whoever mounts it there may come later.
pub(super) fn on_no_mount(scene: &RoleScene, compared: &Compared) -> Vec<Finding> {
    let place = scene.where_policies_are();
    let found = compared.absent.iter().map(|(rule, absent)| {
        let finding = Finding::warning(format!("the rule that denies {rule} denies nothing: {absent}"));
        let finding = finding.why("what it was to keep from the login may be open under another name");
        finding.to_do(format!("{}, {place}", absent.remedy()))
    });
    found.collect()
}

/// Whether what is left within a denial is what a rule gives that servers put into their policy `default`.
fn excepted_by_default(compared: &Compared, acl: &Acl, denial: &Denial, left: &BTreeSet<&str>) -> bool {
    let Some((deciding, _)) = acl.decides(&denial.path) else { return false };
    let Some(rule) = compared.stock.rules().iter().find(|rule| rule.path.as_str() == deciding) else { return false };
    let given: BTreeSet<&str> = rule.capabilities.iter().map(|capability| capability.as_str()).collect();
    left.is_subset(&given)
}

/// How the server chooses among rules.
const MOST_SPECIFIC: &str = "of the rules that match a path the most specific one alone counts: the one with more before its first \
                             `+` or `*`, then one that doesn't end in `*`, then the one with fewer `+`, then the longer one";

fn not_in_force(
    scene: &RoleScene,
    compared: &Compared,
    denial: &Denial,
    left: &BTreeSet<&str>,
    drifted: bool,
) -> Finding {
    let Denial { rule, path, how } = denial;
    let may = list(left.iter().copied());
    let of = |policies: &[(String, Policy)], rule: &str| {
        let has = |policy: &Policy| policy.rules().iter().any(|other| other.path.as_str() == rule);
        list(policies.iter().filter(|(_, policy)| has(policy)).map(|(name, _)| name.as_str()))
    };
    let acl = Acl::new(compared.held.policies.iter().map(|(_, policy)| policy));
    let deciding = acl.decides(path).map(|(rule, _)| rule).filter(|deciding| *deciding != rule.as_str());
    let own: Vec<&Policy> = compared.own.iter().map(|(_, policy)| policy).collect();
    let by_its_own = denial.outranked(&own).is_some();
    let detail = match (how, &deciding) {
        (How::Misplaced(KvVersion::V2), _) => format!(
            "the rule that denies {rule} denies nothing, because its KV mount is of version 2: the login may {may} on {path}"
        ),
        (How::Misplaced(KvVersion::V1), _) => format!(
            "the rule that denies {rule} denies the path with data/ or metadata/ alone, because its KV mount is of version 1: the \
             login may {may} on {path}"
        ),
        (How::Scanned, _) => format!(
            "the rule that denies {rule} does not keep its names: the login may {may} on {path}, and a scan tells all that is below"
        ),
        (_, Some(deciding)) => format!(
            "the rule that denies {rule} does not hold: the login may {may} on {path}, where {deciding} decides"
        ),
        (_, None) => format!("the rule that denies {rule} does not hold: the login may {may} on {path}"),
    };
    // In a mount of version 1 a secret may be called like that.
    let finding =
        if *how == How::Misplaced(KvVersion::V1) { Finding::warning(detail) } else { Finding::failed(detail) };
    let finding = finding.with("the rule that denies is of the policy", of(&compared.own, rule.as_str()));
    let finding = match &deciding {
        Some(deciding) => finding.with(
            "the rule that decides",
            format!("{deciding} of the policy {}", of(&compared.held.policies, deciding)),
        ),
        None => finding,
    };
    let finding = finding.why(MOST_SPECIFIC);
    let where_it_is = scene.where_policies_are();
    match how {
        How::Misplaced(KvVersion::V2) => finding.to_do(format!(
            "write the path with `data/` for values, and with `metadata/` for names, after the mount, {where_it_is}"
        )),
        How::Misplaced(KvVersion::V1) => finding.to_do(format!(
            "write the path without `data/` or `metadata/`, unless secrets are called like that, {where_it_is}"
        )),
        How::Scanned => finding.to_do(format!(
            "grant `list` without `scan` there, or deny `scan` on the folder that is scanned, {where_it_is}"
        )),
        _ if by_its_own => finding.to_do(format!(
            "write a denial that is more specific than the rule that decides, or a narrower rule in place of that one, {where_it_is}"
        )),
        _ => finding
            .mend(scene.mount.source.bootstrap().filter(|_| drifted))
            .to_do(format!(
                "take the rule that decides out of its policy, or that policy from the login: {}",
                look(scene, "NAME")
            )),
    }
}
