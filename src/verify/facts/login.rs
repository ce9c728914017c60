//! What is asked as somebody who logs in, and for whom others must be refused.

use secrecy::SecretString;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::vault::Entity;
use super::{Query, Servers};
use crate::cluster::{
    Connection, ReviewerJwt, ServiceAccountToken, TokenClaims, from_elsewhere, request_token, reviewer_jwt,
};
use crate::config::Reviewer;
use crate::error::{Error, Result};
use crate::model::{KubernetesConfig, KvVersion, TokenSource};
use crate::names::{Audience, ClusterName, MountPath, RoleName, ServiceAccountRef};
use crate::vault::tokens::{self, ResultantAcl};
use crate::vault::{CapabilitiesByPath, Data, LoginAuth, Request, TokenInfo, VaultError, kv, method};
use crate::verify::capabilities::{self, Unasked};
use crate::verify::facts::review::{Reviewed, review};

/// How long a token is asked for, in seconds: the least that an API server gives.
const LEAST_SECONDS: i64 = 600;

/// The cluster that gives a token.
fn reached<'a>(servers: &'a Servers, cluster: &ClusterName) -> Result<&'a Connection> {
    servers.cluster(cluster).ok_or_else(|| Error::failed("the cluster can't be reached from here"))
}

/// Who logs in, and as what.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub(crate) struct Consumer {
    /// Where its token comes from.
    pub(crate) cluster: ClusterName,
    /// Where it logs in.
    pub(crate) mount: MountPath,
    /// As what.
    pub(crate) role: RoleName,
    /// Its service account; `None` where nobody is named.
    pub(crate) account: Option<ServiceAccountRef>,
    /// What it asks `TokenRequest` for.
    pub(crate) audiences: Vec<Audience>,
    /// Which try this is: what was refused once may be let in a moment later.
    pub(crate) attempt: u8,
}

impl Consumer {
    /// Logging in with a token.
    fn login(&self, token: &SecretString) -> Request<crate::vault::LoginAnswer> {
        method::login(&self.mount, &self.role, token)
    }
}

/// What a consumer's token says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Presented {
    /// Its claims; nothing here has checked its signature.
    pub(crate) claims: TokenClaims,
    /// The name of the key that it says it is signed with.
    pub(crate) kid: Option<String>,
}

impl From<&ServiceAccountToken> for Presented {
    fn from(token: &ServiceAccountToken) -> Self {
        Self { claims: token.claims.clone(), kid: token.kid() }
    }
}

/// The token that the consumer would present.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Token(pub(crate) Consumer);

impl Query for Token {
    type Answer = Result<Presented>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let Self(consumer) = self;
        if let Some(token) = servers.tokens().get(consumer) {
            return Ok((&*token).into());
        }
        let account = consumer.account.as_ref().ok_or_else(|| Error::failed("nobody is named who could log in"))?;
        let connection = reached(servers, &consumer.cluster)?;
        let token = request_token(connection, account, &consumer.audiences, LEAST_SECONDS).await?;
        let presented = (&token).into();
        servers.tokens().put(consumer.clone(), token);
        Ok(presented)
    }
}

/// What the login with that token gives; `None` where there is no token.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Login(pub(crate) Consumer);

impl Query for Login {
    type Answer = Option<Result<TokenInfo, VaultError>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let Self(consumer) = self;
        let login = consumer.login(servers.tokens().get(consumer)?.secret());
        Some(keep(servers, consumer, servers.vault.without_token().log_in(&login).await))
    }
}

/// The same once more, where a standby may have refused it that hasn't heard of the mount's CA yet; else that refusal.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LoginAgain {
    pub(crate) consumer: Consumer,
    #[serde(skip)]
    pub(crate) refused: VaultError,
}

impl Query for LoginAgain {
    type Answer = Option<Result<TokenInfo, VaultError>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let Self { consumer, refused } = self;
        let login = consumer.login(servers.tokens().get(consumer)?.secret());
        let client = servers.vault.without_token();
        Some(keep(servers, consumer, servers.patience.log_in(&client, &login, Err(refused.clone())).await))
    }
}

/// Keeps the token of a login, and gives back what it carries.
fn keep(
    servers: &Servers,
    consumer: &Consumer,
    answer: Result<LoginAuth, VaultError>,
) -> Result<TokenInfo, VaultError> {
    answer.map(|login| {
        let info = login.info.clone();
        servers.logins().put(consumer.clone(), login);
        info
    })
}

/// What the login may do on these paths; `None` where nobody logged in.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Capabilities {
    pub(crate) consumer: Consumer,
    /// Which paths these are follows from what else is known.
    #[serde(skip)]
    pub(crate) paths: Vec<String>,
}

