use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::{Error, Result, http};

/// A plain client for Vault's HTTP API. Paths are below `/v1/`, without it: `sys/auth`.
///
/// It is a judge beside the tool under test, so it shares nothing with the tool's own client. Every method answers with
/// the HTTP status and the JSON, whatever the status, and panics only when there is no answer.
#[derive(Clone, Debug)]
pub struct Vault {
    address: String,
    token: Option<String>,
    client: Client,
}

impl Vault {
    /// A client for the server at `address`, which has its certificate from `ca` (PEM, empty for plain HTTP).
    pub fn new(address: &str, ca: &str, token: Option<&str>) -> Result<Self> {
        Ok(Self { address: address.to_owned(), token: token.map(ToOwned::to_owned), client: http::client(ca)? })
    }

    /// The server's address, without a slash at the end.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The same with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same without a token.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// `GET`.
    pub fn get(&self, path: &str) -> (u16, Value) {
        answered(self.request(Method::GET, path, None))
    }

    /// `LIST`, as `GET` with `list=true`.
    pub fn list(&self, path: &str) -> (u16, Value) {
        answered(self.request(Method::GET, &format!("{path}?list=true"), None))
    }

    /// `POST`.
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        answered(self.request(Method::POST, path, Some(body)))
    }

    /// `PUT`.
    pub fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        answered(self.request(Method::PUT, path, Some(body)))
    }

    /// `DELETE`.
    pub fn delete(&self, path: &str) -> (u16, Value) {
        answered(self.request(Method::DELETE, path, None))
    }

    /// What a `GET` answers with 200.
    ///
    /// # Panics
    /// With any other status.
    pub fn read(&self, path: &str) -> Value {
        answered(self.expect(Method::GET, path, None))
    }

    /// What a `POST` answers with 200 or 204.
    ///
    /// # Panics
    /// With any other status.
    pub fn write(&self, path: &str, body: &Value) -> Value {
        answered(self.expect(Method::POST, path, Some(body)))
    }

    /// Whether it has namespaces. A test that needs them has nothing to try on the community edition of Vault, and says so; OpenBao always has them.
    #[allow(clippy::print_stderr, reason = "what was not tried is for whoever runs the tests")]
    pub fn has_namespaces(&self) -> bool {
        let has = self.without_token().get("sys/health").1["enterprise"] != false;
        if !has {
            eprintln!("skipped: this Vault is the community edition, which has no namespaces");
        }
        has
    }

    /// Logs in at an auth mount (`jwt-prod`, without `auth/`) with a JWT. Works for the methods `jwt` and `kubernetes`.
    pub fn login(&self, mount: &str, role: &str, jwt: &str) -> (u16, Value) {
        self.without_token().post(&format!("auth/{mount}/login"), &json!({ "role": role, "jwt": jwt }))
    }

    /// The token of a policy-bound login that must work: a client that acts with it.
    ///
    /// # Panics
    /// When the login is refused.
    #[must_use]
    pub fn logged_in(&self, mount: &str, role: &str, jwt: &str) -> Self {
        let body = json!({ "role": role, "jwt": jwt });
        let login = self.without_token().expect(Method::POST, &format!("auth/{mount}/login"), Some(&body));
        let token = login.and_then(|answer| {
            let token = answer["auth"]["client_token"].as_str().map(ToOwned::to_owned);
            token.ok_or_else(|| Error::new("the login's answer has no token"))
        });
        self.with_token(&answered(token))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When no answer comes. Any status is an answer.
    pub fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let url = format!("{}/v1/{path}", self.address);
        let token = self.token.as_deref().map(|token| ("X-Vault-Token", token));
        let (status, text) = http::send(&self.client, method, &url, token.as_slice(), body)?;
        Ok((status, http::json(text)))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When it isn't answered with 200 or 204.
    pub fn expect(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let request = format!("{method} {path}");
        match self.request(method, path, body)? {
            (200 | 204, answer) => Ok(answer),
            (status, answer) => Err(Error::new(format!("{request}: Vault answered {status}: {answer}"))),
        }
    }
}

/// Takes an answer in a test, where there must be one.
#[allow(clippy::panic, reason = "for tests, where a server that doesn't answer is a failure")]
#[track_caller]
pub(crate) fn answered<T>(answer: Result<T>) -> T {
    answer.unwrap_or_else(|error| panic!("{}", error.report()))
}
