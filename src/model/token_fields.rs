//! The fields of roles that decide about the token of a login, which all auth methods share.

use serde::{Deserialize, Deserializer, Serialize};

use crate::names::cidr;

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
        for bound in &mut self.token_bound_cidrs {
            *bound = cidr::plain(bound);
        }
        sort(&mut self.token_policies);
        sort(&mut self.token_bound_cidrs);
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
