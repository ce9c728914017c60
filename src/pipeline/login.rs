//! One login on its own: what a role gives to a token.

use std::io::{self, Write as Out};

use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::cluster::{self, Connection, ServiceAccountToken};
use crate::document::Report;
use crate::error::{Error, Result};
use crate::interrupt::Interrupt;
use crate::names::{Audience, MountPath, RoleName, ServiceAccountRef};
use crate::ui::{BOLD, DIM, NOTE};
use crate::vault::{Client, VaultError, method, tokens};

/// How long the cluster's token is asked for: the least that an API server gives.
const TOKEN_SECONDS: i64 = 600;

/// The token that is presented to Vault.
pub enum PresentedToken {
    /// One that is there already.
    Token(SecretString),
    /// One that the cluster gives for a service account.
    Requested {
        /// The way to the cluster.
        connection: Box<Connection>,
        /// Whose.
        account: ServiceAccountRef,
        /// For whom; empty is the API server's own audience.
        audiences: Vec<Audience>,
    },
}

/// What a login gave.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoginReport {
    /// Where.
    pub mount: MountPath,
    /// As which role.
    pub role: RoleName,
    /// The subject of the token that was presented, where it says one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The policies that role and server gave.
    pub policies: Vec<String>,
    /// The policies that the identity adds.
    pub identity_policies: Vec<String>,
    /// How long Vault's token lives, in seconds.
    pub ttl: u64,
    /// How often it may be used; 0 is without limit.
    pub num_uses: u64,
    /// `service` or `batch`.
    pub token_type: String,
    /// Its accessor; empty for a batch token.
    pub accessor: String,
    /// The identity that it belongs to.
    pub entity_id: String,
    /// Whether it was revoked.
    pub revoked: bool,
    /// The token itself, only on request.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown")]
    pub token: Option<SecretString>,
}

impl LoginReport {
    /// Revokes the token that was to be shown, where nobody could see it; whether there is none alive now.
    pub async fn withdraw(&self, client: &Client) -> bool {
        match &self.token {
            Some(token) if self.token_type != "batch" => revoke(client, token, &self.accessor).await,
            Some(_) => false,
            None => true,
        }
    }
}

/// The user asked for it.
#[expect(clippy::ref_option, reason = "serde's signature")]
fn shown<S: serde::Serializer>(token: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    match token {
        Some(token) => serializer.serialize_str(token.expose_secret()),
        None => serializer.serialize_none(),
    }
}

impl Report for LoginReport {
    const KIND: &'static str = "Login";

    fn text(&self, out: &mut dyn Out) -> io::Result<()> {
        writeln!(out, "{BOLD}auth/{}/login as {}{BOLD:#}", self.mount, self.role)?;
        let uses = if self.num_uses == 0 { String::new() } else { format!(", {} uses", self.num_uses) };
        let rows = [
            ("subject", self.subject.clone().unwrap_or_default()),
            ("policies", self.policies.join(", ")),
            ("identity adds", self.identity_policies.join(", ")),
            ("ttl", format!("{} s{uses}", self.ttl)),
            ("type", self.token_type.clone()),
            ("accessor", self.accessor.clone()),
            ("entity", self.entity_id.clone()),
        ];
        for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
            writeln!(out, "  {name:13}  {value}")?;
        }
        match (&self.token, self.revoked) {
            (Some(token), _) => writeln!(out, "  {:13}  {}", "token", token.expose_secret()),
            (None, true) => writeln!(out, "{DIM}The token was revoked; --show-token keeps and prints it.{DIM:#}"),
            (None, false) => writeln!(out, "{NOTE}The token was not revoked and lives for {} s.{NOTE:#}", self.ttl),
        }
    }
}

/// Logs in. Without `show_token` the token is revoked: by itself, else with the operator's, where `client` has one.
///
/// Interrupted, it gives nothing, and what was given meanwhile is revoked, whatever was asked for.
///
/// # Errors
/// When the cluster gives no token or Vault refuses the login.
pub async fn login(
    client: &Client,
    interrupt: &Interrupt,
    mount: MountPath,
    role: RoleName,
    presented: PresentedToken,
    show_token: bool,
) -> Result<Option<LoginReport>> {
    let (token, claims) = match presented {
        PresentedToken::Requested { connection, account, audiences } => {
            let token = cluster::request_token(&connection, &account, &audiences, TOKEN_SECONDS).await?;
            (token.secret().clone(), Some(token.claims))
        }
        // Vault is the judge of what is no token of a service account.
        PresentedToken::Token(token) => {
            let claims = ServiceAccountToken::parse(token.clone()).ok().map(|token| token.claims);
            (token, claims)
        }
    };
    if interrupt.is_set() {
        return Ok(None);
    }
    let auth = match client.without_token().log_in(&method::login(&mount, &role, &token)).await {
        Ok(auth) => auth,
        Err(error) => return Err(refused(&mount, claims.as_ref(), error)),
    };
    let interrupted = interrupt.is_set();
    let show_token = show_token && !interrupted;
    // A batch token can't be revoked.
    let revoked = !show_token && !auth.info.is_batch() && revoke(client, &auth.client_token, &auth.info.accessor).await;
    if interrupted && revoked {
        return Ok(None);
    }
    Ok(Some(LoginReport {
        mount,
        role,
        subject: claims.map(|claims| claims.subject),
        policies: auth.info.token_policies,
        identity_policies: auth.info.identity_policies.unwrap_or_default(),
        ttl: auth.info.lease_duration,
        num_uses: auth.info.num_uses,
        token_type: auth.info.token_type,
        accessor: auth.info.accessor,
        entity_id: auth.info.entity_id,
        revoked,
        token: show_token.then_some(auth.client_token),
    }))
}

/// The server's words say which comparison failed, the token's claims what it compared.
fn refused(mount: &MountPath, claims: Option<&cluster::TokenClaims>, error: VaultError) -> Error {
    // Without an answer to it, the token has nothing to do with it.
    if !error.is_refusal() {
        return Error::failed(format!("the login at auth/{mount}/login gave no token")).because(Error::from(error));
    }
    let remedy = claims.map(|claims| {
        let (issuer, subject, audiences) = (&claims.issuer, &claims.subject, &claims.audiences.0);
        format!(
            "compare with the mount and the role: the token has iss {issuer:?}, sub {subject:?} and aud {audiences:?}"
        )
    });
    Error::failed(format!("Vault refused the login at auth/{mount}/login")).because(error).maybe_remedy(remedy)
}

async fn revoke(client: &Client, token: &SecretString, accessor: &str) -> bool {
    client.with_token(token.clone()).send(&tokens::revoke_self()).await.is_ok()
        || client.send(&tokens::revoke_accessor(accessor)).await.is_ok()
}
