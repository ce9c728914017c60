//! Settings of a mount that its file doesn't name, and what they mean for its logins.

use serde_json::{Map, Value};

use crate::config::written_duration;
use crate::model::{AuthMount, TokenFields, TokenKind, token_kind};
use crate::names::RoleName;

/// Headers with which a request proves who it is from.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "proxy-authorization", "x-vault-token"];

/// Something to know of a mount's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remark {
    /// The field in the API.
    pub(crate) field: &'static str,
    /// The field in the file, below `auth.tune`.
    pub(crate) written: &'static str,
    /// What the mount has: `has max_lease_ttl=60`.
    pub(crate) has: String,
    /// What that means, in a sentence without a full stop.
    pub(crate) means: String,
    /// Whether it should give pause.
    pub(crate) grave: bool,
}

/// What of a mount's settings the file doesn't name, is not as the server would have it, and what that means for these roles.
pub(crate) fn remarks<'a>(
    there: &AuthMount,
    named: &Map<String, Value>,
    roles: impl IntoIterator<Item = (&'a RoleName, &'a TokenFields)>,
) -> Vec<Remark> {
    let roles: Vec<(&RoleName, &TokenFields)> = roles.into_iter().collect();
    let mut remarks = Vec::new();
    for (field, value) in there.settings.set_by_somebody() {
        if !named.contains_key(&field) {
            remarks.extend(remark(&field, &value, &roles));
        }
    }
    if there.local && !named.contains_key("local") {
        remarks.push(Remark {
            field: "local",
            written: "local",
            has: "has local=true".to_owned(),
            means: "its roles, and what is known of who logs in, stay in this cluster of servers".to_owned(),
            grave: false,
        });
    }
    remarks
}

