//! Vault itself: the way to it, its seal, its namespaces, the operator's token.

use lab::{Authority, Seal, VaultOptions, VaultServer};
use serde_json::json;

use super::entry::{entry, run};
use super::setup::{Setup, Shape, flags, jwt};

fn own_vault() -> Shape {
    Shape { vault: Some(VaultOptions::default()), ..Shape::default() }
}

/// With integrated storage, which keeps what is there over restarts and lets other nodes join.
fn persistent() -> Shape {
    Shape {
        vault: Some(VaultOptions { persistent: true, audit: false, ..VaultOptions::default() }),
        ..Shape::default()
    }
}

/// Asks a second node, which stands by.
fn ask_a_standby(setup: &mut Setup) {
    let standby = setup.server.as_ref().unwrap().start_standby();
    set(setup, "VAULT_ADDR", standby.address());
    setup.spare = Some(standby);
}

fn set(setup: &mut Setup, name: &'static str, value: &str) {
    setup.environment.insert(name, value.to_owned());
}

fn shared_address(setup: &mut Setup) {
    set(setup, "VAULT_ADDR", lab::shared().vault_address());
}

fn no_namespace(setup: &mut Setup) {
    setup.environment.remove("VAULT_NAMESPACE");
}

fn shared_token(setup: &mut Setup) {
    set(setup, "VAULT_TOKEN", lab::shared().root_token());
}

fn revoked_token(setup: &mut Setup) {
    let made = setup.vault().write("auth/token/create", &json!({ "policies": ["root"], "ttl": "1h" }));
    let token = made["auth"]["client_token"].as_str().unwrap().to_owned();
    setup.vault().write("auth/token/revoke", &json!({ "token": token }));
    set(setup, "VAULT_TOKEN", &token);
}

fn another_namespace(setup: &mut Setup) {
    let name = setup.mount.clone();
    setup.vault().write(&format!("sys/namespaces/{name}"), &json!({}));
    set(setup, "VAULT_NAMESPACE", &name);
}

#[test]
fn the_way_to_vault() {
    run(
        "Vault itself",
        &[
            entry("sealed", own_vault, |setup| setup.server.as_mut().unwrap().seal(), "VK103", &["sealed", "unseal"])
                .person(|setup| setup.server.as_mut().unwrap().unseal()),
            entry(
                "never initialised",
                own_vault,
                |setup| {
                    let seal = Seal::Uninitialised;
                    let server = VaultServer::start(&VaultOptions { seal, ..VaultOptions::default() });
                    set(setup, "VAULT_ADDR", server.address());
                    // It goes with the entry, in place of the one that is in service.
                    let healthy = setup.server.replace(server);
                    setup.spare = healthy;
                },
                "VK103",
                &["not initialised"],
            )
            .person(|setup| {
                setup.server = setup.spare.take();
                let address = setup.vault().address().to_owned();
                set(setup, "VAULT_ADDR", &address);
            }),
            entry(
                "a standby, and its active node is gone",
                persistent,
                |setup| {
                    ask_a_standby(setup);
                    setup.server.as_mut().unwrap().stop();
                },
                "VK104",
                &["standby", "does not forward", "https://127.0.0.1"],
            )
            .person(|setup| {
                setup.server.as_mut().unwrap().restart();
                setup.spare.as_mut().unwrap().wait_in_service();
            }),
            entry("nobody listens", jwt, |s| set(s, "VAULT_ADDR", "https://127.0.0.1:1"), "VK101", &["127.0.0.1:1"])
                .person(shared_address),
            entry(
                "another CA than Vault's",
                jwt,
                |setup| {
                    setup.write_file("other-ca.pem", Authority::new("another CA").unwrap().pem());
                    set(setup, "VAULT_CACERT", "other-ca.pem");
                },
                "VK102",
                &["certificate"],
            )
            .person(|setup| set(setup, "VAULT_CACERT", &lab::shared().vault_ca().display().to_string())),
            entry(
                "a name that the certificate lacks",
                jwt,
                |setup| set(setup, "VAULT_TLS_SERVER_NAME", "vault.example"),
                "VK102",
                &["for other names", "127.0.0.1, localhost"],
            )
            .person(|setup| {
                setup.environment.remove("VAULT_TLS_SERVER_NAME");
            }),
            entry(
                "a certificate without the address's name",
                persistent,
                |setup| setup.server.as_mut().unwrap().reissue(&["localhost"]),
                "VK102",
                &["for other names", "localhost"],
            )
            .person(|setup| setup.server.as_mut().unwrap().reissue(&["127.0.0.1", "localhost"])),
            entry(
                "plain http to a server of TLS",
                jwt,
                |setup| set(setup, "VAULT_ADDR", &lab::shared().vault_address().replace("https", "http")),
                "VK102",
                &["https"],
            )
            .person(shared_address),
            entry("the operator's token is over", jwt, revoked_token, "VK105", &["token"]).person(shared_token),
            entry("the operator's token is over (flags)", flags, revoked_token, "VK105", &["token"])
                .person(shared_token),
            entry(
                "a namespace that isn't there",
                jwt,
                |setup| set(setup, "VAULT_NAMESPACE", "nowhere"),
                "VK106",
                &["nowhere"],
            )
            .person(no_namespace),
            entry("the wrong namespace", jwt, another_namespace, "VK301", &["no auth mount"]).person(no_namespace),
            entry("the wrong namespace (flags)", flags, another_namespace, "VK301", &["no auth mount"])
                .person(no_namespace),
        ],
    );
}

#[test]
fn a_standby_that_forwards_is_in_order() {
    let mut setup = Setup::new(persistent());
    ask_a_standby(&mut setup);
    let (code, said, all) = setup.verify();
    assert!(code == 0 && said["causes"] == json!([]), "{all}");
    let shown = said["sections"].to_string();
    assert!(shown.contains("this node is a standby; it forwards to https://127.0.0.1:"), "{all}");
}

fn audience(setup: &mut Setup) {
    setup.mount_config(json!({ "bound_issuer": "https://10.0.0.1:6443" }));
    setup.role(json!({ "bound_audiences": ["elsewhere"] }));
}

#[test]
fn two_at_once() {
    run(
        "two faults at once",
        &[
            entry("issuer and audience", jwt, audience, "VK312", &["10.0.0.1"]).also(&["VK411"]),
            entry("issuer and audience (flags)", flags, audience, "VK312", &["10.0.0.1"])
                .also(&["VK411"])
                .second_remedy(),
            entry(
                "policy missing, and bound to other addresses",
                jwt,
                |setup| {
                    setup.role(json!({ "token_bound_cidrs": ["10.9.8.0/24"] }));
                    setup.vault().delete(&format!("sys/policies/acl/{}", setup.policy));
                },
                "VK414",
                &["10.9.8.0/24"],
            )
            .also(&["VK502"]),
            entry(
                "an algorithm, and data/",
                jwt,
                |setup| {
                    setup.mount_config(json!({ "jwt_supported_algs": ["ES512"] }));
                    let rule = format!("path \"secret/{}/*\" {{ capabilities = [\"read\"] }}", setup.namespace);
                    setup.write_policy(&setup.policy, &rule);
                },
                "VK315",
                &["ES512"],
            )
            .also(&["VK504"]),
        ],
    );
}
