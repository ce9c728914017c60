//! What a question is.

use std::any::{Any, TypeId};
use std::fmt::Debug;

use futures::future::BoxFuture;
use serde::Serialize;

use super::{Facts, Key};

/// A question to a server. What it is about is in its fields: two that are written the same have the same answer.
pub(crate) trait Query: Serialize + Debug + Clone + Send + Sync + 'static {
    /// What comes of it. A refusal, and a server that gives no answer, are answers as well.
    type Answer: Send + Sync + 'static;

    /// Asks it.
    fn ask(&self, facts: &Facts) -> impl Future<Output = Self::Answer> + Send;
}

/// A question of whatever kind.
pub(super) trait Question: Debug + Send + Sync {
    /// Which one it is.
    fn key(&self) -> Key;

    /// Asks it.
    fn put<'a>(&'a self, facts: &'a Facts) -> BoxFuture<'a, Box<dyn Any + Send + Sync>>;
}

impl<Q: Query> Question for Q {
    fn key(&self) -> Key {
        key(self)
    }

    fn put<'a>(&'a self, facts: &'a Facts) -> BoxFuture<'a, Box<dyn Any + Send + Sync>> {
        Box::pin(async move { Box::new(self.ask(facts).await) as Box<dyn Any + Send + Sync> })
    }
}

/// The kind of a question, and which one of that kind it is.
pub(super) fn key<Q: Query>(query: &Q) -> Key {
    // Names, paths and numbers, which can always be written.
    let written = serde_json::to_string(query).unwrap_or_else(|_| format!("{query:?}"));
    (TypeId::of::<Q>(), written)
}
