//! Faults that a real server doesn't show on demand.

use std::io::Read;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::json;
use vaultk8s::reach::Unreachable;
use vaultk8s::vault::{Counts, Done, Request, VaultError};
use wiremock::matchers::{body_json, header, header_exists, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{client, read, run, settings};

const TOKEN: &str = "hvs.the-operators";

fn empty() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "data": {} }))
}

fn errors(status: u16, text: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({ "errors": [text] }))
}

fn login() -> Request<Done> {
    Request::write("auth/jwt/login", json!({ "role": "r" })).needing(&[]).once()
}

fn counts(requests: u64, writes: u64) -> Counts {
    Counts { requests, writes }
}

#[test]
fn a_request_has_what_vault_wants_and_goes_below_the_prefix() {
    run(async {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path("/behind/v1/auth/jwt/role/a%20b"))
            .and(header("x-vault-token", TOKEN))
            .and(header("x-vault-namespace", "team/a"))
            .and(header("x-vault-request", "true"))
            .and(header("user-agent", concat!("vaultk8s/", env!("CARGO_PKG_VERSION"))))
            .and(body_json(json!({ "a": 1 })))
            .respond_with(ResponseTemplate::new(204))
            .expect(1)
            .mount(&server)
            .await;
        let address = format!("{}/behind/", server.uri());
        let client = client(&[("VAULT_ADDR", &address), ("VAULT_TOKEN", TOKEN), ("VAULT_NAMESPACE", "/team/a/")]);
        let request: Request<Done> = Request::write("auth/jwt/role/a%20b", json!({ "a": 1 }));
        client.send(&request).await.unwrap();
        assert_eq!(client.counts(), counts(1, 1));
        assert!(!format!("{client:?}").contains(TOKEN));
    });
}

#[test]
fn a_path_that_leads_elsewhere_is_not_sent() {
    run(async {
        let server = MockServer::start().await;
        let client = client(&[("VAULT_ADDR", &server.uri())]);
        for path in ["auth/../sys/seal", "/sys/auth", "auth/./x"] {
            assert!(matches!(client.send(&read(path)).await, Err(VaultError::Unsendable { .. })), "{path}");
        }
        assert_eq!(client.counts(), counts(0, 0));
    });
}

#[test]
fn a_redirect_to_another_server_never_gets_the_token() {
    run(async {
        let (vault, other) = (MockServer::start().await, MockServer::start().await);
        for status in [301, 302, 307, 308] {
            let away =
                ResponseTemplate::new(status).insert_header("location", format!("{}/v1/sys/auth?x=y", other.uri()));
            Mock::given(method("GET")).respond_with(away).up_to_n_times(1).mount(&vault).await;
            let client = client(&[("VAULT_ADDR", &vault.uri()), ("VAULT_TOKEN", TOKEN)]);
            let error = client.send(&read("sys/auth")).await.unwrap_err();
            assert!(matches!(&error, VaultError::Redirected { to, .. } if *to == other.uri()), "{error}");
            assert!(error.remedies()[0].contains(&format!("VAULT_ADDR={}", other.uri())));
            assert_eq!(client.counts(), counts(1, 0));
        }
        assert!(other.received_requests().await.unwrap().is_empty());
    });
}

#[test]
fn a_redirect_within_the_server_is_followed_once() {
    run(async {
        let vault = MockServer::start().await;
        let on = |to: &str| ResponseTemplate::new(307).insert_header("location", to);
        Mock::given(path("/v1/auth/jwt/login")).respond_with(on("/v1/auth/moved/login")).mount(&vault).await;
        Mock::given(path("/v1/auth/moved/login"))
            .and(method("POST"))
            .and(body_json(json!({ "role": "r" })))
            .respond_with(empty())
            .mount(&vault)
            .await;
        Mock::given(path("/v1/round")).respond_with(on("/v1/and/round")).mount(&vault).await;
        Mock::given(path("/v1/and/round")).respond_with(on("/v1/round")).mount(&vault).await;
        let client = client(&[("VAULT_ADDR", &vault.uri()), ("VAULT_TOKEN", TOKEN)]);
        client.send(&login()).await.unwrap();
        assert_eq!(client.counts(), counts(2, 2));
        assert!(matches!(client.send(&read("round")).await, Err(VaultError::Redirected { .. })));
        assert_eq!(client.counts(), counts(4, 2));
    });
}

