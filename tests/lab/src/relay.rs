use std::collections::HashMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::vault::answered;
use crate::{Context, Error, Result, ports};

/// A way on 127.0.0.1 to a server there: it passes on bytes as they come, so that TLS goes through it to the server itself.
///
/// It can be shut for one server of the lab alone, as a firewall between two machines would: whoever connects to it is
/// known by the process that has the other end of the connection. It ends when dropped, with all connections.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    state: Arc<Mutex<State>>,
    accepting: Option<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    ended: bool,
    /// The process group that gets nowhere.
    refused: Option<u32>,
    /// The connections that are open: both ends, by the port of whoever connected.
    open: HashMap<u16, [TcpStream; 2]>,
}

impl Relay {
    /// Starts one in front of a server: `https://127.0.0.1:PORT`.
    ///
    /// # Panics
    /// When it can't listen, or the server isn't on 127.0.0.1.
    pub fn start(server: &str) -> Self {
        answered(Self::try_start(server))
    }

    fn try_start(server: &str) -> Result<Self> {
        let server = ports::address_of(server)?;
        let what = || "a relay can't listen on 127.0.0.1".to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context(what)?;
        let port = listener.local_addr().context(what)?.port();
        let state = Arc::new(Mutex::new(State::default()));
        let accepting = thread::spawn({
            let state = Arc::clone(&state);
            move || accept(&listener, server, &state)
        });
        Ok(Self { port, state, accepting: Some(accepting) })
    }

    /// Where it listens: `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Shuts the way for the processes of a group ([`VaultServer::process_group`](crate::VaultServer::process_group)), and
    /// cuts the connections that they have. All others get through as before.
    ///
    /// # Panics
    /// When the connections of processes can't be seen: they are where Linux has `/proc`.
    pub fn refuse(&self, group: u32) {
        let mut state = lock(&self.state);
        state.refused = Some(group);
        for (port, ends) in &state.open {
            if answered(belongs(*port, self.port, group)) {
                cut(ends);
            }
        }
    }

    /// Shuts the way for this process and those that it starts, but for servers of the lab, which are groups of their own.
    ///
    /// # Panics
    /// When its own group can't be seen.
    pub fn refuse_this_process(&self) {
        let unknown = || Error::new("this process has no group".to_owned());
        self.refuse(answered(group_of(Path::new("/proc/self")).ok_or_else(unknown)));
    }

    /// Lets everybody through again.
    pub fn let_through(&self) {
        lock(&self.state).refused = None;
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        {
            let mut state = lock(&self.state);
            state.ended = true;
            state.open.values().for_each(cut);
        }
        // So that it looks up from waiting. Without a connection there is nobody to wait for either.
        let woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
        if let Some(accepting) = self.accepting.take().filter(|_| woken) {
            let _ = accepting.join();
        }
    }
}

/// What is there is whole, whatever happened to a thread that held it.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends a connection at both ends; the threads that carry its bytes notice.
fn cut(ends: &[TcpStream; 2]) {
    for end in ends {
        // An error means that it has ended by itself.
        let _ = end.shutdown(Shutdown::Both);
    }
}

/// Takes connections until the relay ends, and returns when the last of them has ended too.
fn accept(listener: &TcpListener, server: SocketAddr, state: &Mutex<State>) {
    thread::scope(|scope| {
        for client in listener.incoming() {
            if lock(state).ended {
                return;
            }
            let Ok(client) = client else { continue };
            scope.spawn(move || {
                // Whoever connected sees the connection end, which is all that there is to tell.
                let _ = carry(&client, server, state);
            });
        }
    });
}

