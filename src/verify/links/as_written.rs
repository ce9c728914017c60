//! Whether Vault holds the file's role and policies: all that they say, whoever logs in or nobody.
//!
//! A fault that another check names is its, in words that say what it means for a login. What is left is told here, as `plan` tells it: whoever
//! wrote it decided who gets in, with what, and for how long.

use serde_json::Value;

use crate::desired;
use crate::model::{AuthMethod, RoleDocument};
use crate::plan::{FieldChange, changed};
use crate::policy::{Policy, same_meaning};
use crate::verify::catalogue::{
    AUDIENCE, BOUND_ACCOUNT, BOUND_CIDRS, BOUND_CLAIMS, Check, FILLED_IN, GRANTED, KV_MOUNT, LIFETIME, NO_ASCENT,
    NOBODY_ELSE, NOT_DENIED, NOTHING_ELSE, POLICIES, POLICIES_AS_WRITTEN, POLICIES_COVER, POLICIES_EXIST, REFRESH,
    REMOTE_SECRET, ROLE_AS_WRITTEN, SELF_SERVICE, TOKEN_VALID, USES,
};
use crate::verify::facts::Known;
use crate::verify::finding::{CheckResult, Finding, Status};
use crate::verify::links::role::unread;
use crate::verify::scene::RoleScene;
use crate::verify::walk::Afterwards;

/// The checks that look at a field of roles, and what they say when it is otherwise.
const NAMED_BY: &[(&str, &[Check])] = &[
    ("audience", &[AUDIENCE, NOBODY_ELSE]),
    ("bound_audiences", &[AUDIENCE, NOBODY_ELSE]),
    ("bound_", &[BOUND_ACCOUNT, BOUND_CLAIMS, NOBODY_ELSE]),
    ("user_claim", &[BOUND_CLAIMS]),
    ("groups_claim", &[BOUND_CLAIMS]),
    ("claim_mappings", &[FILLED_IN]),
    ("clock_skew_leeway", &[TOKEN_VALID]),
    ("expiration_leeway", &[TOKEN_VALID]),
    ("not_before_leeway", &[TOKEN_VALID]),
    ("token_bound_cidrs", &[BOUND_CIDRS]),
    ("token_no_default_policy", &[POLICIES, GRANTED, NOTHING_ELSE, SELF_SERVICE]),
    ("token_policies", &[POLICIES, POLICIES_EXIST, POLICIES_COVER, NOT_DENIED, GRANTED, NOTHING_ELSE]),
    ("token_num_uses", &[USES, REMOTE_SECRET]),
    ("token_", &[LIFETIME, REFRESH]),
];

/// The checks that look at what policies say.
const OF_POLICIES: &[Check] =
    &[POLICIES_EXIST, KV_MOUNT, FILLED_IN, POLICIES_COVER, NOT_DENIED, GRANTED, NOTHING_ELSE, NO_ASCENT];

/// These checks. They take note of what the others found, and are made after them; without a file there is nothing to compare with.
pub(in crate::verify) const AFTERWARDS: &[Afterwards] =
    &[Afterwards { check: ROLE_AS_WRITTEN, look: role }, Afterwards { check: POLICIES_AS_WRITTEN, look: policies }];

fn role(scene: &RoleScene, checks: &[CheckResult]) -> Known<Finding> {
    let (Some(held), Some(wanted)) = (scene.held()?, &scene.expected) else { return Ok(unread()) };
    let method = match held {
        RoleDocument::Jwt(_) => AuthMethod::Jwt,
        RoleDocument::Kubernetes(_) => AuthMethod::Kubernetes,
    };
    let all = changed(Some(&held.fields()), &desired::role(method, wanted).document.fields());
    if all.is_empty() {
        return Ok(Finding::passed("each of its fields"));
    }
    let (named, left): (Vec<FieldChange>, Vec<FieldChange>) =
        all.into_iter().partition(|change| is_named(change, checks));
    if left.is_empty() {
        let fields: Vec<&str> = named.iter().map(|change| change.field.as_str()).collect();
        return Ok(Finding::not_reached(format!("what differs is told by other checks: {}", fields.join(", "))));
    }
    let said: Vec<String> = left
        .iter()
        .map(|FieldChange { field, before, after }| {
            format!("{field} is {}, and in the file {}", shown(before.as_ref()), shown(Some(after)))
        })
        .collect();
    Ok(Finding::failed(format!("the role in Vault is not the file's: {}", said.join("; ")))
        .why("whoever wrote it so decides who logs in, with what and for how long; a login that works shows nothing of it")
        .mend(scene.mount.source.bootstrap()))
}

