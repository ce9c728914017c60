//! The facts of one Vault.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::sync::OnceCell;

use super::Memo;
use crate::error::Error;
use crate::names::MountPath;
use crate::policy::Policy;
use crate::settings::HandOn;
use crate::vault::policies::StoredPolicy;
use crate::vault::{AuthMount, Client, Data, KvVersion, MountTable, Request, VaultError, auth_mounts, kv, policies};
use crate::verify::finding::{quoted, words};
use crate::verify::patience::Patience;

/// An answer that several checks look at.
type Shared<T, E = VaultError> = Arc<Result<T, E>>;

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

/// Which node is active (`GET sys/leader`).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LeaderStatus {
    pub(crate) ha_enabled: bool,
    pub(crate) is_self: bool,
    pub(crate) leader_address: String,
}

/// The server's clock (`GET sys/health`).
#[derive(Debug, Clone, Deserialize)]
struct Health {
    server_time_utc: i64,
}

/// Whether it is an enterprise edition, which Vault says and OpenBao doesn't (`GET sys/health`).
#[derive(Debug, Clone, Deserialize)]
struct Edition {
    enterprise: Option<bool>,
}

/// What the operator's token says of itself (`GET auth/token/lookup-self`).
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

/// The facts of one Vault, as the operator sees it.
pub(crate) struct VaultScene {
    /// The operator's client, with a token or without.
    pub(crate) client: Client,
    /// For logins through a standby.
    pub(in crate::verify) patience: Patience,
    operator: OnceCell<Option<Shared<OperatorToken>>>,
    seal: OnceCell<Shared<SealStatus>>,
    leader: OnceCell<Shared<LeaderStatus>>,
    auth: OnceCell<Shared<BTreeMap<String, AuthMount>>>,
    kv: Memo<MountPath, Shared<KvVersion, Error>>,
    table: OnceCell<Option<MountTable>>,
    policies: Memo<String, Shared<Option<String>>>,
    stored: Memo<String, Shared<Option<StoredPolicy>>>,
}

impl VaultScene {
    pub(crate) fn new(client: Client) -> Self {
        Self {
            client,
            patience: Patience::default(),
            operator: OnceCell::new(),
            seal: OnceCell::new(),
            leader: OnceCell::new(),
            auth: OnceCell::new(),
            kv: Memo::new(),
            table: OnceCell::new(),
            policies: Memo::new(),
            stored: Memo::new(),
        }
    }

    /// A scene in which a token that Vault doesn't know counts as none: what anybody may ask is still answered, and a
    /// login needs no operator.
    pub(crate) async fn without_dead_token(client: Client) -> Self {
        let scene = Self::new(client);
        let answers = scene.seal().await.is_ok();
        if answers && matches!(scene.operator().await, Some(Err(VaultError::InvalidToken { .. }))) {
            return Self { client: scene.client.without_token(), ..scene };
        }
        scene
    }

    /// What the operator's token says of itself, and why it doesn't; `None` where there is no token.
    pub(crate) async fn operator(&self) -> Option<&Result<OperatorToken, VaultError>> {
        let look_up = async || {
            if !self.client.has_token() {
                return None;
            }
            let request = Request::<Data<OperatorToken>>::read("auth/token/lookup-self");
            Some(Arc::new(match self.client.send(&request).await {
                Ok(answer) => Ok(answer.data),
                Err(error) => Err(self.client.explain_forbidden(error).await),
            }))
        };
        self.operator.get_or_init(look_up).await.as_deref()
    }

    /// Vault's address, as people write it.
    pub(crate) fn address(&self) -> &str {
        self.client.address().as_str().trim_end_matches('/')
    }

    /// The beginning of a command of Vault's own CLI that reaches it from the shell of this run.
    pub(crate) fn cli(&self) -> String {
        let HandOn { variables, program, .. } = self.client.hand_on();
        let variables = variables.iter().map(|(name, value)| format!("{name}={} ", quoted(value)));
        variables.collect::<String>() + program
    }

    /// The flags of `vaultk8s` that lead to it, each with a space before it.
    pub(crate) fn flags(&self) -> String {
        words(&self.client.hand_on().flags)
    }

    /// Whether it is sealed, which anybody may ask, of the server as a whole.
    pub(crate) async fn seal(&self) -> &Result<SealStatus, VaultError> {
        let client = self.client.without_token().without_namespace();
        self.seal.get_or_init(async || Arc::new(client.send(&Request::of_the_node("sys/seal-status")).await)).await
    }

    /// Which node is active, which anybody may ask.
    pub(crate) async fn leader(&self) -> &Result<LeaderStatus, VaultError> {
        let client = self.client.without_token().without_namespace();
        self.leader.get_or_init(async || Arc::new(client.send(&Request::of_the_node("sys/leader")).await)).await
    }

