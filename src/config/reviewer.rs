//! What only the kubernetes method has: how Vault reaches the API server, and as whom.

use std::path::PathBuf;

use super::clusters::text;
use super::diagnostic::Problems;
use super::entry::{Entry, Located};
use super::web_address::web_address;
use super::{KubernetesAuth, Reviewer, ReviewerToken};
use crate::names::{ClusterName, ServiceAccountRef};

/// The least lifetime that the API server gives a token, in seconds.
const LEAST_LIFETIME: i64 = 600;

/// Reads `host`, `caCert` and `reviewer` of an `auth` section.
pub(super) fn kubernetes_auth(
    auth: &Entry,
    cluster: &ClusterName,
    ca_cert: Option<PathBuf>,
    problems: &mut Problems,
) -> Option<KubernetesAuth> {
    let host = match text(auth.text("host"), cluster, problems) {
        Some(host) => Some(web_address("host", &host, "https://rke-api.example.internal:6443", problems)?),
        None => None,
    };
    let reviewer = match auth.section("reviewer") {
        Some(reviewer) => read(reviewer, cluster, problems)?,
        None => fallback(None)?,
    };
    Some(KubernetesAuth { host, ca_cert, reviewer })
}

/// The reviewer that the file leaves to us; its objects are named after its account.
fn fallback(account: Option<ServiceAccountRef>) -> Option<Reviewer> {
    let service_account = match account {
        Some(account) => account,
        None => "vault-auth/vault-auth".parse().ok()?,
    };
    Some(Reviewer {
        token: ReviewerToken::Secret,
        secret_name: format!("{}-token", service_account.name),
        binding_name: format!("{}-tokenreview", service_account.name),
        lifetime: None,
        service_account,
    })
}

fn read(entry: &Entry, cluster: &ClusterName, problems: &mut Problems) -> Option<Reviewer> {
    let account = match text(entry.text("serviceAccount"), cluster, problems) {
        Some(account) => Some(problems.accept(account.at, account.value.parse())?),
        None => None,
    };
    let mut reviewer = fallback(account)?;
    reviewer.token = match entry.text("token").map(|token| token.value.as_str()) {
        Some("bound") => ReviewerToken::Bound,
        Some("client") => ReviewerToken::Client,
        _ => ReviewerToken::Secret,
    };
    if let Some(name) = text(entry.filled("secretName", problems), cluster, problems) {
        reviewer.secret_name = object_name("secretName", &name, is_subdomain, problems)?;
    }
    if let Some(name) = text(entry.filled("bindingName", problems), cluster, problems) {
        reviewer.binding_name = object_name("bindingName", &name, is_path_segment, problems)?;
    }
    let unused: &[&str] = match reviewer.token {
        ReviewerToken::Secret => &[],
        ReviewerToken::Bound => &["secretName"],
        ReviewerToken::Client => &["serviceAccount", "secretName", "bindingName"],
    };
    for field in unused {
        if let (Some(at), Some(token)) = (entry.key(field), entry.text("token")) {
            problems.warn(
                at,
                format!("`{field}` is not used with `token: {}`", token.value),
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
        if lifetime.value < LEAST_LIFETIME {
            problems.add(
                lifetime.at,
                format!(
                    "a lifetime of {} s is too short: the API server gives {LEAST_LIFETIME} s at least",
                    lifetime.value
                ),
                "write `10m` or more, such as `24h`",
            );
            return None;
        }
        reviewer.lifetime = u64::try_from(lifetime.value).ok();
    }
    Some(reviewer)
}

fn object_name(
    field: &str,
    name: &Located<String>,
    valid: fn(&str) -> bool,
    problems: &mut Problems,
) -> Option<String> {
    if valid(&name.value) {
        return Some(name.value.clone());
    }
    problems.add(
        name.at,
        format!("{:?} is not a valid `{field}`: Kubernetes would refuse an object of that name", name.value),
        "use lower-case letters, digits, '-' and '.', such as `vault-auth-token`",
    );
    None
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