/// Carries a connection's bytes both ways, unless its process is refused.
fn carry(client: &TcpStream, server: SocketAddr, state: &Mutex<State>) -> Result<()> {
    let what = || "a connection can't be carried".to_owned();
    let (peer, relay) = (client.peer_addr().context(what)?.port(), client.local_addr().context(what)?.port());
    let server = TcpStream::connect(server).context(what)?;
    for end in [client, &server] {
        // Without it, small messages wait for the acknowledgement of those before them.
        end.set_nodelay(true).context(what)?;
    }
    let ends = [client.try_clone().context(what)?, server.try_clone().context(what)?];
    {
        // Looked at and noted in one go: a refusal comes before that, or finds the connection and cuts it.
        let mut state = lock(state);
        let refused = match state.refused {
            Some(group) => belongs(peer, relay, group)?,
            None => false,
        };
        if state.ended || refused {
            return Ok(());
        }
        state.open.insert(peer, ends);
    }
    thread::scope(|scope| {
        scope.spawn(|| one_way(client, &server));
        one_way(&server, client);
    });
    lock(state).open.remove(&peer);
    Ok(())
}

/// Carries bytes until there are no more, and says so to the other end.
fn one_way(mut from: &TcpStream, mut to: &TcpStream) {
    // An error means that an end has gone.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
}

/// Whether the connection from this local port to that one is one of a process of the group.
fn belongs(from: u16, to: u16, group: u32) -> Result<bool> {
    let what = || "can't see whose a connection is".to_owned();
    let table = fs::read_to_string("/proc/net/tcp").context(what)?;
    let Some(inode) = inode(&table, from, to) else { return Ok(false) };
    let socket = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").context(what)?.flatten().map(|process| process.path());
    Ok(processes.filter(|process| group_of(process) == Some(group)).any(|process| holds(&process, &socket)))
}

/// The socket of the connection between two ports of 127.0.0.1, in the kernel's table of them.
fn inode(table: &str, from: u16, to: u16) -> Option<&str> {
    // The addresses are in the byte order of the machine.
    let localhost = u32::from_ne_bytes(Ipv4Addr::LOCALHOST.octets());
    let [from, to] = [from, to].map(|port| format!("{localhost:08X}:{port:04X}"));
    table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, local, remote, ..] = fields[..] else { return None };
        (local == from && remote == to).then(|| fields.get(9).copied()).flatten()
    })
}

/// The process group of a process, by its folder below `/proc`; `None` of what is none, or has ended.
fn group_of(process: &Path) -> Option<u32> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    // The program's name is in brackets, and may have brackets and spaces itself. State and parent come before the group.
    stat.rsplit_once(')')?.1.split_whitespace().nth(2)?.parse().ok()
}

/// Whether a process has this file open.
fn holds(process: &Path, file: &str) -> bool {
    let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    files.filter_map(|open| fs::read_link(open.path()).ok()).any(|open| open == Path::new(file))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// A server that answers each connection with what it was sent, and its URL.
    fn echo() -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                thread::spawn(move || one_way(&stream, &stream));
            }
        });
        url
    }

    /// What comes back of some words, until the connection ends.
    fn said(stream: &mut TcpStream) -> String {
        let mut said = String::new();
        // An error is an end as well.
        let _ = stream.write_all(b"words").and_then(|()| stream.shutdown(Shutdown::Write));
        let _ = stream.read_to_string(&mut said);
        said
    }

    fn connect(relay: &Relay) -> TcpStream {
        TcpStream::connect((Ipv4Addr::LOCALHOST, relay.port)).unwrap()
    }

    #[test]
    fn bytes_go_both_ways_and_one_process_group_is_kept_out() {
        let relay = Relay::start(&echo());
        assert_eq!(said(&mut connect(&relay)), "words");

        let mut open = connect(&relay);
        open.write_all(b"first ").unwrap();
        open.read_exact(&mut [0; 6]).unwrap();
        relay.refuse_this_process();
        assert_eq!((said(&mut open), said(&mut connect(&relay))), (String::new(), String::new()));

        relay.refuse(1);
        assert_eq!(said(&mut connect(&relay)), "words", "this process is of another group");
        relay.refuse_this_process();
        relay.let_through();
        assert_eq!(said(&mut connect(&relay)), "words");
    }

    #[test]
    fn it_ends_when_dropped_with_what_it_carries() {
        let relay = Relay::start(&echo());
        let mut open = connect(&relay);
        open.write_all(b"first ").unwrap();
        open.read_exact(&mut [0; 6]).unwrap();
        let port = relay.port;
        drop(relay);
        assert_eq!(said(&mut open), "");
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    }
}
