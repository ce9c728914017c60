//! Who may do what on which path: what can be told from configurations and policies alone, and what to ask a server about.
//! Pure.
//!
//! `verify` and `rehearse` compare what is foreseen here with what a server says; `changes` compares two versions of a
//! configuration, and `expectations` holds the answers against what the configuration expects.

mod absent;
mod changed_terms;
mod changes;
pub(crate) mod claims;
mod dead;
mod denied;
mod entrance;
mod expectations;
mod foresight;
mod ground;
mod identity;
mod lint;
mod meant;
mod neighbours;
mod reach;
mod slash;
mod standard;
mod taken;
mod term;
pub(crate) mod who;
mod words;

pub(crate) use crate::policy::SEGMENT;
pub(crate) use absent::{Absent, absent, denies, lint_absent, named};
pub use changed_terms::{TermChange, TermsAbout, TermsChange};
pub(crate) use changes::compare;
pub use changes::{AccessChange, AccessShift, Comparison, SomePaths};
pub(crate) use dead::{Dead, dead};
pub(crate) use denied::{Denial, How, denials};
pub use entrance::Entrance;
pub use expectations::ExpectationResult;
pub(crate) use expectations::{AskedExpectation, Holding, Tried, asked};
pub(crate) use foresight::Foresight;
pub(crate) use identity::before_login;
pub(crate) use lint::{beside_kv, lint};
pub(crate) use meant::{Meant, MeantThere, beyond};
pub(crate) use neighbours::{beside, off_limits};
pub(crate) use slash::{Passed, passed};
pub(crate) use standard::{Deviation, Standard, Standards, granted};
pub(crate) use taken::{Taken, taken};
pub use term::Effect;
