//! What is asked of Vault itself, as the operator sees it or as anybody may ask: the server, policies, KV mounts, identities.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Query, Servers};
use crate::error::Error;
use crate::model::{KvVersion, MountTable, StoredPolicy};
use crate::names::MountPath;
use crate::vault::quotas::{self, Limited};
use crate::vault::tokens::Enforcement;
use crate::vault::{Data, Edition, Request, VaultError, audit, kv, policies, tokens};
use crate::verify::finding::sentence;

/// What a server says of itself before anybody logs in (`GET sys/seal-status`).
#[derive(Debug, Clone, Serialize, Deserialize)]
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

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        servers.anybody().send(&Request::of_the_node("sys/seal-status")).await
    }
}

/// Which node is active (`GET sys/leader`).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
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

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        servers.anybody().send(&Request::of_the_node("sys/leader")).await
    }
}

/// Whether a standby passes on what only the active node can answer: an error, if it doesn't. Anybody may ask, and is refused by the
/// active node.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Forwards;

impl Query for Forwards {
    type Answer = Result<(), VaultError>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        match servers.anybody().send(&Request::<IgnoredAny>::read("sys/ha-status")).await {
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

    async fn ask(&self, servers: &Servers) -> bool {
        servers.vault.edition().await.is_ok_and(|edition| edition == Edition::OpenBao)
    }
}

/// The clocks of Vault, as the node has it that answers (`GET sys/health`), and of this machine.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Clocks {
    /// For what: a time is only as good as it is new.
    pub(crate) of: String,
}

/// What they say, in seconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Time {
    /// Vault's, where it tells.
    pub(crate) vault: Option<i64>,
    /// This machine's.
    pub(crate) here: i64,
}

impl Query for Clocks {
    type Answer = Time;

    async fn ask(&self, servers: &Servers) -> Time {
        #[derive(Deserialize)]
        struct Health {
            server_time_utc: i64,
        }
        let health = Request::<Health>::of_the_node("sys/health").with_query("standbyok=true&perfstandbyok=true");
        let here = jiff::Timestamp::now().as_second();
        let answer = servers.anybody().send(&health).await;
        Time { vault: answer.ok().map(|health| health.server_time_utc), here }
    }
}

/// The operator's token (`GET auth/token/lookup-self`).
#[derive(Debug, Clone, Serialize, Deserialize)]
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
pub(crate) struct OperatorLookup;

impl Query for OperatorLookup {
    type Answer = Option<Result<OperatorToken, VaultError>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let client = &servers.vault;
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

    async fn ask(&self, servers: &Servers) -> VaultError {
        servers.vault.explain_forbidden(self.error.clone()).await
    }
}

/// Whether a namespace is there: whether the server has namespaces at all (`GET sys/health`), and what this one shows to nobody in
/// particular (`GET sys/internal/ui/mounts`).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Shown;

impl Query for Shown {
    type Answer = Result<(), VaultError>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        servers.vault.require_namespaces().await?;
        let request = Request::<IgnoredAny>::read("sys/internal/ui/mounts");
        servers.vault.without_token().send(&request).await.map(|_| ())
    }
}

/// The audit devices, which are the whole server's: its root namespace has them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AuditDevices;

impl Query for AuditDevices {
    type Answer = Option<BTreeMap<String, audit::AuditDevice>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        servers.vault.without_namespace().send(&audit::devices()).await.ok().map(|answer| answer.data)
    }
}

/// The quotas of a kind; `None` where the token may not read them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Quotas {
    pub(crate) kind: Limited,
}

impl Query for Quotas {
    type Answer = Result<Option<quotas::QuotasThere>, VaultError>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        quotas::read(&servers.vault, self.kind).await
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

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let found = servers.vault.find(&policies::read(&self.name)).await;
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

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        kv::version(&servers.vault, &self.mount).await
    }
}

/// The KV mounts that the token may see; none where it may see none.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KvMounts;

impl Query for KvMounts {
    type Answer = Vec<MountPath>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        kv::visible(&servers.vault).await.unwrap_or_default().into_keys().collect()
    }
}

/// The KV mount that a path is below, as far as the token may see it, in child namespaces too.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KvMountOf {
    pub(crate) path: String,
}

impl Query for KvMountOf {
    type Answer = Option<MountPath>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        kv::mount_of(&servers.vault, &self.path).await
    }
}

/// Everything that is mounted; `None` where the token may not list it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Mounted;

impl Query for Mounted {
    type Answer = Option<MountTable>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        MountTable::read(&servers.vault).await
    }
}

/// Which logins a second factor is wanted of; `None` where that can't be read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SecondFactorOf {
    pub(crate) enforcement: String,
}

impl Query for SecondFactorOf {
    type Answer = Option<Enforcement>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        Some(servers.vault.find(&tokens::read_enforcement(&self.enforcement)).await.ok()??.data)
    }
}

/// An identity entity (`POST identity/lookup/entity`).
#[derive(Debug, Serialize, Deserialize)]
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

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let body = json!({ "alias_name": self.alias, "alias_mount_accessor": self.accessor });
        let client = &servers.vault;
        // Without an entity the answer is empty (204).
        match client.send(&Request::<Option<Data<Entity>>>::ask("identity/lookup/entity", body)).await {
            Ok(found) => Ok(found.map(|found| found.data)),
            Err(VaultError::NotFound { .. }) => Ok(None),
            Err(error) => Err(sentence(&Error::from(client.explain_forbidden(error).await))),
        }
    }
}
