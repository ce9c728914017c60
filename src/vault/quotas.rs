//! The quotas of a Vault, of which its root namespace alone tells.

use serde::{Deserialize, Serialize};

use super::request::encoded;
use super::{Client, Data, Request};
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
    /// The namespace or mount that it is about, with a slash at its end; empty for everything.
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
    /// How many leases there may be.
    #[serde(default)]
    pub(crate) max_leases: u64,
}

impl Quota {
    /// Whether it is about logins as a role at a mount, whose path has its namespace in front.
    pub(crate) fn is_about(&self, mount: &str, role: &str) -> bool {
        let of_path = self.path.is_empty() || format!("{mount}/").starts_with(&self.path);
        of_path && (self.role.is_empty() || self.role == role)
    }
}

/// The quotas of a kind; `None` where the token may not read them.
pub(crate) async fn read(client: &Client, kind: Limited) -> Option<Vec<Quota>> {
    #[derive(Deserialize)]
    struct Names {
        keys: Vec<String>,
    }
    let client = client.without_namespace();
    let Some(names) = client.find(&Request::<Data<Names>>::list(kind.path())).await.ok()? else {
        return Some(Vec::new());
    };
    let mut quotas = Vec::new();
    for name in names.data.keys {
        let path = format!("{}/{}", kind.path(), encoded(&name));
        quotas.extend(client.find(&Request::<Data<Quota>>::read(path)).await.ok()?.map(|quota| quota.data));
    }
    Some(quotas)
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
            ("corp/", "", false),
        ] {
            let quota: Quota =
                serde_json::from_value(serde_json::json!({ "name": "q", "path": path, "role": role, "rate": 1 }))
                    .unwrap();
            assert_eq!(quota.is_about("auth/jwt", "app"), expected, "{path} {role}");
        }
    }
}
