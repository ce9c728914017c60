use std::sync::Arc;

use hyper::body::Bytes;
use hyper::header::HeaderMap;
use serde_json::Value;

use crate::passage::{Alter, Passage};
use crate::vault::answered;
use crate::{Authority, Context, Result};

/// What makes a Vault answer as the community edition of Vault does where namespaces are concerned: it says which edition it is, and
/// takes every request as one for the root namespace. It ends when dropped.
#[derive(Debug)]
pub struct CommunityEdition {
    passage: Passage,
}

struct WithoutNamespaces;

impl CommunityEdition {
    /// Starts one in front of the Vault at this address. It has its certificate from the authority that Vault's is from.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(vault: &str, authority: &Authority) -> Self {
        Self { passage: answered(Passage::start(vault, authority, Arc::new(WithoutNamespaces))) }
    }

    /// Where it listens, for `VAULT_ADDR`: `https://127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.passage.address()
    }
}

impl Alter for WithoutNamespaces {
    fn headers(&self, mut headers: HeaderMap) -> HeaderMap {
        headers.remove("x-vault-namespace");
        headers
    }

    fn body(&self, path: &str, body: Bytes) -> Result<Bytes> {
        if path != "/v1/sys/health" {
            return Ok(body);
        }
        let mut health: Value = serde_json::from_slice(&body).context(|| "an answer is no JSON".to_owned())?;
        health["enterprise"] = false.into();
        Ok(health.to_string().into())
    }
}
