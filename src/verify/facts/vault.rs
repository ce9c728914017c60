//! What is asked of Vault, as the operator sees it or as anybody may ask.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Facts, Query};
use crate::error::Error;
use crate::names::{MountPath, Owner, RoleName, StoredName};
use crate::ownership::Inventory;
use crate::vault::policies::StoredPolicy;
use crate::vault::roles::HeldRole;
use crate::vault::tokens::Enforcement;
use crate::vault::{
    AuthMethod, AuthMount, ConfigDocument, Data, JwtConfig, KubernetesConfig, KvVersion, MountTable, Request,
    RoleDocument, VaultError, audit, auth_mounts, inventories_of, kv, method, policies, roles, tokens,
};
use crate::verify::finding::sentence;

/// How many roles are read at once; the client has a limit of its own for all that is under way.
const AT_ONCE: usize = 64;

/// What a server says of itself before anybody logs in (`GET sys/seal-status`).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SealStatus {
    pub(crate) initialized: bool,
    pub(crate) sealed: bool,
    #[serde(default)]
    pub(crate) version: String,
    /// What all nodes of this Vault have in common; empty while it is sealed.
    #[serde(default)]
    pub(crate) cluster_id: String,
}

/// Whether it is sealed, which anybody may ask, of the server as a whole.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Seal;

impl Query for Seal {
    type Answer = Result<SealStatus, VaultError>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        facts.servers.anybody().send(&Request::of_the_node("sys/seal-status")).await
    }
}

/// Which node is active (`GET sys/leader`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LeaderStatus {
    pub(crate) ha_enabled: bool,
    pub(crate) is_self: bool,
    pub(crate) leader_address: String,
}

/// Which node is active, which anybody may ask.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Leader;

impl Query for Leader {
    type Answer = Result<LeaderStatus, VaultError>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        facts.servers.anybody().send(&Request::of_the_node("sys/leader")).await
    }
}

/// Whether a standby passes on what only the active node can answer: an error, if it doesn't. Anybody may ask, and is refused by the
/// active node.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Forwards;

impl Query for Forwards {
    type Answer = Result<(), VaultError>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        match facts.servers.anybody().send(&Request::<IgnoredAny>::read("sys/ha-status")).await {
            Err(error @ (VaultError::Redirected { .. } | VaultError::Standby { .. })) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Whether it says that it is OpenBao, by saying nothing of editions, as Vault does (`GET sys/health`).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct IsOpenBao;

impl Query for IsOpenBao {
    type Answer = bool;

    async fn ask(&self, facts: &Facts) -> bool {
        #[derive(Deserialize)]
        struct Edition {
            enterprise: Option<bool>,
        }
        let health = Request::<Edition>::read("sys/health").with_query("standbyok=true&perfstandbyok=true");
        facts.servers.anybody().send(&health).await.is_ok_and(|edition| edition.enterprise.is_none())
    }
}

/// The clocks of Vault, as the node has it that answers (`GET sys/health`), and of this machine.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Clocks {
    /// For what: a time is only as good as it is new.
    pub(crate) of: String,
}

/// What they say, in seconds since 1970.
#[derive(Debug)]
pub(crate) struct Time {
    /// Vault's, where it tells.
    pub(crate) vault: Option<i64>,
    /// This machine's.
    pub(crate) here: i64,
}

impl Query for Clocks {
    type Answer = Time;

    async fn ask(&self, facts: &Facts) -> Time {
        #[derive(Deserialize)]
        struct Health {
            server_time_utc: i64,
        }
        let health = Request::<Health>::of_the_node("sys/health").with_query("standbyok=true&perfstandbyok=true");
        let here = jiff::Timestamp::now().as_second();
        let answer = facts.servers.anybody().send(&health).await;
        Time { vault: answer.ok().map(|health| health.server_time_utc), here }
    }
}

/// The operator's token (`GET auth/token/lookup-self`).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct OperatorToken {
    #[serde(default)]
    pub(crate) display_name: String,
    /// For how many more seconds it is valid; 0 for one that doesn't end.
    #[serde(default)]
    pub(crate) ttl: i64,
    #[serde(default)]
    pub(crate) policies: Vec<String>,
    /// How often it may still be used; 0 where that has no end.
    #[serde(default)]
    pub(crate) num_uses: i64,
}