impl Query for Capabilities {
    type Answer = Option<Result<CapabilitiesByPath, Unasked>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let (login, client) = servers.as_login(&self.consumer)?;
        Some(capabilities::ask(&servers.vault, &client, &login, &self.paths).await)
    }
}

/// What the login itself is told of its rules (`GET sys/internal/ui/resultant-acl`).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OwnRules(pub(crate) Consumer);

impl Query for OwnRules {
    type Answer = Option<ResultantAcl>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let (_, client) = servers.as_login(&self.0)?;
        client.send(&tokens::resultant_acl()).await.ok().map(|answer| answer.data)
    }
}

/// Whether the login may ask what it is (`GET auth/token/lookup-self`).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct LooksItselfUp(pub(crate) Consumer);

impl Query for LooksItselfUp {
    type Answer = Result<(), VaultError>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let Some((_, client)) = servers.as_login(&self.0) else { return Ok(()) };
        client.send(&Request::<Data<IgnoredAny>>::read("auth/token/lookup-self")).await.map(|_| ())
    }
}

/// The version of a KV mount, as a login sees it, where the operator may not see it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KvAs {
    pub(crate) user: Consumer,
    pub(crate) mount: MountPath,
}

impl Query for KvAs {
    type Answer = Option<KvVersion>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let (_, client) = servers.as_login(&self.user)?;
        kv::version(&client, &self.mount).await.ok()
    }
}

/// Which child namespace a KV mount is of, as the operator sees it, else a login; `None` where it is of none.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KvInChild {
    pub(crate) user: Consumer,
    pub(crate) mount: MountPath,
}

impl Query for KvInChild {
    type Answer = Option<kv::InChild>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        if let Some(found) = kv::in_child(&servers.vault, &self.mount).await {
            return Some(found);
        }
        let (_, client) = servers.as_login(&self.user)?;
        kv::in_child(&client, &self.mount).await
    }
}

/// The entity of a login, as the login itself may read it by what servers give every token, else the operator.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OwnEntity {
    pub(crate) consumer: Consumer,
    pub(crate) id: String,
    /// Whether the login has a use to spare for asking.
    pub(crate) by_itself: bool,
}

impl Query for OwnEntity {
    type Answer = Option<Entity>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let request = Request::<Data<Entity>>::read(format!("identity/entity/id/{}", self.id));
        if self.by_itself
            && let Some((_, client)) = servers.as_login(&self.consumer)
            && let Ok(found) = client.send(&request).await
        {
            return Some(found.data);
        }
        Some(servers.vault.find(&request).await.ok()??.data)
    }
}

/// What is in a secret, values apart, as the login sees it; `None` where it isn't there, or nobody logged in.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Secret {
    pub(crate) consumer: Consumer,
    pub(crate) mount: MountPath,
    pub(crate) version: KvVersion,
    pub(crate) path: String,
}

impl Query for Secret {
    type Answer = Result<Option<kv::Shape>, VaultError>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let Some((_, client)) = servers.as_login(&self.consumer) else { return Ok(None) };
        kv::shape(&client, &self.mount, self.version, &self.path).await
    }
}

/// A token of a mount's reviewer, for questions from here: whether there is one, or the token that logs in reviews itself.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReviewersToken {
    pub(crate) cluster: ClusterName,
    pub(crate) mount: MountPath,
    #[serde(skip)]
    pub(crate) reviewer: Option<Reviewer>,
}

impl Query for ReviewersToken {
    type Answer = Result<()>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let standing = self.reviewer.as_ref().filter(|reviewer| reviewer.token.is_given());
        let jwt: Option<ReviewerJwt> = match standing {
            None => None,
            Some(reviewer) => {
                let source = match reviewer.token_source() {
                    // For these questions, not for Vault.
                    TokenSource::Bound { account, .. } => {
                        TokenSource::Bound { account, seconds: LEAST_SECONDS.unsigned_abs() }
                    }
                    source => source,
                };
                match from_elsewhere(&source)? {
                    Some(jwt) => Some(jwt),
                    None => reviewer_jwt(reached(servers, &self.cluster)?, &source).await?,
                }
            }
        };
        servers.reviewers().put(self.mount.to_string(), jwt);
        Ok(())
    }
}

/// The review of a consumer's token that Vault has made, made from here; `None` where there is no token.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Review {
    pub(crate) consumer: Consumer,
    pub(crate) audiences: Vec<String>,
    #[serde(skip)]
    pub(crate) config: KubernetesConfig,
}

