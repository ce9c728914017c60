//! What a run that holds secrets does when its terminal goes away, it is interrupted, or what it starts would get more than it
//! needs.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::command::Vaultk8s;

/// A Vault that tells what it is asked, and answers no login while its third part is locked.
fn slow_vault() -> (String, Receiver<String>, Arc<Mutex<()>>) {
    let gate = Arc::new(Mutex::new(()));
    let held = Arc::clone(&gate);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (sender, held) = (sender.clone(), Arc::clone(&held));
            thread::spawn(move || {
                let mut asked = Vec::new();
                let mut part = [0; 4096];
                while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut part) {
                        Ok(0) | Err(_) => return,
                        Ok(length) => asked.extend_from_slice(&part[..length]),
                    }
                }
                let line = String::from_utf8_lossy(&asked).lines().next().unwrap_or_default().to_owned();
                let is_login = line.contains("/login");
                // The test may be over.
                let _over = sender.send(line);
                if is_login {
                    drop(held.lock());
                }
                let auth = r#"{"auth":{"client_token":"hvs.given","accessor":"a","policies":["p"],"token_policies":["p"],"lease_duration":600,"token_type":"service","num_uses":0,"entity_id":"e","renewable":true}}"#;
                let (status, body) = if is_login { ("200 OK", auth) } else { ("204 No Content", "") };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                );
                let _gone = stream.write_all(answer.as_bytes());
            });
        }
    });
    (address, receiver, gate)
}

/// Waits for a login, sends a signal to who makes it, and gives that time to be taken before the login is answered.
fn signal_during_the_login(asked: &Receiver<String>, process: u32, name: &str, held: MutexGuard<'_, ()>) {
    while !asked.recv_timeout(Duration::from_secs(60)).unwrap().contains("/login") {}
    signal(process, name);
    thread::sleep(Duration::from_millis(700));
    drop(held);
}

fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap().success());
}

#[test]
fn a_login_that_is_interrupted_while_it_is_asked_for_leaves_no_token() {
    for name in ["INT", "TERM", "QUIT", "HUP"] {
        for keeps in [&[][..], &["--show-token"]] {
            let (address, asked, gate) = slow_vault();
            let held = gate.lock().unwrap();
            let login =
                Vaultk8s::new(["login", "--mount", "m", "--role", "r", "--jwt-file", "-"]).args(keeps.iter().copied());
            let running = login.env("VAULT_ADDR", &address).stdin("a.b.c").start();
            signal_during_the_login(&asked, running.id(), name, held);
            let answer = running.finish().exits(130).complains(&["its token revoked"]);
            assert!(!answer.stdout.contains("hvs.given"), "{}", answer.stdout);
            let revoked = asked.try_iter().any(|line| line.contains("auth/token/revoke-self"));
            assert!(revoked, "after {name}, the token lives");
        }
    }
}

#[test]
fn a_token_that_could_not_be_shown_does_not_live_on() {
    let (address, asked, _hold) = slow_vault();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("jwt"), "a.b.c").unwrap();
    let mut command = Command::new(snapbox::cmd::cargo_bin!("vaultk8s"));
    command.args(["login", "--mount", "m", "--role", "r", "--jwt-file", "jwt", "--show-token"]);
    command.current_dir(folder.path()).env("HOME", folder.path()).env("VAULT_ADDR", &address).env_remove("VAULT_TOKEN");
    // A device that is full.
    command.stdout(fs::File::options().write(true).open("/dev/full").unwrap());
    let answer = command.output().unwrap();
    let told = String::from_utf8_lossy(&answer.stderr);
    assert!(answer.status.code() == Some(1) && told.contains("No space left"), "{answer:?}");
    assert!(asked.try_iter().any(|line| line.contains("auth/token/revoke-self")), "the token lives: {told}");
}

#[test]
fn a_lost_terminal_is_nothing_to_who_was_started_with_nohup() {
    let (address, asked, gate) = slow_vault();
    let held = gate.lock().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("jwt"), "a.b.c").unwrap();
    let mut command = Command::new("nohup");
    command.arg(snapbox::cmd::cargo_bin!("vaultk8s"));
    command.args(["login", "--mount", "m", "--role", "r", "--jwt-file", "jwt", "--show-token"]);
    command.current_dir(folder.path()).env("HOME", folder.path()).env("VAULT_ADDR", &address).env_remove("VAULT_TOKEN");
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    signal_during_the_login(&asked, child.id(), "HUP", held);
    let answer = child.wait_with_output().unwrap();
    assert!(answer.status.success(), "{answer:?}");
    assert!(String::from_utf8_lossy(&answer.stdout).contains("hvs.given"));
}

