//! A reviewer whose token isn't this tool's to make: that of Vault's own pod, or one that stands in a file or a variable.

use lab::{Authority, Front, Lab, Pod, VaultOptions, VaultServer};
use serde_json::{Value, json};

use crate::command::{Answer, Vaultk8s, reader};
use crate::kubernetes_fixture::{API_AUDIENCE, Fixture};

/// A namespace with Vault's account, which may review tokens, and the name of the binding that lets it.
fn vaults_account(lab: &Lab) -> (String, String) {
    let (namespace, binding) = (lab.namespace("vault"), lab.unique("vault-server-binding"));
    lab.service_account(&namespace, "vault");
    let (status, answer) = lab.kubernetes().post(
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        &json!({
            "metadata": { "name": binding },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator" },
            "subjects": [{ "kind": "ServiceAccount", "name": "vault", "namespace": namespace }],
        }),
    );
    assert_eq!(status, 201, "{answer}");
    (namespace, binding)
}

/// The checks of a report by their ids, each with its status and sentence.
fn checks(answer: &Answer, id: &str) -> (String, String) {
    let document = answer.json();
    let sections = document["sections"].as_array().unwrap();
    let checks = sections.iter().flat_map(|section| section["checks"].as_array().unwrap());
    let check = checks.into_iter().find(|check| check["id"] == id).unwrap_or(&Value::Null);
    (check["status"].as_str().unwrap_or_default().to_owned(), check["detail"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_vault_in_the_cluster_that_it_serves_reviews_with_the_token_of_its_pod() {
    let lab = lab::shared();
    let (home, binding) = vaults_account(lab);
    let token = lab.token(&home, "vault", &[], 3600);
    let pod = Some(Pod { token, ca: lab.kubernetes_ca().to_owned() });
    let vault = VaultServer::start(&VaultOptions { pod, ..VaultOptions::default() });
    let namespace = lab.namespace("app");
    lab.service_account(&namespace, "app");
    let config = format!(
        "clusters:
  - name: lab
    context: {context}
    auth:
      method: kubernetes
      mount: kubernetes
      host: {host}
      audience: {API_AUDIENCE}
      reviewer: {{ token: local }}
{reader}",
        context = lab.context(),
        host = lab.kubernetes_server(),
        reader = reader("p-read", &namespace),
    );
    let run = |args: &[&str]| Vaultk8s::new(args.iter().copied()).on(&vault).config(&config).run();

    // As the chart's page says: by hand, with neither CA nor reviewer. The file says the same, and nothing of it is changed.
    vault.client().write("sys/auth/kubernetes", &json!({ "type": "kubernetes" }));
    vault.client().write("auth/kubernetes/config", &json!({ "kubernetes_host": lab.kubernetes_server() }));
    run(&["plan"]).exits(0).keeps_quiet_about(&["auth/kubernetes/config", "disable_local_ca_jwt", "vault-auth"]);
    run(&["bootstrap", "--approve", "take-over"]).exits(0).says(&["1 login verified"]);
    run(&["plan", "--detailed-exitcode"]).exits(0).says(&["No changes."]);
    let held = vault.client().read("auth/kubernetes/config")["data"].clone();
    assert_eq!((&held["disable_local_ca_jwt"], &held["kubernetes_ca_cert"]), (&json!(false), &json!("")));

    // Who Vault's pods are can't be seen, and isn't called a fault.
    let verified = run(&["verify-role", "r-app", "-o", "json"]).exits(0);
    assert_eq!(checks(&verified, "VK323").0, "unseen");
    let pod = json!({
        "metadata": { "name": "vault-0", "labels": { "app.kubernetes.io/name": "vault", "component": "server" } },
        "spec": { "serviceAccountName": "vault", "containers": [{ "name": "vault", "image": "vault" }] },
    });
    let (status, answer) = lab.kubernetes().post(&format!("/api/v1/namespaces/{home}/pods"), &pod);
    assert_eq!(status, 201, "{answer}");
    let verified = run(&["verify-role", "r-app", "-o", "json"]).exits(0);
    assert_eq!(checks(&verified, "VK323"), ("passed".to_owned(), format!("Vault's pods run as {home}/vault")));
    assert_eq!(checks(&verified, "VK324").0, "passed");

    // The account loses its right: named first, with the command that gives it back.
    lab.kubernetes().delete(&format!("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{binding}"));
    let broken = run(&["verify-role", "r-app", "-o", "json"]).exits(1);
    assert_eq!(broken.json()["causes"][0]["id"], "VK324", "{}", broken.stdout);
    assert!(broken.stdout.contains(&format!("--serviceaccount={home}:vault")), "{}", broken.stdout);

    // A token that somebody gave the mount by hand would be presented in its place.
    vault.client().write(
        "auth/kubernetes/config",
        &json!({ "kubernetes_host": lab.kubernetes_server(), "token_reviewer_jwt": "another" }),
    );
    run(&["plan", "--detailed-exitcode"]).exits(2).says(&["token_reviewer_jwt", "Vault takes that of its own pod"]);
    run(&["verify-role", "r-app"]).exits(1).says(&["VK325", "where that of its own pod is meant"]);
}

#[test]
fn without_a_host_it_is_the_one_that_pods_know() {
    let fixture = Fixture::new("token: client", "");
    let config = fixture.config.replace("token: client", "token: local");
    let program = lab::shared().vault_program();
    let run = |args: &[&str]| {
        Vaultk8s::new(args.iter().copied()).on_shared().env("VAULTK8S_VAULT_BIN", program).config(&config).run()
    };
    run(&["plan"]).exits(0).says(&["https://kubernetes.default.svc"]).keeps_quiet_about(&["BEGIN CERTIFICATE"]);
    run(&["rehearse"])
        .exits(0)
        .says(&["another reviewer stands in for the file's (none: Vault takes that of its own pod)"]);
}

#[test]
fn the_reviewers_token_of_a_front_comes_from_a_file_or_a_variable() {
    let lab = lab::shared();
    let (home, _) = vaults_account(lab);
    let real = lab.token(&home, "vault", &[], 3600);
    let authority = Authority::new("the front's CA").unwrap();
    // No JWT, as Rancher's aren't.
    let own = "kubeconfig-u-7f2k:q9w8e7r6t5z4";
    let published: Value = serde_json::from_str(&lab.kubectl_get_raw("/.well-known/openid-configuration")).unwrap();
    let issuer = published["issuer"].as_str().unwrap();
    let front = Front::start(lab.kubernetes_server(), lab.kubernetes_ca(), &authority, own, &real);
    for token in ["file: token", "env: REVIEWER_TOKEN"] {
        let auth = format!("      host: {}\n      caCert: front.pem", front.url());
        let fixture = Fixture::new("token: client", &auth);
        let config = fixture.config.replace("token: client", &format!("token: {{ {token} }}"));
        let run = |given: &str, args: &[&str]| {
            let run = Vaultk8s::new(args.iter().copied()).on_shared().config(&config);
            let run = run.file("front.pem", authority.pem()).file("token", &format!("{given}\n"));
            let answer = run.env("REVIEWER_TOKEN", given).run();
            assert!(
                !format!("{}{}", answer.stdout, answer.stderr).contains(given),
                "{}{}",
                answer.stdout,
                answer.stderr
            );
            answer
        };
        run(own, &["bootstrap"]).exits(0).says(&["1 login verified"]);
        run(own, &["plan", "--detailed-exitcode"]).exits(0);
        run(own, &["verify-role", "r-app"]).exits(0);

        // Something else has to be written, and the token at hand is not good any more: Vault keeps the one that it has.
        let path = format!("auth/{}/config", fixture.mount);
        let drifted = |token: &str| {
            json!({
                "kubernetes_host": front.url(), "kubernetes_ca_cert": authority.pem(), "disable_local_ca_jwt": true,
                "issuer": issuer, "disable_iss_validation": false, "token_reviewer_jwt": token,
            })
        };
        lab.vault().write(&path, &drifted(own));
        run("nobody-s", &["plan"]).exits(0).says(&["token_reviewer_jwt", "the one that Vault has"]);
        run("nobody-s", &["bootstrap", "--yes"]).exits(1).complains(&["takes no reviews", "nothing was changed"]);
        assert_eq!(lab.vault().read(&path)["data"]["issuer"], issuer);
        assert!(fixture.logs_in(), "the mount lost its reviewer's token");

        lab.vault().write(&path, &drifted("nobody-s"));
        let refused = run("nobody-s", &["verify-role", "r-app", "-o", "json"]).exits(1);
        assert_eq!(refused.json()["causes"][0]["id"], "VK423", "{}", refused.stdout);
        refused.says(&["auth.host", "auth.caCert"]);
        run(own, &["bootstrap", "--yes"]).exits(0).says(&["1 login verified"]);
    }
}

#[test]
fn a_token_that_is_not_there_is_told_without_its_value() {
    let fixture = Fixture::new("token: client", "");
    let run = |token: &str, file: &str| {
        let config = fixture.config.replace("token: client", &format!("token: {token}"));
        Vaultk8s::new(["bootstrap"]).on_shared().config(&config).file("token", file).env("BROKEN", "a b").run()
    };
    run("{ file: nowhere }", "").exits(64).complains(&["nowhere"]);
    run("{ file: token }", " \n").exits(64).complains(&["holds no reviewer's token"]);
    run("{ env: NOT_SET }", "").exits(64).complains(&["$NOT_SET, which is not set"]);
    run("{ env: BROKEN }", "").exits(64).complains(&["is not a reviewer's token"]).keeps_quiet_about(&["a b"]);
    run("{ env: hvs.secret/value }", "")
        .exits(64)
        .complains(&["not the name of a variable"])
        .keeps_quiet_about(&["hvs.secret"]);
    run("{ env: VAULT_TOKEN }", "").exits(64).complains(&["VAULT_TOKEN is for Vault"]);
    run("{ env: A, file: token }", "").exits(64).complains(&["not from both"]);
    run("{}", "").exits(64).complains(&["doesn't say where"]);
    run("nonsense", "").exits(64).complains(&["client, local"]);
    let auth = lab::shared().vault().read("sys/auth");
    assert!(
        auth["data"].get(format!("{}/", fixture.mount)).is_none(),
        "something was written before the token was looked for"
    );
}