    /// Whether a standby passes on what only the active node can answer: an error, if it doesn't. Anybody may ask, and is
    /// refused by the active node.
    pub(crate) async fn forwards(&self) -> Result<(), VaultError> {
        let client = self.client.without_token().without_namespace();
        match client.send(&Request::<IgnoredAny>::read("sys/ha-status")).await {
            Err(error @ (VaultError::Redirected { .. } | VaultError::Standby { .. })) => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether the rules that this server gives to every token are known here: those of Vault 1 and of OpenBao 2.7, and before.
    pub(crate) async fn stock_is_known(&self) -> bool {
        let Ok(status) = self.seal().await else { return false };
        let mut numbers = status.version.split(['.', '-', '+']).map(|number| number.parse::<u64>().ok());
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(0 | 1), _) => true,
            // Vault counts so too, and says which edition it is.
            (Some(2), Some(..=7)) => {
                let client = self.client.without_token().without_namespace();
                let health = Request::<Edition>::read("sys/health").with_query("standbyok=true&perfstandbyok=true");
                client.send(&health).await.is_ok_and(|edition| edition.enterprise.is_none())
            }
            _ => false,
        }
    }

    /// Vault's clock, in seconds since 1970, as the node has it that answers.
    pub(crate) async fn time(&self) -> Option<i64> {
        let client = self.client.without_token().without_namespace();
        let health = Request::<Health>::of_the_node("sys/health").with_query("standbyok=true&perfstandbyok=true");
        client.send(&health).await.ok().map(|health| health.server_time_utc)
    }

    /// The auth mounts.
    pub(crate) async fn auth_mounts(&self) -> &Result<BTreeMap<String, AuthMount>, VaultError> {
        let fetch = async || {
            let mounts = self.client.send(&auth_mounts::list()).await.map(|mounts| mounts.data);
            let normalised = |(path, mount): (String, AuthMount)| (path, mount.normalised());
            Arc::new(mounts.map(|mounts| mounts.into_iter().map(normalised).collect()))
        };
        self.auth.get_or_init(fetch).await
    }

    /// The version of a KV mount.
    pub(crate) async fn kv(&self, mount: &MountPath) -> Shared<KvVersion, Error> {
        self.kv.get(mount.clone(), async { Arc::new(kv::version(&self.client, mount).await) }).await
    }

    /// Everything that is mounted; `None` where the token may not list it.
    pub(crate) async fn mount_table(&self) -> Option<&MountTable> {
        self.table.get_or_init(async || MountTable::read(&self.client).await).await.as_ref()
    }

    /// The same, asked for by somebody who may use the mount, where this token may not see it.
    pub(crate) async fn kv_as(&self, user: &Client, mount: &MountPath) -> Option<KvVersion> {
        if let Ok(version) = &*self.kv(mount).await {
            return Some(*version);
        }
        let version = kv::version(user, mount).await.ok()?;
        // Others need not ask again.
        self.kv.know(mount.clone(), Arc::new(Ok(version)));
        Some(version)
    }

    /// The KV mounts that the token may see; none where it may see none.
    pub(crate) async fn kv_mounts(&self) -> Vec<MountPath> {
        kv::visible(&self.client).await.unwrap_or_default().into_keys().collect()
    }

    /// A policy's text; `None` where there is no such policy.
    pub(crate) async fn policy_text(&self, name: &str) -> Shared<Option<String>> {
        let read = async {
            // Boxed, because whatever reads a policy would carry the request within.
            Arc::new(match &*Box::pin(self.stored_policy(name)).await {
                Ok(stored) => Ok(stored.as_ref().map(|stored| stored.policy.clone())),
                Err(error) => Err(error.clone()),
            })
        };
        self.policies.get(name.to_lowercase(), read).await
    }

    /// A policy with all that the server keeps of it; `None` where there is no such policy.
    pub(crate) async fn stored_policy(&self, name: &str) -> Shared<Option<StoredPolicy>> {
        let read = async {
            let found = self.client.find(&policies::read(name)).await;
            Arc::new(found.map(|policy| policy.map(|policy: Data<_>| policy.data)))
        };
        self.stored.get(name.to_lowercase(), read).await
    }

    /// Takes a policy's text for known.
    pub(crate) fn remember_policy(&self, name: &str, text: &str) {
        self.policies.know(name.to_owned(), Arc::new(Ok(Some(text.to_owned()))));
    }

    /// A policy, where it can be read and understood.
    pub(crate) async fn policy(&self, name: &str) -> Option<Policy> {
        match &*self.policy_text(name).await {
            Ok(Some(text)) => Policy::parse(text).ok(),
            _ => None,
        }
    }
}
