use std::process::ExitCode;
use std::time::Duration;

use lab::{Lab, Result};

use crate::console::{result, status};
use crate::{shell, signals, workspace};

/// `cargo lab up`
pub(crate) fn up() -> Result<ExitCode> {
    let mut running = super::start()?;
    let signals = signals::catch()?;
    for line in environment(running.lab()) {
        result(&line)?;
    }
    status("Ctrl-C ends it all.");
    while signals.recv_timeout(Duration::from_millis(500)).is_err() {
        running.check()?;
    }
    drop(running);
    status("stopped");
    Ok(ExitCode::SUCCESS)
}

/// What leads the clients of Vault and Kubernetes to the lab, for a shell.
fn environment(lab: &Lab) -> Vec<String> {
    let variables = [
        ("VAULT_ADDR", lab.vault_address().to_owned()),
        ("VAULT_CACERT", lab.vault_ca().display().to_string()),
        ("VAULT_TOKEN", lab.root_token().to_owned()),
        ("KUBECONFIG", lab.kubeconfig().display().to_string()),
    ];
    // Of what is set here and presumably in the reader's shell, a BAO_ variable would win over its VAULT_ twin.
    let mut lines: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| workspace::leads_elsewhere(name) && variables.iter().all(|(ours, _)| ours != name))
        .map(|name| format!("unset {name}"))
        .collect();
    lines.extend(variables.iter().map(|(name, value)| format!("export {name}={}", shell::quote(value))));
    lines
}
