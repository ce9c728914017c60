//! `vaultk8s` does the Vault side of the trust between Kubernetes clusters and Vault: it reads who a cluster is, writes
//! what Vault must hold so that the cluster's service accounts can log in, and proves it with real logins.
//!
//! ```text
//! config ──► desired ─┐
//! cluster facts ──────┤──► plan (pure) ──► apply (effects) ──► verify (real logins) ──► report
//! Vault, as observed ─┘
//! ```
//!
//! - [`config`] reads `vaultk8s.yaml`, strictly, and fills in its templates.
//! - [`input`] reads what comes in, within [`limit`]s.
//! - [`cluster`] reads issuer and keys of a cluster, and gets tokens of its service accounts.
//! - [`keys`] judges a cluster's keys and converts them to PEM.
//! - [`desired`] says what Vault should hold, and [`ownership`] whose it is.
//! - [`model`] is what is known of Vault and of clusters, as data.
//! - [`reach`] makes the connections to all of them, through proxies, and judges certificates.
//! - [`vault`] speaks Vault's HTTP API; [`observe`] reads what Vault holds.
//! - [`policy`] prints, parses and evaluates Vault's policies.
//! - [`fix`] makes every command that is printed for a person's shell.
//! - [`access`] tells from policies who may do what on which path.
//! - [`plan`] is the difference, as typed changes in the order to make them.
//! - [`apply`] makes them.
//! - [`verify`] logs in as every role and compares what that may do with what was meant.
//! - [`rehearse`] does all of that on a throwaway server, with stand-ins for the clusters.
//! - [`operator`] logs the operator in for one run, where no token is at hand, and ends that login.
//! - [`render`] says what the configuration says in other forms.
//! - [`pipeline`] puts these together for the commands in [`cli`].
//!
//! `cluster` and `vault` do the I/O, over connections of `reach`, and `rehearse` starts stand-ins for both; `apply`, `verify`, `operator` and `pipeline` say
//! in which order. `settings` and `cli` read the files that flags and environment name. Everything else is pure.
//! `docs/architecture.md` follows one role from its line in the file to the login.

pub mod access;
pub mod apply;
pub(crate) mod claims;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod desired;
pub mod document;
pub mod error;
pub mod fix;
pub(crate) mod hcl;
pub mod input;
pub mod interrupt;
pub mod keys;
pub mod limit;
pub mod model;
pub mod names;
pub mod observe;
pub mod operator;
pub mod ownership;
pub mod pipeline;
pub mod plan;
pub mod policy;
pub(crate) mod progress;
pub mod reach;
pub mod rehearse;
pub mod render;
pub mod settings;
pub mod show;
pub mod text;
pub mod ui;
pub mod vault;
pub mod verify;
