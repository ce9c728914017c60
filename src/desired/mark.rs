//! The mark of a policy that this tool wrote: the first line of its text, which says for whom.
//!
//! Two files may be applied to one Vault. Each has its own auth mounts, so their names tell whose a policy is: only a file
//! that has all of them may delete it.

use crate::names::MountPath;

const BEGINNING: &str = "Managed by vaultk8s for ";
const END: &str = ": the next bootstrap undoes what is changed here.";

/// The mark of the configuration that has these mounts, without the sign of a comment; `None` where it has none, because
/// nobody could be told from another by it.
pub fn mark(mounts: &[MountPath]) -> Option<String> {
    let mut mounts: Vec<&str> = mounts.iter().map(MountPath::as_str).collect();
    mounts.sort_unstable();
    (!mounts.is_empty()).then(|| format!("{BEGINNING}{}{END}", mounts.join(", ")))
}

/// The mounts of the configuration that wrote a policy; `None` where the text carries no mark.
pub fn owners(text: &str) -> Option<Vec<MountPath>> {
    let line = text.lines().next()?.strip_prefix("# ")?;
    let mounts = line.strip_prefix(BEGINNING)?.strip_suffix(END)?;
    mounts.split(", ").map(|mount| mount.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    #[test]
    fn a_mark_is_read_back_from_the_text_of_a_policy() {
        let mounts: Vec<MountPath> = ["team/jwt", "jwt-a"].map(|mount| mount.parse().unwrap()).into();
        let text = Policy::default().print(&[&mark(&mounts).unwrap()]);
        assert_eq!(
            text,
            "# Managed by vaultk8s for jwt-a, team/jwt: the next bootstrap undoes what is changed here.\n"
        );
        let mut read = owners(&text).unwrap();
        read.reverse();
        assert_eq!(read, mounts);
    }

    #[test]
    fn what_only_looks_like_a_mark_is_none() {
        let marked = Policy::default().print(&[&mark(&["jwt".parse().unwrap()]).unwrap()]);
        for text in ["", "# made by hand\n", &format!("\n{marked}"), &marked.replace(": the next", ", mostly")] {
            assert_eq!(owners(text), None, "{text:?}");
        }
        assert_eq!(owners(&marked.replace("jwt", "")), None);
    }
}
