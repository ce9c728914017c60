//! What an API server or the way to it can answer instead of what was asked for.

use serde::{Deserialize, Serialize};

use super::cause::ClientCause;
use super::connect::Connection;
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
    /// Nothing was asked, for want of credentials: a program that gives them fails, or their file is gone.
    #[error("there are no credentials for {what} at {server}")]
    NoCredentials {
        /// The API server's URL.
        server: String,
        /// What was to be asked for.
        what: String,
        /// Why there are none.
        #[source]
        cause: ClientCause,
        /// What to do, where whoever should give them says it.
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
        /// The flags with which kubectl asks there as the same.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        flags: Vec<String>,
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
                403 => ClusterError::Forbidden { server, what, message, flags: Vec::new() },
                404 => ClusterError::NotFound { server, what, message },
                code => ClusterError::Refused { server, what, code, message },
            }
        }
        error => {
            let cause = ClientCause::of_request(&error);
            if let Some(fault) = in_chain::<CredentialFault>(&error) {
                let remedy = fault.known_remedy().map(str::to_owned);
                return ClusterError::NoCredentials { server, what, cause, remedy };
            }
            let remedy = in_chain::<ExchangeFailure>(&error).and_then(remedy);
            ClusterError::Unreachable { server, what, cause, remedy }
        }
    }
}

impl Connection {
    /// Sorts a kube error of a request to this cluster.
    pub(crate) fn refused(&self, what: &str, error: kube::Error) -> ClusterError {
        let mut refused = refused_by(self.server(), what, error);
        if let ClusterError::Forbidden { flags, .. } = &mut refused {
            *flags = self.way().flags_of_asker();
        }
        refused
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
            ClusterError::Unreachable { remedy: Some(remedy), .. }
            | ClusterError::NoCredentials { remedy: Some(remedy), .. } => remedy,
            ClusterError::Unreachable { cause, .. } if cause.to_string().contains("certificate") => {
                "the API server's certificate is not the one that the kubeconfig's CA signed: \
                 look at the cluster's `certificate-authority-data`"
            }
            ClusterError::Unreachable { .. } => "look whether the cluster is up, and reached by kubectl",
            ClusterError::NoCredentials { .. } => "look whether another client gets an answer in the same context",
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
            ClusterError::Unreachable { cause, .. } | ClusterError::NoCredentials { cause, .. } => {
                failed.because(cause)
            }
            ClusterError::Forbidden { message, flags, .. } => {
                let failed = failed.forbidden_by_cluster();
                asking(&message, flags).into_iter().fold(failed, Error::remedy)
            }
            _ => failed,
        }
    }
}

/// How the cluster is asked about the right that its refusal names: `User "u" cannot get resource "secrets" in API group "" in the namespace
/// "n"`, `User "u" cannot get path "/openid/v1/jwks"`.
fn asking(message: &str, flags: Vec<String>) -> Option<String> {
    let (_, right) = message.split_once(" cannot ")?;
    let (verb, rest) = right.split_once(' ')?;
    let quoted = |rest: &str, before: &str| -> Option<String> {
        let (_, rest) = rest.split_once(before)?;
        Some(rest.strip_prefix('"')?.split_once('"')?.0.to_owned())
    };
    let kubectl = Kubectl::new(flags).perhaps_within(quoted(rest, "in the namespace ").as_deref());
    let ask = kubectl.run("auth can-i").arg(verb);
    let command = match (quoted(rest, "path "), quoted(rest, "resource ")) {
        (Some(path), _) if rest.starts_with("path ") => ask.arg(&path),
        (_, Some(resource)) => {
            // After a slash kubectl takes the name of an object.
            let (resource, part) = resource.split_once('/').map_or((&*resource, None), |(of, part)| (of, Some(part)));
            let ask = match quoted(rest, "in API group ").filter(|group| !group.is_empty()) {
                Some(group) => ask.arg(&format!("{resource}.{group}")),
                None => ask.arg(resource),
            };
            part.into_iter().fold(ask, |ask, part| ask.flag("--subresource=", part))
        }
        _ => return None,
    };
    Some(format!("{} says whether it is granted", command.shown()))
}

/// What to do where a reviewer's objects can't be read or written.
pub(super) fn explain(error: ClusterError) -> Error {
    match &error {
        ClusterError::Forbidden { .. } => Error::failed("these credentials don't reach the reviewer's objects")
            .because(error)
            .forbidden_by_cluster()
            .remedy(
                "ask for `get`, `create` and `patch` on namespaces, serviceaccounts, secrets and clusterrolebindings (and clusterroles and `get` on \
                 namespaces, where roles select these by labels), `create` on serviceaccounts/token, and all that system:auth-delegator may do: nobody can bind a role that allows \
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
            (r#"get path "/openid/v1/jwks""#, Some("kubectl --context c --as 'a b' auth can-i get /openid/v1/jwks")),
            (
                r#"list resource "secrets" in API group "" in the namespace "n""#,
                Some("kubectl --context c --as 'a b' -n n auth can-i list secrets"),
            ),
            (
                r#"create resource "tokenreviews" in API group "authentication.k8s.io" at the cluster scope"#,
                Some("kubectl --context c --as 'a b' auth can-i create tokenreviews.authentication.k8s.io"),
            ),
            (
                r#"create resource "serviceaccounts/token" in API group "" in the namespace "a""#,
                Some("kubectl --context c --as 'a b' -n a auth can-i create serviceaccounts --subresource=token"),
            ),
            (
                r#"update resource "deployments/scale" in API group "apps" in the namespace "a""#,
                Some("auth can-i update deployments.apps --subresource=scale"),
            ),
            ("be told", None),
        ] {
            let message = format!(r#"forbidden: User "u" cannot {right}"#);
            let flags = ["--context", "c", "--as", "a b"].map(str::to_owned).into();
            let forbidden = ClusterError::Forbidden { server: "https://k".into(), what: "it".into(), message, flags };
            let told = Error::from(forbidden);
            assert!(told.is_forbidden() && !told.is_forbidden_by_vault());
            let shown = told.remedies().iter().any(|remedy| command.is_some_and(|command| remedy.contains(command)));
            assert_eq!(shown, command.is_some(), "{:?}", told.remedies());
        }
    }

    #[test]
    fn where_there_are_no_credentials_nobody_was_asked() {
        let said = "its credential plugin p failed: the certificate has expired";
        let fault = CredentialFault::of_plugin(said).remedy("do what it says");
        let told = Error::from(refused_by("https://k", "its version", kube::Error::Service(Box::new(fault))));
        assert_eq!(told.to_string(), "there are no credentials for its version at https://k");
        assert_eq!(told.remedies(), ["do what it says"]);
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
