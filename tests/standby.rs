//! Through the standby of two nodes, where people's load balancers send them: it answers reads from its own copy, which is
//! a little behind what was written through it.

mod failover;
mod flow;
mod older;
mod reads;
#[allow(clippy::duplicate_mod, reason = "the same tests once more, on another Vault")]
#[path = "bootstrap/suite.rs"]
mod suite;

use crate::fixture::Place;

/// Where the bootstrap's own tests are run once more.
const HERE: Place = Place::Standby;
