//! `vaultk8s verify-role` as a command: what it prints and writes, what it looks at with fewer rights, and what it leaves
//! behind. What it finds is in `tests/catalogue.rs`.

use lab::{VaultOptions, VaultServer};
use serde_json::{Value, json};

use crate::command::{Answer, Vaultk8s};
use crate::fixture::Fixture;

/// The status of a check in a document.
fn status<'a>(document: &'a Value, id: &str) -> &'a str {
    let sections = document["sections"].as_array().unwrap();
    let mut checks = sections.iter().flat_map(|section| section["checks"].as_array().unwrap());
    checks.find(|check| check["id"] == id).map_or("absent", |check| check["status"].as_str().unwrap())
}

fn verify(fixture: &Fixture, args: &[&str]) -> Answer {
    fixture.command(["verify-role"]).args(args.iter().copied()).run()
}

#[test]
fn a_healthy_role_is_shown_link_by_link() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let secret = format!("secret/{}/db", fixture.namespace);
    let data = format!("secret/data/{}/db", fixture.namespace);
    lab::shared().vault().write(&data, &json!({ "data": { "password": "hunter2" } }));
    let path = format!("{secret}#password");
    let answer = verify(&fixture, &["--all", "--path", &path]).exits(0);
    let answer = answer.says(&["✓ VK101", "✓ VK312", "✓ VK431", "✓ VK602", "✓ VK804", "✓ VK705"]);
    assert!(!answer.stdout.contains('✗') && !answer.stdout.contains('!'), "{}", answer.stdout);
    assert!(!(answer.stdout + &answer.stderr).contains("hunter2"));
    // Without a file, by flags alone, the account being that of the role.
    let args = ["verify-role", "--mount", &fixture.mount, "--role", "r-app", "--path", &path];
    Vaultk8s::new(args).on_shared().run().exits(0).says(&["✓ VK431", "✓ VK602"]);
}

#[test]
fn a_token_that_is_there_needs_no_way_to_the_cluster() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let token = lab::shared().token(&fixture.namespace, "app", &["vault"], 600);
    let args = ["verify-role", "--mount", &fixture.mount, "--role", "r-app", "--jwt-file", "-"];
    let without = Vaultk8s::new(args).on_shared().env("KUBECONFIG", "/nonexistent").stdin(token);
    without.run().exits(0).says(&["– VK201", "– VK202", "✓ VK431", "✓ VK804"]);
    Vaultk8s::new(args).on_shared().stdin("no.token.at-all").run().exits(1).complains(&["kubectl create token"]);
}

#[test]
fn one_fault_of_many_roles_is_told_once() {
    let fixture = Fixture::with("  - { name: r-two, serviceAccounts: [NS/app], policies: [POLICY] }\n");
    let config = fixture.config.replace("NS", &fixture.namespace).replace("POLICY", &fixture.policy);
    let fixture = Fixture { config, ..fixture };
    fixture.bootstrap();
    let answer = verify(&fixture, &["--all", "--kv", "secrte", "--path", "x"]).exits(1);
    assert_eq!(answer.stdout.matches("there is no secrets mount at secrte/ (VK503").count(), 1, "{}", answer.stdout);
    answer.says(&["role r-app as", "role r-two as", "2 failed"]);
}

#[test]
fn a_mistyped_role_is_shown_beside_those_that_are_there() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let account = format!("{}/app", fixture.namespace);
    let args = ["verify-role", "--mount", &fixture.mount, "--role", "r-ap", "--service-account", &account];
    let words = ["VK401", "roles that are there", "r-app", "correct --role", &*format!("--service-account {account}")];
    Vaultk8s::new(args).on_shared().run().exits(1).says(&words);
}

#[test]
fn commands_lead_to_the_cluster_that_was_looked_at() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let account = format!("{}/gone", fixture.namespace);
    let file = lab::shared().kubeconfig().display().to_string();
    let args = ["verify-role", "--mount", &fixture.mount, "--role", "r-app", "--service-account", &account];
    let command = Vaultk8s::new(args).args(["--kubeconfig", &file, "--context", "rke"]).on_shared();
    let kubectl = format!("$ kubectl --kubeconfig {file} --context rke -n {} create", fixture.namespace);
    command.env("KUBECONFIG", "").run().exits(1).says(&["VK403", &kubectl]);
    // The file's context, which need not be the current one; and the flags that were given.
    lab::shared().vault().delete(&format!("auth/{}/role/r-app", fixture.mount));
    let answer = verify(&fixture, &["--all", "--context", "rke"]).exits(1);
    answer.says(&["VK401", "$ vaultk8s bootstrap -f vaultk8s.yaml --context rke"]);
}

