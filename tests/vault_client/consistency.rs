//! The index of an answer and where it goes: what servers do with it is proved on real ones, by the suite `standby`.

use http::{HeaderMap, HeaderValue};
use secrecy::SecretString;
use serde_json::json;
use vaultk8s::vault::{Client, Done, Request, VaultError};
use wiremock::matchers::{header, header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{client, read, run};

const INDEX: &str = "x-vault-index";
const FORWARD: (&str, &str) = ("x-vault-inconsistent", "forward-active-node");

fn answer() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "data": {} }))
}

fn refusal(status: u16, words: &[&str]) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "errors": words }))
}

fn write(path: &str) -> Request<Done> {
    Request::write(path, json!({}))
}

fn with_token(server: &MockServer) -> Client {
    client(&[("VAULT_ADDR", &server.uri()), ("VAULT_TOKEN", "hvs.some")])
}

/// The indexes that a server was sent, in order; none for a request without one. Each comes with the word to forward.
async fn sent(server: &MockServer) -> Vec<(String, Option<String>)> {
    let text = |headers: &HeaderMap, name: &str| {
        headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok().map(str::to_owned))
    };
    let requests = server.received_requests().await.unwrap();
    let mut sent = Vec::new();
    for request in requests {
        let index = text(&request.headers, INDEX);
        let forward = text(&request.headers, FORWARD.0);
        assert_eq!(forward.as_deref(), index.is_some().then_some(FORWARD.1), "one is of no use without the other");
        sent.push((request.url.path().trim_start_matches("/v1/").to_owned(), index));
    }
    sent
}

fn expected(requests: &[(&str, Option<&str>)]) -> Vec<(String, Option<String>)> {
    requests.iter().map(|(path, index)| ((*path).to_owned(), index.map(str::to_owned))).collect()
}

#[test]
fn every_request_after_a_write_asks_for_what_was_written() {
    run(async {
        let server = MockServer::start().await;
        Mock::given(method("POST")).respond_with(answer().insert_header(INDEX, "one")).mount(&server).await;
        Mock::given(method("GET")).respond_with(answer()).mount(&server).await;
        let client = with_token(&server);
        client.send(&write("sys/auth/a")).await.unwrap();
        // The storage is one, whoever asks, wherever.
        client.send(&read("sys/auth")).await.unwrap();
        client.with_token(SecretString::from("hvs.other")).send(&read("b")).await.unwrap();
        client.without_token().send(&read("c")).await.unwrap();
        client.without_namespace().clone().send(&read("d")).await.unwrap();
        // What a node says of itself, nobody else may answer.
        client.send(&Request::<Done>::of_the_node("sys/leader")).await.unwrap();
        let one = Some("one");
        let all = [("sys/auth/a", None), ("sys/auth", one), ("b", one), ("c", one), ("d", one), ("sys/leader", None)];
        assert_eq!(sent(&server).await, expected(&all));
    });
}

#[test]
fn a_server_without_an_index_is_asked_as_ever() {
    run(async {
        let server = MockServer::start().await;
        Mock::given(path("/v1/none")).respond_with(refusal(404, &[])).mount(&server).await;
        Mock::given(header_exists("x-vault-request")).respond_with(answer()).mount(&server).await;
        let client = with_token(&server);
        for path in ["sys/auth", "sys/mounts"] {
            client.send(&read(path)).await.unwrap();
        }
        client.send(&write("sys/auth/a")).await.unwrap();
        assert!(client.find(&read("none")).await.unwrap().is_none());
        assert_eq!(
            sent(&server).await,
            expected(&["sys/auth", "sys/mounts", "sys/auth/a", "none"].map(|path| (path, None)))
        );
    });
}

#[test]
fn an_index_never_goes_to_another_server() {
    run(async {
        let (vault, other) = (MockServer::start().await, MockServer::start().await);
        let away = ResponseTemplate::new(307).insert_header("location", format!("{}/v1/b", other.uri()));
        Mock::given(path("/v1/a")).respond_with(answer().insert_header(INDEX, "one")).mount(&vault).await;
        Mock::given(path("/v1/b")).respond_with(away).mount(&vault).await;
        let client = with_token(&vault);
        client.send(&write("a")).await.unwrap();
        assert!(matches!(client.send(&read("b")).await, Err(VaultError::Redirected { .. })));
        assert!(sent(&other).await.is_empty());
        // A client of its own has an index of its own.
        let address = other.uri();
        Mock::given(path("/v1/c")).respond_with(answer()).mount(&other).await;
        super::client(&[("VAULT_ADDR", &address)]).send(&read("c")).await.unwrap();
        assert_eq!(sent(&other).await, expected(&[("c", None)]));
    });
}

#[test]
fn a_node_that_is_behind_is_asked_again_with_the_index() {
    run(async {
        let server = MockServer::start().await;
        Mock::given(path("/v1/a")).respond_with(answer().insert_header(INDEX, "one")).mount(&server).await;
        let behind = refusal(412, &["required index state not present"]);
        Mock::given(path("/v1/auth/jwt/login")).respond_with(behind).up_to_n_times(2).mount(&server).await;
        Mock::given(path("/v1/auth/jwt/login")).and(header(INDEX, "one")).respond_with(answer()).mount(&server).await;
        let client = with_token(&server);
        client.send(&write("a")).await.unwrap();
        // A login too, though it is not to be made twice: this one was turned away unread.
        client.without_token().send(&write("auth/jwt/login").once()).await.unwrap();
        let login = ("auth/jwt/login", Some("one"));
        assert_eq!(sent(&server).await, expected(&[("a", None), login, login, login]));
    });
}

