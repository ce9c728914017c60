//! The proof by real logins: what it finds, and what it must not take for a fault.

use lab::{VaultOptions, VaultServer};
use serde_json::json;

use crate::command::Vaultk8s;
use crate::fixture::Fixture;

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
fn rules_beside_kv_and_templates_are_judged_with_care() {
    let fixture = Fixture::new();
    let rules = "    rules:
      - { path: cubbyhole/app/*, capabilities: [read] }
      - { path: sys/tools/hash/sha2-256, capabilities: [update] }
      - { path: \"kv1/{{identity.entity.id}}/*\", capabilities: [read] }
      - { path: \"kv2/{{identity.groups.names.nobody.id}}/*\", capabilities: [read] }
roles:";
    let config = fixture.config.replace("roles:", rules);
    Vaultk8s::new(["bootstrap"])
        .on_shared()
        .config(&config)
        .run()
        .exits(0)
        .says(&["! VK506 what kv2/{{identity.groups.names.nobody.id}}/* allows can't be foretold", "1 login verified"]);
}

#[test]
fn a_mount_that_shortens_tokens_is_a_warning() {
    let fixture = Fixture::new();
    fixture.bootstrap();
    lab::shared().vault().write(
        &format!("sys/mounts/auth/{}/tune", fixture.mount),
        &json!({ "max_lease_ttl": "60s", "token_type": "batch" }),
    );
    fixture.command(["bootstrap"]).run().exits(0).says(&[
        "! VK701 the token lives shorter than the role says",
        "60 s",
        "600 s",
    ]);
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
        "✗ VK403 the service account",
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
    run(&["bootstrap"]).exits(1).says(&["✗ VK505 the policy default denies secret/data/", "deny on secret/data/"]);

    let wide = format!("{default}\npath \"secret/data/*\" {{ capabilities = [\"read\", \"update\"] }}");
    client.write("sys/policies/acl/default", &json!({ "policy": wide }));
    run(&["bootstrap"]).exits(1).says(&["✗ VK507 the login may also read, update on secret/data/"]);
}
