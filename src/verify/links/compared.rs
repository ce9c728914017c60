//! What a login should be able to do, and what its policies say: put together once for each login, with few requests. Policies are
//! read once in a run, whoever has them.

use std::collections::BTreeSet;

use crate::access::who::{Who, let_in};
use crate::access::{Meant, Standards, absent, before_login, beyond, dead, denials, passed, taken};
use crate::desired::KvVersions;
use crate::model::AuthMethod;
use crate::names::MountPath;
use crate::policy::{Identity, Policy, PolicyPath, Rule, may_be_stock, stock_default};
use crate::vault::TokenInfo;
use crate::verify::facts::login::OwnRules;
use crate::verify::facts::{Known, Knows, all, some};
use crate::verify::grants::{Compared, Held, serving, told};
use crate::verify::links::held_policies::policies;
use crate::verify::links::identity::{alias, own_entity};
use crate::verify::links::needs::needs;
use crate::verify::links::of_file::{Meaning, kv_version, of_file};
use crate::verify::probes::probes;
use crate::verify::scene::RoleScene;

/// What should be granted, and what not: by the file's policies, else by the role's own as they are in Vault; `None` where that can't
/// be known, or where nobody logged in.
pub(super) fn compared(scene: &RoleScene) -> Known<Option<&Compared>> {
    if scene.compared.get().is_none() {
        let compared = compare(scene)?;
        // Whoever else made it made the same.
        let _ = scene.compared.set(compared);
    }
    Ok(scene.compared.get().and_then(Option::as_ref))
}

fn compare(scene: &RoleScene) -> Known<Option<Compared>> {
    let login = some!(scene.logged_in()?);
    let mut held = held(scene, login)?;
    let own: Vec<Meaning> = if scene.expected.is_some() {
        of_file(scene, login, &held)?
    } else {
        // `default` is compared as what it is, whether the role names it or not.
        let own = some!(policies(scene)?).into_iter().filter(|(name, _)| name != "default");
        own.map(|(name, policy)| Meaning::known(name, policy)).collect()
    };
    let without_default = match &scene.expected {
        Some(role) => role.token.no_default_policy,
        None => matches!(scene.held()?, Some(document) if document.token().token_no_default_policy),
    };
    // What isn't known can't be asked for.
    let written: Vec<Policy> = own.iter().filter(|own| own.is_known).map(|own| own.policy.clone()).collect();
    let own_as_written = written.clone();
    let own: Vec<(String, Policy)> = own.into_iter().map(|own| (own.name, own.policy)).collect();
    let identity = identity(scene, login, own.iter().chain(&held.policies))?;
    let fill = |policies: Vec<(String, Policy)>| -> Vec<(String, Policy)> {
        policies.into_iter().map(|(name, policy)| (name, policy.filled(&identity))).collect()
    };
    let mut own = fill(own);
    held.policies = fill(held.policies);
    // What the file names and doesn't define is meant as it is.
    let unknown = |name: &String| {
        scene.expected.as_ref().is_some_and(|role| role.policies.iter().any(|policy| policy.as_str() == name))
            && !own.iter().any(|(own, _)| own == name)
    };
    let unknown: Vec<_> = held.policies.iter().filter(|(name, _)| unknown(name)).cloned().collect();
    own.extend(unknown);
    let all_own: Vec<&Policy> = own.iter().map(|(_, policy)| policy).collect();
    let allow = if scene.mount.source.is_flags() {
        let needs = needs(scene)?.into_iter().map(|need| (need.api, need.capability)).collect();
        serving(
            held.policies.iter().filter(|(name, _)| !own.iter().any(|(own, _)| own == name)).map(|(_, policy)| policy),
            &needs,
        )
    } else {
        scene.allow.filled(&identity)
    };
    let stock = Policy::filled(stock_default(), &identity);
    let default = Some(&stock).filter(|_| !without_default);
    let meant = Meant::new(&all_own, default, &allow);
    let mut found = search(&held, &all_own, &meant);
    // What can't be read here, the login itself is told of, in part.
    // Where it isn't known what all of the file's policies come to, what the login is told of would look like too much.
    let known = scene.expected.as_ref().is_none_or(|role| role.policies.len() <= own.len());
    let asks = known && login.num_uses == 0 && (!held.unknown().is_empty() || !found.1.is_empty());
    if asks && let Some(answer) = scene.facts().get(&OwnRules(scene.consumer()))? {
        held.told = Some(told(answer));
        found = search(&held, &all_own, &meant);
    }
    // What is filled in is asked about as it becomes; what isn't known is told as such.
    let written: Vec<Policy> = written.iter().map(|policy| policy.filled(&identity)).collect();
    let written: Vec<&Policy> = written.iter().collect();
    let all: Vec<&Policy> = held.all().map(|(_, policy)| policy).chain(written.iter().copied()).collect();
    let segment = meant.stand_in(&all);
    let standards = Standards::new(&written, default, meant);
    let mut probes = probes(&written, &standards, &scene.kv, &scene.mount.path, &segment);
    // What is for others whom the role lets in is not for this one.
    for path in of_others(scene, &own_as_written, &segment)? {
        if let Some(standard) = standards.at(&path) {
            probes.expected.entry(path).or_insert(standard);
        }
    }
    for path in found.0 {
        probes.expected.entry(path.clone()).or_insert_with(|| standards.limit(&path));
    }
    let others: Vec<&Policy> = held.policies.iter().map(|(_, policy)| policy).collect();
    let kv = kv_of_narrow_rules(scene, login, &all_own)?;
    let denials = denials(&all_own, &others, &kv);
    let passed = passed(&all_own, &others, &kv);
    let dead = dead(&all_own, all_own.iter().flat_map(|policy| policy.rules()));
    let absent = if all_own.iter().flat_map(|policy| policy.rules()).any(Rule::denies) {
        scene.mount.vault.mount_table()?.map(|there| absent(all_own.iter().copied(), there))
    } else {
        None
    };
    let absent = absent.unwrap_or_default();
    let stock = if without_default { Policy::default() } else { stock };
    let taking = taking(&held.policies);
    let taken = taken(&all_own, &taking.iter().collect::<Vec<_>>(), &stock);
    for taken in &taken {
        probes.expected.entry(taken.path.clone()).or_insert_with(|| standards.limit(&taken.path));
    }
    Ok(Some(Compared {
        probes,
        denials,
        taken,
        passed,
        dead,
        absent,
        segment,
        stock,
        allowed: allow,
        unsure: found.1,
        own,
        held,
    }))
}

