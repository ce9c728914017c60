//! The mark of a policy that this tool wrote: the first line of its text, which says for whom.
//!
//! A file says whose it is (`owner`). One that doesn't is told from others by its auth mounts: only a file that has all of
//! them may change or delete the policy unasked.

use std::fmt;

use crate::names::{MountPath, Owner};

const BEGINNING: &str = "Managed by vaultk8s for ";
/// No mount begins so, because no mount has a space in its path.
const OWNER: &str = "the owner ";
const END: &str = ": the next bootstrap undoes what is changed here.";

/// For whom a policy was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// For the owner of a file.
    Owner(Owner),
    /// For the file that has these mounts and names no owner.
    Mounts(Vec<MountPath>),
}

impl Mark {
    /// The mark of a file; `None` where it has neither an owner nor mounts, because nobody could be told from another by it.
    pub fn of_file(owner: Option<&Owner>, mounts: &[MountPath]) -> Option<Self> {
        match owner {
            Some(owner) => Some(Self::Owner(owner.clone())),
            None => (!mounts.is_empty()).then(|| Self::Mounts(sorted(mounts.to_vec()))),
        }
    }

    /// That of a policy's text; `None` where it carries none.
    pub fn read(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("# ")?;
        let whose = line.strip_prefix(BEGINNING)?.strip_suffix(END)?;
        if let Some(owner) = whose.strip_prefix(OWNER) {
            return owner.parse().ok().map(Self::Owner);
        }
        let mounts = whose.split(", ").map(|mount| mount.parse().ok()).collect::<Option<_>>()?;
        Some(Self::Mounts(sorted(mounts)))
    }

    /// The first line of the text, without the sign of a comment.
    pub fn line(&self) -> String {
        let whose = match self {
            Self::Owner(owner) => format!("{OWNER}{owner}"),
            Self::Mounts(mounts) => mounts.iter().map(MountPath::as_str).collect::<Vec<_>>().join(", "),
        };
        format!("{BEGINNING}{whose}{END}")
    }
}

fn sorted(mut mounts: Vec<MountPath>) -> Vec<MountPath> {
    mounts.sort_unstable();
    mounts
}

impl fmt::Display for Mark {
    /// Whose it is, as part of a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(owner) => write!(f, "the owner {owner}"),
            Self::Mounts(mounts) => {
                let mounts: Vec<String> = mounts.iter().map(|mount| format!("auth/{mount}")).collect();
                write!(f, "the configuration of {}", mounts.join(", "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn marked(owner: Option<&str>, mounts: &[&str]) -> String {
        let mounts: Vec<MountPath> = mounts.iter().map(|mount| mount.parse().unwrap()).collect();
        let owner = owner.map(|owner| owner.parse().unwrap());
        Policy::default().print(&[&Mark::of_file(owner.as_ref(), &mounts).unwrap().line()])
    }

    #[test]
    fn a_mark_is_read_back_from_the_text_of_a_policy() {
        let text = marked(None, &["team/jwt", "jwt-a"]);
        assert_eq!(
            text,
            "# Managed by vaultk8s for jwt-a, team/jwt: the next bootstrap undoes what is changed here.\n"
        );
        let mounts = ["jwt-a", "team/jwt"].map(|mount| mount.parse().unwrap()).into();
        assert_eq!(Mark::read(&text), Some(Mark::Mounts(mounts)));
        let text = marked(Some("platform"), &["jwt-a"]);
        assert_eq!(
            text,
            "# Managed by vaultk8s for the owner platform: the next bootstrap undoes what is changed here.\n"
        );
        assert_eq!(Mark::read(&text), Some(Mark::Owner("platform".parse().unwrap())));
    }

    #[test]
    fn what_only_looks_like_a_mark_is_none() {
        let text = marked(None, &["jwt"]);
        for text in ["", "# made by hand\n", &format!("\n{text}"), &text.replace(": the next", ", mostly")] {
            assert_eq!(Mark::read(text), None, "{text:?}");
        }
        assert_eq!(Mark::read(&text.replace("jwt", "")), None);
        assert_eq!(Mark::read(&marked(Some("a"), &[]).replace("owner a", "owner A")), None);
    }
}
