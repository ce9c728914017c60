//! Policies that are filled in from what no login has: the server leaves their rules away without a word.

use serde_json::json;

use super::entry::{entry, run};
use super::grants::operator_may_not;
use super::setup::{Setup, Shape, flags, jwt};

fn mapped() -> Shape {
    Shape { role: ", claimMappings: { /kubernetes.io/namespace: namespace }", ..jwt() }
}

fn mapped_flags() -> Shape {
    Shape { role: ", claimMappings: { /kubernetes.io/namespace: namespace }", ..flags() }
}

fn kubernetes() -> Shape {
    Shape { kubernetes: true, ..jwt() }
}

fn accessor(setup: &Setup) -> String {
    let mounts = setup.vault().read("sys/auth");
    mounts["data"][format!("{}/", setup.mount)]["accessor"].as_str().unwrap().to_owned()
}

/// The role's own policy has one rule more, below what this fills in.
fn filled_in_from(setup: &Setup, template: &str) {
    let text = setup.vault().read(&format!("sys/policies/acl/{}", setup.policy))["data"]["policy"].clone();
    let rule = format!("\n# by hand\npath \"tenants/{{{{{template}}}}}/*\" {{ capabilities = [\"read\"] }}\n");
    setup.write_policy(&setup.policy, &(text.as_str().unwrap().to_owned() + &rule));
}

fn as_it_was(setup: &mut Setup) {
    let text = setup.vault().read(&format!("sys/policies/acl/{}", setup.policy))["data"]["policy"].clone();
    setup.write_policy(&setup.policy, text.as_str().unwrap().split_once("\n# by hand").unwrap().0);
}

fn stale(setup: &mut Setup) {
    filled_in_from(setup, "identity.entity.aliases.auth_jwt_00000000.name");
}

fn unknown_key(setup: &mut Setup) {
    filled_in_from(setup, &format!("identity.entity.aliases.{}.metadata.team", accessor(setup)));
}

/// Its claim is looked for by that very name, at the top of the token.
fn no_pointer(setup: &mut Setup) {
    setup.role(json!({ "claim_mappings": { "kubernetes.io/namespace": "namespace" } }));
    filled_in_from(setup, &format!("identity.entity.aliases.{}.metadata.namespace", accessor(setup)));
}

fn with_a_pointer(setup: &mut Setup) {
    as_it_was(setup);
    setup.role(json!({ "claim_mappings": { "/kubernetes.io/namespace": "namespace" } }));
}

fn no_claim(setup: &mut Setup) {
    setup.role(json!({ "claim_mappings": { "/kubernetes.io/pod/name": "namespace" } }));
    filled_in_from(setup, &format!("identity.entity.aliases.{}.metadata.namespace", accessor(setup)));
}

#[test]
fn policies_that_nothing_fills_in() {
    const STALE: &[&str] = &["auth_jwt_00000000", "no auth mount has", "made anew"];
    const KEY: &[&str] = &["metadata `team`", "no login as r-app has"];
    const POINTER: &[&str] = &["\"kubernetes.io/namespace\"", "no JSON pointer"];
    const CLAIM: &[&str] = &["no claim \"/kubernetes.io/pod/name\""];
    run(
        "what fills policies in",
        &[
            entry("stale accessor", jwt, stale, "VK510", STALE),
            entry("stale accessor (flags)", flags, stale, "VK510", STALE).person(as_it_was),
            entry("stale accessor (kubernetes)", kubernetes, stale, "VK510", STALE),
            entry("unknown metadata", jwt, unknown_key, "VK510", KEY),
            entry("unknown metadata (flags)", flags, unknown_key, "VK510", KEY).person(as_it_was),
            entry("unknown metadata (kubernetes)", kubernetes, unknown_key, "VK510", KEY),
            entry("mapping without a slash", mapped, no_pointer, "VK510", POINTER),
            entry("mapping without a slash (flags)", mapped_flags, no_pointer, "VK510", POINTER).person(with_a_pointer),
            entry("mapping of no claim", mapped, no_claim, "VK510", CLAIM),
        ],
    );
}

/// Whose templates they are, the accessors alone tell.
#[test]
fn templates_are_not_green_where_the_mounts_may_not_be_listed() {
    let mut setup = Setup::new(jwt());
    let template = format!("identity.entity.aliases.{}.metadata.team", accessor(&setup));
    filled_in_from(&setup, &template);
    operator_may_not(&mut setup, &["sys/auth"]);
    let (_, said, all) = setup.verify();
    let sections = said["sections"].as_array().unwrap().iter();
    let mut checks = sections.flat_map(|section| section["checks"].as_array().unwrap());
    let check = checks.find(|check| check["id"] == "VK510").unwrap();
    assert_eq!(check["status"], "unseen", "{all}");
}
