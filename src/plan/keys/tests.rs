//! A mount that is planned and written as a run does it, cut off after any write.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::desired::{DesiredTune, SaidBy};
use crate::keys::{JwsAlgorithm, KeyId, PublicKey, RECORD_LIMIT, VerificationKey, algorithms, pinned};
use crate::model::{AuthMethod, ConfigDocument};

const NOON: &str = "2026-11-23T12:00:00.5Z";

/// The n-th of many keys.
fn key(n: u8) -> PublicKey {
    static KEYS: LazyLock<Vec<PublicKey>> = LazyLock::new(|| {
        let head = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        let key = |n: u8| {
            let point = ed25519_dalek::SigningKey::from_bytes(&[n; 32]).verifying_key().to_bytes();
            PublicKey::from_spki_der(&[&head[..], &point].concat()).unwrap()
        };
        (0..60).map(key).collect()
    });
    KEYS[usize::from(n)].clone()
}

fn kid(n: u8) -> String {
    key(n).kubernetes_kid()
}

fn short(n: u8) -> String {
    key(n).short_fingerprint()
}

/// One write of a run.
type OneWrite<'a> = Box<dyn Fn(&mut World) + 'a>;

/// A cluster, and its mount as Vault has it.
#[derive(Clone)]
struct World {
    published: Vec<u8>,
    retention: u64,
    options: BTreeMap<String, String>,
    config: Option<JwtConfig>,
    decisions: KeyDecisions,
    now: Timestamp,
}

impl World {
    /// A cluster that publishes these, and no configuration yet; keys are kept for an hour.
    fn publishing(published: &[u8]) -> Self {
        Self {
            published: published.to_vec(),
            retention: 3600,
            options: BTreeMap::new(),
            config: None,
            decisions: KeyDecisions::default(),
            now: NOON.parse().unwrap(),
        }
    }

    /// The same, set up.
    fn set_up(published: &[u8]) -> Self {
        let mut world = Self::publishing(published);
        world.run();
        world
    }

    /// A mount without a record that pins these elements.
    fn unrecorded(published: &[u8], elements: &[String]) -> Self {
        let config = wanted(elements.to_vec(), published);
        Self { config: Some(config), ..Self::publishing(published) }
    }

    fn mount(&self) -> DesiredMount {
        let keys: Vec<VerificationKey> = self.published.iter().map(|n| verification_key(*n)).collect();
        let elements = keys.iter().map(|key| pinned(&key.key, key.kid.as_deref())).collect();
        DesiredMount {
            exclusive: false,
            managed: true,
            cluster: "lab".parse().unwrap(),
            path: "jwt".parse().unwrap(),
            method: AuthMethod::Jwt,
            description: None,
            tune: DesiredTune::default(),
            config: Some(ConfigDocument::Jwt(wanted(elements, &self.published))),
            keys,
            key_retention: self.retention,
            provider: SaidBy::File,
            keeps_unsaid: false,
            extensions: SaidBy::Mount,
            reviewer: None,
            roles: Vec::new(),
        }
    }

    fn plan(&self) -> KeyPlan {
        self.plan_of(&self.mount())
    }

    fn plan_of(&self, mount: &DesiredMount) -> KeyPlan {
        let Some(ConfigDocument::Jwt(wanted)) = &mount.config else { unreachable!() };
        let recorded = KeyRecords::read(&self.options);
        plan(mount, wanted, self.config.as_ref(), &recorded, &self.decisions, self.now)
    }

    /// Makes the first of the writes that a run makes; says how many there are.
    fn write(&mut self, plan: &KeyPlan, count: usize) -> usize {
        let mut writes: Vec<OneWrite<'_>> = Vec::new();
        let tune = |write: &RecordWrite| {
            let options = write.options.clone();
            move |world: &mut Self| {
                world.options.extend(options.clone());
                world.options.retain(|_, value| !value.is_empty());
            }
        };
        if let Some(written) = &plan.record.written {
            writes.push(Box::new(tune(written)));
        }
        if !plan.fields.is_empty() {
            writes.push(Box::new(|world: &mut Self| world.config = Some(plan.after.clone())));
        }
        if let Some(removed) = &plan.record.removed {
            writes.push(Box::new(tune(removed)));
        }
        writes.iter().take(count).for_each(|write| write(self));
        writes.len()
    }

