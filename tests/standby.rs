//! Through the standby of two nodes, where people's load balancers send them: it answers reads from its own copy, which is
//! a little behind what was written through it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "for tests, which fail by panicking")]

mod command;
#[path = "standby/failover.rs"]
mod failover;
mod fixture;
#[path = "standby/flow.rs"]
mod flow;
mod kubernetes_fixture;
#[path = "standby/older.rs"]
mod older;
#[path = "standby/reads.rs"]
mod reads;
#[path = "bootstrap/suite.rs"]
mod suite;

use fixture::Place;

/// Where the bootstrap's own tests are run once more.
const HERE: Place = Place::Standby;