#[test]
fn documents_say_the_same() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.xml");
    let path = format!("secret/{}/none", fixture.namespace);
    let report = format!("junit={}", file.display());
    let args = ["--all", "--path", &path, "--report", &report, "-o", "json"];
    let document = verify(&fixture, &args).exits(1).json();
    assert_eq!((&document["kind"], &document["success"]), (&json!("RoleVerification"), &json!(false)));
    let cause = &document["causes"][0];
    assert_eq!((&cause["id"], &cause["about"]["role"]), (&json!("VK601"), &json!("r-app")), "{cause}");
    assert_eq!(cause["docs"], "docs/troubleshooting.md#vk601");
    assert_eq!(status(&document, "VK602"), "notReached");
    let xml = std::fs::read_to_string(&file).unwrap();
    for words in ["<testsuites name=\"vaultk8s verify-role\"", "failures=\"1\"", "VK601 the secret is there", "to do: "]
    {
        assert!(xml.contains(words), "no {words:?} in {xml}");
    }
}

#[test]
fn checks_are_selected_and_left_out() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let document = verify(&fixture, &["--all", "--only", "vk3", "--skip", "VK313", "-o", "json"]).exits(0).json();
    let ids: Vec<&str> = document["sections"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|section| section["checks"].as_array().unwrap())
        .map(|check| check["id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids,
        ["VK301", "VK302", "VK303", "VK304", "VK305", "VK306", "VK311", "VK312", "VK314", "VK315", "VK331"]
    );
    verify(&fixture, &["--all", "--only", "VK999"]).exits(64).complains(&["there is no check \"VK999\""]);
}

#[test]
fn wrong_usage_is_told_apart_from_a_failed_check() {
    let fixture = Fixture::new();
    verify(&fixture, &[]).exits(64).complains(&["no role is named", "--all"]);
    verify(&fixture, &["r-other"]).exits(64).complains(&["has no role r-other", "it has: r-app"]);
    verify(&fixture, &["--all", "--report", "html=x"]).exits(64).complains(&["junit=FILE"]);
    verify(&fixture, &["--all", "--path", "secret/a/*"]).exits(64).complains(&["is a pattern"]);
    verify(&fixture, &["--mount", "jwt"]).exits(64);
}

#[test]
fn without_logins_nothing_is_written() {
    let vault = VaultServer::start(&VaultOptions::default());
    let fixture = Fixture::new();
    let run = |args: &[&str]| Vaultk8s::new(args.iter().copied()).on(&vault).config(&fixture.config).run();
    run(&["bootstrap", "--no-verify"]).exits(0);
    let before = vault.requests().len();
    let document = run(&["verify-role", "--all", "--no-login", "-o", "json"]).exits(0).json();
    let requests = vault.requests();
    let made = &requests[before..];
    assert!(made.iter().all(|request| !request.is_write()), "{made:?}");
    assert_eq!((status(&document, "VK313"), status(&document, "VK431")), ("passed", "skipped"));
}

#[test]
fn with_a_weak_token_it_says_what_it_could_not_see() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let token = lab::shared().vault().write("auth/token/create", &json!({ "policies": ["default"], "ttl": "5m" }));
    let token = token["auth"]["client_token"].as_str().unwrap();
    let answer = fixture.command(["verify-role", "--all", "-o", "json"]).env("VAULT_TOKEN", token).run();
    let document = answer.exits(0).json();
    // What it may not look at is no fault, and the login is tried all the same.
    for (id, expected) in [("VK301", "unseen"), ("VK401", "unseen"), ("VK431", "passed"), ("VK506", "passed")] {
        assert_eq!(status(&document, id), expected, "{id}");
    }
    let text = document.to_string();
    assert!(text.contains(&format!("auth/{}/role/r-app", fixture.mount)) && text.contains("capabilities"), "{text}");
    assert!(!text.contains(token));
    // For a person, the rules that would show it are at the end.
    let answer = fixture.command(["verify-role", "--all"]).env("VAULT_TOKEN", token).run().exits(0);
    let (_, rules) = answer.stdout.split_once("to see what these credentials may not:").unwrap();
    let role = format!("path \"auth/{}/role/r-app\" {{ capabilities = [\"read\"] }}", fixture.mount);
    assert_eq!(rules.matches(&role).count(), 1, "{rules}");
}