/// What the operator's token says of itself, and why it doesn't; `None` where there is no token.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Operator;

impl Query for Operator {
    type Answer = Option<Result<OperatorToken, VaultError>>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        let client = &facts.servers.vault;
        if !client.has_token() {
            return None;
        }
        let request = Request::<Data<OperatorToken>>::read("auth/token/lookup-self");
        Some(match client.send(&request).await {
            Ok(answer) => Ok(answer.data),
            Err(error) => Err(client.explain_forbidden(error).await),
        })
    }
}

/// Why the operator was refused something: for want of a rule, or because of its token.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Explained {
    /// The error in the server's and the client's words, which tells it from others.
    said: String,
    #[serde(skip)]
    error: VaultError,
}

impl Explained {
    /// The question about an error.
    pub(crate) fn of(error: &VaultError) -> Self {
        Self { said: sentence(&Error::from(error.clone())), error: error.clone() }
    }
}

impl Query for Explained {
    type Answer = VaultError;

    async fn ask(&self, facts: &Facts) -> VaultError {
        facts.servers.vault.explain_forbidden(self.error.clone()).await
    }
}

/// Whether a namespace is there: what it shows to nobody in particular (`GET sys/internal/ui/mounts`).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Shown;

impl Query for Shown {
    type Answer = Result<(), VaultError>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        let request = Request::<IgnoredAny>::read("sys/internal/ui/mounts");
        facts.servers.vault.without_token().send(&request).await.map(|_| ())
    }
}

/// The auth mounts, by path.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AuthMounts;

impl Query for AuthMounts {
    type Answer = Result<BTreeMap<String, AuthMount>, VaultError>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        let mounts = facts.servers.vault.send(&auth_mounts::list()).await?.data;
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

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        Some(facts.servers.vault.find(&auth_mounts::as_user(&self.mount)).await.ok()??.data)
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

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        #[derive(Deserialize)]
        struct Telling {
            kubernetes_host: Option<IgnoredAny>,
            bound_issuer: Option<IgnoredAny>,
        }
        let read = method::read_config::<Telling>(&self.mount);
        match facts.servers.vault.find(&read).await.ok()??.data {
            Telling { kubernetes_host: Some(_), .. } => Some(AuthMethod::Kubernetes),
            Telling { bound_issuer: Some(_), .. } => Some(AuthMethod::Jwt),
            _ => None,
        }
    }
}

/// The configuration of a mount; `None` where it has none.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MountConfig {
    pub(crate) mount: MountPath,
    pub(crate) method: AuthMethod,
}

impl Query for MountConfig {
    type Answer = Result<Option<ConfigDocument>, VaultError>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        let client = &facts.servers.vault;
        Ok(match self.method {
            AuthMethod::Jwt => {
                let config = client.find(&method::read_config::<JwtConfig>(&self.mount)).await?;
                config.map(|config| ConfigDocument::Jwt(config.data.normalised()))
            }
            AuthMethod::Kubernetes => {
                let config = client.find(&method::read_config::<KubernetesConfig>(&self.mount)).await?;
                config.map(|config| ConfigDocument::Kubernetes(config.data.normalised()))
            }
        })
    }
}

/// The most that a mount's logins may live, in seconds, where it can be read (`GET sys/mounts/auth/{path}/tune`).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LongestLease {
    pub(crate) mount: MountPath,
}

impl Query for LongestLease {
    type Answer = Option<u64>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        #[derive(Deserialize)]
        struct Tune {
            max_lease_ttl: u64,
        }
        let tune = Request::<Data<Tune>>::read(format!("sys/mounts/auth/{}/tune", self.mount));
        facts.servers.vault.send(&tune).await.ok().map(|answer| answer.data.max_lease_ttl)
    }
}

/// The audit devices.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AuditDevices;

impl Query for AuditDevices {
    type Answer = Option<BTreeMap<String, audit::AuditDevice>>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        facts.servers.vault.send(&audit::devices()).await.ok().map(|answer| answer.data)
    }
}

