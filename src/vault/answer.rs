//! Reading what came back: Vault's own answers told apart from each other and from those of something else.
//!
//! Texts are those of OpenBao 2.7.2 and Vault 1.21; the tests hold them as they came over the wire.

use std::time::Duration;

use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::error::{Asked, BEFORE_VAULT, LEASES, TokenState, VaultError};
use super::kv::Gone;
use super::retry::{Again, Failure};
use crate::policy::Capability;
use crate::reach::TlsProblem;

/// The longest text of a server that is passed on, in characters.
const LONGEST: usize = 500;

/// The longest time for which a server is left alone.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// What a node of integrated storage says that was active a moment ago.
const LOST_PLACE: &[&str] =
    &["leadership lost while committing log", "node is not the leader", "leadership transfer in progress"];

/// An answer that isn't a success.
pub(super) struct Refusal<'a> {
    pub(super) status: StatusCode,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// Reads a successful answer; an empty one is `null`.
pub(super) fn read<A: DeserializeOwned>(asked: &Asked, status: StatusCode, body: &[u8]) -> Result<A, VaultError> {
    let body = if body.trim_ascii().is_empty() { b"null" } else { body };
    serde_json::from_slice(body).map_err(|cause| {
        let asked = Box::new(asked.clone());
        if cause.is_data() {
            VaultError::Answer { asked, problem: without_values(&cause) }
        } else {
            VaultError::NotVault { asked, what: describe(status, None, body) }
        }
    })
}

/// serde's complaint without the value that it complains about, which may be a secret.
fn without_values(cause: &serde_json::Error) -> String {
    let text = cause.to_string();
    let place = || format!("at line {}, column {}", cause.line(), cause.column());
    if text.starts_with("missing field") {
        return text;
    }
    match text.rfind(", expected ") {
        Some(at) => text[at + 2..].to_owned(),
        None => place(),
    }
}

#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Option<Vec<String>>,
}

/// Sorts an answer that isn't a success. `token` is what was sent, and where it came from.
pub(super) fn refused(
    refusal: &Refusal<'_>,
    asked: Box<Asked>,
    needs: &'static [Capability],
    token: Option<(&SecretString, Option<&str>)>,
) -> Failure {
    let &Refusal { status, headers, body } = refusal;
    if status.is_redirection() {
        return Failure::last(redirected(asked, status, headers, body));
    }
    let Some(raw) = errors_of(body) else { return not_vault(asked, status, headers, body) };
    let known_token = raw.iter().any(|text| text.contains("error occurred:") || text.contains("errors occurred:"));
    let errors: Vec<String> = raw.iter().map(|text| plain(text, token.map(|(secret, _)| secret))).collect();
    let says = |words: &str| errors.iter().any(|text| text.contains(words));

    // Vault answers so at every path until it is unsealed, also before it was initialised.
    if says("is sealed") {
        return Failure::last(VaultError::Sealed { asked });
    }
    if says("Vault is not initialized") {
        return Failure::last(VaultError::Uninitialised { asked });
    }
    if says("node is not active") || says("active cluster node not found") || says("Vault is in standby mode") {
        return Failure::passing(VaultError::Standby { asked, errors }, Again::Always);
    }
    // The active node lost that place while it wrote, and can't say whether the others got it. A 400, as if it were wrong.
    if LOST_PLACE.iter().any(|words| says(words)) {
        let error = VaultError::Rejected { asked, status: status.as_u16(), errors };
        return Failure::passing(error, Again::IfIdempotent);
    }
    match status.as_u16() {
        403 => Failure::last(match token {
            // Vault since 1.17; OpenBao doesn't say.
            Some((_, origin)) if says("invalid token") || says("bad token") => {
                VaultError::InvalidToken { asked, origin: origin.map(ToOwned::to_owned) }
            }
            // Only the check of the policies wraps its refusal; a token that isn't known is refused before it.
            Some(_) if known_token => VaultError::Forbidden {
                asked,
                needs: needs.into(),
                errors,
                token: TokenState::Valid { policies: Vec::new() },
            },
            Some(_) => VaultError::Forbidden { asked, needs: needs.into(), errors, token: TokenState::Unproven },
            None => VaultError::Forbidden { asked, needs: needs.into(), errors, token: TokenState::Absent },
        }),
        404 => Failure::last(VaultError::NotFound { asked, errors, gone: Gone::of(body) }),
        429 => {
            let after = retry_after(headers);
            let again = match errors.as_slice() {
                // A performance standby that is behind says nothing else.
                [] if after.is_none() => Again::Always,
                // These become fewer when they end, and not when less is asked.
                _ if says(LEASES) => Again::Never,
                _ => Again::MoreSlowly,
            };
            Failure { error: VaultError::Rejected { asked, status: 429, errors }, again, after }
        }
        // The node hasn't caught up with what was asked for, and turned the request away before it looked at it.
        412 => Failure::passing(VaultError::Rejected { asked, status: 412, errors }, Again::Always),
        status @ (500 | 502 | 503 | 504) => {
            Failure::passing(VaultError::Rejected { asked, status, errors }, Again::IfIdempotent)
        }
        status => Failure::last(VaultError::Rejected { asked, status, errors }),
    }
}

