//! What only the kubernetes method has: how Vault reaches the API server, and as whom.

use std::path::{Path, PathBuf};

use super::diagnostic::Problems;
use super::entry::Entry;
use super::template::filled_for;
use super::web_address::web_address;
use super::{KubernetesAuth, Position, Reviewer, ReviewerToken};
use crate::model::TokenSource;
use crate::names::{ClusterName, InvalidName, ServiceAccountRef};

/// The least lifetime that the API server gives a token, in seconds.
const LEAST_LIFETIME: i64 = 600;
/// The most that an API server takes, in seconds.
const MOST_LIFETIME: i64 = 1 << 32;

/// How long a bound token is asked for where the configuration says nothing, in seconds: a day, so that a daily run has two
/// tries before it ends.
const DEFAULT_LIFETIME: u64 = 24 * 60 * 60;

impl Reviewer {
    /// What lets it read labels of namespaces: the `ClusterRole`, and the binding to it.
    pub fn namespaces_name(&self) -> String {
        format!("{}-namespaces", self.binding_name)
    }

    /// Where its token comes from.
    pub fn token_source(&self) -> TokenSource {
        let account = self.service_account.clone();
        match &self.token {
            ReviewerToken::Secret => TokenSource::Secret { account, name: self.secret_name.clone() },
            ReviewerToken::Bound => TokenSource::Bound { account, seconds: self.lifetime.unwrap_or(DEFAULT_LIFETIME) },
            ReviewerToken::Client => TokenSource::Client,
            ReviewerToken::Local => TokenSource::Local,
            ReviewerToken::File(path) => TokenSource::File { path: path.clone() },
            ReviewerToken::Environment(name) => TokenSource::Environment { name: name.clone() },
        }
    }
}

/// Reads `host`, `caCert` and `reviewer` of an `auth` section.
pub(super) fn kubernetes_auth(
    auth: &Entry,
    cluster: &ClusterName,
    ca_cert: Option<PathBuf>,
    directory: &Path,
    problems: &mut Problems,
) -> Option<KubernetesAuth> {
    let host = match filled_for(auth.text("host"), cluster, problems) {
        Some(host) => Some(web_address("host", &host, "https://rke-api.example.internal:6443", problems)?),
        None => None,
    };
    let reviewer = match auth.section("reviewer") {
        Some(reviewer) => read(reviewer, cluster, directory, problems)?,
        None => named_after(None)?,
    };
    let annotations_as_metadata = auth.is_set("annotationsAsMetadata");
    Some(KubernetesAuth { host, ca_cert, reviewer, reviewer_is_named: auth.has("reviewer"), annotations_as_metadata })
}

/// The reviewer where nothing else is said: its objects are named after its account, `vault-auth/vault-auth` unless given.
pub(super) fn named_after(account: Option<ServiceAccountRef>) -> Option<Reviewer> {
    let service_account = match account {
        Some(account) => account,
        None => "vault-auth/vault-auth".parse().ok()?,
    };
    Some(Reviewer {
        token: ReviewerToken::Secret,
        secret_name: format!("{}-token", service_account.name),
        binding_name: format!("{}-tokenreview", service_account.name),
        lifetime: None,
        reads_namespaces: false,
        service_account,
    })
}

fn read(entry: &Entry, cluster: &ClusterName, directory: &Path, problems: &mut Problems) -> Option<Reviewer> {
    let account = match filled_for(entry.text("serviceAccount"), cluster, problems) {
        Some(account) => Some(problems.accept(account.at, account.value.parse())?),
        None => None,
    };
    let mut reviewer = named_after(account)?;
    reviewer.token = match entry.text("token").map(|token| token.value.as_str()) {
        Some("bound") => ReviewerToken::Bound,
        Some("client") => ReviewerToken::Client,
        Some("local") => ReviewerToken::Local,
        _ => match entry.section("token") {
            Some(elsewhere) => token_elsewhere(elsewhere, cluster, directory, problems)?,
            None => ReviewerToken::Secret,
        },
    };
    if let Some(name) = filled_for(entry.filled("secretName", problems), cluster, problems) {
        reviewer.secret_name = problems.accept(name.at, secret_name("`secretName`", &name.value))?;
    }
    if let Some(name) = filled_for(entry.filled("bindingName", problems), cluster, problems) {
        reviewer.binding_name = problems.accept(name.at, binding_name("`bindingName`", &name.value))?;
    }
    for field in unused_fields(&reviewer.token) {
        if let Some(at) = entry.key(field) {
            let token = entry.text("token").map_or("{ … }", |token| token.value.as_str());
            problems.warn(
                at,
                format!("`{field}` is not used with `token: {token}`"),
                "remove it, or choose another kind of token",
            );
        }
    }
    if let Some(lifetime) = entry.number("lifetime") {
        if reviewer.token != ReviewerToken::Bound {
            problems.add(
                entry.key("lifetime").unwrap_or(lifetime.at),
                "`lifetime` is for a bound token: the token of a Secret doesn't expire",
                "write `token: bound`, or remove `lifetime`",
            );
            return None;
        }
        if let Some((problem, remedy)) = unfit_lifetime(lifetime.value) {
            problems.add(lifetime.at, problem, remedy);
            return None;
        }
        reviewer.lifetime = u64::try_from(lifetime.value).ok();
    }
    Some(reviewer)
}

