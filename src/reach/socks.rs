//! The handshake with a SOCKS 5 proxy (RFC 1928, RFC 1929), as Go and curl make it: who has a user and a password offers to go without as
//! well, and the proxy chooses.

use std::net::IpAddr;

use secrecy::ExposeSecret;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

use super::failure::ProxyFault;
use super::stream::Io;
use crate::settings::Credentials;

const VERSION: u8 = 5;
const NOTHING: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_OF_THESE: u8 = 0xff;

/// Has the proxy at the other end connect to a host and a port, and resolve the name.
pub(super) async fn connect(
    io: &mut Io,
    credentials: Option<&Credentials>,
    host: &str,
    port: u16,
) -> Result<(), ProxyFault> {
    let offered: &[u8] = if credentials.is_some() { &[NOTHING, PASSWORD] } else { &[NOTHING] };
    let count = u8::try_from(offered.len()).unwrap_or_default();
    send(io, &[&[VERSION, count], offered].concat()).await?;
    let [version, method] = receive(io).await?;
    if version != VERSION {
        return Err(ProxyFault::Refused("what answers does not speak SOCKS 5".to_owned()));
    }
    match (method, credentials) {
        (NOTHING, _) => {}
        (PASSWORD, Some(credentials)) => log_in(io, credentials).await?,
        (NONE_OF_THESE, None) => {
            return Err(ProxyFault::Credentials("it takes nobody without a user and a password".to_owned()));
        }
        (NONE_OF_THESE, Some(_)) => {
            return Err(ProxyFault::Credentials("it takes neither a user and a password nor nobody".to_owned()));
        }
        (other, _) => {
            return Err(ProxyFault::Refused(format!("it chooses a way to log in that was not offered ({other})")));
        }
    }
    send(io, &request(host, port)?).await?;
    let [version, reply, _, kind] = receive(io).await?;
    if version != VERSION {
        return Err(ProxyFault::Refused("what answers does not speak SOCKS 5".to_owned()));
    }
    if reply != 0 {
        return Err(ProxyFault::Refused(format!("{} ({host}:{port})", refusal(reply))));
    }
    // Where it connects from, which is of no use here.
    let length = match kind {
        1 => 4,
        4 => 16,
        3 => receive::<1>(io).await?[0].into(),
        _ => return Err(ProxyFault::Refused("its answer is not of SOCKS 5".to_owned())),
    };
    let mut bound = vec![0; length + 2];
    io.read_exact(&mut bound).await.map(drop).map_err(|error| broken(&error))
}

async fn log_in(io: &mut Io, credentials: &Credentials) -> Result<(), ProxyFault> {
    let (user, password) = (credentials.user.as_bytes(), credentials.password.expose_secret().as_bytes());
    let (Ok(user_length), Ok(password_length)) = (u8::try_from(user.len()), u8::try_from(password.len())) else {
        return Err(ProxyFault::Credentials("a user and a password of SOCKS 5 have 255 bytes at most".to_owned()));
    };
    let message = Zeroizing::new([&[1, user_length], user, &[password_length], password].concat());
    send(io, &message).await?;
    let [_, status] = receive(io).await?;
    if status == 0 { Ok(()) } else { Err(ProxyFault::Credentials("its user and password are wrong".to_owned())) }
}

/// Asks for a connection to a host, by its address where it is one.
fn request(host: &str, port: u16) -> Result<Vec<u8>, ProxyFault> {
    let mut request = vec![VERSION, 1, 0];
    match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(address)) => {
            request.push(1);
            request.extend(address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            request.push(4);
            request.extend(address.octets());
        }
        Err(_) => {
            let length = u8::try_from(host.len())
                .map_err(|_| ProxyFault::Refused("a host's name has 255 bytes at most".to_owned()))?;
            request.extend([3, length]);
            request.extend(host.as_bytes());
        }
    }
    request.extend(port.to_be_bytes());
    Ok(request)
}

/// Why it doesn't connect, by its number.
fn refusal(reply: u8) -> &'static str {
    match reply {
        1 => "it failed",
        2 => "its rules do not allow that",
        3 => "the network is unreachable from there",
        4 => "the host is unreachable from there",
        5 => "the connection was refused there",
        6 => "there was no answer there in time",
        7 => "it makes no connections",
        8 => "it knows no such addresses",
        _ => "it says no, and not why",
    }
}

async fn send(io: &mut Io, bytes: &[u8]) -> Result<(), ProxyFault> {
    io.write_all(bytes).await.map_err(|error| broken(&error))?;
    io.flush().await.map_err(|error| broken(&error))
}

async fn receive<const N: usize>(io: &mut Io) -> Result<[u8; N], ProxyFault> {
    let mut bytes = [0; N];
    io.read_exact(&mut bytes).await.map_err(|error| broken(&error))?;
    Ok(bytes)
}

fn broken(error: &std::io::Error) -> ProxyFault {
    ProxyFault::Refused(match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "the connection ended before its answer".to_owned(),
        _ => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a proxy that answers so is asked, and what comes of it.
    async fn with(credentials: Option<(&str, &str)>, answers: &[u8]) -> (Vec<u8>, Result<(), ProxyFault>) {
        let (here, mut there) = tokio::io::duplex(1 << 10);
        there.write_all(answers).await.unwrap();
        let credentials = credentials
            .map(|(user, password)| Credentials { user: user.to_owned(), password: password.to_owned().into() });
        let mut io: Io = Box::new(here);
        let made = connect(&mut io, credentials.as_ref(), "name.test", 443).await;
        drop(io);
        let mut asked = Vec::new();
        there.read_to_end(&mut asked).await.unwrap();
        (asked, made)
    }

    const CONNECTED: [u8; 10] = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];

    #[tokio::test]
    async fn who_has_a_password_offers_to_go_without() {
        let asked = [&[5, 1, 0, 3, 9][..], b"name.test", &[1, 187]].concat();
        for (credentials, chosen, greeting, login) in [
            (None, &[5, 0][..], &[5, 1, 0][..], &[][..]),
            (Some(("u", "p")), &[5, 0], &[5, 2, 0, 2], &[]),
            (Some(("u", "p")), &[5, 2, 1, 0], &[5, 2, 0, 2], &[1, 1, b'u', 1, b'p']),
        ] {
            let (sent, made) = with(credentials, &[chosen, &CONNECTED].concat()).await;
            assert_eq!((made, sent), (Ok(()), [greeting, login, &asked].concat()));
        }
    }

    #[tokio::test]
    async fn each_refusal_has_its_words() {
        for (credentials, answers, words) in [
            (None, &[5, 0xff][..], "it takes nobody without"),
            (Some(("u", "p")), &[5, 0xff], "it takes neither"),
            (Some(("u", "p")), &[5, 2, 1, 1], "user and password are wrong"),
            (None, &[5, 2], "was not offered"),
            (None, b"HT", "does not speak SOCKS 5"),
            (None, &[5, 0, 5, 5, 0, 1], "the connection was refused there"),
            (None, &[5, 0, 5, 2, 0, 1], "its rules do not allow that"),
        ] {
            let (_, made) = with(credentials, answers).await;
            let said = format!("{:?}", made.unwrap_err());
            assert!(said.contains(words), "{said}");
        }
        let long = "a".repeat(300);
        let (_, made) = with(Some((&long, "p")), &[5, 2]).await;
        assert!(format!("{made:?}").contains("255 bytes"), "{made:?}");
    }
}
