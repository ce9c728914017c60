//! The facts of one role, and of one service account that logs in as it.

use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::OnceCell;

use super::{Memo, MountScene};
use crate::access::claims::wanted_of_a_pod;
use crate::cluster::{ServiceAccountToken, request_token};
use crate::config::{self, Config};
use crate::desired::{DesiredPolicy, kv_mounts, kv_mounts_of};
use crate::error::{Error, Result};
use crate::names::{Audience, MountPath, PolicyName, RoleName, ServiceAccountPattern, ServiceAccountRef};
use crate::policy::{Policy, Rule};
use crate::vault::{
    AuthMethod, CapabilitiesByPath, Client, KvVersion, LoginAuth, RoleDocument, VaultError, kv, method, roles,
};
use crate::verify::capabilities::Unasked;
use crate::verify::grants::Compared;

/// How long the cluster's token is asked for: the least that an API server gives.
const TOKEN_SECONDS: i64 = 600;

/// A secret that the role's login should be able to read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Wanted {
    /// The KV mount.
    pub(crate) mount: MountPath,
    /// The secret below it, without `data/`.
    pub(crate) path: String,
    /// The property that it should have.
    pub(crate) property: Option<String>,
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.mount, self.path)?;
        self.property.iter().try_for_each(|property| write!(f, "#{property}"))
    }
}

/// The facts of one role, and of one service account that logs in as it.
pub(crate) struct RoleScene {
    pub(crate) mount: Arc<MountScene>,
    /// The role.
    pub(crate) name: RoleName,
    /// Who logs in; `None` where nobody is named.
    pub(crate) account: Option<ServiceAccountRef>,
    /// Whom the role lets in where that is no account that could be tried.
    pub(crate) pattern: Option<ServiceAccountPattern>,
    /// What the consumer asks `TokenRequest` for.
    pub(crate) audiences: Vec<Audience>,
    /// Whether nothing says what the consumer asks for, and the role, which would, can't be read.
    pub(crate) audience_is_guessed: bool,
    /// What the configuration says about the role.
    pub(crate) expected: Option<config::Role>,
    /// What the role's policies should be, where the configuration says it and the KV mounts' versions are known.
    pub(crate) policies: Vec<DesiredPolicy>,
    /// Those of the configuration's that wait for the version of their KV mount.
    pub(crate) waiting: Vec<config::Policy>,
    /// The secrets that the login should be able to read.
    pub(crate) wanted: Vec<Wanted>,
    /// The KV mounts that the configuration names.
    pub(crate) kv: Vec<MountPath>,
    /// Those of them that the role's own policies are about.
    pub(crate) own_kv: Vec<MountPath>,
    /// All that the configuration's rules may be about.
    pub(crate) rules_kv: Vec<MountPath>,
    /// What logins may do beyond their policies, as the configuration says.
    pub(crate) allow: Policy,
    /// A token that is there already.
    pub(crate) presented: Option<SecretString>,
    /// Whether anybody logs in.
    pub(crate) logins: bool,
    pub(super) document: OnceCell<Result<Option<RoleDocument>, VaultError>>,
    pub(super) token: OnceCell<Result<ServiceAccountToken>>,
    pub(crate) login: OnceCell<Result<LoginAuth, VaultError>>,
    pub(in crate::verify) compared: OnceCell<Option<Compared>>,
    pub(crate) capabilities: OnceCell<Result<CapabilitiesByPath, Unasked>>,
    /// Whether a store of External Secrets logs in as this role.
    pub(crate) used_by_stores: bool,
    /// How often one of the `ExternalSecret`s that refer to them uses a token, at the most; 0 where none does.
    pub(crate) uses_at_once: u64,
    /// How often its secrets are refreshed, in seconds, at the rarest, where something says so.
    pub(crate) refresh: Option<u64>,
    pub(super) secrets: Memo<Wanted, Result<Option<kv::Shape>, VaultError>>,
}

impl RoleScene {
    /// A role of the configuration, as the account or pattern that comes at that place logs in as it.
    pub(crate) fn of_config(
        mount: Arc<MountScene>,
        role: &config::Role,
        at: usize,
        policies: &[DesiredPolicy],
        config: &Config,
    ) -> Self {
        let account = role.service_accounts.get(at).cloned();
        let pattern = at.checked_sub(role.service_accounts.len()).and_then(|at| role.account_patterns.get(at)).cloned();
        let of_role = |name: &PolicyName| role.policies.contains(name);
        let policies: Vec<DesiredPolicy> = policies.iter().filter(|policy| of_role(&policy.name)).cloned().collect();
        let known = |policy: &config::Policy| policies.iter().any(|known| known.name == policy.name);
        let waiting =
            config.policies.iter().filter(|policy| of_role(&policy.name) && !known(policy)).cloned().collect();
        let bare = Self::bare(mount, role.name.clone(), account, role.token_audiences.clone(), None);
        let own = config.policies.iter().filter(|policy| role.policies.contains(&policy.name));
        let (kv, own_kv) = (kv_mounts(config), kv_mounts_of(own));
        let cluster = &bare.mount.cluster.name;
        let allow = config.allow.iter().filter(|entry| entry.cluster.as_ref().is_none_or(|of| of == cluster));
        let allow = Policy::new(allow.map(|entry| Rule::new(entry.path.clone(), entry.capabilities.iter().copied())));
        let rules_kv = config.kv_mounts.clone();
        Self { pattern, policies, waiting, kv, own_kv, rules_kv, allow, expected: Some(role.clone()), ..bare }
    }