#[test]
fn without_any_token_the_login_is_tried_all_the_same() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let answer = fixture.command(["verify-role", "--all", "-o", "json"]).env("VAULT_TOKEN", "").run();
    let document = answer.exits(0).json();
    assert_eq!((status(&document, "VK105"), status(&document, "VK431")), ("skipped", "passed"));
}

#[test]
fn an_operators_token_that_is_over_is_named_and_counts_as_none() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let vault = lab::shared().vault();
    let token = vault.write("auth/token/create", &json!({ "policies": ["root"], "ttl": "1s" }));
    let token = token["auth"]["client_token"].as_str().unwrap();
    while vault.post("auth/token/lookup", &json!({ "token": token })).0 == 200 {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let answer = fixture.command(["verify-role", "--all", "-o", "json"]).env("VAULT_TOKEN", token).run();
    let document = answer.exits(1).json();
    let causes = document["causes"].as_array().unwrap();
    assert!(causes.len() == 1 && causes[0]["id"] == "VK105", "{causes:#?}");
    assert!(causes[0]["detail"].as_str().unwrap().contains("VAULT_TOKEN"), "{causes:#?}");
    for (id, expected) in [("VK301", "unseen"), ("VK431", "passed"), ("VK506", "passed"), ("VK705", "passed")] {
        assert_eq!(status(&document, id), expected, "{id}");
    }
}

#[test]
fn who_may_not_list_mounts_still_reads_the_one_that_is_named() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let (vault, mount) = (lab::shared().vault(), &fixture.mount);
    let policy = lab::unique("p-reader");
    let rules =
        ["config", "role/*"].map(|path| format!("path \"auth/{mount}/{path}\" {{ capabilities = [\"read\"] }}"));
    vault.write(&format!("sys/policies/acl/{policy}"), &json!({ "policy": rules.join("\n") }));
    let token = vault.write("auth/token/create", &json!({ "policies": [policy], "ttl": "5m" }));
    let token = token["auth"]["client_token"].as_str().unwrap();
    let args = ["verify-role", "-o", "json", "--mount", mount, "--role", "r-app"];
    let document = Vaultk8s::new(args).on_shared().env("VAULT_TOKEN", token).run().exits(0).json();
    for (id, expected) in [("VK301", "passed"), ("VK312", "passed"), ("VK401", "passed"), ("VK431", "passed")] {
        assert_eq!(status(&document, id), expected, "{id}");
    }
    // Who sees nothing at all tries the audience that External Secrets adds, and blames nobody for another one.
    let account = format!("{}/app", fixture.namespace);
    let args = [&args[..], &["--service-account", &account]].concat();
    let weak = vault.write("auth/token/create", &json!({ "policies": ["default"], "ttl": "5m" }));
    let weak = weak["auth"]["client_token"].as_str().unwrap();
    let document = Vaultk8s::new(args.clone()).on_shared().env("VAULT_TOKEN", weak).run().exits(1).json();
    // But nothing was proved.
    assert!(document["causes"][0]["detail"].as_str().unwrap().contains("no login could be tried"), "{document}");
    let audience = [&args[..], &["--audience", "vault"]].concat();
    let document = Vaultk8s::new(audience).on_shared().env("VAULT_TOKEN", weak).run().exits(0).json();
    assert_eq!(status(&document, "VK431"), "passed");
    // A role without any is refused whatever is asked for, and that is known.
    let role = format!("auth/{mount}/role/r-app");
    let fields = json!({ "role_type": "jwt", "bound_claims_type": "string", "bound_audiences": [] });
    vault.write(&role, &fields);
    let args = ["verify-role", "-o", "json", "--mount", mount, "--role", "r-app", "--service-account", &account];
    let answer = Vaultk8s::new(args).on_shared().env("VAULT_TOKEN", weak).run().exits(1);
    assert!(answer.stdout.contains("no audiences bound to the role"), "{}", answer.stdout);
}

