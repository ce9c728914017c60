//! `auth.providerConfig`: what a jwt mount is told of the provider behind its issuer.

use std::collections::BTreeMap;

use serde_json::Value;

use super::diagnostic::Problems;
use super::entry::{Entry, Setting};

/// The provider whose discovery OpenBao asks with the credentials of its own pod.
const KUBERNETES: &str = "kubernetes";

/// Reads it; `None` where the file says nothing of it.
pub(super) fn provider_config(entry: &Entry, problems: &mut Problems) -> Option<BTreeMap<String, Value>> {
    let settings = entry.settings("providerConfig")?;
    let at = entry.key("providerConfig").unwrap_or(entry.at);
    for (name, value) in settings {
        // As in the file of a service account of Google's.
        if value.as_str().is_some_and(|text| text.contains("PRIVATE KEY")) {
            problems.add(
                name.at,
                format!(
                    "`{}` of `providerConfig` holds a private key, which everybody who sees this file has then",
                    name.value
                ),
                "write the path of a file on the server that Vault runs on; and make another key",
            );
            return None;
        }
    }
    let read: BTreeMap<String, Value> =
        settings.iter().map(|(name, value)| (name.value.clone(), value.clone())).collect();
    if !read.is_empty() && !read.get("provider").is_some_and(Value::is_string) {
        problems.add(
            at,
            "`providerConfig` names no `provider`",
            "add one, such as `provider: kubernetes` (OpenBao), or write `{}` for none",
        );
        return None;
    }
    Some(read)
}

/// Whether settings, as they are written, name the provider that OpenBao itself takes keys from.
pub(super) fn names_kubernetes(settings: &[Setting]) -> bool {
    settings.iter().any(|(name, value)| name.value == "provider" && value.as_str() == Some(KUBERNETES))
}

/// Whether that is the provider that OpenBao itself takes keys from.
pub(super) fn is_kubernetes(config: Option<&BTreeMap<String, Value>>) -> bool {
    config.and_then(|config| config.get("provider")).and_then(Value::as_str) == Some(KUBERNETES)
}
