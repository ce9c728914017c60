//! Secrets of logins that a mount lets stand in the audit log in the clear.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::SECRET_KEYS;
use crate::desired::Desired;
use crate::model::{AuthMount, Observed};
use crate::names::MountPath;

/// The field of a mount that says what isn't hashed there.
const FIELD: &str = "audit_non_hmac_request_keys";

/// What a mount lets stand there, and whether that is not in order: the one judgement of plans and checks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InTheClear {
    /// No secrets.
    Nothing,
    /// These, and the file says so: a warning.
    Meant(Vec<&'static str>),
    /// These, and no file says so: not in order, and left as it is, because somebody may need it for a while.
    Unsaid(Vec<&'static str>),
}

impl InTheClear {
    /// That of a mount, of whose settings the file names these.
    pub(crate) fn of(there: &AuthMount, named: &Map<String, Value>) -> Self {
        let keys = &there.settings.audit_non_hmac_request_keys;
        let secrets: Vec<&str> =
            SECRET_KEYS.into_iter().filter(|secret| keys.iter().any(|key| key == secret)).collect();
        match (secrets.is_empty(), named.contains_key(FIELD)) {
            (true, _) => Self::Nothing,
            (false, true) => Self::Meant(secrets),
            (false, false) => Self::Unsaid(secrets),
        }
    }
}

/// A mount that writes secrets into the audit log, which its file doesn't say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggedSecrets {
    /// The mount.
    pub mount: MountPath,
    /// The fields of requests that are secrets.
    pub fields: Vec<String>,
}

/// Those of all mounts that the file describes.
pub(super) fn logged(desired: &Desired, observed: &Observed) -> Vec<LoggedSecrets> {
    let described = desired.mounts.iter().filter(|mount| mount.config.is_some());
    described
        .filter_map(|mount| {
            let there = observed.auth_mounts.get(mount.path.as_str())?;
            let InTheClear::Unsaid(fields) = InTheClear::of(there, &mount.tune.settings) else { return None };
            let fields = fields.into_iter().map(str::to_owned).collect();
            Some(LoggedSecrets { mount: mount.path.clone(), fields })
        })
        .collect()
}

impl LoggedSecrets {
    /// `auth/jwt writes secrets into the audit log in the clear: jwt`.
    pub(crate) fn in_words(&self) -> String {
        format!("auth/{} writes secrets into the audit log in the clear: {}", self.mount, self.fields.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_in_the_audit_log_are_in_order_only_where_the_file_says_them() {
        let mount = |keys: Value| -> AuthMount {
            serde_json::from_value(json!({ "type": "jwt", "config": { FIELD: keys } })).unwrap()
        };
        let (nothing, named) = (Map::new(), [(FIELD.to_owned(), Value::Null)].into_iter().collect());
        let there = mount(json!(["role", "jwt"]));
        assert_eq!(InTheClear::of(&there, &nothing), InTheClear::Unsaid(vec!["jwt"]));
        assert_eq!(InTheClear::of(&there, &named), InTheClear::Meant(vec!["jwt"]));
        assert_eq!(InTheClear::of(&mount(json!(["role"])), &nothing), InTheClear::Nothing);
    }
}
