//! The cluster's keys rotate, and no token that still lives is locked out.

use lab::{ControlPlaneOptions, KeyKind, ServiceAccountKey};
use serde_json::json;

use super::Own;

fn options(keys: &[&ServiceAccountKey]) -> ControlPlaneOptions {
    ControlPlaneOptions { keys: keys.iter().map(|key| (*key).clone()).collect(), ..ControlPlaneOptions::default() }
}

/// The recorded keys that are noted as gone: the options and their values.
fn gone(own: &Own) -> Vec<(String, String)> {
    own.record().into_iter().filter(|(_, value)| value.contains("gone-since=")).collect()
}

#[test]
fn keys_come_at_once_and_go_when_their_tokens_are_over() {
    let vault = lab::shared().vault();
    let first = ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap();
    let second = ServiceAccountKey::generate(KeyKind::EcP256).unwrap();
    let mut own = Own::start(&options(&[&first]), "");
    own.bootstrap();
    assert_eq!((own.record().len(), gone(&own).len()), (1, 0), "a new mount is enabled with its record");
    let by_first = own.token();
    assert!(own.lets_in(&by_first));
    // What somebody else has written among the options is none of it.
    vault.write(&own.tune(), &json!({ "options": { "team": "platform" } }));

    // The second key signs; the first is still published.
    own.cluster.restart(&options(&[&second, &first]));
    let by_second = own.token();
    assert!(!own.lets_in(&by_second));
    own.command(["plan"]).run().exits(0).says(&["+ \"P-256 sha256:", "+ \"ES256\"", "0 to create, 2 to change"]);
    own.bootstrap();
    assert!(own.lets_in(&by_first) && own.lets_in(&by_second));
    assert_eq!((own.record().len(), gone(&own).len()), (2, 0));

    // The first is gone: it stays for a while, as the record in the mount's options tells. Nothing else is written.
    own.cluster.restart(&options(&[&second]));
    let held = own.held();
    let answer = own.verify(&["--only", "VK314"]).exits(0);
    assert!(
        answer.stdout.contains("1 pinned key is gone from the cluster; the next bootstrap notes it"),
        "{}",
        answer.stdout
    );
    assert!(!answer.stdout.contains("for longer than it should"), "{}", answer.stdout);
    own.command(["plan"]).run().exits(0).says(&["~ \"RSA 2048 sha256:", "gone from the cluster since", "kept until"]);
    own.command(["bootstrap"]).run().exits(0).says(&["1 change made; 1 login verified"]);
    own.in_order();
    own.command(["bootstrap"]).run().exits(0).says(&["nothing to change", " 0 writes.", "Keys kept", "kept until"]);
    assert_eq!(own.held(), held);
    let [(option, _)] = gone(&own).try_into().unwrap();
    let kid = option.strip_prefix("vaultk8s-key-").unwrap();
    assert_eq!(kid.len(), 43, "{option}");
    assert_eq!(held["jwt_supported_algs"], json!(["ES256", "RS256"]));
    assert!(own.lets_in(&by_first) && own.lets_in(&by_second));
    // Every plan tells it, an empty one and that of a machine as well; and all is well.
    own.command(["plan"]).run().exits(0).says(&["No changes.", "Keys kept", kid, "RSA 2048 sha256:", "kept until"]);
    let kept = &own.command(["plan", "-o", "json"]).run().exits(0).json()["retainedKeys"];
    assert_eq!((kept.as_array().unwrap().len(), kept[0]["kid"].as_str().unwrap()), (1, kid));
    let verified = own.verify(&[]).exits(0);
    assert!(verified.stdout.contains("1 key rotated out") && verified.stdout.contains(kid), "{}", verified.stdout);

    // A comment by hand is nobody's business, not even one that says that the key is long gone.
    let mut by_hand = held.clone();
    for pem in by_hand["jwt_validation_pubkeys"].as_array_mut().unwrap() {
        *pem = format!("# looked at it gone-since=2020-01-01T00:00:00Z\n{}", pem.as_str().unwrap()).into();
    }
    vault.write(&own.config_path(), &by_hand);
    own.in_order();
    vault.write(&own.config_path(), &held);

    // A time that is yet to come was written by somebody who wants the key to stay.
    let to_come = "first-seen=2020-01-01T00:00:00Z gone-since=2999-01-01T00:00:00Z";
    vault.write(&own.tune(), &json!({ "options": { (option.as_str()): to_come } }));
    own.verify(&["--only", "VK314"]).exits(1).says(&["a record that can't be true", kid, "2999-01-01T00:00:00Z"]);
    // No run takes it for evidence, and a general yes decides nothing.
    own.command(["plan", "--detailed-exitcode"]).run().exits(2).says(&["vouches for nothing", "of a time to come"]);
    for yes in [&[][..], &["--yes"]] {
        own.command([&["bootstrap"], yes].concat()).run().exits(1).complains(&["--forget-key", "--keep-key", kid]);
    }
    assert_eq!(own.held(), held);

    // Its time is over, as if a day had passed.
    let long_ago = "first-seen=2020-01-01T00:00:00Z gone-since=2020-01-01T00:00:00Z";
    vault.write(&own.tune(), &json!({ "options": { (option): long_ago } }));
    assert!(own.lets_in(&by_first));
    own.verify(&["--only", "VK314"])
        .exits(0)
        .says(&["1 key that the cluster published once, for longer than it should"]);
    own.command(["plan"]).run().exits(0).says(&["- \"RSA 2048 sha256:", "gone since 2020-01-01T00:00:00Z, retired"]);
    own.bootstrap();
    assert!(!own.lets_in(&by_first) && own.lets_in(&by_second));
    assert_eq!(own.held()["jwt_supported_algs"], json!(["ES256"]));
    assert_eq!(own.held()["jwt_validation_pubkeys"].as_array().unwrap().len(), 1);
    assert_eq!(own.record().len(), 1);
    assert_eq!(own.options()["team"], "platform");
}

#[test]
fn a_rebuilt_cluster_is_trusted_after_one_bootstrap_and_a_yes() {
    let mut own = Own::start(&ControlPlaneOptions::default(), "");
    own.bootstrap();
    let before = own.token();
    own.cluster.rebuild(&ControlPlaneOptions::default());
    own.cluster.client().create_namespace("app").unwrap();
    own.cluster.client().create_service_account("app", "app").unwrap();
    own.command(["bootstrap"]).run().exits(1).complains(&["none of the 1 keys", "--yes"]);
    own.command(["bootstrap", "--yes"]).run().exits(0).says(&["1 login verified"]);
    own.in_order();
    // Nothing of the old cluster is kept: its keys can't be told from anybody's.
    assert_eq!(own.held()["jwt_validation_pubkeys"].as_array().unwrap().len(), 1);
    assert_eq!(own.record().len(), 1);
    assert!(!own.lets_in(&before) && own.lets_in(&own.token()));
}
