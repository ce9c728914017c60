//! A reviewer whose token isn't this tool's to make: that of Vault's own pod, or one that stands in a file or a variable.

use std::thread::sleep;
use std::time::Duration;

use lab::{Authority, Front, Impostor, Lab, Pod, VaultOptions, VaultServer};
use serde_json::{Value, json};

use crate::command::{Answer, Vaultk8s, reader};
use crate::kubeconfigs::Place;
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

    // Where the file selects namespaces, it needs more.
    let by_labels = format!("serviceAccounts: app\n    namespaceSelector: kubernetes.io/metadata.name={namespace}");
    let config_by_labels = config.replace(&format!("serviceAccounts: [{namespace}/app]"), &by_labels);
    assert_ne!(config, config_by_labels);
    let by_labels = |args: &[&str]| Vaultk8s::new(args.iter().copied()).on(&vault).config(&config_by_labels).run();
    by_labels(&["bootstrap", "--yes"]).exits(1).says(&["VK324", "may not get namespaces"]);
    let verify = || by_labels(&["verify-role", "r-app", "-o", "json"]);
    let broken = verify();
    let (status, detail) = checks(&broken, "VK324");
    assert!(status == "failed" && detail.contains(&format!("{home}/vault, which may not get namespaces")), "{detail}");
    assert!(broken.stdout.contains(&format!("{home}-vault-namespaces")), "{}", broken.stdout);
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let name = format!("{home}-vault-namespaces");
    let role = json!({
        "metadata": { "name": name },
        "rules": [{ "apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"] }],
    });
    let subjects = json!([{ "kind": "ServiceAccount", "name": "vault", "namespace": home }]);
    let bound = json!({
        "metadata": { "name": name }, "subjects": subjects,
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
    });
    assert_eq!(lab.kubernetes().post(&format!("{rbac}/clusterroles"), &role).0, 201);
    assert_eq!(lab.kubernetes().post(&format!("{rbac}/clusterrolebindings"), &bound).0, 201);
    // The API server takes its time to see a binding.
    let seen = (0..20).find_map(|_| {
        let found = checks(&verify(), "VK324");
        if found.0 != "passed" {
            sleep(Duration::from_millis(250));
        }
        (found.0 == "passed").then_some(found)
    });
    let (_, detail) = seen.unwrap();
    assert!(detail.ends_with("and get namespaces"), "{detail}");

    run(&["bootstrap", "--yes"]).exits(0);

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

/// A mount with a reviewer's token that nobody knows, and a role for `app` of the fixture's namespace.
fn by_hand(fixture: &Fixture, token: &str) {
    let lab = lab::shared();
    let Fixture { mount, namespace, .. } = fixture;
    lab.vault().write(&format!("sys/auth/{mount}"), &json!({ "type": "kubernetes" }));
    lab.vault().write(
        &format!("auth/{mount}/config"),
        &json!({
            "kubernetes_host": lab.kubernetes_server(), "kubernetes_ca_cert": lab.kubernetes_ca(),
            "disable_local_ca_jwt": true, "disable_iss_validation": true, "token_reviewer_jwt": token,
        }),
    );
    lab.vault().write(
        &format!("auth/{mount}/role/r-app"),
        &json!({
            "bound_service_account_names": ["app"], "bound_service_account_namespaces": [namespace],
            "audience": API_AUDIENCE, "token_policies": ["default"], "token_ttl": 600,
        }),
    );
}

#[test]
fn a_token_that_the_command_names_is_given_whichever_the_mount_has() {
    let lab = lab::shared();
    let (home, _) = vaults_account(lab);
    let good = lab.token(&home, "vault", &[], 3600);
    let fixture = Fixture::new("token: client", "");
    by_hand(&fixture, "stale.stale.stale");
    let Fixture { mount, namespace, .. } = &fixture;
    let line = format!("auth kubernetes --mount {mount} --context rke");
    let give = |token: &str, more: &str| {
        let run = Vaultk8s::new(line.split(' ').chain(more.split(' '))).on_shared();
        run.file("token", token).env("REVIEWER_TOKEN", token).run()
    };
    for source in ["--reviewer-token-file token", "--reviewer-token-env REVIEWER_TOKEN"] {
        give(&good, &format!("{source} --dry-run")).exits(0).says(&["token_reviewer_jwt", "the one that Vault has"]);
    }
    let agreed = "--yes --approve take-over";
    // It is tried first.
    give("nobody-s", &format!("--reviewer-token-file token {agreed}")).exits(1).complains(&["takes no reviews"]);
    let verify = |more: &str| {
        let line = format!(
            "verify-role --mount {mount} --role r-app --service-account {namespace}/app --audience {API_AUDIENCE} --context rke -o json {more}"
        );
        let run = Vaultk8s::new(line.split_whitespace()).on_shared();
        run.file("token", &good).env("REVIEWER_TOKEN", &good).run()
    };
    verify("--reviewer-token-file token").exits(1);
    for source in ["--reviewer-token-file token", "--reviewer-token-env REVIEWER_TOKEN"] {
        lab.vault().write(
            &format!("auth/{mount}/config"),
            &json!({
                "kubernetes_host": lab.kubernetes_server(), "kubernetes_ca_cert": lab.kubernetes_ca(),
                "disable_local_ca_jwt": true, "disable_iss_validation": true, "token_reviewer_jwt": "stale.stale.stale",
            }),
        );
        assert!(!fixture.logs_in());
        let answer = give(&good, &format!("{source} {agreed}")).exits(0).says(&["1 change made."]);
        assert!(!format!("{}{}", answer.stdout, answer.stderr).contains(&good));
        assert!(fixture.logs_in(), "{source}");
        let verified = verify(source).exits(0);
        assert_eq!(checks(&verified, "VK423").0, "passed", "{}", verified.stdout);
        assert!(!verified.stdout.contains(&good));
    }
}