impl Query for Review {
    type Answer = Option<Result<Reviewed>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let token = servers.tokens().get(&self.consumer)?;
        let reviewer = servers.reviewers().get(&self.consumer.mount.to_string())?;
        let presented = reviewer.as_ref().as_ref().map_or(token.secret(), |jwt| &jwt.token);
        let proxies = servers.proxies_to(&self.config.kubernetes_host);
        Some(review(&self.config, presented, token.secret(), self.audiences.clone(), &proxies).await)
    }
}

/// Whether a mount's host knows the reviewer's own token, which this cluster made.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KnowsReviewer {
    pub(crate) mount: MountPath,
    #[serde(skip)]
    pub(crate) config: KubernetesConfig,
}

impl Query for KnowsReviewer {
    type Answer = bool;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let reviewer = servers.reviewers().get(&self.mount.to_string());
        let Some(jwt) = reviewer.as_ref().and_then(|jwt| jwt.as_ref().as_ref()) else { return false };
        let proxies = servers.proxies_to(&self.config.kubernetes_host);
        matches!(review(&self.config, &jwt.token, &jwt.token, Vec::new(), &proxies).await, Ok(Reviewed::Accepted))
    }
}

/// Somebody who must be refused.
#[derive(Debug, Clone, Serialize)]
pub(crate) enum Stranger {
    /// The consumer itself, with a token for another audience.
    Audience(Audience),
    /// Another service account.
    Account(ServiceAccountRef),
    /// The consumer's token, with a signature that no key made.
    Unsigned,
}

impl Stranger {
    /// One with a token for an audience that no role takes.
    pub(crate) fn of_nobodys_audience() -> Option<Self> {
        "vaultk8s-probe.invalid".parse().ok().map(Self::Audience)
    }
}

/// What comes of a stranger's login. What it gave is taken back at once.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct StrangersLogin {
    pub(crate) consumer: Consumer,
    pub(crate) stranger: Stranger,
}

/// What a stranger was given.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LetIn {
    /// What its token carries.
    pub(crate) info: TokenInfo,
    /// What became of that.
    pub(crate) ended: Ended,
}

impl Query for StrangersLogin {
    /// The outer error is that there is no such token, the inner one what Vault said.
    type Answer = Result<Result<LetIn, VaultError>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let Self { consumer, stranger } = self;
        let borrowed = async |account: &ServiceAccountRef, audiences: &[Audience]| {
            let connection = reached(servers, &consumer.cluster)?;
            let token = request_token(connection, account, audiences, LEAST_SECONDS).await?;
            Ok::<_, Error>(token.secret().clone())
        };
        let nobody = || Error::failed("there is nobody to borrow a token of");
        let token = match stranger {
            Stranger::Audience(audience) => {
                let account = consumer.account.as_ref().ok_or_else(nobody)?;
                borrowed(account, std::slice::from_ref(audience)).await?
            }
            Stranger::Account(account) => borrowed(account, &consumer.audiences).await?,
            Stranger::Unsigned => servers.tokens().get(consumer).ok_or_else(nobody)?.forged(),
        };
        let client = &servers.vault;
        servers.remember(&token);
        let login = consumer.login(&token);
        Ok(match client.without_token().log_in(&login).await {
            Ok(login) => {
                servers.remember(&login.client_token);
                let ended = end(client, &login).await;
                Ok(LetIn { info: login.info, ended })
            }
            Err(error) => Err(error),
        })
    }
}

/// What became of a login's token in the end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ended {
    /// Nobody can revoke a batch token.
    Batch,
    /// It revoked itself.
    ByItself,
    /// The operator did, by its accessor.
    ByTheOperator,
    /// Neither could; why the operator could not.
    Alive(Error),
}

/// Ends a login's token: by itself, or by its accessor with the operator's token where it may not.
pub(in crate::verify) async fn end(operator: &crate::vault::Client, login: &LoginAuth) -> Ended {
    if login.info.is_batch() {
        return Ended::Batch;
    }
    if operator.with_token(login.client_token.clone()).send(&tokens::revoke_self()).await.is_ok() {
        return Ended::ByItself;
    }
    match operator.send(&tokens::revoke_accessor(&login.info.accessor)).await {
        Ok(_) => Ended::ByTheOperator,
        Err(error) => Ended::Alive(operator.explain_forbidden(error).await.into()),
    }
}

/// The end of a consumer's login, where there was one: what became of its token.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct EndOfLogin(pub(crate) Consumer);

impl Query for EndOfLogin {
    type Answer = Option<Ended>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let login = servers.logins().get(&self.0)?;
        Some(end(&servers.vault, &login).await)
    }
}
