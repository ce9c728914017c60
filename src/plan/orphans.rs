//! What Vault holds beyond the desired state: whose it is, and what may be deleted.
//!
//! A role beside those of the file is an orphan where the file's owner wrote it, and, as drift, where the file claims the whole
//! mount (`auth.exclusive`) and nobody else wrote it; elsewhere it may be somebody else's, and is told with whom it lets in. A
//! policy is one only where it carries the mark of the file. A mount is never one.

mod policies;

use std::collections::BTreeSet;

use serde_json::Value;

use super::owners::Roles;
use super::{Action, Change, FailedCluster, FieldChange, Object, Orphan, Write};
use crate::access::Entrance;
use crate::desired::{Desired, DesiredMount, DesiredPolicy};
use crate::model::{HeldRole, Observed, ObservedMount, RoleDocument, Unlisted};
use crate::names::{MountPath, RoleName, StoredName};
use crate::text::{first, printable_line};

/// What is beyond the desired state.
#[derive(Default)]
pub(super) struct Beyond {
    /// The orphans that are deleted.
    pub(super) deletions: Vec<Change>,
    /// The orphans that stay.
    pub(super) orphans: Vec<Orphan>,
    /// The roles beside those of the file, on mounts that it doesn't claim.
    pub(super) unmanaged: Vec<Orphan>,
    /// The mounts that it claims and whose roles may not be listed.
    pub(super) unseen: Vec<MountPath>,
    /// What should give pause.
    pub(super) warnings: Vec<String>,
    /// What else is there, or could not be seen.
    pub(super) notes: Vec<String>,
}

/// Finds what is beyond the desired state, to be deleted when `prune` says so. Of clusters that `failed` nothing is made, so nothing is
/// deleted either, and no policy, which their roles may name as they are.
pub(super) fn beyond(desired: &Desired, observed: &Observed, prune: bool, failed: &[FailedCluster]) -> Beyond {
    let mut beyond = Beyond::default();
    for mount in &desired.mounts {
        if failed.iter().any(|failed| failed.cluster == mount.cluster) {
            continue;
        }
        if let Some(there) = observed.mounts.get(&mount.path) {
            beyond.roles(mount, &Roles::of(&mount.path, desired, observed), &desired.policies, there, prune);
            if prune {
                beyond.warn_of_stores(mount, observed);
            }
        }
    }
    if let Some(unlisted @ Unlisted::Filtered(_)) = &observed.inventories_unseen {
        beyond.warnings.push(format!(
            "{unlisted}. OpenBao hides what `list_scan_response_keys_filter_path` of a rule says: without it on sys/policies/acl and \
             sys/policies/detailed/acl, nobody else's roles would count as nobody's"
        ));
    }
    if prune && let Some(FailedCluster { cluster, .. }) = failed.first() {
        beyond.notes.push(format!("nothing is deleted of clusters that failed, such as {cluster}, and no policies"));
    }
    // A policy that no selected cluster needs may be another's.
    if !desired.partial && failed.is_empty() {
        beyond.policies(desired, observed, prune);
    }
    beyond
}

/// What becomes of a role that the file doesn't name.
enum Fate {
    /// It isn't the file's to say.
    Left,
    /// It should not be there, and this is why it stays all the same.
    Stays(String),
    /// It should not be there, and `--prune` deletes it.
    Goes,
}

/// A role that the file doesn't name.
struct Found {
    object: Object,
    entrance: Entrance,
    /// What a deletion takes away, field by field.
    lost: Vec<FieldChange>,
    /// What is to be known before it is deleted.
    unread: Option<String>,
    delete: Write,
}

