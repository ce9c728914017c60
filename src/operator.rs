//! The operator's login: a token of Vault for one run, in return for what a CI job or a pod has, and its end.

mod github;

use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::cluster::{ServiceAccountToken, TokenClaims};
use crate::error::{Error, Result};
use crate::fix::VaultCli;
use crate::settings::{LoginIdentity, LoginMethod, OperatorLogin, Proof, show};
use crate::ui::Ui;
use crate::vault::{Client, VaultError, method, tokens};

/// The login of this run, where it made one. Clones are the same login.
#[derive(Clone, Default)]
pub struct Operator(Arc<Mutex<Option<Held>>>);

/// A login that is to be ended.
struct Held {
    /// With the login's token.
    client: Client,
    accessor: String,
    seconds: u64,
    /// Where and as whom, for errors.
    name: String,
}

impl Operator {
    /// Logs in, and says so; the answer is the same client with the login's token.
    ///
    /// # Errors
    /// When Vault refuses or can't be asked.
    pub async fn log_in(&self, ui: &Ui, client: &Client, login: &OperatorLogin) -> Result<Client> {
        let name = name(login);
        let unused = login.unused.as_ref().map_or_else(String::new, |name| format!("; {name} is not used"));
        ui.status(&format!("logging in to {} at {name} with the {}{unused}", show(client.address()), proof(login)));
        let secret = match &login.proof {
            Proof::Given(secret) => secret.value.clone(),
            Proof::GitHub { url, token, audience } => {
                github::token(url, token, audience.as_ref(), &client.proxies().of_environment()).await?
            }
        };
        let request = match &login.identity {
            LoginIdentity::Role(role) => method::login(&login.mount, role, &secret),
            LoginIdentity::RoleId(id) => tokens::app_role_login(&login.mount, id, &secret),
        };
        // Whoever ends it waits until there is something to end.
        let mut held = self.0.lock().await;
        let auth = match client.without_token().log_in(&request).await {
            Ok(auth) => auth,
            Err(error) => return Err(refused(client, login, &secret, error)),
        };
        if auth.info.num_uses > 0 {
            ui.warn(&format!(
                "the token of the login at {name} ends after {} requests, even in the middle of the run: let the role have \
                 no token_num_uses",
                auth.info.num_uses
            ));
        }
        let client = client.with_token(auth.client_token.clone());
        // A batch token can't be revoked, and leaves nothing behind.
        if !auth.info.is_batch() {
            let (accessor, seconds) = (auth.info.accessor, auth.info.lease_duration);
            *held = Some(Held { client: client.clone(), accessor, seconds, name });
        }
        Ok(client)
    }

    /// Ends the login, where there is one that wasn't ended, and warns where that fails: all else is done.
    pub async fn leave(&self, ui: &Ui) {
        if let Err(error) = self.end().await {
            ui.caution(&error);
        }
    }

    /// Ends the login, where there is one that wasn't ended.
    ///
    /// # Errors
    /// When its token stays alive.
    pub async fn end(&self) -> Result<()> {
        // Held until it is ended, so that nobody who waits for that ends the process before.
        let mut place = self.0.lock().await;
        let Some(Held { client, accessor, seconds, name }) = place.take() else { return Ok(()) };
        let Err(error) = client.send(&tokens::revoke_self()).await else { return Ok(()) };
        // A token without Vault's policy `default` may do this where the configuration has roles without it, too.
        if client.send(&tokens::revoke_accessor(&accessor)).await.is_ok() {
            return Ok(());
        }
        match client.explain_forbidden(error).await {
            // Its uses are used up, or somebody else ended it.
            VaultError::InvalidToken { .. } => Ok(()),
            error => Err(Error::failed(format!(
                "the token of the login at {name} could not be revoked; it lives for {seconds} s"
            ))
            .because(Error::from(error))),
        }
    }
}

/// Where, and as whom.
fn name(login: &OperatorLogin) -> String {
    let mount = &login.mount;
    match &login.identity {
        LoginIdentity::Role(role) => format!("auth/{mount}/ as the role {role}"),
        LoginIdentity::RoleId(id) => format!("auth/{mount}/ as the role id {id}"),
    }
}

/// What is presented.
fn proof(login: &OperatorLogin) -> String {
    match (&login.proof, &login.identity) {
        (Proof::GitHub { .. }, _) => "JWT from GitHub Actions".to_owned(),
        (Proof::Given(jwt), LoginIdentity::Role(_)) => format!("JWT from {}", jwt.origin),
        (Proof::Given(id), LoginIdentity::RoleId(_)) => format!("secret id from {}", id.origin),
    }
}

fn refused(client: &Client, login: &OperatorLogin, secret: &SecretString, error: VaultError) -> Error {
    let (name, proof) = (name(login), proof(login));
    let namespace = client.namespace().map_or_else(String::new, |name| format!(" in the namespace {name}"));
    let remedies = match &error {
        VaultError::Forbidden { .. } | VaultError::Rejected { status: 400..500, .. } => remedies(login, secret, &error),
        _ => Vec::new(),
    };
    let told = Error::failed(format!("the login at {name}{namespace} failed, with the {proof}"));
    remedies.into_iter().fold(told.because(Error::from(error)), Error::remedy)
}

/// What to do about a refusal: the server's words say which comparison failed, the token's claims what it compared.
fn remedies(login: &OperatorLogin, secret: &SecretString, error: &VaultError) -> Vec<String> {
    let (said, cli) = (error.errors().join("; "), &error.asked().cli);
    let mount = &login.mount;
    let elsewhere = format!(
        "a mount that isn't there, and one in another namespace, answer like this: compare {} with \
         --login-mount ({mount}) and --namespace",
        cli.run("auth list").shown()
    );
    if let LoginIdentity::RoleId(_) = login.identity {
        return if said.contains("permission denied") {
            vec![elsewhere]
        } else {
            vec![
                format!("compare the role id with {}", cli.read(&format!("auth/{mount}/role/NAME/role-id")).shown()),
                format!(
                    "give the job a new secret id, because each ends after its time and its uses: {}",
                    cli.run("write -f").name(&format!("auth/{mount}/role/NAME/secret-id")).shown()
                ),
            ]
        };
    }
    if said.contains("could not be found") || said.contains("invalid role name") {
        return vec![format!(
            "name a role of this mount with --login-role: {} shows them",
            cli.run("list").name(&format!("auth/{mount}/role")).shown()
        )];
    }
    let mut remedies = Vec::new();
    if said.contains("permission denied") {
        remedies.push(elsewhere);
        if login.method == LoginMethod::Kubernetes {
            remedies.push(
                "so does one whose reviewer's token doesn't work, and one that is given an expired token, or one that is \
                 not for the API server: a plan with `--probe` of the mount's configuration tells"
                    .to_owned(),
            );
        }
    }
    remedies.push(match ServiceAccountToken::parse(secret.clone()) {
        Ok(token) => comparison(cli, mount.as_str(), &token.claims),
        Err(_) => format!("the {} has not the claims of a JWT: look at what should have put one there", proof(login)),
    });
    remedies
}

/// What to compare, with the claims of the token, which are no secret.
fn comparison(cli: &VaultCli, mount: &str, claims: &TokenClaims) -> String {
    let TokenClaims { issuer, subject, audiences, .. } = claims;
    format!(
        "compare with {} and the role: the token has iss {issuer:?}, sub {subject:?} and aud {:?}",
        cli.read(&format!("auth/{mount}/config")).shown(),
        audiences.0
    )
}
