//! Ranges of addresses, as roles bind them.

use std::net::IpAddr;

/// A range without the prefix of a single address, which Vault leaves out when it is read back.
pub(super) fn plain(cidr: &str) -> String {
    cidr.trim_end_matches("/32").trim_end_matches("/128").to_owned()
}

/// Whether a range (`10.0.0.0/8`, or a single address) contains an address.
pub(super) fn contains(cidr: &str, address: IpAddr) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

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