/// Whether a check that failed says that this field is otherwise, or one that warns that it lets less be done than the file.
fn is_named(change: &FieldChange, checks: &[CheckResult]) -> bool {
    let of_field = NAMED_BY.iter().find(|(start, _)| change.field.starts_with(start)).map(|(_, of_field)| *of_field);
    let says = |result: &CheckResult| match result.finding.status {
        Status::Failed => true,
        Status::Warning => is_tighter(change),
        _ => false,
    };
    of_field.is_some_and(|checks_of| checks.iter().any(|result| checks_of.contains(&result.check) && says(result)))
}

/// Whether a token of Vault's role lives shorter, or may less, than one of the file's.
fn is_tighter(change: &FieldChange) -> bool {
    let number = |value: &Value| value.as_u64();
    let (Some(held), file) = (&change.before, &change.after) else { return false };
    match change.field.as_str() {
        // None is without limit.
        "token_ttl" | "token_max_ttl" | "token_explicit_max_ttl" | "token_num_uses" => {
            matches!((number(held), number(file)), (Some(held), Some(file)) if held > 0 && (file == 0 || held < file))
        }
        "token_period" => matches!((number(held), number(file)), (Some(held), Some(file)) if held < file),
        "token_no_default_policy" => held.as_bool() == Some(true),
        _ => false,
    }
}

/// A value, for people.
fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "unset".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "unset".to_owned(),
        Some(Value::Array(list)) if list.is_empty() => "none".to_owned(),
        Some(Value::Object(map)) if map.is_empty() => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(list)) => list.iter().map(|one| shown(Some(one))).collect::<Vec<_>>().join(", "),
        Some(other) => other.to_string(),
    }
}

fn policies(scene: &RoleScene, checks: &[CheckResult]) -> Known<Finding> {
    if scene.policies.is_empty() {
        return Ok(Finding::skipped("the file defines none of them, or what they say is not known"));
    }
    let failed = |result: &CheckResult| result.finding.status == Status::Failed;
    let named = checks.iter().any(|result| OF_POLICIES.contains(&result.check) && failed(result));
    let (mut faults, mut unseen, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for desired in &scene.policies {
        let name = desired.name.as_str();
        match scene.mount.vault.stored_policy(name)? {
            // VK502 looks for it.
            Ok(None) => {}
            Ok(Some(stored)) => {
                let extras = stored.extras();
                faults
                    .extend(extras.iter().map(|(field, value)| format!("{name} has {field}: {}", shown(Some(value)))));
                let same = Policy::parse(&stored.policy).is_ok_and(|held| same_meaning(&held, &desired.policy));
                match (same, named) {
                    (true, _) => {}
                    // Of a mount that can't be seen.
                    (false, _) if !desired.policy.accessors().is_empty() => unseen.push(name),
                    (false, true) => told.push(name),
                    (false, false) => faults.push(format!("{name} says something else")),
                }
            }
            Err(_) => unseen.push(name),
        }
    }
    if !faults.is_empty() {
        return Ok(Finding::failed(format!("a policy of the role in Vault is not the file's: {}", faults.join("; ")))
            .why("what lets templates be filled with wildcards opens what belongs to others, and what ends takes the rights with it")
            .with("the texts are shown by", scene.mount.source.own("plan").as_str())
            .mend(scene.mount.source.bootstrap()));
    }
    Ok(match (told.as_slice(), unseen.as_slice()) {
        ([], []) => Finding::passed("each of them"),
        ([], unseen) => Finding::unseen(format!("{} can't be read with this token", unseen.join(", "))),
        (told, _) => Finding::not_reached(format!("what {} says is told by other checks", told.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::verify::catalogue::check;

    fn change(field: &str, held: Value, file: Value) -> FieldChange {
        FieldChange { field: field.to_owned(), before: Some(held), after: file }
    }

    fn result(id: &str, finding: Finding) -> CheckResult {
        CheckResult::new(check(id), finding)
    }

    #[test]
    fn a_field_is_left_to_the_check_that_names_it() {
        let failed = |id| [result(id, Finding::failed("x"))];
        let audience = change("bound_audiences", json!(["vault", "x"]), json!(["vault"]));
        assert!(is_named(&audience, &failed("VK411")));
        assert!(!is_named(&audience, &failed("VK412")));
        assert!(!is_named(&audience, &[result("VK411", Finding::passed("x"))]));
        let claims = change("bound_claims", json!({}), json!({ "sub": "x" }));
        assert!(is_named(&claims, &failed("VK413")));
        // What warns of a short life doesn't name a long one.
        let warns = [result("VK701", Finding::warning("x"))];
        assert!(is_named(&change("token_ttl", json!(60), json!(600)), &warns));
        assert!(!is_named(&change("token_ttl", json!(6000), json!(600)), &warns));
        assert!(!is_named(&change("token_ttl", json!(0), json!(600)), &warns));
        for (field, _) in NAMED_BY {
            assert!(!is_named(&change(field, json!("x"), json!("y")), &[]), "{field}");
        }
    }
}
