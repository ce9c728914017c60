//! What a file says of a mount's settings → the fields that Vault should hold.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::config::Tune;
use crate::model::MountSettings;

/// The settings of a mount that the file names, by their names in the API, as normalised as those that are observed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredTune {
    /// What can be changed at any time.
    pub settings: Map<String, Value>,
    /// What only enabling decides.
    pub fixed: Map<String, Value>,
}

/// What the file names, and nothing else.
pub fn tune(tune: &Tune) -> DesiredTune {
    let Tune {
        token_type,
        default_lease_ttl,
        max_lease_ttl,
        listing_visibility,
        audit_non_hmac_request_keys,
        audit_non_hmac_response_keys,
        passthrough_request_headers,
        allowed_response_headers,
        local,
        seal_wrap,
    } = tune;
    let named = [
        ("token_type", token_type.is_some()),
        ("default_lease_ttl", default_lease_ttl.is_some()),
        ("max_lease_ttl", max_lease_ttl.is_some()),
        ("listing_visibility", listing_visibility.is_some()),
        ("audit_non_hmac_request_keys", audit_non_hmac_request_keys.is_some()),
        ("audit_non_hmac_response_keys", audit_non_hmac_response_keys.is_some()),
        ("passthrough_request_headers", passthrough_request_headers.is_some()),
        ("allowed_response_headers", allowed_response_headers.is_some()),
    ];
    let whole = MountSettings {
        token_type: token_type.clone().unwrap_or_default(),
        default_lease_ttl: default_lease_ttl.unwrap_or_default(),
        max_lease_ttl: max_lease_ttl.unwrap_or_default(),
        listing_visibility: listing_visibility.clone().unwrap_or_default(),
        audit_non_hmac_request_keys: audit_non_hmac_request_keys.clone().unwrap_or_default(),
        audit_non_hmac_response_keys: audit_non_hmac_response_keys.clone().unwrap_or_default(),
        passthrough_request_headers: passthrough_request_headers.clone().unwrap_or_default(),
        allowed_response_headers: allowed_response_headers.clone().unwrap_or_default(),
    };
    let mut settings = whole.normalised().fields();
    settings.retain(|field, _| named.contains(&(field.as_str(), true)));
    let fixed = [("local", local), ("seal_wrap", seal_wrap)];
    let fixed = fixed.into_iter().filter_map(|(field, value)| Some((field.to_owned(), json!((*value)?)))).collect();
    DesiredTune { settings, fixed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_is_wanted() {
        assert_eq!(tune(&Tune::default()), DesiredTune::default());
        let named = Tune {
            max_lease_ttl: Some(0),
            listing_visibility: Some("hidden".to_owned()),
            passthrough_request_headers: Some(vec!["X-B".to_owned(), "x-a".to_owned()]),
            local: Some(false),
            ..Tune::default()
        };
        let DesiredTune { settings, fixed } = tune(&named);
        let wanted =
            json!({ "listing_visibility": "", "max_lease_ttl": 0, "passthrough_request_headers": ["x-a", "x-b"] });
        assert_eq!(Value::from(settings), wanted);
        assert_eq!(Value::from(fixed), json!({ "local": false }));
    }
}
