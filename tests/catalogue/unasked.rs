//! Logins that were made, and that nobody told what they may do.

use serde_json::json;

use super::access::of_the_identity;
use super::entry::{entry, run};
use super::grants::{entity_adds, entity_adds_nothing, group_adds, no_alarm, no_group, operator_may_not, told};
use super::setup::{Setup, flags, jwt, shown};

/// The entity adds a policy with a template, and has this value for it.
fn template_filled_with(setup: &Setup, team: &str) {
    entity_adds(setup, &[("kv1/{{identity.entity.metadata.team}}/*", "read")]);
    let id = super::access::entity(setup);
    setup.vault().write(&format!("identity/entity/id/{id}"), &json!({ "metadata": { "team": team } }));
}

/// A policy of this name, which nobody can read: a server fails on each request of a token that carries it.
fn group_adds_what_is_no_policy(setup: &mut Setup) {
    let body = json!({ "policies": [".."], "member_entity_ids": [super::access::entity(setup)] });
    setup.vault().write(&format!("identity/group/name/{}", setup.mount), &body);
}

#[test]
fn logins_that_are_refused_everything() {
    run(
        "logins that are refused everything",
        &[
            entry(
                "a template's value with a slash",
                jwt,
                |setup| template_filled_with(setup, "a/b"),
                "VK506",
                &["refuses whatever its token asks", "Forbidden", "identity.entity.metadata.team"],
            )
            .person(entity_adds_nothing),
            entry(
                "a template's value with a wildcard",
                jwt,
                |setup| template_filled_with(setup, "+"),
                "VK506",
                &["refuses whatever its token asks"],
            )
            .person(entity_adds_nothing),
            entry(
                "a template's value with a wildcard (flags)",
                flags,
                |setup| template_filled_with(setup, "*"),
                "VK506",
                &["refuses whatever its token asks"],
            )
            .person(entity_adds_nothing),
            entry(
                "the name of a policy that can be none",
                jwt,
                group_adds_what_is_no_policy,
                "VK506",
                &["refuses whatever its token asks", ".."],
            )
            .person(no_group),
        ],
    );
}

const NOT_TOLD: &[(&str, &str)] = &[("sys/capabilities-self", "deny"), ("sys/internal/ui/resultant-acl", "deny")];

/// Whoever may write one policy of a login forbids the question, and grants something else.
#[test]
fn a_denial_of_the_question_hides_nothing() {
    let mut setup = Setup::new(jwt());
    let root = setup.environment["VAULT_TOKEN"].clone();
    operator_may_not(&mut setup, &["sys/capabilities-accessor"]);
    let operator = setup.environment["VAULT_TOKEN"].clone();
    no_alarm(&setup);
    group_adds(&setup, NOT_TOLD);
    let (code, cause) = told(&setup, "VK506");
    let said = cause.to_string();
    assert!(code == 1 && cause["status"] == "failed", "{cause}");
    for words in
        ["nobody could be told what the login may do: it may not ask", "sys/capabilities-accessor", "-elsewhere"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
    let answer = setup.shell(&format!("vaultk8s bootstrap --yes -f {}", setup.file.display()));
    assert!(
        answer.status.code() == Some(1) && shown(&answer).contains("VK506 nobody could be told"),
        "{}",
        shown(&answer)
    );
    // The policies themselves can be read.
    group_adds(&setup, &[NOT_TOLD, &[("kv1/payroll/*", "read"), ("sys/policies/acl/*", "update")]].concat());
    let (code, cause) = told(&setup, "VK507");
    assert!(code == 1 && cause["detail"].to_string().contains("may also read on kv1/payroll/*"), "{cause}");
    let (_, cause) = told(&setup, "VK508");
    assert!(cause["detail"].to_string().contains("give itself more"), "{cause}");
    // With the rule that is printed for the operator it is asked, and nothing is wrong.
    group_adds(&setup, NOT_TOLD);
    setup.environment.insert("VAULT_TOKEN", root);
    no_alarm(&setup);
    setup.environment.insert("VAULT_TOKEN", operator);
    no_group(&mut setup);
    no_alarm(&setup);
}

/// A template with a value that it may have refuses nothing, whatever else it gives.
#[test]
fn a_template_that_is_filled_in_is_no_refusal() {
    let setup = Setup::new(jwt());
    template_filled_with(&setup, "blue");
    let (_, said, all) = setup.verify();
    assert!(said["causes"].as_array().unwrap().iter().all(|cause| cause["id"] != "VK506"), "{all}");
    of_the_identity(&setup, json!([]));
    no_alarm(&setup);
}
