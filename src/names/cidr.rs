//! Ranges of addresses, as roles bind them.

use std::net::IpAddr;

/// A range without the prefix of a single address, which Vault leaves out when it is read back.
pub(crate) fn plain(cidr: &str) -> String {
    cidr.trim_end_matches("/32").trim_end_matches("/128").to_owned()
}

/// Whether a range (`10.0.0.0/8`, or a single address) contains an address.
pub(crate) fn contains(cidr: &str, address: IpAddr) -> bool {
    let (network, length) = match cidr.split_once('/') {
        Some((network, length)) => (network, length.parse().ok()),
        None => (cidr, Some(128)),
    };
    let (Ok(network), Some(length)) = (network.parse::<IpAddr>(), length) else { return false };
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32_u32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let ((network, width), (address, other)) = (bits(network), bits(address));
    let length = length.min(width);
    width == other && (length == 0 || (network ^ address) >> (128 - length) == 0)
}

/// Whether a range contains all of another one.
pub(crate) fn covers(wide: &str, narrow: &str) -> bool {
    let length = |cidr: &str| cidr.split_once('/').map_or(Some(128), |(_, length)| length.parse::<u32>().ok());
    let network = narrow.split('/').next().unwrap_or_default().parse::<IpAddr>();
    let (Ok(network), Some(wide_length), Some(narrow_length)) = (network, length(wide), length(narrow)) else {
        return wide == narrow;
    };
    let width = if network.is_ipv4() { 32 } else { 128 };
    contains(wide, network) && wide_length.min(width) <= narrow_length.min(width)
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
}
