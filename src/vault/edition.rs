//! Which edition of Vault answers, as it says to anybody (`GET sys/health`). It decides what a namespace means there.

use serde::Deserialize;

use super::client::Client;
use super::error::{Asked, VaultError};
use super::request::Request;
use crate::settings::show;

/// An edition of Vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edition {
    /// HashiCorp's free one. It has no namespaces, and takes a request for one as a request for its root.
    Community,
    /// HashiCorp's other one.
    Enterprise,
    /// OpenBao, which says nothing of editions.
    OpenBao,
}

impl Client {
    /// The edition that answers.
    ///
    /// # Errors
    /// Every [`VaultError`].
    pub async fn edition(&self) -> Result<Edition, VaultError> {
        #[derive(Deserialize)]
        struct Health {
            enterprise: Option<bool>,
            #[serde(default)]
            version: String,
        }
        let health = Request::<Health>::of_the_node("sys/health").with_query("standbyok=true&perfstandbyok=true");
        let health = self.without_token().without_namespace().send(&health).await?;
        Ok(match health.enterprise {
            Some(false) => Edition::Community,
            Some(true) => Edition::Enterprise,
            // Vault says it since 1.16; before, the version of the other edition ends with what it is.
            None if health.version.starts_with("1.") && !health.version.contains("+ent") => Edition::Community,
            None if health.version.starts_with("1.") => Edition::Enterprise,
            None => Edition::OpenBao,
        })
    }

    /// Sees to it that what is written for a namespace isn't written to the root of a server that has none.
    ///
    /// # Errors
    /// [`VaultError::NoNamespaces`]; and every other one, where that can't be seen.
    pub async fn require_namespaces(&self) -> Result<(), VaultError> {
        if self.namespace().is_none() || self.edition().await? != Edition::Community {
            return Ok(());
        }
        let asked = Asked {
            method: http::Method::GET,
            path: "sys/health".to_owned(),
            address: show(self.address()).to_owned(),
            namespace: self.namespace().map(str::to_owned),
            cli: self.cli().clone(),
        };
        Err(VaultError::NoNamespaces { asked: Box::new(asked) })
    }
}
