//! Whether the keys that the operator names are there to be decided about.

use std::collections::BTreeMap;

use crate::desired::{Desired, DesiredMount};
use crate::error::{Error, Result};
use crate::keys::{KeyId, KeyRecords, PublicKey, is_named};
use crate::model::{ConfigDocument, Observed};
use crate::text::printable;

/// What is known of a key on one mount.
#[derive(Default)]
struct Known {
    kid: String,
    published: bool,
    recorded: bool,
    pinned: Option<PublicKey>,
}

impl Known {
    fn state(&self) -> &'static str {
        match (self.published, self.pinned.is_some(), self.recorded) {
            (true, ..) => "published",
            (_, true, true) => "gone, kept for a while",
            (_, true, false) => "pinned, never seen to be published",
            (_, false, _) => "gone",
        }
    }
}

/// Refuses `--keep-key` and `--forget-key` where they would do nothing, or something else than what was meant.
///
/// # Errors
/// When no mount has such a key, when one that is to go is published and so would be pinned again, or when one that is to stay
/// can't be kept.
pub fn check_key_decisions(desired: &Desired, observed: &Observed) -> Result<()> {
    if desired.keys.forget.is_empty() && desired.keys.keep.is_empty() {
        return Ok(());
    }
    let mounts: Vec<_> =
        desired.mounts.iter().filter(|mount| mount.managed).map(|mount| (mount, known(mount, observed))).collect();
    let named = |word: &str, counts: &dyn Fn(&Known) -> bool| {
        let mut named = Vec::new();
        for (mount, keys) in &mounts {
            let here = keys.iter().filter(|(id, known)| counts(known) && is_named(word, id, &known.kid));
            named.extend(here.map(|(id, known)| (*mount, id, known)));
        }
        named
    };
    for word in &desired.keys.forget {
        let all = named(word, &|_| true);
        if all.is_empty() {
            return Err(unknown("--forget-key", word, &mounts));
        }
        if let Some((mount, ..)) = all.first().filter(|_| all.iter().all(|(.., known)| known.published)) {
            return Err(Error::failed(format!(
                "--forget-key {word}: cluster {} publishes this key now, so it would be pinned again by the next run",
                mount.cluster
            ))
            .remedy(
                "take it out of the cluster first: sign with another key (--service-account-signing-key-file) and leave this \
                 one out of every --service-account-key-file of its API servers; then run this again",
            )
            .remedy(
                "until the cluster can be changed, pin from a JWKS without it: `issuer:` and `jwksFile:` in place of \
                 `context:`",
            ));
        }
    }
    for word in &desired.keys.keep {
        let all = named(word, &|known| known.published || known.pinned.is_some());
        if all.is_empty() {
            return Err(unknown("--keep-key", word, &mounts));
        }
        for (mount, id, known) in all.into_iter().filter(|(.., known)| !known.published) {
            if mount.key_retention == 0 {
                return Err(Error::usage(format!(
                    "--keep-key {word}: cluster {} says `keyRetention: 0`, so no key is kept",
                    mount.cluster
                ))
                .remedy("leave the flag out, or say for how long: `keyRetention: 24h`"));
            }
            if let Some(weakness) = known.pinned.as_ref().and_then(PublicKey::weakness) {
                return Err(Error::failed(format!("--keep-key {word}: {} can't be trusted: {weakness}", id.short()))
                    .remedy(format!("let it go: --forget-key {word}")));
            }
        }
    }
    Ok(())
}

/// The keys of a mount: published, pinned, recorded.
fn known(mount: &DesiredMount, observed: &Observed) -> BTreeMap<KeyId, Known> {
    let mut known: BTreeMap<KeyId, Known> = BTreeMap::new();
    let Some(ConfigDocument::Jwt(wanted)) = &mount.config else { return known };
    if wanted.jwt_validation_pubkeys.is_empty() {
        return known;
    }
    let records = observed.auth_mounts.get(mount.path.as_str()).map(|there| KeyRecords::read(&there.options));
    for (id, record) in records.into_iter().flat_map(|records| records.keys) {
        known.insert(id, Known { kid: record.known_as(&id), recorded: true, ..Known::default() });
    }
    if let Some(ConfigDocument::Jwt(there)) = observed.mounts.get(&mount.path).and_then(|there| there.config.as_ref()) {
        for key in there.jwt_validation_pubkeys.iter().filter_map(|element| PublicKey::parse_pem(element).ok()) {
            let entry =
                known.entry(key.id()).or_insert_with(|| Known { kid: key.kubernetes_kid(), ..Known::default() });
            entry.pinned = Some(key);
        }
    }
    for published in &mount.keys {
        let entry = known.entry(published.key.id()).or_default();
        entry.published = true;
        entry.kid = published.kid.clone().unwrap_or_else(|| published.key.kubernetes_kid());
    }
    known
}

fn unknown(flag: &str, word: &str, mounts: &[(&DesiredMount, BTreeMap<KeyId, Known>)]) -> Error {
    let keys = mounts.iter().flat_map(|(mount, keys)| {
        keys.iter().map(|(id, known)| {
            format!("auth/{}: {} {} ({})", mount.path, printable(&known.kid), id.short(), known.state())
        })
    });
    let keys: Vec<String> = keys.collect();
    let error = Error::usage(format!("{flag} {word}: there is no such key"));
    if keys.is_empty() {
        return error.remedy("no mount of this run has pinned keys: leave the flag out");
    }
    error.remedy(format!("name one of these, by its kid or its fingerprint:\n{}", keys.join("\n")))
}