/// The paths to ask about because the policies as they are may give more than is meant, and the rules that only the server can judge.
fn search(held: &Held, own: &[&Policy], meant: &Meant) -> (BTreeSet<String>, Vec<(String, PolicyPath)>) {
    let all: Vec<&Policy> = held.all().map(|(_, policy)| policy).collect();
    let (paths, unsure) = beyond(&all, own, meant);
    let of = |path: &PolicyPath| {
        let has = |policy: &Policy| policy.rules().iter().any(|rule| rule.path == *path);
        held.policies.iter().find(|(_, policy)| has(policy)).map(|(name, _)| (name.clone(), path.clone()))
    };
    (paths, unsure.into_iter().filter_map(of).collect())
}

/// The policies that a login carries, whoever gave them to it.
fn held(scene: &RoleScene, login: &TokenInfo) -> Known<Held> {
    let names: BTreeSet<&String> =
        login.token_policies.iter().chain(login.identity_policies.iter().flatten()).collect();
    let texts = names.into_iter().filter(|name| *name != "root");
    let texts: Vec<_> = all(texts.map(|name| Ok((name, scene.mount.vault.policy_text(name)?))))?;
    let mut held = Held::default();
    for (name, text) in texts {
        match text {
            Ok(Some(text)) => match Policy::parse(text) {
                Ok(policy) => held.policies.push((name.clone(), policy)),
                Err(_) => held.unclear.push(name.clone()),
            },
            // It gives nothing.
            Ok(None) => {}
            Err(_) => held.unread.push(name.clone()),
        }
    }
    Ok(held)
}

