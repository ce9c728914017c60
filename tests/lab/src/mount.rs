use std::ffi::OsStr;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use reqwest::Method;
use serde::{Serialize, Serializer};

use crate::{Vault, unique};

/// A name for an auth mount (`jwt-1f0c9a3e`, without `auth/`). The mount goes with the last copy of its name.
///
/// Every command reads the list of auth mounts, and the server hashes each of its answers for the audit log: mounts that
/// stayed would make each test slower than the one before.
#[derive(Clone)]
pub struct Mount(Arc<Name>);

struct Name {
    vault: Vault,
    name: String,
}

impl Mount {
    /// A name that nobody else has, for a mount of this Vault, which a test makes or lets make.
    pub fn new(vault: &Vault, prefix: &str) -> Self {
        Self(Arc::new(Name { vault: vault.clone(), name: unique(prefix) }))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // The test is over, and its server may be gone already: nothing is said of it any more.
        let _ = self.vault.request(Method::DELETE, &format!("sys/auth/{}", self.name), None);
    }
}

impl Deref for Mount {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.name
    }
}

impl AsRef<OsStr> for Mount {
    fn as_ref(&self) -> &OsStr {
        OsStr::new(&**self)
    }
}

impl Serialize for Mount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
