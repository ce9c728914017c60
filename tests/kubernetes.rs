//! The kubernetes method, against a real OpenBao (or Vault) that asks a real kube-apiserver.

use lab::{ControlPlane, ControlPlaneOptions, KeyKind, Kubernetes, ServiceAccountKey, VaultOptions, VaultServer};
use serde_json::{Value, json};

use crate::command::{Vaultk8s, external_secrets, testdata};
use crate::kubernetes_fixture::{API_AUDIENCE, Fixture};
use crate::signature::signed_anew;

/// The paths of the seed's objects.
const SEED_OBJECTS: [&str; 4] = [
    "/api/v1/namespaces/vault-auth",
    "/api/v1/namespaces/vault-auth/serviceaccounts/vault-auth",
    "/api/v1/namespaces/vault-auth/secrets/vault-auth-token",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/vault-auth-tokenreview",
];

fn versions(cluster: &Kubernetes) -> Vec<Value> {
    SEED_OBJECTS.iter().map(|path| cluster.get(path).1["metadata"]["resourceVersion"].clone()).collect()
}

/// A cluster with the service account of the seed.
fn cluster(options: &ControlPlaneOptions) -> ControlPlane {
    let cluster = ControlPlane::start(options);
    create_external_secrets(&cluster);
    cluster
}

fn create_external_secrets(cluster: &ControlPlane) {
    cluster.client().create_namespace("external-secrets").unwrap();
    cluster.client().create_service_account("external-secrets", "external-secrets").unwrap();
}

#[test]
fn the_rke_homelab_from_nothing_again_and_rebuilt() {
    let mut cluster = cluster(&ControlPlaneOptions::default());
    let vault = VaultServer::start(&VaultOptions::default());
    let text = std::fs::read_to_string(testdata("configs/rke.yaml")).unwrap();
    let config = text.replace("https://rke-api.example.internal:6443", cluster.server_url());
    let kubeconfig = cluster.kubeconfig();
    let run = |args: &[&str]| {
        let command = Vaultk8s::new(args.iter().copied()).args(["--address", vault.address()]);
        command.on(&vault).env("KUBECONFIG", &kubeconfig).config(&config).run()
    };

    run(&["plan", "--detailed-exitcode"]).exits(2).says(&["12 to create, 0 to change, 0 in order"]);
    assert!(!vault.requests().iter().any(lab::AuditedRequest::is_write), "plan wrote something");
    assert_eq!(versions(cluster.client()), [Value::Null, Value::Null, Value::Null, Value::Null]);

    let answer = run(&["bootstrap"]).exits(0).says(&["12 changes made; 3 logins verified", "✓ VK321", "warning: "]);
    let secret = cluster.client().get(SEED_OBJECTS[2]).1["data"]["token"].as_str().unwrap().to_owned();
    assert!(!answer.stdout.contains("eyJ") && !answer.stderr.contains("eyJ") && !answer.stdout.contains(&secret));
    let (before, objects) = (vault.requests().len(), versions(cluster.client()));
    run(&["bootstrap"]).exits(0).says(&["No changes.", "nothing to change; 3 logins verified", " 0 writes."]);
    let second = vault.requests();
    let writes: Vec<_> = second[before..].iter().filter(|request| request.is_write()).collect();
    assert!(writes.is_empty(), "the second run wrote {writes:?}");
    assert_eq!(versions(cluster.client()), objects, "the second run changed the cluster");
    run(&["plan", "--detailed-exitcode"]).exits(0);

    // What the servers hold and do is the judge.
    let client = vault.client();
    let config = &client.read("auth/kubernetes/config")["data"];
    assert_eq!((&config["disable_iss_validation"], &config["disable_local_ca_jwt"]), (&json!(true), &json!(true)));
    client.write("secret/data/example-api/env-file", &json!({ "data": { "dotenv": "A=1" } }));
    let read = |cluster: &ControlPlane| {
        let token = cluster.client().token("external-secrets", "external-secrets", &[], 600);
        let eso = client.logged_in("kubernetes", "external-secrets-example-api", &token);
        assert_eq!(eso.read("secret/data/example-api/env-file")["data"]["data"]["dotenv"], "A=1");
        assert_eq!(eso.get("secret/data/example-admin/config-file").0, 403);
    };
    read(&cluster);

    // A rebuilt cluster has the address and the CA that it had, and new keys; all that was in it is gone.
    cluster.rebuild(&ControlPlaneOptions::default());
    create_external_secrets(&cluster);
    let token = cluster.client().token("external-secrets", "external-secrets", &[], 600);
    assert_eq!(client.login("kubernetes", "external-secrets-example-api", &token).0, 403);
    run(&["bootstrap"]).exits(0).says(&["4 to create, 1 to change, 7 in order", "3 logins verified"]);
    read(&cluster);
    run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn another_cluster_takes_over_a_mount_only_when_told() {
    let fixture = Fixture::new("token: secret", "");
    fixture.bootstrap();
    let other = ControlPlane::start(&ControlPlaneOptions::default());
    other.client().create_namespace(&fixture.namespace).unwrap();
    other.client().create_service_account(&fixture.namespace, "app").unwrap();
    let config = fixture.config.as_str();
    let run = |args: &[&str]| {
        let command = Vaultk8s::new(args.iter().copied()).on_shared().env("KUBECONFIG", other.kubeconfig());
        command.config(config).run()
    };
    run(&["bootstrap"]).exits(1).says(&["this replaces what the mount trusts"]).complains(&[lab_host(), "--yes"]);
    assert!(fixture.logs_in());
    let foreign = other.client().token(&fixture.namespace, "app", &[], 600);
    assert_eq!(lab::shared().vault().login(&fixture.mount, "r-app", &foreign).0, 403);
    fixture.in_order();
    run(&["bootstrap", "--yes"]).exits(0).says(&["1 login verified"]);
    run(&["plan", "--detailed-exitcode"]).exits(0);
    let vault = lab::shared().vault();
    let held = &vault.read(&format!("auth/{}/config", fixture.mount))["data"];
    assert_eq!(held["kubernetes_host"], other.server_url());
}

/// What `Answer` shows in place of the shared API server's URL.
fn lab_host() -> &'static str {
    "[ISSUER]"
}

