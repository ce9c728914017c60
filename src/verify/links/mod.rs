//! The checks, link by link, in the order in which a login goes.

pub(super) mod access;
pub(super) mod ascent;
pub(super) mod claims;
pub(super) mod cluster;
mod compared;
mod denials;
mod identity;
pub(super) mod jwt;
pub(super) mod kubernetes;
pub(super) mod lifetime;
pub(super) mod login;
pub(super) mod mount;
mod namespaces;
mod needs;
mod nobody_else;
pub(super) mod other_roles;
pub(super) mod policies;
pub(super) mod reviewer;
pub(super) mod role;
pub(super) mod secret;
pub(super) mod settings;
mod strange_keys;
pub(super) mod strangers;
mod surplus;
pub(super) mod token;
mod token_review;
pub(super) mod vault;
