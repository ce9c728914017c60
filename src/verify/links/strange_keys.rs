//! The pinned keys that the cluster doesn't publish: those that it was seen to publish stay for a while, all others are
//! somebody else's.

use std::time::Duration;

use jiff::Timestamp;

use super::fetched_keys::foreign_keys;
use super::mount::{remake, unread};
use crate::config::DEFAULT_RETENTION;
use crate::keys::{KeyRecord, KeyRecords, PublicKey};
use crate::model::AuthMethod;
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::{Finding, Remedy, plural};
use crate::verify::links::pinned_keys::{NO_KEY, pinned, pinned_keys};
use crate::verify::scene::MountScene;

/// What is found about the keys that the cluster doesn't publish.
#[derive(Default)]
struct Unpublished {
    /// Those that it was seen to publish, each with what is to be told of it.
    kept: Vec<String>,
    /// Those of these of which nobody has noted yet that they are gone.
    unnoted: Vec<String>,
    /// Those of these whose time is over.
    due: Vec<String>,
    /// All others, by kind and fingerprint.
    strange: Vec<String>,
    /// Those of these that have a record which can't be true.
    forged: Vec<String>,
    /// Their `kid`s; one for each that can be named.
    kids: Vec<String>,
}

pub(super) fn strange_keys(mount: &MountScene) -> Known<Finding> {
    let Some(config) = mount.jwt_config()? else { return Ok(unread()) };
    let Ok(published) = mount.cluster.published()? else {
        return Ok(Finding::unseen("the cluster's keys can't be read"));
    };
    if !pinned(config) {
        return foreign_keys(mount);
    }
    let records = mount.key_records()?;
    let recorded = |key: &PublicKey| records.as_ref()?.keys.get(&key.id());
    let mut unpublished = Unpublished::default();
    for key in pinned_keys(config) {
        match key {
            None => unpublished.strange.push(NO_KEY.to_owned()),
            Some(key) if published.keys.iter().any(|published| published.key == key) => {}
            Some(key) => match recorded(&key) {
                Some(record) => unpublished.seen_before(mount, &key, record),
                None => unpublished.never_seen(&key),
            },
        }
    }
    Ok(match records {
        Some(records) if !unpublished.strange.is_empty() => unpublished.exposed(mount, &records),
        None if !unpublished.strange.is_empty() => unpublished.unknown(),
        records => unpublished.in_order(mount, &records.unwrap_or_default()),
    })
}

impl Unpublished {
    fn seen_before(&mut self, mount: &MountScene, key: &PublicKey, record: &KeyRecord) {
        let kid = record.known_as(&key.id());
        // Where no file says how long a key is kept, it is what one that says nothing means.
        let retention = mount.desired.as_ref().map_or(DEFAULT_RETENTION, |desired| desired.key_retention);
        let until = |since: Timestamp| since.checked_add(Duration::from_secs(retention)).ok();
        if record.is_to_come(mount.facts().began) {
            self.never_seen(key);
            let (what, when) = match record.gone_since {
                Some(since) => ("gone since", since),
                None => ("first seen", record.first_seen),
            };
            return self.forged.push(format!("{kid}: {what} {when}, which is yet to come"));
        }
        match record.gone_since {
            None => self.unnoted.push(kid),
            Some(since) => match until(since) {
                Some(until) if until <= mount.facts().began => {
                    self.due.push(format!("{kid}: gone since {since}, and its time was over at {until}"));
                }
                Some(until) => self.kept.push(format!("{kid} (gone since {since}, kept until {until})")),
                None => self.kept.push(format!("{kid} (gone since {since})")),
            },
        }
    }

    fn never_seen(&mut self, key: &PublicKey) {
        let kid = key.kubernetes_kid();
        self.strange.push(format!("{key} {} kid {kid}", key.short_fingerprint()));
        self.kids.push(kid);
    }

    fn in_order(self, mount: &MountScene, records: &KeyRecords) -> Finding {
        if !self.due.is_empty() {
            let count = plural(self.due.len(), "key");
            return Finding::warning(format!(
                "the mount trusts {count} that the cluster published once, for longer than it should"
            ))
            .with("pinned, no longer published", self.due.join(", "))
            .why("a key that is gone stays pinned until a bootstrap after its time, `auth.keyRetention`, takes it out")
            .mend([remake(mount, AuthMethod::Jwt)]);
        }
        if !self.unnoted.is_empty() {
            let are = if self.unnoted.len() == 1 { "is" } else { "are" };
            let keys = plural(self.unnoted.len(), "pinned key");
            return Finding::warning(format!("{keys} {are} gone from the cluster; the next bootstrap notes it"))
                .with("pinned, no longer published", self.unnoted.join(", "))
                .why("after a rotation a key stays pinned for `auth.keyRetention`, counted from the bootstrap that first misses it")
                .mend([remake(mount, AuthMethod::Jwt)]);
        }
        if !records.unreadable.is_empty() {
            return Finding::warning(
                "a part of the mount's record of published keys can't be read, and vouches for nothing",
            )
            .with("options of the mount that are no record", records.unreadable.join(", "))
            .to_do("look who may tune the mount; an option is deleted by writing it empty");
        }
        if self.kept.is_empty() {
            return Finding::passed("none");
        }
        Finding::passed(format!("none but {} rotated out: {}", plural(self.kept.len(), "key"), self.kept.join(", ")))
    }

    /// Who may not see the record can't tell a key that was rotated out from a stranger's.
    fn unknown(self) -> Finding {
        let count = plural(self.strange.len(), "key");
        Finding::warning(format!(
            "the mount trusts {count} that the cluster doesn't publish, and this token may not see whether it ever did"
        ))
        .with("pinned, not published", self.strange.join(", "))
        .why("a key that was rotated out stays for a while; with any other, somebody signs tokens that Vault takes for the cluster's")
        .to_do("grant the token: path \"sys/auth\" { capabilities = [\"read\"] }; then run this again")
    }

    fn exposed(self, mount: &MountScene, records: &KeyRecords) -> Finding {
        let count = plural(self.strange.len(), "key");
        let finding = Finding::failed(format!(
            "the mount trusts {count} that the cluster neither publishes nor was seen to publish"
        ))
        .with("pinned, never seen", self.strange.join(", "))
        .why("whoever has such a key signs tokens that Vault takes for the cluster's");
        let finding = if self.forged.is_empty() {
            finding
        } else {
            finding.with("a record that can't be true", self.forged.join(", "))
        };
        let finding = match records.unreadable.as_slice() {
            [] => finding,
            options => finding.with("options of the mount that are no record", options.join(", ")),
        };
        let remake = remake(mount, AuthMethod::Jwt);
        let Some(command) = remake.command.as_ref().filter(|_| self.kids.len() == self.strange.len()) else {
            return finding.mend([remake]);
        };
        let with = |flag| self.kids.iter().fold(command.clone(), |all, kid| all.flag(flag, kid));
        let undecided = records.keys.is_empty() || self.forged.len() == self.strange.len();
        let keep = undecided.then(|| Remedy {
            text: "or, if it was the cluster's own and was rotated out before anything true was recorded, keep it for as long \
                   as its tokens may live"
                .to_owned(),
            command: Some(with("--keep-key")),
        });
        finding.run("take it out", with("--forget-key")).mend(keep)
    }
}
