//! What a request to Vault can end in instead of its answer, each with what to do about it.

use std::borrow::Cow;
use std::fmt;

use http::Method;
use serde::{Deserialize, Serialize};

use super::kv::Gone;
use super::tokens::SecondFactor;
use crate::fix::VaultCli;
use crate::names::StoredName;
use crate::policy::Capability;
use crate::reach::{TlsProblem, Unreachable};

/// What was asked, for errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The HTTP method.
    #[serde(with = "as_text")]
    pub method: Method,
    /// The path below `/v1/`.
    pub path: String,
    /// Vault's address.
    pub address: String,
    /// The namespace; `None` is the root namespace.
    pub namespace: Option<String>,
    /// Vault's own CLI, as it reaches the same Vault.
    #[serde(default, skip_serializing_if = "VaultCli::is_plain")]
    pub cli: VaultCli,
}

impl Asked {
    /// The path as a policy names it: percent-encoding undone, no slash at its end.
    pub fn policy_path(&self) -> String {
        let path = self.path.trim_end_matches('/');
        let mut bytes = Vec::with_capacity(path.len());
        let mut rest = path.as_bytes();
        while let [first, tail @ ..] = rest {
            let decoded = match (first, tail) {
                (b'%', [a, b, ..]) => {
                    std::str::from_utf8(&[*a, *b]).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok())
                }
                _ => None,
            };
            bytes.push(decoded.unwrap_or(*first));
            rest = if decoded.is_some() { &tail[2..] } else { tail };
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }

    pub(super) fn in_namespace(&self) -> String {
        self.namespace.as_ref().map_or_else(String::new, |namespace| format!(" in the namespace {namespace}"))
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name of thousands of bytes may stand in it.
        write!(f, "{} {}{}", self.method, StoredName::new(self.path.as_str()), self.in_namespace())
    }
}