#[test]
fn what_the_seed_s_commands_made_is_adopted_without_a_write() {
    let lab = lab::shared();
    let fixture = Fixture::new("token: secret", "");
    let Fixture { mount, policy, binding, namespace, .. } = &fixture;
    let (vault, cluster) = (lab.vault(), lab.kubernetes());
    let review = format!("{namespace}-review");
    cluster.create_namespace(&review).unwrap();
    cluster.service_account(&review, "vault-auth");
    let created = cluster.post(
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        &json!({
            "metadata": { "name": binding, "labels": { "made-by": "hand" } },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator" },
            "subjects": [
                { "kind": "ServiceAccount", "namespace": "elsewhere", "name": "other" },
                { "kind": "ServiceAccount", "namespace": review, "name": "vault-auth" },
            ],
        }),
    );
    assert_eq!(created.0, 201);
    let created = cluster.post(
        &format!("/api/v1/namespaces/{review}/secrets"),
        &json!({
            "metadata": {
                "name": "vault-auth-token",
                "annotations": { "kubernetes.io/service-account.name": "vault-auth" },
            },
            "type": "kubernetes.io/service-account-token",
        }),
    );
    assert_eq!(created.0, 201);
    // Another token than the Secret's, which works as well.
    let reviewer = cluster.token(&review, "vault-auth", &[], 3600);
    vault.write(&format!("sys/auth/{mount}"), &json!({ "type": "kubernetes" }));
    vault.write(
        &format!("auth/{mount}/config"),
        &json!({
            "kubernetes_host": format!("{}/", lab.kubernetes_server()),
            "kubernetes_ca_cert": format!("# the CA of the lab\n{}", lab.kubernetes_ca()),
            "token_reviewer_jwt": reviewer,
        }),
    );
    let text = format!(
        "path \"secret/data/{namespace}/*\" {{ capabilities = [\"read\"] }}\npath \"secret/metadata/{namespace}/*\" {{ capabilities = [\"list\"] }}"
    );
    vault.write(&format!("sys/policies/acl/{policy}"), &json!({ "policy": text }));
    vault.write(
        &format!("auth/{mount}/role/r-app"),
        &json!({
            "bound_service_account_names": "app", "bound_service_account_namespaces": namespace,
            "audience": API_AUDIENCE, "policies": policy, "ttl": "10m",
        }),
    );
    fixture.in_order();
    fixture.run(&["bootstrap"]).exits(0).says(&["nothing to change; 1 login verified", " 0 writes."]);
    assert_eq!(fixture.record(), Value::Null);

    // A token that doesn't work shows in a login only.
    let mut config = vault.read(&format!("auth/{mount}/config"))["data"].clone();
    config["token_reviewer_jwt"] = lab.token(namespace, "app", &[], 600).into();
    vault.write(&format!("auth/{mount}/config"), &config);
    fixture.in_order();
    fixture
        .run(&["plan", "--probe", "--detailed-exitcode"])
        .exits(2)
        .says(&["a token that the cluster does not accept"]);
    fixture.run(&["bootstrap"]).exits(0).says(&["1 change made; 1 login verified"]);
    fixture.run(&["plan", "--probe", "--detailed-exitcode"]).exits(0);
    assert!(fixture.record()["expires"].is_null() && fixture.logs_in());
}