impl Beyond {
    fn roles(
        &mut self,
        mount: &DesiredMount,
        whose: &Roles<'_>,
        policies: &[DesiredPolicy],
        there: &ObservedMount,
        prune: bool,
    ) {
        let path = &mount.path;
        if there.unlisted {
            self.unlisted(mount);
        }
        self.warnings.extend(whose.warnings());
        self.warnings.extend(whose.without_inventory(there));
        let mut gone = BTreeSet::new();
        for (name, role) in &there.others {
            let fate = fate(mount, whose, name, role.document(), prune);
            if let (true, Fate::Goes, Ok(name)) = (prune, &fate, name.as_str().parse()) {
                gone.insert(name);
            }
            let entrance = Entrance::of(role).written_by(whose.other(name.as_str()));
            let found = Found {
                object: Object::Role { mount: path.clone(), name: name.clone() },
                entrance: if mount.exclusive { entrance } else { entrance.beside(policies.iter().map(|p| &p.name)) },
                lost: role.document().map(lost).unwrap_or_default(),
                unread: match role {
                    HeldRole::Unread(why) => Some(format!("is deleted unread: {}", printable_line(why))),
                    HeldRole::Read(_) => None,
                },
                delete: Write::DeleteRole {
                    mount: path.clone(),
                    name: name.clone(),
                    was: role.document().filter(|_| prune).cloned().map(Box::new),
                },
            };
            self.settle(mount, found, fate, prune);
        }
        self.cel_roles(mount, whose, there, prune);
        if !mount.exclusive {
            self.warn_of_conspicuous_ones(path);
        }
        let held: BTreeSet<String> = there.others.keys().map(StoredName::lowered).collect();
        let is_there = |name: &RoleName| there.unlisted || held.contains(name.as_str());
        if prune {
            self.deletions.extend(whose.release(mount, &gone, is_there));
        } else {
            self.notes.extend(whose.left_over(mount, is_there));
        }
    }

    fn settle(&mut self, mount: &DesiredMount, found: Found, fate: Fate, prune: bool) {
        let Found { object, entrance, lost, unread, delete } = found;
        let orphan = |object, kept| Orphan { object, kept, shared: !mount.exclusive, entrance: Some(entrance) };
        match fate {
            Fate::Left => self.unmanaged.push(Orphan { shared: false, ..orphan(object, None) }),
            Fate::Stays(why) => self.orphans.push(orphan(object, Some(why))),
            Fate::Goes if !prune => self.orphans.push(orphan(object, None)),
            Fate::Goes => {
                self.warnings.extend(unread.map(|unread| format!("{object} {unread}")));
                self.deletions.push(Change {
                    cluster: Some(mount.cluster.clone()),
                    fields: lost,
                    ..Change::new(Action::Delete, object, delete)
                });
            }
        }
    }

    /// A store whose role is deleted syncs no secret any more.
    fn warn_of_stores(&mut self, mount: &DesiredMount, observed: &Observed) {
        let path = &mount.path;
        let deleted: Vec<&StoredName> = self
            .deletions
            .iter()
            .filter_map(|change| match &change.object {
                Object::Role { mount, name } if mount == path => Some(name),
                _ => None,
            })
            .collect();
        if deleted.is_empty() {
            return;
        }
        let Some(stores) = observed.stores.get(&mount.cluster) else {
            self.notes.push(format!(
                "cluster {} is not reached, so nobody looked whether stores of External Secrets use a role that is deleted",
                mount.cluster
            ));
            return;
        };
        for used in stores.uses.iter().filter(|used| used.mount == path.as_str()) {
            if let Some(role) = deleted.iter().find(|name| name.is(&used.role)) {
                self.warnings.push(format!(
                    "{} of cluster {} logs in as {role} at auth/{path}, which is deleted: it will sync no secret any more",
                    printable_line(&used.store),
                    mount.cluster
                ));
            }
        }
        if let Some(why) = &stores.unseen {
            self.warnings.push(format!(
                "not all stores of cluster {} could be seen, so one may use a role that is deleted: {}",
                mount.cluster,
                printable_line(why)
            ));
        }
    }

