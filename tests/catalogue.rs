//! The proof of `verify-role`: each entry breaks a healthy lab in one way, and `verify-role` has to name exactly that
//! cause first. Then what it prints as the remedy is run as it stands, or what it asks of a person is done, and the lab
//! has to be healthy again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "for tests, which fail by panicking")]
#![allow(unreachable_pub, missing_docs, reason = "nothing here is used elsewhere")]
#![allow(clippy::print_stdout, reason = "the table of what was proved is for whoever runs it")]
#![allow(clippy::struct_excessive_bools, clippy::needless_pass_by_value, reason = "entries are data, written in place")]

#[path = "catalogue/access.rs"]
mod access;
#[path = "catalogue/as_written.rs"]
mod as_written;
#[path = "catalogue/ascent.rs"]
mod ascent;
#[path = "catalogue/clocks.rs"]
mod clocks;
#[path = "catalogue/contexts.rs"]
mod contexts;
#[path = "catalogue/denials.rs"]
mod denials;
#[path = "catalogue/entry.rs"]
mod entry;
#[path = "catalogue/external_secrets.rs"]
mod external_secrets;
#[path = "catalogue/grants.rs"]
mod grants;
#[path = "catalogue/healthy.rs"]
mod healthy;
#[path = "catalogue/identity.rs"]
mod identity;
#[path = "catalogue/issuers.rs"]
mod issuers;
#[path = "catalogue/jwt_mount.rs"]
mod jwt_mount;
#[path = "catalogue/jwt_role.rs"]
mod jwt_role;
#[path = "catalogue/kubernetes_mount.rs"]
mod kubernetes_mount;
#[path = "catalogue/kubernetes_role.rs"]
mod kubernetes_role;
#[path = "catalogue/leeways.rs"]
mod leeways;
#[path = "catalogue/logins.rs"]
mod logins;
#[path = "catalogue/narrowed.rs"]
mod narrowed;
#[path = "catalogue/settings.rs"]
mod settings;
#[path = "catalogue/setup.rs"]
mod setup;
mod signature;
mod stores;
#[path = "catalogue/told_by_flags.rs"]
mod told_by_flags;
#[path = "catalogue/trusts.rs"]
mod trusts;
#[path = "catalogue/unasked.rs"]
mod unasked;
#[path = "catalogue/unreachable.rs"]
mod unreachable;
#[path = "catalogue/vault.rs"]
mod vault;
