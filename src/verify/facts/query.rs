//! What a question is.

use std::any::Any;
use std::fmt::Debug;

use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Servers;

/// What captures call a question; each has a row in the table of all (`questions`).
pub(crate) trait Named {
    /// Its name.
    const NAME: &'static str;
}

/// A question to a server. What it is about is in its fields: two that are written the same have the same answer.
pub(crate) trait Query: Named + Serialize + Debug + Clone + Send + Sync + 'static {
    /// What comes of it. A refusal, and a server that gives no answer, are answers as well. No answer holds a token, or a secret's value:
    /// it is written into captures as it is.
    type Answer: Serialize + DeserializeOwned + Send + Sync + 'static;

    /// Asks it.
    fn ask(&self, servers: &Servers) -> impl Future<Output = Self::Answer> + Send;
}

/// An answer to a question of whatever kind.
pub(super) trait Answer: Any + Send + Sync {
    /// As it stands in a capture.
    fn written(&self) -> Result<Value, serde_json::Error>;
}

impl<T: Serialize + Any + Send + Sync> Answer for T {
    fn written(&self) -> Result<Value, serde_json::Error> {
        serde_json::to_value(self)
    }
}

/// Which question it is: its name, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// As JSON, with the fields of each object in order.
    pub(super) about: String,
}

impl Key {
    /// That of a question about this.
    pub(super) fn new(name: &'static str, mut about: Value) -> Self {
        about.sort_all_objects();
        Self { name, about: about.to_string() }
    }

    /// That of a question.
    pub(super) fn of<Q: Query>(query: &Q) -> Self {
        // Names, paths and numbers, which can always be written.
        Self::new(Q::NAME, serde_json::to_value(query).unwrap_or_else(|_| format!("{query:?}").into()))
    }
}

/// A question of whatever kind.
pub(super) trait Question: Debug + Send + Sync {
    /// Which one it is.
    fn key(&self) -> Key;

    /// Asks it.
    fn put<'a>(&'a self, servers: &'a Servers) -> BoxFuture<'a, Box<dyn Answer>>;
}

impl<Q: Query> Question for Q {
    fn key(&self) -> Key {
        Key::of(self)
    }

    fn put<'a>(&'a self, servers: &'a Servers) -> BoxFuture<'a, Box<dyn Answer>> {
        Box::pin(async move { Box::new(self.ask(servers).await) as Box<dyn Answer> })
    }
}
