//! What is written into a mount's options, before its configuration and after.

use std::collections::BTreeMap;

use super::rotation::{Pinned, Rotation};
use crate::keys::{KeyId, KeyRecord, KeyRecords};
use crate::plan::fields::FieldChange;

/// The two writes of a mount's record.
#[derive(Default)]
pub(in crate::plan) struct RecordPlan {
    /// What was seen: written before the configuration trusts it, or takes note that it is gone.
    pub(in crate::plan) written: Option<RecordWrite>,
    /// What is over: removed once the configuration doesn't trust it any more.
    pub(in crate::plan) removed: Option<RecordWrite>,
}

/// One write of a mount's record.
pub(in crate::plan) struct RecordWrite {
    /// The record as people read it, before and after.
    pub(in crate::plan) field: FieldChange,
    /// The options, of which an empty one is deleted.
    pub(in crate::plan) options: BTreeMap<String, String>,
}

impl RecordPlan {
    /// From what is recorded to what should be.
    pub(super) fn new(rotation: &Rotation<'_>, pinned: &[Pinned], after: &KeyRecords) -> Self {
        let before = rotation.recorded;
        let mut between = before.clone();
        between.keys.extend(after.keys.clone());
        let write = |before: &KeyRecords, after: &KeyRecords, options: BTreeMap<String, String>| {
            let described = |records: &KeyRecords| -> Vec<String> {
                records.keys.iter().map(|(id, record)| describe(rotation, pinned, id, record)).collect()
            };
            let (before, after) = (described(before), described(after));
            let before = (!before.is_empty()).then(|| before.into());
            let field = FieldChange { field: FIELD.to_owned(), before, after: after.into() };
            (!options.is_empty()).then_some(RecordWrite { field, options })
        };
        Self {
            written: write(before, &between, after.written_after(before)),
            removed: write(&between, after, after.removed_after(before)),
        }
    }
}

/// What the record is called among the fields of a change.
pub(crate) const FIELD: &str = "seen_keys";

fn describe(rotation: &Rotation<'_>, pinned: &[Pinned], id: &KeyId, record: &KeyRecord) -> String {
    let name = rotation.name_of(id, pinned);
    match record.gone_since {
        None => format!("{name}, first seen {}", record.first_seen),
        Some(since) => {
            format!("{name}, gone from the cluster since {since}, kept until {}", rotation.until(since))
        }
    }
}
