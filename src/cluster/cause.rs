//! What the Kubernetes client's errors may say.
//!
//! They quote what they choked on: a line of the kubeconfig, what a credential plugin printed, a proxy's password. So
//! none of them is passed on; each becomes a sentence of our own, with a place or a name where that helps.

use std::error::Error as StdError;
use std::fmt;

use kube::client::AuthError;
use kube::config::{KubeconfigError, LoadDataError};
use rustls::{AlertDescription, PeerIncompatible};
use serde::{Deserialize, Serialize};

use crate::reach::{ExchangeFailure, in_chain};

/// A cause in our own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCause(String);

impl fmt::Display for ClientCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for ClientCause {}

impl ClientCause {
    /// Why a kubeconfig can't be used.
    pub(super) fn of_kubeconfig(error: &KubeconfigError) -> Self {
        Self(match error {
            KubeconfigError::ReadConfig(error, _) => error.to_string(),
            KubeconfigError::Parse(error) => match error.location() {
                Some(at) => format!("it is not YAML of a kubeconfig, at line {}, column {}", at.line(), at.column()),
                None => "it is not YAML of a kubeconfig".to_owned(),
            },
            KubeconfigError::LoadContext(name) => format!("it has no context {name:?}"),
            KubeconfigError::LoadClusterOfContext(name) => {
                format!("it has no cluster {name:?}, which its context names")
            }
            KubeconfigError::MissingClusterUrl => "its cluster has no `server`".to_owned(),
            KubeconfigError::ParseClusterUrl(_) => "the `server` of its cluster is not a URL".to_owned(),
            KubeconfigError::ParseProxyUrl(_) => "the `proxy-url` of its cluster is not a URL".to_owned(),
            KubeconfigError::LoadCertificateAuthority(error) => data("certificate-authority", error),
            KubeconfigError::LoadClientCertificate(error) => data("client-certificate", error),
            KubeconfigError::LoadClientKey(error) => data("client-key", error),
            KubeconfigError::ParseCertificates(_) => "a certificate in it is not PEM".to_owned(),
            KubeconfigError::KindMismatch | KubeconfigError::ApiVersionMismatch => {
                "the files are of different kinds or versions".to_owned()
            }
            _ => "it can't be used as it is".to_owned(),
        })
    }

    /// Why a connection or a request failed, other than by an answer of the API server.
    pub(super) fn of_request(error: &kube::Error) -> Self {
        let chain = || chain(error);
        if let Some(error) = chain().find_map(|error| error.downcast_ref::<AuthError>()) {
            return Self(auth(error));
        }
        if let kube::Error::InferKubeconfig(error) = error {
            return Self::of_kubeconfig(error);
        }
        // What the operating system, TLS and proxies say holds no credentials, and is what helps.
        if let Some(failure) = in_chain::<ExchangeFailure>(error) {
            return Self(failure.to_string());
        }
        let plain = chain().filter_map(|error| {
            let io = error.downcast_ref::<std::io::Error>().map(ToString::to_string);
            io.or_else(|| error.downcast_ref::<rustls::Error>().map(tls))
        });
        Self(plain.last().unwrap_or_else(|| {
            match error {
                kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => "the answer is not what was asked for",
                kube::Error::RustlsTls(_) => "its certificates or keys can't be used for TLS",
                _ => "the connection broke off, or never came about",
            }
            .to_owned()
        }))
    }
}

/// An error and its causes, outermost first.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| StdError::source(*error))
}

fn data(field: &str, error: &LoadDataError) -> String {
    match error {
        LoadDataError::ReadFile(error, path) => {
            format!("the file {} of `{field}` could not be read: {error}", path.display())
        }
        LoadDataError::DecodeBase64(_) => format!("`{field}-data` is not base64"),
        LoadDataError::NoBase64DataOrFile => format!("`{field}` is missing"),
    }
}

/// The program of a command as Rust shows it: `env -u NAME NAME="value" "program" "argument"`.
fn program_of(shown: &str) -> &str {
    let mut rest = shown;
    if let Some((_, after)) = shown.split_once("\" && ").filter(|_| shown.starts_with("cd \"")) {
        rest = after;
    }
    loop {
        rest = rest.trim_start();
        let word = end_of_word(rest);
        if word == 0 {
            return "";
        }
        if let Some(program) = rest[..word].strip_prefix('"') {
            return program.trim_end_matches('"');
        }
        rest = &rest[word..];
    }
}

/// Where the first word ends: at a space that no quotes are around.
fn end_of_word(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ' ' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// What TLS says, in words of our own where its own lead astray.
fn tls(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidMessage(_) => "the server speaks plain http there, not https".to_owned(),
        rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        )
        | rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server speaks neither TLS 1.3 nor TLS 1.2, only older versions".to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server wants a client certificate, and the kubeconfig has none".to_owned()
        }
        other => other.to_string(),
    }
}

fn auth(error: &AuthError) -> String {
    match error {
        AuthError::AuthExecStart(error) => format!("its credential plugin could not be started: {error}"),
        AuthError::AuthExecRun { cmd, out } => {
            // The command with its arguments may hold a password; its name does not.
            let program = program_of(cmd);
            format!("its credential plugin {program} failed ({}); run it by itself to see why", out.status)
        }
        AuthError::AuthExecParse(_) | AuthError::ExecPluginFailed | AuthError::AuthExec(_) => {
            "its credential plugin did not print an ExecCredential".to_owned()
        }
        AuthError::ReadTokenFile(error, path) => {
            format!("its token file {} could not be read: {error}", path.display())
        }
        AuthError::MissingCommand => "its credential plugin has no `command`".to_owned(),
        AuthError::InvalidBasicAuth(_) | AuthError::InvalidBearerToken(_) => {
            "its token or password has characters that can't be sent".to_owned()
        }
        _ => "its credentials can't be used".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_called_by_its_name() {
        let mut command = std::process::Command::new("/opt/my tools/aws");
        command.args(["eks", "--password=hunter2"]);
        assert_eq!(program_of(&format!("{command:?}")), "/opt/my tools/aws");
        command.env("KUBERNETES_EXEC_INFO", r#"{"kind": "ExecCredential", "x": "a b"}"#).env_remove("VAULT_TOKEN");
        assert_eq!(program_of(&format!("{command:?}")), "/opt/my tools/aws");
        command.current_dir("/some where");
        assert_eq!(program_of(&format!("{command:?}")), "/opt/my tools/aws");
        for odd in ["", " ", "x", "\"", "A=\""] {
            program_of(odd);
        }
    }
}
