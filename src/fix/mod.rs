//! Every command that is printed for a person's shell.
//!
//! A [`Command`] is made of typed values, by the builder of the program that it calls, and by nothing else: what stands in
//! it is quoted, and reaches the Vault, the namespace and the cluster that this run looked at.
//!
//! - `command`: the words of a command, and commands put together;
//! - `vault_cli`: Vault's own CLI, `vault` or `bao`;
//! - `kubectl`: kubectl, in the context that was looked at;
//! - `own`: this program;
//! - `probe`: what looks at a server from elsewhere.

mod command;
mod kubectl;
mod own;
mod probe;
mod vault_cli;

use std::path::Path;

pub use command::Command;
pub use kubectl::Kubectl;
pub use own::{vaultk8s, vaultk8s_with};
pub use probe::{curl_version, openssl};
pub use vault_cli::{OfBao, Program, VaultCli, either_shows};

use crate::text::shell::quoted;

/// The file of Vault's CA as a shell takes it. Where none is known, a person makes `CA.pem` first.
fn ca_file(file: Option<&Path>) -> String {
    file.map_or_else(|| "CA.pem".to_owned(), |file| quoted(&file.display().to_string()))
}
