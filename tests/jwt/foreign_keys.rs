//! Keys that nobody published: whoever may write a mount's configuration can pin one and write any comment above it.

use lab::{ControlPlaneOptions, KeyKind, ServiceAccountKey};
use serde_json::json;
use vaultk8s::keys::PublicKey;

use super::{Own, operator};

fn options(keys: &[&ServiceAccountKey]) -> ControlPlaneOptions {
    ControlPlaneOptions { keys: keys.iter().map(|key| (*key).clone()).collect(), ..ControlPlaneOptions::default() }
}

/// What a key is called, by its own digest.
fn kid(key: &ServiceAccountKey) -> String {
    PublicKey::parse_pem(key.public_pem()).unwrap().kubernetes_kid()
}

fn fingerprint(key: &ServiceAccountKey) -> String {
    PublicKey::parse_pem(key.public_pem()).unwrap().short_fingerprint()
}

/// A moment ago, as it is written in a comment.
fn a_moment_ago() -> String {
    let now = jiff::Timestamp::now().as_second();
    jiff::Timestamp::from_second(now - 60).unwrap().to_string()
}

/// An element as the version before this one wrote it.
fn noted(key: &ServiceAccountKey, gone: Option<&str>) -> String {
    let gone = gone.map(|since| format!(" gone-since={since}")).unwrap_or_default();
    format!("# kid={}{gone}\n{}", kid(key), key.public_pem())
}

/// A cluster with a key of its own, and a token for the same account that somebody else's key has signed.
fn with_a_forger(auth: &str) -> (Own, ServiceAccountKey, ServiceAccountKey, String) {
    let own_key = ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap();
    let foreign = ServiceAccountKey::generate(KeyKind::EcP256).unwrap();
    let mut own = Own::start(&options(&[&foreign]), auth);
    let forged = own.token();
    own.cluster.restart(&options(&[&own_key]));
    own.bootstrap();
    assert!(!own.lets_in(&forged));
    (own, own_key, foreign, forged)
}

