//! The policies that carry the mark of the file and that it doesn't name.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Beyond;
use crate::desired::Desired;
use crate::model::{HeldRole, Observed};
use crate::names::{MountPath, StoredName};
use crate::ownership::Inventory;
use crate::plan::consent::{self, Wrote};
use crate::plan::{Action, Change, FieldChange, Object, Orphan, Write};
use crate::text::first;

impl Beyond {
    /// Finds them, to be deleted when `prune` says so and no role names them any more.
    pub(super) fn policies(&mut self, desired: &Desired, observed: &Observed, prune: bool) {
        if observed.policies_unseen {
            self.notes.push(if prune {
                "not every policy could be read, so some that are not in the configuration may be left".to_owned()
            } else {
                "policies that are not in the configuration were not looked for: --prune reads them".to_owned()
            });
        }
        let elsewhere = mounts_elsewhere(desired, observed);
        for (mount, roles) in &elsewhere {
            self.notes.push(format!(
                "auth/{mount} is not in the file, and the file's owner has {roles} there, which log in as before"
            ));
        }
        let mut by_mounts = Vec::new();
        let deleted: BTreeSet<Object> = self.deletions.iter().map(|change| change.object.clone()).collect();
        for (name, text) in &observed.marked {
            let object = Object::Policy { name: name.clone() };
            let users = match consent::wrote(text, desired, observed) {
                Wrote::Other => continue,
                Wrote::Own if !prune => Ok(Vec::new()),
                Wrote::Own if let Some((mount, _)) = elsewhere.first() => Err(format!(
                    "the owner has roles on auth/{mount} too, which is not in the file, and one may name it"
                )),
                Wrote::Own if !name.fits_a_url() => Err("its name can't be part of a URL".to_owned()),
                Wrote::Own => users(desired, observed, &deleted, name),
                Wrote::Unknown(why) => Err(why),
            };
            if prune && users.is_ok() && consent::may_be_of_a_file_with_the_same_mounts(text, desired) {
                by_mounts.push(name.to_string());
            }
            match users {
                Ok(needs) if prune => self.deletions.push(Change {
                    fields: vec![FieldChange {
                        field: "policy".to_owned(),
                        before: Some(Value::from(text.clone())),
                        after: Value::Null,
                    }],
                    needs,
                    ..Change::new(Action::Delete, object, Write::DeletePolicy { name: name.clone(), was: text.clone() })
                }),
                Ok(_) => self.orphans.push(Orphan::policy(object, None)),
                Err(kept) => self.orphans.push(Orphan::policy(object, Some(kept))),
            }
        }
        if !by_mounts.is_empty() {
            self.warnings.push(format!(
                "a file without `owner` is known by its auth mounts alone, so another file with the same mounts may have written what is \
                 deleted; `owner: NAME` in each of them tells whose it is: {}",
                first(&by_mounts)
            ));
        }
    }
}

/// The mounts that the file doesn't have and on which its owner has roles, with how many.
fn mounts_elsewhere<'a>(desired: &Desired, observed: &'a Observed) -> Vec<(&'a MountPath, String)> {
    let Some(owner) = &desired.owner else { return Vec::new() };
    let here = |mount: &MountPath| desired.mounts.iter().any(|one| one.path == *mount);
    let others = observed.inventories.iter().filter(|(mount, _)| !here(mount));
    others
        .filter_map(|(mount, owners)| match owners.get(owner)? {
            // Roles went with the mount on which they were.
            Inventory::Stale(_) => None,
            Inventory::Whole(listed) => match listed.roles.len() {
                0 => None,
                1 => Some((mount, "1 role".to_owned())),
                many => Some((mount, format!("{many} roles"))),
            },
            Inventory::Damaged { .. } => Some((mount, "an inventory that can't be relied on".to_owned())),
        })
        .collect()
}

/// The roles that must go before a policy may, or why it has to stay.
fn users(
    desired: &Desired,
    observed: &Observed,
    deleted: &BTreeSet<Object>,
    policy: &StoredName,
) -> Result<Vec<Object>, String> {
    let mut users = Vec::new();
    for mount in &desired.mounts {
        let Some(there) = observed.mounts.get(&mount.path) else { continue };
        if there.unlisted {
            return Err(format!("the roles of auth/{} could not be listed, and one may name it", mount.path));
        }
        for name in &there.cel {
            let role = Object::CelRole { mount: mount.path.clone(), name: name.clone() };
            if !deleted.contains(&role) {
                return Err(format!("{role} may name it"));
            }
            users.push(role);
        }
        for (name, held) in &there.others {
            let role = Object::Role { mount: mount.path.clone(), name: name.clone() };
            match held {
                _ if deleted.contains(&role) => users.push(role),
                HeldRole::Unread(_) => return Err(format!("{role} could not be read, and may name it")),
                HeldRole::Read(document) if document.token().token_policies.iter().any(|named| policy.is(named)) => {
                    return Err(format!("{role} names it"));
                }
                HeldRole::Read(_) => {}
            }
        }
    }
    Ok(users)
}
