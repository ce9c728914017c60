//! The keys of a jwt mount: what is trusted now against what will be, and the rotation of pinned keys.
//!
//! A key that the cluster no longer publishes stays pinned for as long as its last tokens may live
//! (`auth.keyRetention`). Since when it is gone stands in the comment above its PEM block (`keys::pinned`), so the mount
//! itself remembers it, whoever runs this tool next and wherever. The first run that misses a key writes the comment,
//! later ones leave it, and the first after the time is over takes the key out.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::fields::{FieldChange, changed};
use crate::desired::DesiredMount;
use crate::keys::{JwsAlgorithm, PublicKey, gone_since, noted_kid, pinned};
use crate::vault::JwtConfig;

/// What becomes of a jwt mount's configuration.
pub(super) struct JwtConfigChange {
    /// All of it, with the keys that are kept.
    pub(super) after: JwtConfig,
    /// The fields that change, with keys as a person tells them apart.
    pub(super) fields: Vec<FieldChange>,
    /// What is trusted now and would not be any more.
    pub(super) replaces_trust: Option<String>,
}

/// Compares what a mount holds with what it should hold. A mount that isn't configured yet holds nothing.
pub(super) fn jwt_config_change(
    mount: &DesiredMount,
    wanted: &JwtConfig,
    there: Option<&JwtConfig>,
    now: Timestamp,
) -> JwtConfigChange {
    let rotation = Rotation { mount, now };
    let Some(before) = there.filter(|there| **there != JwtConfig::default()) else {
        let fields = changed(None, &json!(rotation.described(wanted)));
        return JwtConfigChange { after: wanted.clone(), fields, replaces_trust: None };
    };
    let replaces_trust = trust_replaced(before, wanted);
    // Keys of a trust that ends were never this cluster's, as far as anybody can tell from here.
    let after = if replaces_trust.is_some() { wanted.clone() } else { rotation.keeping(wanted, before) };
    let fields = changed(Some(&json!(rotation.described(before))), &json!(rotation.described(&after)));
    JwtConfigChange { after, fields, replaces_trust }
}

/// A run's view on the keys of a mount.
struct Rotation<'a> {
    mount: &'a DesiredMount,
    now: Timestamp,
}

impl Rotation<'_> {
    /// The wanted configuration with those pinned keys beside it whose tokens may still live, and their algorithms.
    fn keeping(&self, wanted: &JwtConfig, before: &JwtConfig) -> JwtConfig {
        let mut after = wanted.clone();
        if wanted.jwt_validation_pubkeys.is_empty() {
            return after;
        }
        let pinned_here = before.jwt_validation_pubkeys.iter().any(|pem| noted_kid(pem).is_some());
        for pem in &before.jwt_validation_pubkeys {
            let Ok(key) = PublicKey::parse_pem(pem) else { continue };
            if key.weakness().is_some() || self.is_published(&key) {
                continue;
            }
            // Among keys that this tool pinned, one without its note was put in by hand: that is no rotation. Where it
            // pinned none, as in a mount that is adopted, nothing tells them apart.
            if pinned_here && noted_kid(pem).is_none() {
                continue;
            }
            // A time to come is a clock that is wrong somewhere: counted from now, it can't keep a key for ever.
            let noted = gone_since(pem).filter(|since| *since <= self.now);
            if self.until(noted.unwrap_or(self.now)) <= self.now {
                continue;
            }
            after.jwt_supported_algs.push(JwsAlgorithm::used_by_kubernetes(key.kind()).to_string());
            after.jwt_validation_pubkeys.push(if noted.is_some() {
                pem.clone()
            } else {
                let now = Timestamp::from_second(self.now.as_second()).unwrap_or(self.now);
                pinned(&key, noted_kid(pem), Some(now))
            });
        }
        after.normalised()
    }

    fn is_published(&self, key: &PublicKey) -> bool {
        self.mount.keys.iter().any(|published| published.key == *key)
    }

    /// Until when a key is kept that is gone since then.
    fn until(&self, since: Timestamp) -> Timestamp {
        since.checked_add(Duration::from_secs(self.mount.key_retention)).unwrap_or(Timestamp::MAX)
    }

    /// The configuration with its keys as a person tells them apart, so that other text around a PEM block, or another
    /// encoding of it, is no difference.
    fn described(&self, config: &JwtConfig) -> JwtConfig {
        let keys = config.jwt_validation_pubkeys.iter().map(|pem| self.describe(pem));
        JwtConfig { jwt_validation_pubkeys: keys.collect(), ..config.clone() }.normalised()
    }

    /// A key by its kind, its fingerprint, and the `kid` that the cluster gives it, and what becomes of it if it is gone.
    fn describe(&self, pem: &str) -> String {
        let Ok(key) = PublicKey::parse_pem(pem) else { return pem.to_owned() };
        let published = self.mount.keys.iter().find(|published| published.key == key);
        let kid = match (published, noted_kid(pem)) {
            (Some(published), _) => published.kid.clone(),
            (None, Some(noted)) => Some(noted.to_owned()),
            (None, None) => Some(key.kubernetes_kid()),
        };
        let name = match kid {
            Some(kid) => format!("{key} {} kid {kid}", key.short_fingerprint()),
            None => format!("{key} {}", key.short_fingerprint()),
        };
        match gone_since(pem) {
            None => name,
            Some(since) if self.until(since) <= self.now => format!("{name}, gone since {since}, retired"),
            Some(since) => format!("{name}, gone from the cluster since {since}, kept until {}", self.until(since)),
        }
    }
}

