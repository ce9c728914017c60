//! What of a record has room in a mount's options.

use std::cmp::Reverse;

use crate::keys::{KeyId, KeyRecord, KeyRecords, RECORD_LIMIT, record_size};
use crate::names::MountPath;

/// The record as it fits into a mount's options, and what did not.
pub(super) struct Kept {
    pub(super) records: KeyRecords,
    pub(super) warning: Option<String>,
}

/// Leaves out what is too much: those first that are gone for longest, which are then not kept either; last of all keys that
/// are published, which are trusted all the same, and only not known any more once they are gone.
pub(super) fn fitting(path: &MountPath, recorded: &KeyRecords, records: KeyRecords) -> Kept {
    let mut in_order: Vec<(KeyId, KeyRecord)> = records.keys.into_iter().collect();
    in_order.sort_by_key(|(id, record)| {
        (record.gone_since.is_some(), Reverse(record.gone_since), !recorded.keys.contains_key(id), *id)
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
