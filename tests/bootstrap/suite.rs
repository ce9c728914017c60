//! What every bootstrap does, on the Vault that the suite has: a server of its own, or a standby of two nodes.

use serde_json::json;

use super::HERE;
use crate::command::Vaultk8s;
use crate::fixture::Fixture;

#[test]
fn what_somebody_changed_by_hand_is_found_and_mended() {
    let fixture = Fixture::at(HERE);
    let vault = HERE.vault();
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
        // Of these, a policy without a mark is the one that may be somebody else's.
        if *path == policy {
            let refused = fixture.command(["bootstrap", "--yes"]).run().exits(1);
            refused.complains(&["No changes made", &fixture.policy, "--approve take-over"]);
        }
        let mend = fixture.command(["bootstrap", "--yes", "--approve", "take-over"]).run();
        mend.exits(0).says(&["1 change made; 1 login verified"]);
        fixture.in_order();
    }
}

#[test]
fn what_means_the_same_is_adopted_as_it_is() {
    let lab = lab::shared();
    let fixture = Fixture::at(HERE);
    let vault = HERE.vault();
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
    // The record of its cluster's keys is all that the mount lacks.
    let config = vault.read(&format!("auth/{mount}/config"));
    fixture.command(["plan"]).run().exits(0).says(&["record of seen keys", "1 to create, 0 to change, 4 in order"]);
    fixture.command(["bootstrap"]).run().exits(0).says(&["1 change made; 1 login verified", " 1 writes."]);
    assert_eq!(vault.read(&format!("auth/{mount}/config"))["data"], config["data"]);
    fixture.in_order();
    fixture.command(["bootstrap"]).run().exits(0).says(&["nothing to change; 1 login verified", " 0 writes."]);
    assert_eq!(vault.read(&format!("sys/policies/acl/{policy}"))["data"]["policy"], text.as_str());
}

#[test]
fn what_a_policy_has_beside_its_text_is_found_and_taken_away() {
    let fixture = Fixture::at(HERE);
    let vault = HERE.vault();
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
    let fixture =
        Fixture::at_with(HERE, "    boundCidrs: [\"2001:DB8:0::1/64\", \"fe80::0:1\", 127.0.0.1/32, 127.0.0.9/8]\n");
    fixture.bootstrap();
}

#[test]
fn a_reader_that_goes_away_does_not_stop_what_was_begun() {
    let fixture = Fixture::at(HERE);
    // Nor does it hide what was found.
    assert_eq!(fixture.command(["plan", "--detailed-exitcode"]).start().ignore(), Some(2));
    assert_eq!(fixture.command(["verify-role", "--all"]).start().ignore(), Some(1));
    assert_eq!(fixture.command(["bootstrap"]).start().ignore(), Some(0));
    fixture.in_order();
}

#[test]
fn kv_version_1_needs_no_data_and_metadata() {
    let fixture = Fixture::at(HERE);
    let config = fixture.config.replace("    read:", "    kv: kv1\n    read:");
    HERE.on(Vaultk8s::new(["bootstrap"])).config(&config).run().exits(0);
    let text = HERE.vault().read(&format!("sys/policies/acl/{}", fixture.policy))["data"]["policy"].to_string();
    assert!(text.contains(&format!("kv1/{}/*", fixture.namespace)) && !text.contains("data/"), "{text}");
}

#[test]
fn documents_are_versioned_and_alone_on_stdout() {
    let fixture = Fixture::at(HERE);
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
    let fixture = Fixture::at(HERE);
    let folder = tempfile::tempdir().unwrap();
    let config = fixture.in_files(folder.path());
    let run = |args: &[&str]| HERE.on(Vaultk8s::new(args.iter().copied())).env("KUBECONFIG", "").config(&config).run();
    run(&["bootstrap"]).exits(0).says(&["4 changes made; 0 logins verified, 1 not tried"]);
    // The same cluster, now reached, finds nothing to change.
    fixture.in_order();
}