    /// A run, after which there is nothing to change.
    fn run(&mut self) -> KeyPlan {
        let plan = self.plan();
        self.write(&plan, usize::MAX);
        self.in_order();
        plan
    }

    fn in_order(&self) {
        let again = self.plan();
        assert!(again.fields.is_empty(), "{:?}", again.fields);
        assert!(again.record.written.is_none() && again.record.removed.is_none());
        assert_eq!((again.replaces_trust, again.foreign), (None, Vec::new()));
    }

    /// What Vault trusts.
    fn trusted(&self) -> Vec<KeyId> {
        let elements = self.config.iter().flat_map(|config| &config.jwt_validation_pubkeys);
        let mut ids: Vec<KeyId> = elements.filter_map(|pem| Some(PublicKey::parse_pem(pem).ok()?.id())).collect();
        ids.sort();
        ids
    }

    fn trusts(&self, keys: &[u8]) {
        assert_eq!(self.trusted(), ids(keys));
    }

    fn recorded(&self, keys: &[u8]) {
        assert_eq!(KeyRecords::read(&self.options).keys.into_keys().collect::<Vec<_>>(), ids(keys));
    }

    fn pin(&mut self, element: String) {
        self.config.as_mut().unwrap().jwt_validation_pubkeys.push(element);
    }

    fn at(&mut self, time: &str) -> &mut Self {
        self.now = time.parse().unwrap();
        self
    }
}

fn ids(keys: &[u8]) -> Vec<KeyId> {
    let mut ids: Vec<KeyId> = keys.iter().map(|n| key(*n).id()).collect();
    ids.sort();
    ids
}

fn verification_key(n: u8) -> VerificationKey {
    VerificationKey { kid: Some(kid(n)), algorithm: JwsAlgorithm::used_by_kubernetes(key(n).kind()), key: key(n) }
}

fn wanted(elements: Vec<String>, published: &[u8]) -> JwtConfig {
    let keys: Vec<VerificationKey> = published.iter().map(|n| verification_key(*n)).collect();
    JwtConfig {
        bound_issuer: "https://lab".into(),
        jwt_supported_algs: algorithms(&keys).iter().map(ToString::to_string).collect(),
        jwt_validation_pubkeys: elements,
        ..JwtConfig::default()
    }
    .normalised()
}

/// An element as the version before this one wrote it.
fn noted(n: u8, gone: Option<&str>) -> String {
    let gone = gone.map(|since| format!(" gone-since={since}")).unwrap_or_default();
    format!("# kid={}{gone}\n{}", kid(n), key(n).to_pem())
}

#[test]
fn a_key_that_goes_is_kept_for_its_time_and_then_retired() {
    let mut world = World::set_up(&[1, 2]);
    world.recorded(&[1, 2]);
    world.published = vec![1];
    let first = world.run();
    // The key stays as it is; since when it is gone is all that is written.
    assert!(first.fields.is_empty() && first.replaces_trust.is_none());
    let after = first.record.written.unwrap().field.after.to_string();
    assert!(after.contains("since 2026-11-23T12:00:00Z, kept until 2026-11-23T13:00:00Z"), "{after}");
    world.trusts(&[1, 2]);

    let later = world.at("2026-11-23T12:59:59Z").run();
    assert_eq!(later.retained.len(), 1);
    assert_eq!(later.retained[0].until, "2026-11-23T13:00:00Z".parse().unwrap());
    assert!(later.record.written.is_none(), "a run that changes nothing writes nothing");
    world.trusts(&[1, 2]);

    let last = world.at("2026-11-23T13:00:00Z").run();
    assert_eq!((last.replaces_trust, last.retained), (None, Vec::new()));
    assert!(last.fields[0].before.as_ref().unwrap().to_string().contains("gone since 2026-11-23T12:00:00Z, retired"));
    world.trusts(&[1]);
    world.recorded(&[1]);
}

#[test]
fn a_key_that_comes_back_is_published_again_and_has_all_its_time_when_it_goes_again() {
    let mut world = World::set_up(&[1, 2]);
    world.published = vec![1];
    world.run();
    world.published = vec![1, 2];
    world.at("2026-11-23T12:50:00Z").run();
    world.published = vec![1];
    let gone = world.at("2026-11-23T15:00:00Z").run();
    assert_eq!(gone.retained[0].until, "2026-11-23T16:00:00Z".parse().unwrap());
}

