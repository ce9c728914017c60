//! The settings of an auth mount: what they decide about logins, whatever the roles say.

use serde_json::{Value, json};

use super::entry::{Entry, entry, run};
use super::setup::{Setup, Shape, flags, jwt};

fn tune(setup: &Setup, fields: Value) {
    setup.vault().write(&format!("sys/mounts/auth/{}/tune", setup.mount), &fields);
}

fn kubernetes() -> Shape {
    Shape { kubernetes: true, ..jwt() }
}

fn batch(setup: &mut Setup) {
    tune(setup, json!({ "token_type": "batch" }));
}

fn counted(setup: &mut Setup) {
    tune(setup, json!({ "token_type": "batch" }));
    setup.role(json!({ "token_num_uses": 9 }));
}

fn shown(setup: &mut Setup) {
    tune(setup, json!({ "listing_visibility": "unauth" }));
}

fn headers(setup: &mut Setup) {
    tune(setup, json!({ "passthrough_request_headers": ["Authorization"] }));
}

fn logged(setup: &mut Setup) {
    tune(setup, json!({ "audit_non_hmac_request_keys": ["role", "jwt"] }));
}

/// A role of its own kind of token, so that the mount's is not the first thing that is wrong.
fn few_uses() -> Shape {
    Shape { role: ", numUses: 9", ..jwt() }
}

fn periodic() -> Shape {
    Shape { role: ", period: 20m", ..jwt() }
}

fn service() -> Shape {
    Shape { role: ", tokenType: service", ..jwt() }
}

fn with_limit() -> Shape {
    Shape { auth: ", tune: { maxLeaseTtl: 1h }", ..jwt() }
}

#[test]
fn settings_that_the_file_does_not_name() {
    let batches = |name, shape: fn() -> Shape, words: &'static [&'static str]| -> Entry {
        entry(name, shape, batch, "VK305", words).also(&["VK705"])
    };
    run(
        "settings of the mount",
        &[
            batches("batch tokens", jwt, &["token_type=batch", "nobody can revoke"]),
            batches("batch tokens (kubernetes)", kubernetes, &["token_type=batch"]),
            batches("batch tokens (flags)", flags, &["token_type=batch"]),
            batches("batch tokens for a role with few uses", few_uses, &["token_num_uses of r-app"])
                .also(&["VK702", "VK705"]),
            batches("batch tokens for a periodic role", periodic, &["token_period of r-app"]).also(&["VK701", "VK705"]),
            batches("batch tokens for a role that wants others", service, &["has no effect: r-app"])
                .also(&["VK701", "VK705"]),
            entry("few uses that nobody counts (flags)", flags, counted, "VK305", &["token_type=batch"])
                .also(&["VK702", "VK705"])
                .person(|setup| {
                    setup.role(json!({ "token_num_uses": 0 }));
                    tune(setup, json!({ "token_type": "default-service" }));
                }),
            entry("shown to anybody", jwt, shown, "VK305", &["listing_visibility=unauth"]),
            entry("shown to anybody (flags)", flags, shown, "VK305", &["listing_visibility=unauth"]),
            entry("credentials passed on", kubernetes, headers, "VK305", &["authorization", "credentials"]),
            entry("login tokens in the audit log", jwt, logged, "VK306", &["jwt", "in the clear"]),
            entry("login tokens in the audit log (flags)", flags, logged, "VK306", &["jwt", "in the clear"]),
            entry("login tokens in the audit log (kubernetes)", kubernetes, logged, "VK306", &["jwt"]),
            entry(
                "another limit than the file names",
                with_limit,
                |setup| tune(setup, json!({ "max_lease_ttl": "2h" })),
                "VK305",
                &["max_lease_ttl", "7200", "3600"],
            ),
            entry(
                "a limit below the role's ttl (flags)",
                flags,
                |setup| tune(setup, json!({ "max_lease_ttl": "60s" })),
                "VK701",
                &["60 s", "600 s"],
            ),
        ],
    );
}

/// Nothing to look at, and these checks went like this.
#[track_caller]
fn no_alarm(setup: &Setup, expected: &[(&str, &str, &str)]) {
    let (code, said, all) = setup.verify();
    assert!(code == 0 && said["causes"] == json!([]), "exit {code}: {:#}\n{all}", said["causes"]);
    let checks: Vec<&Value> =
        said["sections"].as_array().unwrap().iter().flat_map(|section| section["checks"].as_array().unwrap()).collect();
    for (id, status, words) in expected {
        let check = checks.iter().find(|check| check["id"] == *id).unwrap_or_else(|| panic!("no {id}: {all}"));
        assert!(check["status"] == *status && check["detail"].as_str().unwrap().contains(words), "{check}");
    }
}

// What the file asks for is no surprise; and yet nothing that isn't true is said of it.
#[test]
fn batch_tokens_that_are_meant() {
    let ended = ("VK705", "skipped", "after 600 s");
    let itself = ("VK703", "skipped", "nobody can revoke it");
    no_alarm(&Setup::new(Shape { role: ", tokenType: batch", ..jwt() }), &[ended, itself]);
    no_alarm(&Setup::new(Shape { role: ", tokenType: batch", ..kubernetes() }), &[ended, itself]);
    let setup = Setup::new(Shape { auth: ", tune: { tokenType: batch }", ..jwt() });
    no_alarm(&setup, &[ended, itself, ("VK305", "passed", "")]);
    let setup = Setup::new(Shape { auth: ", tune: { tokenType: default-batch }", ..kubernetes() });
    no_alarm(&setup, &[ended, itself]);
    // Without a file, the role itself says it.
    let setup = Setup::new(Shape { role: ", tokenType: batch", ..flags() });
    no_alarm(&setup, &[ended, itself]);
}

#[test]
fn settings_that_harm_no_login() {
    let setup = Setup::new(jwt());
    tune(
        &setup,
        json!({
            "token_type": "service", "max_lease_ttl": "1h", "default_lease_ttl": "5m", "listing_visibility": "hidden",
            "audit_non_hmac_request_keys": ["role"], "passthrough_request_headers": ["X-Request-Id"],
        }),
    );
    no_alarm(
        &setup,
        &[("VK305", "passed", "max_lease_ttl=3600"), ("VK306", "passed", ""), ("VK701", "passed", "600 s")],
    );
    // A type that leaves it to roles, and a role that says it.
    let setup = Setup::new(Shape { role: ", tokenType: service", ..jwt() });
    tune(&setup, json!({ "token_type": "default-batch" }));
    no_alarm(&setup, &[("VK705", "passed", "by itself"), ("VK703", "passed", "")]);
    // What the file names is meant, however open it is.
    let setup = Setup::new(Shape {
        auth: ", tune: { listingVisibility: unauth, passthroughRequestHeaders: [Authorization], maxLeaseTtl: 20m }",
        ..kubernetes()
    });
    no_alarm(&setup, &[("VK305", "passed", "")]);
}

// The server of the check is the one whose audit log it is about.
#[test]
fn what_is_said_of_the_audit_log_is_true() {
    let setup = Setup::new(Shape { vault: Some(lab::VaultOptions::default()), ..jwt() });
    let server = setup.server.as_ref().unwrap();
    let clear = |setup: &Setup| {
        let token = setup.cluster().token(&setup.namespace, "app", &["vault"], 600);
        let path = format!("auth/{}/login", setup.mount);
        setup.vault().write(&path, &json!({ "role": "r-app", "jwt": token }));
        server.audit_text().contains(&token)
    };
    assert!(!clear(&setup));
    tune(&setup, json!({ "audit_non_hmac_request_keys": ["jwt"] }));
    assert!(clear(&setup));
}
