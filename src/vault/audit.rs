//! The audit devices: what stands in the log of requests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Data, Request};
use crate::model::null_as_default;

/// An audit device, as far as it says what is hidden in its log.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct AuditDevice {
    #[serde(default, deserialize_with = "null_as_default")]
    options: BTreeMap<String, Value>,
}

/// The devices, by their paths; who reads them needs sudo.
pub(crate) fn devices() -> Request<Data<BTreeMap<String, AuditDevice>>> {
    Request::read("sys/audit")
}

impl AuditDevice {
    /// Whether everything stands in its log as it was sent, tokens and secrets included.
    pub(crate) fn is_raw(&self) -> bool {
        let raw = self.options.get("log_raw");
        // As servers read it, which take what Go's `strconv.ParseBool` takes.
        raw.is_some_and(|raw| {
            raw.as_str().map_or_else(
                || raw == &Value::Bool(true),
                |raw| ["1", "t", "true"].contains(&raw.to_ascii_lowercase().as_str()),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_device_that_hides_nothing_is_known() {
        for (options, expected) in [
            (json!({ "file_path": "/x", "log_raw": "true" }), true),
            (json!({ "log_raw": true }), true),
            (json!({ "log_raw": "T" }), true),
            (json!({ "log_raw": "false" }), false),
            (json!({ "hmac_accessor": "false" }), false),
            (json!(null), false),
        ] {
            let device: AuditDevice = serde_json::from_value(json!({ "options": options })).unwrap();
            assert_eq!(device.is_raw(), expected, "{options}");
        }
    }
}
