//! What Vault holds beyond the desired state: whose it is, and what may be deleted.
//!
//! A role beside those of the file is an orphan, and drift, only where the file claims the whole mount (`auth.exclusive`);
//! elsewhere it may be somebody else's, and is told with whom it lets in. A policy is one only where it carries the mark of
//! a configuration all of whose mounts are in this file. A mount is never one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Action, Change, FieldChange, Object, Observed, ObservedMount, Orphan, Write};
use crate::access::Entrance;
use crate::desired::{Desired, DesiredMount, DesiredPolicy, owners};
use crate::names::{MountPath, StoredName};
use crate::ui::printable_line;
use crate::vault::{HeldRole, RoleDocument};

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

/// Finds what is beyond the desired state, to be deleted when `prune` says so.
pub(super) fn beyond(desired: &Desired, observed: &Observed, prune: bool) -> Beyond {
    let mut beyond = Beyond::default();
    for mount in &desired.mounts {
        if let Some(there) = observed.mounts.get(&mount.path) {
            beyond.roles(mount, &desired.policies, there, prune);
        }
    }
    // A policy that no selected cluster needs may be another's.
    if !desired.partial {
        beyond.policies(desired, observed, prune);
    }
    beyond
}

impl Beyond {
    fn roles(&mut self, mount: &DesiredMount, policies: &[DesiredPolicy], there: &ObservedMount, prune: bool) {
        let path = &mount.path;
        if there.unlisted {
            self.unlisted(mount);
        }
        for (name, role) in &there.others {
            let object = Object::Role { mount: path.clone(), name: name.clone() };
            let orphan = |kept| Orphan { object: object.clone(), kept, entrance: Some(Entrance::of(role)) };
            if !mount.exclusive {
                let entrance = Entrance::of(role).beside(policies.iter().map(|policy| &policy.name));
                self.unmanaged.push(Orphan { object, kept: None, entrance: Some(entrance) });
            } else if !prune {
                self.orphans.push(orphan(None));
            } else if !name.fits_a_url() {
                self.orphans.push(orphan(Some(no_url(path))));
            } else {
                if let HeldRole::Unread(why) = role {
                    self.warnings.push(format!("{object} is deleted unread: {}", printable_line(why)));
                }
                self.deletions.push(Change {
                    action: Action::Delete,
                    object: object.clone(),
                    cluster: Some(mount.cluster.clone()),
                    fields: role.document().map(lost).unwrap_or_default(),
                    replaces_trust: None,
                    needs: Vec::new(),
                    write: Write::DeleteRole { mount: path.clone(), name: name.clone() },
                });
            }
        }
        if !mount.exclusive {
            self.warn_of_conspicuous_ones(path, policies, there);
        }
        self.cel_roles(mount, there, prune);
    }

