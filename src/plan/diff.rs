//! Desired − observed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::fields::{FieldChange, changed};
use super::keys::jwt_config_change;
use super::kubernetes::{self, Planned};
use super::{Action, Change, FailedCluster, Object, Observed, ObservedMount, Plan, Write, mount, orphans};
use crate::desired::{Desired, DesiredMount, DesiredPolicy, DesiredRole, mark};
use crate::error::Result;
use crate::policy::{Policy, same_meaning};
use crate::vault::policies::StoredPolicy;
use crate::vault::{ConfigDocument, RoleDocument};

/// Says what has to change, and what is beyond the desired state: orphans, which `prune` deletes.
///
/// `now` decides about keys that a cluster no longer publishes: they are kept for a while.
///
/// The plan says nothing yet about where it is for: see [`Session`](crate::pipeline::Session).
///
/// # Errors
/// When a path that is needed is taken by something else.
pub fn plan(address: &str, desired: &Desired, observed: &Observed, prune: bool, now: Timestamp) -> Result<Plan> {
    let (mut changes, mut notices, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    let mut objects = 0;
    let mut failed_clusters = Vec::new();
    for mount in &desired.mounts {
        match mount_plan(address, mount, observed, now) {
            Ok(planned) => {
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
    objects += desired.policies.len();
    let mark = mark(&desired.owners);
    changes.extend(desired.policies.iter().filter_map(|policy| policy_change(policy, mark.as_deref(), observed)));
    let unchanged = objects - changes.len();
    let beyond = orphans::beyond(desired, observed, prune);
    changes.extend(beyond.deletions);
    // A stable sort: within a stage the order of the file remains.
    changes.sort_by_key(Change::stage);
    notices.extend(beyond.notes);
    let mut plan = Plan {
        address: address.to_owned(),
        made_at: now,
        prune,
        changes,
        unchanged,
        orphans: beyond.orphans,
        notes: notices,
        warnings,
        failed_clusters,
        ..Plan::default()
    };
    keep_needs_of_this_plan(&mut plan);
    Ok(plan)
}

/// What has to change for one mount.
fn mount_plan(address: &str, mount: &DesiredMount, observed: &Observed, now: Timestamp) -> Result<Planned> {
    let there = observed.mounts.get(&mount.path);
    let mut planned = Planned::default();
    // A role alone leaves the mount to others.
    planned.objects += usize::from(mount.config.is_some()) + mount.roles.len();
    let of_mount = mount::plan(mount, observed)?;
    planned.changes.extend(of_mount.changes);
    planned.notices.extend(of_mount.notices);
    planned.warnings.extend(of_mount.warnings);
    if let (Some(ConfigDocument::Kubernetes(config)), Some(reviewer)) = (&mount.config, &mount.reviewer) {
        let inside = kubernetes::plan(address, mount, reviewer, config, observed, now)?;
        planned.objects += inside.objects;
        planned.changes.extend(inside.changes);
        planned.notices.extend(inside.notices);
        planned.warnings.extend(inside.warnings);
    } else {
        planned.objects += usize::from(mount.config.is_some());
        planned.changes.extend(config_change(mount, there, now));
    }
    planned.changes.extend(mount.roles.iter().filter_map(|role| role_change(mount, role, there)));
    Ok(planned)
}

/// What is in order already needs no waiting for.
fn keep_needs_of_this_plan(plan: &mut Plan) {
    let planned: BTreeSet<Object> = plan.changes.iter().map(|change| change.object.clone()).collect();
    for change in &mut plan.changes {
        change.needs.retain(|object| planned.contains(object));
    }
}

fn config_change(mount: &DesiredMount, there: Option<&ObservedMount>, now: Timestamp) -> Option<Change> {
    let before = there.and_then(|there| there.config.as_ref());
    let (fields, replaces_trust, config) = match mount.config.as_ref()? {
        ConfigDocument::Jwt(wanted) => {
            let there = if let Some(ConfigDocument::Jwt(there)) = before { Some(there) } else { None };
            let change = jwt_config_change(mount, wanted, there, now);
            (change.fields, change.replaces_trust, ConfigDocument::Jwt(change.after))
        }
        after @ ConfigDocument::Kubernetes(_) => {
            (changed(before.map(ConfigDocument::fields).as_ref(), &after.fields()), None, after.clone())
        }
    };
    (!fields.is_empty()).then(|| Change {
        action: if fields.iter().all(|field| field.before.is_none()) { Action::Create } else { Action::Update },
        object: Object::Config { mount: mount.path.clone() },
        cluster: Some(mount.cluster.clone()),
        fields,
        replaces_trust,
        needs: vec![Object::Mount { mount: mount.path.clone() }],
        write: Write::Config { mount: mount.path.clone(), config: Box::new(config) },
    })
}

fn policy_change(desired: &DesiredPolicy, mark: Option<&str>, observed: &Observed) -> Option<Change> {
    let before = observed.policies.get(&desired.name);
    // A policy that can't be understood is replaced, and the plan shows its text.
    let same =
        |there: &StoredPolicy| Policy::parse(&there.policy).is_ok_and(|there| same_meaning(&there, &desired.policy));
    let extras = before.map(StoredPolicy::extras).unwrap_or_default();
    if before.is_some_and(same) && extras.is_empty() {
        return None;
    }
    let text = desired.policy.print(mark.as_slice());
    let before_text = before.map(|stored| stored.policy.clone().into());
    let mut fields = vec![FieldChange { field: "policy".to_owned(), before: before_text, after: text.clone().into() }];
    fields.extend(extras.into_iter().map(|(field, held)| {
        let after = if held.is_boolean() { false.into() } else { Value::Null };
        FieldChange { field: field.to_owned(), before: Some(held), after }
    }));
    Some(Change {
        action: if before.is_none() { Action::Create } else { Action::Update },
        object: Object::Policy { name: desired.name.clone() },
        cluster: None,
        fields,
        replaces_trust: None,
        needs: Vec::new(),
        write: Write::Policy { name: desired.name.clone(), text, cas: before.and_then(StoredPolicy::required_cas) },
    })
}

fn role_change(mount: &DesiredMount, desired: &DesiredRole, there: Option<&ObservedMount>) -> Option<Change> {
    let before = there.and_then(|there| there.roles.get(&desired.name));
    let fields = changed(before.map(RoleDocument::fields).as_ref(), &desired.document.fields());
    if fields.is_empty() {
        return None;
    }
    let mut needs = vec![Object::Mount { mount: mount.path.clone() }, Object::Config { mount: mount.path.clone() }];
    // Names of policies in a desired role come from the configuration, where they were parsed.
    needs.extend(
        desired
            .document
            .token()
            .token_policies
            .iter()
            .filter_map(|name| Some(Object::Policy { name: name.parse().ok()? })),
    );
    Some(Change {
        action: if before.is_none() { Action::Create } else { Action::Update },
        object: Object::Role { mount: mount.path.clone(), name: desired.name.clone() },
        cluster: Some(mount.cluster.clone()),
        fields,
        replaces_trust: None,
        needs,
        write: Write::Role {
            mount: mount.path.clone(),
            name: desired.name.clone(),
            role: Box::new(desired.document.clone()),
        },
    })
}
