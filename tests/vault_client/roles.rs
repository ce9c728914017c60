//! Roles and mounts in forms that no server of today answers with: each is told, and none hides the others.

use serde_json::{Value, json};
use vaultk8s::model::{AuthMethod, HeldRole};
use vaultk8s::names::{MountPath, StoredName};
use vaultk8s::vault::{Client, VaultError, auth_mounts, roles};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{client, run};

async fn answers(server: &MockServer, verb: &str, at: &str, status: u16, body: Value) {
    let answer = ResponseTemplate::new(status).set_body_json(body);
    Mock::given(method(verb)).and(path(format!("/v1/{at}"))).respond_with(answer).mount(server).await;
}

async fn held(client: &Client, name: &str) -> Option<Result<HeldRole, VaultError>> {
    let mount: MountPath = "jwt".parse().unwrap();
    match roles::read_held(client, &mount, AuthMethod::Jwt, [StoredName::new(name)], 4).await {
        Ok(held) => held.into_values().next().map(Ok),
        Err(error) => Some(Err(error)),
    }
}

#[test]
fn a_role_that_can_t_be_read_is_told_with_the_reason() {
    run(async {
        let server = MockServer::start().await;
        let client =
            client(&[("VAULT_ADDR", &server.uri()), ("VAULT_TOKEN", "hvs.the-operators"), ("VAULT_MAX_RETRIES", "0")]);
        let keys = json!({ "data": { "keys": ["Ghost", "fine"] } });
        answers(&server, "LIST", "auth/jwt/role", 200, keys).await;
        for (name, at, status, body, reason) in [
            ("types", "types", 200, json!({ "data": { "token_ttl": "two hours" } }), "unknown form"),
            ("list", "list", 200, json!({ "data": { "bound_audiences": { "a": 1 } } }), "unknown form"),
            ("nothing", "nothing", 200, json!({ "data": null }), "unknown form"),
            (
                "a b%",
                "a%20b%25",
                404,
                json!({ "errors": ["unsupported path"] }),
                "refuses to read it: unsupported path",
            ),
            ("tab\t", "tab%09", 400, json!({}), "gave"),
            ("secret", "secret", 403, json!({ "errors": ["permission denied"] }), "may not read"),
            // Listed under a name that doesn't lead to it.
            ("Ghost", "Ghost", 404, json!({ "errors": [] }), "finds no such role"),
            ("..", "unused", 200, json!({}), "part of a URL"),
        ] {
            answers(&server, "GET", &format!("auth/jwt/role/{at}"), status, body).await;
            match held(&client, name).await {
                Some(Ok(HeldRole::Unread(why))) => assert!(why.contains(reason), "{name}: {why}"),
                other => panic!("{name}: {other:?}"),
            }
        }
        // Deleted since it was listed.
        answers(&server, "GET", "auth/jwt/role/gone", 404, json!({ "errors": [] })).await;
        assert!(held(&client, "gone").await.is_none());
        // A Vault that doesn't answer is no role that can't be read.
        answers(&server, "GET", "auth/jwt/role/broken", 500, json!({ "errors": ["internal error"] })).await;
        assert!(matches!(held(&client, "broken").await, Some(Err(VaultError::Rejected { status: 500, .. }))));
        // An unknown field and nulls are nothing to stumble over.
        let fine = json!({ "data": { "bound_audiences": null, "bound_claims": null, "of_tomorrow": { "a": [1] } } });
        answers(&server, "GET", "auth/jwt/role/fine", 200, fine).await;
        assert!(matches!(held(&client, "fine").await, Some(Ok(HeldRole::Read(_)))));
    });
}

#[test]
fn nulls_in_what_is_listed_hide_nothing() {
    run(async {
        let server = MockServer::start().await;
        let client =
            client(&[("VAULT_ADDR", &server.uri()), ("VAULT_TOKEN", "hvs.the-operators"), ("VAULT_MAX_RETRIES", "0")]);
        let mounts = json!({
            "old/": { "type": "jwt", "accessor": null, "description": null },
            "new/": { "type": "jwt", "accessor": "a", "description": "d", "of_tomorrow": 1 },
        });
        answers(&server, "GET", "sys/auth", 200, json!({ "data": mounts })).await;
        let mounts = client.send(&auth_mounts::list()).await.unwrap().data;
        assert_eq!(mounts.keys().collect::<Vec<_>>(), ["new/", "old/"]);
        // No list at all is none; a list that isn't one is an error, and never an empty mount.
        answers(&server, "LIST", "auth/none/role", 200, json!({ "data": { "keys": null } })).await;
        assert_eq!(roles::list(&client, &"none".parse().unwrap()).await.unwrap(), Some([].into()));
        answers(&server, "LIST", "auth/odd/role", 200, json!({ "data": { "keys": ["a", null] } })).await;
        assert!(roles::list(&client, &"odd".parse().unwrap()).await.is_err());
    });
}

/// A list that a server cuts without a word, as OpenBao does for a token with a `pagination_limit`: who asks for more is refused.
#[test]
fn a_list_that_comes_in_pages_is_read_to_its_end() {
    run(async {
        let server = MockServer::start().await;
        let names = ["a", "b/c", "d d", "zz"];
        let page = move |request: &wiremock::Request| {
            let query = |name: &str| request.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value);
            if query("limit").is_some() {
                return ResponseTemplate::new(403).set_body_json(json!({ "errors": ["permission denied"] }));
            }
            let after = query("after").unwrap_or_default().into_owned();
            let keys: Vec<&str> = names.into_iter().filter(|name| *name > after.as_str()).take(1).collect();
            match keys.as_slice() {
                [] => ResponseTemplate::new(404).set_body_json(json!({ "errors": [] })),
                keys => ResponseTemplate::new(200).set_body_json(json!({ "data": { "keys": keys } })),
            }
        };
        Mock::given(method("LIST")).and(path("/v1/auth/jwt/role")).respond_with(page).mount(&server).await;
        // One that knows neither, and gives the same again.
        let same = |request: &wiremock::Request| match request.url.query() {
            Some(query) if query.starts_with("limit") => {
                ResponseTemplate::new(403).set_body_json(json!({ "errors": [] }))
            }
            _ => ResponseTemplate::new(200).set_body_json(json!({ "data": { "keys": ["x", "y"] } })),
        };
        Mock::given(method("LIST")).and(path("/v1/auth/old/role")).respond_with(same).mount(&server).await;
        // One that cuts nothing is asked once.
        answers(&server, "LIST", "auth/whole/role", 200, json!({ "data": { "keys": ["w"] } })).await;
        let client = client(&[("VAULT_ADDR", &server.uri()), ("VAULT_MAX_RETRIES", "0")]);
        for (mount, expected, requests) in [("jwt", &names[..], 6), ("old", &["x", "y"], 3), ("whole", &["w"], 1)] {
            let before = client.counts().requests;
            let found = roles::list(&client, &mount.parse().unwrap()).await.unwrap().unwrap();
            let found: Vec<String> = found.iter().map(|name| name.as_str().to_owned()).collect();
            assert_eq!(found, expected, "{mount}");
            assert_eq!(client.counts().requests - before, requests, "{mount}");
        }
        assert!(roles::list(&client, &"none".parse().unwrap()).await.is_err());
    });
}
