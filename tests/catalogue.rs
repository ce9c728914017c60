//! The proof of `verify-role`: each entry breaks a healthy lab in one way, and `verify-role` has to name exactly that
//! cause first. Then what it prints as the remedy is run as it stands, or what it asks of a person is done, and the lab
//! has to be healthy again.

#![allow(clippy::print_stdout, reason = "the table of what was proved is for whoever runs it")]
#![allow(clippy::struct_excessive_bools, clippy::needless_pass_by_value, reason = "entries are data, written in place")]

mod access;
mod as_written;
mod ascent;
mod before_vault;
mod clocks;
mod contexts;
mod denials;
mod entry;
mod external_secrets;
mod filled_in;
mod grants;
mod healthy;
mod identity;
mod issuers;
mod jwt_mount;
mod jwt_role;
mod keep;
mod kubernetes_mount;
mod kubernetes_role;
mod leeways;
mod logins;
mod narrowed;
mod settings;
pub mod setup;
mod told_by_flags;
mod trusts;
mod unasked;
mod unreachable;
mod vault;
