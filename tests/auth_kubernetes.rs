//! `auth kubernetes` and the steps after it, from flags alone, against a real OpenBao (or Vault) and a real kube-apiserver.

use crate::command::{Answer, Vaultk8s, testdata};
use crate::kubernetes_fixture::{API_AUDIENCE, Fixture};

fn run(line: &str) -> Answer {
    Vaultk8s::new(line.split_whitespace()).on_shared().run()
}

/// The mount of a fixture's configuration, as flags.
fn auth(fixture: &Fixture, token: &str) -> String {
    let Fixture { mount, namespace, binding, .. } = fixture;
    let line = format!("auth kubernetes --mount {mount} --context rke --reviewer-token {token}");
    match token {
        "client" => line,
        _ => format!("{line} --reviewer {namespace}-review/vault-auth --binding-name {binding}"),
    }
}

#[test]
fn step_by_step_gives_what_the_file_gives() {
    let fixture = Fixture::new("token: secret", "");
    let Fixture { mount, policy, namespace, .. } = &fixture;
    let (vault, cluster) = (lab::shared().vault(), lab::shared().kubernetes());
    let role = format!(
        "role r-app --mount {mount} --service-account {namespace}/app --policy {policy} --audience {API_AUDIENCE} --ttl 10m"
    );
    let steps = [
        (auth(&fixture, "secret"), "6 to create", "6 changes made."),
        (format!("policy {policy} --read {namespace}/* --list {namespace}/*"), "1 to create", "1 change made."),
        (role, "1 to create", "1 change made."),
    ];
    for (line, planned, made) in steps {
        // Nothing happens in a dry run: the second finds the same.
        run(&format!("{line} --dry-run")).exits(0).says(&[planned]);
        run(&format!("{line} --dry-run")).exits(0).says(&[planned]);
        let answer = run(&line).exits(0).says(&[made]);
        assert!(!answer.stdout.contains("eyJ") && !answer.stderr.contains("eyJ"), "a token is shown");
        run(&line).exits(0).says(&["No changes.", "nothing to change.", " 0 writes."]);
    }
    run(&format!("login --mount {mount} --role r-app --service-account {namespace}/app"))
        .exits(0)
        .says(&["ttl            600 s", "The token was revoked"]);
    fixture.in_order();
    assert!(fixture.logs_in() && fixture.record()["token"].is_string());
    assert_eq!(cluster.get(&format!("/api/v1/namespaces/{namespace}-review/secrets/vault-auth-token")).0, 200);
    assert_eq!(vault.read(&format!("auth/{mount}/config"))["data"]["token_reviewer_jwt_set"], true);
}

#[test]
fn each_kind_of_reviewer_s_token() {
    for (token, more, objects) in [("bound", " --lifetime 1h", 5), ("client", "", 2)] {
        let fixture = Fixture::new(&format!("token: {token}"), "");
        let line = auth(&fixture, token) + more;
        run(&format!("{line} --dry-run")).exits(0).says(&[&format!("{objects} to create")]);
        run(&line).exits(0).says(&[&format!("{objects} changes made.")]);
        run(&line).exits(0).says(&["No changes.", " 0 writes."]);
        let config = lab::shared().vault().read(&format!("auth/{}/config", fixture.mount));
        assert_eq!(config["data"]["token_reviewer_jwt_set"], token == "bound");
    }
}

#[test]
fn every_flag_of_the_mount_is_written() {
    let lab = lab::shared();
    let fixture = Fixture::new("token: secret", "");
    let Fixture { mount, namespace, .. } = &fixture;
    let more =
        format!("--host {0} --issuer {0} --secret-name other-token --description by-hand", lab.kubernetes_server());
    let line = format!("{} {more} --host-ca-cert ca.pem", auth(&fixture, "secret"));
    let run = || Vaultk8s::new(line.split_whitespace()).on_shared().file("ca.pem", lab.kubernetes_ca()).run();
    run().exits(0).says(&["6 changes made."]);
    run().exits(0).says(&["No changes."]);
    let config = &lab.vault().read(&format!("auth/{mount}/config"))["data"];
    assert_eq!(
        (&config["issuer"], &config["disable_iss_validation"]),
        (&lab.kubernetes_server().into(), &false.into())
    );
    assert_eq!(lab.vault().read("sys/auth")["data"][format!("{mount}/")]["description"], "by-hand");
    let secret = format!("/api/v1/namespaces/{namespace}-review/secrets/other-token");
    assert_eq!(lab.kubernetes().get(&secret).0, 200);
}

