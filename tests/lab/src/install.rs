//! Which programs are used, and how the missing ones are installed under `target/servers`.

mod go;
mod openbao;
mod stamp;

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, thread};

use lab::supervise::Supervised;
use lab::{Context as _, Error, Result, Servers};

use crate::console::{Step, status};
use crate::workspace;

/// A program, and why it is this one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    program: PathBuf,
    from: &'static str,
}

/// Finds every program, and installs those that are missing. `lab` is this program.
pub(crate) fn ensure(lab: &Path) -> Result<Servers> {
    let assets = env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let vault = vault_of_the_machine(&path)?;
    let kubernetes = go::TOOLS.map(|tool| {
        let found = kubectl_of_the_machine(&path, tool.name).or_else(|| in_assets(assets.as_deref(), tool.name));
        (tool, found)
    });
    let complete = vault.is_some() && kubernetes.iter().all(|(_, found)| found.is_some());
    // Held while the rest is looked at and installed, so that two runs don't install the same at once.
    let _lock = if complete { None } else { Some(lock()?) };

    let vault = vault.map_or_else(|| openbao::ensure(lab), Ok)?;
    let missing: Vec<&go::Tool> =
        kubernetes.iter().filter(|(_, found)| found.is_none()).map(|(tool, _)| tool).collect();
    go::ensure(lab, &missing)?;
    let chosen = |name: &str, found: Found| {
        status(&format!("{name:<24} {} ({})", found.program.display(), found.from));
        found.program
    };
    let vault = chosen("Vault", vault);
    let [etcd, kube_apiserver, kube_controller_manager, kubectl] = kubernetes.map(|(tool, found)| {
        let built = || Found { program: tool.program(), from: "built from tests/lab/servers/go.mod" };
        chosen(tool.name, found.unwrap_or_else(built))
    });
    Ok(Servers { vault, etcd, kube_apiserver, kube_controller_manager, kubectl })
}

/// Finds the Vault server's program, and installs it if it is missing: all that a rehearsal needs.
pub(crate) fn ensure_vault(lab: &Path) -> Result<PathBuf> {
    if let Some(found) = vault_of_the_machine(&env::var_os("PATH").unwrap_or_default())? {
        return Ok(found.program);
    }
    let _lock = lock()?;
    Ok(openbao::ensure(lab)?.program)
}

/// The Vault server that the environment names, or that is on PATH.
fn vault_of_the_machine(path: &OsStr) -> Result<Option<Found>> {
    if let Some(program) = env::var_os("VAULTK8S_VAULT_BIN").filter(|program| !program.is_empty()) {
        let program = PathBuf::from(program);
        if !is_vault(&program) {
            let what = format!("VAULTK8S_VAULT_BIN: {} is no Vault or OpenBao program", program.display());
            return Err(Error::new(what).remedy("name the `vault` or `bao` program, or unset VAULTK8S_VAULT_BIN"));
        }
        return Ok(Some(Found { program, from: "VAULTK8S_VAULT_BIN" }));
    }
    let program = ["vault", "bao"].iter().flat_map(|name| on_path(path, name)).find(|program| is_vault(program));
    Ok(program.map(|program| Found { program, from: "PATH" }))
}

/// The kubectl on PATH, which is the one that the reader of a remedy would run. A server there may be anybody's.
fn kubectl_of_the_machine(path: &OsStr, name: &str) -> Option<Found> {
    let program = if name == "kubectl" { on_path(path, name).into_iter().next() } else { None };
    program.map(|program| Found { program, from: "PATH" })
}

/// Every program of this name on PATH, the first one first.
fn on_path(path: &OsStr, name: &str) -> Vec<PathBuf> {
    env::split_paths(path)
        // An empty or relative entry means the current folder, which is nobody's choice of a server.
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .filter(|program| program.is_file())
        .collect()
}

/// Other programs are called `vault`, too, so it is asked.
fn is_vault(program: &Path) -> bool {
    Command::new(program).arg("version").output().is_ok_and(|output| {
        let printed = String::from_utf8_lossy(&output.stdout);
        output.status.success() && (printed.contains("OpenBao v") || printed.contains("Vault v"))
    })
}

/// One of the Kubernetes programs in the folder `KUBEBUILDER_ASSETS`, which setup-envtest fills with some of them.
fn in_assets(assets: Option<&Path>, name: &str) -> Option<Found> {
    let program = assets?.join(name);
    program.is_file().then_some(Found { program, from: "KUBEBUILDER_ASSETS" })
}