/// The status of the run's logins in a `JUnit` report.
fn failures(report: &std::path::Path) -> String {
    let xml = std::fs::read_to_string(report).unwrap();
    xml.split_once("<testsuites").unwrap().1.split_once("failures=\"").unwrap().1.split('"').next().unwrap().to_owned()
}

#[test]
fn a_run_that_could_try_no_login_is_not_in_order() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.xml");
    let junit = format!("junit={}", report.display());
    let viewer = format!("system:serviceaccount:{}:app", fixture.namespace);
    let answer = verify(&fixture, &["--all", "-o", "json", "--as", &viewer, "--report", &junit]).exits(1);
    let document = answer.json();
    // Not to be allowed to ask is no fault of the consumer's.
    assert_eq!((status(&document, "VK404"), status(&document, "VK431")), ("unseen", "failed"));
    let causes = document["causes"].as_array().unwrap();
    assert!(causes.len() == 1 && causes[0]["id"] == "VK431" && document["success"] == false, "{document}");
    assert!(causes[0]["detail"].as_str().unwrap().starts_with("no login could be tried"), "{document}");
    assert!(document.to_string().contains("--jwt-file"), "{document}");
    assert_eq!(failures(&report), "1");
    let text = verify(&fixture, &["--all", "--as", &viewer]).exits(1);
    text.says(&["no login could be tried, so that nothing is proved", "serviceaccounts/token", "--no-login"]);
    // Who asks for no login gets none, and who leaves that check out.
    verify(&fixture, &["--all", "--as", &viewer, "--no-login"]).exits(0);
    verify(&fixture, &["--all", "--as", &viewer, "--skip", "VK431"]).exits(0);
    verify(&fixture, &["--all", "--as", &viewer, "--only", "VK3"]).exits(0);
    verify(&fixture, &["--all", "--as", &viewer, "--only", "VK431"]).exits(1);
}

/// Who can't be read of is not tried either.
#[test]
fn a_role_of_which_a_weak_token_sees_nothing_is_not_proved() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let weak = lab::shared().vault().write("auth/token/create", &json!({ "policies": ["default"], "ttl": "5m" }));
    let weak = weak["auth"]["client_token"].as_str().unwrap();
    let args = ["verify-role", "--mount", &fixture.mount, "--role", "r-app"];
    let answer = Vaultk8s::new(args).on_shared().env("VAULT_TOKEN", weak).run().exits(1);
    answer.says(&["no login could be tried", "--service-account"]);
}

/// One that can be tried proves that the way is there, and the others are told.
#[test]
fn one_proved_login_of_several_is_enough() {
    let fixture = Fixture::with("  - { name: r-two, serviceAccounts: [NS/two], policies: [POLICY] }\n");
    let config = fixture.config.replace("NS", &fixture.namespace).replace("POLICY", &fixture.policy);
    let fixture = Fixture { config, ..fixture };
    lab::shared().service_account(&fixture.namespace, "two");
    fixture.bootstrap();
    let (namespace, kubernetes) = (&fixture.namespace, lab::shared().kubernetes());
    let rbac = |kind: &str, body: Value| {
        let path = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{kind}");
        kubernetes.post(&path, &body);
    };
    rbac(
        "roles",
        json!({ "metadata": { "name": "asks" }, "rules": [{ "apiGroups": [""], "resources": ["serviceaccounts/token"],
            "resourceNames": ["two"], "verbs": ["create"] }] }),
    );
    rbac(
        "rolebindings",
        json!({ "metadata": { "name": "asks" }, "subjects": [{ "kind": "ServiceAccount", "name": "app", "namespace": namespace }],
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "asks" } }),
    );
    let viewer = format!("system:serviceaccount:{namespace}:app");
    let document = verify(&fixture, &["--all", "-o", "json", "--as", &viewer]).exits(0).json();
    assert_eq!(status(&document, "VK431"), "unseen", "{document}");
    assert!(document.to_string().contains("serviceaccounts/token"), "{document}");
}

