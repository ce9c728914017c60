//! The settings of auth mounts (`auth.tune`): what the file names is set and kept, what it doesn't name is left and told.

use lab::{VaultOptions, VaultServer};
use serde_json::{Value, json};

use crate::command::{Answer, Vaultk8s};
use crate::fixture::Fixture;

/// A fixture whose mount has these settings.
fn tuned(tune: &str) -> Fixture {
    let fixture = Fixture::new();
    let config = fixture.config.replace("audience: vault,", &format!("audience: vault, tune: {{ {tune} }},"));
    assert_ne!(config, fixture.config);
    Fixture { config, ..fixture }
}

fn mount(fixture: &Fixture) -> Value {
    lab::shared().vault().read("sys/auth")["data"][format!("{}/", fixture.mount)].clone()
}

fn tune(fixture: &Fixture, fields: &Value) {
    lab::shared().vault().write(&format!("sys/mounts/auth/{}/tune", fixture.mount), fields);
}

fn plan(fixture: &Fixture) -> Answer {
    fixture.command(["plan", "--detailed-exitcode"]).run()
}

const EVERY: &str = "tokenType: default-batch, defaultLeaseTtl: 5m, maxLeaseTtl: 1h, listingVisibility: unauth, \
     auditNonHmacRequestKeys: [role], auditNonHmacResponseKeys: [x], passthroughRequestHeaders: [X-B, X-A], \
     allowedResponseHeaders: [X-C], local: true, sealWrap: true";

#[test]
fn what_the_file_names_is_set_when_the_mount_is_made_and_afterwards() {
    let fixture = tuned(EVERY);
    fixture.bootstrap();
    let made = mount(&fixture);
    let held = &made["config"];
    assert_eq!((&held["token_type"], &held["listing_visibility"]), (&json!("default-batch"), &json!("unauth")));
    assert_eq!((&held["default_lease_ttl"], &held["max_lease_ttl"]), (&json!(300), &json!(3600)));
    assert_eq!(held["audit_non_hmac_request_keys"], json!(["role"]));
    assert_eq!((&made["local"], &made["seal_wrap"]), (&json!(true), &json!(true)));
    // Each of them is drift, alone.
    for (field, value) in [
        ("token_type", json!("service")),
        ("default_lease_ttl", json!("6m")),
        ("max_lease_ttl", json!("2h")),
        ("listing_visibility", json!("hidden")),
        ("audit_non_hmac_request_keys", json!(["role", "jwt"])),
        ("audit_non_hmac_response_keys", json!([])),
        ("passthrough_request_headers", json!(["X-A"])),
        ("allowed_response_headers", json!(["X-C", "X-D"])),
    ] {
        tune(&fixture, &json!({ field: value }));
        plan(&fixture).exits(2).says(&["1 to change", &format!("mount auth/{}", fixture.mount), field]);
        fixture.bootstrap();
    }
    assert_eq!(mount(&fixture)["accessor"], made["accessor"]);
    // In other words, the same: the case and the order of headers, and a word for what is so anyway.
    tune(&fixture, &json!({ "passthrough_request_headers": ["x-a", "X-b"] }));
    fixture.in_order();
}

#[test]
fn defaults_that_the_file_names_are_kept() {
    let fixture =
        tuned("tokenType: default-service, maxLeaseTtl: 0, listingVisibility: hidden, passthroughRequestHeaders: []");
    fixture.bootstrap();
    tune(
        &fixture,
        &json!({ "token_type": "batch", "max_lease_ttl": "60s", "listing_visibility": "unauth",
            "passthrough_request_headers": ["Authorization"], "allowed_response_headers": ["X-Kept"] }),
    );
    let all = ["token_type", "max_lease_ttl", "listing_visibility", "passthrough_request_headers"];
    plan(&fixture).exits(2).says(&all);
    fixture.bootstrap();
    let held = mount(&fixture)["config"].clone();
    assert_eq!(held["allowed_response_headers"], json!(["X-Kept"]), "what the file doesn't name stays: {held}");
    assert!(held["passthrough_request_headers"].is_null() && held["max_lease_ttl"] == 0, "{held}");
}

#[test]
fn description_and_settings_are_one_write() {
    let vault = VaultServer::start(&VaultOptions::default());
    let fixture = tuned("maxLeaseTtl: 2h");
    let run = |args: &[&str]| Vaultk8s::new(args.iter().copied()).on(&vault).config(&fixture.config).run();
    run(&["bootstrap"]).exits(0);
    let path = format!("sys/mounts/auth/{}/tune", fixture.mount);
    vault.client().write(&path, &json!({ "max_lease_ttl": "3h", "description": "by hand" }));
    let before = vault.requests().len();
    run(&["bootstrap"]).exits(0).says(&["1 write"]);
    let writes: Vec<_> = vault.requests().split_off(before).into_iter().filter(lab::AuditedRequest::is_write).collect();
    assert!(writes.len() == 1 && writes[0].path == path, "{writes:?}");
    run(&["plan", "--detailed-exitcode"]).exits(0);
}

