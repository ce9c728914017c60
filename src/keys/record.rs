//! The record of the keys that a cluster was seen to publish, in the `options` of its auth mount.
//!
//! ```text
//! vaultk8s-key-Zk3…  first-seen=2026-11-01T08:00:00Z gone-since=2026-11-23T12:00:00Z kid=signer-2
//! ```
//!
//! An option is written by `sys/mounts/auth/<mount>/tune`, which whoever may only write the mount's configuration can't do.
//! So a pinned key that is neither published nor recorded is known to be nobody's, whatever a comment above it says. The
//! name of an option is the key's own digest; its value is read strictly, and what can't be read vouches for nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::KeyId;

/// What the names of these options begin with; the key's digest follows. All other options are somebody else's.
const PREFIX: &str = "vaultk8s-key-";

/// How many bytes the options of one mount may have together, names and values.
pub const RECORD_LIMIT: usize = 4096;

/// The longest `kid` that is worth its room here; a key with a longer one is known by its digest.
const LONGEST_KID: usize = 128;

/// What is recorded about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// The `kid` that its cluster gave it, where that isn't the one that Kubernetes makes of the key.
    pub kid: Option<String>,
    /// When the cluster was first seen to publish it.
    pub first_seen: Timestamp,
    /// Since when it is known not to publish it any more.
    pub gone_since: Option<Timestamp>,
}

/// How far the clocks of two machines may differ before a time is one that is yet to come.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

impl KeyRecord {
    /// The `kid` as it can be recorded: none where it is the one that Kubernetes makes, or would break the record.
    pub fn recordable(kid: Option<&str>, id: &KeyId) -> Option<String> {
        let fits = |kid: &&str| {
            !kid.is_empty()
                && kid.len() <= LONGEST_KID
                && kid.chars().all(|c| c.is_ascii_graphic())
                && *kid != id.base64()
        };
        kid.filter(fits).map(str::to_owned)
    }

    /// Whether it tells of a time to come, as no clock that is right has written it: then it is no evidence of anything.
    pub fn is_to_come(&self, now: Timestamp) -> bool {
        let latest = now.checked_add(CLOCK_SKEW).unwrap_or(Timestamp::MAX);
        self.gone_since.unwrap_or(self.first_seen).max(self.first_seen) > latest
    }

    /// The `kid` that it is known by.
    pub fn known_as(&self, id: &KeyId) -> String {
        self.kid.clone().unwrap_or_else(|| id.base64())
    }

    fn value(&self) -> String {
        let gone = self.gone_since.map(|since| format!(" gone-since={since}")).unwrap_or_default();
        let kid = self.kid.as_ref().map(|kid| format!(" kid={kid}")).unwrap_or_default();
        format!("first-seen={}{gone}{kid}", self.first_seen)
    }

    /// Every word once, and no others.
    fn parse(text: &str, id: &KeyId) -> Option<Self> {
        let (mut first_seen, mut gone_since, mut kid) = (None, None, None);
        for word in text.split(' ') {
            match word.split_once('=')? {
                ("first-seen", time) if first_seen.is_none() => first_seen = Some(time.parse().ok()?),
                ("gone-since", time) if gone_since.is_none() => gone_since = Some(time.parse().ok()?),
                ("kid", name) if kid.is_none() => kid = Some(Self::recordable(Some(name), id)?),
                _ => return None,
            }
        }
        Some(Self { kid, first_seen: first_seen?, gone_since })
    }
}

/// The record of one mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRecords {
    /// The keys that were seen.
    pub keys: BTreeMap<KeyId, KeyRecord>,
    /// The names of those options that should be a part of it and can't be read: they vouch for nothing.
    pub unreadable: Vec<String>,
}

impl KeyRecords {
    /// Reads the record out of a mount's options.
    pub fn read(options: &BTreeMap<String, String>) -> Self {
        let mut records = Self::default();
        for (name, value) in options {
            let Some(digest) = name.strip_prefix(PREFIX) else { continue };
            let read = KeyId::parse_base64(digest).and_then(|id| Some((id, KeyRecord::parse(value, &id)?)));
            match read {
                Some((id, record)) => _ = records.keys.insert(id, record),
                None => records.unreadable.push(name.clone()),
            }
        }
        records
    }