#[test]
fn no_comment_hides_a_key_that_nobody_published() {
    let (own, own_key, foreign, forged) = with_a_forger("");
    let vault = lab::shared().vault();
    // Who has all rights on the mount itself, and no others.
    let (mount, all) = (&own.mount, r#"{ capabilities = ["create", "read", "update", "delete", "list", "sudo"] }"#);
    let team = vault.with_token(&operator(&format!("path \"auth/{mount}\" {all}\npath \"auth/{mount}/*\" {all}")));
    let kid = kid(&foreign);
    let said = ["never seen to be published by this cluster", &fingerprint(&foreign), &kid];
    for comment in [
        String::new(),
        format!("# kid={kid}\n"),
        format!("# kid={kid} gone-since={}\n", a_moment_ago()),
        "# kid=x gone-since=2999-01-01T00:00:00Z\n".to_owned(),
    ] {
        let mut config = own.held();
        let element = format!("{comment}{}", foreign.public_pem());
        config["jwt_validation_pubkeys"] = json!([noted(&own_key, None), element]);
        config["jwt_supported_algs"] = json!(["RS256", "ES256"]);
        team.write(&own.config_path(), &config);
        assert!(own.lets_in(&forged), "{comment}");

        own.command(["plan", "--detailed-exitcode"])
            .run()
            .exits(2)
            .says(&said)
            .says(&["this replaces what the mount trusts"]);
        own.command(["bootstrap"]).run().exits(1).complains(&["was never seen to publish", "--keep-key", "--yes"]);
        assert!(own.lets_in(&forged), "nothing is written unasked");
        let verified = own.verify(&["-o", "json"]).exits(1).json();
        let cause = &verified["causes"][0];
        assert_eq!((&cause["id"], &cause["severity"]), (&json!("VK314"), &json!("exposes")));
        assert!(cause.to_string().contains(&fingerprint(&foreign)), "{cause}");
        let command = cause["remedies"][0]["command"].as_str().unwrap();
        assert!(command.contains(&format!("--forget-key {kid}")), "{command}");

        own.command(["bootstrap", "--yes"]).run().exits(0).says(&["1 change made; 1 login verified"]);
        own.in_order();
        assert!(!own.lets_in(&forged));
    }

    // What vouches for a key is out of such a token's reach.
    let option = json!({ "options": { format!("vaultk8s-key-{kid}"): "first-seen=2020-01-01T00:00:00Z" } });
    let record = own.record();
    for path in [own.tune(), format!("sys/auth/{mount}/tune"), format!("sys/auth/{mount}")] {
        let mut body = option.clone();
        body["type"] = json!("jwt");
        assert_eq!(team.post(&path, &body).0, 403, "{path}");
    }
    assert_eq!(team.post(&format!("auth/{mount}/tune"), &option).0, 404);
    assert_eq!(own.record(), record);
}

#[test]
fn a_token_that_sees_no_list_of_mounts_still_tells_a_strangers_key() {
    let (own, own_key, foreign, _) = with_a_forger("");
    own.pin(&[noted(&own_key, None), noted(&foreign, Some(&a_moment_ago()))]);
    let verify = |policy: &str| {
        let token = operator(policy);
        own.command(["verify-role", "r", "--only", "VK314", "-o", "json"]).env("VAULT_TOKEN", token).run()
    };
    let status = |answer: &super::Answer| {
        let said = answer.json();
        let sections = said["sections"].as_array().unwrap();
        let mut checks = sections.iter().flat_map(|section| section["checks"].as_array().unwrap());
        checks.find(|check| check["id"] == "VK314").map(|check| check["status"].clone()).unwrap_or_default()
    };
    // What uses the mount is shown it.
    let config = format!("path \"auth/{}/config\" {{ capabilities = [\"read\"] }}", own.mount);
    assert_eq!(status(&verify(&config).exits(1)), "failed");
    own.command(["bootstrap", "--forget-key", &kid(&foreign)]).run().exits(0);
    assert_eq!(status(&verify(&config).exits(0)), "passed");
}

#[test]
fn a_key_that_leaked_goes_at_once_by_its_name() {
    let (first, second) =
        (ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap(), ServiceAccountKey::generate(KeyKind::EcP256).unwrap());
    let mut own = Own::start(&options(&[&first, &second]), "");
    own.bootstrap();
    let leaked = own.token();
    let (kid, other) = (kid(&first), kid(&second));

    // While the cluster publishes it, it would only be pinned again.
    for command in ["bootstrap", "plan"] {
        own.command([command, "--forget-key", &kid]).run().exits(1).complains(&[
            "publishes this key now",
            "--service-account-key-file",
            "jwksFile",
        ]);
    }
    own.command(["bootstrap", "--forget-key", "nobody"]).run().exits(64).complains(&["no such key", &kid, &other]);
    own.command(["bootstrap", "--forget-key", &kid, "--keep-key", &kid]).run().exits(64);
    assert!(own.lets_in(&leaked));

    own.cluster.restart(&options(&[&second]));
    own.bootstrap();
    assert!(own.lets_in(&leaked), "it is kept, because its tokens live");
    // A plan shows it, and the plan that was saved does it.
    own.command(["plan", "--forget-key", &kid]).run().exits(0).says(&["named by --forget-key", "2 to change"]);
    let plan = tempfile::tempdir().unwrap().keep().join("plan.json");
    let plan = plan.to_str().unwrap();
    own.command(["plan", "--forget-key", &kid, "--out", plan]).run().exits(0);
    own.command(["bootstrap", "--plan", plan, "--forget-key", &kid]).run().exits(64);
    own.command(["bootstrap", "--plan", plan]).run().exits(0).says(&["2 changes made; 1 login verified"]);
    assert!(!own.lets_in(&leaked));
    own.in_order();
    assert_eq!(own.record().len(), 1);
    own.command(["bootstrap", "--forget-key", &kid]).run().exits(64).complains(&["no such key", &other]);
    // Pinned again, it is anybody's.
    own.pin(&[noted(&second, None), noted(&first, None)]);
    own.command(["plan", "--detailed-exitcode"]).run().exits(2).says(&["never seen to be published"]);
}

#[test]
fn without_retention_a_key_goes_at_once() {
    let (first, second) =
        (ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap(), ServiceAccountKey::generate(KeyKind::EcP256).unwrap());
    let mut own = Own::start(&options(&[&first, &second]), "");
    own.bootstrap();
    let by_first = own.token();
    own.cluster.restart(&options(&[&second]));
    own.bootstrap();
    assert!(own.lets_in(&by_first));
    own.config = own.config.replace("audience: vault", "audience: vault, keyRetention: 0");
    own.command(["bootstrap"]).run().exits(0).says(&["2 changes made; 1 login verified"]);
    assert!(!own.lets_in(&by_first));
    own.in_order();
    assert_eq!(own.record().len(), 1);
    own.pin(&[noted(&second, None), noted(&first, None)]);
    own.command(["bootstrap", "--keep-key", &kid(&first)]).run().exits(64).complains(&["keyRetention: 0"]);
}

#[test]
fn what_an_earlier_version_set_up_is_recorded_without_a_question() {
    let key = ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap();
    let own = Own::start(&options(&[&key]), "");
    own.bootstrap();
    own.pin(&[noted(&key, None)]);
    own.command(["bootstrap"]).run().exits(0);
    let held = own.held();
    own.forget_record();
    own.command(["plan", "--detailed-exitcode"]).run().exits(2).says(&[
        "record of seen keys",
        "has no record yet",
        &fingerprint(&key),
        "1 to create, 0 to change",
    ]);
    own.command(["bootstrap"]).run().exits(0).says(&["1 change made; 1 login verified"]);
    own.in_order();
    assert_eq!((own.held(), own.record().len()), (held, 1));
    own.command(["bootstrap"]).run().exits(0).says(&["nothing to change", " 0 writes."]);
}

#[test]
fn an_upgrade_in_the_middle_of_a_rotation_locks_nobody_out_and_lets_nobody_in() {
    let (mut own, own_key, old, by_old) = with_a_forger("");
    own.pin(&[noted(&own_key, None), noted(&old, Some(&a_moment_ago()))]);
    own.forget_record();
    let kid = kid(&old);
    // Neither in silence nor by a general yes: a job on a schedule may have said that long ago.
    for args in [&["bootstrap"][..], &["bootstrap", "--yes"]] {
        let refused = own.command(args.iter().copied()).run().exits(1);
        refused
            .complains(&[&format!("--keep-key {kid}"), &format!("--forget-key {kid}"), &fingerprint(&old)])
            .says(&["has to be told of each"]);
        assert!(own.lets_in(&by_old));
        assert_eq!(own.record(), []);
    }
    own.command(["bootstrap", "--yes"]).run().exits(1).complains(&["--yes doesn't decide"]);
    let verified = own.verify(&["-o", "json"]).exits(1).json();
    // A kid that begins like a flag is written with its flag.
    let flag = if kid.starts_with('-') { "--keep-key=" } else { "--keep-key " };
    assert!(verified["causes"][0]["remedies"].to_string().contains(&format!("{flag}{kid}")), "{verified}");
    own.command(["bootstrap", "--keep-key", "nobody"]).run().exits(64).complains(&["no such key", &kid]);

    // A plan in a file may have been edited by somebody else: what it vouches for is asked about.
    let plan = tempfile::tempdir().unwrap().keep().join("plan.json");
    let plan = plan.to_str().unwrap();
    own.command(["plan", "--keep-key", &kid, "--out", plan]).run().exits(0);
    own.command(["bootstrap", "--plan", plan]).run().exits(1).complains(&["only the saved plan vouches for", &kid]);
    assert_eq!(own.record(), []);

    // By its name it is kept, no longer than the comment said.
    own.command(["bootstrap", "--keep-key", &kid]).run().exits(0).says(&["1 login verified"]);
    assert!(own.lets_in(&by_old));
    own.in_order();
    own.verify(&[]).exits(0);
    let kept = &own.command(["plan", "-o", "json"]).run().exits(0).json()["retainedKeys"][0].clone();
    let time = |field: &str| kept[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(time("until").duration_since(time("goneSince")), jiff::SignedDuration::from_hours(24));
    assert!(jiff::Timestamp::now().duration_since(time("goneSince")) >= jiff::SignedDuration::from_secs(60));

    // Had nobody vouched for it, it would have gone by its name as well.
    own.pin(&[noted(&own_key, None), noted(&old, Some(&a_moment_ago()))]);
    own.forget_record();
    own.command(["bootstrap", "--forget-key", &kid]).run().exits(0).says(&["1 login verified"]);
    assert!(!own.lets_in(&by_old));
    own.in_order();

    // And once there is a record, a yes is enough.
    own.pin(&[noted(&own_key, None), noted(&old, Some(&a_moment_ago()))]);
    own.command(["bootstrap", "--yes"]).run().exits(0);
    own.in_order();
    own.cluster.restart(&options(&[&own_key]));
    own.bootstrap();
}

#[test]
fn a_mount_that_somebody_set_up_by_hand_is_adopted_in_the_same_way() {
    let vault = lab::shared().vault();
    let (key, stranger) =
        (ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap(), ServiceAccountKey::generate(KeyKind::EcP384).unwrap());
    let own = Own::start(&options(&[&key]), "");
    vault.write(&format!("sys/auth/{}", own.mount), &json!({ "type": "jwt", "options": { "by": "hand" } }));
    let config = |pems: &[&str]| {
        let issuer = own.cluster.server_url();
        let config = json!({ "bound_issuer": issuer, "jwt_supported_algs": ["RS256"], "jwt_validation_pubkeys": pems });
        vault.write(&own.config_path(), &config);
    };
    // With CRLF and another comment it is the cluster's key all the same.
    let crlf = format!("# from Terraform\r\n{}", key.public_pem().replace('\n', "\r\n"));
    config(&[&crlf, stranger.public_pem()]);
    own.command(["bootstrap", "--yes"]).run().exits(1).complains(&["--yes doesn't decide", &kid(&stranger)]);
    own.command(["bootstrap", "--forget-key", &fingerprint(&stranger)]).run().exits(0);
    own.in_order();

    own.forget_record();
    config(&[&crlf]);
    own.bootstrap();
    assert_eq!(own.options()["by"], "hand");
    own.verify(&[]).exits(0);
}
