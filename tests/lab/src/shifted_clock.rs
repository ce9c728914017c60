use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

use crate::vault::answered;
use crate::{Authority, Context, Result, http};

/// What passes requests on to a Vault, and lets it tell another time (`sys/health`). It ends when dropped.
///
/// All servers of the lab have the clock of this machine, which is not the lab's to set. What Vault does by its clock stays
/// right: only what it says of it is wrong.
#[derive(Debug)]
pub struct ShiftedClock {
    address: String,
    seconds: Arc<AtomicI64>,
    // Its tasks end with it.
    _runtime: Runtime,
}

/// The way to Vault.
struct Passage {
    vault: String,
    client: reqwest::Client,
    seconds: Arc<AtomicI64>,
}

impl ShiftedClock {
    /// Starts one in front of the Vault at this address. It has its certificate from the authority that Vault's is from.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(vault: &str, authority: &Authority) -> Self {
        answered(Self::try_start(vault, authority))
    }

    fn try_start(vault: &str, authority: &Authority) -> Result<Self> {
        let what = || "can't start what stands in front of Vault".to_owned();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().context(what)?;
        let socket = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).context(what)?;
        let address = format!("https://{}", socket.local_addr().context(what)?);
        let seconds = Arc::new(AtomicI64::new(0));
        let (client, tls) = (http::asynchronous(authority.pem())?, acceptor(authority)?);
        let passage = Arc::new(Passage { vault: vault.to_owned(), client, seconds: Arc::clone(&seconds) });
        runtime.spawn(async move {
            // Without a connection there is nobody to tell of an error.
            while let Ok((stream, _)) = socket.accept().await {
                tokio::spawn(connection(stream, tls.clone(), Arc::clone(&passage)));
            }
        });
        Ok(Self { address, seconds, _runtime: runtime })
    }

    /// Where it listens, for `VAULT_ADDR`: `https://127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Lets Vault's clock be ahead by so many seconds, or behind.
    pub fn shift(&self, seconds: i64) {
        self.seconds.store(seconds, Ordering::Relaxed);
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, passage: Arc<Passage>) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(|request| passage.answer(request));
    // Whoever went away is not told that it did.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

impl Passage {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let what = || "a request can't be passed on to Vault".to_owned();
        let (head, body) = request.into_parts();
        let body = body.collect().await.context(what)?.to_bytes();
        let request = self.client.request(head.method, format!("{}{}", self.vault, head.uri));
        let answer = request.headers(end_to_end(head.headers)).body(body).send().await.context(what)?;
        let (status, headers) = (answer.status(), end_to_end(answer.headers().clone()));
        let mut body = answer.bytes().await.context(what)?;
        if head.uri.path() == "/v1/sys/health" {
            body = self.shifted(&body).context(what)?.into();
        }
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    /// An answer of `sys/health`, with another time if it tells one.
    fn shifted(&self, body: &[u8]) -> serde_json::Result<String> {
        let mut health: Value = serde_json::from_slice(body)?;
        if let Some(time) = health["server_time_utc"].as_i64() {
            health["server_time_utc"] = (time + self.seconds.load(Ordering::Relaxed)).into();
        }
        Ok(health.to_string())
    }
}

/// Headers without those that are of one connection alone.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}

fn acceptor(authority: &Authority) -> Result<TlsAcceptor> {
    let what = || "can't make a certificate for what stands in front of Vault".to_owned();
    let folder = tempfile::tempdir().context(what)?;
    let files = authority.server_certificate(folder.path(), "clock", &["127.0.0.1"])?;
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