/// What the mount trusts now and would not any more, if that is more than a rotation of keys.
fn trust_replaced(before: &JwtConfig, after: &JwtConfig) -> Option<String> {
    if before.bound_issuer != after.bound_issuer && !before.bound_issuer.is_empty() {
        return Some(format!(
            "it trusts the issuer {:?} now, and would trust {:?}",
            before.bound_issuer, after.bound_issuer
        ));
    }
    if source(before) != source(after) {
        return Some(format!("it takes its keys from {} now, and would from {}", source(before), source(after)));
    }
    for (field, before, after) in [
        ("jwks_ca_pem", &before.jwks_ca_pem, &after.jwks_ca_pem),
        ("oidc_discovery_ca_pem", &before.oidc_discovery_ca_pem, &after.oidc_discovery_ca_pem),
    ] {
        // Without one, the server trusts every authority of its system: naming one is less.
        if before != after && !before.is_empty() {
            return Some(format!("it trusts the server of its keys by another CA ({field}) now"));
        }
    }
    let keys = |config: &JwtConfig| -> BTreeSet<String> {
        let pems = config.jwt_validation_pubkeys.iter();
        pems.map(|pem| PublicKey::parse_pem(pem).map_or_else(|_| pem.clone(), |key| key.fingerprint())).collect()
    };
    let (before, after) = (keys(before), keys(after));
    (!before.is_empty() && before.is_disjoint(&after)).then(|| {
        format!("none of the {} keys that it trusts now is among the {} of this cluster", before.len(), after.len())
    })
}