/// What is known of the identity of a login, where a policy asks for it.
fn identity<'a>(
    scene: &RoleScene,
    login: &TokenInfo,
    policies: impl Iterator<Item = &'a (String, Policy)>,
) -> Known<Identity> {
    let mut identity = Identity::default();
    identity.know("identity.entity.id", &login.entity_id);
    // What takes a request is asked for where a rule wants it; those that every server has in `default` do not.
    let stock = |path: &PolicyPath| stock_default().rules().iter().any(|rule| rule.path == *path);
    let rules = policies.flat_map(|(_, policy)| policy.rules()).chain(scene.allow.rules());
    let paths: Vec<&str> = rules.map(|rule| &rule.path).filter(|path| !stock(path)).map(PolicyPath::as_str).collect();
    let wants = |beginnings: &[&str]| paths.iter().any(|path| beginnings.iter().any(|begins| path.contains(begins)));
    if wants(&["identity.entity.name", "identity.entity.metadata.", "identity/entity/name/"])
        && let Some(entity) = own_entity(scene, login)?
    {
        identity.know("identity.entity.name", &entity.name);
        for (key, value) in entity.metadata.iter().flatten() {
            identity.know(format!("identity.entity.metadata.{key}"), value);
        }
    }
    if !wants(&["identity.entity.aliases."]) {
        return Ok(identity);
    }
    let Some(mount) = scene.mount.listed()? else { return Ok(identity) };
    let of_alias = format!("identity.entity.aliases.{}", mount.accessor);
    // What a kubernetes mount says of the login beside that is no part of the alias.
    let kubernetes = mount.kind == AuthMethod::Kubernetes.as_str();
    let metadata = login.metadata.iter().flatten().filter(|(key, _)| !(kubernetes && key.as_str() == "role"));
    for (key, value) in metadata {
        identity.know(format!("{of_alias}.metadata.{key}"), value);
    }
    if let Some(name) = alias(scene)? {
        identity.know(format!("{of_alias}.name"), &name);
    }
    Ok(identity)
}

/// How many others are thought of.
const OTHERS: usize = 8;

/// Paths that policies of the file give to others whom the role lets in, where templates tell them apart.
fn of_others(scene: &RoleScene, own: &[Policy], segment: &str) -> Known<BTreeSet<String>> {
    let templates = || own.iter().flat_map(Policy::rules).filter(|rule| rule.path.is_template());
    let mut paths = BTreeSet::new();
    let (Some(role), Some(_)) = (&scene.expected, templates().next()) else { return Ok(paths) };
    let Some(method) = scene.mount.method()? else { return Ok(paths) };
    let accessor = scene.mount.listed()?.map(|mount| mount.accessor.as_str());
    let is_own = |who: &Who| matches!(who, Who::Account(account) if Some(account) == scene.account.as_ref());
    for who in let_in(role).into_iter().filter(|who| !is_own(who)).take(OTHERS) {
        let identity = before_login((&scene.mount.path, accessor), method, role, &who);
        let theirs = Policy::new(templates().cloned()).filled(&identity);
        paths.extend(theirs.rules().iter().filter_map(|rule| rule.path.sample(segment)));
    }
    Ok(paths)
}

/// The versions of the KV mounts that the rules may be about which deny something, or which name one path alone.
fn kv_of_narrow_rules(scene: &RoleScene, login: &TokenInfo, own: &[&Policy]) -> Known<KvVersions> {
    let mut versions = KvVersions::new();
    let narrow = |rule: &&Rule| rule.denies() || !rule.path.as_str().ends_with('*');
    let narrow: Vec<&Rule> = own.iter().flat_map(|policy| policy.rules()).filter(narrow).collect();
    let known = scene.kv.iter().chain(&scene.rules_kv).cloned();
    // Without a file, a mount is whatever stands first.
    let first = |rule: &&Rule| rule.path.literal().split_once('/').and_then(|(first, _)| first.parse().ok());
    let mounts = if scene.mount.source.is_flags() {
        known.chain(narrow.iter().filter(|rule| rule.denies()).filter_map(first)).collect()
    } else {
        known.collect::<BTreeSet<MountPath>>()
    };
    for mount in mounts {
        let below = format!("{mount}/");
        if narrow.iter().any(|rule| rule.path.as_str().starts_with(&below))
            && let Some(version) = kv_version(scene, login, &mount)?
        {
            versions.insert(mount, version);
        }
    }
    Ok(versions)
}

/// The login's policies as far as they may take something: what a newer server gives every token is no loss.
pub(super) fn taking(policies: &[(String, Policy)]) -> Vec<Policy> {
    let servers = |name: &str, rule: &Rule| name == "default" && !rule.denies() && may_be_stock(&rule.path);
    let taking = |(name, policy): &(String, Policy)| {
        Policy::new(policy.rules().iter().filter(|rule| !servers(name, rule)).cloned())
    };
    policies.iter().map(taking).collect()
}
