//! Sending a request: the one place where this crate talks to Vault.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tokio::sync::{OnceCell, Semaphore};
use url::Url;

use super::consistency::Newest;
use super::error::{Asked, TokenState, VaultError};
use super::retry::{self, Failure};
use super::tokens::{LoginAnswer, LoginAuth};
use super::{Data, Request, answer, tls, transport};
use crate::error::Result;
use crate::fix::VaultCli;
use crate::input::{self, Reading, Unread};
use crate::policy::Capability;
use crate::reach::{self, Http};
use crate::settings::{HandOn, Proxies, VaultSettings, show};

/// A connection to one Vault, with one token or none.
///
/// Clones share connections and counters, and each reads what the others wrote, whichever node of the Vault answers.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    namespace: Option<String>,
    token: Option<Token>,
    /// Who may have a request under way.
    slots: Arc<Semaphore>,
}

struct Shared {
    http: Http<Full<Bytes>>,
    address: Url,
    proxies: Proxies,
    /// The file of the trusted CAs, where it is one.
    ca_file: Option<PathBuf>,
    hand_on: HandOn,
    max_retries: u32,
    /// How far the storage is, as the newest answer says: it is one for all tokens and namespaces.
    newest: Newest,
    /// What reads the answers.
    reading: Reading,
    /// Done when the active node was asked how far it is.
    caught_up: OnceCell<()>,
    requests: AtomicU64,
    writes: AtomicU64,
}

#[derive(Clone)]
struct Token {
    secret: SecretString,
    /// Where it came from; `None` for one that Vault gave to this run.
    origin: Option<String>,
}

/// How many requests were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All of them, retries and followed redirects included, those that never reached a server not.
    pub requests: u64,
    /// Those that could change something ([`Request::writes`](super::Request::writes)).
    pub writes: u64,
}

/// A request without the type of its answer.
struct Outgoing<'a> {
    method: &'a Method,
    url: Url,
    body: Option<Vec<u8>>,
    needs: &'static [Capability],
    idempotent: bool,
    write: bool,
    of_the_node: bool,
    asked: Box<Asked>,
}

