//! What is asked of Vault about an auth mount and its roles.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::{Query, Servers};
use crate::model::{AuthMethod, AuthMount, ConfigDocument, HeldRole, RoleDocument};
use crate::names::{MountPath, Owner, RoleName, StoredName};
use crate::ownership::Inventory;
use crate::vault::{Data, Request, VaultError, auth_mounts, configurations, inventories_of, method, roles};

/// How many roles are read at once; the client has a limit of its own for all that is under way.
const AT_ONCE: usize = 64;

/// The auth mounts, by path.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AuthMounts;

impl Query for AuthMounts {
    type Answer = Result<BTreeMap<String, AuthMount>, VaultError>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let mounts = servers.vault.send(&auth_mounts::list()).await?.data;
        Ok(mounts.into_iter().map(|(path, mount)| (path, mount.normalised())).collect())
    }
}

/// An auth mount as it is shown to whoever may use it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct VisibleMount {
    pub(crate) mount: MountPath,
}

impl Query for VisibleMount {
    type Answer = Option<AuthMount>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        Some(servers.vault.find(&auth_mounts::as_user(&self.mount)).await.ok()??.data)
    }
}

/// The method of a mount, as its configuration shows it: who may not list the mounts may still read the configuration of one, and each
/// method has fields of its own.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MethodByConfig {
    pub(crate) mount: MountPath,
}

impl Query for MethodByConfig {
    type Answer = Option<AuthMethod>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        #[derive(Deserialize)]
        struct Telling {
            kubernetes_host: Option<IgnoredAny>,
            bound_issuer: Option<IgnoredAny>,
        }
        let read = method::read_config::<Telling>(&self.mount);
        match servers.vault.find(&read).await.ok()??.data {
            Telling { kubernetes_host: Some(_), .. } => Some(AuthMethod::Kubernetes),
            Telling { bound_issuer: Some(_), .. } => Some(AuthMethod::Jwt),
            _ => None,
        }
    }
}

/// A mount's configuration as it is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "WrittenConfig", from = "WrittenConfig")]
pub(crate) struct HeldConfig(pub(crate) ConfigDocument);

/// The same in a file, with what nobody can write into Vault.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct WrittenConfig {
    document: ConfigDocument,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    has_reviewer_token: Option<bool>,
}

impl From<HeldConfig> for WrittenConfig {
    fn from(HeldConfig(document): HeldConfig) -> Self {
        let has_reviewer_token = document.kubernetes().and_then(|config| config.token_reviewer_jwt_set);
        Self { document, has_reviewer_token }
    }
}

impl From<WrittenConfig> for HeldConfig {
    fn from(WrittenConfig { mut document, has_reviewer_token }: WrittenConfig) -> Self {
        if let ConfigDocument::Kubernetes(config) = &mut document {
            config.token_reviewer_jwt_set = has_reviewer_token;
        }
        Self(document)
    }
}

/// The configuration of a mount; `None` where it has none.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MountConfig {
    pub(crate) mount: MountPath,
    pub(crate) method: AuthMethod,
}

impl Query for MountConfig {
    type Answer = Result<Option<HeldConfig>, VaultError>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        Ok(configurations::read(&servers.vault, &self.mount, self.method).await?.map(HeldConfig))
    }
}

/// The most that a mount's logins may live, in seconds, where it can be read (`GET sys/mounts/auth/{path}/tune`).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LongestLease {
    pub(crate) mount: MountPath,
}

impl Query for LongestLease {
    type Answer = Option<u64>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        #[derive(Deserialize)]
        struct Tune {
            max_lease_ttl: u64,
        }
        let tune = Request::<Data<Tune>>::read(format!("sys/mounts/auth/{}/tune", self.mount));
        servers.vault.send(&tune).await.ok().map(|answer| answer.data.max_lease_ttl)
    }
}

/// A role of a mount, whatever its name; `None` where it isn't there.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OneRole {
    pub(crate) mount: MountPath,
    pub(crate) method: AuthMethod,
    pub(crate) name: String,
    /// Which try this is: a standby may have been late.
    pub(crate) attempt: u8,
}

impl Query for OneRole {
    type Answer = Result<Option<RoleDocument>, VaultError>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        roles::read(&servers.vault, &self.mount, self.method, &self.name).await
    }
}

/// The names of a mount's roles; `None` where they may not be listed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RoleNames {
    pub(crate) mount: MountPath,
}

impl Query for RoleNames {
    type Answer = Result<Option<Vec<StoredName>>, VaultError>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let names = roles::list(&servers.vault, &self.mount).await?;
        Ok(names.map(|names| names.into_iter().collect()))
    }
}

/// Whether a mount has a role of this name, where that can be seen.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct HasRole {
    pub(crate) mount: MountPath,
    pub(crate) name: RoleName,
}

impl Query for HasRole {
    type Answer = bool;

    async fn ask(&self, servers: &Servers) -> bool {
        let request = method::read_role::<IgnoredAny>(&self.mount, self.name.as_str());
        matches!(servers.vault.find(&request).await, Ok(Some(_)))
    }
}

/// The roles of a mount that are there beside these.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OtherRoles {
    pub(crate) mount: MountPath,
    pub(crate) method: AuthMethod,
    /// Their names, which are read of the mount.
    #[serde(skip)]
    pub(crate) names: Vec<StoredName>,
}

impl Query for OtherRoles {
    type Answer = Result<BTreeMap<StoredName, HeldRole>, VaultError>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let client = &servers.vault;
        roles::read_held(client, &self.mount, self.method, self.names.iter().cloned(), AT_ONCE).await
    }
}

/// The CEL roles of a mount; `None` where they may not be listed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct CelRoles {
    pub(crate) mount: MountPath,
    pub(crate) method: AuthMethod,
}

impl Query for CelRoles {
    type Answer = Result<Option<Vec<StoredName>>, VaultError>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let names = roles::list_cel(&servers.vault, &self.mount, self.method).await?;
        Ok(names.map(|names| names.into_iter().collect()))
    }
}

/// The inventories of a mount, by owner, without one owner's.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OthersInventories {
    pub(crate) mount: MountPath,
    /// Which mount it is, of several that were there in turn.
    pub(crate) accessor: Option<String>,
    pub(crate) without: Option<Owner>,
}

impl Query for OthersInventories {
    type Answer = Result<BTreeMap<Owner, Inventory>, VaultError>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let (vault, accessor) = (&servers.vault, self.accessor.as_deref());
        inventories_of(vault, &self.mount, accessor, self.without.as_ref()).await.map(Option::unwrap_or_default)
    }
}
