//! `NO_PROXY`: which servers are reached without a proxy, as Go's `httpproxy` reads the list.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Host;

/// The servers that are reached without a proxy, beside this machine itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NoProxy(Vec<Entry>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    /// `*`
    All,
    /// `10.0.0.0/8`
    Net(IpNet),
    /// `10.0.0.1`, `[::1]:443`
    Address(IpAddr, Option<String>),
    /// `example.com`, `.example.com`, `*.example.com`, each with a port or without: the suffix with its dot, and whether the
    /// name itself is meant too.
    Domain { suffix: String, itself: bool, port: Option<String> },
}

impl NoProxy {
    /// Reads a list. What can't be understood in it names nobody.
    pub(super) fn parse(list: &str) -> Self {
        let entries: Vec<Entry> = list.split(',').filter_map(entry).collect();
        // As in Go, one `*` makes all others pointless.
        if entries.contains(&Entry::All) { Self(vec![Entry::All]) } else { Self(entries) }
    }

    /// Whether a server is reached without a proxy. The host has no brackets.
    pub(super) fn names(&self, host: &str, port: u16) -> bool {
        let host = host.trim_end_matches(char::is_whitespace).to_ascii_lowercase();
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            return true;
        }
        let is_port = |wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| *wanted == port.to_string());
        self.0.iter().any(|entry| match entry {
            Entry::All => true,
            Entry::Net(net) => address.is_some_and(|address| net.contains(&address)),
            Entry::Address(known, of) => address == Some(*known) && is_port(of),
            Entry::Domain { suffix, itself, port } => {
                address.is_none() && (host.ends_with(suffix) || (*itself && host == suffix[1..])) && is_port(port)
            }
        })
    }
}

fn entry(text: &str) -> Option<Entry> {
    let text = text.trim().to_lowercase();
    if text == "*" {
        return Some(Entry::All);
    }
    if let Ok(net) = text.parse::<IpNet>() {
        return Some(Entry::Net(net));
    }
    let (host, port) = split(&text);
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(Entry::Address(address.to_canonical(), port));
    }
    let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
    let (name, itself) = host.strip_prefix('.').map_or((host, true), |name| (name, false));
    if host.is_empty() {
        return None;
    }
    let name = match Host::parse(name) {
        Ok(Host::Domain(ascii)) if !name.is_ascii() => ascii,
        _ => name.to_owned(),
    };
    Some(Entry::Domain { suffix: format!(".{name}"), itself, port })
}

/// Host and port; an address of version 6 has colons of its own, and brackets where a port follows.
fn split(text: &str) -> (&str, Option<String>) {
    match text.rsplit_once(':') {
        Some((host, port)) if host.starts_with('[') && host.ends_with(']') => {
            (&host[1..host.len() - 1], Some(port.to_owned()).filter(|port| !port.is_empty()))
        }
        Some((host, port)) if !host.contains(':') => (host, Some(port.to_owned()).filter(|port| !port.is_empty())),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_an_entry_names_whom_it_names_in_go() {
        for (list, host, port, named) in [
            ("", "vault.example", 443, false),
            ("*", "vault.example", 443, true),
            ("other, *", "10.0.0.1", 443, true),
            ("example", "vault.example", 443, true),
            ("vault.example", "vault.example", 443, true),
            ("vault.example", "a.vault.example", 443, true),
            ("vault.example", "myvault.example", 443, false),
            ("VAULT.Example", "Vault.example", 443, true),
            (".example", "vault.example", 443, true),
            (".vault.example", "vault.example", 443, false),
            ("*.vault.example", "vault.example", 443, false),
            ("*.vault.example", "a.vault.example", 443, true),
            ("*example", "vault.example", 443, false),
            ("vault.example:8200", "vault.example", 8200, true),
            ("vault.example:8200", "vault.example", 443, false),
            (" a , vault.example ", "vault.example", 443, true),
            ("a vault.example", "vault.example", 443, false),
            ("10.0.0.0/8", "10.1.2.3", 443, true),
            ("10.9.9.9/8", "10.1.2.3", 443, true),
            ("10.0.0.0/8", "11.1.2.3", 443, false),
            ("10.0.0.0/8", "ten.example", 443, false),
            ("10.1.2.3", "10.1.2.3", 443, true),
            ("10.1.2.3:443", "10.1.2.3", 443, true),
            ("10.1.2.3:444", "10.1.2.3", 443, false),
            ("2.3", "10.1.2.3", 443, false),
            ("fd00::/8", "fd00::1", 443, true),
            ("fd00::1", "fd00::1", 443, true),
            ("[fd00::1]", "fd00::1", 443, false),
            ("[fd00::1]:443", "fd00::1", 443, true),
            ("::ffff:10.1.2.3", "10.1.2.3", 443, true),
            ("münchen.example", "xn--mnchen-3ya.example", 443, true),
            (",,:80,.", "vault.example", 443, false),
            // This machine is never asked through a proxy, whatever the list says.
            ("", "localhost", 443, true),
            ("", "127.9.9.9", 443, true),
            ("", "::1", 443, true),
            ("", "::ffff:127.0.0.1", 443, true),
            ("", "localhost.example", 443, false),
        ] {
            assert_eq!(NoProxy::parse(list).names(host, port), named, "{list:?} {host}:{port}");
        }
    }
}