#[test]
fn both_seeds_in_one_bootstrap() {
    let lab = lab::shared();
    external_secrets(lab);
    let vault = VaultServer::start(&VaultOptions::default());
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("certs")).unwrap();
    std::fs::copy(vault.ca(), folder.path().join("certs/vault-ca.pem")).unwrap();
    std::fs::write(folder.path().join("certs/rke-ca.pem"), lab.kubernetes_ca()).unwrap();
    let text = std::fs::read_to_string(testdata("configs/both.yaml")).unwrap();
    let file = folder.path().join("both.yaml");
    std::fs::write(&file, text.replace("https://rke-api.example.internal:6443", lab.kubernetes_server())).unwrap();
    let file = file.display().to_string();
    let run = |args: &[&str]| {
        let common = ["--address", vault.address(), "-f", &file];
        Vaultk8s::new(args.iter().copied()).args(common).on(&vault).run()
    };
    run(&["bootstrap"]).exits(0).says(&["6 logins verified"]);
    run(&["plan", "--detailed-exitcode"]).exits(0);
    run(&["bootstrap"]).exits(0).says(&["nothing to change; 6 logins verified", " 0 writes."]);
}

#[test]
fn what_somebody_changed_by_hand_is_found_and_mended() {
    let fixture = Fixture::new("token: secret", "");
    let vault = lab::shared().vault();
    fixture.bootstrap();
    let role = format!("auth/{}/role/r-app", fixture.mount);
    let config = format!("auth/{}/config", fixture.mount);
    let healthy = vault.read(&config)["data"].clone();
    let token = lab::shared().token(&format!("{}-review", fixture.namespace), "vault-auth", &[], 3600);
    let merged = |field: &str, value: Value| {
        let mut changed = healthy.clone();
        changed["token_reviewer_jwt"] = token.clone().into();
        changed[field] = value;
        changed
    };
    let other_ca = std::fs::read_to_string(lab::shared().vault_ca()).unwrap();
    let by_hand = [
        (&role, json!({ "bound_service_account_names": ["app", "other"] })),
        (&role, json!({ "bound_service_account_namespaces": ["*"] })),
        (&role, json!({ "audience": "" })),
        (&role, json!({ "audience": "other" })),
        (&role, json!({ "alias_name_source": "serviceaccount_name" })),
        (&role, json!({ "token_policies": ["default", "other"] })),
        (&role, json!({ "token_ttl": 60 })),
        (&role, json!({ "token_max_ttl": 6000 })),
        (&role, json!({ "token_explicit_max_ttl": 6000 })),
        (&role, json!({ "token_period": 60 })),
        (&role, json!({ "token_num_uses": 9 })),
        (&role, json!({ "token_no_default_policy": true })),
        (&role, json!({ "token_bound_cidrs": ["10.0.0.0/8"] })),
        (&role, json!({ "token_type": "batch" })),
        (&role, json!({ "bound_service_account_namespace_selector": "{\"matchLabels\":{\"team\":\"a\"}}" })),
        (&config, merged("pem_keys", json!([std::fs::read_to_string(testdata("jwks/p256.pem")).unwrap()]))),
        (&config, merged("kubernetes_host", json!("https://production.example.internal:6443"))),
        (&config, merged("kubernetes_ca_cert", json!(other_ca))),
        (&config, merged("disable_iss_validation", json!(false))),
        (&config, merged("issuer", json!("https://other.example.internal"))),
        // A POST erases the token that it leaves out.
        (&config, healthy.clone()),
    ];
    // OpenBao has a field more.
    let bind_ip =
        vault.read(&role)["data"].get("token_strictly_bind_ip").map(|_| json!({ "token_strictly_bind_ip": true }));
    for (path, body) in by_hand.into_iter().chain(bind_ip.map(|body| (&role, body))) {
        // The role's own fields are sent whole, because a selector that is left out is reset.
        let mut whole = if path == &role { vault.read(&role)["data"].clone() } else { json!({}) };
        for (field, value) in body.as_object().unwrap() {
            whole[field] = value.clone();
        }
        vault.write(path, &whole);
        fixture.run(&["plan", "--detailed-exitcode"]).exits(2).says(&["0 to create, 1 to change, 7 in order"]);
        fixture.run(&["bootstrap", "--yes"]).exits(0).says(&["1 change made; 1 login verified"]);
        fixture.in_order();
    }
}

