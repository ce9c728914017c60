//! A request on its way: what is sent, how often it is tried, and what comes back.

use std::sync::atomic::Ordering;
use std::time::Instant;

use http::header::{ACCEPT, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::Full;
use secrecy::ExposeSecret;
use serde::de::IgnoredAny;
use serde_json::Value;
use url::Url;

use super::pace::Paced;
use super::slots::Slot;
use super::{Client, Shared};
use crate::input::Unread;
use crate::policy::Capability;
use crate::reach;
use crate::vault::error::{Asked, VaultError};
use crate::vault::retry::{self, Again, Failure};
use crate::vault::{Request, answer, transport};

/// A request without the type of its answer.
pub(super) struct Outgoing<'a> {
    method: &'a Method,
    url: Url,
    body: Option<Vec<u8>>,
    needs: &'static [Capability],
    idempotent: bool,
    write: bool,
    of_the_node: bool,
    pub(super) asked: Box<Asked>,
}

/// What came back.
pub(super) struct Incoming {
    pub(super) status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Client {
    pub(super) fn prepare<'a, A>(&self, request: &'a Request<A>) -> Result<Outgoing<'a>, VaultError> {
        let asked = Box::new(self.asked(request));
        if request.path.split('/').any(|segment| matches!(segment, "." | "..")) || request.path.starts_with('/') {
            return Err(VaultError::Unsendable { asked, what: "the path is not a plain API path".into() });
        }
        let mut url = self.shared.address.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}/v1/{}", request.path));
        url.set_query(request.query.as_deref());
        let body = request.body.as_ref().map(|body| body_of(&body.0));
        Ok(Outgoing {
            method: &request.method,
            url,
            body,
            needs: request.needs,
            idempotent: request.idempotent,
            write: request.writes,
            of_the_node: request.of_the_node,
            asked,
        })
    }

    /// Sends, and once more where the first answer came from a node that may be behind the active one.
    ///
    /// What was written in this run is asked for by the index of its answer. What others wrote before it began has none
    /// here, so what the first answers hold, or lack, counts for nothing until the active node's index is known.
    pub(super) async fn exchange(&self, outgoing: &Outgoing<'_>) -> Result<Incoming, VaultError> {
        let Shared { newest, caught_up, .. } = &*self.shared;
        let reads = outgoing.idempotent && !outgoing.write && !outgoing.of_the_node;
        // An index alone says nothing: a standby gives its own, as of a node that speaks for itself, or of a refusal.
        let unsure = reads && self.has_token() && !caught_up.initialized();
        // What is asked for one answer has the time of one.
        let mut turned_away = None;
        let first = self.try_often(outgoing, &mut turned_away).await;
        match &first {
            // Only the active node writes; what a login needs of it depends on its tokens.
            Ok(_) if outgoing.write && outgoing.idempotent && newest.is_known() => {
                let _known_meanwhile = caught_up.set(());
                first
            }
            // A server that shows none has nothing to catch up with, as far as can be told.
            Ok(_) if unsure && !newest.is_known() => {
                let _known_meanwhile = caught_up.set(());
                first
            }
            Ok(_) | Err(VaultError::NotFound { .. }) if unsure => {
                let since = &mut turned_away;
                caught_up.get_or_try_init(move || self.catch_up(since)).await?;
                if newest.is_known() { self.try_often(outgoing, &mut turned_away).await } else { first }
            }
            _ => first,
        }
    }

    /// Asks what only the active node can answer, for the index of its answer.
    async fn catch_up(&self, turned_away: &mut Option<Instant>) -> Result<(), VaultError> {
        let client = self.without_namespace();
        let request = Request::<IgnoredAny>::read("sys/ha-status");
        match client.try_often(&client.prepare(&request)?, turned_away).await {
            // This node finds no active one: what it has may be of any age.
            Err(error @ (VaultError::Redirected { .. } | VaultError::Standby { .. })) => Err(error),
            // A token that may not ask gets what this node has, which is late by as long as its replication takes.
            _ => Ok(()),
        }
    }

    /// Sends until there is an answer, or no point in asking again. It may be a part of what was turned away before.
    async fn try_often(
        &self,
        outgoing: &Outgoing<'_>,
        turned_away: &mut Option<Instant>,
    ) -> Result<Incoming, VaultError> {
        let request = self.shared.pace.request(self.namespace.as_deref(), &outgoing.asked.path);
        let mut paced = request.since(*turned_away);
        let answer = self.try_paced(outgoing, &mut paced).await;
        *turned_away = paced.first();
        answer
    }

    async fn try_paced(&self, outgoing: &Outgoing<'_>, paced: &mut Paced<'_>) -> Result<Incoming, VaultError> {
        let mut waits = retry::waits(self.shared.max_retries);
        loop {
            let slot = self.turn_of(paced).await;
            let failure = match self.attempt(outgoing, slot).await {
                Err(failure) => failure,
                Ok(incoming) => {
                    paced.passed();
                    return Ok(incoming);
                }
            };
            if failure.again == Again::MoreSlowly {
                if !paced.turned_away(failure.after) {
                    return Err(failure.error);
                }
                continue;
            }
            paced.passed();
            match retry::next(&failure, outgoing.idempotent, &mut waits) {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(failure.error),
            }
        }
    }

    /// A slot for a request whose turn it is.
    async fn turn_of(&self, paced: &Paced<'_>) -> Slot<'_> {
        loop {
            paced.turn().await;
            let slot = self.slots.take().await;
            // Others may have been turned away until there was one.
            if !paced.waits() {
                return slot;
            }
        }
    }

    /// One attempt, and one more where a redirect leads to another path of the same server.
    pub(super) async fn attempt(&self, outgoing: &Outgoing<'_>, slot: Slot<'_>) -> Result<Incoming, Failure> {
        let answer = self.answer(outgoing).await;
        match &answer {
            Err(failure) if failure.again == Again::MoreSlowly => slot.turned_away(),
            _ => slot.answered(),
        }
        answer
    }

    async fn answer(&self, outgoing: &Outgoing<'_>) -> Result<Incoming, Failure> {
        let mut incoming = self.transfer(outgoing, &outgoing.url).await?;
        if let Some(target) = redirect(&outgoing.url, &incoming) {
            // `Origin` is scheme, host and port: the token goes nowhere else.
            if target.origin() != outgoing.url.origin() {
                let to = target.origin().ascii_serialization();
                return Err(Failure::last(VaultError::Redirected { asked: outgoing.asked.clone(), to }));
            }
            incoming = self.transfer(outgoing, &target).await?;
        }
        if incoming.status.is_success() {
            return Ok(incoming);
        }
        Err(answer::refused(
            &answer::Refusal { status: incoming.status, headers: &incoming.headers, body: &incoming.body },
            outgoing.asked.clone(),
            outgoing.needs,
            self.token.as_ref().map(|token| (&token.secret, token.origin.as_deref())),
        ))
    }

    /// One HTTP exchange.
    async fn transfer(&self, outgoing: &Outgoing<'_>, url: &Url) -> Result<Incoming, Failure> {
        let lost = |failure: reach::ExchangeFailure| {
            if !failure.connecting {
                self.count(outgoing);
            }
            transport::failure(failure, outgoing.asked.clone())
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("vaultk8s/", env!("CARGO_PKG_VERSION"))));
        if let Some(namespace) = &self.namespace {
            headers.insert(
                "x-vault-namespace",
                header(outgoing, namespace, "the namespace contains characters that none has")?,
            );
        }
        if let Some(token) = &self.token {
            let mut value =
                header(outgoing, token.secret.expose_secret(), "the token contains characters that none has")?;
            value.set_sensitive(true);
            headers.insert("x-vault-token", value);
        }
        if !outgoing.of_the_node {
            self.shared.newest.ask(&mut headers);
        }
        let unsendable = |what: &'static str| {
            Failure::last(VaultError::Unsendable { asked: outgoing.asked.clone(), what: what.into() })
        };
        let uri =
            Uri::try_from(url.as_str()).map_err(|_| unsendable("the address contains characters that no URL has"))?;
        let body = outgoing.body.clone().map_or_else(Full::default, |body| {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Full::from(body)
        });
        let mut request = http::Request::new(body);
        *request.method_mut() = outgoing.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let response = self.shared.http.send(request).await.map_err(lost)?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.shared.newest.learn(&headers);
        let body = self.shared.reading.body(response.into_body()).await.map_err(|error| match error {
            Unread::Lost(error) => lost(error),
            Unread::TooMuch(error) => {
                self.count(outgoing);
                let what = format!("an answer that was not read on: {error}");
                Failure::last(VaultError::NotVault { asked: outgoing.asked.clone(), what })
            }
        })?;
        self.count(outgoing);
        Ok(Incoming { status, headers, body })
    }

    fn count(&self, outgoing: &Outgoing<'_>) {
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        if outgoing.write {
            self.shared.writes.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A JSON value as bytes. Serialising a `Value` can't fail: its keys are strings.
fn body_of(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// A header's value; `problem` says what is wrong when it can't be one.
fn header(outgoing: &Outgoing<'_>, text: &str, problem: &'static str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(text)
        .map_err(|_| Failure::last(VaultError::Unsendable { asked: outgoing.asked.clone(), what: problem.into() }))
}

/// Where an answer redirects to; `None` when it doesn't.
fn redirect(from: &Url, incoming: &Incoming) -> Option<Url> {
    if !matches!(incoming.status.as_u16(), 301 | 302 | 307 | 308) {
        return None;
    }
    from.join(incoming.headers.get(LOCATION)?.to_str().ok()?).ok()
}
