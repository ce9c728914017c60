//! KV paths as people write them: with or without the mount in front.

use super::Position;
use super::diagnostic::Problems;
use super::entry::{Entry, Located};
use crate::fix::either_shows;
use crate::names::{InvalidName, KvPath, MountPath};

/// A KV path that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KvPathError {
    /// It is no path below a mount.
    #[error(transparent)]
    Invalid(#[from] InvalidName),
    /// It names the mount and nothing below it.
    #[error("{path:?} is the KV mount itself")]
    WholeMount {
        /// The path as written.
        path: String,
        /// The mount.
        mount: MountPath,
    },
    /// It begins with the path of another KV mount.
    #[error("{path:?} may be a path of the KV mount {other:?} or of {mount:?}", other = .other.as_str(), mount = .mount.as_str())]
    Ambiguous {
        /// The path as written.
        path: String,
        /// The mount that the path was to be below.
        mount: MountPath,
        /// The other mount, whose path it begins with.
        other: MountPath,
    },
}

impl KvPathError {
    /// What to write instead.
    pub fn remedy(&self) -> String {
        match self {
            Self::Invalid(error) => error.remedy.clone(),
            Self::WholeMount { mount, .. } => {
                format!("write `*` for all of its secrets, or `{mount}/{mount}` for the one of that name")
            }
            Self::Ambiguous { path, mount, other } => {
                format!(
                    "write `{mount}/{path}` for a path of {mount}; for one of {other} name that mount with `kv: {other}`"
                )
            }
        }
    }
}

/// Reads a path below `mount`, which may stand in front of it (`secret/k8s/…`) and is taken away.
///
/// `other_mounts` are the KV mounts that the path could mean instead.
///
/// # Errors
/// Refused are the mount alone, a path that begins with another mount, and what [`KvPath`] refuses, such as `data/` in
/// front (also behind the mount).
pub fn kv_path(text: &str, mount: &MountPath, other_mounts: &[MountPath]) -> Result<KvPath, KvPathError> {
    let path = || text.to_owned();
    let below = |mount: &MountPath| -> Option<String> {
        let rest = text.strip_prefix(mount.as_str())?;
        if rest.is_empty() { Some(String::new()) } else { rest.strip_prefix('/').map(str::to_owned) }
    };
    let own = below(mount);
    // Of two mounts where one begins with the other, the longer is what the path names.
    let other = other_mounts.iter().find(|other| {
        *other != mount && below(other).is_some() && (own.is_none() || other.as_str().len() > mount.as_str().len())
    });
    if let Some(other) = other {
        return Err(KvPathError::Ambiguous { path: path(), mount: mount.clone(), other: other.clone() });
    }
    match own {
        Some(rest) if rest.is_empty() => Err(KvPathError::WholeMount { path: path(), mount: mount.clone() }),
        Some(rest) => Ok(rest.parse().map_err(|error| InvalidName { value: path(), ..error })?),
        None => Ok(text.parse()?),
    }
}

/// A KV mount as an entry names it (`kv`), with whether it is to be made: a text, or a section.
pub(super) fn written_mount<'a>(entry: &'a Entry, problems: &mut Problems) -> Option<(&'a Located<String>, bool)> {
    match entry.section("kv") {
        Some(section) => Some((section.required("mount", problems)?, section.is_set("create"))),
        None => entry.text("kv").map(|path| (path, false)),
    }
}

/// Reads the path of a KV mount at a place of the file, or reports why it is none.
pub(super) fn kv_mount(at: Position, text: &str, problems: &mut Problems) -> Option<MountPath> {
    let mount = text.parse().map_err(|error| InvalidName {
        remedy: format!("write the mount's path as {} shows it, such as `secret`", either_shows("secrets list")),
        ..error
    });
    problems.accept(at, mount)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, mount: &str, others: &[&str]) -> Result<String, KvPathError> {
        let others: Vec<MountPath> = others.iter().map(|other| other.parse().unwrap()).collect();
        kv_path(text, &mount.parse().unwrap(), &others).map(|path| path.to_string())
    }

    #[test]
    fn the_mount_in_front_is_taken_away_once() {
        assert_eq!(read("k8s/prod/*", "secret", &[]).unwrap(), "k8s/prod/*");
        assert_eq!(read("secret/k8s/prod/*", "secret", &[]).unwrap(), "k8s/prod/*");
        assert_eq!(read("secret/secret/x", "secret", &[]).unwrap(), "secret/x");
        assert_eq!(read("secrets/x", "secret", &[]).unwrap(), "secrets/x");
        assert_eq!(read("team/kv/x", "team/kv", &[]).unwrap(), "x");
        assert_eq!(read("secret/*", "secret", &[]).unwrap(), "*");
    }

    #[test]
    fn the_mount_alone_is_no_path() {
        for text in ["secret", "secret/"] {
            assert!(matches!(read(text, "secret", &[]), Err(KvPathError::WholeMount { .. })), "{text}");
        }
    }

    #[test]
    fn another_mount_in_front_is_ambiguous() {
        for text in ["team/x", "team", "team/"] {
            assert!(matches!(read(text, "secret", &["team"]), Err(KvPathError::Ambiguous { .. })), "{text}");
        }
        assert_eq!(read("secret/team/x", "secret", &["team"]).unwrap(), "team/x");
        assert_eq!(read("teams/x", "secret", &["team"]).unwrap(), "teams/x");
        assert!(matches!(read("kv/team/x", "kv", &["kv/team"]), Err(KvPathError::Ambiguous { .. })));
    }

    #[test]
    fn data_is_refused_behind_the_mount_too() {
        for text in ["data/k8s/x", "secret/data/k8s/x", "secret/metadata/x"] {
            let error = read(text, "secret", &[]).unwrap_err();
            assert!(matches!(error, KvPathError::Invalid(_)) && error.to_string().contains(text), "{error}");
        }
    }

    proptest! {
        #[test]
        fn with_and_without_the_mount_is_the_same_path(path in "[a-c+*./]{1,12}") {
            let plain = path.parse::<KvPath>().ok();
            let with_mount = kv_path(&format!("secret/{path}"), &"secret".parse().unwrap(), &[]).ok();
            prop_assert_eq!(plain, with_mount);
        }
    }
}
