use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::{Value, json};

use crate::vault::answered;
use crate::{Error, Result, http, unique};

/// A plain client for the Kubernetes API, as `cluster-admin`.
///
/// Like [`Vault`](crate::Vault) it is a judge beside the tool under test: it answers with the status and the JSON,
/// whatever the status, and panics only when there is no answer.
#[derive(Clone, Debug)]
pub struct Kubernetes {
    server: String,
    token: String,
    client: Client,
}

impl Kubernetes {
    /// A client for the API server at this URL, which has its certificate from `ca` (PEM).
    pub fn new(server: &str, ca: &str, token: &str) -> Result<Self> {
        Ok(Self { server: server.to_owned(), token: token.to_owned(), client: http::client(ca)? })
    }

    /// The API server's URL, without a slash at the end.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The token that this client presents.
    pub fn admin_token(&self) -> &str {
        &self.token
    }

    /// The same with another token: to see what a service account may do.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// `GET`, with a path such as `/api/v1/namespaces`.
    pub fn get(&self, path: &str) -> (u16, Value) {
        answered(self.request(Method::GET, path, None))
    }

    /// What `kubectl get --raw PATH` prints, byte for byte.
    ///
    /// # Panics
    /// When the server doesn't answer with 200.
    pub fn get_raw(&self, path: &str) -> String {
        answered(match self.text(Method::GET, path, None) {
            Ok((200, text)) => Ok(text),
            Ok((status, text)) => Err(Error::new(format!("GET {path}: Kubernetes answered {status}: {text}"))),
            Err(error) => Err(error),
        })
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

    /// Creates a namespace with a name of its own, and answers with the name.
    ///
    /// # Panics
    /// When it can't be created.
    pub fn namespace(&self, prefix: &str) -> String {
        let name = unique(prefix);
        answered(self.create_namespace(&name));
        name
    }

    /// Creates a service account.
    ///
    /// # Panics
    /// When it can't be created.
    pub fn service_account(&self, namespace: &str, name: &str) {
        answered(self.create_service_account(namespace, name));
    }

    /// A token from TokenRequest. Without audiences it has the API server's own. At least 600 seconds.
    ///
    /// # Panics
    /// When the request is refused.
    pub fn token(&self, namespace: &str, service_account: &str, audiences: &[&str], seconds: u32) -> String {
        answered(self.request_token(namespace, service_account, audiences, seconds))
    }

    /// Creates a namespace, if it isn't there.
    pub fn create_namespace(&self, name: &str) -> Result<()> {
        let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        self.create("/api/v1/namespaces", &body)
    }

    /// Creates a service account, if it isn't there.
    pub fn create_service_account(&self, namespace: &str, name: &str) -> Result<()> {
        let body = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name } });
        self.create(&format!("/api/v1/namespaces/{namespace}/serviceaccounts"), &body)
    }

    /// Asks for a token.
    pub fn request_token(
        &self,
        namespace: &str,
        service_account: &str,
        audiences: &[&str],
        seconds: u32,
    ) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token");
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": { "audiences": audiences, "expirationSeconds": seconds },
        });
        let (status, answer) = self.request(Method::POST, &path, Some(&body))?;
        let refused = || Error::new(format!("POST {path}: Kubernetes answered {status}: {answer}"));
        answer["status"]["token"].as_str().map(ToOwned::to_owned).ok_or_else(refused)
    }

    fn create(&self, path: &str, body: &Value) -> Result<()> {
        match self.request(Method::POST, path, Some(body))? {
            // 409: it is there already.
            (201 | 409, _) => Ok(()),
            (status, answer) => Err(Error::new(format!("POST {path}: Kubernetes answered {status}: {answer}"))),
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When no answer comes. Any status is an answer.
    pub fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        let (status, text) = self.text(method, path, body)?;
        Ok((status, http::json(text)))
    }

    fn text(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(u16, String)> {
        let authorization = format!("Bearer {}", self.token);
        let url = format!("{}{path}", self.server);
        http::send(&self.client, method, &url, &[("Authorization", &authorization)], body)
    }
}
