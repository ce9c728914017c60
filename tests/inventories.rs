//! The lists of whose roles are whose, under what happens to them: deleted in part or in whole, of a mount that was made anew, hidden
//! from a token, written by two at once, and cut short at every request. Against a real OpenBao (or Vault) and a real
//! kube-apiserver.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "for tests, which fail by panicking")]

mod command;
#[path = "inventories/contested.rs"]
mod contested;
#[path = "inventories/cut_short.rs"]
mod cut_short;
#[path = "inventories/hidden.rs"]
mod hidden;
#[path = "inventories/lost.rs"]
mod lost;
#[path = "inventories/snapshot.rs"]
mod snapshot;
mod team;