/// Waits until no other process installs, and keeps others from it until dropped.
fn lock() -> Result<File> {
    let folder = workspace::servers();
    let what = || format!("can't lock {}", folder.display());
    fs::create_dir_all(&folder).context(what)?;
    let lock = File::create(folder.join(".lock")).context(what)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            status("waiting for another process that installs servers");
            lock.lock().context(what)?;
        }
        Err(TryLockError::Error(error)) => return Err(error).context(what),
    }
    remove_leftovers(&folder).context(what)?;
    Ok(lock)
}

/// Removes what killed installations have left.
fn remove_leftovers(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(NEW) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

const NEW: &str = "new-";

/// A folder to install into first. It is beside the final place, so that a rename moves what is complete.
fn new_folder() -> Result<tempfile::TempDir> {
    let servers = workspace::servers();
    tempfile::Builder::new()
        .prefix(NEW)
        .tempdir_in(&servers)
        .context(|| format!("can't make a folder in {}", servers.display()))
}

/// Runs one command of an installation to its end, with progress. Its error has what it printed last.
fn run(lab: &Path, step: &mut Step, name: &str, command: &Command, log: &Path) -> Result<()> {
    let mut process = Supervised::captured(lab, name, command, log)?;
    let status = loop {
        if let Some(status) = process.exited()? {
            break status;
        }
        step.goes_on(process.log().lines().last().unwrap_or_default().trim());
        thread::sleep(Duration::from_millis(100));
    };
    if status.success() {
        return Ok(());
    }
    Err(Error::new(format!("{name} failed ({status})")).output(&process.log()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn program(folder: &Path, name: &str, script: &str) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn programs_are_found_in_the_order_of_path() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let in_second = program(second.path(), "bao", "");
        let path = env::join_paths([Path::new(""), Path::new("."), first.path(), second.path()]).unwrap();
        assert_eq!(on_path(&path, "bao"), std::slice::from_ref(&in_second));
        let in_first = program(first.path(), "bao", "");
        assert_eq!(on_path(&path, "bao"), [in_first, in_second]);
        assert!(on_path(&path, "vault").is_empty());
        assert!(on_path(OsStr::new(""), "bao").is_empty());
    }

    #[test]
    fn another_program_called_vault_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert!(is_vault(&program(folder.path(), "bao", "echo OpenBao v2.7.2 '(9e0a)'")));
        assert!(is_vault(&program(folder.path(), "vault", "echo Vault v1.21.0 '(818c)'")));
        assert!(!is_vault(&program(folder.path(), "safe", "echo obscure-vault 3")));
        assert!(!is_vault(&program(folder.path(), "broken", "echo Vault v1.21.0; exit 1")));
        assert!(!is_vault(&folder.path().join("missing")));
    }

    #[test]
    fn kubectl_alone_of_kubernetes_is_taken_from_path() {
        let folder = tempfile::tempdir().unwrap();
        let kubectl = program(folder.path(), "kubectl", "");
        program(folder.path(), "etcd", "");
        let path = folder.path().as_os_str();
        assert_eq!(kubectl_of_the_machine(path, "kubectl"), Some(Found { program: kubectl, from: "PATH" }));
        assert_eq!(kubectl_of_the_machine(path, "etcd"), None);
        assert_eq!(kubectl_of_the_machine(OsStr::new(""), "kubectl"), None);
    }

    #[test]
    fn each_server_is_looked_for_in_the_assets_on_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let etcd = program(folder.path(), "etcd", "");
        let found = in_assets(Some(folder.path()), "etcd").unwrap();
        assert_eq!((found.program, found.from), (etcd, "KUBEBUILDER_ASSETS"));
        assert_eq!(in_assets(Some(folder.path()), "kube-controller-manager"), None);
        assert_eq!(in_assets(None, "etcd"), None);
    }

    #[test]
    fn leftovers_go_and_programs_stay() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("new-abc")).unwrap();
        fs::write(folder.path().join("new-abc/part"), "").unwrap();
        fs::write(folder.path().join("etcd"), "").unwrap();
        remove_leftovers(folder.path()).unwrap();
        assert!(folder.path().join("etcd").exists());
        assert!(!folder.path().join("new-abc").exists());
    }
}