/// Where a mount takes its keys from, in words.
fn source(config: &JwtConfig) -> String {
    if !config.jwks_url.is_empty() {
        format!("jwks_url {}", config.jwks_url)
    } else if !config.oidc_discovery_url.is_empty() {
        format!("oidc_discovery_url {}", config.oidc_discovery_url)
    } else if !config.jwks_pairs.is_empty() {
        format!("{} jwks_pairs", config.jwks_pairs.len())
    } else {
        "pinned ones".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Jwks;
    use crate::vault::{AuthMethod, ConfigDocument};

    const OLD: &str = include_str!("../../testdata/jwks/p384.pem");
    const STAYS: &str = include_str!("../../testdata/jwks/p256.pem");

    /// A mount of a cluster that publishes [`STAYS`] alone, and keeps others for an hour.
    fn mount() -> DesiredMount {
        DesiredMount {
            tune: crate::desired::DesiredTune::default(),
            exclusive: false,
            cluster: "lab".parse().unwrap(),
            path: "jwt".parse().unwrap(),
            method: AuthMethod::Jwt,
            description: None,
            config: Some(ConfigDocument::Jwt(pinning(&[STAYS], &["ES256"]))),
            keys: Jwks::parse(include_str!("../../testdata/jwks/p256.json")).unwrap().into_keys().unwrap(),
            key_retention: 3600,
            reviewer: None,
            roles: Vec::new(),
        }
    }

    fn pinning(pems: &[&str], algorithms: &[&str]) -> JwtConfig {
        JwtConfig {
            bound_issuer: "https://lab".into(),
            jwt_supported_algs: algorithms.iter().map(ToString::to_string).collect(),
            jwt_validation_pubkeys: pems.iter().map(ToString::to_string).collect(),
            ..JwtConfig::default()
        }
        .normalised()
    }

    fn change(mount: &DesiredMount, there: &JwtConfig, now: &str) -> JwtConfigChange {
        let Some(ConfigDocument::Jwt(wanted)) = &mount.config else { unreachable!() };
        jwt_config_change(mount, wanted, Some(there), now.parse().unwrap())
    }

    #[test]
    fn a_key_that_goes_is_kept_for_its_time_and_then_retired() {
        let mount = mount();
        let rotated = pinning(&[STAYS, OLD], &["ES256", "ES384"]);
        let first = change(&mount, &rotated, "2026-11-23T12:00:00.5Z");
        assert_eq!(first.replaces_trust, None);
        assert_eq!(first.fields.len(), 1);
        let after = first.fields[0].after.to_string();
        assert!(after.contains("since 2026-11-23T12:00:00Z, kept until 2026-11-23T13:00:00Z"), "{after}");
        assert_eq!(first.after.jwt_supported_algs, ["ES256", "ES384"]);
        let kept = first.after.jwt_validation_pubkeys.iter().find(|pem| pem.contains("gone-since=")).unwrap();
        assert!(kept.starts_with("# kid=") && kept.contains(" gone-since=2026-11-23T12:00:00Z\n-----BEGIN"), "{kept}");

        let later = change(&mount, &first.after, "2026-11-23T12:59:59Z");
        assert!(later.fields.is_empty());
        assert_eq!(later.after, first.after);

        let last = change(&mount, &first.after, "2026-11-23T13:00:00Z");
        assert_eq!(last.after, pinning(&[STAYS], &["ES256"]));
        assert_eq!(last.replaces_trust, None);
        let before = last.fields.iter().find(|field| field.field == "jwt_validation_pubkeys").unwrap().before.clone();
        assert!(before.unwrap().to_string().contains("gone since 2026-11-23T12:00:00Z, retired"));
    }

    #[test]
    fn several_sources_of_keys_are_not_replaced_unasked() {
        let pairs = vec![json!({ "jwks_url": "https://production/keys" })];
        let there = JwtConfig { jwks_pairs: pairs, ..JwtConfig::default() };
        let change = change(&mount(), &there, "2026-11-23T12:00:00Z");
        assert_eq!(
            change.replaces_trust.unwrap(),
            "it takes its keys from 1 jwks_pairs now, and would from pinned ones"
        );
        // What is written never has the field: beside pinned keys a server would refuse it.
        assert!(json!(change.after).get("jwks_pairs").is_none());
    }

    #[test]
    fn without_retention_a_key_that_goes_is_dropped_at_once() {
        let mount = DesiredMount { key_retention: 0, ..mount() };
        let change = change(&mount, &pinning(&[STAYS, OLD], &["ES256", "ES384"]), "2026-11-23T12:00:00Z");
        assert_eq!(change.after, pinning(&[STAYS], &["ES256"]));
    }

    #[test]
    fn other_comments_are_no_difference_and_a_key_that_comes_back_loses_its_note() {
        let mount = mount();
        let now = "2026-11-23T12:00:00Z";
        let commented = format!("# by hand\n{STAYS}");
        assert!(change(&mount, &pinning(&[&commented], &["ES256"]), now).fields.is_empty());
        // Else its old note would retire it on the day that it goes again.
        let back = format!("# kid=x gone-since=2026-11-23T11:30:00Z\n{STAYS}");
        let change = change(&mount, &pinning(&[&back], &["ES256"]), now);
        assert_eq!(change.fields.len(), 1);
        assert_eq!(change.after, pinning(&[STAYS], &["ES256"]));
    }

    #[test]
    fn a_key_that_was_put_in_by_hand_is_taken_out_at_once() {
        let mount = mount();
        let now = "2026-11-23T12:00:00Z";
        let ours = format!("# kid=x\n{STAYS}");
        let mended = change(&mount, &pinning(&[&ours, OLD], &["ES256"]), now);
        assert_eq!((mended.after, mended.replaces_trust), (pinning(&[STAYS], &["ES256"]), None));
        let rotated = change(&mount, &pinning(&[&ours, &format!("# kid=y\n{OLD}")], &["ES256"]), now);
        assert!(rotated.after.jwt_validation_pubkeys.iter().any(|pem| pem.starts_with("# kid=y gone-since=")));
    }

    #[test]
    fn a_note_from_the_future_does_not_keep_a_key_for_ever() {
        let noted = format!("# kid=x gone-since=2999-01-01T00:00:00Z\n{OLD}");
        let change = change(&mount(), &pinning(&[STAYS, &noted], &["ES256", "ES384"]), "2026-11-23T12:00:00Z");
        assert!(change.after.jwt_validation_pubkeys.iter().any(|pem| pem.contains("gone-since=2026-11-23T12:00:00Z")));
    }

    #[test]
    fn nothing_is_kept_of_a_trust_that_is_replaced() {
        let mount = mount();
        let now = "2026-11-23T12:00:00Z";
        let foreign = pinning(&[OLD], &["ES384"]);
        let none_in_common = change(&mount, &foreign, now);
        assert!(none_in_common.replaces_trust.unwrap().contains("none of the 1 keys"));
        assert_eq!(none_in_common.after, pinning(&[STAYS], &["ES256"]));

        let issuer = JwtConfig { bound_issuer: "https://other".into(), ..pinning(&[STAYS, OLD], &["ES256"]) };
        let other_issuer = change(&mount, &issuer, now);
        assert!(other_issuer.replaces_trust.unwrap().contains("https://other"));
        assert_eq!(other_issuer.after, pinning(&[STAYS], &["ES256"]));

        let url = JwtConfig { jwks_url: "https://k/jwks".into(), ..pinning(&[], &["ES256"]) };
        assert!(change(&mount, &url, now).replaces_trust.unwrap().contains("jwks_url https://k/jwks"));
    }
}