#[test]
fn who_is_not_meant_is_refused_by_the_server() {
    let lab = lab::shared();
    let fixture = Fixture::new("token: secret", &format!("      issuer: {}", lab.kubernetes_server()));
    fixture.bootstrap();
    let Fixture { mount, namespace, .. } = &fixture;
    assert!(fixture.logs_in());
    let config = &lab.vault().read(&format!("auth/{mount}/config"))["data"];
    assert_eq!(config["disable_iss_validation"], false);
    let elsewhere = lab.namespace("elsewhere");
    lab.service_account(&elsewhere, "app");
    lab.service_account(namespace, "other");
    let refused = |token: &str| {
        let (status, answer) = lab.vault().login(mount, "r-app", token);
        assert_eq!(status, 403, "{answer}");
    };
    refused(&lab.token(namespace, "other", &[], 600));
    refused(&lab.token(&elsewhere, "app", &[], 600));
    refused(&lab.token(namespace, "app", &["vault"], 600));
}

#[test]
fn a_token_that_is_over_or_that_another_cluster_signed_is_refused_by_the_server() {
    let keys = [ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap()];
    let cluster = ControlPlane::start(&ControlPlaneOptions { keys: keys.to_vec(), ..ControlPlaneOptions::default() });
    let fixture = Fixture::new("token: secret", "");
    cluster.client().create_namespace(&fixture.namespace).unwrap();
    cluster.client().create_service_account(&fixture.namespace, "app").unwrap();
    let command = Vaultk8s::new(["bootstrap"]).on_shared().env("KUBECONFIG", cluster.kubeconfig());
    command.config(&fixture.config).run().exits(0).says(&["1 login verified"]);

    let login = |token: &str| lab::shared().vault().login(&fixture.mount, "r-app", token);
    let token = cluster.client().token(&fixture.namespace, "app", &[], 600);
    // The same token with other times, signed by the cluster's own key: nothing but its times can be wrong.
    let with_times = |key: &ServiceAccountKey, begins: i64, ends: i64| signed_anew(&token, key, begins, ends);
    let [own] = &keys;
    let (status, answer) = login(&with_times(own, -60, 300));
    assert_eq!(status, 200, "what the test signs must be right but for its times: {answer}");
    let (status, answer) = login(&with_times(own, -900, -300));
    assert_eq!(status, 403, "{answer}");
    assert!(answer.to_string().contains("expired"), "{answer}");
    // A token that isn't valid yet, too.
    assert_eq!(login(&with_times(own, 300, 900)).0, 403);

    // Right in every word, its key id included, and signed by another cluster's key.
    let other = ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap();
    let (status, answer) = login(&with_times(&other, -60, 300));
    assert_eq!((status, &answer["errors"]), (403, &json!(["permission denied"])));
    assert_eq!(login(&token).0, 200);
}