/// A role of a mount, whatever its name; `None` where it isn't there.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Role {
    pub(crate) mount: MountPath,
    pub(crate) method: AuthMethod,
    pub(crate) name: String,
}

impl Query for Role {
    type Answer = Result<Option<RoleDocument>, VaultError>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        roles::read(&facts.servers.vault, &self.mount, self.method, &self.name).await
    }
}

/// The names of a mount's roles; `None` where they may not be listed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RoleNames {
    pub(crate) mount: MountPath,
}

impl Query for RoleNames {
    type Answer = Result<Option<Vec<StoredName>>, VaultError>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        let names = roles::list(&facts.servers.vault, &self.mount).await?;
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

    async fn ask(&self, facts: &Facts) -> bool {
        let request = method::read_role::<IgnoredAny>(&self.mount, self.name.as_str());
        matches!(facts.servers.vault.find(&request).await, Ok(Some(_)))
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

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        let client = &facts.servers.vault;
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

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        let names = roles::list_cel(&facts.servers.vault, &self.mount, self.method).await?;
        Ok(names.map(|names| names.into_iter().collect()))
    }
}

/// The inventories of a mount, by owner, without one owner's.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Inventories {
    pub(crate) mount: MountPath,
    /// Which mount it is, of several that were there in turn.
    pub(crate) accessor: Option<String>,
    pub(crate) without: Option<Owner>,
}

impl Query for Inventories {
    type Answer = Result<BTreeMap<Owner, Inventory>, VaultError>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        inventories_of(&facts.servers.vault, &self.mount, self.accessor.as_deref(), self.without.as_ref()).await
    }
}

/// A policy with all that the server keeps of it; `None` where there is no such policy.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct PolicyText {
    /// Its name, in lower case.
    pub(crate) name: String,
}

impl Query for PolicyText {
    type Answer = Result<Option<StoredPolicy>, VaultError>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        let found = facts.servers.vault.find(&policies::read(&self.name)).await;
        found.map(|policy| policy.map(|policy: Data<_>| policy.data))
    }
}

/// The version of a KV mount.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Kv {
    pub(crate) mount: MountPath,
}

impl Query for Kv {
    type Answer = Result<KvVersion, Error>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        kv::version(&facts.servers.vault, &self.mount).await
    }
}

/// The KV mounts that the token may see; none where it may see none.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KvMounts;

impl Query for KvMounts {
    type Answer = Vec<MountPath>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        kv::visible(&facts.servers.vault).await.unwrap_or_default().into_keys().collect()
    }
}

/// Everything that is mounted; `None` where the token may not list it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mounted;

impl Query for Mounted {
    type Answer = Option<MountTable>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        MountTable::read(&facts.servers.vault).await
    }
}

/// Which logins a second factor is wanted of; `None` where that can't be read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SecondFactorOf {
    pub(crate) enforcement: String,
}

impl Query for SecondFactorOf {
    type Answer = Option<Enforcement>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        Some(facts.servers.vault.find(&tokens::read_enforcement(&self.enforcement)).await.ok()??.data)
    }
}

/// An identity entity (`POST identity/lookup/entity`).
#[derive(Debug, Deserialize)]
pub(crate) struct Entity {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) disabled: bool,
    /// What somebody noted of it.
    #[serde(default)]
    pub(crate) metadata: Option<BTreeMap<String, String>>,
}

/// The entity that a login of this alias belongs to; `None` where it has none yet. Else why it could not be looked up, in a sentence.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EntityOf {
    pub(crate) alias: String,
    pub(crate) accessor: String,
}

impl Query for EntityOf {
    type Answer = Result<Option<Entity>, String>;

    async fn ask(&self, facts: &Facts) -> Self::Answer {
        let body = json!({ "alias_name": self.alias, "alias_mount_accessor": self.accessor });
        let client = &facts.servers.vault;
        // Without an entity the answer is empty (204).
        match client.send(&Request::<Option<Data<Entity>>>::ask("identity/lookup/entity", body)).await {
            Ok(found) => Ok(found.map(|found| found.data)),
            Err(VaultError::NotFound { .. }) => Ok(None),
            Err(error) => Err(sentence(&Error::from(client.explain_forbidden(error).await))),
        }
    }
}
