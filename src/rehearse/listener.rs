//! A stand-in on the network: HTTPS on a loopback port, with a certificate of an authority of its own.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::api::Api;
use crate::error::{Error, Result};

/// The most that a request's body may hold.
const BODY_LIMIT: usize = 1 << 20;

/// A port with a certificate for it.
pub(super) struct Listener {
    socket: TcpListener,
    tls: TlsAcceptor,
    /// `https://127.0.0.1:PORT`.
    pub(super) url: String,
    /// The certificate of the authority, DER.
    pub(super) authority: CertificateDer<'static>,
}

impl Listener {
    /// Takes a free port. Who connects waits until [`Self::serve`].
    pub(super) async fn bind(cluster: &str) -> Result<Self> {
        let failed = |cause: &dyn std::fmt::Display| {
            Error::failed(format!("the stand-in for cluster {cluster} can't listen on 127.0.0.1: {cause}"))
        };
        let socket = TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| failed(&error))?;
        let port = socket.local_addr().map_err(|error| failed(&error))?.port();
        let (authority, config) = certificate(cluster).map_err(|error| failed(&error))?;
        let tls = TlsAcceptor::from(Arc::new(config));
        Ok(Self { socket, tls, url: format!("https://127.0.0.1:{port}"), authority })
    }

    /// Answers until the returned tasks are dropped.
    pub(super) fn serve(self, api: Arc<Api>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let Self { socket, tls, .. } = self;
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                // What can't be accepted now may be later, such as for want of file descriptors.
                let Ok((stream, _)) = socket.accept().await else {
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    continue;
                };
                connections.spawn(connection(stream, tls.clone(), Arc::clone(&api)));
                while connections.try_join_next().is_some() {}
            }
        });
        tasks
    }
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, api: Arc<Api>) {
    // Without it, an answer of two segments waits for the acknowledgement of the first.
    let _slower = stream.set_nodelay(true);
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(|request| answer(Arc::clone(&api), request));
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new());
    // Whoever went away is not told that it did.
    let _gone = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(api: Arc<Api>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let bearer = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let body = Limited::new(body, BODY_LIMIT).collect().await.map(Collected::to_bytes).unwrap_or_default();
    let answer = api.answer(&head.method, head.uri.path(), bearer, &body).await;
    let mut response = Response::new(Full::new(Bytes::from(answer.body.to_string())));
    *response.status_mut() = answer.status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(answer.content_type));
    Ok(response)
}

/// An authority, and a server's certificate from it.
fn certificate(cluster: &str) -> Result<(CertificateDer<'static>, ServerConfig), Box<dyn std::error::Error>> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, format!("rehearsal of {cluster}"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&key)?;
    let issuer = Issuer::new(authority, key);

    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, &issuer)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.into()], key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((authority_certificate.into(), config))
}