/// A method as its name.
mod as_text {
    use http::Method;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(method.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// What is known about the token of a forbidden request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenState {
    /// None was sent.
    Absent,
    /// The answer fits a token that Vault doesn't know as well as one that lacks a rule.
    Unproven,
    /// Vault knows the token.
    Valid {
        /// Its policies, where they were asked for.
        policies: Vec<String>,
    },
}

/// A request to Vault that failed.
#[derive(Debug, Clone, Serialize, Deserialize, thiserror::Error)]
pub enum VaultError {
    /// No answer came.
    #[error("Vault at {} does not answer: {how} ({asked})", asked.address)]
    Unreachable {
        /// What was asked.
        asked: Box<Asked>,
        /// Why not.
        how: Unreachable,
        /// The system's own words.
        #[source]
        source: Said,
    },
    /// The TLS connection failed.
    #[error("there is no secure connection to Vault at {}: {problem}", asked.address)]
    Tls {
        /// What was asked.
        asked: Box<Asked>,
        /// Why not.
        problem: TlsProblem,
    },
    /// Vault, or the namespace, is sealed.
    #[error("Vault at {} is sealed ({asked})", asked.address)]
    Sealed {
        /// What was asked.
        asked: Box<Asked>,
    },
    /// Vault was never initialised.
    #[error("Vault at {} is not initialised ({asked})", asked.address)]
    Uninitialised {
        /// What was asked.
        asked: Box<Asked>,
    },
    /// A standby answered, and no node is active.
    #[error("Vault at {} is a standby and finds no active node ({asked})", asked.address)]
    Standby {
        /// What was asked.
        asked: Box<Asked>,
        /// The server's own words.
        errors: Vec<String>,
    },
    /// 403: the token may not, or there is none.
    #[error("Vault at {} forbids {asked}{}", asked.address, forbidden_because(needs, errors, token))]
    Forbidden {
        /// What was asked.
        asked: Box<Asked>,
        /// The capabilities that it takes; empty where a policy can't grant it, such as for a login.
        needs: Cow<'static, [Capability]>,
        /// The server's own words.
        errors: Vec<String>,
        /// What is known about the token.
        token: TokenState,
    },
    /// 403: Vault doesn't know the token, or not any more.
    #[error("Vault at {} does not accept the token{}: it is wrong, expired or revoked", asked.address, of(origin.as_deref()))]
    InvalidToken {
        /// What was asked.
        asked: Box<Asked>,
        /// Where the token came from; `None` for one that Vault gave to this run.
        origin: Option<String>,
    },
    /// Vault took what a login presented, and gives no token before a second factor, which no machine has.
    #[error("Vault at {} wants a second factor after {asked}: {}", asked.address, wanted(factors))]
    SecondFactor {
        /// What was asked.
        asked: Box<Asked>,
        /// What it wants, each of them.
        factors: Vec<SecondFactor>,
    },
    /// 404 of Vault's own.
    #[error("Vault at {} has nothing for {asked}{}", asked.address, said(errors))]
    NotFound {
        /// The version of a KV secret that was there and was deleted.
        gone: Option<Gone>,
        /// What was asked.
        asked: Box<Asked>,
        /// Why, where the path as such is unknown; empty where only the thing isn't there.
        errors: Vec<String>,
    },
    /// Vault took the request and refused it.
    #[error("Vault at {} refused {asked} ({status}){}", asked.address, said(errors))]
    Rejected {
        /// What was asked.
        asked: Box<Asked>,
        /// The HTTP status.
        status: u16,
        /// The server's own words.
        errors: Vec<String>,
    },
    /// The answer leads to another server, where the token was not sent.
    #[error("Vault at {} redirects {asked} to {to}, where the token was not sent", asked.address)]
    Redirected {
        /// What was asked.
        asked: Box<Asked>,
        /// Scheme, host and port.
        to: String,
    },
    /// The server has no namespaces, and would take a request for one as a request for its root.
    #[error("Vault at {} has no namespaces, being the community edition: what is meant for {} would go to its root", asked.address, asked.namespace.as_deref().unwrap_or("one"))]
    NoNamespaces {
        /// What would be asked, in that namespace.
        asked: Box<Asked>,
    },
    /// Something answered that isn't Vault.
    #[error("what answers at {} does not look like Vault: {asked} gave {what}", asked.address)]
    NotVault {
        /// What was asked.
        asked: Box<Asked>,
        /// What came instead, such as `an HTML page (404)`.
        what: String,
    },
    /// Vault answered, but not in the form that this version knows.
    #[error("the answer of Vault at {} to {asked} is not as expected: {problem}", asked.address)]
    Answer {
        /// What was asked.
        asked: Box<Asked>,
        /// What is wrong with it, without its values.
        problem: String,
    },
    /// The request can't be put on the wire.
    #[error("{asked} was not sent: {what}")]
    Unsendable {
        /// What was to be asked.
        asked: Box<Asked>,
        /// Why not.
        what: Cow<'static, str>,
    },
}

/// The words of a library or of the system, without what it wraps around them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{0}")]
pub struct Said(pub(super) String);

fn said(errors: &[String]) -> String {
    if errors.is_empty() { String::new() } else { format!(": {}", errors.join("; ")) }
}

fn wanted(factors: &[SecondFactor]) -> String {
    factors.iter().map(ToString::to_string).collect::<Vec<_>>().join(", and ")
}

fn of(origin: Option<&str>) -> String {
    origin.map_or_else(String::new, |origin| format!(" of {origin}"))
}

fn forbidden_because(needs: &[Capability], errors: &[String], token: &TokenState) -> String {
    match token {
        _ if needs.is_empty() => said(errors),
        TokenState::Absent => ": no token was sent".to_owned(),
        TokenState::Unproven => ": the token is not valid, or lacks the permission".to_owned(),
        TokenState::Valid { policies } if policies.is_empty() => {
            ": the token is valid, but lacks the permission".to_owned()
        }
        TokenState::Valid { policies } => {
            format!(": the token is valid, but none of its policies allows it ({})", policies.join(", "))
        }
    }
}

impl VaultError {
    /// What was asked.
    pub fn asked(&self) -> &Asked {
        match self {
            Self::Unreachable { asked, .. }
            | Self::Tls { asked, .. }
            | Self::Sealed { asked }
            | Self::Uninitialised { asked }
            | Self::Standby { asked, .. }
            | Self::Forbidden { asked, .. }
            | Self::InvalidToken { asked, .. }
            | Self::SecondFactor { asked, .. }
            | Self::NotFound { asked, .. }
            | Self::Rejected { asked, .. }
            | Self::Redirected { asked, .. }
            | Self::NoNamespaces { asked }
            | Self::NotVault { asked, .. }
            | Self::Answer { asked, .. }
            | Self::Unsendable { asked, .. } => asked,
        }
    }

