//! What must not happen: trust replaced unasked, other people's mounts touched, a token sent to the wrong place; and what is
//! said when Vault can't be worked with.

use lab::{VaultOptions, VaultServer};
use serde_json::json;

use crate::command::{Vaultk8s, testdata};
use crate::fixture::Fixture;

#[test]
fn another_issuer_is_not_replaced_unasked() {
    let fixture = Fixture::new();
    let vault = lab::shared().vault();
    fixture.bootstrap();
    let config = format!("auth/{}/config", fixture.mount);
    let mut foreign = vault.read(&config)["data"].clone();
    foreign["bound_issuer"] = json!("https://production.example.internal");
    vault.write(&config, &foreign);

    fixture
        .command(["bootstrap"])
        .run()
        .exits(1)
        .says(&["this replaces what the mount trusts"])
        .complains(&["production.example.internal", "--yes"]);
    assert_eq!(vault.read(&config)["data"]["bound_issuer"], "https://production.example.internal");
    fixture.command(["bootstrap", "--yes"]).run().exits(0);
    assert_eq!(vault.read(&config)["data"]["bound_issuer"], lab::shared().kubernetes_server());
    fixture.in_order();
}

#[test]
fn keys_with_none_in_common_are_not_replaced_unasked() {
    let fixture = Fixture::new();
    let vault = lab::shared().vault();
    fixture.bootstrap();
    let config = format!("auth/{}/config", fixture.mount);
    let mut foreign = vault.read(&config)["data"].clone();
    let other = std::fs::read_to_string(testdata("jwks/rsa-3072.pem")).unwrap();
    foreign["jwt_validation_pubkeys"] = json!([other]);
    vault.write(&config, &foreign);
    fixture.command(["bootstrap"]).run().exits(1).complains(&["none of the 1 keys", "--yes"]);

    // With the cluster's key beside it as well: no cluster was seen to publish it.
    let own = lab::shared().kubectl_get_raw("/openid/v1/jwks");
    let own = Vaultk8s::new(["pem"]).stdin(own).run().exits(0).stdout;
    foreign["jwt_validation_pubkeys"] = json!([other, own]);
    vault.write(&config, &foreign);
    fixture.command(["bootstrap"]).run().exits(1).complains(&["was never seen to publish", "RSA 3072", "--yes"]);
    fixture.command(["bootstrap", "--yes"]).run().exits(0);
    fixture.in_order();
}

#[test]
fn a_mount_of_another_type_is_left_alone() {
    let fixture = Fixture::new();
    let vault = lab::shared().vault();
    vault.write(&format!("sys/auth/{}", fixture.mount), &json!({ "type": "userpass" }));
    fixture.command(["bootstrap", "--yes"]).run().exits(1).complains(&["of type userpass", "another `mount:`"]);
    assert_eq!(vault.get(&format!("sys/policies/acl/{}", fixture.policy)).0, 404);
}

#[test]
fn a_mount_can_not_be_made_below_another() {
    let lab = lab::shared();
    let fixture = Fixture::new();
    let config = fixture.config.replace(&*fixture.mount, &format!("{}/below", fixture.mount));
    lab.vault().write(&format!("sys/auth/{}", fixture.mount), &json!({ "type": "jwt" }));
    let answer = Vaultk8s::new(["bootstrap"]).on_shared().config(&config).run();
    answer.exits(1).complains(&["can't be made beside the mount"]);
}

