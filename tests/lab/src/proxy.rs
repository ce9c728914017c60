//! A forwarding proxy that counts: CONNECT, whole URLs, and SOCKS 5, on one port.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::PROXY_AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use crate::passage::acceptor;
use crate::vault::answered;
use crate::{Authority, Context, Result, http};

/// What a proxy is like.
#[derive(Clone, Debug, Default)]
pub struct ProxyOptions {
    /// The names that it knows, each with the port of this machine to which it leads; it leads to nothing else.
    pub names: BTreeMap<String, u16>,
    /// The user and password that it wants.
    pub credentials: Option<(String, String)>,
    /// Speaks TLS itself, as 127.0.0.1, with a certificate of this authority.
    pub authority: Option<Authority>,
}

/// A forwarding proxy. It ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    // Its tasks end with it.
    _runtime: Runtime,
}

#[derive(Debug)]
struct Shared {
    options: ProxyOptions,
    seen: Mutex<Vec<String>>,
    client: reqwest::Client,
}

impl Proxy {
    /// Starts one.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(options: ProxyOptions) -> Self {
        answered(Self::try_start(options))
    }

    fn try_start(options: ProxyOptions) -> Result<Self> {
        let what = || "can't start a proxy".to_owned();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().context(what)?;
        let socket = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).context(what)?;
        let port = socket.local_addr().context(what)?.port();
        let tls = options.authority.as_ref().map(acceptor).transpose()?;
        let client = http::asynchronous("")?;
        let shared = Arc::new(Shared { options, seen: Mutex::default(), client });
        let own = Arc::clone(&shared);
        runtime.spawn(async move {
            // Without a connection there is nobody to tell of an error.
            while let Ok((stream, _)) = socket.accept().await {
                let (shared, tls) = (Arc::clone(&own), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            shared.http(stream).await;
                        }
                        None => shared.either(stream).await,
                    }
                });
            }
        });
        Ok(Self { port, shared, _runtime: runtime })
    }

    /// The port of 127.0.0.1 on which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it was asked for since it was last asked this: `CONNECT host:port`, `GET http://host/…`, `SOCKS host:port`.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.seen())
    }
}

impl Shared {
    fn seen(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a name leads.
    fn way(&self, authority: &str) -> Option<SocketAddr> {
        let (host, _) = authority.rsplit_once(':').unwrap_or((authority, ""));
        self.options.names.get(host).map(|port| (Ipv4Addr::LOCALHOST, *port).into())
    }

    async fn either(self: Arc<Self>, stream: TcpStream) {
        let mut first = [0];
        match stream.peek(&mut first).await {
            Ok(1) if first == [5] => drop(self.socks(stream).await),
            _ => self.http(stream).await,
        }
    }

    async fn http(self: Arc<Self>, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let service = service_fn(|request| {
            let shared = Arc::clone(&self);
            async move { shared.answer(request).await }
        });
        // Whoever went away is not told that it did.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let status = |status: StatusCode| {
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = status;
            Ok(answer)
        };
        self.seen().push(format!("{} {}", request.method(), request.uri()));
        if !self.knows(&request) {
            return status(StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        }
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let Some(way) = self.way(&authority) else { return status(StatusCode::FORBIDDEN) };
        if request.method() == Method::CONNECT {
            let Ok(mut there) = TcpStream::connect(way).await else { return status(StatusCode::BAD_GATEWAY) };
            tokio::spawn(async move {
                if let Ok(here) = hyper::upgrade::on(request).await {
                    // Either may end it.
                    let _ = copy_bidirectional(&mut TokioIo::new(here), &mut there).await;
                }
            });
            return status(StatusCode::OK);
        }
        let what = || "a request can't be passed on".to_owned();
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str).to_owned();
        let mut headers = head.headers;
        headers.remove(PROXY_AUTHORIZATION);
        let body = body.collect().await.context(what)?.to_bytes();
        let request = self.client.request(head.method, format!("http://{way}{path}")).headers(headers).body(body);
        let answer = request.send().await.context(what)?;
        let mut response = Response::new(Full::default());
        *response.status_mut() = answer.status();
        *response.body_mut() = Full::new(answer.bytes().await.context(what)?);
        Ok(response)
    }

    /// Whether who asks may.
    fn knows(&self, request: &Request<Incoming>) -> bool {
        use base64::Engine as _;
        let Some((user, password)) = &self.options.credentials else { return true };
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        request
            .headers()
            .get(PROXY_AUTHORIZATION)
            .is_some_and(|value| value.as_bytes() == format!("Basic {pair}").as_bytes())
    }

    /// RFC 1928 and 1929, as far as it takes to be asked for a name.
    async fn socks(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = [0; 2];
        stream.read_exact(&mut head).await?;
        let mut methods = vec![0; usize::from(head[1])];
        stream.read_exact(&mut methods).await?;
        let wanted = u8::from(self.options.credentials.is_some()) * 2;
        if !methods.contains(&wanted) {
            return stream.write_all(&[5, 0xff]).await;
        }
        stream.write_all(&[5, wanted]).await?;
        if let Some((user, password)) = &self.options.credentials {
            let version = stream.read_u8().await?;
            let (given_user, given_password) = (text(&mut stream).await?, text(&mut stream).await?);
            let is_right = (given_user, given_password) == (user.clone(), password.clone());
            stream.write_all(&[version, u8::from(!is_right)]).await?;
            if !is_right {
                return Ok(());
            }
        }
        let mut request = [0; 4];
        stream.read_exact(&mut request).await?;
        // A name, which is what a client sends that leaves resolving it to the proxy.
        let host = if request[3] == 3 { text(&mut stream).await? } else { return Ok(()) };
        let port = stream.read_u16().await?;
        self.seen().push(format!("SOCKS {host}:{port}"));
        let Some(way) = self.way(&format!("{host}:{port}")) else {
            return stream.write_all(&[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]).await;
        };
        let mut there = TcpStream::connect(way).await?;
        stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        copy_bidirectional(&mut stream, &mut there).await.map(drop)
    }
}

/// A text after its length.
async fn text(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut bytes).await?;
    String::from_utf8(bytes).map_err(std::io::Error::other)
}
