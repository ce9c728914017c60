//! However a rehearsal ends, neither a process nor a file stays behind.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Rehearsal, left_in};
use crate::command::Running;

/// A rehearsal whose server runs.
struct Started {
    running: Running,
    temporary: TempDir,
    supervisor: u32,
    server: u32,
}

impl Started {
    /// Starts a rehearsal and waits until its server runs.
    fn new(rehearsal: Rehearsal) -> Self {
        let running = rehearsal.command.start();
        let (supervisor, server) = eventually(|| server_of(running.id()));
        Self { running, temporary: rehearsal.temporary, supervisor, server }
    }

    /// Waits until processes and files are gone.
    fn expect_gone(self) {
        eventually(|| (!alive(self.supervisor) && !alive(self.server)).then_some(()));
        eventually(|| left_in(self.temporary.path()).is_empty().then_some(()));
    }
}

/// Waits for what must come, and fails where it doesn't.
#[track_caller]
fn eventually<T>(mut there: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        match there() {
            Some(found) => return found,
            None if started.elapsed() > Duration::from_secs(60) => panic!("it has not come about"),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn alive(process: u32) -> bool {
    // A zombie has ended; its parent hasn't asked yet.
    fs::read_to_string(format!("/proc/{process}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

/// The processes that a process started.
fn children(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<u32>>()).collect()
}

/// The supervisor and the server of a rehearsal, once it runs.
fn server_of(rehearsal: u32) -> Option<(u32, u32)> {
    children(rehearsal).into_iter().find_map(|supervisor| {
        let server = children(supervisor).into_iter().find(|child| {
            fs::read_to_string(format!("/proc/{child}/cmdline")).is_ok_and(|line| line.contains("\0server\0"))
        })?;
        Some((supervisor, server))
    })
}

/// Whether the configuration of [`many_roles`] is being applied to a server already.
fn has_the_mount(server: u32) -> bool {
    let read = |file: &str| fs::read_to_string(format!("/proc/{server}/{file}")).unwrap_or_default();
    let (line, environment) = (read("cmdline"), read("environ"));
    let value = |text: &str, name: &str| {
        text.split('\0').find_map(|entry| entry.strip_prefix(name)).unwrap_or_default().to_owned()
    };
    let (address, token) = (value(&line, "-dev-listen-address="), value(&environment, "VAULT_DEV_ROOT_TOKEN_ID="));
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let request = format!("GET /v1/sys/auth HTTP/1.0\r\nX-Vault-Token: {token}\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)).is_ok()
        && answer.contains("jwt-c/")
}

fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap().success());
}

#[test]
fn interrupting_it_at_any_point_leaves_nothing() {
    for (name, code) in [("INT", 130), ("TERM", 130), ("HUP", 130)] {
        for wait in [0, 50, 150, 300, 600] {
            let temporary = tempfile::tempdir().unwrap();
            let command = Rehearsal::of(&many_roles(300), []).command.env("TMPDIR", temporary.path());
            let running = command.start();
            let id = running.id();
            std::thread::sleep(Duration::from_millis(wait));
            let seen = children(id);
            signal(id, name);
            let answer = running.finish();
            // Before the handler is there, the signal itself ends the process.
            assert!(answer.code == code || answer.code == -1, "{} {}", answer.code, answer.stderr);
            eventually(|| seen.iter().all(|process| !alive(*process)).then_some(()));
            eventually(|| left_in(temporary.path()).is_empty().then_some(()));
        }
    }
}

#[test]
fn its_server_ends_with_a_supervisor_that_is_killed() {
    let started = Started::new(Rehearsal::of(&many_roles(300), []));
    signal(started.supervisor, "KILL");
    let Started { running, supervisor, server, .. } = started;
    eventually(|| (!alive(supervisor) && !alive(server)).then_some(()));
    assert_ne!(running.finish().code, 0);
}

#[test]
fn interrupted_with_its_server_running_it_ends_in_order() {
    let started = Started::new(Rehearsal::of(&many_roles(300), []));
    signal(started.running.id(), "INT");
    let Started { running, temporary, supervisor, server } = started;
    running.finish().exits(130);
    // Already: the tool waits for it.
    assert!(!alive(supervisor) && !alive(server));
    assert_eq!(left_in(temporary.path()), Vec::<PathBuf>::new());
}

#[test]
fn killed_it_leaves_nothing() {
    let started = Started::new(Rehearsal::of(&many_roles(300), []));
    signal(started.running.id(), "KILL");
    started.expect_gone();
}

#[test]
fn a_supervisor_that_is_told_to_end_ends_its_server() {
    let started = Started::new(Rehearsal::of(&many_roles(300), []));
    signal(started.supervisor, "TERM");
    let Started { running, temporary, server, .. } = started;
    running.finish().exits(1).complains(&["server"]);
    assert!(!alive(server));
    assert_eq!(left_in(temporary.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_server_that_dies_midway_is_the_reason() {
    let started = Started::new(Rehearsal::of(&many_roles(300), []));
    eventually(|| has_the_mount(started.server).then_some(()));
    signal(started.server, "KILL");
    let Started { running, temporary, supervisor, .. } = started;
    let answer = running.finish().exits(1).complains(&["ended in the middle", "end of its log"]);
    assert!(!answer.stderr.contains("Unseal") && !answer.stderr.contains("rehearsal-"), "{}", answer.stderr);
    assert!(!alive(supervisor));
    assert_eq!(left_in(temporary.path()), Vec::<PathBuf>::new());
}

#[test]
fn the_root_token_is_in_no_command_line() {
    let started = Started::new(Rehearsal::of(&many_roles(300), []));
    for process in [started.running.id(), started.supervisor, started.server] {
        let line = fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap();
        let environment = fs::read_to_string(format!("/proc/{}/environ", started.server)).unwrap();
        let token = environment.split('\0').find_map(|entry| entry.strip_prefix("VAULT_DEV_ROOT_TOKEN_ID=")).unwrap();
        assert!(!line.contains(token), "{line}");
        // Of the environment that the tool was started in, nothing reaches the server.
        assert!(!environment.contains("hvs.operator"));
    }
    signal(started.running.id(), "INT");
    started.expect_gone();
}

/// So many roles with a policy each.
fn many_roles(count: usize) -> String {
    let each: Vec<String> = (0..count).map(|at| format!("app{at}")).collect();
    format!(
        "clusters: [{{ name: c, context: c, auth: {{ method: jwt, audience: vault }} }}]
policies: [{{ name: 'p-{{each}}', each: [{each}], read: ['apps/{{each}}/*'] }}]
roles: [{{ name: 'r-{{each}}', each: [{each}], serviceAccounts: ns/app, policies: 'p-{{each}}', ttl: 10m }}]
",
        each = each.join(", ")
    )
}