#[test]
fn a_missing_permission_is_named_with_the_rule_that_grants_it() {
    let lab = lab::shared();
    let fixture = Fixture::new();
    let weak = |rules: &str| {
        let name = lab.unique("weak");
        lab.vault().write(&format!("sys/policies/acl/{name}"), &json!({ "policy": rules }));
        let created = lab.vault().write("auth/token/create", &json!({ "policies": [name], "ttl": "10m" }));
        created["auth"]["client_token"].as_str().unwrap().to_owned()
    };
    let run = |token: &str| fixture.command(["bootstrap"]).env("VAULT_TOKEN", token).run();

    let nothing = weak(r#"path "nothing" { capabilities = ["read"] }"#);
    run(&nothing).exits(1).complains(&[
        "sys/mounts/secret",
        r#"path "sys/mounts/secret" {"#,
        r#"capabilities = ["read"]"#,
    ]);

    // It may look but not touch: the first write is refused, and what needs it is not tried.
    let reader = weak(
        r#"path "sys/*" { capabilities = ["read", "list"] }
           path "auth/*" { capabilities = ["read", "list"] }"#,
    );
    let answer = run(&reader).exits(1);
    answer.says(&[
        &format!("✗ mount auth/{}", fixture.mount),
        &format!(r#"path "sys/auth/{}" {{"#, fixture.mount),
        r#""sudo""#,
        "not tried: it needs mount",
        "0 of 4 changes made",
    ]);
    assert!(lab.vault().read("sys/auth")["data"][format!("{}/", fixture.mount)].is_null());
}

#[test]
fn a_wrong_or_expired_token_is_told_from_a_missing_permission() {
    let lab = lab::shared();
    let fixture = Fixture::new();
    fixture.command(["plan"]).env("VAULT_TOKEN", "s.nonsense").run().exits(1).complains(&["token", "vault login"]);
    let created = lab.vault().write("auth/token/create", &json!({ "policies": ["default"], "ttl": "10m" }));
    let token = created["auth"]["client_token"].as_str().unwrap();
    lab.vault().write("auth/token/revoke", &json!({ "token": token }));
    let answer = fixture.command(["plan"]).env("VAULT_TOKEN", token).run().exits(1).complains(&["vault login"]);
    assert!(!answer.stderr.contains(token));
}

#[test]
fn a_kv_mount_that_is_not_there_is_named() {
    let fixture = Fixture::new();
    let config = format!("kv: sekret\n{}", fixture.config);
    Vaultk8s::new(["plan"])
        .on_shared()
        .config(&config)
        .run()
        .exits(1)
        .complains(&["no secrets mount at sekret/", "vault secrets enable -path=sekret"]);
    let config = format!("kv: cubbyhole\n{}", fixture.config);
    Vaultk8s::new(["plan"]).on_shared().config(&config).run().exits(1).complains(&["of type cubbyhole, not KV"]);
}

#[test]
fn a_sealed_vault_says_so() {
    let mut vault = VaultServer::start(&VaultOptions::default());
    vault.seal();
    let fixture = Fixture::new();
    Vaultk8s::new(["bootstrap"]).on(&vault).config(&fixture.config).run().exits(1).complains(&["sealed", "unseal"]);
}

#[test]
fn an_unreachable_vault_and_a_wrong_ca_say_so() {
    let fixture = Fixture::new();
    fixture
        .command(["plan"])
        .env("VAULT_ADDR", "https://127.0.0.1:1")
        .run()
        .exits(1)
        .complains(&["https://127.0.0.1:1"]);
    let other_ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(other_ca.path(), lab::shared().kubernetes_ca()).unwrap();
    fixture.command(["plan"]).env("VAULT_CACERT", other_ca.path()).run().exits(1).complains(&["VAULT_CACERT"]);
}

#[test]
fn an_address_in_the_file_that_is_not_the_environment_s_is_refused() {
    let fixture = Fixture::new();
    let config = format!("vault: {{ address: https://vault.example.internal:8200 }}\n{}", fixture.config);
    Vaultk8s::new(["plan"]).on_shared().config(&config).run().exits(64).complains(&["VAULT_ADDR", "--address"]);
    let address = lab::shared().vault_address();
    Vaultk8s::new(["plan", "--address", address]).on_shared().config(&config).run().exits(0);
}

#[test]
fn plain_http_goes_to_loopback_only() {
    let fixture = Fixture::new();
    fixture
        .command(["plan"])
        .env("VAULT_ADDR", "http://vault.example.internal:8200")
        .run()
        .exits(64)
        .complains(&["--allow-http"]);
}
