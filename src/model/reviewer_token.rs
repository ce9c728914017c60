//! The token that Vault presents to the `TokenReview` API: where it comes from, and what is remembered of it.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::names::ServiceAccountRef;

/// Where the reviewer's token is to be had, when it is needed: a plan has this, never the token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "from")]
pub enum TokenSource {
    /// A `kubernetes.io/service-account-token` Secret.
    Secret {
        /// Whose token.
        account: ServiceAccountRef,
        /// The Secret, in the account's namespace.
        name: String,
    },
    /// `TokenRequest`.
    Bound {
        /// Whose token.
        account: ServiceAccountRef,
        /// The lifetime to ask for, in seconds.
        seconds: u64,
    },
    /// None: the token that logs in reviews itself.
    Client,
    /// None: Vault takes that of its own pod.
    Local,
    /// A file, when it is needed.
    File {
        /// Where it is.
        path: PathBuf,
    },
    /// A variable of the environment, when it is needed.
    Environment {
        /// Its name.
        name: String,
    },
}

impl TokenSource {
    /// Whether the mount is given one.
    pub fn is_given(&self) -> bool {
        !matches!(self, Self::Client | Self::Local)
    }
}

impl std::fmt::Display for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Secret { account, name } => write!(f, "the token in Secret {}/{name}", account.namespace),
            Self::Bound { account, seconds } => write!(f, "a new token of {account}, asked for {}", span(*seconds)),
            Self::Client => f.write_str("none: the token that logs in reviews itself"),
            Self::Local => f.write_str("none: Vault takes that of its own pod"),
            Self::File { path } => write!(f, "the token in the file {}", path.display()),
            Self::Environment { name } => write!(f, "the token in ${name}"),
        }
    }
}

/// `24 h`, `90 min`, `45 s`: roughly how long.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// What is remembered of the token that a mount was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The Vault, for people.
    pub vault: String,
    /// `sha256:` and the digest of the token.
    pub token: String,
    /// When it was written, in seconds since 1970.
    pub written: u64,
    /// When it expires, in seconds since 1970, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
    /// For how many seconds it was asked, where it was; the API server may have given others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<u64>,
}

impl Record {
    /// Whether less than a third of its lifetime is left.
    pub fn runs_out(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| {
            let lifetime = expires.saturating_sub(self.written);
            expires.saturating_sub(now).saturating_mul(3) < lifetime
        })
    }
}

/// What the name of an annotation with a record begins with.
pub const RECORDS: &str = "vaultk8s.io/";

/// The name of the annotation with the record of one mount of one Vault. A mount that was made anew has another accessor,
/// and so no record.
pub fn record_key(address: &str, accessor: &str) -> String {
    let hash = Sha256::digest(format!("{}\n{accessor}", address.trim_end_matches('/')));
    format!("{RECORDS}{}", hex(&hash[..8]))
}

/// `sha256:` and the digest of a token, which is long and random, so that nobody can guess it from that.
pub(crate) fn digest(token: &SecretString) -> String {
    format!("sha256:{}", hex(&Sha256::digest(token.expose_secret())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_with_less_than_a_third_left() {
        let record =
            |expires| Record { vault: String::new(), token: String::new(), written: 1000, expires, asked: None };
        assert!(!record(Some(4000)).runs_out(3000));
        assert!(record(Some(4000)).runs_out(3001));
        assert!(record(Some(4000)).runs_out(9000));
        assert!(!record(None).runs_out(u64::MAX));
    }

    #[test]
    fn a_record_belongs_to_one_mount_of_one_vault() {
        let key = record_key("https://vault:8200", "auth_kubernetes_1");
        assert_eq!(key, record_key("https://vault:8200/", "auth_kubernetes_1"));
        assert_ne!(key, record_key("https://vault:8200", "auth_kubernetes_2"));
        assert_eq!(key.len(), "vaultk8s.io/".len() + 16);
    }

    #[test]
    fn a_source_is_read_back_as_it_was_saved() {
        let account: ServiceAccountRef = "vault-auth/vault-auth".parse().unwrap();
        for source in [
            TokenSource::Secret { account: account.clone(), name: "t".into() },
            TokenSource::Bound { account, seconds: 3600 },
            TokenSource::Client,
            TokenSource::Local,
            TokenSource::File { path: "/run/token".into() },
            TokenSource::Environment { name: "REVIEWER_TOKEN".into() },
        ] {
            let saved = serde_json::to_string(&source).unwrap();
            assert_eq!(serde_json::from_str::<TokenSource>(&saved).unwrap(), source, "{saved}");
        }
    }
}
