//! The main job, against a real OpenBao (or Vault) and a real kube-apiserver.

mod suite;

use lab::{VaultOptions, VaultServer};
use serde_json::json;

use crate::command::{Vaultk8s, external_secrets, testdata};
use crate::fixture::Place;

/// Where the suite's tests are run.
const HERE: Place = Place::Shared;

#[test]
fn the_talos_homelab_from_nothing_and_again() {
    let lab = lab::shared();
    external_secrets(lab);
    let vault = VaultServer::start(&VaultOptions::default());
    let file = testdata("configs/talos.yaml").display().to_string();
    let run = |args: &[&str]| Vaultk8s::new(args.iter().copied()).args(["-f", &file]).on(&vault).run();

    run(&["plan", "--detailed-exitcode"]).exits(2).says(&["6 to create, 0 to change, 0 in order"]);
    assert!(!vault.requests().iter().any(lab::AuditedRequest::is_write), "plan wrote something");

    run(&["bootstrap"]).exits(0).says(&["6 changes made; 3 logins verified"]);
    let before = vault.requests().len();
    run(&["bootstrap"]).exits(0).says(&["No changes.", "nothing to change; 3 logins verified", " 0 writes."]);
    let second = vault.requests();
    let writes: Vec<_> = second[before..].iter().filter(|request| request.is_write()).collect();
    assert!(writes.is_empty(), "the second run wrote {writes:?}");
    run(&["plan", "--detailed-exitcode"]).exits(0);

    // What the server holds and does is the judge.
    let client = vault.client();
    let role = &client.read("auth/jwt-taloslmn/role/r-eso_minio-jwt-taloslmn-read")["data"];
    assert_eq!(role["token_ttl"], 7200);
    assert_eq!(role["bound_audiences"], json!(["vault"]));
    assert_eq!(role["bound_claims"]["sub"], "system:serviceaccount:external-secrets:external-secrets");
    client.write("secret/data/k8s/taloslmn/demo-db", &json!({ "data": { "db_password": "supersecret" } }));
    client.write("secret/data/k8s/other/db", &json!({ "data": { "db_password": "other" } }));
    for role in ["r-eso-jwt-taloslmn-read", "r-eso_minio-jwt-taloslmn-read", "r-eso_velero-jwt-taloslmn-read"] {
        let token = lab.token("external-secrets", "external-secrets", &["vault"], 600);
        let eso = client.logged_in("jwt-taloslmn", role, &token);
        assert_eq!(eso.read("secret/data/k8s/taloslmn/demo-db")["data"]["data"]["db_password"], "supersecret");
        assert_eq!(eso.list("secret/metadata/k8s/taloslmn").0, 200);
        assert_eq!(eso.get("secret/data/k8s/other/db").0, 403);
        assert_eq!(eso.get("secret/metadata/k8s/taloslmn/demo-db").0, 403);
    }
    let wrong_audience = lab.token("external-secrets", "external-secrets", &["other"], 600);
    assert_eq!(client.login("jwt-taloslmn", "r-eso-jwt-taloslmn-read", &wrong_audience).0, 400);
}
