//! Whose an object is that is to be changed: what somebody else wrote is not changed without a word.

use crate::desired::Desired;
use crate::model::Observed;
use crate::names::MountPath;
use crate::ownership::Mark;

/// Who wrote a policy.
pub(super) enum Wrote {
    /// The file's owner, or a version of the file that named none.
    Own,
    /// Somebody else.
    Other,
    /// Nobody can say, for this reason.
    Unknown(String),
}

/// Whose a policy is that holds this text, and whose it would be; `None` where it is the file's own.
///
/// It is where it names the file's owner, or where it names none and every mount of its mark is one of the file, which a
/// file that grew still is. What carries no mark was written by hand, by another tool, or by a single step.
/// Where the file names an owner and the mark doesn't, that is so only while the policy says the `same`: a file that got an owner
/// changes nothing but the mark, and of several files that have the mount nobody knows which one wrote it.
pub(super) fn policy_taken_over(text: &str, desired: &Desired, same: bool) -> Option<String> {
    let whose = match Mark::read(text) {
        Some(mark @ Mark::Mounts(_)) if desired.owner.is_some() && !same => mark.to_string(),
        Some(mark) if is_own(&mark, desired) => return None,
        Some(mark) => mark.to_string(),
        None => "whoever wrote it without a mark of vaultk8s".to_owned(),
    };
    let ours = match Mark::of_file(desired.owner.as_ref(), &desired.owners) {
        None if desired.alone => "nobody, because a single step without --owner leaves no mark".to_owned(),
        None => "nobody, because the file names no owner and keeps no mount".to_owned(),
        Some(mark) => mark.to_string(),
    };
    Some(format!("it belongs to {whose}, and would belong to {ours}"))
}

/// Whether the mark of a policy has to be written anew though its rules are as they should be: an earlier version of the file
/// wrote it and named no owner, or another owner did, who is asked.
pub(super) fn mark_is_outdated(text: &str, desired: &Desired) -> bool {
    let Some(owner) = &desired.owner else { return false };
    match Mark::read(text) {
        Some(Mark::Owner(other)) => other != *owner,
        Some(mark @ Mark::Mounts(_)) => is_own(&mark, desired),
        None => false,
    }
}

/// Who wrote a marked policy that the file doesn't name.
pub(super) fn wrote(text: &str, desired: &Desired, observed: &Observed) -> Wrote {
    let Some(mark) = Mark::read(text) else { return Wrote::Other };
    if !is_own(&mark, desired) {
        return Wrote::Other;
    }
    let (Some(owner), Mark::Mounts(mounts)) = (&desired.owner, &mark) else { return Wrote::Own };
    // Several files may have had the mount of a mark that names no owner.
    let shared = mounts.iter().filter_map(|mount| Some((mount, observed.inventories.get(mount)?)));
    let other = shared.flat_map(|(mount, owners)| owners.keys().map(move |other| (mount, other)));
    match other.into_iter().find(|(_, other)| *other != owner) {
        None => Wrote::Own,
        Some((mount, other)) => Wrote::Unknown(format!(
            "its mark is of auth/{mount} and names no owner, and the owner {other} has roles there too; delete it by hand \
             where it is over"
        )),
    }
}

/// Whether another file that names no owner either may have written a policy: one that has the mounts of its mark, of which not all
/// are this file's alone.
pub(super) fn may_be_of_a_file_with_the_same_mounts(text: &str, desired: &Desired) -> bool {
    let exclusive = |path: &MountPath| desired.mounts.iter().any(|mount| mount.path == *path && mount.exclusive);
    match Mark::read(text) {
        Some(Mark::Mounts(mounts)) => desired.owner.is_none() && !mounts.iter().all(exclusive),
        Some(Mark::Owner(_)) | None => false,
    }
}

fn is_own(mark: &Mark, desired: &Desired) -> bool {
    match mark {
        Mark::Owner(owner) => desired.owner.as_ref() == Some(owner),
        Mark::Mounts(mounts) => mounts.iter().all(|mount| desired.owners.contains(mount)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Policy;

    fn mounts(paths: &[&str]) -> Vec<MountPath> {
        paths.iter().map(|path| path.parse().unwrap()).collect()
    }

    fn taken_over(theirs: &[&str], ours: &[&str]) -> Option<String> {
        let text =
            Policy::default().print(Mark::of_file(None, &mounts(theirs)).map(|mark| mark.line()).as_deref().as_slice());
        policy_taken_over(&text, &Desired { owners: mounts(ours), ..Desired::default() }, false)
    }

    #[test]
    fn what_a_part_of_the_file_wrote_is_its_own() {
        assert_eq!(taken_over(&["a"], &["a"]), None);
        assert_eq!(taken_over(&["a"], &["b", "a"]), None);
        assert_eq!(taken_over(&["a", "b"], &["b", "a"]), None);
    }

    #[test]
    fn a_file_that_gets_an_owner_changes_marks_unasked_and_rules_only_if_asked() {
        let text = Policy::default().print(&[&Mark::of_file(None, &mounts(&["a"])).unwrap().line()]);
        let desired = Desired { owners: mounts(&["a"]), owner: Some("x".parse().unwrap()), ..Desired::default() };
        assert_eq!(policy_taken_over(&text, &desired, true), None);
        assert_eq!(
            policy_taken_over(&text, &desired, false).unwrap(),
            "it belongs to the configuration of auth/a, and would belong to the owner x"
        );
    }

    #[test]
    fn what_another_file_wrote_is_taken_over_and_both_are_named() {
        let said = taken_over(&["b", "a"], &["a", "c"]).unwrap();
        assert_eq!(
            said,
            "it belongs to the configuration of auth/a, auth/b, and would belong to the configuration of auth/a, auth/c"
        );
    }

    #[test]
    fn what_nobody_marked_is_somebody_else_s_and_a_step_marks_nothing() {
        assert_eq!(
            taken_over(&[], &["a"]).unwrap(),
            "it belongs to whoever wrote it without a mark of vaultk8s, and would belong to the configuration of auth/a"
        );
        let guest = taken_over(&["a"], &[]).unwrap();
        assert!(guest.ends_with("nobody, because the file names no owner and keeps no mount"), "{guest}");
    }
}
