//! Fields that differ between two documents.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A field that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Its name in Vault's API.
    pub field: String,
    /// What it holds now; absent where the object is new.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub before: Option<Value>,
    /// What it should hold; null where the object is deleted.
    pub after: Value,
}

/// What is there, which a null is too: it stands for a field that holds nothing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// The fields in which `after` differs from `before`; without a `before`, those that hold something.
///
/// Both documents are normalised, so that what differs here differs in meaning.
pub(crate) fn changed(before: Option<&Value>, after: &Value) -> Vec<FieldChange> {
    let Value::Object(after) = after else { return Vec::new() };
    after
        .iter()
        .filter_map(|(field, after)| {
            let before = before.map(|before| before.get(field).cloned().unwrap_or_default());
            let differs = before.as_ref().map_or(!is_default(field, after), |before| before != after);
            differs.then(|| FieldChange { field: field.clone(), before, after: after.clone() })
        })
        .collect()
}

/// Whether a field of a new object says nothing.
fn is_default(field: &str, value: &Value) -> bool {
    match field {
        "namespace_in_state" => value == &Value::Bool(true),
        "callback_mode" => value == "client",
        _ => is_unset(value),
    }
}

/// Whether a value is what the server has where nobody set anything.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) => false,
    }
}
