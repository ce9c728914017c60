//! Roles and policies that get another name: one goes, and one that says the same comes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Action, Change, FieldChange, Object};
use crate::names::MountPath;
use crate::policy::{Policy, same_meaning};

/// An object that is told as renamed. Vault can't rename: the new one is made before the old one is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rename {
    /// The object that is deleted.
    pub from: Object,
    /// The one that is made and says the same.
    pub to: Object,
}

/// The renames among the changes: policies first, because a role that was renamed names them.
pub(super) fn renames(changes: &[Change]) -> Vec<Rename> {
    let mut renames = Vec::new();
    let mut policies = BTreeMap::new();
    let of_policy = |change: &Change, side| policy_text(change, side).and_then(|text| Policy::parse(text).ok());
    let made: Vec<(&Change, Policy)> =
        of(changes, Action::Create).filter_map(|made| Some((made, of_policy(made, Side::After)?))).collect();
    for deleted in of(changes, Action::Delete) {
        let (Object::Policy { name }, Some(held)) = (&deleted.object, of_policy(deleted, Side::Before)) else {
            continue;
        };
        let Some((made, _)) = only(made.iter().filter(|(_, policy)| same_meaning(policy, &held))) else { continue };
        if let Object::Policy { name: new } = &made.object {
            policies.insert(name.as_str().to_owned(), new.as_str().to_owned());
        }
        renames.push(Rename { from: deleted.object.clone(), to: made.object.clone() });
    }
    let made: Vec<_> = of(changes, Action::Create)
        .filter_map(|made| Some((made, mount(made)?, fields(made, Side::After, &BTreeMap::new()))))
        .collect();
    for deleted in of(changes, Action::Delete) {
        let Some(of_mount) = mount(deleted) else { continue };
        let held = fields(deleted, Side::Before, &policies);
        let same = made.iter().filter(|(_, mount, fields)| *mount == of_mount && *fields == held);
        if let Some((made, ..)) = only(same) {
            renames.push(Rename { from: deleted.object.clone(), to: made.object.clone() });
        }
    }
    renames
}

/// The mount of a role.
fn mount(change: &Change) -> Option<&MountPath> {
    match &change.object {
        Object::Role { mount, .. } => Some(mount),
        _ => None,
    }
}

fn of(changes: &[Change], action: Action) -> impl Iterator<Item = &Change> {
    changes.iter().filter(move |change| change.action == action)
}

/// The one that there is; of several nobody can say which.
fn only<T>(mut found: impl Iterator<Item = T>) -> Option<T> {
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// What a change takes away, or what it brings.
#[derive(Clone, Copy)]
enum Side {
    Before,
    After,
}

impl Side {
    fn of(self, field: &FieldChange) -> Option<&Value> {
        match self {
            Self::Before => field.before.as_ref(),
            Self::After => Some(&field.after),
        }
    }
}

fn policy_text(change: &Change, side: Side) -> Option<&str> {
    let Object::Policy { .. } = &change.object else { return None };
    change.fields.iter().find(|field| field.field == "policy").and_then(|field| side.of(field))?.as_str()
}

/// What a role says, with its policies by their new names.
fn fields(change: &Change, side: Side, policies: &BTreeMap<String, String>) -> BTreeMap<String, Value> {
    let renamed = |value: &Value| match value {
        Value::Array(names) => names
            .iter()
            .map(|name| {
                name.as_str()
                    .and_then(|name| policies.get(name))
                    .map_or_else(|| name.clone(), |new| new.as_str().into())
            })
            .collect(),
        other => other.clone(),
    };
    let of_field = |field: &FieldChange| {
        let value = side.of(field)?;
        let value = if field.field == "token_policies" { renamed(value) } else { value.clone() };
        Some((field.field.clone(), value))
    };
    change.fields.iter().filter_map(of_field).collect()
}
