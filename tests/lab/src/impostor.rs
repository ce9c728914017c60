use std::sync::Arc;

use hyper::body::Bytes;
use serde_json::Value;

use crate::passage::{Alter, Passage};
use crate::vault::answered;
use crate::{Authority, Context, Result};

/// What passes requests on to a server, as somebody would who wants to be taken for it: with a certificate of an authority
/// of their own. It ends when dropped.
#[derive(Debug)]
pub struct Impostor {
    passage: Passage,
}

/// What it adds to the answers to a path.
struct Added {
    path: String,
    fields: Value,
}

impl Impostor {
    /// Starts one in front of the server at this address, which has its certificate from `its_ca`.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(server: &str, its_ca: &str, authority: &Authority) -> Self {
        Self::adding(server, its_ca, authority, "", Value::Null)
    }

    /// The same, which sets these fields in the `data` of what is answered at a path.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn adding(server: &str, its_ca: &str, authority: &Authority, path: &str, fields: Value) -> Self {
        let added = Arc::new(Added { path: path.to_owned(), fields });
        Self { passage: answered(Passage::between(server, its_ca, authority, added)) }
    }

    /// Where it listens: `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        self.passage.address()
    }
}

impl Alter for Added {
    fn body(&self, path: &str, body: Bytes) -> Result<Bytes> {
        if path != self.path || body.is_empty() {
            return Ok(body);
        }
        let mut answer: Value = serde_json::from_slice(&body).context(|| "an answer is no JSON".to_owned())?;
        for (name, value) in self.fields.as_object().into_iter().flatten() {
            answer["data"][name] = value.clone();
        }
        Ok(answer.to_string().into())
    }
}
