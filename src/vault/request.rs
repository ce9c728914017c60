//! Requests to Vault, built without I/O: method, path, body and what the operator needs to be allowed to send it.
//!
//! Every endpoint is a function that returns a [`Request`]; [`Client::send`](super::Client::send) is the only place
//! that performs one. So a test can look at what would be sent, and a refused request can say which rule is missing.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::marker::PhantomData;

use http::Method;
use serde_json::Value;

use crate::policy::Capability;

/// A name as it stands in a path. What this tool names needs no escaping; what a server holds may.
pub(super) fn encoded(name: &str) -> String {
    name.bytes().fold(String::with_capacity(name.len()), |mut path, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte) {
            path.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}

/// One call of Vault's HTTP API whose answer has the type `A`.
#[derive(Clone)]
pub struct Request<A> {
    /// The HTTP method. Vault's `LIST` is sent as such.
    pub method: Method,
    /// The path below `/v1/`, with no leading slash and each segment percent-encoded where needed.
    pub path: String,
    /// The query, without its question mark.
    pub query: Option<Cow<'static, str>>,
    /// The JSON body, if any.
    pub body: Option<Body>,
    /// The capabilities that a policy must grant on [`Self::path`] for this request.
    pub needs: &'static [Capability],
    /// Whether sending it twice does the same as sending it once, so that a lost answer may be retried.
    pub idempotent: bool,
    /// Whether it changes what Vault holds. Logins and the revocation of their tokens don't count.
    pub writes: bool,
    /// Whether it is about the node that is asked, so that no other may answer.
    pub of_the_node: bool,
    answer: PhantomData<fn() -> A>,
}

/// A JSON body; kept out of `Debug`, because some bodies carry tokens.
#[derive(Clone)]
pub struct Body(pub Value);

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body(…)")
    }
}

impl<A> std::fmt::Debug for Request<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

impl<A> Request<A> {
    fn new(method: Method, path: impl Into<String>, body: Option<Value>, needs: &'static [Capability]) -> Self {
        let path = path.into();
        let writes = !matches!(method.as_str(), "GET" | "LIST");
        Self {
            method,
            path,
            query: None,
            body: body.map(Body),
            needs,
            idempotent: true,
            writes,
            of_the_node: false,
            answer: PhantomData,
        }
    }

    /// `GET path`.
    pub fn read(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, None, &[Capability::Read])
    }

    /// `GET path` of what a node says of itself, and anybody may ask: whether it is sealed, and which one is active.
    pub fn of_the_node(path: impl Into<String>) -> Self {
        Self { of_the_node: true, ..Self::new(Method::GET, path, None, &[]) }
    }

    /// `LIST path`.
    pub fn list(path: impl Into<String>) -> Self {
        // "LIST" is a token of RFC 9110's grammar, so this cannot fail; GET would be a different request.
        let method = Method::from_bytes(b"LIST").unwrap_or(Method::GET);
        Self::new(method, path, None, &[Capability::List])
    }

    /// `POST path` with a body that replaces or merges what is there: sending it twice does no more than once.
    pub fn write(path: impl Into<String>, body: Value) -> Self {
        Self::new(Method::POST, path, Some(body), &[Capability::Create, Capability::Update])
    }

    /// `POST path` with a body that asks something and changes nothing that Vault holds.
    pub fn ask(path: impl Into<String>, body: Value) -> Self {
        let mut request = Self::new(Method::POST, path, Some(body), &[Capability::Update]);
        request.writes = false;
        request
    }

    /// `DELETE path`.
    pub fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, None, &[Capability::Delete])
    }

    /// Adds a query.
    #[must_use]
    pub fn with_query(mut self, query: impl Into<Cow<'static, str>>) -> Self {
        self.query = Some(query.into());
        self
    }

    /// Says that a retry could do the thing twice (a login, a revocation).
    #[must_use]
    pub fn once(mut self) -> Self {
        self.idempotent = false;
        self
    }

    /// Replaces the capabilities that the request needs, for endpoints that differ from the usual.
    #[must_use]
    pub fn needing(mut self, needs: &'static [Capability]) -> Self {
        self.needs = needs;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_itself_in_a_path() {
        for (name, path) in
            [("r-one_2.x", "r-one_2.x"), ("a/b", "a/b"), ("a b%2f?#", "a%20b%252f%3F%23"), ("é", "%C3%A9")]
        {
            assert_eq!(encoded(name), path);
        }
    }
}