/// A kubeconfig with these fields of its user and this server.
fn kubeconfig(server: &str, user: &str) -> String {
    format!(
        "{{ current-context: c, contexts: [{{ name: c, context: {{ cluster: c, user: u }} }}], clusters: [{{ name: c, cluster: \
         {{ server: \"{server}\" }} }}], users: [{{ name: u, user: {{ {user} }} }}] }}"
    )
}

#[test]
fn credentials_of_a_kubeconfig_go_to_no_other_machine_in_the_clear() {
    // A network that is for documentation: nobody is there.
    let away = "http://192.0.2.1:1";
    for user in [
        "token: t",
        "username: a, password: b",
        "exec: { apiVersion: client.authentication.k8s.io/v1, command: /bin/false, interactiveMode: Never }",
    ] {
        for args in [["pem"], ["jwks"], ["issuer"]] {
            Vaultk8s::new(args.iter().copied().chain(["--kubeconfig", "k"]))
                .file("k", &kubeconfig(away, user))
                .run()
                .exits(64)
                .complains(&["in the clear", "--allow-http"]);
        }
    }
    let near = |server: &str| {
        Vaultk8s::new(["pem", "--kubeconfig", "k"]).file("k", &kubeconfig(server, "token: t")).run().exits(1)
    };
    for server in ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://127.0.0.1:1"] {
        near(server).keeps_quiet_about(&["in the clear"]);
    }
    // Without credentials there is nothing to read.
    let (address, ..) = slow_vault();
    Vaultk8s::new(["pem", "--kubeconfig", "k", "--allow-http"])
        .file("k", &kubeconfig(&address.replace("127.0.0.1", "127.0.0.2"), "token: t"))
        .run()
        .keeps_quiet_about(&["in the clear"]);
}

#[test]
fn a_program_that_a_kubeconfig_names_gets_no_secret_of_vault() {
    let folder = tempfile::tempdir().unwrap();
    let (program, seen) = (folder.path().join("plugin"), folder.path().join("seen"));
    let script = format!("#!/bin/sh\n/usr/bin/env > {}\nexit 1\n", seen.display());
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let exec = format!(
        "exec: {{ apiVersion: client.authentication.k8s.io/v1, command: {}, interactiveMode: Never, env: [{{ name: BAO_TOKEN, value: meant }}] }}",
        program.display()
    );
    let answer = Vaultk8s::new(["pem", "--kubeconfig", "k"])
        .file("k", &kubeconfig("https://127.0.0.1:1", &exec))
        .env("VAULT_TOKEN", "secret-1")
        .env("BAO_TOKEN", "secret-2")
        .env("VAULTK8S_LOGIN_JWT", "secret-3")
        .env("VAULTK8S_LOGIN_SECRET_ID", "secret-4")
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "secret-5")
        .env("CI_VAULT", "hvs.secret-6")
        .env("AWS_PROFILE", "needed")
        .run();
    assert_ne!(answer.code, 0);
    let seen = fs::read_to_string(seen).unwrap();
    assert!(!seen.contains("secret-"), "{seen}");
    assert!(seen.contains("AWS_PROFILE=needed") && seen.contains("BAO_TOKEN=meant"), "{seen}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_crash_leaves_no_file_with_what_was_in_memory() {
    let (address, asked, gate) = slow_vault();
    let _held = gate.lock().unwrap();
    let running = Vaultk8s::new(["login", "--mount", "m", "--role", "r", "--jwt-file", "-"])
        .env("VAULT_ADDR", &address)
        .stdin("a.b.c")
        .start();
    while !asked.recv_timeout(Duration::from_secs(60)).unwrap().contains("/login") {}
    let limits = fs::read_to_string(format!("/proc/{}/limits", running.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    signal(running.id(), "ABRT");
    assert_eq!(running.finish().code, -1);
}