    /// Whether the option of this key is there and can't be read.
    pub fn is_unreadable(&self, id: &KeyId) -> bool {
        self.unreadable.contains(&option(id))
    }

    /// The options to write so that these keys are recorded as they are here, where the mount has `before`.
    pub fn written_after(&self, before: &Self) -> BTreeMap<String, String> {
        let new = self.keys.iter().filter(|(id, record)| before.keys.get(*id) != Some(record));
        new.map(|(id, record)| (option(id), record.value())).collect()
    }

    /// The options to write so that only these keys are recorded: an empty value deletes an option.
    pub fn removed_after(&self, before: &Self) -> BTreeMap<String, String> {
        let gone = before.keys.keys().filter(|id| !self.keys.contains_key(*id));
        gone.map(|id| (option(id), String::new())).collect()
    }
}

/// How many bytes the record of a key takes.
pub fn record_size(id: &KeyId, record: &KeyRecord) -> usize {
    option(id).len() + record.value().len()
}

fn option(id: &KeyId) -> String {
    format!("{PREFIX}{}", id.base64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::PublicKey;

    fn id() -> KeyId {
        KeyId::of(&PublicKey::parse_pem(include_str!("../../testdata/jwks/p256.pem")).unwrap())
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let first_seen = time("2026-11-01T08:00:00Z");
        for record in [
            KeyRecord { kid: None, first_seen, gone_since: None },
            KeyRecord { kid: Some("signer-2".into()), first_seen, gone_since: Some(time("2026-11-23T12:00:00Z")) },
        ] {
            let records = KeyRecords { keys: [(id(), record)].into(), unreadable: Vec::new() };
            let options = records.written_after(&KeyRecords::default());
            assert_eq!(KeyRecords::read(&options), records, "{options:?}");
            assert!(records.written_after(&records).is_empty() && records.removed_after(&records).is_empty());
            let removed = KeyRecords::default().removed_after(&records);
            assert_eq!((removed.len(), removed.values().next().unwrap().as_str()), (1, ""));
        }
    }

    #[test]
    fn what_can_not_be_read_vouches_for_nothing_and_is_told() {
        let name = option(&id());
        for value in [
            "",
            "yes",
            "first-seen=soon",
            "gone-since=2026-11-23T12:00:00Z",
            "first-seen=2026-11-01T08:00:00Z first-seen=2026-11-01T08:00:00Z",
            "first-seen=2026-11-01T08:00:00Z  kid=x",
            "first-seen=2026-11-01T08:00:00Z kid=",
            "first-seen=2026-11-01T08:00:00Z trusted=yes",
            "first-seen=2026-11-01T08:00:00Z\n",
        ] {
            let records = KeyRecords::read(&[(name.clone(), value.to_owned())].into());
            assert!(records.keys.is_empty() && records.is_unreadable(&id()), "{value:?}");
        }
        for name in ["vaultk8s-key-", "vaultk8s-key-abc", &format!("{name}="), &format!("{name}A")] {
            let value = "first-seen=2026-11-01T08:00:00Z".to_owned();
            let records = KeyRecords::read(&[(name.to_owned(), value)].into());
            assert_eq!((records.keys.len(), records.unreadable.as_slice()), (0, &[name.to_owned()][..]));
        }
        // Other people's options are none of it.
        assert_eq!(KeyRecords::read(&[("version".into(), "2".into())].into()), KeyRecords::default());
    }

    #[test]
    fn a_kid_can_not_break_the_record() {
        for kid in ["", "a b", "x\ny", "é", &"k".repeat(129), &id().base64()] {
            assert_eq!(KeyRecord::recordable(Some(kid), &id()), None, "{kid}");
        }
        assert_eq!(KeyRecord::recordable(Some("gone-since=2999"), &id()).as_deref(), Some("gone-since=2999"));
    }
}