#[test]
fn a_node_that_stays_behind_is_named() {
    run(async {
        for refusal in [refusal(412, &["required index state not present"]), refusal(429, &[])] {
            let server = MockServer::start().await;
            Mock::given(path("/v1/a")).respond_with(answer().insert_header(INDEX, "one")).mount(&server).await;
            Mock::given(path("/v1/b")).respond_with(refusal).mount(&server).await;
            let client =
                client(&[("VAULT_ADDR", &server.uri()), ("VAULT_TOKEN", "hvs.some"), ("VAULT_MAX_RETRIES", "0")]);
            client.send(&write("a")).await.unwrap();
            let error = client.send(&read("b")).await.unwrap_err();
            assert!(error.remedies()[0].contains("is behind the active one"), "{:?}", error.remedies());
        }
        // A quota is told as one.
        let server = MockServer::start().await;
        let quota = refusal(429, &["request path \"b\": rate limit quota exceeded"]);
        Mock::given(path("/v1/b")).respond_with(quota).mount(&server).await;
        let client = client(&[("VAULT_ADDR", &server.uri()), ("VAULT_MAX_RETRIES", "0")]);
        assert!(client.send(&read("b")).await.unwrap_err().remedies()[0].contains("quota"));
    });
}

#[test]
fn the_first_answer_counts_only_when_the_active_node_was_asked() {
    run(async {
        // What there is and what there isn't, as a standby has it that is late, then as the active node has it.
        for late in [answer().insert_header(INDEX, "old"), refusal(404, &[])] {
            let server = MockServer::start().await;
            Mock::given(path("/v1/sys/ha-status"))
                .respond_with(answer().insert_header(INDEX, "new"))
                .expect(1)
                .mount(&server)
                .await;
            Mock::given(path("/v1/a")).and(header(INDEX, "new")).respond_with(answer()).mount(&server).await;
            Mock::given(path("/v1/a")).respond_with(late).mount(&server).await;
            let client = with_token(&server);
            // Also those that are under way at the same time.
            let request = read("a");
            let (one, other) = futures::future::join(client.find(&request), client.find(&request)).await;
            assert!(one.unwrap().is_some() && other.unwrap().is_some());
        }
    });
}

#[test]
fn a_node_that_finds_no_active_one_is_no_witness() {
    run(async {
        let (server, other) = (MockServer::start().await, MockServer::start().await);
        let away = ResponseTemplate::new(307).insert_header("location", format!("{}/v1/sys/ha-status", other.uri()));
        Mock::given(path("/v1/sys/ha-status")).respond_with(away).mount(&server).await;
        Mock::given(path("/v1/a")).respond_with(answer().insert_header(INDEX, "old")).mount(&server).await;
        let error = with_token(&server).send(&read("a")).await.unwrap_err();
        assert!(matches!(error, VaultError::Redirected { .. }), "{error}");
        assert!(sent(&other).await.is_empty());
    });
}

#[test]
fn a_token_that_may_not_ask_takes_what_the_node_has() {
    run(async {
        for refusal in [refusal(403, &["permission denied"]), refusal(404, &["unsupported path"])] {
            let server = MockServer::start().await;
            Mock::given(path("/v1/sys/ha-status")).respond_with(refusal).expect(1).mount(&server).await;
            Mock::given(path("/v1/a")).respond_with(answer().insert_header(INDEX, "old")).mount(&server).await;
            let client = with_token(&server);
            client.send(&read("a")).await.unwrap();
            client.send(&read("a")).await.unwrap();
        }
    });
}

/// What a node says of itself, and what it refuses, may come with its own index, which says nothing of the active node's.
#[test]
fn the_index_of_a_node_that_speaks_for_itself_is_nothing_to_go_by() {
    run(async {
        let server = MockServer::start().await;
        let new = answer().insert_header(INDEX, "new");
        let old = |answer: ResponseTemplate| answer.insert_header(INDEX, "old");
        let forbidden = refusal(403, &["1 error occurred:\n\t* permission denied\n\n"]);
        Mock::given(path("/v1/sys/ha-status")).respond_with(new).expect(1).mount(&server).await;
        Mock::given(path("/v1/sys/seal-status")).respond_with(old(answer())).mount(&server).await;
        Mock::given(path("/v1/forbidden")).respond_with(old(forbidden)).mount(&server).await;
        Mock::given(path("/v1/a")).and(header(INDEX, "new")).respond_with(answer()).mount(&server).await;
        Mock::given(path("/v1/a")).respond_with(old(refusal(404, &[]))).mount(&server).await;
        let client = with_token(&server);
        client.without_token().send(&Request::<Done>::of_the_node("sys/seal-status")).await.unwrap();
        client.send(&read("forbidden")).await.unwrap_err();
        assert!(client.find(&read("a")).await.unwrap().is_some());
    });
}
