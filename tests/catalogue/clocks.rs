//! Clocks that are apart. Those of the servers can't be set, since they are all this machine's: what stands in front of
//! Vault changes the time that Vault tells, and nothing else.

use jiff::Timestamp;
use lab::ShiftedClock;

use super::entry::{Entry, entry, run};
use super::setup::{Setup, Shape, flags, jwt};

/// Lets Vault's clock be ahead by some seconds.
fn shift(setup: &mut Setup, seconds: i64) {
    let shared = lab::shared();
    let clock = ShiftedClock::start(shared.vault_address(), shared.run().vault_authority());
    clock.shift(seconds);
    setup.environment.insert("VAULT_ADDR", clock.address().to_owned());
    setup.clock = Some(clock);
}

/// Sees that the clocks are told that were compared, and sets Vault's right.
fn set_right(setup: &mut Setup) {
    let (_, said, all) = setup.verify();
    let evidence = said["causes"][0]["evidence"].as_array().unwrap_or_else(|| panic!("{all}"));
    let clock = |whose: &str| -> Timestamp {
        let found = evidence.iter().find(|evidence| evidence["what"] == format!("{whose} clock"));
        found.and_then(|found| found["value"].as_str()?.parse().ok()).unwrap_or_else(|| panic!("{whose}: {all}"))
    };
    let apart = (clock("Vault's") - clock("the cluster's")).get_seconds().abs();
    assert!((290..=310).contains(&apart), "{apart} s: {all}");
    setup.clock.as_ref().unwrap().shift(0);
}

fn apart(name: &'static str, shape: fn() -> Shape, fault: fn(&mut Setup)) -> Entry {
    let words = &["the clocks of Vault and the cluster are", "s apart"];
    entry(name, shape, fault, "VK203", words).person(set_right)
}

#[test]
fn clocks_that_are_apart() {
    run(
        "clocks that are apart",
        &[
            apart("Vault's clock is ahead", jwt, |setup| shift(setup, 300)),
            apart("Vault's clock is ahead (flags)", flags, |setup| shift(setup, 300)),
            apart("Vault's clock is behind", jwt, |setup| shift(setup, -300)),
            apart("Vault's clock is behind (flags)", flags, |setup| shift(setup, -300)),
        ],
    );
}