fn remark(field: &str, value: &Value, roles: &[(&RoleName, &TokenFields)]) -> Option<Remark> {
    let shown = match value {
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let has = format!("has {field}={shown}");
    let note = |field, written, means: &str| Remark {
        field,
        written,
        has: has.clone(),
        means: means.to_owned(),
        grave: false,
    };
    let grave = |remark: Remark| Remark { grave: true, ..remark };
    Some(match field {
        "token_type" => {
            let (means, is_grave) = of_token_type(&shown, roles);
            Remark { grave: is_grave, ..note("token_type", "tokenType", &means) }
        }
        "max_lease_ttl" => {
            let most = value.as_u64().unwrap_or_default();
            let cut: Vec<String> = roles
                .iter()
                .filter(|(_, token)| token.token_ttl.max(token.token_period) > most)
                .map(|(name, token)| format!("{name} ({})", written_duration(token.token_ttl.max(token.token_period))))
                .collect();
            let most = written_duration(most);
            if cut.is_empty() {
                note("max_lease_ttl", "maxLeaseTtl", &format!("no token lives longer than {most}"))
            } else {
                let means = format!("it cuts the tokens of these roles to {most}: {}", some(&cut));
                grave(note("max_lease_ttl", "maxLeaseTtl", &means))
            }
        }
        "default_lease_ttl" => {
            let lives = written_duration(value.as_u64().unwrap_or_default());
            note("default_lease_ttl", "defaultLeaseTtl", &format!("tokens of roles without a `ttl` live for {lives}"))
        }
        "listing_visibility" => grave(note(
            "listing_visibility",
            "listingVisibility",
            "anybody who reaches Vault sees without a token that the mount is there, and its description",
        )),
        "passthrough_request_headers" => {
            let remark =
                note("passthrough_request_headers", "passthroughRequestHeaders", "its plugin sees these headers");
            let credentials = CREDENTIALS.iter().any(|name| shown.split(',').any(|header| header == *name));
            if credentials {
                grave(Remark {
                    means: "its plugin sees the credentials of requests that come with them".to_owned(),
                    ..remark
                })
            } else {
                remark
            }
        }
        "audit_non_hmac_request_keys" => {
            let means = "these fields of requests stand in the audit log in the clear";
            note("audit_non_hmac_request_keys", "auditNonHmacRequestKeys", means)
        }
        "audit_non_hmac_response_keys" => {
            let means = "these fields of answers stand in the audit log in the clear";
            note("audit_non_hmac_response_keys", "auditNonHmacResponseKeys", means)
        }
        "allowed_response_headers" => {
            note("allowed_response_headers", "allowedResponseHeaders", "its plugin may answer with these headers")
        }
        _ => return None,
    })
}

/// What a mount's type of token means for its roles, and whether that should give pause.
fn of_token_type(of_mount: &str, roles: &[(&RoleName, &TokenFields)]) -> (String, bool) {
    let batch: Vec<&(&RoleName, &TokenFields)> = roles
        .iter()
        .filter(|(_, token)| token_kind(of_mount, &token.token_type) == TokenKind::Batch && token.token_type != "batch")
        .collect();
    let void: Vec<String> = batch
        .iter()
        .flat_map(|(name, token)| {
            let counted = (token.token_num_uses > 0).then(|| format!("token_num_uses of {name}"));
            counted.into_iter().chain((token.token_period > 0).then(|| format!("token_period of {name}")))
        })
        .collect();
    let other: Vec<String> = roles
        .iter()
        .filter(|(_, token)| {
            matches!((of_mount, token.token_type.as_str()), ("service", "batch") | ("batch", "service"))
        })
        .map(|(name, _)| name.to_string())
        .collect();
    let mut means = match of_mount {
        "batch" => "all its logins give batch tokens, which nobody can revoke, renew or count".to_owned(),
        "default-batch" => {
            "roles that leave it open give batch tokens, which nobody can revoke, renew or count".to_owned()
        }
        _ => format!("all its logins give {of_mount} tokens"),
    };
    if !void.is_empty() {
        means = format!("{means}; these have no effect: {}", some(&void));
    }
    if !other.is_empty() {
        means = format!("{means}; `tokenType` of these roles has no effect: {}", some(&other));
    }
    let is_batch = of_mount == "batch" || (of_mount == "default-batch" && (roles.is_empty() || !batch.is_empty()));
    (means, is_batch || !other.is_empty())
}

/// The first of many names, and how many more there are.
fn some(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = if names.len() > SHOWN { format!(", and {} more", names.len() - SHOWN) } else { String::new() };
    names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ") + &more
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(config: &Value) -> AuthMount {
        let there: AuthMount = serde_json::from_value(serde_json::json!({ "type": "jwt", "config": config })).unwrap();
        AuthMount { settings: there.settings.normalised(), ..there }
    }

    fn graves(config: &Value, named: &[&str], token: &TokenFields) -> Vec<String> {
        let name: RoleName = "app".parse().unwrap();
        let named = named.iter().map(|field| ((*field).to_owned(), Value::Null)).collect();
        let remarks = remarks(&mount(config), &named, [(&name, token)]);
        remarks.into_iter().filter(|remark| remark.grave).map(|remark| remark.means).collect()
    }

    fn role(token_type: &str, ttl: u64, period: u64, uses: u64) -> TokenFields {
        TokenFields {
            token_type: token_type.to_owned(),
            token_ttl: ttl,
            token_period: period,
            token_num_uses: uses,
            ..TokenFields::default()
        }
    }

    #[test]
    fn what_harms_no_role_gives_no_pause() {
        use serde_json::json;
        for config in [
            json!({ "token_type": "default-service", "max_lease_ttl": 0, "listing_visibility": "hidden" }),
            json!({ "token_type": "service", "max_lease_ttl": 3600, "default_lease_ttl": 60 }),
            json!({ "passthrough_request_headers": ["X-Request-Id"], "audit_non_hmac_request_keys": ["role"] }),
        ] {
            assert_eq!(graves(&config, &[], &role("default", 3600, 0, 0)), Vec::<String>::new());
        }
        // A role that wants them itself is not surprised by a mount that gives them to roles that leave it open.
        assert!(graves(&json!({ "token_type": "default-batch" }), &[], &role("batch", 60, 0, 0)).is_empty());
        assert!(graves(&json!({ "max_lease_ttl": 60 }), &["max_lease_ttl"], &role("default", 3600, 0, 0)).is_empty());
    }

    #[test]
    fn what_decides_otherwise_than_a_role_says_gives_pause() {
        use serde_json::json;
        let of = |config: Value, role: TokenFields| graves(&config, &[], &role).join("; ");
        let uses = of(json!({ "token_type": "batch" }), role("default", 60, 0, 5));
        assert!(uses.contains("token_num_uses of app"), "{uses}");
        let period = of(json!({ "token_type": "default-batch" }), role("default", 0, 60, 0));
        assert!(period.contains("token_period of app"), "{period}");
        let other = of(json!({ "token_type": "service" }), role("batch", 60, 0, 0));
        assert!(other.contains("`tokenType` of these roles has no effect: app"), "{other}");
        let cut = of(json!({ "max_lease_ttl": 60 }), role("default", 30, 3600, 0));
        assert!(cut.contains("to 1m: app (1h)"), "{cut}");
        assert!(!of(json!({ "passthrough_request_headers": ["AUTHORIZATION"] }), role("default", 60, 0, 0)).is_empty());
    }
}
