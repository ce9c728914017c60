//! Loopback ports that nothing listens on.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use crate::{Context, Error, Result};

/// `N` different ports that were free a moment ago.
///
/// Another process may take one before its server binds it. That server then fails to start, which [`retrying`] answers
/// with other ports.
pub(crate) fn free<const N: usize>() -> Result<[u16; N]> {
    let what = || "can't find a free port on 127.0.0.1".to_owned();
    // All are held before any is let go, so that they differ.
    let listeners: Vec<TcpListener> =
        (0..N).map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).collect::<Result<_, _>>().context(what)?;
    let mut ports = [0; N];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr().context(what)?.port();
    }
    Ok(ports)
}

/// Where a server is: `https://127.0.0.1:PORT`.
pub(crate) fn address_of(server: &str) -> Result<SocketAddr> {
    let port = server.strip_prefix("https://127.0.0.1:").and_then(|port| port.parse().ok());
    let port = port.ok_or_else(|| Error::new(format!("{server} is no server on 127.0.0.1")))?;
    Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

/// Starts a server, again on other ports when one of them was taken meanwhile.
pub(crate) fn retrying<T>(mut start: impl FnMut() -> Result<T>) -> Result<T> {
    const ATTEMPTS: usize = 5;
    let mut attempt = 1;
    loop {
        match start() {
            Err(error) if error.is_address_in_use() && attempt < ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn ports_differ() {
        let mut ports = free::<16>().unwrap();
        ports.sort_unstable();
        assert!(ports.windows(2).all(|pair| pair[0] != pair[1]), "{ports:?}");
    }

    #[test]
    fn only_a_lost_port_is_worth_another_try() {
        let mut calls = 0;
        let lost = || Error::new("no start").output("listen tcp 127.0.0.1:80: bind: address already in use");
        let outcome = retrying(|| {
            calls += 1;
            if calls < 3 { Err(lost()) } else { Ok(calls) }
        });
        assert_eq!(outcome.unwrap(), 3);

        let mut calls = 0;
        let outcome: Result<()> = retrying(|| {
            calls += 1;
            Err(Error::new("no start").output("bad flag"))
        });
        assert!(outcome.is_err());
        assert_eq!(calls, 1);
    }
}
