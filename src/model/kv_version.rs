//! The two versions of KV.

use serde::{Deserialize, Serialize};

/// The version of a KV mount, which decides whether API paths carry `data/` and `metadata/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum KvVersion {
    /// One value for each path.
    #[serde(rename = "1")]
    V1,
    /// Versioned values.
    #[serde(rename = "2")]
    V2,
}

/// A KV mount that is made where it isn't there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldKv {
    /// It is there.
    There(KvVersion),
    /// Nothing is at its path.
    Absent {
        /// The child namespace that its path leads to, below the one that is asked.
        namespace: Option<String>,
    },
}

impl HeldKv {
    /// Its version, or the one that it is made of.
    pub fn version(&self) -> KvVersion {
        match self {
            Self::There(version) => *version,
            Self::Absent { .. } => KvVersion::V2,
        }
    }
}
