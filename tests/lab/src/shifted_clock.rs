use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hyper::body::Bytes;
use serde_json::Value;

use crate::passage::{Alter, Passage};
use crate::vault::answered;
use crate::{Authority, Context, Result};

/// What passes requests on to a Vault, and lets it tell another time (`sys/health`). It ends when dropped.
///
/// All servers of the lab have the clock of this machine, which is not the lab's to set. What Vault does by its clock stays
/// right: only what it says of it is wrong.
#[derive(Debug)]
pub struct ShiftedClock {
    passage: Passage,
    clock: Arc<Clock>,
}

#[derive(Debug, Default)]
struct Clock {
    seconds: AtomicI64,
}

impl ShiftedClock {
    /// Starts one in front of the Vault at this address. It has its certificate from the authority that Vault's is from.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(vault: &str, authority: &Authority) -> Self {
        let clock = Arc::new(Clock::default());
        Self { passage: answered(Passage::start(vault, authority, Arc::clone(&clock))), clock }
    }

    /// Where it listens, for `VAULT_ADDR`: `https://127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.passage.address()
    }

    /// Lets Vault's clock be ahead by so many seconds, or behind.
    pub fn shift(&self, seconds: i64) {
        self.clock.seconds.store(seconds, Ordering::Relaxed);
    }
}

impl Alter for Clock {
    /// An answer of `sys/health` has another time, if it tells one.
    fn body(&self, path: &str, body: Bytes) -> Result<Bytes> {
        if path != "/v1/sys/health" {
            return Ok(body);
        }
        let mut health: Value = serde_json::from_slice(&body).context(|| "sys/health answers no JSON".to_owned())?;
        if let Some(time) = health["server_time_utc"].as_i64() {
            health["server_time_utc"] = (time + self.seconds.load(Ordering::Relaxed)).into();
        }
        Ok(health.to_string().into())
    }
}
