//! The fields of roles that decide about the token of a login, which all auth methods share.

use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize};

/// What a role of any method says about the tokens of its logins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TokenFields {
    /// The policies of the token.
    #[serde(deserialize_with = "null_as_default")]
    pub token_policies: Vec<String>,
    /// Seconds.
    pub token_ttl: u64,
    /// Seconds.
    pub token_max_ttl: u64,
    /// Seconds.
    pub token_explicit_max_ttl: u64,
    /// Seconds.
    pub token_period: u64,
    /// 0 is without limit.
    pub token_num_uses: u64,
    /// Whether the token goes without the policy `default`.
    pub token_no_default_policy: bool,
    /// Where a login may come from.
    #[serde(deserialize_with = "null_as_default")]
    pub token_bound_cidrs: Vec<String>,
    /// Whether the token stays bound to the address of its login (OpenBao).
    pub token_strictly_bind_ip: bool,
    /// `default`, `service` or `batch`.
    pub token_type: String,
}

impl TokenFields {
    /// Lists sorted, policy names in lower case, and CIDRs of one address as that address.
    pub(super) fn normalise(&mut self) {
        for policy in &mut self.token_policies {
            policy.make_ascii_lowercase();
        }
        for cidr in &mut self.token_bound_cidrs {
            *cidr = canonical_cidr(cidr);
        }
        sort(&mut self.token_policies);
        sort(&mut self.token_bound_cidrs);
    }
}

/// An address block as the server reads it back: the address in its shortest form, and no prefix where that covers one
/// address. Bits below the prefix stay, as they do on the server.
fn canonical_cidr(text: &str) -> String {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let Ok(address) = address.parse::<IpAddr>() else { return text.to_owned() };
    let whole = if address.is_ipv4() { "32" } else { "128" };
    match prefix.filter(|prefix| *prefix != whole) {
        Some(prefix) => format!("{address}/{prefix}"),
        None => address.to_string(),
    }
}

/// A list in which neither order nor repetition means anything.
pub(crate) fn sort(list: &mut Vec<String>) {
    list.sort();
    list.dedup();
}

/// Go's JSON writes an empty list or map as `null`.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_blocks_are_as_the_server_reads_them_back() {
        // As OpenBao 2.7.2 reads them back.
        for (written, read) in [
            ("127.0.0.1/32", "127.0.0.1"),
            ("10.0.0.5/24", "10.0.0.5/24"),
            ("2001:DB8:0::1/64", "2001:db8::1/64"),
            ("fe80::0:1", "fe80::1"),
            ("::1/128", "::1"),
        ] {
            assert_eq!(canonical_cidr(written), read);
        }
    }
}
