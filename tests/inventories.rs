//! The lists of whose roles are whose, under what happens to them: deleted in part or in whole, of a mount that was made anew, hidden
//! from a token, written by two at once, and cut short at every request. Against a real OpenBao (or Vault) and a real
//! kube-apiserver.

mod contested;
mod cut_short;
mod hidden;
mod lost;
mod overtaken;
mod snapshot;

pub(crate) use contested::Paused;
pub(crate) use cut_short::{gate, start};