/// What only a pod's own token says can't be tried with one that is asked for from here, and is no fault.
#[test]
fn a_role_of_one_pod_is_tried_with_its_own_token_alone() {
    let fixture = Fixture::with("    boundClaims: { /kubernetes.io/node/name: lab-node }\n");
    fixture.command(["bootstrap"]).run().exits(0).says(&["0 logins verified, 1 not tried", "/kubernetes.io/node/name"]);
    let document = verify(&fixture, &["--all", "-o", "json"]).exits(0).json();
    for id in ["VK413", "VK431"] {
        assert_eq!(status(&document, id), "skipped", "{document}");
    }
    assert_eq!((status(&document, "VK412"), status(&document, "VK415")), ("passed", "passed"));
    assert!(document.to_string().contains("--jwt-file"), "{document}");
    // Without a file as well; and a token that was brought along is compared.
    let args = ["verify-role", "--mount", &fixture.mount, "--role", "r-app"];
    Vaultk8s::new(args)
        .on_shared()
        .run()
        .exits(0)
        .says(&["– VK413, VK431: it can't be tried from here", "/kubernetes.io/node/name"]);
    let token = lab::shared().token(&fixture.namespace, "app", &["vault"], 600);
    let brought = Vaultk8s::new(args).args(["--jwt-file", "-"]).on_shared().stdin(token).run();
    brought.exits(1).says(&["VK413", "wants another /kubernetes.io/node/name"]);
    // A claim that the file doesn't want is a fault: its consumer is refused.
    let subject = format!("system:serviceaccount:{}:app", fixture.namespace);
    let claims = json!({ "sub": subject, "/kubernetes.io/node/name": "another" });
    let fields = json!({ "role_type": "jwt", "bound_claims_type": "string", "bound_claims": claims });
    lab::shared().vault().write(&format!("auth/{}/role/r-app", fixture.mount), &fields);
    verify(&fixture, &["--all"]).exits(1).says(&["VK413", "another"]);
}

/// A file may mean everybody, if it says so.
#[test]
fn who_is_let_in_by_claims_that_all_have_is_told() {
    let fixture = Fixture::new();
    let subject = format!("serviceAccounts: [{}/app]", fixture.namespace);
    let of = |role: &str| {
        let config = fixture.config.replace(&subject, role);
        assert_ne!(config, fixture.config);
        let fixture = Fixture { config, ..fixture.clone() };
        let warned = fixture.command(["bootstrap"]).run().exits(0);
        (fixture, warned)
    };
    let (everybody, warned) = of("boundClaims: { aud: vault }");
    warned.complains(&["tied to no single account", "every service account of the cluster"]);
    verify(&everybody, &["--all"]).exits(1).says(&[
        "VK415",
        "every service account of the cluster",
        "allowGlobs: true",
    ]);
    let (meant, _) = of("allowGlobs: true\n    boundClaims: { aud: vault }");
    verify(&meant, &["--all"]).exits(0).says(&["as the file says"]);
    let (whole, warned) = of(&format!("boundClaims: {{ /kubernetes.io/namespace: {} }}", fixture.namespace));
    warned.complains(&["every service account of the namespace"]);
    verify(&whole, &["--all"]).exits(0).says(&["as the file says"]);
    // Without the file nothing says so, and of a namespace it is only worth a look.
    let args = ["verify-role", "--mount", &fixture.mount, "--role", "r-app"];
    Vaultk8s::new(args).on_shared().run().exits(0).says(&["! VK415", "of the namespace"]);
    // By two claims that name it, it is one account's.
    let claims = format!(
        "boundClaims: {{ /kubernetes.io/namespace: {}, /kubernetes.io/serviceaccount/name: app }}",
        fixture.namespace
    );
    let (_, warned) = of(&claims);
    assert!(!warned.stderr.contains("tied to no single account"), "{}", warned.stderr);
    Vaultk8s::new(args).on_shared().run().exits(0).says(&["✓ VK415", "✓ VK431"]);
}