#[test]
fn failures_that_may_pass_are_tried_again() {
    run(async {
        for fault in [
            errors(412, "required index state not present"),
            errors(500, "internal error"),
            errors(503, "node is not active"),
            ResponseTemplate::new(502).set_body_string("<html>Bad Gateway</html>"),
        ] {
            let vault = MockServer::start().await;
            Mock::given(method("GET")).respond_with(fault).up_to_n_times(2).mount(&vault).await;
            Mock::given(method("GET")).respond_with(empty()).mount(&vault).await;
            let client = client(&[("VAULT_ADDR", &vault.uri())]);
            client.send(&read("sys/auth")).await.unwrap();
            assert_eq!(client.counts(), counts(3, 0));
        }
    });
}

#[test]
fn tries_end_where_they_are_bounded_or_where_nothing_will_change() {
    run(async {
        for (fault, environment, tries) in [
            (errors(500, "no"), ("VAULT_MAX_RETRIES", "1"), 2),
            (errors(500, "no"), ("BAO_MAX_RETRIES", "0"), 1),
            (errors(400, "no"), ("", ""), 1),
            (errors(403, "permission denied"), ("", ""), 1),
            // A server that wants to be left alone for so long is.
            (errors(429, "quota").insert_header("retry-after", "3600"), ("", ""), 1),
            (errors(429, "quota"), ("VAULT_MAX_RETRIES", "0"), 1),
            (errors(429, "lease count quota exceeded"), ("", ""), 1),
            // The second is the question whether it was ever initialised.
            (errors(503, "Vault is sealed"), ("", ""), 2),
        ] {
            let vault = MockServer::start().await;
            Mock::given(method("GET")).respond_with(fault).mount(&vault).await;
            let client = client(&[("VAULT_ADDR", &vault.uri()), ("VAULT_TOKEN", TOKEN), environment]);
            client.send(&read("sys/auth")).await.unwrap_err();
            assert_eq!(client.counts(), counts(tries, 0), "{environment:?}");
        }
    });
}

#[test]
fn a_login_is_not_sent_again_once_it_may_have_been_carried_out() {
    run(async {
        for (fault, tries) in [
            (errors(500, "internal error"), 1),
            (ResponseTemplate::new(502).set_body_string("<html>"), 1),
            // These were turned away unread.
            (errors(412, "required index state not present"), 3),
            (errors(503, "node is not active"), 3),
        ] {
            let vault = MockServer::start().await;
            Mock::given(method("POST")).respond_with(fault).mount(&vault).await;
            let client = client(&[("VAULT_ADDR", &vault.uri())]);
            client.send(&login()).await.unwrap_err();
            assert_eq!(client.counts(), counts(tries, tries));
        }
    });
}

/// A server that takes connections, reads a little and hangs up; answers how often it was called.
fn hangs_up() -> (String, std::sync::mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (call, calls) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            // Counted before the connection drops, which is what the client sees.
            if connection.read(&mut [0; 1024]).is_err() || call.send(()).is_err() {
                return;
            }
        }
    });
    (address, calls)
}

#[test]
fn a_lost_answer_is_asked_for_again_but_not_a_login() {
    run(async {
        let (address, calls) = hangs_up();
        let client = client(&[("VAULT_ADDR", &address)]);
        let error = client.send(&read("sys/auth")).await.unwrap_err();
        assert!(matches!(error, VaultError::Unreachable { how: Unreachable::Broken, .. }), "{error:?}");
        assert_eq!((calls.try_iter().count(), client.counts()), (3, counts(3, 0)));
        client.send(&login()).await.unwrap_err();
        assert_eq!((calls.try_iter().count(), client.counts()), (1, counts(4, 1)));
    });
}

#[test]
fn no_connection_is_tried_again_and_not_counted() {
    run(async {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("http://127.0.0.1:{port}");
        let client = client(&[("VAULT_ADDR", &address)]);
        let start = Instant::now();
        let error = client.send(&login()).await.unwrap_err();
        assert!(matches!(error, VaultError::Unreachable { how: Unreachable::Refused, .. }), "{error:?}");
        assert!(start.elapsed() > Duration::from_millis(250), "it wasn't tried again");
        assert_eq!(client.counts(), counts(0, 0));
        let told = vaultk8s::error::Error::from(error);
        assert_eq!(
            told.to_string(),
            format!("Vault at {address} does not answer: nothing listens there (POST auth/jwt/login)")
        );
        assert!(!told.remedies().is_empty() && told.causes()[0].contains("refused"), "{:?}", told.causes());
    });
}