    /// Whom a CEL role lets in is for its program to say, so each is one that nobody knows. No file has such roles.
    fn cel_roles(&mut self, mount: &DesiredMount, whose: &Roles<'_>, there: &ObservedMount, prune: bool) {
        let path = &mount.path;
        if there.cel_unlisted {
            // A server that has none forbids it too, so this is no fault.
            self.notes.push(format!(
                "the token may not list auth/{path}/cel/role, so CEL roles (OpenBao) are not seen; grant \
                 `path \"auth/{path}/cel/role\" {{ capabilities = [\"list\"] }}`"
            ));
        }
        for name in &there.cel {
            let found = Found {
                object: Object::CelRole { mount: path.clone(), name: name.clone() },
                entrance: Entrance::of_cel(),
                lost: Vec::new(),
                unread: Some("is deleted, and it isn't known whom it lets in".to_owned()),
                delete: Write::DeleteCelRole { mount: path.clone(), name: name.clone() },
            };
            let fate = match mount.exclusive {
                false => Fate::Left,
                true if !prune => Fate::Goes,
                true if !name.fits_a_url() => Fate::Stays(no_url(path)),
                true => nobody_s(whose, whose.unread()),
            };
            self.settle(mount, found, fate, prune);
        }
        if !mount.exclusive && !there.cel.is_empty() {
            let names: Vec<String> = there.cel.iter().map(ToString::to_string).collect();
            let (roles, let_in) = if names.len() == 1 { ("role", "it lets in") } else { ("roles", "they let in") };
            self.warnings.push(format!(
                "auth/{path} holds {} CEL {roles}; whom {let_in} is for an expression to say: {}",
                names.len(),
                first(&names)
            ));
        }
    }

    fn unlisted(&mut self, mount: &DesiredMount) {
        let path = &mount.path;
        if mount.exclusive {
            self.unseen.push(path.clone());
            self.warnings.push(format!(
                "auth/{path} is exclusive, and the token may not list its roles: others may be there and let somebody in; grant \
                 `path \"auth/{path}/role\" {{ capabilities = [\"list\"] }}`"
            ));
        } else {
            self.notes.push(format!(
                "the token may not list auth/{path}/role, so roles beside those of the configuration are not seen"
            ));
        }
    }

    /// Whoever shares a mount may have roles there; those that let in many, or nobody knows whom, or that give a policy of
    /// the file are worth a look.
    fn warn_of_conspicuous_ones(&mut self, path: &MountPath) {
        let (mut narrow, mut wide, mut unread) = (Vec::new(), Vec::new(), Vec::new());
        for orphan in &self.unmanaged {
            let (Object::Role { mount, name }, Some(entrance)) = (&orphan.object, &orphan.entrance) else { continue };
            match (entrance.is_wide(), &entrance.unread) {
                _ if mount != path => {}
                (true, Some(_)) => unread.push(name.to_string()),
                (true, None) => wide.push(name.to_string()),
                // What those for many give is told with each of them.
                (false, _) if entrance.is_conspicuous() => {
                    narrow.push(format!("{name} ({})", printable_line(&entrance.of_the_file.join(", "))));
                }
                (false, _) => {}
            }
        }
        let kinds = [
            (narrow, "and that gives a policy of it", "and that give a policy of it"),
            (wide, "and that lets in more than one account", "and that let in more than one account"),
            (
                unread,
                "and that can't be read, so nobody knows whom it lets in",
                "and that can't be read, so nobody knows whom they let in",
            ),
        ];
        for (names, one, many) in kinds.iter().filter(|(names, ..)| !names.is_empty()) {
            let (roles, what) = if names.len() == 1 { ("role", one) } else { ("roles", many) };
            self.warnings.push(format!(
                "auth/{path} holds {} {roles} that the configuration doesn't name {what}: {}",
                names.len(),
                first(names)
            ));
        }
    }
}

/// What becomes of a role beside those of the file.
fn fate(mount: &DesiredMount, whose: &Roles<'_>, name: &StoredName, role: Option<&RoleDocument>, prune: bool) -> Fate {
    let own = whose.is_own(name.as_str());
    match whose.other(name.as_str()) {
        Some(_) if mount.exclusive => Fate::Stays("stays, because another owner's file has it".to_owned()),
        Some(_) => Fate::Left,
        None if !own && !mount.exclusive => Fate::Left,
        None if !own && let Some(why) = role.and_then(|role| whose.by_policies(role)) => Fate::Stays(why),
        None if !prune => Fate::Goes,
        None if !name.fits_a_url() => Fate::Stays(no_url(&mount.path)),
        None if own => Fate::Goes,
        None => nobody_s(whose, whose.doubt(name.as_str(), role)),
    }
}

