//! Whose an object is that is to be changed: what somebody else wrote is not changed without a word.

use crate::desired::{Desired, owners};
use crate::names::MountPath;

/// Whose a policy is that holds this text, and whose it would be; `None` where it is the configuration's own.
///
/// It is where every mount of its mark is one of the file, which a file that grew still is. What carries no mark was written
/// by hand, by another tool, or by a single step.
pub(super) fn policy_taken_over(text: &str, desired: &Desired) -> Option<String> {
    let whose = match owners(text) {
        Some(mounts) if mounts.iter().all(|mount| desired.owners.contains(mount)) => return None,
        Some(mounts) => configuration_of(&mounts),
        None => "whoever wrote it without a mark of vaultk8s".to_owned(),
    };
    let ours = match desired.owners.as_slice() {
        [] => "nobody, because a single step leaves no mark".to_owned(),
        mounts => configuration_of(mounts),
    };
    Some(format!("it belongs to {whose}, and would belong to {ours}"))
}

fn configuration_of(mounts: &[MountPath]) -> String {
    let mut mounts: Vec<String> = mounts.iter().map(|mount| format!("auth/{mount}")).collect();
    mounts.sort_unstable();
    format!("the configuration of {}", mounts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::mark;
    use crate::policy::Policy;

    fn mounts(paths: &[&str]) -> Vec<MountPath> {
        paths.iter().map(|path| path.parse().unwrap()).collect()
    }

    fn taken_over(theirs: &[&str], ours: &[&str]) -> Option<String> {
        let text = Policy::default().print(mark(&mounts(theirs)).as_deref().as_slice());
        policy_taken_over(&text, &Desired { owners: mounts(ours), ..Desired::default() })
    }

    #[test]
    fn what_a_part_of_the_file_wrote_is_its_own() {
        assert_eq!(taken_over(&["a"], &["a"]), None);
        assert_eq!(taken_over(&["a"], &["b", "a"]), None);
        assert_eq!(taken_over(&["a", "b"], &["b", "a"]), None);
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
        let step = taken_over(&["a"], &[]).unwrap();
        assert!(step.ends_with("and would belong to nobody, because a single step leaves no mark"), "{step}");
    }
}
