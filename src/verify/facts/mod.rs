//! What is known of the servers, and what is yet to be asked.
//!
//! A check is a pure function of facts. One that it needs and that isn't known yet ends it with a [`Stop`], which says what to ask; whoever runs the
//! check has that fetched, and runs it again. So nothing is asked that no check wants, and nothing twice.
//!
//! - `query`: what a question is;
//! - `servers`: who is asked, and the tokens of the logins, which never become facts;
//! - `vault`, `cluster`, `login`, `network`, `stores`: the questions.

pub(crate) mod cluster;
pub(crate) mod login;
pub(crate) mod network;
mod query;
mod servers;
pub(crate) mod stores;
pub(crate) mod vault;

use std::any::{Any, TypeId};

use elsa::sync::FrozenMap;
use tokio::sync::OnceCell;

pub(crate) use query::Query;
use query::Question;
pub(crate) use servers::Servers;

/// What is made of facts; else what has to be asked first.
pub(crate) type Known<T> = Result<T, Stop>;

/// Something isn't known yet: these questions have to be asked first.
#[derive(Debug)]
pub(crate) struct Stop(Vec<Box<dyn Question>>);

/// Something about which facts are known.
pub(crate) trait Knows {
    /// What is known.
    fn facts(&self) -> &Facts;
}

/// The kind of a question, and which one of that kind it is.
type Key = (TypeId, String);

/// An answer, once it came. Several may ask for it at the same time.
type Slot = OnceCell<Box<dyn Any + Send + Sync>>;

/// What is known of the servers. Nothing of it changes: an answer, once given, stays.
pub(crate) struct Facts {
    slots: FrozenMap<Key, Box<Slot>>,
    /// Who is asked.
    pub(super) servers: Servers,
}

impl Facts {
    /// Nothing, so far.
    pub(crate) fn new(servers: Servers) -> Self {
        Self { slots: FrozenMap::new(), servers }
    }

    /// The answer to a question.
    pub(crate) fn get<Q: Query>(&self, query: &Q) -> Known<&Q::Answer> {
        self.known(query).ok_or_else(|| Stop(vec![Box::new(query.clone())]))
    }

    /// The answer to a question, where somebody has asked it already.
    pub(crate) fn known<Q: Query>(&self, query: &Q) -> Option<&Q::Answer> {
        // A key has the type of its question, and so the answer the type of its answers.
        self.slots.get(&query::key(query))?.get()?.downcast_ref()
    }

    /// Looks, and has asked whatever is not known yet, until there is nothing more to ask.
    pub(crate) async fn settle<T>(&self, look: impl Fn() -> Known<T>) -> T {
        loop {
            match look() {
                Ok(found) => return found,
                Err(Stop(questions)) => {
                    // Each once, however many ask for it at the same time.
                    let asked = questions.iter().map(async |question| {
                        let slot = self.slot(question.key());
                        slot.get_or_init(async || question.put(self).await).await;
                    });
                    futures::future::join_all(asked).await;
                }
            }
        }
    }

    fn slot(&self, key: Key) -> &Slot {
        self.slots.insert(key, Box::default())
    }
}

/// All of these; where some are not known yet, what has to be asked for any of them is asked at once.
pub(crate) fn all<T, C: FromIterator<T>>(looked: impl IntoIterator<Item = Known<T>>) -> Known<C> {
    let mut stop = Stop(Vec::new());
    let found: Vec<Option<T>> = looked
        .into_iter()
        .map(|looked| match looked {
            Ok(found) => Some(found),
            Err(Stop(questions)) => {
                stop.0.extend(questions);
                None
            }
        })
        .collect();
    if stop.0.is_empty() { Ok(found.into_iter().flatten().collect()) } else { Err(stop) }
}

/// The value; else the function ends with `None`, which is known.
macro_rules! some {
    ($value:expr) => {
        match $value {
            Some(value) => value,
            None => return Ok(None),
        }
    };
}
pub(crate) use some;