#[test]
fn a_path_names_its_mount_by_itself() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let (shared, namespace) = (lab::shared(), &fixture.namespace);
    shared.vault().write(&format!("kv1/{namespace}/db"), &json!({ "password": "hunter2" }));
    let path = format!("kv1/{namespace}/db#password");
    let args = ["verify-role", "-o", "json", "--mount", &fixture.mount, "--role", "r-app", "--path", &path];
    let document = Vaultk8s::new(args).on_shared().run().exits(1).json();
    let cause = &document["causes"][0];
    assert_eq!(cause["id"], "VK504", "{cause}");
    assert!(cause.to_string().contains(&format!("kv1/{namespace}/db")) && !cause.to_string().contains("data/kv1"));
    // With a mount for all paths, another one in front may be a path of it.
    let args = [&args[..], &["--kv", "secret"]].concat();
    Vaultk8s::new(args).on_shared().run().exits(64).complains(&["may be a path of the KV mount"]);
}

#[test]
fn a_path_whose_mount_is_not_there_is_told_as_what_it_was_taken_for() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let namespace = &fixture.namespace;
    let none = |of: &str, whose: &str| format!("{of}/ is no KV mount {whose}, so it was taken for a path of secret/");
    // What nobody may read, and what would be allowed and isn't there.
    for (path, first, id) in
        [("team2/foo".to_owned(), "team2", "VK504"), (format!("{namespace}/nothing"), namespace.as_str(), "VK601")]
    {
        let args = ["verify-role", "-o", "json", "--mount", &fixture.mount, "--role", "r-app", "--path", &path];
        let document = Vaultk8s::new(args).on_shared().run().exits(1).json();
        let cause = &document["causes"][0];
        assert_eq!(cause["id"], id, "{cause}");
        let said = cause.to_string();
        assert!(said.contains(&none(first, "that this token sees")) && said.contains("secrets list"), "{cause}");
        let document = fixture.command(["verify-role", "-o", "json", "--all", "--path", &path]).run().exits(1).json();
        assert!(document["causes"].to_string().contains(&none(first, "of the configuration")), "{document}");
        // Whoever names the mount has said it.
        let named = format!("secret/{path}");
        let document = fixture.command(["verify-role", "-o", "json", "--all", "--path", &named]).run().exits(1).json();
        assert!(!document.to_string().contains("so it was taken for"), "{document}");
    }
}

#[test]
fn checks_that_leave_each_other_out_are_wrong_usage() {
    let fixture = Fixture::new();
    verify(&fixture, &["--all", "--only", "VK101", "--skip", "VK1"]).exits(64).complains(&["leaves out all"]);
}

#[test]
fn an_operators_token_with_few_uses_is_named() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let token = lab::shared().vault().write("auth/token/create", &json!({ "policies": ["root"], "num_uses": 3 }));
    let token = token["auth"]["client_token"].as_str().unwrap();
    let answer = fixture.command(["verify-role", "--all", "-o", "json"]).env("VAULT_TOKEN", token).run();
    let document = answer.exits(0).json();
    let causes = document["causes"].as_array().unwrap();
    assert!(causes.len() == 1 && causes[0]["id"] == "VK105" && causes[0]["status"] == "warning", "{causes:#?}");
}

#[test]
fn it_ends_at_once_where_nobody_has_logged_in() {
    let fixture = Fixture::new();
    let silent = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let report = tempfile::tempdir().unwrap();
    let report = report.path().join("report.xml");
    let named = format!("junit={}", report.display());
    let command = fixture.command(["verify-role", "--all", "-o", "json", "--report", &named]);
    let running = command.env("VAULT_ADDR", &address).start();
    // It has asked, and is waiting.
    let asked = silent.accept().unwrap();
    let id = running.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let document = running.finish().exits(130).json();
    assert!(document["success"] == false && document["interrupted"] == true, "{document}");
    assert!(std::fs::read_to_string(report).unwrap().contains("errors=\"1\""));
    drop(asked);
}

