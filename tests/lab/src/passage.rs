use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use crate::{Authority, Context, Error, Result, http};

/// What becomes of a request on its way to Vault.
pub(crate) enum Fate {
    /// Vault answers it.
    PassedOn,
    /// This is the answer, and Vault never sees it.
    Answered(Response<Full<Bytes>>),
    /// The connection ends in place of an answer; of those that Vault sees, after it has answered.
    Cut { seen: bool },
}

/// A point at which a request is held until somebody says whether it goes on; if not, its connection ends.
pub(crate) struct Stop {
    /// Told when it is there.
    pub(crate) reached: std::sync::mpsc::Sender<()>,
    /// What is said.
    pub(crate) goes_on: oneshot::Receiver<bool>,
}

/// Where a request is held.
pub(crate) enum Hold {
    /// Nowhere.
    Nowhere,
    /// Before Vault sees it.
    Before(Stop),
    /// Once Vault has answered it.
    Answered(Stop),
}

impl Stop {
    async fn wait(self) -> Result<()> {
        // Whoever asked for it may be gone, and then nobody waits.
        let _gone = self.reached.send(());
        if self.goes_on.await.unwrap_or(false) { Ok(()) } else { Err(cut()) }
    }
}

fn cut() -> Error {
    Error::new("the connection is to be cut".to_owned())
}

/// What is otherwise with what stands in front of Vault.
pub(crate) trait Alter: Send + Sync + 'static {
    /// Is told of each request that arrives.
    fn asked(&self, _method: &Method, _path: &str) {}

    /// Where a request is held that arrived just now.
    fn hold(&self, _method: &Method) -> Hold {
        Hold::Nowhere
    }

    /// The path of a request, with its query, as it goes on.
    fn path<'a>(&self, path: &'a str) -> &'a str {
        path
    }

    /// The headers of a request, as they go on.
    fn headers(&self, headers: HeaderMap) -> HeaderMap {
        headers
    }

    /// What becomes of a request to a path.
    fn fate(&self, _path: &str) -> Fate {
        Fate::PassedOn
    }

    /// The body of Vault's answer to a request to a path, as it goes on.
    ///
    /// # Errors
    /// When it is none that can be altered.
    fn body(&self, _path: &str, body: Bytes) -> Result<Bytes> {
        Ok(body)
    }
}

/// What passes requests on to a Vault, and alters some. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Passage {
    address: String,
    // Its tasks end with it.
    _runtime: Runtime,
}

/// The way to Vault.
struct Way<A> {
    vault: String,
    client: reqwest::Client,
    alter: Arc<A>,
}

impl Passage {
    /// Starts one in front of the Vault at this address, with a certificate from the authority that Vault's is from.
    pub(crate) fn start(vault: &str, authority: &Authority, alter: Arc<impl Alter>) -> Result<Self> {
        Self::between(vault, authority.pem(), authority, alter)
    }

    /// The same in front of any server, whose certificate is from another authority than its own.
    pub(crate) fn between(server: &str, its_ca: &str, authority: &Authority, alter: Arc<impl Alter>) -> Result<Self> {
        let what = || "can't start what stands in front of Vault".to_owned();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().context(what)?;
        let socket = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).context(what)?;
        let address = format!("https://{}", socket.local_addr().context(what)?);
        let (client, tls) = (http::asynchronous(its_ca)?, acceptor(authority)?);
        let way = Arc::new(Way { vault: server.to_owned(), client, alter });
        runtime.spawn(async move {
            // Without a connection there is nobody to tell of an error.
            while let Ok((stream, _)) = socket.accept().await {
                tokio::spawn(connection(stream, tls.clone(), Arc::clone(&way)));
            }
        });
        Ok(Self { address, _runtime: runtime })
    }

    /// Where it listens, for `VAULT_ADDR`: `https://127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, way: Arc<Way<impl Alter>>) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(|request| way.answer(request));
    // Whoever went away is not told that it did. An error of the service ends the connection.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl<A: Alter> Way<A> {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let what = || "a request can't be passed on to Vault".to_owned();
        self.alter.asked(request.method(), request.uri().path());
        let answered = match self.alter.hold(request.method()) {
            Hold::Nowhere => None,
            Hold::Before(stop) => {
                stop.wait().await?;
                None
            }
            Hold::Answered(stop) => Some(stop),
        };
        let fate = self.alter.fate(request.uri().path());
        let cut_after = match fate {
            Fate::PassedOn => false,
            Fate::Answered(answer) => return Ok(answer),
            Fate::Cut { seen: false } => return Err(cut()),
            Fate::Cut { seen: true } => true,
        };
        let (head, body) = request.into_parts();
        let body = body.collect().await.context(what)?.to_bytes();
        let request =
            self.client.request(head.method, format!("{}{}", self.vault, self.alter.path(&head.uri.to_string())));
        let answer =
            request.headers(self.alter.headers(end_to_end(head.headers))).body(body).send().await.context(what)?;
        let (status, headers) = (answer.status(), end_to_end(answer.headers().clone()));
        let body = answer.bytes().await.context(what)?;
        if let Some(stop) = answered {
            stop.wait().await?;
        }
        if cut_after {
            return Err(cut());
        }
        let body = self.alter.body(head.uri.path(), body)?;
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// Headers without those that are of one connection alone.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}

pub(crate) fn acceptor(authority: &Authority) -> Result<TlsAcceptor> {
    let what = || "can't make a certificate for what stands in front of Vault".to_owned();
    let folder = tempfile::tempdir().context(what)?;
    let files = authority.server_certificate(folder.path(), "passage", &["127.0.0.1"])?;
    let certificate = CertificateDer::from_pem_file(files.certificate).context(what)?;
    let key = PrivateKeyDer::from_pem_file(files.key).context(what)?;
    let config = ServerConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .context(what)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .context(what)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
