//! This program itself.

use std::path::Path;

use super::Command;

/// A command of this program: `auth jwt`.
pub fn vaultk8s(words: &'static str) -> Command {
    Command::of("vaultk8s".to_owned()).fixed(words)
}

/// A command of this program about a configuration file, with the flags that lead to its Vault and clusters.
pub fn vaultk8s_with(words: &'static str, file: &Path, flags: &[String]) -> Command {
    vaultk8s(words).flag("-f", &file.display().to_string()).args(flags.iter().map(String::as_str))
}
