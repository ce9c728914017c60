//! The program that is shown, built by cargo.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use lab::{Context as _, Error, Result};
use serde_json::Value;

use crate::workspace;

/// Builds the `vaultk8s` program, and answers with its path.
pub(crate) fn build() -> Result<PathBuf> {
    let what = || "can't build vaultk8s".to_owned();
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--package", "vaultk8s", "--bin", "vaultk8s", "--message-format=json-render-diagnostics"]);
    let output = cargo.stderr(Stdio::inherit()).output().context(what)?;
    if !output.status.success() {
        return Err(Error::new(what()));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(executable)
        .find(|program| program.file_stem().is_some_and(|name| name == "vaultk8s"))
        .ok_or_else(|| Error::new("cargo built vaultk8s, but doesn't say where"))
}

/// The program that one of cargo's messages tells of.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    message["executable"].as_str().map(Path::new).map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_messages_tell_where_the_program_is() {
        let built = r#"{"reason":"compiler-artifact","executable":"/x/target/debug/vaultk8s"}"#;
        assert_eq!(executable(built), Some(PathBuf::from("/x/target/debug/vaultk8s")));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null}"#), None);
        assert_eq!(executable("warning: text"), None);
    }
}
