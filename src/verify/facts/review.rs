//! What Vault does for a login at a `kubernetes` mount, done from here: connecting to the mount's host with nothing but
//! the mount's CA, and asking it to review a token.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::api::{Api, PostParams};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::roots;
use crate::cluster::{ClusterError, Deadlines, KubeCredentials, client, refused_by};
use crate::error::{Error, Result};
use crate::keys::Authorities;
use crate::model::KubernetesConfig;
use crate::reach::{Reach, TlsProblem};
use crate::settings::Proxies;

/// How long the API server at the mount's host is given to accept a connection, and to answer.
const DEADLINES: Deadlines = Deadlines { to_connect: Duration::from_secs(5), to_answer: Duration::from_secs(10) };

/// Why there is no connection to a mount's host.
#[derive(Serialize, Deserialize)]
pub(crate) enum Connecting {
    /// There is an answer, and it is not to be trusted.
    Certificate(Error),
    /// There is no answer; the words of the connection.
    Unreachable(String),
}

/// Connects to the mount's host with nothing but the given CA. Any answer will do: it came through TLS.
pub(in crate::verify) async fn connect(host: &str, ca: &str, proxies: Proxies) -> Result<(), Connecting> {
    let certificates = Authorities::parse(ca).unwrap_or_default();
    let trust = roots::trust(Some(&certificates), "the mount's CA");
    let url = format!("{host}/version");
    let between = between(host, &proxies);
    let reach = Reach::new(trust.clone(), proxies, DEADLINES.to_connect, DEADLINES.to_answer);
    let Err(failure) = roots::get(&reach, &url).await else { return Ok(()) };
    let failure = match (failure.certificate(), between) {
        // Vault goes through no proxy of this machine, and this one may show a certificate of its own.
        (Some(problem), Some(proxy)) => {
            let reach = Reach::new(trust, Proxies::default(), DEADLINES.to_connect, DEADLINES.to_answer);
            match roots::get(&reach, &url).await {
                Ok(_) => return Ok(()),
                Err(direct) if direct.certificate().is_some() => direct,
                Err(_) => {
                    return Err(Connecting::Unreachable(format!(
                        "through {proxy}, which Vault doesn't go through, the certificate is another one: {problem}"
                    )));
                }
            }
        }
        _ => failure,
    };
    match failure.certificate() {
        Some(problem) => Err(Connecting::Certificate(refused(host, problem, &certificates))),
        None => Err(Connecting::Unreachable(failure.to_string())),
    }
}

/// The proxy between here and a host, by its name.
fn between(host: &str, proxies: &Proxies) -> Option<String> {
    let url = url::Url::parse(host).ok()?;
    let proxy = proxies.between(url.scheme(), url.host_str()?, url.port_or_known_default()?).ok()??;
    Some(format!("the proxy {proxy} ({})", proxy.origin))
}

/// What Vault says of the certificate of a mount's host, and what to do about it.
fn refused(host: &str, problem: &TlsProblem, authorities: &Authorities) -> Error {
    let authorities = authorities.describe().join(", ");
    let error = match problem {
        TlsProblem::UnknownAuthority { .. } => {
            Error::failed(format!("{host} has no certificate that the mount's CA ({authorities}) signed"))
        }
        _ => {
            Error::failed(format!("Vault does not accept the certificate of {host} by the mount's CA ({authorities})"))
        }
    };
    let error = error.because(problem.clone());
    match problem {
        TlsProblem::Expired | TlsProblem::NotYetValid => {
            error.remedy("renew the API server's certificate; is the clock of this machine right?")
        }
        TlsProblem::NoNames => {
            error.remedy("give the API server a certificate with its name as a subject alternative name")
        }
        TlsProblem::WrongName { .. } => {
            error.remedy("correct `auth.host`: the name in the URL must be one that the certificate has")
        }
        _ => error
            .remedy("correct `auth.caCert`, or remove it to use the CA of the kubeconfig")
            .remedy("or correct `auth.host`: the name in the URL must be one that the certificate has"),
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

/// Why the mount's host takes no reviews from who has this token, as far as it can be asked from here.
pub(crate) async fn refused_as_reviewer(
    config: &KubernetesConfig,
    token: &SecretString,
    proxies: &Proxies,
) -> Option<ClusterError> {
    match review(config, token, token, Vec::new(), proxies).await {
        Ok(Reviewed::Refused(error @ (ClusterError::Unauthorized { .. } | ClusterError::Forbidden { .. }))) => {
            Some(error)
        }
        _ => None,
    }
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
    proxies: &Proxies,
) -> Result<Reviewed> {
    let host = config.kubernetes_host.parse().map_err(|error| Error::failed("the host is no URL").because(error))?;
    let mut settings = kube::Config::new(host);
    let authorities = Authorities::parse(&config.kubernetes_ca_cert).unwrap_or_default();
    settings.root_cert = Some(authorities.certificates().iter().map(|der| der.to_vec()).collect());
    let credentials =
        KubeCredentials::token(presented).map_err(|fault| fault.told("the reviewer's token can't be sent"))?;
    let hidden = [presented, token];
    let refused = |error: kube::Error| refused_by(&config.kubernetes_host, "a token review", without(&hidden, error));
    let client = match client(&settings, &credentials, proxies, DEADLINES, "the mount's CA") {
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
    let said = status.error.map(|said| hide(&hidden, &said));
    Ok(Reviewed::Rejected(said.unwrap_or_else(|| "it gives no reason".to_owned())))
}

/// What a server says, which may repeat what it was sent.
fn hide(tokens: &[&SecretString], said: &str) -> String {
    tokens.iter().fold(said.to_owned(), |said, token| said.replace(token.expose_secret(), "[token]"))
}

fn without(tokens: &[&SecretString], error: kube::Error) -> kube::Error {
    match error {
        kube::Error::Api(mut status) => {
            status.message = hide(tokens, &status.message);
            status.reason = hide(tokens, &status.reason);
            kube::Error::Api(status)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_repeats_a_token_is_told_without_it() {
        let tokens = [SecretString::from("kubeconfig-u:q9w8"), SecretString::from("eyJhbGciOi.eyJzdWI.c2ln")];
        let hidden: Vec<&SecretString> = tokens.iter().collect();
        let said = "Bearer kubeconfig-u:q9w8 may not review eyJhbGciOi.eyJzdWI.c2ln (eyJhbGciOi.eyJzdWI.c2ln)";
        assert_eq!(hide(&hidden, said), "Bearer [token] may not review [token] ([token])");
        let status =
            kube::core::Status { message: said.to_owned(), reason: said.to_owned(), code: 403, ..Default::default() };
        let told = refused_by("https://k", "a token review", without(&hidden, kube::Error::Api(Box::new(status))));
        assert!(!told.to_string().contains("q9w8") && !told.to_string().contains("eyJ"), "{told}");
    }
}
