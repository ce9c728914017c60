//! Who may do what on which path: what can be told from policies alone, and what to ask a server about. Pure.
//!
//! `verify` and `rehearse` compare what is foreseen here with what a server says.

mod foresight;
mod neighbours;

pub(crate) use foresight::Foresight;
pub(crate) use neighbours::{beside, off_limits};
