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
