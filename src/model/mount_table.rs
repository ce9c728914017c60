//! What is mounted in a namespace.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The mounts of a namespace, and its child namespaces, by their paths without a slash at the end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct MountTable {
    /// The secrets mounts.
    pub(crate) secrets: BTreeSet<String>,
    /// The auth mounts; `None` where they may not be listed.
    pub(crate) auth: Option<BTreeSet<String>>,
    /// The namespaces; `None` where they may not be listed.
    pub(crate) namespaces: Option<BTreeSet<String>>,
}
