//! Credentials on their way: each request says who asks.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Request;
use http::header::AUTHORIZATION;
use tower::{BoxError, Layer, Service};

use super::KubeCredentials;

/// Has each request say who asks.
#[derive(Clone)]
pub(crate) struct Presenting(KubeCredentials);

impl Presenting {
    pub(crate) fn new(credentials: KubeCredentials) -> Self {
        Self(credentials)
    }
}

impl<S> Layer<S> for Presenting {
    type Service = PresentingService<S>;

    fn layer(&self, inner: S) -> PresentingService<S> {
        PresentingService { credentials: self.0.clone(), inner }
    }
}

/// A service whose requests say who asks.
#[derive(Clone)]
pub(crate) struct PresentingService<S> {
    credentials: KubeCredentials,
    inner: S,
}

impl<S, B> Service<Request<B>> for PresentingService<S>
where
    S: Service<Request<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let credentials = self.credentials.clone();
        // The one that is ready goes with the request; the next has a clone.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        Box::pin(async move {
            if let Some(value) = credentials.header().await? {
                request.headers_mut().insert(AUTHORIZATION, value);
            }
            inner.call(request).await.map_err(Into::into)
        })
    }
}