#[test]
fn a_host_name_that_nobody_has_is_said_so() {
    run(async {
        let client = client(&[("VAULT_ADDR", "https://vault.invalid:8200")]);
        let error = client.send(&read("sys/auth")).await.unwrap_err();
        assert!(matches!(error, VaultError::Unreachable { how: Unreachable::UnknownHost, .. }), "{error:?}");
    });
}

#[test]
fn an_answer_that_takes_too_long_is_not_waited_for() {
    run(async {
        let vault = MockServer::start().await;
        Mock::given(method("GET")).respond_with(empty().set_delay(Duration::from_secs(30))).mount(&vault).await;
        let client = client(&[("VAULT_ADDR", &vault.uri()), ("VAULT_CLIENT_TIMEOUT", "200ms")]);
        let error = client.send(&read("sys/auth")).await.unwrap_err();
        assert!(matches!(error, VaultError::Unreachable { how: Unreachable::AnswerTimeout, .. }), "{error:?}");
        assert!(error.remedies()[0].contains("--timeout"));
        assert_eq!(client.counts(), counts(1, 0));
    });
}

#[test]
fn what_is_not_vault_is_never_taken_for_an_answer() {
    run(async {
        for answer in [
            ResponseTemplate::new(404).set_body_raw("<html>Not Found</html>", "text/html"),
            ResponseTemplate::new(200).set_body_raw("<html>Sign in</html>", "text/html"),
            ResponseTemplate::new(404).set_body_json(json!({ "kind": "Status", "code": 404 })),
            ResponseTemplate::new(300),
        ] {
            let vault = MockServer::start().await;
            Mock::given(method("GET")).respond_with(answer).mount(&vault).await;
            let error = client(&[("VAULT_ADDR", &vault.uri())]).find(&read("sys/auth")).await.unwrap_err();
            assert!(error.to_string().contains("does not look like Vault"), "{error}");
        }
    });
}

#[test]
fn tokens_differ_and_the_counters_are_shared() {
    run(async {
        let vault = MockServer::start().await;
        Mock::given(header("x-vault-token", "hvs.other")).respond_with(empty()).expect(1).mount(&vault).await;
        Mock::given(header_exists("x-vault-token")).respond_with(errors(403, "permission denied")).mount(&vault).await;
        Mock::given(method("GET")).respond_with(errors(403, "no token")).mount(&vault).await;
        let client = client(&[("VAULT_ADDR", &vault.uri()), ("VAULT_TOKEN", TOKEN)]);
        client.with_token(SecretString::from("hvs.other")).send(&read("x")).await.unwrap();
        assert_eq!(client.send(&read("x")).await.unwrap_err().errors(), ["permission denied"]);
        assert_eq!(client.without_token().send(&read("x")).await.unwrap_err().errors(), ["no token"]);
        assert_eq!(client.counts(), counts(3, 0));
        let unfit = client.with_token(SecretString::from("two\nlines")).send(&read("x")).await.unwrap_err();
        assert!(matches!(unfit, VaultError::Unsendable { .. }) && !unfit.to_string().contains("two"));
    });
}

// As Vault's CLI does: `bao` asks through that proxy whatever the address is, and through HTTP_PROXY never on this machine.
#[test]
fn a_proxy_of_vaults_own_is_used_for_this_machine_too_and_one_for_all_servers_is_not() {
    run(async {
        let (proxy, vault) = (MockServer::start().await, MockServer::start().await);
        for (server, times) in [(&proxy, 2), (&vault, 1)] {
            Mock::given(path("/v1/sys/auth")).respond_with(empty()).expect(times).mount(server).await;
        }
        let common = client(&[("VAULT_ADDR", &vault.uri()), ("HTTP_PROXY", &proxy.uri())]);
        common.send(&read("sys/auth")).await.unwrap();
        let own = client(&[("VAULT_ADDR", &vault.uri()), ("VAULT_PROXY_ADDR", &proxy.uri())]);
        own.send(&read("sys/auth")).await.unwrap();
        let mut settings = settings(&[("VAULT_ADDR", &vault.uri()), ("VAULT_PROXY_ADDR", &proxy.uri())]).unwrap();
        settings.address.value = "http://vault.invalid:8200".parse().unwrap();
        vaultk8s::vault::Client::new(&settings).unwrap().send(&read("sys/auth")).await.unwrap();
    });
}
