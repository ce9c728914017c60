//! Requests and answers.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::PROXY_AUTHORIZATION;
use http::{Request, Response, StatusCode};
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, Sleep};
use tower::Service;

use super::Reach;
use super::connector::Connector;
use super::failure::{ExchangeFailure, ProxyFault, ProxyProblem, Unreachable};
use super::proxied;
use crate::settings::Protocol;

/// What sends requests on one way. Clones share connections. Redirects are answers, and nothing that was sent is sent twice.
#[derive(Debug)]
pub struct Http<B> {
    client: Client<Connector, B>,
    connector: Connector,
    to_answer: Duration,
}

impl<B> Clone for Http<B> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), connector: self.connector.clone(), to_answer: self.to_answer }
    }
}

impl<B> Http<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) fn new(reach: &Reach) -> Self {
        let connector = Connector::new(reach);
        let client = Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector.clone());
        Self { client, connector, to_answer: reach.to_answer }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When no answer came, or none in time.
    pub async fn send(&self, request: Request<B>) -> Result<Response<Reply>, ExchangeFailure> {
        let end = Instant::now() + self.to_answer;
        match tokio::time::timeout_at(end, self.answer(request)).await {
            Ok(answer) => Ok(answer?.map(|body| Reply {
                body,
                end: Box::pin(tokio::time::sleep_until(end)),
                after: self.to_answer,
            })),
            Err(_) => Err(late(self.to_answer)),
        }
    }

    async fn answer(&self, mut request: Request<B>) -> Result<Response<Incoming>, ExchangeFailure> {
        // A proxy that reads the request is shown who asks with it; one that doesn't, as the connection is made.
        let reader = match request.uri().scheme_str() {
            Some("http") => self.connector.proxy(request.uri())?.filter(|proxy| proxy.protocol != Protocol::Socks5),
            _ => None,
        };
        if let Some(value) =
            reader.as_ref().and_then(|proxy| proxy.credentials.as_ref()).and_then(proxied::authorization)
        {
            request.headers_mut().insert(PROXY_AUTHORIZATION, value);
        }
        let answer = self.client.request(request).await.map_err(|error| ExchangeFailure::of_exchange(&error))?;
        match reader {
            Some(proxy) if answer.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                let fault = ProxyFault::Credentials("407 Proxy Authentication Required".to_owned());
                Err(ExchangeFailure::of_proxy(ProxyProblem::new(&proxy, fault)))
            }
            _ => Ok(answer),
        }
    }
}

impl<B> Service<Request<B>> for Http<B>
where
    B: Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Reply>;
    type Error = ExchangeFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Reply>, ExchangeFailure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ExchangeFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let http = self.clone();
        Box::pin(async move { http.send(request).await })
    }
}

/// The body of an answer, which is to have arrived by a time.
#[derive(Debug)]
pub struct Reply {
    body: Incoming,
    end: Pin<Box<Sleep>>,
    after: Duration,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = ExchangeFailure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ExchangeFailure>>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(late(self.after))));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(frame.map(|frame| frame.map_err(|error| ExchangeFailure::of(&error, false))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn late(after: Duration) -> ExchangeFailure {
    ExchangeFailure::unreachable(Unreachable::AnswerTimeout, format!("no answer within {after:?}"), false)
}
