//! Stores beside the one that uses the role: of another Vault, of a neighbour, and with more than one mistake.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::{VaultOptions, VaultServer};
use serde_json::{Value, json};

use super::{check, first_cause, in_order, status, with_store};
use crate::catalogue::setup::Setup;

fn ready() -> Value {
    json!({ "type": "Ready", "status": "True", "reason": "Valid", "message": "store validated" })
}

/// Whether a store has a section of its own.
fn is_told(said: &Value, name: &str) -> bool {
    said["sections"].as_array().unwrap().iter().any(|section| section["about"]["name"] == name)
}

/// The ids of the causes.
fn causes(setup: &Setup) -> (Vec<String>, String) {
    let (_, said, all) = setup.verify();
    let ids = said["causes"].as_array().unwrap().iter();
    (ids.map(|cause| cause["id"].as_str().unwrap().to_owned()).collect(), all)
}

#[test]
fn a_ready_store_of_another_vault_or_namespace_is_not_this_roles() {
    let setup = with_store();
    let other = VaultServer::start(&VaultOptions::default());
    let ca = STANDARD.encode(std::fs::read(other.ca()).unwrap());
    let provider = json!({ "server": other.address(), "caBundle": ca });
    let name = setup.stores().beside(&provider, &ready());
    assert!(!is_told(&in_order(&setup), &name));

    let vault = setup.vault();
    if !vault.has_namespaces() {
        return;
    }
    let team = lab::unique("team");
    vault.write(&format!("sys/namespaces/{team}"), &json!({}));
    vault.write(&format!("{team}/sys/auth/{}", setup.mount), &json!({ "type": "jwt" }));
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "bound_subject": "x"
    });
    vault.write(&format!("{team}/auth/{}/role/r-app", setup.mount), &role);
    let name = setup.stores().beside(&json!({ "namespace": team }), &ready());
    assert!(!is_told(&in_order(&setup), &name));
    // Where the role isn't there either, the store was ready once.
    vault.delete(&format!("{team}/auth/{}/role/r-app", setup.mount));
    first_cause(&setup, "VK912", &[&team]);
}

#[test]
fn a_store_with_two_mistakes_is_told() {
    let setup = with_store();
    let login = |mount: &str, role: &str, account: &str| {
        let reference = json!({ "name": account, "namespace": setup.namespace });
        let token = json!({ "serviceAccountRef": reference });
        let fields = json!({ "path": mount, "role": role, "kubernetesServiceAccountToken": token });
        setup.stores().change_provider(&json!({ "auth": { "jwt": fields } }));
    };
    login("jwt-typo", "r-app", "other");
    let (ids, all) = causes(&setup);
    assert_eq!(ids, ["VK913", "VK915"], "{all}");
    for (mount, role, account) in [(&*setup.mount, "r-typo", "other"), ("jwt-typo", "r-typo", "app")] {
        login(mount, role, account);
        let (_, said, all) = setup.verify();
        let told = check(&said, "VK903");
        assert_eq!(told["status"], "warning", "{all}");
        for word in [mount, "r-typo", &format!("{}/{account}", setup.namespace), "r-app"] {
            assert!(told.to_string().contains(word), "{word}: {told}");
        }
    }
    // A neighbour's, which nothing connects with this role, is none of its business.
    login("jwt-typo", "r-typo", "other");
    in_order(&setup);
}

#[test]
fn a_store_of_a_role_in_another_letter_case_is_told() {
    let setup = with_store();
    setup.stores().change_provider(&json!({ "auth": { "jwt": { "role": "R-App" } } }));
    // The server reads it in lower case, and lets it in.
    assert_eq!(status(&in_order(&setup), "VK914"), "passed");
}

#[test]
fn a_store_is_told_once_though_two_entries_of_the_file_lead_to_its_cluster() {
    let mut setup = with_store();
    let text = std::fs::read_to_string(&setup.file).unwrap();
    let entry = format!(
        "  - name: twin\n    auth: {{ method: jwt, mount: {}-twin, audience: vault }}\npolicies:\n",
        setup.mount
    );
    let role = format!(
        "  - {{ name: r-twin, serviceAccounts: [{}/app], policies: [{}], ttl: 10m, clusters: [twin] }}\n",
        setup.namespace, setup.policy
    );
    let text = text.replace("policies:\n", &entry).replace("ttl: 10m }", "ttl: 10m, clusters: [lab] }") + &role;
    std::fs::write(&setup.file, text).unwrap();
    setup.bootstrap();
    setup.args.retain(|arg| arg != "r-app");
    setup.args.push("--all".to_owned());
    in_order(&setup);
    setup.stores().change_provider(&json!({ "auth": { "jwt": { "path": "jwt-typo" } } }));
    let (ids, all) = causes(&setup);
    assert_eq!(ids, ["VK913"], "{all}");
    // One that leads nowhere is one cause, whichever entry it is seen from.
    setup.stores().change_provider(&json!({ "auth": { "jwt": { "role": "r-typo" } } }));
    let (ids, all) = causes(&setup);
    assert_eq!(ids, ["VK903"], "{all}");
}

#[test]
fn a_role_that_drifted_is_not_mended_at_the_store() {
    let setup = with_store();
    setup.role(json!({ "bound_audiences": ["other"] }));
    let (ids, all) = causes(&setup);
    assert_eq!(ids, ["VK411"], "{all}");
    setup.bootstrap();
    let other = format!("system:serviceaccount:{}:other", setup.namespace);
    setup.role(json!({ "bound_claims": { "sub": other } }));
    let (ids, all) = causes(&setup);
    assert_eq!(ids.first().map(String::as_str), Some("VK412"), "{all}");
    assert!(!ids.contains(&"VK915".to_owned()), "{all}");
}
