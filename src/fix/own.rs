//! This program itself.

use std::path::PathBuf;

use super::Command;

/// A command of this program: `auth jwt`.
pub fn vaultk8s(words: &'static str) -> Command {
    Command::of("vaultk8s".to_owned()).fixed(words)
}

/// A command of this program about a configuration, of one file or several, with the flags that lead to its Vault and clusters.
pub fn vaultk8s_with(words: &'static str, files: &[PathBuf], flags: &[String]) -> Command {
    let named = |command: Command, file: &PathBuf| command.flag("-f", &file.display().to_string());
    files.iter().fold(vaultk8s(words), named).args(flags.iter().map(String::as_str))
}
