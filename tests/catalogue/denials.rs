//! Rules that deny what the login is meant to do.

use serde_json::json;

use super::access::{entity, rules, second};
use super::entry::{entry, run};
use super::setup::{Setup, flags, jwt};

fn denied(setup: &mut Setup) {
    let other = format!("{}-deny", setup.policy);
    setup.write_policy(&other, &format!("path \"secret/data/{}/*\" {{ capabilities = [\"deny\"] }}", setup.namespace));
    setup.role(json!({ "token_policies": [setup.policy, other] }));
}

/// One secret of those that the only policy grants is taken back by a rule of its own.
fn denied_by_itself(setup: &mut Setup) {
    let rule =
        |path: &str, capability: &str| format!("path \"secret/{path}\" {{ capabilities = [\"{capability}\"] }}\n");
    let namespace = &setup.namespace;
    let text = rule(&format!("data/{namespace}/*"), "read")
        + &rule(&format!("metadata/{namespace}/*"), "list")
        + &rule(&format!("data/{namespace}/db"), "deny");
    setup.write_policy(&setup.policy, &text);
}

/// A rule that denies all, which a narrower one overrules that lacks what is needed: it is not the denial that decides.
fn denied_in_vain(setup: &mut Setup) {
    let namespace = &setup.namespace;
    let text = format!(
        "path \"secret/data/*\" {{ capabilities = [\"deny\"] }}
         path \"secret/data/{namespace}/*\" {{ capabilities = [\"list\"] }}
         path \"secret/metadata/{namespace}/*\" {{ capabilities = [\"list\"] }}"
    );
    setup.write_policy(&setup.policy, &text);
}

/// The path of the identity group of an entry.
fn group(setup: &Setup) -> String {
    format!("identity/group/name/{}", setup.mount)
}

/// A policy that denies the secret comes by a group of who logs in.
fn denied_by_a_group(setup: &mut Setup) {
    let name = format!("{}-deny", setup.policy);
    setup.write_policy(&name, &format!("path \"secret/data/{}/*\" {{ capabilities = [\"deny\"] }}", setup.namespace));
    setup.vault().write(&group(setup), &json!({ "policies": [name], "member_entity_ids": [entity(setup)] }));
}

fn no_group(setup: &mut Setup) {
    setup.vault().delete(&group(setup));
}

fn second_denies(setup: &mut Setup) {
    let rule = |path: &str, capability| {
        format!("path \"secret/data/{}{path}/*\" {{ capabilities = [\"{capability}\"] }}\n", setup.namespace)
    };
    setup.write_policy(&format!("{}-second", setup.policy), &(rule("-second", "read") + &rule("", "deny")));
}

#[test]
fn denials() {
    run(
        "rules that deny",
        &[
            entry("another policy of the role denies it", second, second_denies, "VK505", &["-second", "denies"]),
            entry("a policy that denies it was added to the role", jwt, denied, "VK501", &["-deny"]),
            entry("another policy denies it (flags)", flags, denied, "VK505", &["-deny"]),
            entry("the only policy denies it", jwt, denied_by_itself, "VK504", &["denies secret/data/", "deny on"]),
            entry(
                "the only policy denies it (flags)",
                flags,
                denied_by_itself,
                "VK504",
                &["denies secret/data/", "deny on"],
            )
            .person(|setup| rules(setup, &[("secret/data/", "read"), ("secret/metadata/", "list")])),
            entry(
                "a denial that a narrower rule overrules (flags)",
                flags,
                denied_in_vain,
                "VK504",
                &["the policy lacks secret/data/", "deny on secret/data/*", "list on secret/data/"],
            ),
            entry(
                "a policy of a group denies it",
                jwt,
                denied_by_a_group,
                "VK505",
                &["-deny denies", "deny on secret/"],
            )
            .person(no_group),
            entry(
                "a policy of a group denies it (flags)",
                flags,
                denied_by_a_group,
                "VK505",
                &["-deny denies", "deny on"],
            )
            .person(no_group),
        ],
    );
}