#[test]
fn what_several_roles_lack_is_one_cause() {
    let extra = lab::shared().unique("p-extra");
    let fixture = Fixture::with("  - { name: r-two, serviceAccounts: [NS/app], policies: [POLICY, EXTRA] }\n");
    let config = fixture.config.replace("NS", &fixture.namespace).replace("POLICY", &fixture.policy);
    let config = config.replace("EXTRA", &extra);
    let config = config.replace("roles:\n", &format!("  - {{ name: {extra}, read: [extra/*] }}\nroles:\n"));
    let fixture = Fixture { config, ..fixture };
    fixture.bootstrap();
    lab::shared().vault().delete(&format!("sys/policies/acl/{}", fixture.policy));
    let answer = verify(&fixture, &["--all"]).exits(1);
    assert_eq!(answer.stdout.matches("(VK502, role r-app as ").count(), 1, "{}", answer.stdout);
    // Each role's own evidence stands there.
    let account = format!("{}/app", fixture.namespace);
    answer.says(&[&format!("role r-two as {account}: the role names"), &extra, "2 failed"]);
    let document = verify(&fixture, &["--all", "-o", "json"]).exits(1).json();
    let causes: Vec<&Value> =
        document["causes"].as_array().unwrap().iter().filter(|cause| cause["id"] == "VK502").collect();
    assert_eq!(causes.len(), 1, "{document}");
    assert_eq!((&causes[0]["about"]["role"], &causes[0]["alsoAbout"][0]["role"]), (&json!("r-app"), &json!("r-two")));
}

#[test]
fn what_was_not_tried_of_a_cluster_in_files_is_told_briefly() {
    let fixture = Fixture::new();
    let folder = tempfile::tempdir().unwrap();
    let config = fixture.in_files(folder.path());
    let fixture = Fixture { config, ..fixture };
    let run = |args: &[&str]| fixture.command(args.iter().copied()).env("KUBECONFIG", "").run().exits(0);
    run(&["bootstrap"]);
    let told = run(&["verify-role", "--all"]).stdout;
    let untold = told.lines().filter(|line| line.starts_with("  –")).count();
    assert!(untold <= 12, "{told}");
    for line in [
        "– VK411, VK412, VK413: there is no token",
        "– VK432, VK501, VK506, VK507, VK508, VK701, VK703: nobody logged in",
    ] {
        assert!(told.contains(line), "{told}");
    }
}

#[test]
fn a_file_without_roles_proves_nothing() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let (cut, _) = fixture.config.split_once("roles:\n").unwrap();
    let fixture = Fixture { config: cut.to_owned(), ..fixture.clone() };
    let words = "no roles: nobody can log in, nothing is verified";
    // The mount alone may be wanted.
    fixture.command(["bootstrap"]).run().exits(0).complains(&[words]);
    fixture.command(["plan"]).run().exits(0).complains(&[words]);
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.xml");
    let junit = format!("junit={}", report.display());
    let answer = verify(&fixture, &["--all", "--report", &junit]).exits(1);
    answer.says(&["✗ nothing was verified: there are no roles"]);
    assert!(std::fs::read_to_string(report).unwrap().contains("<failure message=\"nothing was verified"));
    let found = verify(&fixture, &["--all", "-o", "json"]).exits(1).json();
    assert_eq!((&found["success"], &found["nothingVerified"]), (&json!(false), &json!(true)));
    assert_eq!(status(&found, "VK301"), "passed");
}

#[test]
fn a_selection_that_could_check_nothing_is_not_in_order() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    for only in ["VK507", "VK5", "VK8"] {
        verify(&fixture, &["--all", "--only", only]).exits(0);
    }
    let vault = lab::shared().vault();
    vault.delete(&format!("auth/{}/role/r-app", fixture.mount));
    for args in [&["--only", "VK507"][..], &["--only", "VK5,VK8"], &["--skip", "VK4"]] {
        let all: Vec<&str> = ["--all"].iter().chain(args).copied().collect();
        let answer = verify(&fixture, &all).exits(1).says(&["VK431", "could not be found"]);
        assert!(!answer.stdout.contains("0 checks in order"), "{}", answer.stdout);
    }
    // Nobody is to log in, and no other check is asked for.
    let answer = verify(&fixture, &["--all", "--no-login", "--only", "VK507"]).exits(1);
    let _ = answer.says(&["none of the checks that were asked for could be made"]);
    verify(&fixture, &["--all", "--no-login", "--only", "VK301,VK507"]).exits(0);
}
