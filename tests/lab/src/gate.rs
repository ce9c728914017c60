use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Method;
use tokio::sync::oneshot;

use crate::Authority;
use crate::passage::{Alter, Hold, Passage, Stop};
use crate::vault::answered;

/// What passes requests on to a Vault, counts them, and holds one of them. It ends when dropped.
#[derive(Debug)]
pub struct Gate {
    passage: Passage,
    counted: Arc<Counted>,
}

/// At which request a [`Gate`] holds: they are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldAt {
    /// Which one.
    pub index: usize,
    /// Whether only those are counted that change something.
    pub writes: bool,
    /// Whether Vault answers it first.
    pub answered: bool,
}

/// A request that is held, or will be. Dropped, the connection of that request ends.
#[derive(Debug)]
pub struct Held {
    reached: mpsc::Receiver<()>,
    goes_on: oneshot::Sender<bool>,
}

#[derive(Debug, Default)]
struct Counted(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    all: usize,
    writes: usize,
    at: Option<(HoldAt, mpsc::Sender<()>, oneshot::Receiver<bool>)>,
}

impl Gate {
    /// Starts one in front of the Vault at this address. It has its certificate from the authority that Vault's is from.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(vault: &str, authority: &Authority) -> Self {
        let counted = Arc::new(Counted::default());
        Self { passage: answered(Passage::start(vault, authority, Arc::clone(&counted))), counted }
    }

    /// Where it listens, for `VAULT_ADDR`: `https://127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.passage.address()
    }

    /// Counts anew, and lets everything through.
    pub fn open(&self) {
        *self.state() = State::default();
    }

    /// Counts anew, and holds one request; the others go through.
    pub fn hold(&self, at: HoldAt) -> Held {
        let (reached, told) = mpsc::channel();
        let (goes_on, wait) = oneshot::channel();
        *self.state() = State { at: Some((at, reached, wait)), ..State::default() };
        Held { reached: told, goes_on }
    }

    /// How many requests came since, and how many of them were to change something.
    pub fn counts(&self) -> (usize, usize) {
        let state = self.state();
        (state.all, state.writes)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.counted.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Waits until the request is there; `false` where it didn't come in this time.
    pub fn came_within(&self, time: Duration) -> bool {
        self.reached.recv_timeout(time).is_ok()
    }

    /// Lets it go on.
    pub fn let_go(self) {
        // It may be gone with its connection.
        let _gone = self.goes_on.send(true);
    }
}

impl Alter for Counted {
    fn hold(&self, method: &Method) -> Hold {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let writes = [Method::POST, Method::PUT, Method::DELETE].contains(method);
        let (all, of_writes) = (state.all, state.writes);
        state.all += 1;
        state.writes += usize::from(writes);
        let is_it = |at: &HoldAt| if at.writes { writes && of_writes == at.index } else { all == at.index };
        if !state.at.as_ref().is_some_and(|(at, ..)| is_it(at)) {
            return Hold::Nowhere;
        }
        match state.at.take() {
            Some((at, reached, goes_on)) if at.answered => Hold::Answered(Stop { reached, goes_on }),
            Some((_, reached, goes_on)) => Hold::Before(Stop { reached, goes_on }),
            None => Hold::Nowhere,
        }
    }
}
