use std::ffi::OsStr;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use reqwest::Method;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::{Result, Vault, unique};

/// A name for an auth mount (`jwt-1f0c9a3e`, without `auth/`). With the last copy of its name, the mount goes, and so do the
/// policies of its roles and those that are called after it, as inventories are.
///
/// Every command reads the lists of auth mounts and policies, and the server hashes each of its answers for the audit log: what
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
        Self::called(vault, &unique(prefix))
    }

    /// A name that a test can't choose, and that no other test may have.
    pub fn called(vault: &Vault, name: &str) -> Self {
        Self(Arc::new(Name { vault: vault.clone(), name: name.to_owned() }))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self
    }
}

impl Name {
    fn remove(&self) -> Result<()> {
        let policies = self.policies();
        self.vault.request(Method::DELETE, &format!("sys/auth/{}", self.name), None)?;
        for policy in policies? {
            self.vault.request(Method::DELETE, &format!("sys/policies/acl/{policy}"), None)?;
        }
        Ok(())
    }

    /// The policies that nobody needs without the mount: of those that roles name, the ones that no other test has.
    fn policies(&self) -> Result<Vec<String>> {
        let list = |path: &str| -> Result<Vec<String>> {
            let (_, answer) = self.vault.request(Method::GET, &format!("{path}?list=true"), None)?;
            Ok(texts(&answer["data"]["keys"]))
        };
        let mut policies = list("sys/policies/acl")?;
        policies.retain(|policy| policy.contains(&self.name));
        let roles = format!("auth/{}/role", self.name);
        for role in list(&roles)? {
            let (_, role) = self.vault.request(Method::GET, &format!("{roles}/{role}"), None)?;
            policies.extend(texts(&role["data"]["token_policies"]).into_iter().filter(|policy| is_unique(policy)));
        }
        policies.sort();
        policies.dedup();
        Ok(policies)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // The test is over, and its server may be gone already: nothing is said of it any more.
        let _ = self.remove();
    }
}

/// The texts of a list.
fn texts(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whether a part of a name is as [`unique`] makes it.
fn is_unique(name: &str) -> bool {
    name.split('-').any(|part| part.len() == 8 && part.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')))
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
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_of_one_test_are_told_from_others() {
        assert!(is_unique(&unique("p-read")) && is_unique("p-1f0c9a3e-second"));
        assert!(
            ["default", "p-k8s_taloslmn_eso-read", "example-api", "p-1f0c9a3", "p-1F0C9A3E"]
                .iter()
                .all(|name| !is_unique(name))
        );
    }
}
