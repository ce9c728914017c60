//! The quotas of a Vault, of which its root namespace alone tells.

use serde::{Deserialize, Serialize};

use super::request::encoded;
use super::{Client, Data, Request, VaultError};
use crate::model::null_as_default;

/// What a quota limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Limited {
    /// How many requests there may be in a while.
    Rate,
    /// How many leases there may be (Vault Enterprise).
    Leases,
}

impl Limited {
    /// Where such quotas are.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Rate => "sys/quotas/rate-limit",
            Self::Leases => "sys/quotas/lease-count",
        }
    }
}

/// A quota.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quota {
    /// Its name.
    pub(crate) name: String,
    /// The namespace or mount that it is about, with a slash at its end, or a path of a mount, with or without `*` at its end; empty for
    /// everything.
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) path: String,
    /// The role whose logins it is about alone.
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) role: String,
    /// How many requests in an interval.
    #[serde(default)]
    pub(crate) rate: f64,
    /// In seconds.
    #[serde(default)]
    pub(crate) interval: f64,
    /// For how many seconds nothing is taken after too many.
    #[serde(default)]
    pub(crate) block_interval: f64,
    /// Whether it is about the namespaces below its own, too.
    #[serde(default)]
    pub(crate) inheritable: bool,
    /// How many leases there may be.
    #[serde(default)]
    pub(crate) max_leases: u64,
}

impl Quota {
    /// Whether it is about logins as a role at a mount, whose path has its namespace in front.
    pub(crate) fn is_about(&self, mount: &str, role: &str) -> bool {
        let login = format!("{mount}/login");
        let of_path = if let Some(start) = self.path.strip_suffix('*') {
            login.starts_with(start)
        } else {
            let rest = login.strip_prefix(self.path.trim_end_matches('/'));
            self.path.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        of_path && (self.role.is_empty() || self.role == role)
    }
}

/// The quotas of a kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct QuotasThere {
    /// Those that were read.
    pub(crate) quotas: Vec<Quota>,
    /// How many more there are.
    #[serde(default)]
    pub(crate) unread: usize,
}

/// How many quotas are read, each by itself, of a server that limits requests just then.
const MOST: usize = 50;

/// The quotas of a kind; `None` where the token may not read them.
///
/// # Errors
/// Where Vault doesn't say either.
pub(crate) async fn read(client: &Client, kind: Limited) -> Result<Option<QuotasThere>, VaultError> {
    #[derive(Deserialize)]
    struct Names {
        keys: Vec<String>,
    }
    let client = client.without_namespace();
    let mut held = QuotasThere::default();
    let names = match client.send(&Request::<Data<Names>>::list(kind.path())).await {
        Ok(names) => names.data.keys,
        // Also of a server without quotas of this kind.
        Err(VaultError::NotFound { .. }) => return Ok(Some(held)),
        Err(VaultError::Forbidden { .. } | VaultError::InvalidToken { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    held.unread = names.len().saturating_sub(MOST);
    for name in names.iter().take(MOST) {
        let path = format!("{}/{}", kind.path(), encoded(name));
        match client.find(&Request::<Data<Quota>>::read(path)).await {
            Ok(quota) => held.quotas.extend(quota.map(|quota| quota.data)),
            Err(VaultError::Forbidden { .. } | VaultError::InvalidToken { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(held))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_is_about_what_is_below_its_path_and_about_its_role() {
        for (path, role, expected) in [
            ("", "", true),
            ("auth/jwt/", "", true),
            ("auth/jwt/", "app", true),
            ("auth/jwt/", "other", false),
            ("auth/jwt-2/", "", false),
            ("auth/jwt/login", "", true),
            ("auth/jwt/login/", "", true),
            ("auth/jwt/*", "", true),
            ("auth/jwt/lo*", "app", true),
            ("auth/jwt/log", "", false),
            ("auth/jwt/role/*", "", false),
            ("auth/jwt/config", "", false),
            ("corp/", "", false),
        ] {
            let quota: Quota =
                serde_json::from_value(serde_json::json!({ "name": "q", "path": path, "role": role, "rate": 1 }))
                    .unwrap();
            assert_eq!(quota.is_about("auth/jwt", "app"), expected, "{path} {role}");
        }
    }
}
