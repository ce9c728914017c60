//! What a `kubernetes` mount's logins depend on and don't prove: its host and CA, and, where Vault says no more than
//! `permission denied`, a token review from here.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::stream::{StreamExt, iter};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::api::{Api, PostParams};
use secrecy::ExposeSecret;

use super::Subject;
use super::checks;
use super::login::{bare, revoke};
use super::report::MountReport;
use super::results::Checks;
use crate::cluster::{ServiceAccountToken, TokenSource, refused_by, request_token};
use crate::config::{ReviewerToken, Role};
use crate::desired::DesiredMount;
use crate::error::{Error, Result};
use crate::keys::Authorities;
use crate::names::{Audience, MountPath, ServiceAccountRef};
use crate::plan::{Object, Plan};
use crate::vault::{ConfigDocument, KubernetesConfig, VaultError, method, tls};

/// How long the API server at the mount's host is given to accept a connection, and to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a token for one login is asked for: the least that an API server gives.
const LEAST_SECONDS: i64 = 600;

/// Checks the mount's CA against its host; `None` for a mount of another method.
///
/// A login that works proves neither: Vault keeps its connections to the API server.
pub(super) async fn check_mount(mount: &DesiredMount) -> Option<MountReport> {
    let Some(ConfigDocument::Kubernetes(config)) = &mount.config else { return None };
    let mut checks = Checks::default();
    let host = &config.kubernetes_host;
    match connect(config).await {
        Ok(()) => checks.pass(checks::HOST, format!("{host} has a certificate of the mount's CA")),
        Err(Connecting::Certificate(error)) => drop(checks.fail(checks::HOST, &error)),
        Err(Connecting::Unreachable(said)) => checks.warn(
            checks::HOST,
            format!("{host} can't be reached from here, so its certificate was not compared: {said}"),
            "look whether Vault reaches it, and whether `auth.host` is the cluster's API server",
        ),
    }
    Some(MountReport { cluster: mount.cluster.clone(), mount: mount.path.clone(), checks: checks.into_results() })
}

/// The mounts that refuse a login which the reviewer in the cluster would let through: Vault has another token than that
/// reviewer's, and nothing but a login shows it.
///
/// Mounts and roles that the plan changes anyway are not tried, nor are those that have nobody to try.
pub async fn probe(subject: &Subject<'_>, plan: &Plan, parallelism: usize) -> BTreeSet<MountPath> {
    let planned: BTreeSet<&Object> = plan.changes.iter().map(|change| &change.object).collect();
    let trials = subject.config.clusters.iter().filter_map(|cluster| {
        let mount = subject.desired.mounts.iter().find(|mount| mount.cluster == cluster.name)?;
        let path = &mount.path;
        let ready = |object: Object| !planned.contains(&object);
        let reviewed = mount.reviewer.as_ref()?.token != ReviewerToken::Client;
        (reviewed && ready(Object::Mount { mount: path.clone() }) && ready(Object::Config { mount: path.clone() }))
            .then_some(())?;
        let candidates = cluster.roles.iter().filter(move |role| {
            ready(Object::Role { mount: path.clone(), name: role.name.clone() }) && role.token.bound_cidrs.is_empty()
        });
        let candidates: Vec<_> =
            candidates.flat_map(|role| role.service_accounts.iter().map(move |account| (role, account))).collect();
        Some(async move {
            // In turn, until one tells: an account that isn't there, say, tells nothing of the reviewer.
            for (role, account) in candidates {
                if subject.interrupt.is_set() {
                    break;
                }
                if let Some(refused) = refuses(subject, mount, role, account).await {
                    return refused.then(|| path.clone());
                }
            }
            None
        })
    });
    let refusing: Vec<Option<MountPath>> = iter(trials).buffer_unordered(parallelism).collect().await;
    refusing.into_iter().flatten().collect()
}

/// Whether a mount refuses a token that the cluster accepts; `None` where that can't be told. What else may be wrong is for
/// [`super::verify`] to tell.
async fn refuses(
    subject: &Subject<'_>,
    mount: &DesiredMount,
    role: &Role,
    account: &ServiceAccountRef,
) -> Option<bool> {
    let Some(ConfigDocument::Kubernetes(config)) = &mount.config else { return None };
    let connection = subject.connections.get(&mount.cluster)?;
    let token = request_token(connection, account, &role.token_audiences, LEAST_SECONDS).await.ok()?;
    match subject.client.without_token().send(&method::login(&mount.path, &role.name, token.secret())).await {
        Ok(login) => {
            let client = subject.client.with_token(login.auth.client_token.clone());
            // What can't be revoked ends by itself; verification says so.
            revoke(subject, &client, &login.auth, &mut Checks::default()).await;
            Some(false)
        }
        Err(error @ VaultError::Forbidden { .. }) if bare(&error) => {
            matches!(review(subject, mount, config, role.audience.as_ref(), &token).await, Ok(None)).then_some(true)
        }
        Err(_) => None,
    }
}

enum Connecting {
    /// There is an answer, and it is not to be trusted.
    Certificate(Error),
    /// There is no answer; the words of the connection.
    Unreachable(String),
}

