//! Where a jwt mount takes a cluster's keys from: `auth.keys` and what belongs to each of its values.

use super::KeySource;
use super::diagnostic::Problems;
use super::entry::{Entry, Located};
use super::template::filled_for;
use super::web_address::{is_in_between, web_address};
use crate::names::ClusterName;

/// `keyRetention` where the file says nothing, in seconds: 24 hours.
///
/// A key that is gone signs nothing any more, so what counts is how long its last token lives. `TokenRequest` gives an
/// hour unless more is asked for, and kubelet replaces a projected token when 80 % of its life or 24 hours are over,
/// whichever is first (`pkg/kubelet/token`). The year of `--service-account-extend-token-expiration` concerns
/// the API server's own audience only.
pub(crate) const DEFAULT_RETENTION: u64 = 24 * 60 * 60;

/// Reads the key source of a jwt mount, and refuses what belongs to another one.
///
/// `by_provider` says that OpenBao asks its own cluster for them.
pub(super) fn key_source(entry: &Entry, name: &ClusterName, by_provider: bool, problems: &mut Problems) -> KeySource {
    if by_provider {
        return authenticated(entry, problems);
    }
    let keys = match entry.text("keys").map(|keys| keys.value.as_str()) {
        Some("jwksUrl") => KeySource::JwksUrl { url: jwks_url(entry, name, problems) },
        Some("oidcDiscovery") => KeySource::OidcDiscovery,
        _ => {
            let retention = if entry.has("keyRetention") { entry.count("keyRetention") } else { DEFAULT_RETENTION };
            KeySource::Pinned { retention }
        }
    };
    let pinned = matches!(keys, KeySource::Pinned { .. });
    if let (true, Some(at)) = (pinned, entry.key("caCert")) {
        problems.add(
            at,
            "`caCert` has no use with pinned keys: Vault doesn't connect to the cluster",
            "remove it, or write `keys: jwksUrl` or `keys: oidcDiscovery`",
        );
    }
    if let (false, Some(at)) = (pinned, entry.key("keyRetention")) {
        problems.add(
            at,
            "`keyRetention` is for pinned keys: here Vault fetches what the cluster publishes",
            "remove it, or write `keys: pinned`",
        );
    }
    if let (false, Some(at)) = (matches!(keys, KeySource::JwksUrl { .. }), entry.key("jwksUrl")) {
        problems.add(at, "`jwksUrl` needs `keys: jwksUrl` beside it", "add `keys: jwksUrl`, or remove `jwksUrl`");
    }
    let oidc = matches!(keys, KeySource::OidcDiscovery);
    if let (true, Some(issuer)) = (oidc, entry.text("issuer"))
        && issuer.value.contains("/.well-known/")
    {
        problems.add(
            issuer.at,
            "`issuer` contains `.well-known`, which Vault appends by itself",
            "write the issuer alone, as `vaultk8s issuer` prints it",
        );
    }
    keys
}

/// Keys that OpenBao asks its own cluster for: whatever says another place for them, or how to get there, is refused by the server too.
fn authenticated(entry: &Entry, problems: &mut Problems) -> KeySource {
    let word = entry.text("keys").map(|keys| keys.value.as_str());
    let others = [
        ("keys", word.is_some_and(|word| word != "oidcDiscovery")),
        ("jwksUrl", entry.has("jwksUrl")),
        ("caCert", entry.has("caCert")),
        ("keyRetention", entry.has("keyRetention")),
    ];
    for (field, is_there) in others {
        if let (true, Some(at)) = (is_there, entry.key(field)) {
            problems.add(
                at,
                format!(
                    "`{field}` and `providerConfig: {{ provider: kubernetes }}` exclude each other: OpenBao asks its own cluster, with the \
                     token and the CA of its pod"
                ),
                format!("remove `{field}`, or `providerConfig`"),
            );
        }
    }
    KeySource::Authenticated
}

/// The URL of the JWKS: who can change what comes from there decides who is trusted, so it travels encrypted.
fn jwks_url(entry: &Entry, name: &ClusterName, problems: &mut Problems) -> Option<String> {
    const EXAMPLE: &str = "https://k8s.example.internal:6443/openid/v1/jwks";
    let written: Located<String> = filled_for(entry.filled("jwksUrl", problems), name, problems)?;
    let address = web_address("jwksUrl", &written, EXAMPLE, problems)?;
    if is_in_between(&address) {
        problems.add(
            written.at,
            "`jwksUrl` is plain http: whoever sits in between could put in keys of their own",
            format!("write a URL such as `{EXAMPLE}`"),
        );
        return None;
    }
    Some(written.value)
}