#[test]
fn a_reviewer_of_another_kind_gets_its_token_written_and_remembered() {
    let lab = lab::shared();
    let (home, _) = vaults_account(lab);
    let other = lab.token(&home, "vault", &[], 3600);
    let fixture = Fixture::new("token: secret", "");
    fixture.bootstrap();
    let Fixture { namespace, binding, .. } = &fixture;
    let reviewer =
        format!("{{ serviceAccount: {namespace}-review/vault-auth, bindingName: {binding}, token: secret }}");
    let config = fixture.config.replace(&reviewer, "{ token: { file: token } }");
    assert_ne!(config, fixture.config);
    let from_file =
        |args: &[&str]| Vaultk8s::new(args.iter().copied()).on_shared().config(&config).file("token", &other).run();
    from_file(&["plan", "--detailed-exitcode"])
        .exits(2)
        .says(&["token_reviewer_jwt", "another token, which it was given before"]);
    // Who may not read that can't be told it, and is told so.
    from_file(&["plan", "--as", "nobody-in-particular"]).exits(0).says(&[
        "whether Vault has the token in the file token can't be known",
        "clusterrolebindings",
        "vaultk8s auth kubernetes",
    ]);
    from_file(&["bootstrap", "--yes"]).exits(0).says(&["1 login verified"]);
    from_file(&["plan", "--detailed-exitcode"]).exits(0).keeps_quiet_about(&["can't be known"]);
    // Back again: what is remembered is not the Secret's token any more.
    fixture.run(&["plan", "--detailed-exitcode"]).exits(2).says(&["another token than the Secret has now"]);
    fixture.run(&["bootstrap", "--yes"]).exits(0).says(&["1 login verified"]);
    fixture.in_order();
}

#[test]
fn what_stands_before_the_cluster_is_no_other_cluster() {
    let lab = lab::shared();
    let authority = Authority::new("the balancer's CA").unwrap();
    let balancer = Impostor::start(lab.kubernetes_server(), lab.kubernetes_ca(), &authority);
    let fixture = Fixture::new("token: secret", &format!("      host: {}\n      caCert: front.pem", balancer.url()));
    let run = |args: &[&str]| {
        let run = Vaultk8s::new(args.iter().copied()).on_shared().config(&fixture.config);
        run.file("front.pem", authority.pem()).run()
    };
    run(&["bootstrap"]).exits(0).says(&["1 login verified"]);
    let verified = run(&["verify-role", "r-app", "-o", "json"]).exits(0);
    let (status, said) = checks(&verified, "VK322");
    assert_eq!(status, "passed", "{said}");
    assert!(said.contains("stands before this cluster"), "{said}");
    // Without the file nothing says so, and a login that works has the last word.
    let account = format!("{}/app", fixture.namespace);
    let by_flags =
        ["verify-role", "--role", "r-app", "--mount", &fixture.mount, "--service-account", &account, "-o", "json"];
    let verified = Vaultk8s::new(by_flags).on_shared().run();
    let (_, said) = checks(&verified, "VK322");
    assert!(said.contains("another cluster, or stands before this one"), "{said}");
    verified.exits(0);
}

#[test]
fn a_host_that_nothing_shows_to_be_the_cluster_gets_no_token() {
    let lab = lab::shared();
    let (home, _) = vaults_account(lab);
    let real = lab.token(&home, "vault", &[], 3600);
    let strange = Place::new();
    let ca = std::fs::read_to_string(strange.folder.path().join("ca.pem")).unwrap();
    let fixture = Fixture::new("token: client", "");
    let config = fixture.config.replace("token: client", "token: { env: REVIEWER_TOKEN }");
    let run = |args: &[&str]| {
        Vaultk8s::new(args.iter().copied()).on_shared().config(&config).env("REVIEWER_TOKEN", &real).run()
    };
    run(&["bootstrap"]).exits(0);
    // Somebody who may write the mount's configuration, and has no reviewer's token.
    lab.vault().write(
        &format!("auth/{}/config", fixture.mount),
        &json!({
            "kubernetes_host": strange.url(), "kubernetes_ca_cert": ca, "disable_local_ca_jwt": true,
            "disable_iss_validation": true, "token_reviewer_jwt": "x.y.z",
        }),
    );
    let answer = run(&["verify-role", "r-app", "-o", "json"]).exits(1);
    assert_eq!(answer.json()["causes"][0]["id"], "VK322", "{}", answer.stdout);
    assert_ne!(checks(&answer, "VK423").0, "passed", "{}", answer.stdout);
    run(&["verify-role", "r-app", "--only", "VK423"]);
    let seen = strange.all_seen();
    assert!(
        !seen.is_empty() && seen.iter().all(|seen| !seen.headers.iter().any(|header| header.contains(&real))),
        "{seen:?}"
    );
}
