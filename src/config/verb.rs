//! What a policy may allow in one word: on KV secrets, and of what other engines do.

use serde::{Deserialize, Serialize};

use crate::names::InvalidName;
use crate::policy::{Capability, PolicyPath};

/// What a policy may allow on KV secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Read values.
    Read,
    /// List names.
    List,
    /// Create and update values.
    Write,
    /// Delete the latest version.
    Delete,
    /// Look for secrets by name and by metadata: what External Secrets' `dataFrom.find` does before it reads.
    Find,
    /// Create and update values and metadata, and compare before: what External Secrets' `PushSecret` does.
    Push,
}

impl Verb {
    /// All of them, in the order of their fields.
    pub const ALL: [Self; 6] = [Self::Read, Self::List, Self::Write, Self::Delete, Self::Find, Self::Push];

    /// Its field in the file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::List => "list",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Find => "find",
            Self::Push => "push",
        }
    }

    /// Whether it is about the names in a folder alone.
    pub fn is_of_folders(self) -> bool {
        matches!(self, Self::List | Self::Find)
    }
}

/// What a policy may allow of an engine's work: `sign: pki_int/sign/web`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Have certificates or SSH keys signed, or data by a transit key.
    Sign,
    /// Get credentials that are made for whoever asks.
    Creds,
    /// Encrypt with a transit key.
    Encrypt,
    /// Decrypt with a transit key.
    Decrypt,
}

/// How a task stands in the file and in the API.
struct Form {
    field: &'static str,
    /// The segments of an API path that are about it; the engine's mount is before, and a name after.
    segments: &'static [&'static str],
    capability: Capability,
    example: &'static str,
    /// Whether the mount and the name are enough.
    short: bool,
}

impl Task {
    /// All of them, in the order of their fields.
    pub const ALL: [Self; 4] = [Self::Sign, Self::Creds, Self::Encrypt, Self::Decrypt];

    fn form(self) -> Form {
        match self {
            Self::Sign => Form {
                field: "sign",
                segments: &["sign"],
                capability: Capability::Update,
                example: "pki_int/sign/ROLE",
                short: false,
            },
            Self::Creds => Form {
                field: "creds",
                segments: &["creds", "static-creds"],
                capability: Capability::Read,
                example: "database/creds/ROLE",
                short: false,
            },
            // To create is to make a key that isn't there (transit's `upsert`): no part of it.
            Self::Encrypt => Form {
                field: "encrypt",
                segments: &["encrypt"],
                capability: Capability::Update,
                example: "transit/KEY",
                short: true,
            },
            Self::Decrypt => Form {
                field: "decrypt",
                segments: &["decrypt"],
                capability: Capability::Update,
                example: "transit/KEY",
                short: true,
            },
        }
    }

    /// Its field in the file.
    pub fn word(self) -> &'static str {
        self.form().field
    }

    /// What a rule has to allow on its paths.
    pub fn capability(self) -> Capability {
        self.form().capability
    }

    /// The path of the API that a path of the file is about: `database/creds/app`, and for transit keys also `transit/orders`, or
    /// `orders` where the engine is at `transit`.
    ///
    /// # Errors
    /// When it is about something else, or can't be a policy's path.
    pub(super) fn path(self, text: &str) -> Result<PolicyPath, InvalidName> {
        let form = self.form();
        let segments: Vec<&str> = text.split('/').collect();
        let has = |names: &[&str]| {
            let middle = segments.get(1..segments.len().saturating_sub(1)).unwrap_or_default();
            middle.iter().any(|segment| names.contains(segment)) && segments.last().is_some_and(|last| !last.is_empty())
        };
        let of_others: Vec<&str> =
            Self::ALL.iter().filter(|other| **other != self).flat_map(|task| task.form().segments).copied().collect();
        let path = match segments.as_slice() {
            _ if has(form.segments) => text.to_owned(),
            [.., ""] | ["", ..] => return Err(self.is_not(text)),
            [key] if form.short => format!("transit/{}/{key}", form.field),
            // Where the engine itself has its keys.
            [mount @ .., "keys", key] if form.short && !mount.is_empty() && !has(&of_others) => {
                format!("{}/{}/{key}", mount.join("/"), form.field)
            }
            [mount @ .., key] if form.short && !has(&of_others) => {
                format!("{}/{}/{key}", mount.join("/"), form.field)
            }
            _ => return Err(self.is_not(text)),
        };
        PolicyPath::new(&path).map_err(|error| {
            let remedy = error.remedy().map_or_else(|| self.remedy(), str::to_owned);
            Self::refused(text, error.to_string(), remedy)
        })
    }

    fn is_not(self, text: &str) -> InvalidName {
        Self::refused(text, format!("it is no path for `{}`", self.word()), self.remedy())
    }

    fn refused(text: &str, problem: String, remedy: String) -> InvalidName {
        InvalidName { what: "path", value: text.to_owned(), problem, remedy }
    }

    fn remedy(self) -> String {
        format!("write it as `{}`; anything else goes under `rules`", self.form().example)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_found_in_its_path() {
        for (task, text, path) in [
            (Task::Sign, "pki_int/sign/web", "pki_int/sign/web"),
            (Task::Sign, "team/pki/sign/+", "team/pki/sign/+"),
            (Task::Sign, "transit/sign/orders/sha2-256", "transit/sign/orders/sha2-256"),
            (Task::Creds, "database/creds/app", "database/creds/app"),
            (Task::Creds, "ldap/static-creds/app", "ldap/static-creds/app"),
            (Task::Encrypt, "orders", "transit/encrypt/orders"),
            (Task::Encrypt, "team/transit/orders", "team/transit/encrypt/orders"),
            (Task::Decrypt, "transit/decrypt/orders", "transit/decrypt/orders"),
            (Task::Encrypt, "transit/keys/orders", "transit/encrypt/orders"),
            (Task::Encrypt, "keys/orders", "keys/encrypt/orders"),
        ] {
            assert_eq!(task.path(text).unwrap().as_str(), path, "{task:?} {text}");
        }
        for (task, text) in [
            (Task::Sign, "pki_int/web"),
            (Task::Sign, "pki_int/issue/web"),
            (Task::Sign, "sign/web"),
            (Task::Sign, "pki_int/sign/"),
            (Task::Creds, "database/roles/app"),
            (Task::Encrypt, "transit/decrypt/orders"),
            (Task::Encrypt, "/orders"),
            (Task::Decrypt, "orders/"),
            (Task::Decrypt, ""),
        ] {
            let problem = task.path(text).unwrap_err();
            assert!(problem.remedy.starts_with("write it as `"), "{task:?} {text}: {problem:?}");
        }
    }
}
