//! What becomes of each pinned key, and of the record of each.

use std::time::Duration;

use jiff::Timestamp;

use super::fitting::{Kept, fitting};
use super::{ForeignKey, RetainedKey};
use crate::desired::DesiredMount;
use crate::keys::{
    JwsAlgorithm, KeyDecisions, KeyId, KeyRecord, KeyRecords, PublicKey, VerificationKey, noted_gone_since, pinned,
};
use crate::model::JwtConfig;

/// A run's view on the keys of a mount.
pub(super) struct Rotation<'a> {
    pub(super) mount: &'a DesiredMount,
    /// What is recorded now.
    pub(super) recorded: &'a KeyRecords,
    pub(super) decisions: &'a KeyDecisions,
    pub(super) now: Timestamp,
    /// Whether the mount trusts something else altogether: then its keys were never this cluster's, as far as anybody can
    /// tell from here.
    pub(super) replaced: bool,
}

/// A pinned element, and what becomes of it.
pub(super) struct Pinned {
    /// Its text.
    element: String,
    /// The key in it, where it can be read.
    key: Option<PublicKey>,
    fate: Fate,
}

/// What becomes of a pinned element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The cluster publishes it.
    Published,
    /// It was the cluster's, and stays for a while.
    Retained { since: Timestamp, until: Timestamp },
    /// It was the cluster's, and its time is over.
    Retired { since: Timestamp },
    /// The operator named it to go at once.
    Forgotten,
    /// Nobody should trust such a key, whoever published it.
    Weak,
    /// It goes with the trust that it belongs to.
    Replaced,
    /// Nothing says that it ever was the cluster's.
    Foreign,
}

