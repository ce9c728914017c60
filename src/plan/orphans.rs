//! What Vault holds beyond the desired state: whose it is, and what may be deleted.
//!
//! A role beside those of the file is an orphan only where the file claims the whole mount (`auth.exclusive`), a policy
//! only where it carries the mark of a configuration all of whose mounts are in this file. A mount is never one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Action, Change, FieldChange, Object, Observed, ObservedMount, Orphan, Write};
use crate::desired::{Desired, DesiredMount, owners};
use crate::names::PolicyName;
use crate::vault::RoleDocument;

/// What is beyond the desired state.
#[derive(Default)]
pub(super) struct Beyond {
    /// The orphans that are deleted.
    pub(super) deletions: Vec<Change>,
    /// The orphans that stay.
    pub(super) orphans: Vec<Orphan>,
    /// What else is there, or could not be seen.
    pub(super) notes: Vec<String>,
}

/// Finds what is beyond the desired state, to be deleted when `prune` says so.
pub(super) fn beyond(desired: &Desired, observed: &Observed, prune: bool) -> Beyond {
    let mut beyond = Beyond::default();
    for mount in &desired.mounts {
        if let Some(there) = observed.mounts.get(&mount.path) {
            beyond.roles(mount, there, prune);
        }
    }
    // A policy that no selected cluster needs may be another's.
    if !desired.partial {
        beyond.policies(desired, observed, prune);
    }
    beyond
}

impl Beyond {
    fn roles(&mut self, mount: &DesiredMount, there: &ObservedMount, prune: bool) {
        let path = &mount.path;
        if there.unlisted {
            self.notes.push(format!(
                "the token may not list auth/{path}/role, so roles beside those of the configuration are not seen"
            ));
        }
        if !mount.exclusive {
            match there.others.len() {
                0 => {}
                1 => self.notes.push(format!("auth/{path} holds 1 role more, which is left alone")),
                more => self.notes.push(format!("auth/{path} holds {more} roles more, which are left alone")),
            }
            return;
        }
        for (name, document) in &there.others {
            let object = Object::Role { mount: path.clone(), name: name.clone() };
            if !prune {
                self.orphans.push(Orphan { object, kept: None });
                continue;
            }
            self.deletions.push(Change {
                action: Action::Delete,
                object,
                cluster: Some(mount.cluster.clone()),
                fields: document.as_ref().map(lost).unwrap_or_default(),
                replaces_trust: None,
                needs: Vec::new(),
                write: Write::DeleteRole { mount: path.clone(), name: name.clone() },
            });
        }
    }

    fn policies(&mut self, desired: &Desired, observed: &Observed, prune: bool) {
        if observed.policies_unseen {
            self.notes.push(if prune {
                "not every policy could be read, so some that are not in the configuration may be left".to_owned()
            } else {
                "policies that are not in the configuration were not looked for: --prune reads them".to_owned()
            });
        }
        let ours: BTreeSet<_> = desired.owners.iter().collect();
        let is_ours = |text: &str| owners(text).is_some_and(|mounts| mounts.iter().all(|mount| ours.contains(mount)));
        for (name, text) in observed.marked.iter().filter(|(_, text)| is_ours(text)) {
            let object = Object::Policy { name: name.clone() };
            let users = if prune { users(desired, observed, name) } else { Ok(Vec::new()) };
            match users {
                Ok(needs) if prune => self.deletions.push(Change {
                    action: Action::Delete,
                    object,
                    cluster: None,
                    fields: vec![FieldChange {
                        field: "policy".to_owned(),
                        before: Some(Value::from(text.clone())),
                        after: Value::Null,
                    }],
                    replaces_trust: None,
                    needs,
                    write: Write::DeletePolicy { name: name.clone() },
                }),
                Ok(_) => self.orphans.push(Orphan { object, kept: None }),
                Err(kept) => self.orphans.push(Orphan { object, kept: Some(kept) }),
            }
        }
    }
}

/// The roles that must go before a policy may, or why it has to stay.
fn users(desired: &Desired, observed: &Observed, policy: &PolicyName) -> Result<Vec<Object>, String> {
    let mut users = Vec::new();
    for mount in &desired.mounts {
        let Some(there) = observed.mounts.get(&mount.path) else { continue };
        if there.unlisted {
            return Err(format!("the roles of auth/{} could not be listed, and one may name it", mount.path));
        }
        for (name, document) in &there.others {
            let role = Object::Role { mount: mount.path.clone(), name: name.clone() };
            match document {
                // It is deleted by the same plan.
                _ if mount.exclusive => users.push(role),
                None => return Err(format!("{role} could not be read, and may name it")),
                Some(document) if document.token().token_policies.iter().any(|named| named == policy.as_str()) => {
                    return Err(format!("{role} names it"));
                }
                Some(_) => {}
            }
        }
    }
    Ok(users)
}

/// The fields that a deleted role holds.
fn lost(document: &RoleDocument) -> Vec<FieldChange> {
    super::fields::changed(None, &document.fields())
        .into_iter()
        .map(|field| FieldChange { field: field.field, before: Some(field.after), after: Value::Null })
        .collect()
}
