//! A plan in a few words.

use super::{Action, Orphan, Plan};

impl Plan {
    /// `2 to create, 1 to change, 4 in order`.
    pub fn summary(&self) -> String {
        let count = |action| self.changes.iter().filter(|change| change.action == action).count();
        let deleted = match count(Action::Delete) {
            0 => String::new(),
            some => format!("{some} to delete, "),
        };
        let (created, changed) = (count(Action::Create), count(Action::Update));
        format!("{created} to create, {changed} to change, {deleted}{} in order", self.unchanged)
    }

    /// The Vault that it is for, and its namespace.
    pub fn target(&self) -> String {
        match self.namespace.as_str() {
            "" => self.address.clone(),
            namespace => format!("{} (namespace {namespace})", self.address),
        }
    }
}

/// How roles are told that an exclusive mount should not hold.
pub(crate) fn strangers_in_words(count: usize) -> String {
    let roles = if count == 1 { "role" } else { "roles" };
    format!("{count} unmanaged {roles} on an exclusive mount")
}

/// What ends that.
pub(crate) fn strangers_remedy<'a>(strangers: impl Iterator<Item = &'a Orphan>) -> &'static str {
    let is_anothers = |orphan: &&Orphan| orphan.entrance.as_ref().is_some_and(|entrance| entrance.owner.is_some());
    let strangers: Vec<&Orphan> = strangers.collect();
    if strangers.iter().any(is_anothers) {
        "a bootstrap with `--prune` deletes those that no other owner has, whose file has to let theirs go; or set `exclusive: false`"
    } else if strangers.iter().any(|orphan| orphan.kept.is_some()) {
        "a bootstrap with `--prune` deletes those that don't say why they stay; delete the others by hand where nobody needs them, or \
         set `exclusive: false`"
    } else {
        "a bootstrap with `--prune` deletes these roles; or take them into the file, or set `exclusive: false`"
    }
}
