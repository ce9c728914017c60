//! What a real OpenBao or Vault answers, and what becomes of it.

use lab::{Seal, Transport, VaultOptions, VaultServer};
use serde_json::json;
use vaultk8s::error::Error;
use vaultk8s::policy::Capability;
use vaultk8s::vault::{Client, TokenState, VaultError};

use super::{client, read, run};

/// A client of the shared server.
fn with_token(token: &str) -> Client {
    let lab = lab::shared();
    let ca = lab.vault_ca().display().to_string();
    client(&[("VAULT_ADDR", lab.vault_address()), ("VAULT_CACERT", &ca), ("VAULT_TOKEN", token)])
}

/// A token of the shared server.
fn token(request: &serde_json::Value) -> String {
    let answer = lab::shared().vault().write("auth/token/create", request);
    answer["auth"]["client_token"].as_str().map(ToOwned::to_owned).expect("a token")
}

/// What comes of reading the auth mounts, explained.
fn refused(client: &Client) -> VaultError {
    run(async {
        let error = client.send(&read("sys/auth")).await.expect_err("the token may not");
        client.explain_forbidden(error).await
    })
}

#[test]
fn what_is_not_there_is_told_from_what_cannot_be() {
    let client = with_token(lab::shared().root_token());
    run(async {
        for absent in
            ["sys/policies/acl/none-such", "secret/data/none/such", "sys/auth/none-such", "sys/mounts/none-such"]
        {
            assert!(client.find(&read(absent)).await.unwrap().is_none(), "{absent}");
        }
        assert!(client.find(&read("sys/auth")).await.unwrap().is_some());
        for unknown in ["none/such", "auth/none-such/role/x", "sys/none-such"] {
            let error = client.find(&read(unknown)).await.unwrap_err();
            assert!(
                matches!(&error, VaultError::NotFound { errors, .. } if !errors.is_empty()),
                "{unknown}: {error:?}"
            );
        }
    });
}

#[test]
fn a_missing_permission_is_told_with_the_rule_that_would_grant_it() {
    let client = with_token(&token(&json!({ "policies": ["default"], "ttl": "5m" })));
    let error = refused(&client);
    assert!(
        matches!(&error, VaultError::Forbidden { token: TokenState::Valid { .. }, needs, .. } if **needs == [Capability::Read]),
        "{error:?}"
    );
    let told = Error::from(error);
    assert!(told.to_string().contains("the token is valid"), "{told}");
    assert!(told.remedies()[0].contains(r#"path "sys/auth" { capabilities = ["read"] }"#), "{:?}", told.remedies());
}

#[test]
fn a_token_without_the_policy_default_is_still_known_to_be_valid() {
    let client = with_token(&token(&json!({ "policies": ["none-such"], "no_default_policy": true, "ttl": "5m" })));
    assert!(matches!(refused(&client), VaultError::Forbidden { token: TokenState::Valid { .. }, .. }));
}

#[test]
fn a_wrong_token_and_an_expired_one_are_not_taken_for_a_missing_rule() {
    let expired = token(&json!({ "policies": ["root"], "ttl": "1s" }));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    for token in ["hvs.wrong", "s.wrong", "nonsense", &expired] {
        let error = refused(&with_token(token));
        assert!(
            matches!(&error, VaultError::InvalidToken { origin: Some(origin), .. } if origin == "VAULT_TOKEN"),
            "{error:?}"
        );
        let told = Error::from(error);
        assert!(told.remedies()[0].contains("vault login"), "{:?}", told.remedies());
        assert!(!told.to_string().contains(token));
    }
}

#[test]
fn a_request_without_a_token_is_not_taken_for_a_missing_rule() {
    let error = refused(&with_token(lab::shared().root_token()).without_token());
    assert!(matches!(error, VaultError::Forbidden { token: TokenState::Absent, .. }), "{error:?}");
    assert!(error.remedies()[0].contains("vault login"));
}

#[test]
fn a_sealed_server_and_a_new_one_are_told_apart() {
    for (seal, problem, remedy) in
        [(Seal::Sealed, "is sealed", "operator unseal"), (Seal::Uninitialised, "is not initialised", "operator init")]
    {
        let server = VaultServer::start(&VaultOptions { seal, audit: false, ..VaultOptions::default() });
        let ca = server.ca().display().to_string();
        let client = client(&[("VAULT_ADDR", server.address()), ("VAULT_CACERT", &ca), ("VAULT_TOKEN", "hvs.some")]);
        let told = Error::from(run(client.send(&read("sys/auth"))).unwrap_err());
        assert!(told.to_string().ends_with(&format!("{problem} (GET sys/auth)")), "{told}");
        assert!(told.remedies()[0].contains(remedy), "{:?}", told.remedies());
        // One, and the question which of the two it is.
        assert_eq!(client.counts().requests, 2);
    }
}

#[test]
fn a_server_that_went_away_does_not_answer() {
    let mut server =
        VaultServer::start(&VaultOptions { transport: Transport::Plain, audit: false, ..VaultOptions::default() });
    let client =
        client(&[("VAULT_ADDR", server.address()), ("VAULT_TOKEN", server.root_token()), ("VAULT_MAX_RETRIES", "0")]);
    run(client.send(&read("sys/auth"))).unwrap();
    server.stop();
    let error = run(client.send(&read("sys/auth"))).unwrap_err();
    assert!(matches!(error, VaultError::Unreachable { .. }), "{error:?}");
}

#[test]
fn a_namespace_that_is_not_there_is_not_taken_for_an_absent_thing() {
    let lab = lab::shared();
    if !lab.vault().has_namespaces() {
        return;
    }
    let ca = lab.vault_ca().display().to_string();
    let client = client(&[
        ("VAULT_ADDR", lab.vault_address()),
        ("VAULT_CACERT", &ca),
        ("VAULT_TOKEN", lab.root_token()),
        ("VAULT_NAMESPACE", "none-such"),
    ]);
    let error = run(client.find(&read("sys/policies/acl/none-such"))).unwrap_err();
    assert!(error.to_string().contains("in the namespace none-such"), "{error}");
    assert!(error.remedies()[0].contains("--namespace"), "{:?}", error.remedies());
}
