//! The API server answers everybody but Vault, or nobody but Vault.

use lab::VaultOptions;

use super::entry::{entry, run};
use super::setup::{Setup, Shape};

/// A Vault of its own, which asks the API server by a way of its own.
fn by_a_relay() -> Shape {
    Shape { kubernetes: true, relay: true, vault: Some(VaultOptions::default()), ..Shape::default() }
}

fn by_a_relay_flags() -> Shape {
    Shape { flags: true, ..by_a_relay() }
}

/// As a firewall would that was put up between the two.
fn shut(setup: &mut Setup) {
    let vault = setup.server.as_ref().unwrap().process_group();
    setup.relay.as_ref().unwrap().refuse(vault);
}

fn open(setup: &mut Setup) {
    setup.relay.as_ref().unwrap().let_through();
}

const WORDS: &[&str] = &["only Vault itself can tell", "accepts the token", "Vault can't reach https://127.0.0.1:"];

#[test]
fn a_host_that_only_vault_cannot_reach() {
    run(
        "a host that only Vault can't reach",
        &[
            entry("host unreachable from Vault alone", by_a_relay, shut, "VK431", WORDS).person(open),
            entry("host unreachable from Vault alone (flags)", by_a_relay_flags, shut, "VK431", WORDS).person(open),
        ],
    );
}

#[test]
fn a_host_that_only_vault_reaches_is_no_fault() {
    for shape in [by_a_relay(), by_a_relay_flags()] {
        let setup = Setup::new(shape);
        setup.relay.as_ref().unwrap().refuse_this_process();
        let (code, said, all) = setup.verify();
        let causes = said["causes"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(code == 0 && causes.is_empty(), "exit {code}: {causes:#?}\n{all}");
        assert!(said.to_string().contains("can't be reached from here"), "{all}");
    }
}
