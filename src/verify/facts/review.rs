//! What Vault does for a login at a `kubernetes` mount, done from here: connecting to the mount's host with nothing but
//! the mount's CA, and asking it to review a token.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::api::{Api, PostParams};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::roots::{self, NoAnswer};
use crate::cluster::{ClusterError, refused_by};
use crate::error::{Error, Result};
use crate::keys::Authorities;
use crate::model::KubernetesConfig;

/// How long the API server at the mount's host is given to accept a connection, and to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no connection to a mount's host.
#[derive(Serialize, Deserialize)]
pub(crate) enum Connecting {
    /// There is an answer, and it is not to be trusted.
    Certificate(Error),
    /// There is no answer; the words of the connection.
    Unreachable(String),
}

/// Connects to the mount's host with nothing but the given CA. Any answer will do: it came through TLS.
pub(in crate::verify) async fn connect(host: &str, ca: &str) -> Result<(), Connecting> {
    let certificates = Authorities::parse(ca).unwrap_or_default();
    let client = roots::client(Some(&certificates), CONNECT_TIMEOUT, ANSWER_TIMEOUT)
        .map_err(|error| Connecting::Unreachable(error.said().to_owned()))?;
    match client.get(format!("{host}/version")).send().await.map_err(|error| NoAnswer::of(&error)) {
        Ok(_) => Ok(()),
        Err(NoAnswer::Connection(said)) => Err(Connecting::Unreachable(said)),
        Err(NoAnswer::Name(said) | NoAnswer::Certificate(said)) => {
            let authorities = certificates.describe().join(", ");
            let error = Error::failed(format!("{host} has no certificate that the mount's CA ({authorities}) signed"))
                .because(Words(said))
                .remedy("correct `auth.caCert`, or remove it to use the CA of the kubeconfig")
                .remedy("or correct `auth.host`: the name in the URL must be one that the certificate has");
            Err(Connecting::Certificate(error))
        }
    }
}

/// What became of a review.
#[derive(Serialize, Deserialize)]
pub(crate) enum Reviewed {
    /// The API server knows the token, and it is for the audience.
    Accepted,
    /// It doesn't; its words.
    Rejected(String),
    /// It did not review it: who asks is not known there, or may not.
    Refused(ClusterError),
}

/// Has a token reviewed as Vault would: by the API server at the mount's host, with the mount's CA, as the one whose
/// token is `presented`.
///
/// # Errors
/// When the mount's host or CA can't be used at all.
pub(in crate::verify) async fn review(
    config: &KubernetesConfig,
    presented: &SecretString,
    token: &SecretString,
    audiences: Vec<String>,
) -> Result<Reviewed> {
    let host = config.kubernetes_host.parse().map_err(|error| Error::failed("the host is no URL").because(error))?;
    let mut settings = kube::Config::new(host);
    let authorities = Authorities::parse(&config.kubernetes_ca_cert).unwrap_or_default();
    settings.root_cert = Some(authorities.certificates().iter().map(|der| der.to_vec()).collect());
    settings.auth_info.token = Some(presented.expose_secret().to_owned().into());
    settings.connect_timeout = Some(CONNECT_TIMEOUT);
    settings.read_timeout = Some(ANSWER_TIMEOUT);
    let refused = |error: kube::Error| refused_by(&config.kubernetes_host, "a token review", error);
    let client = match kube::Client::try_from(settings) {
        Ok(client) => client,
        Err(error) => return Ok(Reviewed::Refused(refused(error))),
    };
    let review = TokenReview {
        spec: TokenReviewSpec { token: Some(token.expose_secret().to_owned()), audiences: Some(audiences) },
        ..TokenReview::default()
    };
    let answer = match Api::<TokenReview>::all(client).create(&PostParams::default(), &review).await {
        Ok(answer) => answer,
        Err(error) => return Ok(Reviewed::Refused(refused(error))),
    };
    let status = answer.status.unwrap_or_default();
    if status.authenticated == Some(true) {
        return Ok(Reviewed::Accepted);
    }
    Ok(Reviewed::Rejected(status.error.unwrap_or_else(|| "it gives no reason".to_owned())))
}

/// The words of a library's error, without its type.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Words(String);
