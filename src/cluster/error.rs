//! What an API server or the way to it can answer instead of what was asked for.

use serde::{Deserialize, Serialize};

use super::cause::ClientCause;
use super::credentials::CredentialFault;
use crate::error::Error;
use crate::fix::Kubectl;
use crate::reach::{ExchangeFailure, TlsProblem, in_chain};

/// A request to a cluster that failed.
#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
pub enum ClusterError {
    /// No answer came.
    #[error("no answer from {server} to {what}")]
    Unreachable {
        /// The API server's URL.
        server: String,
        /// What was asked for.
        what: String,
        /// Why not.
        #[source]
        cause: ClientCause,
        /// What to do, where it is known better than in general.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remedy: Option<String>,
    },
    /// 401: the API server does not know who asks.
    #[error("{server} does not accept these credentials for {what}: {message}")]
    Unauthorized {
        /// The API server's URL.
        server: String,
        /// What was asked for.
        what: String,
        /// The server's own words.
        message: String,
    },
    /// 403: who asks may not.
    #[error("{server} forbids {what}: {message}")]
    Forbidden {
        /// The API server's URL.
        server: String,
        /// What was asked for.
        what: String,
        /// The server's own words.
        message: String,
    },
    /// 404.
    #[error("{server} has nothing for {what}: {message}")]
    NotFound {
        /// The API server's URL.
        server: String,
        /// What was asked for.
        what: String,
        /// The server's own words.
        message: String,
    },
    /// Anything else that it said no to.
    #[error("{server} refused {what} ({code}): {message}")]
    Refused {
        /// The API server's URL.
        server: String,
        /// What was asked for.
        what: String,
        /// The HTTP status.
        code: u16,
        /// The server's own words.
        message: String,
    },
}

/// What an API server says of what is to be made in a namespace that is being deleted.
const TERMINATING: &str = "because it is being terminated";

/// Sorts a kube error into what the user can act on.
pub(crate) fn refused_by(server: &str, what: &str, error: kube::Error) -> ClusterError {
    let (server, what) = (server.to_owned(), what.to_owned());
    match error {
        kube::Error::Api(status) => {
            let message = status.message.clone();
            match status.code {
                401 => ClusterError::Unauthorized { server, what, message },
                // It is refused to everybody, whatever they may do.
                403 if message.contains(TERMINATING) => ClusterError::Refused { server, what, code: 403, message },
                403 => ClusterError::Forbidden { server, what, message },
                404 => ClusterError::NotFound { server, what, message },
                code => ClusterError::Refused { server, what, code, message },
            }
        }
        error => {
            let of_credentials = in_chain::<CredentialFault>(&error).and_then(CredentialFault::known_remedy);
            let remedy =
                of_credentials.map(str::to_owned).or_else(|| in_chain::<ExchangeFailure>(&error).and_then(remedy));
            ClusterError::Unreachable { server, what, cause: ClientCause::of_request(&error), remedy }
        }
    }
}

/// What to do about a connection that failed, where that is known.
fn remedy(failure: &ExchangeFailure) -> Option<String> {
    let of_certificate = failure.certificate().and_then(|problem| match problem {
        TlsProblem::WrongName { .. } | TlsProblem::NoNames => Some(
            "the name or address in the kubeconfig's `server` must be a subject alternative name of the certificate: correct it, or \
             set `tls-server-name` to one that is",
        ),
        TlsProblem::Expired | TlsProblem::NotYetValid => {
            Some("renew the API server's certificate; is the clock of this machine right?")
        }
        _ => None,
    });
    failure.remedy().or_else(|| of_certificate.map(str::to_owned))
}

impl From<ClusterError> for Error {
    fn from(error: ClusterError) -> Self {
        let remedy = match &error {
            ClusterError::Unreachable { remedy: Some(remedy), .. } => remedy,
            ClusterError::Unreachable { cause, .. } if cause.to_string().contains("certificate") => {
                "the API server's certificate is not the one that the kubeconfig's CA signed: \
                 look at the cluster's `certificate-authority-data`"
            }
            ClusterError::Unreachable { .. } => "look whether the cluster is up, and reached by kubectl",
            ClusterError::Unauthorized { .. } => {
                "the kubeconfig's credentials are wrong or have expired: log in to the cluster again"
            }
            ClusterError::Forbidden { .. } => {
                "ask for the permission that the message names; issuer and keys are in the ClusterRole \
                 `system:service-account-issuer-discovery`"
            }
            ClusterError::Refused { message, .. } if message.contains(TERMINATING) => {
                "the namespace is being deleted, and takes nothing new: wait until it is gone, and make it anew; its `status.conditions` say \
                 what holds it"
            }
            ClusterError::NotFound { .. } | ClusterError::Refused { .. } => {
                "look whether the kubeconfig's server is a Kubernetes API server"
            }
        };
        let failed = Error::failed(error.to_string()).remedy(remedy.to_owned());
        match error {
            ClusterError::Unreachable { cause, .. } => failed.because(cause),
            ClusterError::Forbidden { message, .. } => {
                let failed = failed.forbidden_by_cluster();
                asking(&message).into_iter().fold(failed, Error::remedy)
            }
            _ => failed,
        }
    }
}

