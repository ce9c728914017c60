//! What the user can do about a request that failed.

use super::error::{Asked, TokenState, TurnedAwayBy, VaultError};
use super::tokens::SecondFactor;
use crate::error::Error;
use crate::fix::{Kubectl, openssl};
use crate::policy::{Capability, rule_on_a_line};
use crate::reach::{TlsProblem, Unreachable};

impl VaultError {
    /// What the user can do about it.
    pub fn remedies(&self) -> Vec<String> {
        let one = |text: &str| vec![text.to_owned()];
        let cli = &self.asked().cli;
        let run = |words| cli.run(words).shown();
        match self {
            Self::Unreachable { how: Unreachable::Proxy(problem), .. } => vec![problem.remedy()],
            Self::Unreachable { how, .. } => one(match how {
                Unreachable::UnknownHost => "check the host name in the address; is a VPN needed to reach it?",
                Unreachable::Refused => "check host and port of the address, and that the server runs",
                Unreachable::ConnectTimeout => {
                    "check the address; a firewall may be in between, or HTTPS_PROXY be needed"
                }
                Unreachable::AnswerTimeout => "try again, or give it more time with --timeout or VAULT_CLIENT_TIMEOUT",
                Unreachable::Broken | Unreachable::Other | Unreachable::Proxy(_) => {
                    "check the address, and what is between here and the server"
                }
            }),
            Self::Tls { problem, asked } => tls_remedies(problem, asked),
            Self::Sealed { .. } => vec![format!("unseal it: {}", run("operator unseal"))],
            Self::Uninitialised { .. } => vec![format!("initialise it: {}, then unseal it", run("operator init"))],
            Self::Standby { .. } => vec![format!(
                "wait until a node is elected, then run the command again; {} shows the nodes",
                run("operator members")
            )],
            Self::Forbidden { needs, token, asked, .. } => forbidden_remedies(asked, needs, token),
            Self::InvalidToken { origin: None, .. } => {
                one("give the role of the login a longer token_ttl, and no token_num_uses, if it ended before its time")
            }
            Self::InvalidToken { .. } => vec![format!(
                "log in again with {}, or set VAULT_TOKEN to a token of this server; {} shows what it is",
                run("login"),
                run("token lookup")
            )],
            Self::SecondFactor { factors, .. } => {
                let path = |factor: &SecondFactor| format!("identity/mfa/login-enforcement/{}", factor.enforcement);
                let look: Vec<String> = factors.iter().map(|factor| cli.read(&path(factor)).shown()).collect();
                vec![format!(
                    "bind the enforcement to people's logins alone, because no machine has a second factor: {} shows which logins \
                     it is about",
                    look.join(", ")
                )]
            }
            Self::NotFound { errors, .. } if errors.iter().any(|text| text.contains("namespace not found")) => {
                one("check the namespace (--namespace, VAULT_NAMESPACE, vault.namespace in the file)")
            }
            Self::NotFound { errors, .. } if !errors.is_empty() => {
                one("check that the mount exists, in this namespace, and that the server is new enough")
            }
            Self::Redirected { to, .. } => vec![format!(
                "if that is where your Vault is, make it the address: VAULT_ADDR={to} (a standby names its active node so, \
                 also one that has just failed: then run this again once another node is active)"
            )],
            Self::NoNamespaces { .. } => vec![
                "name no namespace (`--namespace \"\"`, VAULT_NAMESPACE, vault.namespace in the file), if this is the server that you mean"
                    .to_owned(),
                "or name the address of the server that has it: OpenBao and Vault Enterprise have namespaces".to_owned(),
            ],
            Self::NotVault { .. } => vec![format!(
                "check the address: another service, or a proxy with a page of its own, may be there; {} should answer",
                run("status")
            )],
            Self::Rejected { errors, .. } if errors.iter().any(|text| is_about_a_provider(text)) => one(
                "`providerConfig: { provider: kubernetes }` is for OpenBao (2.6 and later) in a pod of the cluster whose tokens it takes: \
                 elsewhere write `keys: pinned`, or let the server fetch the keys without credentials (`keys: jwksUrl`)",
            ),
            Self::Rejected { errors, .. } if errors.iter().any(|text| text.contains(OF_A_POD)) => one(
                "this Vault runs in no pod of a cluster, so that it has neither its token nor its CA: in place of `reviewer: { token: local }` \
                 write `secret` or `bound`",
            ),
            Self::Rejected { errors, .. } if errors.iter().any(|text| is_about_fetching_keys(text)) => vec![
                "look whether Vault itself reaches that URL, and whether its certificate is from the CA that is written \
                 (`auth.caCert`)"
                    .to_owned(),
                format!(
                    "if the API server forbids it: in the context of that cluster, {} lets anybody who reaches it read issuer and keys",
                    Kubectl::default().open_discovery().shown()
                ),
                "if the document names a URL of the keys that only the cluster's own network knows (`jwks_uri`), name the one that Vault \
                 reaches: `keys: jwksUrl` with `auth.jwksUrl`"
                    .to_owned(),
                "or write `keys: pinned`, which needs no way from Vault to the cluster".to_owned(),
            ],
            // OpenBao and Vault Enterprise, each for a node that lacks what was asked for and passes nothing on.
            Self::Rejected { status: 429, errors, .. } if errors.is_empty() => one(BEHIND),
            Self::Rejected { status: 412, .. } => one(BEHIND),
            Self::Rejected { status: 429, .. } if self.limit() == Some(TurnedAwayBy::BeforeVault) => one(
                "raise the limit of what stands before Vault (a proxy, a gateway, a load balancer), or wait longer for it with --timeout",
            ),
            Self::Rejected { status: 429, .. } if self.limit() == Some(TurnedAwayBy::Leases) => vec![format!(
                "a quota of Vault limits how many leases there may be: let those end that nobody needs, with shorter TTLs, or raise it; \
                 {} shows them",
                run("list sys/quotas/lease-count")
            )],
            Self::Rejected { status: 429, .. } => vec![format!(
                "a quota of Vault limits the rate of requests: raise it, or wait longer for it with --timeout; {} shows them",
                run("list sys/quotas/rate-limit")
            )],
            Self::NotFound { .. } | Self::Rejected { .. } | Self::Answer { .. } | Self::Unsendable { .. } => Vec::new(),
        }
    }
}