/// Connects to the mount's host with nothing but the mount's CA. Any answer will do: it came through TLS.
async fn connect(config: &KubernetesConfig) -> Result<(), Connecting> {
    tls::install_crypto_provider();
    let host = &config.kubernetes_host;
    let certificates = Authorities::parse(&config.kubernetes_ca_cert).unwrap_or_default();
    let roots = certificates.certificates().iter().map(|der| reqwest::Certificate::from_der(der));
    let client = roots.collect::<reqwest::Result<Vec<_>>>().and_then(|roots| {
        let builder = reqwest::Client::builder().tls_certs_only(roots).redirect(reqwest::redirect::Policy::none());
        builder.connect_timeout(CONNECT_TIMEOUT).timeout(ANSWER_TIMEOUT).no_proxy().build()
    });
    let client = client.map_err(|error| Connecting::Unreachable(innermost(&error)))?;
    match client.get(format!("{host}/version")).send().await {
        Ok(_) => Ok(()),
        Err(error) => {
            let said = innermost(&error);
            if !said.to_lowercase().contains("certificate") {
                return Err(Connecting::Unreachable(said));
            }
            let authorities = certificates.describe().join(", ");
            let error = Error::failed(format!("{host} has no certificate that the mount's CA ({authorities}) signed"))
                .because(Words(said))
                .remedy("correct `auth.caCert`, or remove it to use the CA of the kubeconfig")
                .remedy("or correct `auth.host`: the name in the URL must be one that the certificate has");
            Err(Connecting::Certificate(error))
        }
    }
}

/// The words of a library's error, without its type.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Words(String);

fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

/// What a bare `permission denied` can mean, told by a token review from here: Vault's host, Vault's CA, and a token of the
/// reviewer from where Vault's came from.
pub(super) async fn explain_refusal(
    subject: &Subject<'_>,
    mount: &DesiredMount,
    audience: Option<&Audience>,
    token: &ServiceAccountToken,
) -> String {
    let path = &mount.path;
    let (Some(ConfigDocument::Kubernetes(config)), Some(reviewer)) = (&mount.config, &mount.reviewer) else {
        return format!("look whether auth/{path} is the right mount");
    };
    let who = match reviewer.token {
        ReviewerToken::Client => "the token that logs in, which reviews itself,".to_owned(),
        _ => format!("the reviewer {}", reviewer.service_account),
    };
    match review(subject, mount, config, audience, token).await {
        Ok(None) => format!(
            "a review from here, with the mount's host and CA and {who}, accepts this token: Vault has another reviewer's \
             token (`vaultk8s bootstrap` writes it anew), can't reach {} from where it is, or \
             the login came from an address that the role doesn't allow",
            config.kubernetes_host
        ),
        Ok(Some(said)) => format!(
            "{} does not accept this token for the audience {}: {said}. The role's `audience` must be among the \
             token's (`tokenAudiences`), and the host must be this cluster's",
            config.kubernetes_host,
            audience.map_or("that it has", Audience::as_str)
        ),
        Err(error) => {
            let causes = error.causes().join(": ");
            format!(
                "a review from here fails too ({error}: {causes}). It needs: a host that is this cluster's API server, its CA, \
                 and {who} bound to system:auth-delegator with a token that the API server accepts"
            )
        }
    }
}

/// Reviews a token as Vault would; `Some` is what the API server has against it.
async fn review(
    subject: &Subject<'_>,
    mount: &DesiredMount,
    config: &KubernetesConfig,
    audience: Option<&Audience>,
    token: &ServiceAccountToken,
) -> Result<Option<String>> {
    let (Some(connection), Some(reviewer)) = (subject.connections.get(&mount.cluster), &mount.reviewer) else {
        return Err(Error::failed("the cluster can't be reached from here"));
    };
    let source = match TokenSource::of(reviewer) {
        // For this one question, not for Vault.
        TokenSource::Bound { account, .. } => TokenSource::Bound { account, seconds: LEAST_SECONDS.unsigned_abs() },
        source => source,
    };
    let reviewer = source.resolve(connection).await?;
    let presented = reviewer.as_ref().map_or(token.secret(), |jwt| &jwt.token);
    let host = config.kubernetes_host.parse().map_err(|error| Error::failed("the host is no URL").because(error))?;
    let mut settings = kube::Config::new(host);
    let authorities = Authorities::parse(&config.kubernetes_ca_cert).unwrap_or_default();
    settings.root_cert = Some(authorities.certificates().iter().map(|der| der.to_vec()).collect());
    settings.auth_info.token = Some(presented.expose_secret().to_owned().into());
    settings.connect_timeout = Some(CONNECT_TIMEOUT);
    settings.read_timeout = Some(ANSWER_TIMEOUT);
    let failed = |error: kube::Error| {
        Error::failed("the host does not review it").because(refused_by(
            &config.kubernetes_host,
            "a token review",
            error,
        ))
    };
    let client = kube::Client::try_from(settings).map_err(failed)?;
    // As Vault does, where the role requires none: those of the token itself.
    let audiences = audience.map_or_else(|| token.claims.audiences.0.clone(), |audience| vec![audience.to_string()]);
    let review = TokenReview {
        spec: TokenReviewSpec { token: Some(token.secret().expose_secret().to_owned()), audiences: Some(audiences) },
        ..TokenReview::default()
    };
    let answer = Api::<TokenReview>::all(client).create(&PostParams::default(), &review).await.map_err(failed)?;
    let status = answer.status.unwrap_or_default();
    if status.authenticated == Some(true) {
        return Ok(None);
    }
    Ok(Some(status.error.unwrap_or_else(|| "it gives no reason".to_owned())))
}
