//! Desired − observed.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::fields::{FieldChange, changed};
use super::keys::{self, KeyPlan, RecordWrite};
use super::kubernetes::{self, Planned};
use super::owners::{Roles, Run};
use super::{
    Action, Change, FailedCluster, Object, Plan, Seen, Write, adopted, consent, elsewhere, fetched, kv, logged, mount,
    orphans, renames, selected,
};
use crate::desired::{Desired, DesiredMount, DesiredPolicy, DesiredRole};
use crate::error::Result;
use crate::keys::KeyRecords;
use crate::model::{ConfigDocument, Observed, ObservedMount, RoleDocument, StoredPolicy};
use crate::names::{MountPath, StoredName};
use crate::ownership::Mark;
use crate::policy::{Policy, same_meaning, with_accessors};

/// Says what has to change, and what is beyond the desired state: orphans, which `prune` deletes.
///
/// `now` decides about keys that a cluster no longer publishes: they are kept for a while.
///
/// The plan says nothing yet about where it is for: see [`Session`](crate::pipeline::Session).
///
/// # Errors
/// When a path that is needed is taken by something else.
pub fn plan(address: &str, desired: &Desired, observed: &Observed, prune: bool, now: Timestamp) -> Result<Plan> {
    let desired = &*desired.with_accessors_of(&observed.auth_mounts);
    let (mut changes, mut notices, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    let mut objects = 0;
    let mut failed_clusters = Vec::new();
    let (mut retained_keys, mut foreign_keys) = (Vec::new(), Vec::new());
    for mount in &desired.mounts {
        match mount_plan(address, mount, desired, observed, prune, now) {
            Ok((planned, keys)) => {
                retained_keys.extend(keys.retained);
                foreign_keys.extend(keys.foreign);
                objects += planned.objects;
                changes.extend(planned.changes);
                notices.extend(planned.notices);
                warnings.extend(planned.warnings);
            }
            // One cluster whose objects are taken by something else doesn't keep the others from theirs.
            Err(error) if desired.mounts.len() > 1 => {
                failed_clusters.push(FailedCluster::new(mount.cluster.clone(), &error));
            }
            Err(error) => return Err(error),
        }
    }
    let of_kv = kv::plan(desired, observed);
    objects += of_kv.objects;
    changes.extend(of_kv.changes);
    notices.extend(of_kv.notices);
    // The accessor of a mount that comes to nothing is never known.
    let failed = |mount: &MountPath| {
        let of_mount = desired.mounts.iter().find(|desired| desired.path == *mount);
        of_mount.is_some_and(|mount| failed_clusters.iter().any(|failed| failed.cluster == mount.cluster))
    };
    let possible = |policy: &&DesiredPolicy| !policy.policy.accessors().iter().any(failed);
    let policies: Vec<&DesiredPolicy> = desired.policies.iter().filter(possible).collect();
    objects += policies.len();
    changes.extend(policies.iter().filter_map(|policy| policy_change(policy, desired, observed)));
    let unchanged = objects - changes.len();
    let beyond = orphans::beyond(desired, observed, prune, &failed_clusters);
    changes.extend(beyond.deletions);
    // A stable sort: within a stage the order of the file remains.
    changes.sort_by_key(Change::stage);
    notices.extend(beyond.notes);
    warnings.extend(beyond.warnings);
    let (fetched_keys, about_fetched) = fetched::fetched(desired, observed);
    warnings.extend(about_fetched);
    let logged_secrets = logged::logged(desired, observed);
    let renames = renames::renames(&changes);
    let mut plan = Plan {
        renames,
        address: address.to_owned(),
        made_at: now,
        prune,
        changes,
        unchanged,
        retained_keys,
        foreign_keys,
        fetched_keys,
        logged_secrets,
        orphans: beyond.orphans,
        unmanaged: beyond.unmanaged,
        unseen: beyond.unseen,
        notes: notices,
        warnings,
        failed_clusters,
        seen: Seen::of(desired, observed),
        ..Plan::default()
    };
    keep_needs_of_this_plan(&mut plan);
    Ok(plan)
}

/// What has to change for one mount, and what is to be told of its keys.
fn mount_plan(
    address: &str,
    mount: &DesiredMount,
    desired: &Desired,
    observed: &Observed,
    prune: bool,
    now: Timestamp,
) -> Result<(Planned, KeyPlan)> {
    let there = observed.mounts.get(&mount.path);
    let (mut planned, keys) = if mount.managed {
        kept_here(address, mount, desired, observed, now)?
    } else {
        (elsewhere::plan(mount, observed)?, KeyPlan::default())
    };
    planned.objects += mount.roles.len();
    let traces = LazyCell::new(|| adopted::traces(address, mount, observed));
    let mut whose = Roles::of(&mount.path, desired, observed);
    whose.is_by_hand = desired.owner.is_none() && there.is_some() && !traces.is_any();
    let is_somebody_s = |change: &Change| adopted::is_somebody_s(address, change, mount, desired, observed);
    let takes_mount = whose.ask_the_keeper(&mut planned.changes, || *traces, is_somebody_s);
    let roles: Vec<Change> = mount.roles.iter().filter_map(|role| role_change(mount, role, there, &whose)).collect();
    let claims = whose.claims(mount, there, &roles, Run { alone: desired.alone, prune, takes_mount })?;
    // In order, they are no objects of their own: they go with the roles.
    planned.objects += claims.len();
    planned.changes.extend(claims);
    selected::tell(mount, &roles, observed, &mut planned);
    planned.changes.extend(roles);
    Ok((planned, keys))
}

/// What has to change of a mount that the file keeps, without its roles, and what is to be told of its keys.
fn kept_here(
    address: &str,
    mount: &DesiredMount,
    desired: &Desired,
    observed: &Observed,
    now: Timestamp,
) -> Result<(Planned, KeyPlan)> {
    let there = observed.mounts.get(&mount.path);
    let mut planned = Planned::default();
    let mut keys = key_plan(mount, desired, observed, now);
    // A role alone leaves the mount to others.
    planned.objects += usize::from(mount.config.is_some());
    let of_mount = mount::plan(mount, observed, desired.owner.as_ref(), &mut keys.record.written)?;
    planned.changes.extend(of_mount.changes);
    planned.notices.extend(of_mount.notices);
    planned.warnings.extend(of_mount.warnings);
    if let (Some(ConfigDocument::Kubernetes(config)), Some(reviewer)) = (&mount.config, &mount.reviewer) {
        let inside = kubernetes::plan(address, mount, reviewer, config, (observed, desired.owner.as_ref()), now)?;
        planned.objects += inside.objects;
        planned.changes.extend(inside.changes);
        planned.notices.extend(inside.notices);
        planned.warnings.extend(inside.warnings);
    } else {
        planned.objects += usize::from(mount.config.is_some());
        let changes = [
            keys.record.written.take().map(|write| seen_keys(mount, write)),
            config_change(mount, there, &mut keys),
            keys.record.removed.take().map(|write| past_keys(mount, write)),
        ];
        // In order, the record is no object of its own: it goes with the configuration.
        planned.objects += usize::from(changes[0].is_some()) + usize::from(changes[2].is_some());
        planned.changes.extend(changes.into_iter().flatten());
        planned.notices.append(&mut keys.notes);
        planned.warnings.append(&mut keys.warnings);
    }
    Ok((planned, keys))
}

/// What is in order already needs no waiting for.
fn keep_needs_of_this_plan(plan: &mut Plan) {
    let planned: BTreeSet<Object> = plan.changes.iter().map(|change| change.object.clone()).collect();
    for change in &mut plan.changes {
        change.needs.retain(|object| planned.contains(object));
    }
}

/// What becomes of the keys of a jwt mount; nothing where the mount has another method or its configuration is not ours.
fn key_plan(mount: &DesiredMount, desired: &Desired, observed: &Observed, now: Timestamp) -> KeyPlan {
    let Some(ConfigDocument::Jwt(wanted)) = &mount.config else { return KeyPlan::default() };
    let there = observed.mounts.get(&mount.path).and_then(|there| there.config.as_ref()?.jwt());
    let options = observed.auth_mounts.get(mount.path.as_str()).map(|there| KeyRecords::read(&there.options));
    keys::plan(mount, wanted, there, &options.unwrap_or_default(), &desired.keys, now)
}

/// Takes down which keys the cluster was seen to publish.
fn seen_keys(mount: &DesiredMount, RecordWrite { field, options }: RecordWrite) -> Change {
    let action = if field.before.is_none() { Action::Create } else { Action::Update };
    let object = Object::SeenKeys { mount: mount.path.clone() };
    let write = Write::RecordKeys { mount: mount.path.clone(), options };
    Change {
        cluster: Some(mount.cluster.clone()),
        fields: vec![field],
        needs: vec![Object::Mount { mount: mount.path.clone() }],
        ..Change::new(action, object, write)
    }
}

/// Forgets keys that the configuration doesn't trust any more.
fn past_keys(mount: &DesiredMount, RecordWrite { field, options }: RecordWrite) -> Change {
    Change {
        cluster: Some(mount.cluster.clone()),
        fields: vec![field],
        needs: vec![Object::Config { mount: mount.path.clone() }],
        ..Change::new(
            Action::Update,
            Object::PastKeys { mount: mount.path.clone() },
            Write::RecordKeys { mount: mount.path.clone(), options },
        )
    }
}

fn config_change(mount: &DesiredMount, there: Option<&ObservedMount>, keys: &mut KeyPlan) -> Option<Change> {
    let before = there.and_then(|there| there.config.as_ref());
    let (fields, replaces_trust, config) = match mount.config.as_ref()? {
        ConfigDocument::Jwt(_) => {
            let KeyPlan { after, fields, replaces_trust, .. } = keys;
            (std::mem::take(fields), replaces_trust.take(), ConfigDocument::Jwt(std::mem::take(after)))
        }
        after @ ConfigDocument::Kubernetes(_) => {
            (changed(before.map(ConfigDocument::fields).as_ref(), &after.fields()), None, after.clone())
        }
    };
    if fields.is_empty() {
        return None;
    }
    let is_new = fields.iter().all(|field| field.before.is_none());
    let action = if is_new { Action::Create } else { Action::Update };
    let write = Write::Config { mount: mount.path.clone(), config: Box::new(config) };
    Some(Change {
        cluster: Some(mount.cluster.clone()),
        fields,
        replaces_trust,
        needs: vec![Object::Mount { mount: mount.path.clone() }, Object::SeenKeys { mount: mount.path.clone() }],
        ..Change::new(action, Object::Config { mount: mount.path.clone() }, write)
    })
}

fn policy_change(policy: &DesiredPolicy, desired: &Desired, observed: &Observed) -> Option<Change> {
    let before = observed.policies.get(&policy.name);
    // A policy that can't be understood is replaced, and the plan shows its text.
    let same =
        |there: &StoredPolicy| Policy::parse(&there.policy).is_ok_and(|there| same_meaning(&there, &policy.policy));
    let extras = before.map(StoredPolicy::extras).unwrap_or_default();
    let outdated = |there: &StoredPolicy| consent::mark_is_outdated(&there.policy, desired);
    if before.is_some_and(same) && extras.is_empty() && !before.is_some_and(outdated) {
        return None;
    }
    let mark = Mark::of_file(desired.owner.as_ref(), &desired.owners).map(|mark| mark.line());
    let text = policy.policy.print(mark.as_deref().as_slice());
    let before_text = before.map(|stored| stored.policy.clone().into());
    let accessors_of = policy.policy.accessors();
    let shown = with_accessors(&text, |mount| Some(format!("(known after auth/{mount} is enabled)")));
    let mut fields = vec![FieldChange { field: "policy".to_owned(), before: before_text, after: shown.into() }];
    fields.extend(extras.into_iter().map(|(field, held)| {
        let after = if held.is_boolean() { false.into() } else { Value::Null };
        FieldChange { field: field.to_owned(), before: Some(held), after }
    }));
    Some(Change {
        fields,
        takes_over: before.and_then(|there| consent::policy_taken_over(&there.policy, desired, same(there))),
        needs: accessors_of
            .iter()
            .map(|mount| Object::Mount { mount: mount.clone() })
            .chain(made_kv(policy, desired))
            .collect(),
        ..Change::new(
            if before.is_none() { Action::Create } else { Action::Update },
            Object::Policy { name: (&policy.name).into() },
            Write::Policy {
                name: policy.name.clone(),
                text,
                cas: before.and_then(StoredPolicy::required_cas),
                version: before.and_then(|there| there.version),
                accessors_of,
            },
        )
    })
}

/// The KV mounts that the file makes and that a policy has rules for: it is written for the version that they are made with.
fn made_kv(policy: &DesiredPolicy, desired: &Desired) -> impl Iterator<Item = Object> {
    let has_rules = |mount: &&MountPath| {
        let is_below = |path: &str| path.strip_prefix(mount.as_str()).is_some_and(|rest| rest.starts_with('/'));
        policy.policy.rules().iter().any(|rule| is_below(rule.path.as_str()))
    };
    desired.kv.iter().filter(has_rules).map(|mount| Object::KvMount { mount: mount.clone() })
}

fn role_change(
    mount: &DesiredMount,
    desired: &DesiredRole,
    there: Option<&ObservedMount>,
    whose: &Roles<'_>,
) -> Option<Change> {
    let before = there.and_then(|there| there.roles.get(&desired.name));
    let fields = changed(before.map(RoleDocument::fields).as_ref(), &desired.document.fields());
    if fields.is_empty() {
        return None;
    }
    let mut needs = vec![Object::Mount { mount: mount.path.clone() }, Object::Config { mount: mount.path.clone() }];
    let policies = &desired.document.token().token_policies;
    needs.extend(policies.iter().map(|name| Object::Policy { name: StoredName::new(name.as_str()) }));
    needs.extend(whose.inventory());
    Some(Change {
        cluster: Some(mount.cluster.clone()),
        fields,
        takes_over: whose.taken_over(&desired.name, before),
        needs,
        ..Change::new(
            if before.is_none() { Action::Create } else { Action::Update },
            Object::Role { mount: mount.path.clone(), name: (&desired.name).into() },
            Write::Role {
                mount: mount.path.clone(),
                name: desired.name.clone(),
                role: Box::new(desired.document.clone()),
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_needs_the_kv_mounts_that_are_made_for_its_rules() {
        let policy = DesiredPolicy {
            name: "p".parse().unwrap(),
            policy: Policy::parse(r#"path "team/data/app" { capabilities = ["read"] }"#).unwrap(),
        };
        let kv = ["team", "tea", "team/data/app", "other"].map(|mount| mount.parse().unwrap()).to_vec();
        let needed: Vec<Object> = made_kv(&policy, &Desired { kv, ..Desired::default() }).collect();
        assert_eq!(needed, [Object::KvMount { mount: "team".parse().unwrap() }]);
    }
}