/// What to do where a node hasn't heard of what was written a moment ago.
const BEHIND: &str = "the node that answers is behind the active one, and did not pass the request on: try again, or name the \
                      active node's address; a proxy in between has to let X-Vault-Index and X-Vault-Inconsistent through";

/// Where a pod finds the token and the CA of its cluster.
const OF_A_POD: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Whether the server doesn't know the provider that a jwt mount should take keys from, or isn't where that one works.
fn is_about_a_provider(text: &str) -> bool {
    ["not found in custom providers", "error initializing \"kubernetes\" provider_config"]
        .iter()
        .any(|words| text.contains(words))
}

/// Whether Vault says that it could not fetch a cluster's keys, which it tries when a jwt mount is configured.
fn is_about_fetching_keys(text: &str) -> bool {
    ["error checking jwks URL", "error checking oidc discovery URL"].iter().any(|words| text.contains(words))
}

fn tls_remedies(problem: &TlsProblem, asked: &Asked) -> Vec<String> {
    let one = |text: &str| vec![text.to_owned()];
    let other_scheme = |from: &str, to: &str| format!("{to}{}", asked.address.trim_start_matches(from));
    match problem {
        TlsProblem::UnknownAuthority { .. } => {
            one("name the CA that signed it: --ca-cert FILE, VAULT_CACERT, or vault.caCert in the configuration file")
        }
        // The name is not put into a command to copy: what answers may be somebody else, with a good certificate.
        TlsProblem::WrongName { .. } => {
            one("if it has your Vault's name, use that in the address, or set VAULT_TLS_SERVER_NAME to it")
        }
        TlsProblem::NoNames => one("give the server a certificate with its name as a subject alternative name"),
        TlsProblem::Authority { .. } => one(
            "name the CA that is in force: --ca-cert FILE, VAULT_CACERT, or vault.caCert in the configuration file; is the clock of \
             this machine right?",
        ),
        TlsProblem::Expired => one("renew the server's certificate; is the clock of this machine right?"),
        TlsProblem::NotYetValid => one("look at the clock of this machine, and at the server's certificate"),
        TlsProblem::ServerSpeaksHttp => {
            vec![format!("use {} if that is meant: the token then travels unencrypted", other_scheme("https", "http"))]
        }
        TlsProblem::ServerSpeaksHttps => vec![format!("use {}", other_scheme("http", "https"))],
        TlsProblem::TooOld => one(
            "let the server, or what is in front of it, speak TLS 1.2 or 1.3 (`tls_min_version` of Vault's listener): TLS 1.1 and older \
             protect nothing",
        ),
        TlsProblem::ClientCertificate(_) => {
            one("set VAULT_CLIENT_CERT and VAULT_CLIENT_KEY to a certificate that the server knows")
        }
        TlsProblem::Other(_) => {
            vec![format!("check the server's certificate: {} shows it", openssl(&asked.address).shown())]
        }
    }
}

