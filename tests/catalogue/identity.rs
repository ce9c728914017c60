//! The identity that Vault keeps of an account: while it is disabled, no login as it is accepted.

use serde_json::json;

use super::entry::{entry, run};
use super::setup::{Setup, Shape, flags, jwt};

fn kubernetes() -> Shape {
    Shape { kubernetes: true, ..jwt() }
}

fn kubernetes_flags() -> Shape {
    Shape { kubernetes: true, ..flags() }
}

fn by_name() -> Shape {
    Shape { role: ", aliasNameSource: serviceaccount_name", ..kubernetes() }
}

/// Disables the entity that the first login of a healthy lab has left.
pub fn disable(setup: &mut Setup) {
    let mounts = setup.vault().read("sys/auth");
    let accessor = mounts["data"][format!("{}/", setup.mount)]["accessor"].clone();
    let aliases = setup.vault().list("identity/entity-alias/id").1;
    let infos = aliases["data"]["key_info"].as_object().unwrap();
    let ours = infos.values().find(|info| info["mount_accessor"] == accessor).unwrap();
    let entity = ours["canonical_id"].as_str().unwrap();
    setup.vault().write(&format!("identity/entity/id/{entity}"), &json!({ "disabled": true }));
}

#[test]
fn a_disabled_identity() {
    const WORDS: &[&str] = &["identity entity", "disabled", "entity_"];
    run(
        "the identity",
        &[
            entry("identity disabled", jwt, disable, "VK431", WORDS),
            entry("identity disabled (flags)", flags, disable, "VK431", WORDS),
            entry("identity disabled (kubernetes)", kubernetes, disable, "VK431", WORDS),
            entry("identity disabled (kubernetes, by name)", by_name, disable, "VK431", WORDS),
            entry("identity disabled (kubernetes, flags)", kubernetes_flags, disable, "VK431", WORDS),
        ],
    );
}