#[test]
fn what_flags_do_not_name_stays() {
    let lab = lab::shared();
    let fixture = Fixture::new("token: client", "");
    let line = auth(&fixture, "client");
    run(&format!("{line} --issuer https://issuer.example.internal")).exits(0);
    let path = format!("auth/{}/config", fixture.mount);
    let key = std::fs::read_to_string(testdata("jwks/p256.pem")).unwrap().trim().to_owned();
    let mut by_hand = lab.vault().read(&path)["data"].clone();
    let local = by_hand["disable_local_ca_jwt"].as_bool().unwrap();
    let changes = [("pem_keys", serde_json::json!([key])), ("disable_local_ca_jwt", (!local).into())];
    by_hand.as_object_mut().unwrap().extend(changes.map(|(field, value)| (field.to_owned(), value)));
    lab.vault().write(&path, &by_hand);
    run(&format!("{line} --yes --approve take-over")).exits(0).says(&[
        "1 change made.",
        "keeps what no flag says anything of: issuer (https://issuer.example.internal), pem_keys (1)",
    ]);
    let config = &lab.vault().read(&path)["data"];
    assert_eq!(config["disable_local_ca_jwt"], local);
    assert_eq!(
        (&config["issuer"], &config["disable_iss_validation"], &config["pem_keys"]),
        (&"https://issuer.example.internal".into(), &false.into(), &by_hand["pem_keys"])
    );
    run(&line).exits(0).says(&["No changes."]);
    // Issuer and keys of one cluster are none of another's.
    by_hand["kubernetes_host"] = "https://other.example.internal".into();
    lab.vault().write(&path, &by_hand);
    run(&format!("{line} --yes --approve take-over"))
        .exits(0)
        .says(&["1 change made.", "pem_keys", "issuer"])
        .keeps_quiet_about(&["keeps what no flag says"]);
    let config = &lab.vault().read(&path)["data"];
    assert_eq!(config["kubernetes_host"], lab.kubernetes_server());
    assert_eq!((&config["issuer"], &config["disable_iss_validation"]), (&"".into(), &true.into()));
    assert!(config["pem_keys"].as_array().is_none_or(Vec::is_empty), "{config}");
    run(&line).exits(0).says(&["No changes."]);
}

#[test]
fn another_host_is_not_trusted_unasked() {
    let fixture = Fixture::new("token: secret", "");
    let line = auth(&fixture, "secret");
    run(&line).exits(0);
    let other = format!("{line} --host https://other.example.internal:6443");
    run(&other).exits(1).complains(&["--yes"]);
    run(&line).exits(0).says(&["No changes."]);
    run(&format!("{other} --yes")).exits(0).says(&["1 change made."]);
}

#[test]
fn a_role_binds_no_more_than_its_flags_list() {
    let fixture = Fixture::new("token: secret", "");
    fixture.bootstrap();
    let Fixture { mount, policy, .. } = &fixture;
    let line = format!("role r-two --mount {mount} --service-account a/x b/y --policy {policy} --audience vault");
    run(&line).exits(64).complains(&["more than it lists", "a/y, b/x", "split it"]);
    assert_eq!(lab::shared().vault().get(&format!("auth/{mount}/role/r-two")).0, 404);
    let nowhere = line.replace(mount.as_str(), "nowhere");
    run(&nowhere).exits(1).complains(&["there is no auth mount", "vaultk8s auth kubernetes --mount"]);
}

#[test]
fn wrong_flags_say_what_to_write() {
    let refused = |flags: &str, words: &[&str]| {
        run(&format!("auth kubernetes --mount kubernetes {flags}")).exits(64).complains(words);
    };
    refused("--lifetime 1h", &["--lifetime is for a bound token", "--reviewer-token bound"]);
    refused("--reviewer-token bound --lifetime 5m", &["300 s is too short", "10m"]);
    refused("--reviewer-token bound --secret-name x", &["--secret-name is not used"]);
    refused("--reviewer-token client --reviewer a/b", &["--reviewer is not used"]);
    refused("--reviewer-token sealed", &["secret, bound, client"]);
    refused("--reviewer vault-auth", &["namespace/name"]);
    refused("--secret-name Upper", &["\"Upper\" is not a valid --secret-name"]);
    refused("--host api:6443", &["not an http or https URL"]);
    refused("--host http://api:6443", &["in the clear"]);
    refused("--host-ca-cert missing.pem", &["missing.pem"]);
}