#[test]
fn what_the_file_does_not_name_is_left_and_told() {
    let fixture = Fixture::with("    numUses: 5\n");
    fixture.bootstrap();
    let told = plan(&fixture).exits(0).stdout;
    assert!(!told.contains("warning:") && !told.contains("token_type"), "{told}");
    let fields = json!({ "token_type": "batch", "max_lease_ttl": "60s", "listing_visibility": "unauth",
        "audit_non_hmac_request_keys": ["jwt"], "passthrough_request_headers": ["authorization"],
        "default_lease_ttl": "30s" });
    tune(&fixture, &fields);
    let before = mount(&fixture);
    for (command, code) in [(&["plan", "--detailed-exitcode"][..], 1), (&["plan"], 0), (&["bootstrap"], 1)] {
        fixture.command(command.iter().copied()).run().exits(code).says(&[
            "warning: ",
            "has token_type=batch, which the file doesn't say",
            "these have no effect: token_num_uses of r-app",
            "has max_lease_ttl=60, which the file doesn't say: it cuts the tokens of these roles to 1m: r-app (10m)",
            "has listing_visibility=unauth",
            "writes secrets into the audit log in the clear: jwt",
            "Not in order: ",
            "has passthrough_request_headers=authorization",
            "note: ",
            "has default_lease_ttl=30",
        ]);
    }
    assert_eq!(mount(&fixture), before);
    // The same where a role alone is written.
    let role = ["role", "r-more", "--mount", &fixture.mount, "--service-account", "a/b", "--policy", &fixture.policy];
    let args = [&role[..], &["--audience", "vault", "--ttl", "1h", "--yes"]].concat();
    let answer = Vaultk8s::new(args).on_shared().run().exits(0);
    let told = answer.stdout + &answer.stderr;
    assert!(told.contains("it cuts the tokens of these roles to 1m: r-more (1h)"), "{told}");
}

// A plan, a bootstrap and a check say the same of secrets in the audit log, whichever it is and whoever meant it.
#[test]
fn secrets_in_the_audit_log_are_judged_alike_by_every_command() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    let verify = |fixture: &Fixture| fixture.command(["verify-role", "--all", "--only", "VK306"]).run();
    for field in ["jwt", "oidc_client_secret", "token_reviewer_jwt"] {
        tune(&fixture, &json!({ "audit_non_hmac_request_keys": ["role", field] }));
        let plan = fixture.command(["plan", "--detailed-exitcode", "-o", "json"]).run().exits(1).json();
        assert_eq!(plan["loggedSecrets"], json!([{ "mount": fixture.mount, "fields": [field] }]), "{plan}");
        fixture.command(["bootstrap"]).run().exits(1).says(&[
            "nothing to change",
            "1 login verified",
            "Not in order: ",
            "have role alone",
        ]);
        verify(&fixture).exits(1).says(&[field]);
    }
    // The command that is printed mends it.
    tune(&fixture, &json!({ "audit_non_hmac_request_keys": "" }));
    fixture.in_order();
    verify(&fixture).exits(0);
    tune(&fixture, &json!({ "audit_non_hmac_request_keys": ["role"] }));
    plan(&fixture).exits(0);
    verify(&fixture).exits(0);
    // What the file says is a warning, for each of them.
    let meant = tuned("auditNonHmacRequestKeys: [jwt]");
    meant.command(["bootstrap"]).run().exits(0).complains(&["the audit log gets secrets in the clear: jwt"]);
    plan(&meant).exits(0);
    verify(&meant).exits(0).says(&["jwt"]);
}

#[test]
fn what_only_enabling_decides_is_told_and_never_made_anew() {
    let fixture = tuned("local: true");
    let plain = Fixture { config: fixture.config.replace("tune: { local: true },", ""), ..fixture.clone() };
    plain.bootstrap();
    let before = mount(&fixture);
    for command in [&["plan"][..], &["bootstrap", "--yes"]] {
        fixture
            .command(command.iter().copied())
            .run()
            .exits(1)
            .complains(&["was enabled with local=false, the file says true", "write `local: false` under `auth.tune`"]);
    }
    assert_eq!(mount(&fixture), before);
    // What is so anyway is no difference, and what isn't named neither.
    let same =
        Fixture { config: fixture.config.replace("local: true", "local: false, sealWrap: false"), ..fixture.clone() };
    same.in_order();
    let wrapped = tuned("sealWrap: true, local: true");
    wrapped.bootstrap();
    let silent =
        Fixture { config: wrapped.config.replace("tune: { sealWrap: true, local: true },", ""), ..wrapped.clone() };
    silent.in_order();
    plan(&silent).says(&["note: ", "has local=true"]);
}

#[test]
fn a_saved_plan_holds_the_settings() {
    let fixture = tuned("maxLeaseTtl: 2h");
    fixture.bootstrap();
    tune(&fixture, &json!({ "max_lease_ttl": "3h" }));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json").display().to_string();
    fixture.command(["plan", "--out", &file]).run().exits(0);
    let saved = std::fs::read_to_string(&file).unwrap();
    assert!(saved.contains("describeMount") && saved.contains("\"max_lease_ttl\": 7200"), "{saved}");
    fixture.command(["bootstrap", "--plan", &file]).run().exits(0);
    fixture.in_order();
}

#[test]
fn the_operator_s_policy_is_enough_for_the_settings() {
    let fixture = tuned("maxLeaseTtl: 2h, tokenType: batch, local: false");
    let bare = fixture.config.replace(", description: a mount of a test", "");
    let fixture = Fixture { config: bare, ..fixture };
    let vault = lab::shared().vault();
    let policy = fixture.command(["render", "operator-policy"]).run().exits(0).stdout;
    let name = lab::unique("operator");
    vault.write(&format!("sys/policies/acl/{name}"), &json!({ "policy": policy }));
    let token = vault.write("auth/token/create", &json!({ "policies": [name], "ttl": "10m" }));
    let token = token["auth"]["client_token"].as_str().unwrap();
    let run = |args: &[&str]| fixture.command(args.iter().copied()).env("VAULT_TOKEN", token).run();
    run(&["bootstrap"]).exits(0).says(&["1 login verified"]);
    tune(&fixture, &json!({ "max_lease_ttl": "3h" }));
    run(&["bootstrap"]).exits(0).says(&["1 change made"]);
    run(&["plan", "--detailed-exitcode"]).exits(0);
}