    /// The server's own words, where it gave a reason.
    pub fn errors(&self) -> &[String] {
        match self {
            Self::Standby { errors, .. }
            | Self::Forbidden { errors, .. }
            | Self::NotFound { errors, .. }
            | Self::Rejected { errors, .. } => errors,
            _ => &[],
        }
    }

    /// Whether Vault judged the request and refused it, with or without its reasons. Anything else says nothing about what was
    /// asked for: no answer came, or one that is about Vault itself, or about something in front of it.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Forbidden { .. } | Self::InvalidToken { .. } | Self::NotFound { .. } => true,
            Self::Rejected { status, errors, .. } => refuses(*status, errors),
            _ => false,
        }
    }

    /// What limits requests, where that is why this one was turned away.
    pub(crate) fn limit(&self) -> Option<TurnedAwayBy> {
        match self {
            Self::Rejected { status: 429, errors, .. } if !errors.is_empty() => {
                let says = |words| errors.iter().any(|said| said.contains(words));
                Some(if says(BEFORE_VAULT) {
                    TurnedAwayBy::BeforeVault
                } else if says(LEASES) {
                    TurnedAwayBy::Leases
                } else {
                    TurnedAwayBy::Rate
                })
            }
            _ => None,
        }
    }

    /// Whether the node that answers knows no mount at the path.
    pub fn means_no_mount(&self) -> bool {
        self.errors().iter().any(|text| text.contains("no handler for route"))
    }

    /// Whether Vault says that the thing asked for isn't there, and nothing else is wrong.
    pub fn means_absent(&self) -> bool {
        match self {
            Self::NotFound { errors, gone, .. } => errors.is_empty() && gone.is_none(),
            // GET sys/auth/<mount> and GET sys/mounts/<mount>.
            Self::Rejected { status: 400, errors, .. } => errors
                .iter()
                .any(|text| text.starts_with("No auth engine at ") || text.starts_with("No secret engine mount at ")),
            _ => false,
        }
    }
}

/// Whether an answer is about who asked.
fn refuses(status: u16, errors: &[String]) -> bool {
    match status {
        // These are about when it was asked.
        412 | 429 => false,
        500 => errors.iter().any(|said| REFUSALS.iter().any(|refusal| said.contains(refusal))),
        status => status < 500,
    }
}

/// What limits requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnedAwayBy {
    /// A quota of Vault, of how many requests there may be in a while.
    Rate,
    /// A quota of Vault, of how many leases there may be (Vault Enterprise).
    Leases,
    /// Something between here and Vault.
    BeforeVault,
}

/// What is told of a 429 that isn't Vault's own.
pub(super) const BEFORE_VAULT: &str = "what stands before Vault limits the rate of requests";

/// What a 429 says of a quota that is about leases, not about requests.
pub(super) const LEASES: &str = "lease count quota exceeded";

/// What is in a 500 by which a plugin refuses a login, in its present version or an earlier one. Any other is of a server that is in
/// trouble, and says nothing of who asked.
const REFUSALS: [&str; 5] = ["could not load", "not authorized", "lookup failed", "invalid role name", "claim"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_in_trouble_refuses_nobody() {
        let rejected =
            |status: u16, said: &[&str]| refuses(status, &said.iter().map(ToString::to_string).collect::<Vec<_>>());
        for said in
            ["could not load backend configuration", "1 error occurred:\n\t* service account name not authorized\n\n"]
        {
            assert!(rejected(500, &[said]), "{said}");
        }
        for said in
            [&["internal error"][..], &["1 error occurred:\n\t* internal error\n\n"], &["context canceled"], &[]]
        {
            assert!(!rejected(500, said), "{said:?}");
        }
        assert!(rejected(400, &["error validating token"]) && !rejected(429, &["quota"]) && !rejected(503, &["claim"]));
    }
}
