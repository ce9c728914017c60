//! Nothing outlives its run: neither processes nor files, however the run ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic: that is how it fails")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lab::{VaultOptions, VaultServer};

/// A `lab up` of its own, and its folder.
fn up() -> (Child, PathBuf) {
    let servers = lab::shared().run().servers();
    let mut up = Command::new(env!("CARGO_BIN_EXE_lab"))
        .arg("up")
        .env("VAULTK8S_VAULT_BIN", &servers.vault)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // To the last line: a reader that goes away earlier would end `lab up` by itself.
    let mut folder = None;
    for line in BufReader::new(up.stdout.take().unwrap()).lines().map(Result::unwrap) {
        folder = folder.or(line.strip_prefix("export VAULT_CACERT=").map(PathBuf::from));
        if line.starts_with("export KUBECONFIG=") {
            break;
        }
    }
    let ca = folder.expect("`lab up` prints VAULT_CACERT");
    (up, ca.parent().unwrap().to_owned())
}

/// The processes whose command line or working folder is in this folder.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let command_lines = processes.filter_map(|process| fs::read_to_string(process.path().join("cmdline")).ok());
    command_lines.filter(|line| line.contains(folder)).map(|line| line.replace('\0', " ")).collect()
}

fn nothing_stays_of(folder: &Path) {
    let started = Instant::now();
    while folder.exists() || !processes_of(folder).is_empty() {
        let left = processes_of(folder);
        assert!(started.elapsed() < Duration::from_secs(20), "still there: {} {left:#?}", folder.display());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn signal(process: &Child, signal: &str) {
    assert!(Command::new("kill").arg(signal).arg(process.id().to_string()).status().unwrap().success());
}

#[test]
#[cfg(target_os = "linux")]
fn a_killed_run_leaves_nothing() {
    let (mut up, folder) = up();
    assert!(processes_of(&folder).len() >= 9, "{:#?}", processes_of(&folder));
    up.kill().unwrap();
    up.wait().unwrap();
    nothing_stays_of(&folder);
}

#[test]
#[cfg(target_os = "linux")]
fn an_interrupted_run_ends_cleanly() {
    let (mut up, folder) = up();
    signal(&up, "-INT");
    assert!(up.wait().unwrap().success());
    // Not only soon: when it has ended.
    assert!(!folder.exists());
    assert_eq!(processes_of(&folder), [""; 0]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_panicking_test_leaves_no_server() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let test = std::thread::spawn(move || {
        let server = VaultServer::start(&VaultOptions::default());
        sender.send(server.ca().parent().unwrap().to_owned()).unwrap();
        panic!("on purpose");
    });
    let folder = receiver.recv().unwrap();
    assert!(test.join().is_err());
    assert!(!folder.exists());
    assert_eq!(processes_of(&folder), [""; 0]);
}
