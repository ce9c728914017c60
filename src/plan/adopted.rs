//! Mounts that are there: whether this tool set one up, and what of it is somebody's.
//!
//! What tells is whatever a run leaves behind: an inventory that says who keeps the mount, the record of keys in its options, that of
//! the reviewer's token on its account, or a policy's mark that names it. Where there is nothing of these, the mount was made by hand
//! or by another tool, and what it says is changed with consent alone.

use serde_json::Value;

use super::owners::Traces;
use super::{Change, Object, Observed, kubernetes};
use crate::desired::{Desired, DesiredMount};
use crate::keys::KeyRecords;
use crate::model::{ConfigDocument, JwtConfig, KubernetesConfig};
use crate::ownership::Mark;

/// What says that this tool set the mount up, whoever ran it, beside the inventories.
pub(super) fn traces(address: &str, mount: &DesiredMount, observed: &Observed) -> Traces {
    let options = observed.auth_mounts.get(mount.path.as_str()).map(|there| &there.options);
    let texts = observed.policies.values().map(|stored| &stored.policy).chain(observed.marked.values());
    let names_it =
        |text: &String| matches!(Mark::read(text), Some(Mark::Mounts(mounts)) if mounts.contains(&mount.path));
    Traces {
        marked: texts.into_iter().any(names_it),
        recorded: options.is_some_and(|options| !KeyRecords::read(options).keys.is_empty())
            || kubernetes::record(address, mount, observed).is_some(),
    }
}

/// Whether a change of a mount that is there, and isn't the file's own, replaces what somebody said. One that nobody configured yet says
/// nothing but what it was enabled with; a record of seen keys is this tool's own; of keys that the operator names, and of a
/// reviewer's token that a login showed to be refused, nobody has to be asked once more.
pub(super) fn is_somebody_s(
    address: &str,
    change: &Change,
    mount: &DesiredMount,
    desired: &Desired,
    observed: &Observed,
) -> bool {
    let config = observed.mounts.get(&mount.path).and_then(|there| there.config.as_ref());
    let configured = config.is_some_and(|config| match config {
        ConfigDocument::Jwt(config) => *config != JwtConfig::default(),
        ConfigDocument::Kubernetes(config) => *config != KubernetesConfig::default(),
    });
    let alone = |name: &str| change.fields.iter().all(|field| field.field == name);
    let decided = !(desired.keys.keep.is_empty() && desired.keys.forget.is_empty()) && alone("jwt_validation_pubkeys");
    // A token that this tool wrote is renewed by whoever has the mount.
    let useless = (observed.refusing.contains(&mount.path) || kubernetes::record(address, mount, observed).is_some())
        && alone("token_reviewer_jwt");
    match change.object {
        Object::Config { .. } => configured && !decided && !useless,
        Object::Mount { .. } => {
            configured || change.fields.iter().any(|field| field.before.as_ref().is_some_and(is_set))
        }
        _ => false,
    }
}

/// Whether a value is one that somebody gave.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_server_says_of_a_mount_that_nobody_touched_is_nobody_s() {
        for value in [json!(null), json!(""), json!(0), json!(false), json!([]), json!({})] {
            assert!(!is_set(&value), "{value}");
        }
        for value in [json!("x"), json!(300), json!(true), json!(["jwt"])] {
            assert!(is_set(&value), "{value}");
        }
    }
}