#[test]
fn no_comment_makes_a_key_the_clusters() {
    for comment in [None, Some("2026-11-23T11:59:59Z"), Some("2999-01-01T00:00:00Z")] {
        let mut world = World::set_up(&[1]);
        world.pin(noted(9, comment));
        let plan = world.plan();
        let said = plan.replaces_trust.as_ref().unwrap();
        assert!(said.contains("was never seen to publish") && said.contains(&short(9)), "{said}");
        assert_eq!((plan.foreign.len(), plan.foreign[0].undecided), (1, false));
        assert_eq!(plan.retained, []);
        world.write(&plan, usize::MAX);
        world.trusts(&[1]);
        world.in_order();
    }
    // Nor does it take one away: a forged note on a key that is published, or kept.
    let mut world = World::set_up(&[1, 2]);
    world.published = vec![1];
    world.run();
    let forged = "2020-01-01T00:00:00Z";
    world.config.as_mut().unwrap().jwt_validation_pubkeys = vec![noted(1, Some(forged)), noted(2, Some(forged))];
    world.in_order();
    assert_eq!(world.plan().retained.len(), 1);
}

#[test]
fn text_around_a_key_and_another_encoding_of_it_are_no_difference() {
    let mut world = World::set_up(&[1]);
    for element in [key(1).to_pem(), format!("# by hand\n{}", key(1).to_pem()), key(1).to_pem().replace('\n', "\r\n")] {
        world.config.as_mut().unwrap().jwt_validation_pubkeys = vec![element];
        world.in_order();
    }
}

#[test]
fn a_record_of_a_time_to_come_vouches_for_no_key() {
    let rotated_out_at = |time: &str| {
        let mut world = World::set_up(&[1, 2]);
        world.published = vec![1];
        world.at(time);
        world.run();
        world.at(NOON);
        world
    };
    let mut world = rotated_out_at("2999-01-01T00:00:00Z");
    let plan = world.plan();
    assert!(plan.warnings[0].contains("what is yet to come (2999-01-01T00:00:00Z)"), "{:?}", plan.warnings);
    assert_eq!((plan.foreign.len(), plan.foreign[0].undecided), (1, true), "{:?}", plan.foreign);
    assert!(plan.replaces_trust.is_some() && plan.retained.is_empty(), "{:?}", plan.retained);
    // Whoever vouches for it keeps it from now on, and not for ever.
    let mut kept = world.clone();
    kept.decisions.keep = vec![kid(2)];
    let plan = kept.plan();
    kept.write(&plan, usize::MAX);
    kept.decisions.keep.clear();
    let plan = kept.plan();
    assert_eq!((plan.warnings, plan.foreign), (vec![], vec![]));
    assert_eq!(plan.retained[0].gone_since, "2026-11-23T12:00:00Z".parse().unwrap());
    // Without that, it goes with its record.
    world.run();
    world.trusts(&[1]);
    world.recorded(&[1]);
    world.in_order();
    // A first sight that is yet to come vouches for nothing either, and of a key that is published it is as of now.
    let mut world = World::publishing(&[1, 2]);
    world.at("2999-01-01T00:00:00Z");
    world.run();
    world.at(NOON);
    world.published = vec![1];
    assert!(world.plan().foreign[0].undecided);
    world.run();
    let seen: Vec<_> = KeyRecords::read(&world.options).keys.into_values().map(|record| record.first_seen).collect();
    assert!(!seen.is_empty() && seen.iter().all(|seen| *seen <= world.now), "{seen:?}");
    // Clocks that differ a little are no fault, and keep it no longer.
    let world = rotated_out_at("2026-11-23T12:04:00Z");
    let plan = world.plan();
    assert_eq!((plan.foreign.len(), plan.warnings.len()), (0, 0));
    assert_eq!(plan.retained[0].gone_since, "2026-11-23T12:00:00Z".parse().unwrap());
}

#[test]
fn without_retention_a_key_that_goes_is_dropped_at_once() {
    let mut world = World::set_up(&[1, 2]);
    world.published = vec![1];
    world.retention = 0;
    let plan = world.run();
    assert_eq!(plan.replaces_trust, None);
    world.trusts(&[1]);
    world.recorded(&[1]);
    // The same for one that was kept when there was a retention.
    let mut world = World::set_up(&[1, 2]);
    world.published = vec![1];
    world.run();
    world.retention = 0;
    world.run();
    world.trusts(&[1]);
    world.recorded(&[1]);
}

