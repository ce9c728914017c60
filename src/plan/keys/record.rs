//! What is written into a mount's options, before its configuration and after.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::rotation::{Pinned, Rotation};
use crate::keys::{KeyId, KeyRecord, KeyRecords, RECORD_LIMIT, record_size};
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
pub(in crate::plan) const FIELD: &str = "seen_keys";

fn describe(rotation: &Rotation<'_>, pinned: &[Pinned], id: &KeyId, record: &KeyRecord) -> String {
    let name = rotation.name_of(id, pinned);
    match record.gone_since {
        None => format!("{name}, first seen {}", record.first_seen),
        Some(since) => {
            format!("{name}, gone from the cluster since {since}, kept until {}", rotation.until(since))
        }
    }
}

/// The record as it fits into a mount's options, and what did not.
pub(super) struct Kept {
    pub(super) records: KeyRecords,
    pub(super) warning: Option<String>,
}

/// Leaves out what is too much: those first that are gone for longest, which are then not kept either; last of all keys that
/// are published, which are trusted all the same, and only not known any more once they are gone.
pub(super) fn fitting(rotation: &Rotation<'_>, records: KeyRecords) -> Kept {
    let mut in_order: Vec<(KeyId, KeyRecord)> = records.keys.into_iter().collect();
    in_order.sort_by_key(|(id, record)| {
        (record.gone_since.is_some(), Reverse(record.gone_since), !rotation.recorded.keys.contains_key(id), *id)
    });
    let (mut room, mut kept, mut gone, mut published) = (RECORD_LIMIT, KeyRecords::default(), Vec::new(), 0);
    for (id, record) in in_order {
        if let Some(left) = room.checked_sub(record_size(&id, &record)) {
            room = left;
            kept.keys.insert(id, record);
        } else if record.gone_since.is_some() {
            gone.push(id.short());
        } else {
            published += 1;
        }
    }
    let path = &rotation.mount.path;
    let warning = match (gone.as_slice(), published) {
        ([], 0) => None,
        ([], published) => Some(format!(
            "{published} of the keys that the cluster of auth/{path} publishes can't be recorded, because the record is full \
             ({RECORD_LIMIT} bytes): once they are gone, they will not be known"
        )),
        (gone, _) => Some(format!(
            "the record of auth/{path} is full ({RECORD_LIMIT} bytes), so keys that are gone for longest go before their \
             time: {}",
            gone.join(", ")
        )),
    };
    Kept { records: kept, warning }
}
