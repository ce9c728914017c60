//! The main job, against a real OpenBao (or Vault) and a real kube-apiserver.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "for tests, which fail by panicking")]

mod command;

use command::{Vaultk8s, external_secrets, testdata};
use lab::{VaultOptions, VaultServer};
use serde_json::json;

/// A cluster with a mount, a policy and a role of its own on the shared servers.
struct Fixture {
    mount: String,
    policy: String,
    namespace: String,
    config: String,
}

impl Fixture {
    fn new() -> Self {
        Self::with("")
    }

    /// With more lines for the role.
    fn with(role: &str) -> Self {
        let lab = lab::shared();
        let (mount, policy, namespace) = (lab.unique("jwt"), lab.unique("p-read"), lab.namespace("app"));
        lab.service_account(&namespace, "app");
        let config = format!(
            "clusters:
  - name: lab
    context: {context}
    auth: {{ method: jwt, mount: {mount}, audience: vault, description: a mount of a test }}
policies:
  - name: {policy}
    read: [{namespace}/*]
    list: [{namespace}/*]
roles:
  - name: r-app
    serviceAccounts: [{namespace}/app]
    policies: [{policy}]
    ttl: 10m
{role}",
            context = lab.context()
        );
        Self { mount, policy, namespace, config }
    }

    fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Vaultk8s {
        Vaultk8s::new(args).on_shared().config(&self.config)
    }

    fn bootstrap(&self) {
        self.command(["bootstrap"]).run().exits(0);
        self.in_order();
    }

    fn in_order(&self) {
        self.command(["plan", "--detailed-exitcode"]).run().exits(0).says(&["No changes."]);
    }
}

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

#[test]
fn another_issuer_is_not_replaced_unasked() {
    let fixture = Fixture::new();
    let vault = lab::shared().vault();
    fixture.bootstrap();
    let config = format!("auth/{}/config", fixture.mount);
    let mut foreign = vault.read(&config)["data"].clone();
    foreign["bound_issuer"] = json!("https://production.example.internal");
    vault.write(&config, &foreign);

    fixture
        .command(["bootstrap"])
        .run()
        .exits(1)
        .says(&["this replaces what the mount trusts"])
        .complains(&["production.example.internal", "--yes"]);
    assert_eq!(vault.read(&config)["data"]["bound_issuer"], "https://production.example.internal");
    fixture.command(["bootstrap", "--yes"]).run().exits(0);
    assert_eq!(vault.read(&config)["data"]["bound_issuer"], lab::shared().kubernetes_server());
    fixture.in_order();
}

#[test]
fn keys_with_none_in_common_are_not_replaced_unasked() {
    let fixture = Fixture::new();
    let vault = lab::shared().vault();
    fixture.bootstrap();
    let config = format!("auth/{}/config", fixture.mount);
    let mut foreign = vault.read(&config)["data"].clone();
    let other = std::fs::read_to_string(testdata("jwks/rsa-3072.pem")).unwrap();
    foreign["jwt_validation_pubkeys"] = json!([other]);
    vault.write(&config, &foreign);
    fixture.command(["bootstrap"]).run().exits(1).complains(&["none of the 1 keys", "--yes"]);

    // With the cluster's key beside it, it is a rotation and needs no question.
    let own = lab::shared().kubectl_get_raw("/openid/v1/jwks");
    let own = Vaultk8s::new(["pem"]).stdin(own).run().exits(0).stdout;
    foreign["jwt_validation_pubkeys"] = json!([other, own]);
    vault.write(&config, &foreign);
    fixture.command(["bootstrap"]).run().exits(0);
    fixture.in_order();
}

#[test]
fn a_mount_of_another_type_is_left_alone() {
    let fixture = Fixture::new();
    let vault = lab::shared().vault();
    vault.write(&format!("sys/auth/{}", fixture.mount), &json!({ "type": "userpass" }));
    fixture.command(["bootstrap", "--yes"]).run().exits(1).complains(&["of type userpass", "another `mount:`"]);
    assert_eq!(vault.get(&format!("sys/policies/acl/{}", fixture.policy)).0, 404);
}

#[test]
fn a_mount_can_not_be_made_below_another() {
    let lab = lab::shared();
    let fixture = Fixture::new();
    let config = fixture.config.replace(&fixture.mount, &format!("{}/below", fixture.mount));
    lab.vault().write(&format!("sys/auth/{}", fixture.mount), &json!({ "type": "jwt" }));
    let answer = Vaultk8s::new(["bootstrap"]).on_shared().config(&config).run();
    answer.exits(1).complains(&["can't be made beside the mount"]);
}

#[test]
fn what_somebody_changed_by_hand_is_found_and_mended() {
    let fixture = Fixture::new();
    let vault = lab::shared().vault();
    fixture.bootstrap();
    let role = format!("auth/{}/role/r-app", fixture.mount);
    let policy = format!("sys/policies/acl/{}", fixture.policy);
    let config = format!("auth/{}/config", fixture.mount);
    let healthy = vault.read(&config)["data"].clone();
    // A configuration POST replaces, so it is sent whole with one field changed.
    let merged = |field: &str, value: serde_json::Value| {
        let mut changed = healthy.clone();
        changed[field] = value;
        changed
    };
    // A role POST merges, so each of these adds to what is there.
    let by_hand = [
        (&role, json!({ "token_policies": ["default", "other"], "role_type": "jwt", "user_claim": "sub" })),
        (&role, json!({ "bound_subject": "somebody", "role_type": "jwt", "user_claim": "sub" })),
        (
            &role,
            json!({ "bound_claims": {"sub": "*"}, "bound_claims_type": "glob", "role_type": "jwt", "user_claim": "sub" }),
        ),
        (&role, json!({ "token_bound_cidrs": ["10.0.0.0/8"], "role_type": "jwt", "user_claim": "sub" })),
        (&policy, json!({ "policy": "path \"secret/*\" { capabilities = [\"read\"] }" })),
        (&format!("sys/auth/{}/tune", fixture.mount), json!({ "description": "by hand" })),
        (&config, merged("default_role", json!("r-app"))),
        (&config, merged("jwt_supported_algs", json!([]))),
        (&config, merged("bound_issuer", json!(""))),
    ];
    for (path, body) in by_hand {
        vault.write(path, &body);
        fixture.command(["plan", "--detailed-exitcode"]).run().exits(2).says(&["0 to create, 1 to change, 3 in order"]);
        fixture.command(["bootstrap", "--yes"]).run().exits(0).says(&["1 change made; 1 login verified"]);
        fixture.in_order();
    }
}

#[test]
fn what_means_the_same_is_adopted_without_a_write() {
    let lab = lab::shared();
    let fixture = Fixture::new();
    let vault = lab.vault();
    let Fixture { mount, policy, namespace, .. } = &fixture;
    // The seed's own way, with other layout, order and letter case.
    let pem = Vaultk8s::new(["pem"]).stdin(lab.kubectl_get_raw("/openid/v1/jwks")).run().exits(0).stdout;
    vault.write(&format!("sys/auth/{mount}"), &json!({ "type": "jwt", "description": "a mount of a test" }));
    vault.write(
        &format!("auth/{mount}/config"),
        &json!({
            "bound_issuer": lab.kubernetes_server(),
            "jwt_validation_pubkeys": [format!("# the key of the lab\r\n{}", pem.replace('\n', "\r\n"))],
            "jwt_supported_algs": ["RS256"],
        }),
    );
    let text = format!(
        "# made by hand\npath \"secret/metadata/{namespace}/*\" {{ capabilities=[\"list\"] }}\npath \"secret/data/{namespace}/*\" {{\n policy = \"\"\n capabilities = [\"read\",]\n}}\n"
    )
    .replace(" policy = \"\"\n", "");
    vault.write(&format!("sys/policies/acl/{policy}"), &json!({ "policy": text }));
    vault.write(
        &format!("auth/{mount}/role/r-app"),
        &json!({
            "role_type": "jwt", "user_claim": "sub", "bound_audiences": "vault", "token_ttl": "600s",
            "bound_claims": { "sub": [format!("system:serviceaccount:{namespace}:app")] },
            "token_policies": [policy.to_uppercase()],
        }),
    );
    fixture.in_order();
    fixture.command(["bootstrap"]).run().exits(0).says(&["nothing to change; 1 login verified", " 0 writes."]);
    assert_eq!(vault.read(&format!("sys/policies/acl/{policy}"))["data"]["policy"], text.as_str());
}

#[test]
fn a_missing_permission_is_named_with_the_rule_that_grants_it() {
    let lab = lab::shared();
    let fixture = Fixture::new();
    let weak = |rules: &str| {
        let name = lab.unique("weak");
        lab.vault().write(&format!("sys/policies/acl/{name}"), &json!({ "policy": rules }));
        let created = lab.vault().write("auth/token/create", &json!({ "policies": [name], "ttl": "10m" }));
        created["auth"]["client_token"].as_str().unwrap().to_owned()
    };
    let run = |token: &str| fixture.command(["bootstrap"]).env("VAULT_TOKEN", token).run();

    let nothing = weak(r#"path "nothing" { capabilities = ["read"] }"#);
    run(&nothing).exits(1).complains(&[
        "sys/mounts/secret",
        r#"path "sys/mounts/secret" {"#,
        r#"capabilities = ["read"]"#,
    ]);

    // It may look but not touch: the first write is refused, and what needs it is not tried.
    let reader = weak(
        r#"path "sys/*" { capabilities = ["read", "list"] }
           path "auth/*" { capabilities = ["read", "list"] }"#,
    );
    let answer = run(&reader).exits(1);
    answer.says(&[
        &format!("✗ mount auth/{}", fixture.mount),
        &format!(r#"path "sys/auth/{}" {{"#, fixture.mount),
        r#""sudo""#,
        "not tried: it needs mount",
        "0 of 4 changes made",
    ]);
    assert!(lab.vault().read("sys/auth")["data"][format!("{}/", fixture.mount)].is_null());
}

#[test]
fn a_wrong_or_expired_token_is_told_from_a_missing_permission() {
    let lab = lab::shared();
    let fixture = Fixture::new();
    fixture.command(["plan"]).env("VAULT_TOKEN", "s.nonsense").run().exits(1).complains(&["token", "vault login"]);
    let created = lab.vault().write("auth/token/create", &json!({ "policies": ["default"], "ttl": "10m" }));
    let token = created["auth"]["client_token"].as_str().unwrap();
    lab.vault().write("auth/token/revoke", &json!({ "token": token }));
    let answer = fixture.command(["plan"]).env("VAULT_TOKEN", token).run().exits(1).complains(&["vault login"]);
    assert!(!answer.stderr.contains(token));
}

#[test]
fn tokens_that_may_not_ask_or_revoke_themselves_are_verified_by_the_operator() {
    for role in [
        "    noDefaultPolicy: true\n",
        "    numUses: 1\n",
        "    tokenType: batch\n",
        "    tokenType: batch\n    noDefaultPolicy: true\n",
    ] {
        Fixture::with(role).bootstrap();
    }
}

#[test]
fn what_a_policy_has_beside_its_text_is_found_and_taken_away() {
    let fixture = Fixture::new();
    let vault = lab::shared().vault();
    fixture.bootstrap();
    let path = format!("sys/policies/acl/{}", fixture.policy);
    let text = vault.read(&path)["data"]["policy"].clone();
    if vault.read(&path)["data"].get("cas_required").is_none() {
        // HashiCorp Vault keeps a policy's text and nothing else.
        return;
    }
    for (field, value, shown) in [
        ("allow_slashes_in_identity_templates", json!(true), "allow_slashes_in_identity_templates"),
        ("allow_wildcards_in_identity_templates", json!(true), "allow_wildcards_in_identity_templates"),
        ("ttl", json!("1h"), "expiration"),
    ] {
        let version = vault.read(&path)["data"]["version"].clone();
        vault.write(&path, &json!({ "policy": text, "cas_required": true, "cas": version, (field): value }));
        fixture.command(["plan", "--detailed-exitcode"]).run().exits(2).says(&[shown, "0 to create, 1 to change"]);
        fixture.bootstrap();
        // That a write must name its version is nobody's loss, and stays.
        assert_eq!(vault.read(&path)["data"]["cas_required"], true);
    }
}

#[test]
fn addresses_in_any_spelling_are_in_order_once_written() {
    let fixture = Fixture::with("    boundCidrs: [\"2001:DB8:0::1/64\", \"fe80::0:1\", 127.0.0.1/32, 127.0.0.9/8]\n");
    fixture.bootstrap();
}

#[test]
fn rules_beside_kv_and_templates_are_judged_with_care() {
    let fixture = Fixture::new();
    let rules = "    rules:
      - { path: cubbyhole/app/*, capabilities: [read] }
      - { path: sys/tools/hash/sha2-256, capabilities: [update] }
      - { path: \"kv1/{{identity.entity.id}}/*\", capabilities: [read] }
roles:";
    let config = fixture.config.replace("roles:", rules);
    Vaultk8s::new(["bootstrap"])
        .on_shared()
        .config(&config)
        .run()
        .exits(0)
        .says(&["! VK401 what kv1/{{identity.entity.id}}/* allows can't be foretold", "1 login verified"]);
}

#[test]
fn a_mount_that_shortens_tokens_is_a_warning() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    lab::shared().vault().write(
        &format!("sys/mounts/auth/{}/tune", fixture.mount),
        &json!({ "max_lease_ttl": "60s", "token_type": "batch" }),
    );
    fixture
        .command(["bootstrap"])
        .run()
        .exits(0)
        .says(&["! VK201 its token lives for 60 s, not the 600 s of the role"]);
}

#[test]
fn a_reader_that_goes_away_does_not_stop_what_was_begun() {
    let fixture = Fixture::new();
    assert_eq!(fixture.command(["bootstrap"]).start().ignore(), Some(0));
    fixture.in_order();
}

#[test]
fn a_role_that_takes_logins_from_elsewhere_only_is_not_a_failure() {
    let fixture = Fixture::with("    boundCidrs: [10.9.8.0/24]\n");
    fixture.command(["bootstrap"]).run().exits(0).says(&["0 logins verified, 1 not tried", "10.9.8.0/24"]);
}

#[test]
fn a_service_account_that_is_not_there_fails_verification() {
    let fixture = Fixture::new();
    let config = fixture.config.replace("/app]", "/nobody]");
    Vaultk8s::new(["bootstrap"]).on_shared().config(&config).run().exits(1).says(&[
        "VK101",
        "create serviceaccount nobody",
        "1 failed",
    ]);
}

#[test]
fn what_a_login_may_do_beside_its_policies_fails_verification() {
    // `default` is every token's, so this test has a server of its own.
    let vault = VaultServer::start(&VaultOptions::default());
    let fixture = Fixture::new();
    let client = vault.client();
    let default = client.read("sys/policies/acl/default")["data"]["policy"].as_str().unwrap().to_owned();
    let deny = format!("{default}\npath \"secret/data/{}/*\" {{ capabilities = [\"deny\"] }}", fixture.namespace);
    let run = |args: &[&str]| Vaultk8s::new(args.iter().copied()).on(&vault).config(&fixture.config).run();

    client.write("sys/policies/acl/default", &json!({ "policy": deny }));
    run(&["bootstrap"]).exits(1).says(&["✗ VK401 it may not read on secret/data/"]);

    let wide = format!("{default}\npath \"secret/data/*\" {{ capabilities = [\"read\", \"update\"] }}");
    client.write("sys/policies/acl/default", &json!({ "policy": wide }));
    run(&["bootstrap"]).exits(1).says(&["✗ VK402 it may also read, update on secret/data/"]);
}

#[test]
fn kv_version_1_needs_no_data_and_metadata() {
    let fixture = Fixture::new();
    let config = fixture.config.replace("    read:", "    kv: kv1\n    read:");
    Vaultk8s::new(["bootstrap"]).on_shared().config(&config).run().exits(0);
    let text =
        lab::shared().vault().read(&format!("sys/policies/acl/{}", fixture.policy))["data"]["policy"].to_string();
    assert!(text.contains(&format!("kv1/{}/*", fixture.namespace)) && !text.contains("data/"), "{text}");
}

#[test]
fn a_kv_mount_that_is_not_there_is_named() {
    let fixture = Fixture::new();
    let config = format!("kv: sekret\n{}", fixture.config);
    Vaultk8s::new(["plan"])
        .on_shared()
        .config(&config)
        .run()
        .exits(1)
        .complains(&["no secrets mount at sekret/", "vault secrets enable -path=sekret"]);
    let config = format!("kv: cubbyhole\n{}", fixture.config);
    Vaultk8s::new(["plan"]).on_shared().config(&config).run().exits(1).complains(&["of type cubbyhole, not KV"]);
}

#[test]
fn a_sealed_vault_says_so() {
    let mut vault = VaultServer::start(&VaultOptions::default());
    vault.seal();
    let fixture = Fixture::new();
    Vaultk8s::new(["bootstrap"]).on(&vault).config(&fixture.config).run().exits(1).complains(&["sealed", "unseal"]);
}

#[test]
fn an_unreachable_vault_and_a_wrong_ca_say_so() {
    let fixture = Fixture::new();
    fixture
        .command(["plan"])
        .env("VAULT_ADDR", "https://127.0.0.1:1")
        .run()
        .exits(1)
        .complains(&["https://127.0.0.1:1"]);
    let other_ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(other_ca.path(), lab::shared().kubernetes_ca()).unwrap();
    fixture.command(["plan"]).env("VAULT_CACERT", other_ca.path()).run().exits(1).complains(&["VAULT_CACERT"]);
}

#[test]
fn an_address_in_the_file_that_is_not_the_environment_s_is_refused() {
    let fixture = Fixture::new();
    let config = format!("vault: {{ address: https://vault.example.internal:8200 }}\n{}", fixture.config);
    Vaultk8s::new(["plan"]).on_shared().config(&config).run().exits(64).complains(&["VAULT_ADDR", "--address"]);
    let address = lab::shared().vault_address();
    Vaultk8s::new(["plan", "--address", address]).on_shared().config(&config).run().exits(0);
}

#[test]
fn plain_http_goes_to_loopback_only() {
    let fixture = Fixture::new();
    fixture
        .command(["plan"])
        .env("VAULT_ADDR", "http://vault.example.internal:8200")
        .run()
        .exits(64)
        .complains(&["--allow-http"]);
}

#[test]
fn documents_are_versioned_and_alone_on_stdout() {
    let fixture = Fixture::new();
    let plan = fixture.command(["plan", "-o", "json"]).run().exits(0).json();
    assert_eq!((&plan["apiVersion"], &plan["kind"]), (&json!("vaultk8s/v1alpha1"), &json!("Plan")));
    assert_eq!(plan["changes"].as_array().unwrap().len(), 4);
    let done = fixture.command(["bootstrap", "-o", "json"]).run().exits(0).json();
    assert_eq!((&done["kind"], &done["success"]), (&json!("Bootstrap"), &json!(true)));
    assert_eq!(done["verification"]["roles"][0]["checks"].as_array().unwrap().len(), 7);
    let failed = fixture.command(["plan", "-o", "json"]).env("VAULT_ADDR", "https://127.0.0.1:1").run().exits(1).json();
    assert_eq!((&failed["kind"], &failed["exitCode"]), (&json!("Error"), &json!(1)));
    let yaml = fixture.command(["plan", "-o", "yaml"]).run().exits(0).stdout;
    assert!(yaml.starts_with("apiVersion: vaultk8s/v1alpha1\nkind: Plan\n"), "{yaml}");
}

#[test]
fn a_cluster_that_can_not_be_reached_is_pinned_from_its_file() {
    let lab = lab::shared();
    let fixture = Fixture::new();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(&file, lab.kubectl_get_raw("/openid/v1/jwks")).unwrap();
    let source = format!("issuer: {}\n    jwksFile: {}", lab.kubernetes_server(), file.display());
    let config = fixture.config.replace(&format!("context: {}", lab.context()), &source);
    let run =
        |args: &[&str]| Vaultk8s::new(args.iter().copied()).on_shared().env("KUBECONFIG", "").config(&config).run();
    run(&["bootstrap"]).exits(0).says(&["4 changes made; 0 logins verified, 1 not tried"]);
    // The same cluster, now reached, finds nothing to change.
    fixture.in_order();
}