/// What becomes of what no inventory lists on a mount that the file claims as a whole.
fn nobody_s(whose: &Roles<'_>, doubt: Option<String>) -> Fate {
    match whose.keeper() {
        Some(keeper) => Fate::Stays(format!("stays, because the file of the owner {keeper} keeps the mount")),
        None => doubt.map_or(Fate::Goes, Fate::Stays),
    }
}

/// Why a role stays that was to be deleted.
fn no_url(path: &MountPath) -> String {
    format!(
        "its name can't be part of a URL, so nothing can delete it by its name: disable auth/{path} and set it up anew"
    )
}

/// The fields that a deleted role holds.
fn lost(document: &RoleDocument) -> Vec<FieldChange> {
    super::fields::changed(None, &document.fields())
        .into_iter()
        .map(|field| FieldChange { field: field.field, before: Some(field.after), after: Value::Null })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::desired::{DesiredTune, SaidBy};
    use crate::model::AuthMethod;

    fn beyond_of(others: &[(&str, HeldRole)], exclusive: bool, prune: bool) -> Beyond {
        let path: MountPath = "jwt".parse().unwrap();
        let mount = DesiredMount {
            exclusive,
            cluster: "lab".parse().unwrap(),
            path: path.clone(),
            method: AuthMethod::Jwt,
            managed: true,
            description: None,
            tune: DesiredTune::default(),
            config: None,
            provider: SaidBy::File,
            keeps_unsaid: false,
            extensions: SaidBy::Mount,
            keys: Vec::new(),
            key_retention: 0,
            reviewer: None,
            roles: Vec::new(),
        };
        let others = others.iter().map(|(name, role)| (StoredName::new(*name), role.clone()));
        let there = ObservedMount { others: others.collect(), ..ObservedMount::default() };
        let observed = Observed { mounts: BTreeMap::from([(path, there)]), ..Observed::default() };
        beyond(&Desired { mounts: vec![mount], ..Desired::default() }, &observed, prune, &[])
    }

    fn role(fields: serde_json::Value) -> HeldRole {
        HeldRole::Read(Box::new(RoleDocument::Jwt(serde_json::from_value(fields).unwrap())))
    }

    #[test]
    fn what_no_url_can_name_stays_an_orphan_and_says_how_it_goes() {
        let others = [("a\tb", role(json!({}))), ("a/", HeldRole::Unread("x".to_owned())), ("a b", role(json!({})))];
        let found = beyond_of(&others, true, true);
        let kept: Vec<String> = found.orphans.iter().map(|orphan| orphan.object.to_string()).collect();
        assert_eq!(kept, ["role auth/jwt/role/a\\u{9}b", "role auth/jwt/role/a/"]);
        assert!(found.orphans.iter().all(|orphan| orphan.kept.as_ref().unwrap().contains("disable auth/jwt")));
        assert_eq!(found.deletions.len(), 1);
        assert!(found.unmanaged.is_empty());
    }

    #[test]
    fn what_is_deleted_unread_is_said_before_anybody_agrees() {
        let unread = [("r", HeldRole::Unread("the token may not read it".to_owned()))];
        assert_eq!(
            beyond_of(&unread, true, true).warnings,
            ["role auth/jwt/role/r is deleted unread: the token may not read it"]
        );
        // On a mount of several files it stays, and nobody knows whom it lets in.
        let shared = beyond_of(&unread, false, true);
        assert!(
            shared.deletions.is_empty() && shared.warnings[0].contains("nobody knows whom"),
            "{:?}",
            shared.warnings
        );
    }

    #[test]
    fn a_neighbour_s_role_for_one_account_is_no_warning() {
        let one = json!({ "bound_audiences": ["vault"], "bound_subject": "system:serviceaccount:a:b" });
        let found = beyond_of(&[("one", role(one))], false, false);
        assert!(found.warnings.is_empty() && found.orphans.is_empty() && found.unmanaged.len() == 1);
        let found = beyond_of(&[("all", role(json!({ "bound_audiences": ["vault"] })))], false, false);
        assert!(found.warnings[0].contains("more than one account: all"), "{:?}", found.warnings);
    }
}
