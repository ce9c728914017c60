//! A web server that somebody else runs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;

use crate::Authority;
use crate::passage::{Alter, Fate, Passage};
use crate::vault::answered;

/// A web server with pages that can be changed. It ends when dropped.
#[derive(Debug)]
pub struct Pages {
    passage: Passage,
    shown: Arc<Shown>,
}

#[derive(Debug, Default)]
struct Shown(Mutex<BTreeMap<String, String>>);

impl Pages {
    /// Starts one without pages, with a certificate from this authority.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(authority: &Authority) -> Self {
        let shown = Arc::new(Shown::default());
        // Nothing is ever passed on.
        Self { passage: answered(Passage::start("https://127.0.0.1:9", authority, Arc::clone(&shown))), shown }
    }

    /// Where it listens: `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        self.passage.address()
    }

    /// Lets this be the page of a path from now on.
    pub fn serve(&self, path: &str, body: impl Into<String>) {
        self.shown.0.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), body.into());
    }
}

impl Alter for Shown {
    fn fate(&self, path: &str) -> Fate {
        let page = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        let mut answer = Response::new(Full::new(Bytes::from(page.clone().unwrap_or_default())));
        if page.is_none() {
            *answer.status_mut() = hyper::StatusCode::NOT_FOUND;
        }
        Fate::Answered(answer)
    }
}