    /// How many scenes a role has: one for each that it lets in, and one where it names nobody.
    pub(crate) fn logins_of(role: &config::Role) -> usize {
        (role.service_accounts.len() + role.account_patterns.len()).max(1)
    }

    /// A role of which nothing is known but what is asked.
    pub(crate) fn bare(
        mount: Arc<MountScene>,
        name: RoleName,
        account: Option<ServiceAccountRef>,
        audiences: Vec<Audience>,
        presented: Option<SecretString>,
    ) -> Self {
        Self {
            mount,
            name,
            account,
            pattern: None,
            audiences,
            audience_is_guessed: false,
            expected: None,
            policies: Vec::new(),
            waiting: Vec::new(),
            wanted: Vec::new(),
            kv: Vec::new(),
            own_kv: Vec::new(),
            rules_kv: Vec::new(),
            allow: Policy::default(),
            presented,
            logins: true,
            document: OnceCell::new(),
            token: OnceCell::new(),
            login: OnceCell::new(),
            compared: OnceCell::new(),
            capabilities: OnceCell::new(),
            used_by_stores: false,
            uses_at_once: 0,
            refresh: None,
            secrets: Memo::new(),
        }
    }

    /// The role in Vault; `None` where it isn't there.
    pub(crate) async fn document(&self) -> &Result<Option<RoleDocument>, VaultError> {
        self.document.get_or_init(async || read_role(&self.mount, self.name.as_str()).await).await
    }

    /// The role, where it is there and could be read.
    pub(crate) async fn held(&self) -> Option<&RoleDocument> {
        self.document().await.as_ref().ok()?.as_ref()
    }

    /// Where a secret is read, once the version of its KV mount is known.
    pub(crate) async fn api_path(&self, wanted: &Wanted) -> Option<String> {
        let version = *self.mount.vault.kv(&wanted.mount).await.as_ref().as_ref().ok()?;
        Some(kv::value_path(&wanted.mount, version, &wanted.path))
    }

    /// What is in a secret, values apart, as the login sees it; `None` where it isn't there, or nobody logged in.
    pub(crate) async fn secret(&self, wanted: &Wanted) -> Result<Option<kv::Shape>, VaultError> {
        let Wanted { mount, path, .. } = wanted;
        let Some((_, client)) = self.logged_in().await else { return Ok(None) };
        let version = self.mount.vault.kv(mount).await;
        let version = (*version).as_ref().copied().unwrap_or(KvVersion::V2);
        let key = Wanted { property: None, ..wanted.clone() };
        self.secrets.get(key, kv::shape(&client, mount, version, path)).await
    }

    /// The token that the consumer would present.
    pub(crate) async fn token(&self) -> &Result<ServiceAccountToken> {
        let fetch = async || {
            if let Some(token) = &self.presented {
                return ServiceAccountToken::parse(token.clone());
            }
            let account = self.account.as_ref().ok_or_else(|| Error::failed("nobody is named who could log in"))?;
            let connection = self
                .mount
                .cluster
                .connected()
                .ok_or_else(|| Error::failed("the cluster can't be reached from here"))?;
            request_token(connection, account, &self.audiences, TOKEN_SECONDS).await
        };
        self.token.get_or_init(fetch).await
    }

    /// The claims that the role wants and that only tokens of pods have, or those in Secrets, where none of these was brought along: nobody
    /// can log in from here then.
    pub(crate) async fn wants_a_pod(&self) -> Vec<String> {
        match self.held().await {
            Some(RoleDocument::Jwt(role)) if self.presented.is_none() => wanted_of_a_pod(role),
            _ => Vec::new(),
        }
    }

    /// Logs in, once; `None` where there is no token, or nobody is to log in, or can from here.
    pub(crate) async fn login(&self) -> Option<&Result<LoginAuth, VaultError>> {
        if !self.logins || !self.wants_a_pod().await.is_empty() {
            return None;
        }
        let token = self.token().await.as_ref().ok()?;
        let client = self.mount.vault.client.without_token();
        let fetch = async || {
            let login = method::login(&self.mount.path, &self.name, token.secret());
            let answer = client.log_in(&login).await;
            let bound = self.expected.as_ref().is_some_and(|role| !role.token.bound_cidrs.is_empty());
            if answer.is_err() && !bound && self.mount.method().await == Some(AuthMethod::Kubernetes) {
                return self.mount.vault.patience.log_in(&client, &login, answer).await;
            }
            answer
        };
        Some(self.login.get_or_init(fetch).await)
    }

    /// The login, where Vault accepted it.
    pub(crate) async fn logged_in(&self) -> Option<(&LoginAuth, Client)> {
        let login = self.login().await?.as_ref().ok()?;
        Some((login, self.mount.vault.client.with_token(login.client_token.clone())))
    }
}

/// A role of a mount, whatever its name; `None` where it isn't there.
pub(crate) async fn read_role(mount: &MountScene, name: &str) -> Result<Option<RoleDocument>, VaultError> {
    match mount.method().await {
        Some(method) => roles::read(&mount.vault.client, &mount.path, method, name).await,
        None => Ok(None),
    }
}
