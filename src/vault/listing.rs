//! Names in a list, all of them.
//!
//! A policy of OpenBao's may let a token see a page at a time (`pagination_limit`), and the server then answers with the first page, without a
//! word that it is one. Who asks for more than a page is refused. So more is asked for at once, which costs a token without such a limit
//! nothing; and after a refusal page after page, each from the last name of the one before. A server that knows neither ignores both.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::request::encoded;
use super::{Client, Data, Request, VaultError};
use crate::model::null_as_default;

/// A path below which there are names.
#[derive(Debug, Clone)]
pub struct Listing(String);

/// The names of a listing.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Keys {
    /// The names.
    #[serde(deserialize_with = "null_as_default")]
    pub keys: Vec<String>,
}

/// More than any list has.
const ALL: &str = "limit=1000000000";

impl Listing {
    /// The names below a path.
    pub fn new(path: impl Into<String>) -> Self {
        Self(path.into())
    }

    fn request(&self) -> Request<Data<Keys>> {
        Request::list(self.0.as_str())
    }
}

impl Client {
    /// Lists names, all of them; `None` where there are none, or nothing that could have any.
    ///
    /// # Errors
    /// What else Vault says in place of an answer; a page that is refused makes the list one that may not be seen.
    pub async fn list(&self, listing: &Listing) -> Result<Option<Vec<String>>, VaultError> {
        match self.find(&listing.request().with_query(ALL)).await {
            // There may be no rule at all for it; then this is refused as well.
            Err(VaultError::Forbidden { .. }) => self.page_by_page(listing).await,
            answer => Ok(answer?.map(|names| names.data.keys)),
        }
    }

    async fn page_by_page(&self, listing: &Listing) -> Result<Option<Vec<String>>, VaultError> {
        let Some(first) = self.find(&listing.request()).await? else { return Ok(None) };
        let mut names = first.data.keys;
        let mut known: BTreeSet<String> = names.iter().cloned().collect();
        while let Some(last) = names.last() {
            let after = format!("after={}", encoded(last).replace('/', "%2F"));
            let Some(page) = self.find(&listing.request().with_query(after)).await? else { break };
            let new: Vec<String> = page.data.keys.into_iter().filter(|name| known.insert(name.clone())).collect();
            if new.is_empty() {
                break;
            }
            names.extend(new);
        }
        Ok(Some(names))
    }
}
