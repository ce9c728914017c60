//! What a rule may grant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A capability as it stands in a policy.
///
/// The order is the one in which they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// Create what isn't there yet.
    Create,
    /// Read.
    Read,
    /// Change what is there.
    Update,
    /// Change a part of what is there.
    Patch,
    /// Delete.
    Delete,
    /// List the names at a path.
    List,
    /// List names at every depth (OpenBao only).
    Scan,
    /// Reach paths that are protected by default, such as `sys/auth/…`.
    Sudo,
    /// Subscribe to events (Vault only).
    Subscribe,
    /// Recover from a snapshot (Vault only).
    Recover,
    /// Nothing, whatever other rules for the same path say.
    Deny,
}

impl Capability {
    /// Every capability.
    pub const ALL: [Self; 11] = [
        Self::Create,
        Self::Read,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::List,
        Self::Scan,
        Self::Sudo,
        Self::Subscribe,
        Self::Recover,
        Self::Deny,
    ];

    /// Its name in policies and in the answers of `sys/capabilities`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Scan => "scan",
            Self::Sudo => "sudo",
            Self::Subscribe => "subscribe",
            Self::Recover => "recover",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that no capability has. `root`, which `sys/capabilities` answers for the root policy, is one: no rule can
/// grant it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} isn't a capability")]
pub struct UnknownCapability(pub String);

impl UnknownCapability {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        let hint = if self.0 == "write" { "in place of write, take create and update; " } else { "" };
        let names: Vec<&str> = Capability::ALL.iter().map(|capability| capability.as_str()).collect();
        format!("{hint}the capabilities are {}", names.join(", "))
    }
}

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|capability| capability.as_str() == name)
            .ok_or_else(|| UnknownCapability(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for capability in Capability::ALL {
            assert_eq!(capability.to_string().parse(), Ok(capability));
            let json = serde_json::to_string(&capability).unwrap();
            assert_eq!(json, format!("\"{capability}\""));
        }
        assert!("Read".parse::<Capability>().is_err());
        assert!("root".parse::<Capability>().is_err());
        assert!("write".parse::<Capability>().unwrap_err().remedy().contains("update"));
    }
}
