//! The settings of an auth mount that decide about its logins, as they are configured.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::token_fields::{null_as_default, sort};

/// The type of a mount's tokens where nobody has set one.
const SERVERS_TOKEN_TYPE: &str = "default-service";

/// What `GET sys/auth` shows of a mount: 0 and nothing are the server's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountSettings {
    /// The type of its tokens: `default-service`, `default-batch`, or for all roles `service`, `batch`.
    #[serde(deserialize_with = "null_as_default")]
    pub token_type: String,
    /// Seconds.
    pub default_lease_ttl: u64,
    /// Seconds.
    pub max_lease_ttl: u64,
    /// Whether anybody may see that it is there: `unauth`.
    #[serde(deserialize_with = "null_as_default")]
    pub listing_visibility: String,
    /// The fields of requests that stand in the audit log as they are.
    #[serde(deserialize_with = "null_as_default")]
    pub audit_non_hmac_request_keys: Vec<String>,
    /// The same of answers.
    #[serde(deserialize_with = "null_as_default")]
    pub audit_non_hmac_response_keys: Vec<String>,
    /// The headers of requests that its plugin sees.
    #[serde(deserialize_with = "null_as_default")]
    pub passthrough_request_headers: Vec<String>,
    /// The headers that its plugin may answer with.
    #[serde(deserialize_with = "null_as_default")]
    pub allowed_response_headers: Vec<String>,
}

/// What a login gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// A token that is stored, and so can be renewed, revoked and counted.
    Service,
    /// A token that is stored nowhere: it ends when its time is over.
    Batch,
}

/// What the login of a role gives, by the mount's `token_type` and by the role's: the mount's `service` and `batch` are for all
/// its roles, its `default-…` for those that leave it open.
pub fn token_kind(mount: &str, role: &str) -> TokenKind {
    let batch = match (mount, role) {
        ("batch" | "service", _) => mount == "batch",
        ("default-batch", "default" | "") => true,
        _ => matches!(role, "batch" | "default-batch"),
    };
    if batch { TokenKind::Batch } else { TokenKind::Service }
}

impl MountSettings {
    /// The form in which settings that mean the same are equal.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        if self.token_type.is_empty() || self.token_type == "default" {
            SERVERS_TOKEN_TYPE.clone_into(&mut self.token_type);
        }
        if self.listing_visibility == "hidden" {
            self.listing_visibility.clear();
        }
        for headers in [&mut self.passthrough_request_headers, &mut self.allowed_response_headers] {
            for header in headers {
                header.make_ascii_lowercase();
            }
        }
        for list in [
            &mut self.audit_non_hmac_request_keys,
            &mut self.audit_non_hmac_response_keys,
            &mut self.passthrough_request_headers,
            &mut self.allowed_response_headers,
        ] {
            sort(list);
        }
        self
    }

    /// Its fields, by their names in the API.
    pub fn fields(&self) -> Map<String, Value> {
        let fields = [
            ("token_type", json!(self.token_type)),
            ("default_lease_ttl", json!(self.default_lease_ttl)),
            ("max_lease_ttl", json!(self.max_lease_ttl)),
            ("listing_visibility", json!(self.listing_visibility)),
            ("audit_non_hmac_request_keys", json!(self.audit_non_hmac_request_keys)),
            ("audit_non_hmac_response_keys", json!(self.audit_non_hmac_response_keys)),
            ("passthrough_request_headers", json!(self.passthrough_request_headers)),
            ("allowed_response_headers", json!(self.allowed_response_headers)),
        ];
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The fields that somebody has set, and that the server would have otherwise.
    pub fn set_by_somebody(&self) -> Map<String, Value> {
        let servers = Self::default().normalised().fields();
        self.fields().into_iter().filter(|(name, value)| servers.get(name) != Some(value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_a_login_is_as_servers_decide() {
        use TokenKind::{Batch, Service};
        // As OpenBao 2.7.2 answers, for roles that leave it open, want `service`, want `batch`.
        for (mount, kinds) in [
            ("default-service", [Service, Service, Batch]),
            ("default-batch", [Batch, Service, Batch]),
            ("service", [Service, Service, Service]),
            ("batch", [Batch, Batch, Batch]),
        ] {
            assert_eq!(["default", "service", "batch"].map(|role| token_kind(mount, role)), kinds, "{mount}");
        }
    }

    #[test]
    fn settings_that_mean_the_same_are_equal() {
        let read = |text: &str| serde_json::from_str::<MountSettings>(text).unwrap().normalised();
        let tuned = read(
            r#"{"token_type":"default-service","listing_visibility":"hidden","force_no_cache":false,"max_lease_ttl":0,
                "passthrough_request_headers":["X-B","x-a","X-A"],"audit_non_hmac_request_keys":null}"#,
        );
        assert_eq!(tuned.passthrough_request_headers, ["x-a", "x-b"]);
        assert_eq!(tuned.set_by_somebody().keys().collect::<Vec<_>>(), ["passthrough_request_headers"]);
        assert!(read("{}").set_by_somebody().is_empty());
    }
}
