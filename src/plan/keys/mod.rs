//! The keys of a jwt mount: what is trusted now against what will be, and the rotation of pinned keys.
//!
//! Vault is to trust what the cluster publishes, and for a while what it *was seen* to publish: a key that is gone stays
//! pinned for as long as its last tokens may live (`auth.keyRetention`). Which keys were seen, and since when they are gone,
//! is recorded in the mount's own options ([`KeyRecords`]), so it doesn't matter who runs this next and wherever. Any other
//! pinned key is foreign, whatever a comment above it says: it goes, as trust that is replaced, and so after approval.
//!
//! What is seen is recorded *before* the configuration is written, and a record is removed *after* it, so that a run which
//! ends in between never leaves a key pinned that was published and isn't recorded.

mod decisions;
mod fitting;
mod record;
mod rotation;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use decisions::check_key_decisions;
pub(crate) use record::FIELD as SEEN_KEYS;
pub(super) use record::{RecordPlan, RecordWrite};
use rotation::Rotation;

use super::fields::{FieldChange, changed};
use super::{trust, unsaid};
use crate::desired::{DesiredMount, SaidBy};
use crate::keys::{KeyDecisions, KeyRecords};
use crate::model::JwtConfig;
use crate::names::{ClusterName, MountPath};

/// A key that its cluster no longer publishes and that stays pinned for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RetainedKey {
    /// The cluster.
    pub cluster: ClusterName,
    /// The mount that has it.
    pub mount: MountPath,
    /// Its kind and fingerprint.
    pub key: String,
    /// The `kid` that it is known by.
    pub kid: String,
    /// Since when it is gone.
    pub gone_since: Timestamp,
    /// Until when it is kept.
    pub until: Timestamp,
}

/// A pinned key that its cluster neither publishes nor was seen to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForeignKey {
    /// The cluster.
    pub cluster: ClusterName,
    /// The mount that has it.
    pub mount: MountPath,
    /// Its kind and fingerprint.
    pub key: String,
    /// The `kid` that Kubernetes would give it; none for an element that can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// Whether nobody can tell it from a key of the cluster's own that is gone, because nothing was recorded yet: then a
    /// general yes does not decide about it.
    pub undecided: bool,
}

/// What becomes of a jwt mount's keys, and so of its configuration.
#[derive(Default)]
pub(super) struct KeyPlan {
    /// All of the configuration, with the keys that are kept.
    pub(super) after: JwtConfig,
    /// The fields that change, with keys as a person tells them apart.
    pub(super) fields: Vec<FieldChange>,
    /// What is trusted now and would not be any more.
    pub(super) replaces_trust: Option<String>,
    /// What is written into the mount's options.
    pub(super) record: RecordPlan,
    /// The keys that stay for a while.
    pub(super) retained: Vec<RetainedKey>,
    /// The keys that nobody published.
    pub(super) foreign: Vec<ForeignKey>,
    /// What is as it should be, and worth telling.
    pub(super) notes: Vec<String>,
    /// What should give pause.
    pub(super) warnings: Vec<String>,
}

/// Compares what a mount holds with what it should hold. A mount that isn't configured yet holds nothing.
pub(super) fn plan(
    mount: &DesiredMount,
    wanted: &JwtConfig,
    there: Option<&JwtConfig>,
    recorded: &KeyRecords,
    decisions: &KeyDecisions,
    now: Timestamp,
) -> KeyPlan {
    let there = there.filter(|there| **there != JwtConfig::default());
    let there = there.map(|there| unsaid::as_far_as_shown(there, wanted));
    let there = there.as_ref();
    let (wanted, about_provider) = unsaid::kept_of_jwt(mount, wanted, there);
    let wanted = wanted.keeping(there, !mount.keys.is_empty());
    let wanted = &if mount.extensions == SaidBy::File { wanted } else { wanted.keeping_extensions(there) };
    let replaced = there.and_then(|before| trust::of_jwt(before, wanted).first().map(ToString::to_string));
    let rotation = Rotation { mount, recorded, decisions, now, replaced: replaced.is_some() };
    let before = there.cloned().unwrap_or_default();
    let pinned = rotation.judged(&before);
    let kept = rotation.records_to_keep(wanted, &pinned);
    let after = rotation.configuration(wanted, &pinned, &kept.records);
    let described = json!(rotation.described(&before, &pinned));
    let mut shown = json!(rotation.described(&after, &rotation.judged(&after)));
    // A server that doesn't have the field is never sent it, and one that does erases what is left out.
    if after.unsupported_critical_cert_extensions.is_empty() && !before.unsupported_critical_cert_extensions.is_empty()
    {
        shown["unsupported_critical_cert_extensions"] = json!([]);
    }
    let fields = changed(there.map(|_| &described), &shown);
    let foreign = if replaced.is_some() { Vec::new() } else { rotation.foreign(&pinned) };
    let mut warnings = rotation.warnings();
    warnings.extend(kept.warning);
    if foreign.iter().any(|key| key.undecided) {
        warnings.push(format!(
            "auth/{} pins keys that its cluster doesn't publish, and nothing is recorded yet that would tell one that was \
             rotated out from a stranger's: `bootstrap` has to be told of each, with --keep-key KID or --forget-key KID",
            mount.path
        ));
    }
    let record = RecordPlan::new(&rotation, &pinned, &kept.records);
    let mut notes = Vec::from_iter(about_provider);
    if there.is_some() && recorded.keys.is_empty() && record.written.is_some() {
        notes.push(format!(
            "auth/{} has no record yet of the keys that its cluster was seen to publish, because an earlier version or \
             somebody else set it up: it begins with those that are published now",
            mount.path
        ));
    }
    KeyPlan {
        replaces_trust: replaced.or_else(|| in_words(&foreign)),
        retained: rotation.retained(&pinned, &kept.records),
        after,
        fields,
        record,
        foreign,
        notes,
        warnings,
    }
}

/// The keys that nobody published, in words.
fn in_words(keys: &[ForeignKey]) -> Option<String> {
    let name = |ForeignKey { key, kid, .. }: &ForeignKey| match kid {
        Some(kid) => format!("{key} kid {kid}"),
        None => key.clone(),
    };
    let names: Vec<String> = keys.iter().map(name).collect();
    match names.as_slice() {
        [] => None,
        [one] => {
            Some(format!("it trusts a key that this cluster doesn't publish and was never seen to publish: {one}"))
        }
        many => Some(format!(
            "it trusts {} keys that this cluster doesn't publish and was never seen to publish: {}",
            many.len(),
            many.join(", ")
        )),
    }
}