impl Rotation<'_> {
    /// The pinned elements of a configuration, each with its fate.
    pub(super) fn judged(&self, config: &JwtConfig) -> Vec<Pinned> {
        let elements = config.jwt_validation_pubkeys.iter();
        elements
            .map(|element| {
                let key = PublicKey::parse_pem(element).ok();
                let fate = key.as_ref().map_or(Fate::Foreign, |key| self.fate(element, key));
                Pinned { element: element.clone(), key, fate }
            })
            .collect()
    }

    fn fate(&self, element: &str, key: &PublicKey) -> Fate {
        let id = key.id();
        if self.published(&id).is_some() {
            return Fate::Published;
        }
        let kid = self.kid(&id);
        if self.decisions.forgets(&id, &kid) {
            return Fate::Forgotten;
        }
        let keeps = self.decisions.keeps(&id, &kid);
        let since = match self.recorded.keys.get(&id).filter(|record| !record.is_to_come(self.now)) {
            Some(_) if self.replaced && !keeps => return Fate::Replaced,
            // A clock that is a little ahead somewhere keeps no key for longer.
            Some(record) => record.gone_since.filter(|since| *since <= self.now).unwrap_or(self.this_second()),
            None if keeps => self.vouched_since(element),
            None => return Fate::Foreign,
        };
        match self.until(since) {
            _ if key.weakness().is_some() => Fate::Weak,
            until if until <= self.now => Fate::Retired { since },
            until => Fate::Retained { since, until },
        }
    }

    /// From when to count for a key that the operator vouches for. Where nothing is recorded yet, an earlier version may have
    /// noted it above the key; that only shortens what the operator asked for, and doesn't undo it.
    fn vouched_since(&self, element: &str) -> Timestamp {
        let noted = noted_gone_since(element).filter(|_| self.recorded.keys.is_empty());
        noted.filter(|since| *since <= self.now && self.until(*since) > self.now).unwrap_or_else(|| self.this_second())
    }

    /// What should be recorded when this run is over.
    pub(super) fn records_to_keep(&self, wanted: &JwtConfig, pinned: &[Pinned]) -> Kept {
        let mut records = KeyRecords::default();
        if wanted.jwt_validation_pubkeys.is_empty() {
            // Vault fetches what is published, and keeps nothing.
            return Kept { records, warning: None };
        }
        let now = self.this_second();
        for published in &self.mount.keys {
            let id = published.key.id();
            let first_seen = self.recorded.keys.get(&id).map_or(now, |record| record.first_seen.min(now));
            let kid = KeyRecord::recordable(published.kid.as_deref(), &id);
            records.keys.insert(id, KeyRecord { kid, first_seen, gone_since: None });
        }
        for Pinned { key, fate, .. } in pinned {
            if let (Some(key), Fate::Retained { since, .. }) = (key, fate) {
                let id = key.id();
                let record = self.recorded.keys.get(&id);
                let first_seen = record.map_or(*since, |record| record.first_seen.min(now));
                let kid = record.and_then(|record| record.kid.clone());
                records.keys.insert(id, KeyRecord { kid, first_seen, gone_since: Some(*since) });
            }
        }
        fitting(&self.mount.path, self.recorded, records)
    }

    /// The wanted configuration with those pinned keys beside it whose tokens may still live, and their algorithms.
    pub(super) fn configuration(&self, wanted: &JwtConfig, pinned_now: &[Pinned], kept: &KeyRecords) -> JwtConfig {
        let mut after = wanted.clone();
        for key in retained(pinned_now, kept).map(|(key, ..)| key) {
            after.jwt_supported_algs.push(JwsAlgorithm::used_by_kubernetes(key.kind()).to_string());
            after.jwt_validation_pubkeys.push(pinned(key, Some(&self.kid(&key.id()))));
        }
        after.normalised()
    }

    /// The keys that stay for a while, for people.
    pub(super) fn retained(&self, pinned: &[Pinned], kept: &KeyRecords) -> Vec<RetainedKey> {
        retained(pinned, kept)
            .map(|(key, gone_since, until)| RetainedKey {
                cluster: self.mount.cluster.clone(),
                mount: self.mount.path.clone(),
                key: format!("{key} {}", key.short_fingerprint()),
                kid: self.kid(&key.id()),
                gone_since,
                until,
            })
            .collect()
    }

    /// The keys that nobody published. What can't be kept needs no decision of its own.
    pub(super) fn foreign(&self, pinned: &[Pinned]) -> Vec<ForeignKey> {
        let foreign = pinned.iter().filter(|pinned| pinned.fate == Fate::Foreign);
        foreign
            .map(|Pinned { key, .. }| {
                let (name, kid) = match key {
                    Some(key) => (format!("{key} {}", key.short_fingerprint()), Some(key.kubernetes_kid())),
                    None => ("an element that can't be read".to_owned(), None),
                };
                let could_be_kept = self.mount.key_retention > 0
                    && key.as_ref().is_some_and(|key| key.weakness().is_none())
                    && (self.recorded.keys.is_empty() || key.as_ref().is_some_and(|key| self.is_to_come(&key.id())));
                ForeignKey {
                    cluster: self.mount.cluster.clone(),
                    mount: self.mount.path.clone(),
                    key: name,
                    kid,
                    undecided: could_be_kept,
                }
            })
            .collect()
    }

    /// What about the record should give pause.
    pub(super) fn warnings(&self) -> Vec<String> {
        let path = &self.mount.path;
        let unreadable = self.recorded.unreadable.iter().map(|option| {
            format!(
                "the option {option} of auth/{path} is no record of a key that this version can read, so it vouches for \
                 nothing; whoever may tune the mount wrote it (an empty value deletes it)"
            )
        });
        let to_come = self
            .recorded
            .keys
            .iter()
            .filter(|(id, record)| record.is_to_come(self.now) && self.published(id).is_none());
        let to_come = to_come.map(|(id, record)| {
            format!(
                "the record of auth/{path} says of the key {} what is yet to come ({}), so it vouches for nothing: a clock was wrong, or \
                 whoever may tune the mount wrote it",
                id.short(),
                record.gone_since.unwrap_or(record.first_seen)
            )
        });
        unreadable.chain(to_come).collect()
    }

    /// The configuration with its keys as a person tells them apart, so that other text around a PEM block, or another
    /// encoding of it, is no difference.
    pub(super) fn described(&self, config: &JwtConfig, pinned: &[Pinned]) -> JwtConfig {
        let keys = pinned.iter().map(|pinned| self.describe(pinned)).collect();
        JwtConfig { jwt_validation_pubkeys: keys, ..config.clone() }.normalised()
    }

    /// Whether the record of a key can't be true.
    fn is_to_come(&self, id: &KeyId) -> bool {
        self.recorded.keys.get(id).is_some_and(|record| record.is_to_come(self.now))
    }

    /// A key by its name, and why it goes if it does.
    fn describe(&self, Pinned { element, key, fate }: &Pinned) -> String {
        let Some(key) = key else { return element.clone() };
        let name = self.name(key);
        match fate {
            Fate::Published | Fate::Retained { .. } | Fate::Replaced => name,
            Fate::Retired { since } => format!("{name}, gone since {since}, retired"),
            Fate::Forgotten => format!("{name}, named by --forget-key"),
            Fate::Weak => format!("{name}, too weak to be trusted"),
            Fate::Foreign if self.recorded.is_unreadable(&key.id()) => {
                format!("{name}, never seen to be published by this cluster (its record can't be read)")
            }
            Fate::Foreign if self.is_to_come(&key.id()) => {
                format!("{name}, never seen to be published by this cluster (its record is of a time to come)")
            }
            Fate::Foreign => format!("{name}, never seen to be published by this cluster"),
        }
    }

    /// A key by its kind, its fingerprint, and the `kid` that the cluster gives it.
    fn name(&self, key: &PublicKey) -> String {
        format!("{key} {} kid {}", key.short_fingerprint(), self.kid(&key.id()))
    }

    /// The same of a key of which there may be no more than its digest.
    pub(super) fn name_of(&self, id: &KeyId, pinned: &[Pinned]) -> String {
        let published = self.published(id).map(|published| &published.key);
        let mut pinned = pinned.iter().filter_map(|pinned| pinned.key.as_ref());
        match published.or_else(|| pinned.find(|key| key.id() == *id)) {
            Some(key) => self.name(key),
            None => format!("{} kid {}", id.short(), self.kid(id)),
        }
    }

    /// What a key is known by: what the cluster calls it now, else what it called it, else what Kubernetes would.
    pub(super) fn kid(&self, id: &KeyId) -> String {
        let published = self.published(id).and_then(|published| published.kid.clone());
        published.or_else(|| Some(self.recorded.keys.get(id)?.known_as(id))).unwrap_or_else(|| id.base64())
    }

    pub(super) fn published(&self, id: &KeyId) -> Option<&VerificationKey> {
        self.mount.keys.iter().find(|published| published.key.id() == *id)
    }

    /// Until when a key is kept that is gone since then.
    pub(super) fn until(&self, since: Timestamp) -> Timestamp {
        since.checked_add(Duration::from_secs(self.mount.key_retention)).unwrap_or(Timestamp::MAX)
    }

    /// Now, as it is written down.
    fn this_second(&self) -> Timestamp {
        Timestamp::from_second(self.now.as_second()).unwrap_or(self.now)
    }
}

/// The keys that stay for a while, with since when and until when.
fn retained<'a>(
    pinned: &'a [Pinned],
    kept: &'a KeyRecords,
) -> impl Iterator<Item = (&'a PublicKey, Timestamp, Timestamp)> {
    pinned.iter().filter_map(|Pinned { key, fate, .. }| match (key, fate) {
        (Some(key), Fate::Retained { since, until }) if kept.keys.contains_key(&key.id()) => {
            Some((key, *since, *until))
        }
        _ => None,
    })
}
