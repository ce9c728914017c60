//! The cluster's keys rotate, and no token that still lives is locked out.

use lab::{ControlPlaneOptions, KeyKind, ServiceAccountKey};
use serde_json::{Value, json};

use super::Own;

fn options(keys: &[&ServiceAccountKey]) -> ControlPlaneOptions {
    ControlPlaneOptions { keys: keys.iter().map(|key| (*key).clone()).collect(), ..ControlPlaneOptions::default() }
}

/// The pinned keys that carry a note of their going.
fn gone(held: &Value) -> Vec<String> {
    let keys: Vec<String> = serde_json::from_value(held["jwt_validation_pubkeys"].clone()).unwrap();
    keys.into_iter().filter(|pem| pem.contains("gone-since=")).collect()
}

#[test]
fn keys_come_at_once_and_go_when_their_tokens_are_over() {
    let vault = lab::shared().vault();
    let first = ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap();
    let second = ServiceAccountKey::generate(KeyKind::EcP256).unwrap();
    let mut own = Own::start(&options(&[&first]), "");
    own.bootstrap();
    let by_first = own.token();
    assert!(own.lets_in(&by_first));

    // The second key signs; the first is still published.
    own.cluster.restart(&options(&[&second, &first]));
    let by_second = own.token();
    assert!(!own.lets_in(&by_second));
    own.command(["plan"]).run().exits(0).says(&["+ \"P-256 sha256:", "+ \"ES256\"", "0 to create, 1 to change"]);
    own.bootstrap();
    assert!(own.lets_in(&by_first) && own.lets_in(&by_second));
    assert_eq!(gone(&own.held()), Vec::<String>::new());

    // The first is gone: it stays for a while, as a comment in the mount tells.
    own.cluster.restart(&options(&[&second]));
    own.command(["plan"]).run().exits(0).says(&["~ \"RSA 2048 sha256:", "gone from the cluster since", "kept until"]);
    own.command(["bootstrap"]).run().exits(0).says(&["1 change made; 1 login verified"]);
    own.in_order();
    own.command(["bootstrap"]).run().exits(0).says(&["nothing to change", " 0 writes."]);
    let held = own.held();
    let [kept] = gone(&held).try_into().unwrap();
    let jwks_kid = |pem: &str| pem.split_once("# kid=").unwrap().1.split_once(' ').unwrap().0.to_owned();
    assert_eq!(jwks_kid(&kept).len(), 43, "{kept}");
    assert_eq!(held["jwt_supported_algs"], json!(["ES256", "RS256"]));
    assert!(own.lets_in(&by_first) && own.lets_in(&by_second));

    // A comment by hand is nobody's business.
    let mut by_hand = held.clone();
    for pem in by_hand["jwt_validation_pubkeys"].as_array_mut().unwrap() {
        *pem = format!("# looked at it\n{}", pem.as_str().unwrap()).into();
    }
    vault.write(&own.config_path(), &by_hand);
    own.in_order();

    // Its time is over, as if a day had passed.
    let mut old = held;
    for pem in old["jwt_validation_pubkeys"].as_array_mut().unwrap() {
        let text = pem.as_str().unwrap();
        if let Some((before, after)) = text.split_once("gone-since=") {
            *pem = format!("{before}gone-since=2020-01-01T00:00:00Z\n{}", after.split_once('\n').unwrap().1).into();
        }
    }
    vault.write(&own.config_path(), &old);
    assert!(own.lets_in(&by_first));
    own.command(["plan"]).run().exits(0).says(&["- \"RSA 2048 sha256:", "gone since 2020-01-01T00:00:00Z, retired"]);
    own.bootstrap();
    assert!(!own.lets_in(&by_first) && own.lets_in(&by_second));
    assert_eq!(own.held()["jwt_supported_algs"], json!(["ES256"]));
    assert_eq!(own.held()["jwt_validation_pubkeys"].as_array().unwrap().len(), 1);
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
    assert!(!own.lets_in(&before) && own.lets_in(&own.token()));
}