#[test]
fn patterns_and_any_audience_let_in_what_they_say() {
    let lab = lab::shared();
    let fixture = Fixture::new("token: secret", "");
    let Fixture { mount, policy, namespace, .. } = &fixture;
    let (other, outside) = (lab.namespace(&format!("{namespace}-b")), lab.namespace("outside"));
    for at in [namespace, &other, &outside] {
        lab.service_account(at, "op");
    }
    let roles = format!(
        "  - {{ name: r-glob, serviceAccounts: ['{namespace}*/op'], allowGlobs: true, policies: [{policy}] }}
  - {{ name: r-both, serviceAccounts: ['{namespace}/op', '{namespace}/ap*'], allowGlobs: true, policies: [{policy}] }}
  - {{ name: r-any, serviceAccounts: ['{namespace}/op'], anyAudience: true, policies: [{policy}] }}
"
    );
    let fixture = Fixture { config: fixture.config.clone() + &roles, ..fixture.clone() };
    let answer = fixture.run(&["bootstrap"]).exits(0);
    let answer = answer.says(&["3 logins verified, 2 not tried", "is a pattern: it names nobody to log in as"]);
    answer.complains(&["lets in service accounts that nobody listed", "takes tokens of any audience"]);
    fixture.in_order();
    fixture.run(&["bootstrap"]).exits(0).says(&["No changes.", " 0 writes."]);

    let lets_in = |role: &str, at: &str, account: &str, audiences: &[&str]| {
        let (status, answer) = lab.vault().login(mount, role, &lab.token(at, account, audiences, 600));
        assert!(matches!(status, 200 | 403), "{status} {answer}");
        status == 200
    };
    for (at, account, expected) in
        [(namespace, "op", true), (&other, "op", true), (&outside, "op", false), (namespace, "app", false)]
    {
        assert_eq!(lets_in("r-glob", at, account, &[]), expected, "{at}/{account}");
    }
    assert!(lets_in("r-both", namespace, "app", &[]) && !lets_in("r-both", &other, "op", &[]));
    // Patterns don't loosen the audience, and no audience doesn't loosen the account.
    assert!(!lets_in("r-glob", &other, "op", &["vault"]));
    assert!(lets_in("r-any", namespace, "op", &["elsewhere"]) && lets_in("r-any", namespace, "op", &[]));
    assert!(!lets_in("r-any", namespace, "app", &[]));

    // What the configuration refuses to mix, Vault refuses too.
    let role = |names: &[&str], namespaces: &[&str]| {
        let body = json!({ "bound_service_account_names": names, "bound_service_account_namespaces": namespaces });
        lab.vault().post(&format!("auth/{mount}/role/r-refused"), &body).0
    };
    assert_eq!([role(&["*", "app"], &["a"]), role(&["a"], &["*", "b"])], [400, 400]);
}