/// How the cluster is asked about the right that its refusal names: `User "u" cannot get resource "secrets" in API group "" in the namespace
/// "n"`, `User "u" cannot get path "/openid/v1/jwks"`.
fn asking(message: &str) -> Option<String> {
    let (_, right) = message.split_once(" cannot ")?;
    let (verb, rest) = right.split_once(' ')?;
    let quoted = |rest: &str, before: &str| -> Option<String> {
        let (_, rest) = rest.split_once(before)?;
        Some(rest.strip_prefix('"')?.split_once('"')?.0.to_owned())
    };
    let kubectl = match quoted(rest, "in the namespace ") {
        Some(namespace) => Kubectl::default().within(&namespace),
        None => Kubectl::default(),
    };
    let what = match (quoted(rest, "path "), quoted(rest, "resource ")) {
        (Some(path), _) if rest.starts_with("path ") => path,
        (_, Some(resource)) => match quoted(rest, "in API group ").filter(|group| !group.is_empty()) {
            Some(group) => match resource.split_once('/') {
                Some((resource, part)) => format!("{resource}.{group}/{part}"),
                None => format!("{resource}.{group}"),
            },
            None => resource,
        },
        _ => return None,
    };
    let command = kubectl.run("auth can-i").arg(verb).arg(&what);
    Some(format!("{} says whether it is granted", command.shown()))
}

/// What to do where a reviewer's objects can't be read or written.
pub(super) fn explain(error: ClusterError) -> Error {
    match &error {
        ClusterError::Forbidden { .. } => Error::failed("these credentials don't reach the reviewer's objects")
            .because(error)
            .forbidden_by_cluster()
            .remedy(
                "ask for `get`, `create` and `patch` on namespaces, serviceaccounts, secrets and clusterrolebindings, `create` on \
                 serviceaccounts/token, and all that system:auth-delegator may do: nobody can bind a role that allows \
                 more than they may do themselves",
            )
            .remedy("or let somebody who may do this bootstrap once"),
        ClusterError::Refused { code: 409, .. } => {
            Error::failed("somebody else has the last word on an object of the reviewer")
                .because(error)
                .remedy(format!(
                    "look at who manages it: {}",
                    Kubectl::default().run("get … -o yaml --show-managed-fields").shown()
                ))
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_how_the_cluster_is_asked_about_the_right() {
        for (right, command) in [
            (r#"get path "/openid/v1/jwks""#, Some("kubectl auth can-i get /openid/v1/jwks")),
            (
                r#"list resource "secrets" in API group "" in the namespace "n""#,
                Some("kubectl -n n auth can-i list secrets"),
            ),
            (
                r#"create resource "tokenreviews" in API group "authentication.k8s.io" at the cluster scope"#,
                Some("kubectl auth can-i create tokenreviews.authentication.k8s.io"),
            ),
            (
                r#"create resource "serviceaccounts/token" in API group "" in the namespace "a""#,
                Some("kubectl -n a auth can-i create serviceaccounts/token"),
            ),
            ("be told", None),
        ] {
            let message = format!(r#"forbidden: User "u" cannot {right}"#);
            let forbidden = ClusterError::Forbidden { server: "https://k".into(), what: "it".into(), message };
            let told = Error::from(forbidden);
            assert!(told.is_forbidden() && !told.is_forbidden_by_vault());
            let shown = told.remedies().iter().any(|remedy| command.is_some_and(|command| remedy.contains(command)));
            assert_eq!(shown, command.is_some(), "{:?}", told.remedies());
        }
    }

    #[test]
    fn a_namespace_that_is_being_deleted_is_no_lack_of_rights() {
        let ending = "is forbidden: unable to create new content in namespace a because it is being terminated";
        for (message, forbidden) in [(ending, false), ("is forbidden: User \"u\" cannot create resource", true)] {
            let status = kube::core::Status { code: 403, message: message.to_owned(), ..kube::core::Status::default() };
            let error = refused_by("https://k", "a Secret", kube::Error::Api(Box::new(status)));
            let told = Error::from(error);
            assert_eq!(told.is_forbidden(), forbidden, "{told}");
            assert_eq!(told.remedies()[0].contains("being deleted"), !forbidden, "{:?}", told.remedies());
        }
    }
}
