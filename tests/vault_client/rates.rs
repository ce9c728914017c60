//! Limits of the rate of requests, as something before Vault has them too.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::json;
use vaultk8s::vault::{Done, Request, VaultError};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Respond, ResponseTemplate};

use super::{client, read, run};

fn limited() -> ResponseTemplate {
    ResponseTemplate::new(429).set_body_json(json!({ "errors": ["request path \"x\": rate limit quota exceeded"] }))
}

fn login() -> Request<Done> {
    Request::write("auth/jwt/login", json!({ "role": "r" })).needing(&[]).once()
}

/// So many requests in a window, as Vault counts them.
struct Windows {
    most: u32,
    length: Duration,
    now: Mutex<(Instant, u32)>,
}

impl Respond for Windows {
    fn respond(&self, _: &wiremock::Request) -> ResponseTemplate {
        let mut now = self.now.lock().unwrap();
        if now.0.elapsed() >= self.length {
            *now = (Instant::now(), 0);
        }
        if now.1 == self.most {
            return limited();
        }
        now.1 += 1;
        ResponseTemplate::new(200).set_body_json(json!({ "data": {} }))
    }
}

#[test]
fn what_is_too_fast_becomes_slower_and_is_finished() {
    run(async {
        let vault = MockServer::start().await;
        let windows = Windows { most: 20, length: Duration::from_secs(1), now: Mutex::new((Instant::now(), 0)) };
        Mock::given(method("GET")).respond_with(windows).mount(&vault).await;
        let client = client(&[("VAULT_ADDR", &vault.uri())]).with_parallelism(8);
        let requests: Vec<_> = (0..100).map(|at| read(&format!("auth/{}/role/{at}", at % 5))).collect();
        let begun = Instant::now();
        let answers = futures::future::join_all(requests.iter().map(|request| client.send(request))).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
        let sent = client.counts().requests;
        assert!(sent < 200, "{sent} requests for 100 answers");
    });
}

#[test]
fn a_server_is_left_alone_for_as_long_as_it_says() {
    run(async {
        let vault = MockServer::start().await;
        let wait = limited().insert_header("retry-after", "1");
        Mock::given(path("/v1/sys/auth")).respond_with(wait).up_to_n_times(1).mount(&vault).await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "data": {} })))
            .mount(&vault)
            .await;
        let client = client(&[("VAULT_ADDR", &vault.uri())]);
        let (auth, mounts) = (read("sys/auth"), read("sys/mounts"));
        let begun = Instant::now();
        client.send(&auth).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_secs(1));
        client.send(&mounts).await.unwrap();
        assert_eq!(client.counts().requests, 3);
    });
}

#[test]
fn where_nothing_gets_through_it_ends_and_what_is_elsewhere_does_not_wait() {
    run(async {
        let vault = MockServer::start().await;
        Mock::given(path("/v1/auth/jwt/login")).respond_with(limited()).mount(&vault).await;
        Mock::given(method("GET"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({ "data": {} })))
            .mount(&vault)
            .await;
        let client = client(&[("VAULT_ADDR", &vault.uri()), ("VAULT_CLIENT_TIMEOUT", "2s")]).with_parallelism(4);
        let begun = Instant::now();
        let login = login();
        let logins = async {
            let answers = futures::future::join_all((0..20).map(|_| client.send(&login))).await;
            (answers, begun.elapsed())
        };
        let elsewhere = async {
            client.send(&read("auth/jwt/config")).await.unwrap();
            begun.elapsed()
        };
        let ((answers, ended), elsewhere) = futures::future::join(logins, elsewhere).await;
        for answer in answers {
            let error = answer.unwrap_err();
            assert!(matches!(error, VaultError::Rejected { status: 429, .. }), "{error}");
            let told = vaultk8s::error::Error::from(error);
            assert!(told.to_string().contains("rate limit quota exceeded") && told.remedies()[0].contains("--timeout"));
        }
        assert!(ended >= Duration::from_secs(2) && ended < Duration::from_secs(6), "{ended:?}");
        assert!(elsewhere < Duration::from_secs(1), "{elsewhere:?}");
        // It is known by now.
        let begun = Instant::now();
        client.send(&login).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn a_page_of_something_else_that_limits_rates_is_waited_for_too() {
    run(async {
        let vault = MockServer::start().await;
        let page = ResponseTemplate::new(429).set_body_raw("<html>Too Many Requests</html>", "text/html");
        Mock::given(method("POST")).respond_with(page).up_to_n_times(3).mount(&vault).await;
        Mock::given(method("POST")).respond_with(ResponseTemplate::new(204)).mount(&vault).await;
        let client = client(&[("VAULT_ADDR", &vault.uri())]);
        // It was turned away unread, so that it is made once.
        client.send(&login()).await.unwrap();
        assert_eq!(client.counts().requests, 4);
    });
}
