//! What is known of the servers, and what is yet to be asked.
//!
//! A check is a pure function of facts. One that it needs and that isn't known yet ends it with a [`Stop`], which says what to ask; whoever runs the
//! check has that fetched, and runs it again. So nothing is asked that no check wants, and nothing twice. The answers come from servers, or from
//! a capture of a run that asked them.
//!
//! - `query`: what a question is; `questions`: all of them;
//! - `servers`: who is asked, and the tokens of the logins, which never become facts;
//! - `captured`: the answers in a capture;
//! - `vault`, `mount`, `cluster`, `login`, `network`, `stores`: the questions;
//! - `installed`, `review`, `roots`, `patience`: how some of them are asked.

pub(crate) mod captured;
pub(crate) mod cluster;
pub(crate) mod installed;
pub(crate) mod login;
pub(crate) mod mount;
pub(crate) mod network;
pub(super) mod patience;
mod query;
mod questions;
pub(super) mod review;
pub(super) mod roots;
mod servers;
pub(crate) mod stores;
pub(crate) mod vault;

use std::any::Any;

use elsa::sync::FrozenMap;
use jiff::Timestamp;
use tokio::sync::OnceCell;

pub(crate) use captured::{Answers, Unanswered};
pub(crate) use query::Query;
use query::{Answer, Key, Question};
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

/// An answer, once it came. Several may ask for it at the same time.
type Slot = OnceCell<Box<dyn Answer>>;

/// Where answers come from.
enum Source {
    Servers(Box<Servers>),
    Capture(Answers),
}

/// What is known of the servers. Nothing of it changes: an answer, once given, stays.
pub(crate) struct Facts {
    slots: FrozenMap<Key, Box<Slot>>,
    source: Source,
    /// When this began, by the clock of the machine that asked.
    pub(crate) began: Timestamp,
}

impl Facts {
    /// Nothing, so far, of these servers.
    pub(crate) fn new(servers: Servers) -> Self {
        Self { slots: FrozenMap::new(), source: Source::Servers(Box::new(servers)), began: Timestamp::now() }
    }

    /// What a capture has: no server is asked.
    pub(crate) fn captured(began: Timestamp, answers: Answers) -> Self {
        Self { slots: FrozenMap::new(), source: Source::Capture(answers), began }
    }

    /// Who is asked; nobody, where all comes from a capture.
    pub(crate) fn servers(&self) -> Option<&Servers> {
        match &self.source {
            Source::Servers(servers) => Some(servers),
            Source::Capture(_) => None,
        }
    }

    /// Lets nobody ask with the operator's token any more.
    pub(crate) fn ask_without_token(&mut self) {
        if let Source::Servers(servers) = &mut self.source {
            servers.ask_without_token();
        }
    }

    /// The answer to a question.
    pub(crate) fn get<Q: Query>(&self, query: &Q) -> Known<&Q::Answer> {
        self.known(query).ok_or_else(|| Stop(vec![Box::new(query.clone())]))
    }

    /// The answer to a question, where somebody has asked it already.
    pub(crate) fn known<Q: Query>(&self, query: &Q) -> Option<&Q::Answer> {
        // A key has the name of its question, and so the answer the type of its answers.
        let answer: &dyn Any = &**self.slots.get(&Key::of(query))?.get()?;
        answer.downcast_ref()
    }

    /// Looks, and has asked whatever is not known yet, until there is nothing more to ask.
    ///
    /// # Errors
    /// When a capture lacks an answer. Servers always give one.
    pub(crate) async fn settle<T>(&self, look: impl Fn() -> Known<T>) -> Result<T, Unanswered> {
        loop {
            match look() {
                Ok(found) => return Ok(found),
                Err(Stop(questions)) => {
                    let asked = questions.iter().map(|question| self.fetch(&**question));
                    futures::future::try_join_all(asked).await?;
                }
            }
        }
    }

    /// Fetches an answer, once, however many want it at the same time.
    async fn fetch(&self, question: &dyn Question) -> Result<(), Unanswered> {
        let slot = self.slots.insert(question.key(), Box::default());
        let came = match &self.source {
            Source::Servers(servers) => slot.get_or_try_init(async || Ok(question.put(servers).await)).await,
            Source::Capture(answers) => slot.get_or_try_init(async || answers.take(question.key())).await,
        };
        came.map(|_| ())
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use serde::Serialize;

    use super::*;
    use crate::settings::{Origin, Proxies, Setting, TlsSettings, VaultSettings};
    use crate::vault::Client;

    /// A question about a number, whose answer is that number, and which counts how often it was asked.
    #[derive(Debug, Clone, Serialize)]
    struct Number {
        number: usize,
        #[serde(skip)]
        asked: Arc<AtomicUsize>,
    }

    impl query::Named for Number {
        const NAME: &'static str = "number";
    }

    impl Query for Number {
        type Answer = usize;

        async fn ask(&self, _: &Servers) -> usize {
            // Others come in between.
            tokio::task::yield_now().await;
            self.asked.fetch_add(1, Ordering::Relaxed);
            self.number
        }
    }

    /// Facts about numbers, and how often any was asked for.
    fn facts() -> (Facts, impl Fn(usize) -> Number, Arc<AtomicUsize>) {
        // Nobody is asked there.
        let client = Client::new(&VaultSettings {
            address: Setting { value: "http://127.0.0.1:1".parse().unwrap(), origin: Origin::Default },
            namespace: None,
            root_by_flag: false,
            root_by_bao: false,
            tls: TlsSettings::default(),
            token: None,
            login: None,
            timeout: Duration::from_secs(1),
            max_retries: 0,
            allow_http: false,
            proxies: Proxies::default(),
            programs: crate::settings::Programs::default(),
        });
        let client = client.unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let number = move |number| Number { number, asked: Arc::clone(&counter) };
        (Facts::new(Servers::new(client)), number, asked)
    }

    #[tokio::test]
    async fn what_is_not_known_is_asked_once_whoever_wants_it() {
        let (facts, number, asked) = facts();
        let sum = || Ok(*facts.get(&number(1))? + *facts.get(&number(2))?);
        assert_eq!(facts.known(&number(1)), None);
        assert_eq!(tokio::join!(facts.settle(sum), facts.settle(sum)), (Ok(3), Ok(3)));
        assert_eq!(facts.settle(sum).await, Ok(3));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert_eq!(facts.known(&number(1)), Some(&1));
    }

    #[tokio::test]
    async fn what_many_want_is_asked_in_one_round() {
        let (facts, number, asked) = facts();
        let rounds = AtomicUsize::new(0);
        let found: Vec<usize> = facts
            .settle(|| {
                rounds.fetch_add(1, Ordering::Relaxed);
                all((0..5).map(|at| facts.get(&number(at)).copied()))
            })
            .await
            .unwrap();
        assert_eq!(found, [0, 1, 2, 3, 4]);
        // The one that asks, and the one that knows.
        assert_eq!((rounds.into_inner(), asked.load(Ordering::Relaxed)), (2, 5));
    }

    #[tokio::test]
    async fn nothing_is_asked_that_another_answer_makes_pointless() {
        let (facts, number, asked) = facts();
        let look = || {
            if *facts.get(&number(0))? == 0 {
                return Ok(None);
            }
            facts.get(&number(7)).copied().map(Some)
        };
        assert_eq!(facts.settle(look).await, Ok(None));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
