//! Where things are in the repository, and how its own cargo commands are run.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    // A checkout that has moved is built again, so the path is true whenever this runs.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Where installed servers are kept.
pub(crate) fn servers() -> PathBuf {
    root().join("target").join("servers")
}

/// The pinned versions of the servers: the Go module and pip's requirements.
pub(crate) fn pins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("servers")
}

/// A `cargo` command in the workspace, without what the outer `cargo run` left in the environment: build scripts would
/// see it as a change and rebuild.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(is_of_outer_cargo) {
            cargo.env_remove(name);
        }
    }
    cargo
}

fn is_of_outer_cargo(name: &str) -> bool {
    const PREFIXES: [&str; 4] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || matches!(name, "CARGO_PRIMARY_PACKAGE" | "OUT_DIR")
}

/// Takes everything from a command's environment that would lead it to another Vault or cluster than the lab's.
pub(crate) fn isolate(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(leads_elsewhere) {
            command.env_remove(name);
        }
    }
}

/// Whether Vault's or Kubernetes' clients are led by this variable.
pub(crate) fn leads_elsewhere(name: &str) -> bool {
    name.starts_with("VAULT_") || name.starts_with("BAO_") || matches!(name, "KUBECONFIG" | "KUBERNETES_SERVICE_HOST")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pins_are_where_they_should_be() {
        assert!(root().join("Cargo.lock").exists());
        assert!(pins().join("go.mod").exists());
    }

    #[test]
    fn the_environment_loses_what_leads_elsewhere_and_nothing_else() {
        assert!(is_of_outer_cargo("CARGO_MANIFEST_DIR") && is_of_outer_cargo("CARGO_PKG_NAME"));
        assert!(!is_of_outer_cargo("CARGO_HOME") && !is_of_outer_cargo("CARGO_TARGET_DIR"));
        assert!(leads_elsewhere("VAULT_TOKEN") && leads_elsewhere("BAO_ADDR") && leads_elsewhere("KUBECONFIG"));
        assert!(!leads_elsewhere("VAULTK8S_LAB") && !leads_elsewhere("PATH"));
    }
}