#[test]
fn a_key_that_is_named_goes_at_once() {
    for name in [kid(2), short(2), key(2).fingerprint()] {
        let mut world = World::set_up(&[1, 2]);
        world.published = vec![1];
        world.run();
        world.decisions.forget = vec![name];
        assert_eq!(world.run().replaces_trust, None);
        world.decisions = KeyDecisions::default();
        world.trusts(&[1]);
        world.recorded(&[1]);
        // From now on it is anybody's.
        world.pin(noted(2, None));
        assert_eq!(world.plan().foreign.len(), 1);
    }
}

#[test]
fn what_an_earlier_version_set_up_is_recorded_as_far_as_it_is_published() {
    let mut world = World::unrecorded(&[1, 2], &[noted(1, None), noted(2, None)]);
    let plan = world.run();
    assert!(plan.fields.is_empty() && plan.replaces_trust.is_none());
    assert!(plan.notes[0].contains("has no record yet"), "{:?}", plan.notes);
    world.recorded(&[1, 2]);
    assert_eq!(world.plan().notes, Vec::<String>::new());
}

#[test]
fn nobody_is_locked_out_by_an_upgrade_and_nobody_let_in_by_a_comment() {
    let old = noted(2, Some("2026-11-23T11:30:00Z"));
    let mut world = World::unrecorded(&[1], &[noted(1, None), old]);
    let plan = world.plan();
    assert!(plan.foreign[0].undecided && plan.replaces_trust.is_some());

    // Kept by name, from when the comment says.
    world.decisions.keep = vec![kid(2)];
    let kept = world.run();
    assert_eq!((kept.replaces_trust, kept.foreign.len()), (None, 0));
    assert_eq!(kept.retained[0].until, "2026-11-23T12:30:00Z".parse().unwrap());
    // The flag says nothing more once it is recorded, and is not needed any more.
    world.in_order();
    world.decisions = KeyDecisions::default();
    world.in_order();
    world.trusts(&[1, 2]);
    world.at("2026-11-23T12:30:00Z").run();
    world.trusts(&[1]);
}

#[test]
fn a_comment_shortens_what_the_operator_asks_for_and_never_lengthens_or_undoes_it() {
    for (note, until) in [
        (None, "2026-11-23T13:00:00Z"),
        (Some("2026-11-23T11:30:00Z"), "2026-11-23T12:30:00Z"),
        (Some("2020-01-01T00:00:00Z"), "2026-11-23T13:00:00Z"),
        (Some("2999-01-01T00:00:00Z"), "2026-11-23T13:00:00Z"),
    ] {
        let mut world = World::unrecorded(&[1], &[noted(1, None), noted(2, note)]);
        world.decisions.keep = vec![kid(2)];
        assert_eq!(world.run().retained[0].until, until.parse().unwrap(), "{note:?}");
    }
    // Where there is a record, comments are read no more at all.
    let mut world = World::set_up(&[1]);
    world.pin(noted(2, Some("2026-11-23T11:30:00Z")));
    world.decisions.keep = vec![kid(2)];
    assert_eq!(world.run().retained[0].until, "2026-11-23T13:00:00Z".parse().unwrap());
}

#[test]
fn nothing_is_kept_of_a_trust_that_is_replaced() {
    let mut world = World::set_up(&[1]);
    world.published = vec![2];
    let plan = world.run();
    assert!(plan.replaces_trust.unwrap().contains("none of the 1 keys"));
    world.trusts(&[2]);
    world.recorded(&[2]);

    let mut world = World::set_up(&[1, 2]);
    world.published = vec![1];
    world.config.as_mut().unwrap().bound_issuer = "https://other".into();
    let plan = world.run();
    assert!(plan.replaces_trust.unwrap().contains("https://other"));
    assert_eq!(plan.foreign, []);
    world.trusts(&[1]);
    world.recorded(&[1]);

    let mut world = World::set_up(&[1]);
    let url = JwtConfig { jwks_url: "https://k/jwks".into(), jwt_validation_pubkeys: vec![], ..world.config.unwrap() };
    world.config = Some(url);
    assert!(world.run().replaces_trust.unwrap().contains("jwks_url https://k/jwks"));
}