fn forbidden_remedies(asked: &Asked, needs: &[Capability], token: &TokenState) -> Vec<String> {
    if needs.is_empty() {
        return Vec::new();
    }
    let login = asked.cli.run("login").shown();
    let grant = format!("add this rule to a policy of the token{}: {}", asked.in_namespace(), rule(asked, needs));
    match token {
        TokenState::Absent => {
            vec![format!("log in with {login}, set VAULT_TOKEN, or name a file with --token-file")]
        }
        TokenState::Unproven => {
            vec![grant, format!("if the token is wrong or has expired, log in again with {login}")]
        }
        TokenState::Valid { .. } => vec![grant],
    }
}

/// The policy rule that would allow a request, on one line.
fn rule(asked: &Asked, needs: &[Capability]) -> String {
    rule_on_a_line(&asked.policy_path(), needs.iter().map(|capability| capability.as_str()))
}

impl From<VaultError> for Error {
    fn from(error: VaultError) -> Self {
        let mut told = Self::failed(error.to_string());
        for remedy in error.remedies() {
            told = told.remedy(remedy);
        }
        match error {
            VaultError::Unreachable { source, .. } => told.because(source),
            VaultError::Forbidden { .. } | VaultError::InvalidToken { .. } => told.forbidden(),
            _ => told,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::fix::VaultCli;

    fn asked(path: &str) -> Asked {
        Asked {
            method: Method::POST,
            path: path.to_owned(),
            address: "https://vault.example:8200".to_owned(),
            namespace: Some("team".to_owned()),
            cli: VaultCli::default(),
        }
    }

    #[test]
    fn a_forbidden_request_names_the_rule_that_would_allow_it() {
        let error = VaultError::Forbidden {
            asked: Box::new(asked("sys/auth/jwt-x")),
            needs: vec![Capability::Create, Capability::Update, Capability::Sudo].into(),
            errors: vec!["permission denied".to_owned()],
            token: TokenState::Valid { policies: vec!["default".to_owned()] },
        };
        assert_eq!(
            error.to_string(),
            "Vault at https://vault.example:8200 forbids POST sys/auth/jwt-x in the namespace team: the token is valid, but none \
             of its policies allows it (default)"
        );
        assert_eq!(
            error.remedies(),
            ["add this rule to a policy of the token in the namespace team: \
              path \"sys/auth/jwt-x\" { capabilities = [\"create\", \"update\", \"sudo\"] }"]
        );
    }

    #[test]
    fn a_refused_login_has_the_servers_words_and_no_rule() {
        let error = VaultError::Forbidden {
            asked: Box::new(asked("auth/jwt/login")),
            needs: Vec::new().into(),
            errors: vec!["permission denied".to_owned()],
            token: TokenState::Absent,
        };
        assert!(error.to_string().ends_with("forbids POST auth/jwt/login in the namespace team: permission denied"));
        assert!(error.remedies().is_empty());
    }

    #[test]
    fn policy_paths_are_decoded() {
        assert_eq!(asked("auth/jwt/role/a%20b%22/").policy_path(), "auth/jwt/role/a b\"");
        assert_eq!(asked("a%zz%").policy_path(), "a%zz%");
        assert_eq!(rule(&asked("a%22b"), &[Capability::Read]), r#"path "a\"b" { capabilities = ["read"] }"#);
    }
}