    /// Whom a CEL role lets in is for its program to say, so each is one that nobody knows.
    fn cel_roles(&mut self, mount: &DesiredMount, there: &ObservedMount, prune: bool) {
        let path = &mount.path;
        if there.cel_unlisted {
            // A server that has none forbids it too, so this is no fault.
            self.notes.push(format!(
                "the token may not list auth/{path}/cel/role, so CEL roles (OpenBao) are not seen; grant \
                 `path \"auth/{path}/cel/role\" {{ capabilities = [\"list\"] }}`"
            ));
        }
        for name in &there.cel {
            let object = Object::CelRole { mount: path.clone(), name: name.clone() };
            let orphan = |kept| Orphan { object: object.clone(), kept, entrance: Some(Entrance::of_cel()) };
            match (mount.exclusive, prune) {
                (false, _) => self.unmanaged.push(orphan(None)),
                (true, false) => self.orphans.push(orphan(None)),
                (true, true) if !name.fits_a_url() => self.orphans.push(orphan(Some(no_url(path)))),
                (true, true) => {
                    self.warnings.push(format!("{object} is deleted, and it isn't known whom it lets in"));
                    self.deletions.push(Change {
                        action: Action::Delete,
                        object: object.clone(),
                        cluster: Some(mount.cluster.clone()),
                        fields: Vec::new(),
                        replaces_trust: None,
                        needs: Vec::new(),
                        write: Write::DeleteCelRole { mount: path.clone(), name: name.clone() },
                    });
                }
            }
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
    fn warn_of_conspicuous_ones(&mut self, path: &MountPath, policies: &[DesiredPolicy], there: &ObservedMount) {
        let of = |unread: bool| -> Vec<String> {
            let roles = there.others.iter().map(|(name, role)| (name, Entrance::of(role)));
            let wide = roles.filter(|(_, entrance)| entrance.more_than_one && entrance.unread.is_some() == unread);
            wide.map(|(name, _)| name.to_string()).collect()
        };
        let (wide, unread) = (of(false), of(true));
        let mut narrow = Vec::new();
        for (name, role) in &there.others {
            let entrance = Entrance::of(role).beside(policies.iter().map(|policy| &policy.name));
            // Those for many are told below, each with its policies above.
            if !entrance.more_than_one && entrance.is_conspicuous() {
                narrow.push(format!("{name} ({})", printable_line(&entrance.of_the_file.join(", "))));
            }
        }
        if !narrow.is_empty() {
            let (roles, give) = if narrow.len() == 1 { ("role", "gives") } else { ("roles", "give") };
            self.warnings.push(format!(
                "auth/{path} holds {} {roles} that the configuration doesn't name and that {give} a policy of it: {}",
                narrow.len(),
                first(&narrow)
            ));
        }
        if !wide.is_empty() {
            let (roles, let_in) = if wide.len() == 1 { ("role", "lets") } else { ("roles", "let") };
            self.warnings.push(format!(
                "auth/{path} holds {} {roles} that the configuration doesn't name and that {let_in} in more than one account: {}",
                wide.len(),
                first(&wide)
            ));
        }
        if !unread.is_empty() {
            let (roles, let_in) = if unread.len() == 1 { ("role", "it lets in") } else { ("roles", "they let in") };
            self.warnings.push(format!(
                "auth/{path} holds {} {roles} that the configuration doesn't name and that can't be read, so nobody knows whom \
                 {let_in}: {}",
                unread.len(),
                first(&unread)
            ));
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
            let users = match prune {
                true if !name.fits_a_url() => Err("its name can't be part of a URL".to_owned()),
                true => users(desired, observed, name),
                false => Ok(Vec::new()),
            };
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
                Ok(_) => self.orphans.push(Orphan { object, kept: None, entrance: None }),
                Err(kept) => self.orphans.push(Orphan { object, kept: Some(kept), entrance: None }),
            }
        }
    }
}

/// The roles that must go before a policy may, or why it has to stay.
fn users(desired: &Desired, observed: &Observed, policy: &StoredName) -> Result<Vec<Object>, String> {
    let mut users = Vec::new();
    for mount in &desired.mounts {
        let Some(there) = observed.mounts.get(&mount.path) else { continue };
        if there.unlisted {
            return Err(format!("the roles of auth/{} could not be listed, and one may name it", mount.path));
        }
        for name in &there.cel {
            let role = Object::CelRole { mount: mount.path.clone(), name: name.clone() };
            if !(mount.exclusive && name.fits_a_url()) {
                return Err(format!("{role} may name it"));
            }
            users.push(role);
        }
        for (name, held) in &there.others {
            let role = Object::Role { mount: mount.path.clone(), name: name.clone() };
            match held {
                // It is deleted by the same plan.
                _ if mount.exclusive && name.fits_a_url() => users.push(role),
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

/// Why a role stays that was to be deleted.
fn no_url(path: &MountPath) -> String {
    format!(
        "its name can't be part of a URL, so nothing can delete it by its name: disable auth/{path} and set it up anew"
    )
}

/// The first of many names on one line, and how many more there are.
fn first(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    names[..names.len().min(SHOWN)].join(", ") + &more
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
    use crate::desired::DesiredTune;
    use crate::vault::AuthMethod;

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
            keys: Vec::new(),
            key_retention: 0,
            reviewer: None,
            roles: Vec::new(),
        };
        let others = others.iter().map(|(name, role)| (StoredName::new(*name), role.clone()));
        let there = ObservedMount { others: others.collect(), ..ObservedMount::default() };
        let observed = Observed { mounts: BTreeMap::from([(path, there)]), ..Observed::default() };
        beyond(&Desired { mounts: vec![mount], ..Desired::default() }, &observed, prune)
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