#[test]
fn several_sources_of_keys_are_not_replaced_unasked() {
    let mut world = World::publishing(&[1]);
    let pairs = vec![json!({ "jwks_url": "https://production/keys" })];
    world.config = Some(JwtConfig { jwks_pairs: pairs, ..JwtConfig::default() });
    let plan = world.plan();
    let said = "it takes its keys from 1 jwks_pairs (https://production/keys) now, and would from pinned ones";
    assert_eq!(plan.replaces_trust.unwrap(), said);
    // What is written never has the field: beside pinned keys a server would refuse it.
    assert!(json!(plan.after).get("jwks_pairs").is_none());
}

#[test]
fn what_no_file_says_of_certificates_is_no_change_and_is_kept_by_one() {
    let mut world = World::set_up(&[1]);
    let extensions = vec!["2.5.29.9".to_owned()];
    world.config.as_mut().unwrap().unsupported_critical_cert_extensions.clone_from(&extensions);
    assert_eq!(world.plan().fields, []);
    world.config.as_mut().unwrap().bound_issuer = "https://other".into();
    let plan = world.plan();
    assert!(plan.fields.iter().all(|field| field.field == "bound_issuer"), "{:?}", plan.fields);
    assert_eq!(plan.after.unsupported_critical_cert_extensions, extensions);
}

#[test]
fn extensions_of_certificates_that_the_file_says_are_written() {
    let mut world = World::set_up(&[1]);
    let there = vec!["2.5.29.9".to_owned()];
    world.config.as_mut().unwrap().unsupported_critical_cert_extensions.clone_from(&there);
    for wanted in [vec!["1.2.3.4".to_owned()], Vec::new()] {
        let mut mount = world.mount();
        mount.extensions = SaidBy::File;
        let Some(ConfigDocument::Jwt(config)) = &mut mount.config else { panic!("it is a jwt mount") };
        config.unsupported_critical_cert_extensions.clone_from(&wanted);
        let plan = world.plan_of(&mount);
        let fields: Vec<&str> = plan.fields.iter().map(|field| field.field.as_str()).collect();
        assert_eq!(fields, ["unsupported_critical_cert_extensions"]);
        assert_eq!(plan.after.unsupported_critical_cert_extensions, wanted);
    }
}

#[test]
fn where_vault_fetches_the_keys_nothing_is_recorded() {
    let world = World::set_up(&[1, 2]);
    let mut mount = world.mount();
    let fetched = JwtConfig { jwks_url: "https://k/jwks".into(), ..wanted(Vec::new(), &[1]) };
    mount.config = Some(ConfigDocument::Jwt(fetched.clone()));
    mount.key_retention = 0;
    let recorded = KeyRecords::read(&world.options);
    let now = world.now;
    let decisions = KeyDecisions::default();
    let plan = plan(&mount, &fetched, world.config.as_ref(), &recorded, &decisions, now);
    assert!(plan.record.written.is_none() && plan.replaces_trust.is_some());
    assert_eq!(plan.record.removed.unwrap().options.len(), 2);
    assert_eq!(plan.after, fetched);
}

#[test]
fn what_can_not_be_read_is_told_and_goes_only_as_trust_that_is_replaced() {
    let mut world = World::set_up(&[1]);
    world.pin("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----".to_owned());
    let plan = world.plan();
    assert!(plan.replaces_trust.as_ref().unwrap().contains("an element that can't be read"));
    assert_eq!(plan.foreign[0].kid, None);
    world.write(&plan, usize::MAX);
    world.in_order();

    // A record that can't be read vouches for nothing, is told by every plan, and is left.
    let mut world = World::set_up(&[1, 2]);
    let option = format!("vaultk8s-key-{}", kid(2));
    world.options.insert(option.clone(), "trust me".to_owned());
    world.published = vec![1];
    let plan = world.plan();
    assert!(plan.warnings[0].contains(&option), "{:?}", plan.warnings);
    assert!(plan.fields[0].before.as_ref().unwrap().to_string().contains("its record can't be read"));
    world.write(&plan, usize::MAX);
    world.trusts(&[1]);
    assert_eq!(world.plan().warnings.len(), 1);
    assert_eq!(world.options[&option], "trust me");
    // Of a key that is published it is written anew.
    world.published = vec![1, 2];
    world.run();
    world.recorded(&[1, 2]);
}