/// A token that is neither asked of the cluster nor Vault's own.
fn token_elsewhere(
    entry: &Entry,
    cluster: &ClusterName,
    directory: &Path,
    problems: &mut Problems,
) -> Option<ReviewerToken> {
    let file = filled_for(entry.filled("file", problems), cluster, problems);
    match (file, filled_for(entry.filled("env", problems), cluster, problems)) {
        (Some(file), None) => Some(ReviewerToken::File(directory.join(file.value))),
        (None, Some(name)) => match unfit_variable("`env`", &name.value) {
            None => Some(ReviewerToken::Environment(name.value)),
            Some((problem, remedy)) => {
                problems.add(name.at, problem, remedy);
                None
            }
        },
        (Some(_), Some(name)) => {
            problems.add(name.at, "a token comes from a `file` or from `env`, not from both", "keep one of the two");
            None
        }
        (None, None) => {
            if !entry.has("file") && !entry.has("env") {
                let remedy =
                    "write `file: PATH`, `env: NAME`, or one of the words `secret`, `bound`, `client` and `local`";
                problems.add(entry.at, "`token` doesn't say where the reviewer's token is", remedy);
            }
            None
        }
    }
}

impl super::Config {
    /// The variables of the environment that hold a reviewer's token.
    pub fn variables(&self) -> Vec<String> {
        let of = |cluster: &super::Cluster| match &cluster.auth.method {
            super::Method::Kubernetes(auth) => match &auth.reviewer.token {
                ReviewerToken::Environment(name) => Some(name.clone()),
                _ => None,
            },
            super::Method::Jwt(_) => None,
        };
        self.clusters.iter().filter_map(of).collect()
    }
}

/// What is wrong with the variable that a reviewer's token is to come from, and the remedy; `what` is the field or flag that gives its name.
pub(super) fn unfit_variable(what: &str, name: &str) -> Option<(String, &'static str)> {
    if is_for_vault(name) {
        let problem = format!("{name} is for Vault, and would go to the mount's host");
        return Some((problem, "put the reviewer's token into a variable of its own"));
    }
    // It may be the token itself, which doesn't go into a log.
    let problem = || format!("{what} is not the name of a variable of the environment");
    let remedy = "write its name alone, such as `REVIEWER_TOKEN`: letters, digits and `_`";
    (!is_variable(name)).then(|| (problem(), remedy))
}

/// Whether a variable of the environment can have this name.
fn is_variable(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// Whether a variable is one from which this tool takes what it presents to Vault, or a CI system's for a login there: a file that names it
/// would send that elsewhere.
fn is_for_vault(name: &str) -> bool {
    ["VAULT_", "BAO_", "VAULTK8S_", "ACTIONS_ID_TOKEN_"].iter().any(|start| name.starts_with(start))
}

/// The fields that say nothing with this kind of token.
pub(super) fn unused_fields(token: &ReviewerToken) -> &'static [&'static str] {
    match token {
        ReviewerToken::Secret => &[],
        ReviewerToken::Bound => &["secretName"],
        ReviewerToken::Client | ReviewerToken::Local | ReviewerToken::File(_) | ReviewerToken::Environment(_) => {
            &["serviceAccount", "secretName", "bindingName"]
        }
    }
}

/// What is wrong with the lifetime of a bound token, and the remedy (`expirationSeconds` of TokenRequest).
pub(super) fn unfit_lifetime(seconds: i64) -> Option<(String, &'static str)> {
    let problem = if seconds < LEAST_LIFETIME {
        format!("a lifetime of {seconds} s is too short: the API server gives {LEAST_LIFETIME} s at least")
    } else if seconds > MOST_LIFETIME {
        format!("a lifetime of {seconds} s is too long: the API server takes {MOST_LIFETIME} s at most")
    } else {
        return None;
    };
    Some((problem, "write `10m` or more, such as `24h`: it is renewed in time"))
}

/// The name of the reviewer's Secret; `what` is the field or flag that gives it.
pub(super) fn secret_name(what: &'static str, name: &str) -> Result<String, InvalidName> {
    object_name(what, name, is_subdomain)
}

/// The name of the reviewer's `ClusterRoleBinding`.
pub(super) fn binding_name(what: &'static str, name: &str) -> Result<String, InvalidName> {
    object_name(what, name, is_path_segment)
}

/// Reports a name from which none can be made for what lets the reviewer read namespaces.
pub(super) fn check_namespaces_name(reviewer: &Reviewer, at: Position, problems: &mut Problems) {
    if is_path_segment(&reviewer.namespaces_name()) {
        return;
    }
    let length = reviewer.binding_name.len();
    problems.add(
        at,
        format!(
            "roles select namespaces by labels, and the name of the reviewer's binding has {length} characters: with `-namespaces` after it, for \
             what lets the reviewer read them, Kubernetes would refuse it"
        ),
        format!("choose a `bindingName:` of at most {} characters", 253 - "-namespaces".len()),
    );
}

fn object_name(what: &'static str, name: &str, valid: fn(&str) -> bool) -> Result<String, InvalidName> {
    if valid(name) {
        return Ok(name.to_owned());
    }
    Err(InvalidName {
        what,
        value: name.to_owned(),
        problem: "Kubernetes would refuse an object of that name".to_owned(),
        remedy: "use lower-case letters, digits, '-' and '.', such as `vault-auth-token`".to_owned(),
    })
}

/// A DNS subdomain, as most objects are named.
fn is_subdomain(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

/// A path segment, as RBAC's objects are named (`system:auth-delegator`).
fn is_path_segment(name: &str) -> bool {
    name.len() <= 253
        && !matches!(name, "." | "..")
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'_'))
}
