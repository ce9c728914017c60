//! Set-ups that this tool never writes and finds: a login that works is in order, what decides is named where it doesn't, and no command that is
//! printed replaces what isn't understood.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::command::Vaultk8s;
use crate::fixture::Fixture;
use crate::kubernetes_fixture;

/// `verify-role` of a role for an account, without a file.
fn by_flags(mount: &str, role: &str, account: &str) -> Vaultk8s {
    let args = ["verify-role", "-o", "json", "--mount", mount, "--role", role, "--service-account", account];
    Vaultk8s::new(args).args(["--context", lab::shared().context()]).on_shared()
}

/// The causes that `verify-role` names, and its exit code.
fn diagnosed(command: Vaultk8s) -> (i32, Value) {
    let answer = command.run();
    (answer.code, answer.json())
}

fn check<'a>(said: &'a Value, id: &str) -> &'a Value {
    let mut checks =
        said["sections"].as_array().unwrap().iter().flat_map(|section| section["checks"].as_array().unwrap());
    checks.find(|check| check["id"] == id).unwrap_or_else(|| panic!("{id} is not there: {said:#}"))
}

/// `pem_keys`: Vault looks for the signature among them, and then asks the cluster.
#[test]
fn keys_of_a_kubernetes_mount_decide_before_the_cluster_is_asked() {
    let lab = lab::shared();
    let fixture = kubernetes_fixture::Fixture::new("token: secret", "");
    fixture.bootstrap();
    let (mount, namespace) = (&fixture.mount, &fixture.namespace);
    let path = format!("auth/{mount}/config");
    let (_, secret) = lab.kubernetes().get(&format!("/api/v1/namespaces/{namespace}-review/secrets/vault-auth-token"));
    let token = secret["data"]["token"].as_str().unwrap();
    let token = String::from_utf8(base64::engine::general_purpose::STANDARD.decode(token).unwrap()).unwrap();
    let with_keys = |keys: &str| {
        let blocks: Vec<String> = keys
            .split_inclusive("-----END PUBLIC KEY-----")
            .map(str::trim)
            .filter(|key| !key.is_empty())
            .map(str::to_owned)
            .collect();
        let mut config = lab.vault().read(&path)["data"].clone();
        config["pem_keys"] = json!(blocks);
        config["token_reviewer_jwt"] = json!(token);
        lab.vault().write(&path, &config);
    };
    let account = format!("{namespace}/app");
    let reviewer = format!("{namespace}-review/vault-auth");
    let flags = || {
        let command = by_flags(mount, "r-app", &account);
        diagnosed(command.args(["--reviewer", &reviewer, "--secret-name", "vault-auth-token"]))
    };
    let own = Vaultk8s::new(["pem"]).stdin(lab.kubectl_get_raw("/openid/v1/jwks")).run().exits(0).stdout;
    with_keys(&own);
    assert!(fixture.logs_in());
    let (code, said) = flags();
    assert_eq!(check(&said, "VK313")["status"], "passed", "{said:#}");
    assert!(check(&said, "VK313")["detail"].as_str().unwrap().contains("in pem_keys"), "{said:#}");
    assert_eq!((code, &check(&said, "VK431")["status"]), (0, &json!("passed")), "{said:#}");
    // Those of another cluster.
    with_keys(include_str!("../testdata/jwks/p256.pem"));
    assert!(!fixture.logs_in());
    let (code, said) = flags();
    let cause = &said["causes"][0];
    assert_eq!((code, cause["id"].as_str()), (1, Some("VK313")), "{said:#}");
    assert!(cause.to_string().contains("pem_keys"), "{cause}");
    // Nothing that is printed would erase the rest.
    assert!(cause["remedies"].as_array().unwrap().iter().all(|remedy| remedy["command"].is_null()), "{cause:#}");
    // A file says that there are none.
    let said: Value = fixture.run(&["verify-role", "--all", "-o", "json"]).exits(1).json();
    assert_eq!(said["causes"][0]["id"], "VK313", "{said:#}");
    fixture.run(&["bootstrap", "--yes"]).exits(0);
    fixture.in_order();
    fixture.run(&["verify-role", "--all"]).exits(0);
}

/// Other claims than `sub`, patterns of them, another claim for the identity.
#[test]
fn other_claims_than_the_subject_decide_as_vault_has_them_decide() {
    let lab = lab::shared();
    let fixture = Fixture::new();
    fixture.bootstrap();
    let (mount, namespace) = (&fixture.mount, &fixture.namespace);
    let role = |fields: Value| {
        let mut body = json!({
            "role_type": "jwt", "user_claim": "/kubernetes.io/serviceaccount/uid", "user_claim_json_pointer": true,
            "bound_audiences": ["vault"], "bound_subject": "", "bound_claims_type": "glob", "token_policies": [fixture.policy], "token_ttl": 600,
            "bound_claims": { "/kubernetes.io/namespace": namespace, "/kubernetes.io/serviceaccount/name": "a*p" },
        });
        for (field, value) in fields.as_object().unwrap() {
            body[field] = value.clone();
        }
        lab.vault().write(&format!("auth/{mount}/role/by-hand"), &body);
    };
    let account = format!("{namespace}/app");
    let flags = || diagnosed(by_flags(mount, "by-hand", &account));
    let subject = format!("system:serviceaccount:{namespace}:app");
    for fields in [json!({}), json!({ "bound_subject": subject, "bound_claims": { "iss": ["https://*", "http*"] } })] {
        role(fields);
        let (_, said) = flags();
        for id in ["VK412", "VK413", "VK431"] {
            assert_eq!(check(&said, id)["status"], "passed", "{said:#}");
        }
    }
    for (fields, id, word) in [
        (json!({ "bound_claims": { "/kubernetes.io/serviceaccount/name": "b*" } }), "VK413", "b*"),
        (
            json!({ "bound_claims": { "/kubernetes.io/namespace": namespace, "iss": "https://elsewhere/*" } }),
            "VK413",
            "iss",
        ),
        (json!({ "bound_subject": "somebody" }), "VK412", "somebody"),
        (json!({ "user_claim": "/email" }), "VK413", "/email"),
    ] {
        role(fields.clone());
        let (code, said) = flags();
        assert_eq!(code, 1, "{said:#}");
        // That it is bound to no account is another cause.
        let mut causes = said["causes"].as_array().unwrap().iter().filter(|cause| cause["id"] != "VK415");
        let cause = causes.next().unwrap();
        assert_eq!((cause["id"].as_str(), causes.next()), (Some(id), None), "{fields}: {said:#}");
        assert!(cause.to_string().contains(word), "{fields}: {cause:#}");
        // Where these claims alone say who may log in, nothing that is printed takes them away.
        let commands = cause["remedies"].as_array().unwrap().iter().filter_map(|remedy| remedy["command"].as_str());
        for command in commands {
            assert!(!fields["bound_claims"].is_object() && !command.contains("\"bound_claims\":{}"), "{command}");
        }
    }
}
