//! Rules of a login's own policies that do less than they say, whatever a server answers about their paths: what a slash at the end of a
//! path passes by, and grants of which a denial leaves nothing.

use crate::access::Passed;
use crate::verify::finding::{Finding, list};
use crate::verify::grants::Compared;
use crate::verify::scene::RoleScene;

/// A finding for each of them.
pub(super) fn narrow(scene: &RoleScene, compared: &Compared) -> Vec<Finding> {
    let place = &scene.where_policies_are();
    let passed = compared.passed.iter().map(|passed| passed_by(passed, place));
    let dead = compared.dead.iter().map(|dead| {
        Finding::warning(format!(
            "the rule that grants {} gives nothing, because its policies deny it: {}",
            dead.grant, dead.denial
        ))
        .why("where both decide about a path, a denial wins")
        .to_do(format!("take the denial or the grant out {place}; to deny a part, name more of the path"))
    });
    passed.chain(dead).collect()
}

fn passed_by(passed: &Passed, place: &str) -> Finding {
    let Passed { rule, denies, path, by, left } = passed;
    let left = list(left.iter().map(|left| left.as_str()));
    let (says, does): (fn(String) -> Finding, &str) =
        if *denies { (Finding::failed, "denies") } else { (Finding::warning, "narrows what may be done at") };
    says(format!("the rule that {does} {rule} does not hold: the login may {left} the same secret at {path}, where {by} decides"))
        .why(
            "to the policies a path with a slash at its end is another one, and to the KV engine the same secret; sys/capabilities \
             tries the path without it and does not tell",
        )
        .to_do(format!("{}, {place}", passed.remedy()))
}
