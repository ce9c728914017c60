//! A connection to Vault: the one place where this crate talks to it. `exchange` has the requests on their way.

mod exchange;
mod pace;
mod slots;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use secrecy::SecretString;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OnceCell, Semaphore};
use url::Url;

use self::pace::Pace;
use self::slots::Slots;
use super::consistency::Newest;
use super::error::{Asked, TokenState, VaultError};
use super::tokens::{LoginAnswer, LoginAuth};
use super::{Data, Request, answer, tls};
use crate::error::Result;
use crate::fix::VaultCli;
use crate::input::{self, Reading};
use crate::reach::Http;
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
    slots: Arc<Slots>,
}

struct Shared {
    http: Http<Full<Bytes>>,
    address: Url,
    proxies: Proxies,
    /// The file of the trusted CAs, where it is one.
    ca_file: Option<PathBuf>,
    hand_on: HandOn,
    max_retries: u32,
    /// What the server's limits make of this run.
    pace: Pace,
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
            // Who doesn't want to try twice doesn't want to wait either.
            pace: Pace::new(if settings.max_retries == 0 { Duration::ZERO } else { settings.timeout }),
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
        Ok(Self { shared: Arc::new(shared), namespace, token, slots: Arc::new(Slots::new(Semaphore::MAX_PERMITS)) })
    }

    /// The same connections and counters, with at most so many requests under way at once, those of clones included.
    #[must_use]
    pub fn with_parallelism(self, requests: usize) -> Self {
        Self { slots: Arc::new(Slots::new(requests)), ..self }
    }

    /// What is called once, should this run have to wait because the server limits the rate of requests.
    pub(crate) fn on_wait(&self, tell: impl FnOnce() + Send + 'static) {
        self.shared.pace.on_wait(tell);
    }

    /// From now on nothing waits for long where the server limits the rate of requests: whoever runs this waits for the end.
    pub(crate) fn hurry(&self) {
        self.shared.pace.hurry();
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
    /// A failure that may pass is tried again (`VAULT_MAX_RETRIES`, 2 unless set): no connection, a standby without an active
    /// node or behind it (412); and, where twice is the same as once, a lost answer and 5xx. What a limit of rates turns away (429)
    /// is asked again, more slowly, for as long as an answer may take.
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
            Ok(outgoing) => match self.without_token().attempt(&outgoing, self.slots.take().await).await {
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
