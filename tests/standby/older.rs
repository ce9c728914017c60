//! An OpenBao of before 2.7, whose standbys are late and give no index to ask for more: this one's, with the index taken out.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use lab::{Transport, TwoNodes, VaultOptions};
use serde_json::json;

use crate::command::Vaultk8s;
use crate::fixture::Fixture;

/// Where the standby is reached without its index, for as long as the test runs.
fn without_index(server: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            for end in [&client, &server] {
                end.set_nodelay(true).unwrap();
            }
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            thread::spawn(move || carry(from, to, |_| {}));
            thread::spawn(move || carry(server, client, take_out));
        }
    });
    address
}

fn carry(mut from: TcpStream, mut to: TcpStream, change: impl Fn(&mut [u8])) {
    let mut bytes = vec![0; 1 << 16];
    // An error means that an end has gone.
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        change(&mut bytes[..read]);
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    let _gone = to.shutdown(Shutdown::Write);
}

/// Gives the header another name, as long as its own.
fn take_out(bytes: &mut [u8]) {
    let (name, other) = (b"X-Vault-Index:", b"X-Nobody-Asks:");
    for at in 0..bytes.len().saturating_sub(name.len()) {
        if bytes[at..].starts_with(name) {
            bytes[at..at + name.len()].copy_from_slice(other);
        }
    }
}

#[test]
fn a_first_bootstrap_through_it_holds() {
    let nodes =
        TwoNodes::start_with(&VaultOptions { transport: Transport::Plain, patience: 3, ..VaultOptions::default() });
    let address = without_index(nodes.standby().port());
    for _ in 0..5 {
        let fixture = Fixture::new();
        let run = |args: &[&str]| {
            Vaultk8s::new(args.iter().copied())
                .on(nodes.standby())
                .env("VAULT_ADDR", &address)
                .config(&fixture.config)
                .run()
        };
        run(&["bootstrap"]).exits(0).says(&["4 changes made; 1 login verified"]);
        let role = nodes.active().client().read(&format!("auth/{}/role/r-app", fixture.mount));
        assert_eq!(role["data"]["bound_audiences"], json!(["vault"]));
        run(&["plan", "--detailed-exitcode"]).exits(0).says(&["No changes."]);
    }
}
