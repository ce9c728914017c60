use std::sync::{Arc, Mutex, PoisonError};

use hyper::Method;

use crate::passage::{Alter, Passage};
use crate::vault::answered;
use crate::{Authority, Result};

/// What stands in front of a server, passes everything on, and keeps what was asked. It has a certificate of an authority of its
/// own, and ends when dropped.
#[derive(Debug)]
pub struct Tally {
    passage: Passage,
    authority: Authority,
    asked: Arc<Asked>,
}

/// Methods and paths, in the order in which they came.
#[derive(Debug, Default)]
struct Asked(Mutex<Vec<(String, String)>>);

impl Tally {
    /// Starts one in front of the server at this address, which has its certificate from `its_ca`.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(server: &str, its_ca: &str) -> Self {
        answered(Self::try_start(server, its_ca))
    }

    fn try_start(server: &str, its_ca: &str) -> Result<Self> {
        let (authority, asked) = (Authority::new("lab tally CA")?, Arc::new(Asked::default()));
        let passage = Passage::between(server, its_ca, &authority, Arc::clone(&asked))?;
        Ok(Self { passage, authority, asked })
    }

    /// Where it listens: `https://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        self.passage.address()
    }

    /// The authority that its certificate is from.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Method and path of each request since this was asked last.
    pub fn take(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.asked.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Alter for Asked {
    fn asked(&self, method: &Method, path: &str) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push((method.to_string(), path.to_owned()));
    }
}
