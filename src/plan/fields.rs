//! Fields that differ between two documents.

use serde::Serialize;
use serde_json::Value;

/// A field that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Its name in Vault's API.
    pub field: String,
    /// What it holds now; absent where the object is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it should hold.
    pub after: Value,
}

/// The fields in which `after` differs from `before`; without a `before`, those that hold something.
///
/// Both documents are normalised, so that what differs here differs in meaning.
pub(super) fn changed(before: Option<&impl Serialize>, after: &impl Serialize) -> Vec<FieldChange> {
    let before = before.map(|document| serde_json::to_value(document).unwrap_or_default());
    let after = serde_json::to_value(after).unwrap_or_default();
    let Value::Object(after) = after else { return Vec::new() };
    after
        .into_iter()
        .filter_map(|(field, after)| match &before {
            None => (!is_unset(&after)).then_some(FieldChange { field, before: None, after }),
            Some(before) => {
                let before = before.get(&field).cloned().unwrap_or_default();
                (before != after).then_some(FieldChange { field, before: Some(before), after })
            }
        })
        .collect()
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
