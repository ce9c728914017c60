//! Ranges of addresses, as roles bind them.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// The bits before an address of the older kind where it is written as one of the newer (`::ffff:10.0.0.1`).
const MAPPED: u8 = 96;

/// A range (`10.0.0.0/8`), or a single address. One that is written as the newer kind's and is of the older (`::ffff:10.0.0.0/104`) is
/// what it is, for the servers too.
pub(crate) fn parse(cidr: &str) -> Option<IpNet> {
    let range: IpNet = cidr.parse().ok().or_else(|| cidr.parse::<IpAddr>().ok().map(IpNet::from))?;
    let mapped = |address: IpAddr| match address {
        IpAddr::V6(address) => address.to_ipv4_mapped(),
        IpAddr::V4(_) => None,
    };
    let prefix = range.prefix_len().checked_sub(MAPPED);
    let plain = mapped(range.addr()).zip(prefix).and_then(|(address, prefix)| Ipv4Net::new(address, prefix).ok());
    Some(plain.map_or(range, IpNet::V4))
}

/// Whether a range begins among the addresses of the older kind and ends beyond them: the servers make a single address of it.
pub(crate) fn is_beyond_mapped(cidr: &str) -> bool {
    matches!(parse(cidr), Some(IpNet::V6(range)) if range.addr().to_ipv4_mapped().is_some())
}

/// A range as the server reads it back: the address in its shortest form, and no prefix where that covers one address. Bits below the
/// prefix stay, as they do on the server.
pub(crate) fn plain(cidr: &str) -> String {
    match parse(cidr) {
        Some(range) if range.prefix_len() == range.max_prefix_len() => range.addr().to_string(),
        Some(range) => range.to_string(),
        None => cidr.to_owned(),
    }
}

/// Whether a range contains an address.
pub(crate) fn contains(cidr: &str, address: IpAddr) -> bool {
    parse(cidr).is_some_and(|range| range.contains(&address))
}

/// Whether a range contains all of another one.
pub(crate) fn covers(wide: &str, narrow: &str) -> bool {
    match (parse(wide), parse(narrow)) {
        (Some(wide), Some(narrow)) => wide.contains(&narrow),
        _ => wide == narrow,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_covers_narrower_ones() {
        for (wide, narrow) in [("0.0.0.0/0", "10.1.0.0/16"), ("10.0.0.0/8", "10.1.2.3"), ("10.1.2.3", "10.1.2.3/32")] {
            assert!(covers(wide, narrow), "{wide} {narrow}");
        }
        for (one, other) in [("10.1.0.0/16", "0.0.0.0/0"), ("10.0.0.0/8", "11.0.0.0/16"), ("0.0.0.0/0", "::/0")] {
            assert!(!covers(one, other), "{one} {other}");
        }
    }

    #[test]
    fn an_address_is_in_its_range() {
        for (cidr, address) in
            [("10.0.0.0/8", "10.1.2.3"), ("127.0.0.1", "127.0.0.1"), ("0.0.0.0/0", "1.2.3.4"), ("fd00::/8", "fd12::1")]
        {
            assert!(contains(cidr, address.parse().unwrap()), "{cidr} {address}");
        }
        for (cidr, address) in
            [("10.0.0.0/8", "11.0.0.1"), ("127.0.0.1/32", "127.0.0.2"), ("::/0", "1.2.3.4"), ("nonsense", "1.2.3.4")]
        {
            assert!(!contains(cidr, address.parse().unwrap()), "{cidr} {address}");
        }
    }

    #[test]
    fn a_range_is_plain_as_the_server_reads_it_back() {
        // As OpenBao 2.7.2 reads them back.
        for (written, read) in [
            ("127.0.0.1/32", "127.0.0.1"),
            ("10.0.0.5/24", "10.0.0.5/24"),
            ("2001:DB8:0::1/64", "2001:db8::1/64"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("fe80::0:1", "fe80::1"),
            ("::1/128", "::1"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0a00:0/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3", "10.1.2.3"),
            ("::ffff:10.1.2.3/100", "10.1.2.3/4"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::10.1.2.3", "::a01:203"),
            ("64:ff9b::10.0.0.0/100", "64:ff9b::a00:0/100"),
        ] {
            assert_eq!(plain(written), read);
        }
    }

    #[test]
    fn a_range_that_the_servers_make_an_address_of_is_told() {
        // OpenBao 2.7.2 reads this one back as 0.0.0.0.
        assert!(is_beyond_mapped("::ffff:0:0/90"));
        for text in ["::ffff:0:0/96", "::/90", "::/0", "10.0.0.0/8", "2001:db8::/32", "x"] {
            assert!(!is_beyond_mapped(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_range_is_none() {
        for text in
            ["", "192.0.2", "192.0.2.7/33", "192.0.2.7/", "192.0.2.7/+8", "::/129", "example.com", "10.0.0.0/8/8"]
        {
            assert!(parse(text).is_none(), "{text}");
        }
        for text in ["192.0.2.7", "192.0.2.0/24", "0.0.0.0/0", "2001:db8::/32", "::1"] {
            assert!(parse(text).is_some(), "{text}");
        }
    }
}