/// The texts of an answer in Vault's form; `None` when it has another.
fn errors_of(body: &[u8]) -> Option<Vec<String>> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let object = value.as_object()?;
    // A deleted KV secret answers 404 with data, `sys/health` with its own fields.
    if !["errors", "data", "request_id", "initialized"].iter().any(|key| object.contains_key(*key)) {
        return None;
    }
    Some(serde_json::from_value::<Errors>(value).ok()?.errors.unwrap_or_default())
}

/// A server's text on one line: Go's list of errors undone, control characters and our token taken out, not too long.
fn plain(text: &str, token: Option<&SecretString>) -> String {
    let mut parts = Vec::new();
    for line in text.lines().map(str::trim) {
        let header = line.ends_with("error occurred:") || line.ends_with("errors occurred:");
        if !line.is_empty() && !header {
            parts.push(line.trim_start_matches("* "));
        }
    }
    let mut joined = parts.join("; ");
    if let Some(token) = token.map(ExposeSecret::expose_secret).filter(|token| !token.is_empty()) {
        joined = joined.replace(token, "[token]");
    }
    let joined = without_jwts(&joined);
    let mut shown: String = joined.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if joined.chars().count() > LONGEST {
        shown.push('…');
    }
    shown
}

/// A text without what looks like a JSON Web Token: a login presents one, and something in between may quote it.
fn without_jwts(text: &str) -> String {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.split_inclusive(|c| !inside(c))
        .map(|word| match word.trim_end_matches(|c| !inside(c)) {
            jwt if jwt.starts_with("eyJ") && jwt.contains('.') => word.replace(jwt, "[token]"),
            _ => word.to_owned(),
        })
        .collect()
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    // The form with a date is not one that Vault sends.
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    // Nobody waits for longer, and what no clock can hold is none either.
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

fn redirected(asked: Box<Asked>, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> VaultError {
    let target = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    let base = Url::parse(&asked.address).ok();
    match target.and_then(|target| base?.join(target).ok()) {
        Some(to) => VaultError::Redirected { asked, to: to.origin().ascii_serialization() },
        None => VaultError::NotVault { asked, what: describe(status, Some(headers), body) },
    }
}

fn not_vault(asked: Box<Asked>, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
    // Go's words, and nginx's.
    let to_tls = |words: &[u8]| contains(body, words);
    if status == StatusCode::BAD_REQUEST
        && (to_tls(b"HTTP request to an HTTPS server") || to_tls(b"plain HTTP request was sent to HTTPS port"))
    {
        return Failure::last(VaultError::Tls { asked, problem: TlsProblem::ServerSpeaksHttps });
    }
    let what = describe(status, Some(headers), body);
    if status == StatusCode::TOO_MANY_REQUESTS {
        let errors = vec![format!("{BEFORE_VAULT}: {what}")];
        let error = VaultError::Rejected { asked, status: status.as_u16(), errors };
        return Failure { error, again: Again::MoreSlowly, after: retry_after(headers) };
    }
    let error = VaultError::NotVault { asked, what };
    // A load balancer in front of a Vault that restarts.
    match status.as_u16() {
        500 | 502 | 503 | 504 => Failure::passing(error, Again::IfIdempotent),
        _ => Failure::last(error),
    }
}

/// What an answer is that isn't Vault's, such as `an HTML page (404)`.
fn describe(status: StatusCode, headers: Option<&HeaderMap>, body: &[u8]) -> String {
    let kind = headers.and_then(|headers| headers.get(CONTENT_TYPE)).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let start = body.trim_ascii_start();
    let form = if start.is_empty() {
        "an empty answer"
    } else if kind.contains("html") || start.starts_with(b"<") {
        "an HTML page"
    } else if serde_json::from_slice::<serde::de::IgnoredAny>(start).is_ok() {
        "JSON of another kind"
    } else if start.starts_with(b"{") {
        "broken JSON"
    } else {
        "a text"
    };
    format!("{form} ({})", status.as_u16())
}

fn contains(body: &[u8], words: &[u8]) -> bool {
    body.windows(words.len()).any(|window| window == words)
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