/// What came back.
struct Incoming {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Client {
    /// A client as the settings say. Nothing is sent.
    ///
    /// # Errors
    /// Certificate and key files that can't be read or don't hold what they should.
    pub fn new(settings: &VaultSettings) -> Result<Self> {
        let address = settings.address.value.clone();
        // Less than the whole, so that a connection that doesn't come about is told from an answer that doesn't.
        let to_connect = settings.timeout.mul_f64(0.9).min(Duration::from_secs(10));
        let http = tls::reach(settings, to_connect)?.client();
        let shared = Shared {
            http,
            address,
            proxies: settings.proxies.clone(),
            ca_file: settings.tls.ca_cert.as_ref().map(|file| file.value.clone()),
            hand_on: settings.hand_on(),
            max_retries: settings.max_retries,
            newest: Newest::default(),
            reading: Reading::new(input::ANSWER),
            caught_up: OnceCell::new(),
            requests: AtomicU64::new(0),
            writes: AtomicU64::new(0),
        };
        let token = settings
            .token
            .as_ref()
            .map(|token| Token { secret: token.value.clone(), origin: Some(token.origin.to_string()) });
        let namespace = settings.namespace.as_ref().map(|namespace| namespace.value.clone());
        Ok(Self { shared: Arc::new(shared), namespace, token, slots: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)) })
    }

    /// The same connections and counters, with at most so many requests under way at once, those of clones included.
    #[must_use]
    pub fn with_parallelism(self, requests: usize) -> Self {
        Self { slots: Arc::new(Semaphore::new(requests)), ..self }
    }

    /// The same connections and counters, with another token.
    #[must_use]
    pub fn with_token(&self, token: SecretString) -> Self {
        Self { token: Some(Token { secret: token, origin: None }), ..self.clone() }
    }

    /// The same connections and counters, without a token.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    /// The same connections and counters, for another namespace; `None` is the root namespace.
    #[must_use]
    pub(crate) fn with_namespace(&self, namespace: Option<&str>) -> Self {
        Self { namespace: namespace.map(str::to_owned), ..self.clone() }
    }

    /// The same connections and counters, for the root namespace, where what concerns the whole server is asked.
    #[must_use]
    pub fn without_namespace(&self) -> Self {
        Self { namespace: None, ..self.clone() }
    }

    /// What decides on a proxy between here and this Vault.
    pub(crate) fn proxies(&self) -> &Proxies {
        &self.shared.proxies
    }

    /// Whether there is a token to send.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// The token that requests are sent with.
    pub(crate) fn token(&self) -> Option<&SecretString> {
        self.token.as_ref().map(|token| &token.secret)
    }

    /// Vault's address, without `/v1`.
    pub fn address(&self) -> &Url {
        &self.shared.address
    }

    /// The file of the CAs that this connection trusts, where it is one.
    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.shared.ca_file.as_deref()
    }

    /// What other commands have to be told to reach the same Vault.
    pub(crate) fn cli(&self) -> &VaultCli {
        &self.shared.hand_on.cli
    }

    /// What other commands have to be told.
    pub(crate) fn hand_on(&self) -> &HandOn {
        &self.shared.hand_on
    }

    /// The namespace that requests go to; `None` is the root namespace.
    pub fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Whether a read may miss what was just written: the server has standbys, and gives no index to ask for it by, as OpenBao
    /// before 2.7.
    pub async fn may_be_late(&self) -> bool {
        #[derive(Deserialize)]
        struct Leader {
            ha_enabled: bool,
        }
        if self.shared.newest.is_known() {
            return false;
        }
        let client = self.without_token().without_namespace();
        client.send(&Request::<Leader>::of_the_node("sys/leader")).await.is_ok_and(|leader| leader.ha_enabled)
    }

    /// How many requests this client and its clones have sent.
    pub fn counts(&self) -> Counts {
        Counts {
            requests: self.shared.requests.load(Ordering::Relaxed),
            writes: self.shared.writes.load(Ordering::Relaxed),
        }
    }

    /// Sends a request and reads its answer. An empty answer is read as JSON `null`.
    ///
    /// A failure that may pass is tried again (`VAULT_MAX_RETRIES`, 2 unless set): no connection, 429 with its
    /// `Retry-After`, a standby without an active node or behind it (412); and, where twice is the same as once, a lost
    /// answer and 5xx.
    ///
    /// # Errors
    /// Every [`VaultError`].
    pub async fn send<A: DeserializeOwned>(&self, request: &Request<A>) -> Result<A, VaultError> {
        let outgoing = self.prepare(request)?;
        // Boxed, because every request of this crate would carry its tries within.
        let incoming = match Box::pin(self.exchange(&outgoing)).await {
            Err(VaultError::Sealed { asked }) => return Err(self.sealed_or_new(asked).await),
            answer => answer?,
        };
        answer::read(&outgoing.asked, incoming.status, &incoming.body)
    }

    /// Logs in. A login that would give a token only after a second factor is one that failed: nobody here has any.
    ///
    /// # Errors
    /// Every [`VaultError`].
    pub async fn log_in(&self, request: &Request<LoginAnswer>) -> Result<LoginAuth, VaultError> {
        let auth = self.send(request).await?.auth;
        match auth.second_factors() {
            Some(factors) => Err(VaultError::SecondFactor { asked: Box::new(self.asked(request)), factors }),
            None => Ok(auth),
        }
    }

    /// Like [`Self::send`], but `None` where Vault says that the thing isn't there.
    ///
    /// That is a 404 of Vault's own without a reason, and the 400 with which it answers for a mount that doesn't exist. A
    /// 404 for a path that this Vault doesn't know, or from something that isn't Vault, stays an error.
    ///
    /// # Errors
    /// Every other [`VaultError`].
    pub async fn find<A: DeserializeOwned>(&self, request: &Request<A>) -> Result<Option<A>, VaultError> {
        match self.send(request).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.means_absent() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An answer, or its error as the user meets it, with the reason of a refusal ([`Self::explain_forbidden`]).
    ///
    /// # Errors
    /// Where the answer is one.
    pub async fn explained<A>(&self, answer: Result<A, VaultError>) -> crate::error::Result<A> {
        match answer {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.explain_forbidden(error).await.into()),
        }
    }

    /// Finds out why a request was forbidden, where the answer left it open: asks about the token itself, once.
    ///
    /// OpenBao and older Vaults answer `permission denied` to a token that they don't know and to one that lacks a rule.
    /// Any other error comes back as it is.
    pub async fn explain_forbidden(&self, error: VaultError) -> VaultError {
        let VaultError::Forbidden { asked, needs, errors, token: TokenState::Unproven, .. } = error else {
            return error;
        };
        match self.send(&Request::<Data<TokenPolicies>>::read("auth/token/lookup-self")).await {
            Ok(answer) => {
                let mut policies = answer.data.policies;
                policies.extend(answer.data.identity_policies);
                VaultError::Forbidden { asked, needs, errors, token: TokenState::Valid { policies } }
            }
            Err(VaultError::Forbidden { token: TokenState::Valid { .. }, .. }) => {
                VaultError::Forbidden { asked, needs, errors, token: TokenState::Valid { policies: Vec::new() } }
            }
            Err(VaultError::Forbidden { .. } | VaultError::InvalidToken { .. }) => {
                VaultError::InvalidToken { asked, origin: self.token.as_ref().and_then(|token| token.origin.clone()) }
            }
            Err(_) => VaultError::Forbidden { asked, needs, errors, token: TokenState::Unproven },
        }
    }

    /// Vault says "sealed" also before it was initialised; the remedy is another, so ask.
    async fn sealed_or_new(&self, asked: Box<Asked>) -> VaultError {
        #[derive(Deserialize)]
        struct Init {
            initialized: bool,
        }
        let request = Request::<Init>::of_the_node("sys/init");
        let initialised = match self.without_token().prepare(&request) {
            Ok(outgoing) => match self.without_token().attempt(&outgoing).await {
                Ok(incoming) => serde_json::from_slice::<Init>(&incoming.body).map_or(true, |init| init.initialized),
                Err(_) => true,
            },
            Err(_) => true,
        };
        if initialised { VaultError::Sealed { asked } } else { VaultError::Uninitialised { asked } }
    }

    /// A request, for errors.
    fn asked<A>(&self, request: &Request<A>) -> Asked {
        Asked {
            method: request.method.clone(),
            path: request.path.clone(),
            address: show(&self.shared.address).to_owned(),
            namespace: self.namespace.clone(),
            cli: self.shared.hand_on.cli.clone(),
        }
    }

    fn prepare<'a, A>(&self, request: &'a Request<A>) -> Result<Outgoing<'a>, VaultError> {
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
    async fn exchange(&self, outgoing: &Outgoing<'_>) -> Result<Incoming, VaultError> {
        let Shared { newest, caught_up, .. } = &*self.shared;
        let reads = outgoing.idempotent && !outgoing.write && !outgoing.of_the_node;
        // An index alone says nothing: a standby gives its own, as of a node that speaks for itself, or of a refusal.
        let unsure = reads && self.has_token() && !caught_up.initialized();
        let first = self.try_often(outgoing).await;
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
                caught_up.get_or_try_init(async || self.catch_up().await).await?;
                if newest.is_known() { self.try_often(outgoing).await } else { first }
            }
            _ => first,
        }
    }

    /// Asks what only the active node can answer, for the index of its answer.
    async fn catch_up(&self) -> Result<(), VaultError> {
        let client = self.without_namespace();
        let request = Request::<IgnoredAny>::read("sys/ha-status");
        match client.try_often(&client.prepare(&request)?).await {
            // This node finds no active one: what it has may be of any age.
            Err(error @ (VaultError::Redirected { .. } | VaultError::Standby { .. })) => Err(error),
            // A token that may not ask gets what this node has, which is late by as long as its replication takes.
            _ => Ok(()),
        }
    }

    /// Sends until there is an answer, or no point in asking again.
    async fn try_often(&self, outgoing: &Outgoing<'_>) -> Result<Incoming, VaultError> {
        let mut waits = retry::waits(self.shared.max_retries);
        loop {
            match self.attempt(outgoing).await {
                Ok(incoming) => return Ok(incoming),
                Err(failure) => match retry::next(&failure, outgoing.idempotent, &mut waits) {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => return Err(failure.error),
                },
            }
        }
    }

    /// One attempt, and one more where a redirect leads to another path of the same server.
    async fn attempt(&self, outgoing: &Outgoing<'_>) -> Result<Incoming, Failure> {
        // Nobody closes it, so that there is always a slot to come.
        let _slot = self.slots.acquire().await.ok();
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
        let lost = |failure: reach::Failure| {
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

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("address", &show(&self.shared.address))
            .field("namespace", &self.namespace)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

/// What `auth/token/lookup-self` says about a token's policies.
#[derive(Debug, Deserialize)]
struct TokenPolicies {
    #[serde(default)]
    policies: Vec<String>,
    #[serde(default)]
    identity_policies: Vec<String>,
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