#[test]
fn other_peoples_options_are_left_alone() {
    let mut world = World::set_up(&[1, 2]);
    world.options.insert("team".into(), "platform".into());
    world.published = vec![1];
    for time in [NOON, "2026-11-23T18:00:00Z"] {
        world.at(time).run();
        assert_eq!(world.options["team"], "platform");
    }
}

#[test]
fn a_record_that_is_full_drops_what_is_gone_for_longest() {
    let mut world = World::publishing(&[0]);
    world.retention = u64::MAX;
    let mut warned = Vec::new();
    for n in 1..60_u8 {
        world.published = vec![n - 1, n];
        world.now = format!("2026-11-{:02}T{:02}:00:00Z", 1 + n / 24, n % 24).parse().unwrap();
        warned.extend(world.run().warnings);
        let size: usize = world.options.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(size <= RECORD_LIMIT, "{size} bytes");
    }
    assert!(warned.iter().any(|said| said.contains("is full") && said.contains(&short(0))), "{warned:?}");
    let (trusted, kept) = (world.trusted(), world.plan().retained);
    assert!(kept.len() > 15 && trusted.len() == kept.len() + 2);
    assert!(trusted.contains(&key(57).id()) && !trusted.contains(&key(0).id()));

    // More keys than there is room for are all trusted while they are published.
    let many: Vec<u8> = (0..60).collect();
    let mut world = World::publishing(&many);
    let warned = world.run().warnings;
    assert!(warned[0].contains("can't be recorded"), "{warned:?}");
    world.trusts(&many);
}

#[test]
fn a_key_with_a_long_name_is_recorded_by_its_digest() {
    let mut world = World::publishing(&[1]);
    let mut mount = world.mount();
    mount.keys[0].kid = Some("k".repeat(500));
    let Some(ConfigDocument::Jwt(wanted)) = &mount.config else { unreachable!() };
    let decisions = KeyDecisions::default();
    let plan = plan(&mount, wanted, None, &KeyRecords::default(), &decisions, world.now);
    world.write(&plan, usize::MAX);
    world.recorded(&[1]);
}

/// A step in the life of a mount.
#[derive(Debug, Clone)]
enum Step {
    /// The cluster publishes these, from one that it published before to others.
    Publish(Vec<u8>),
    /// Minutes go by.
    Wait(i64),
    /// A run that ends after so many writes.
    CutOff(usize),
    /// A run.
    Run,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => prop::collection::btree_set(0..6_u8, 0..3).prop_map(|keys| Step::Publish(keys.into_iter().collect())),
        2 => (1..90_i64).prop_map(Step::Wait),
        3 => (0..3_usize).prop_map(Step::CutOff),
        2 => Just(Step::Run),
    ];
    prop::collection::vec(step, 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the cluster publishes and wherever runs are cut off: no key of its own is ever taken for a stranger's, what
    /// is trusted was published at some time, and the next whole run leaves nothing to do.
    #[test]
    fn a_run_may_end_after_any_write(steps in steps()) {
        // One key is always published, so that trust is never replaced altogether.
        let mut world = World::set_up(&[9]);
        let mut ever: Vec<u8> = vec![9];
        for step in steps {
            match step {
                Step::Publish(keys) => {
                    ever.extend(&keys);
                    world.published = keys.into_iter().chain([9]).collect();
                }
                Step::Wait(minutes) => world.now += jiff::SignedDuration::from_mins(minutes),
                Step::CutOff(writes) => {
                    let plan = world.plan();
                    prop_assert_eq!(&plan.replaces_trust, &None);
                    prop_assert_eq!(&plan.foreign, &Vec::new());
                    world.write(&plan, writes);
                }
                Step::Run => {
                    let plan = world.run();
                    prop_assert_eq!(&plan.replaces_trust, &None);
                }
            }
            let ever = ids(&ever);
            prop_assert!(world.trusted().iter().all(|id| ever.contains(id)));
        }
        world.run();
        let published = ids(&world.published);
        prop_assert!(published.iter().all(|id| world.trusted().contains(id)));
        prop_assert_eq!(world.plan().foreign, Vec::new());
        // And in the end nothing is left of what is over.
        world.now += jiff::SignedDuration::from_hours(2);
        world.run();
        prop_assert_eq!(world.trusted(), published.clone());
        prop_assert_eq!(KeyRecords::read(&world.options).keys.into_keys().collect::<Vec<_>>(), published);
    }
}
