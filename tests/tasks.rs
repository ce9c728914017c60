//! What policies give in one word is what the engines and their users need, on a real server.

use lab::Vault;
use serde_json::json;

use crate::command::Vaultk8s;

/// A mount with a role for each policy, all for one account.
struct Roles {
    mount: lab::Mount,
    namespace: String,
}

impl Roles {
    /// `policies` are entries of the file without their names, each with the name of its role.
    fn bootstrapped(policies: &[(&str, String)], expect: &str) -> Self {
        let lab = lab::shared();
        let (mount, namespace) = (lab.mount("jwt"), lab.namespace("tasks"));
        lab.service_account(&namespace, "app");
        let entries: Vec<String> =
            policies.iter().map(|(name, grants)| format!("  - {{ name: {mount}-{name}, {grants} }}\n")).collect();
        let roles: Vec<String> = policies
            .iter()
            .map(|(name, _)| {
                format!("  - {{ name: {name}, serviceAccounts: {namespace}/app, policies: {mount}-{name}, ttl: 5m }}\n")
            })
            .collect();
        let config = format!(
            "clusters:
  - name: lab
    context: {}
    auth: {{ method: jwt, mount: {mount}, audience: vault }}
policies:
{}roles:
{}{}",
            lab.context(),
            entries.concat(),
            roles.concat(),
            expect.replace("ACCOUNT", &format!("{namespace}/app")),
        );
        Vaultk8s::new(["bootstrap", "--yes"]).on_shared().config(&config).run().exits(0);
        Vaultk8s::new(["plan", "--detailed-exitcode"]).on_shared().config(&config).run().exits(0);
        Vaultk8s::new(["verify-role", "--all"]).on_shared().config(&config).run().exits(0);
        Vaultk8s::new(["rehearse"]).env("VAULTK8S_VAULT_BIN", lab.vault_program()).config(&config).run().exits(0);
        Self { mount, namespace }
    }

    fn logged_in(&self, role: &str) -> Vault {
        let lab = lab::shared();
        let token = lab.token(&self.namespace, "app", &["vault"], 600);
        lab.vault().logged_in(self.mount.as_str(), role, &token)
    }
}

/// The requests are those of External Secrets' Vault provider: `PushSecret` reads the value, compares and marks it in the metadata,
/// and writes; `dataFrom.find` lists folders, reads the metadata for tags, and then the values.
#[test]
fn a_push_and_a_search_of_external_secrets() {
    let lab = lab::shared();
    let folder = lab.unique("pushed");
    let roles = Roles::bootstrapped(
        &[
            ("push", format!("push: {folder}/*")),
            ("find", format!("find: {folder}/*, read: {folder}/*")),
            ("write", format!("write: {folder}/*")),
        ],
        &format!("expect: [{{ serviceAccounts: ACCOUNT, can: [push, find], paths: {folder}/* }}]"),
    );
    let (push, find, write) = (roles.logged_in("push"), roles.logged_in("find"), roles.logged_in("write"));
    let (data, metadata) = (format!("secret/data/{folder}/db"), format!("secret/metadata/{folder}/db"));
    let mark = json!({ "custom_metadata": { "managed-by": "external-secrets" } });
    for (round, there) in [(1, 404), (2, 200)] {
        assert_eq!(push.get(&data).0, there);
        if there == 200 {
            assert_eq!(push.read(&metadata)["data"]["custom_metadata"]["managed-by"], "external-secrets");
        }
        push.write(&metadata, &mark);
        push.write(&data, &json!({ "data": { "round": round } }));
    }
    assert_eq!(push.delete(&data).0, 403, "to push is not to delete");
    assert_eq!(push.get(&format!("secret/data/{folder}-x/db")).0, 403);
    assert_eq!(write.post(&metadata, &mark).0, 403, "which is why `write` is not enough");
    assert_eq!(find.list(&format!("secret/metadata/{folder}/")).1["data"]["keys"], json!(["db"]));
    assert_eq!(find.read(&metadata)["data"]["custom_metadata"]["managed-by"], "external-secrets");
    assert_eq!(find.read(&data)["data"]["data"]["round"], 2);
    assert_eq!(find.post(&metadata, &mark).0, 403);
    lab.vault().delete(&metadata);
}

#[test]
fn what_is_signed_and_encrypted() {
    let lab = lab::shared();
    let vault = lab.vault();
    let (pki, transit) = (lab.unique("pki"), lab.unique("transit"));
    vault.write(&format!("sys/mounts/{pki}"), &json!({ "type": "pki" }));
    vault.write(&format!("sys/mounts/{transit}"), &json!({ "type": "transit" }));
    vault.write(&format!("{pki}/root/generate/internal"), &json!({ "common_name": "root.example" }));
    for role in ["web", "mail"] {
        vault.write(&format!("{pki}/roles/{role}"), &json!({ "allow_any_name": true, "key_type": "any", "ttl": "1h" }));
    }
    vault.write(&format!("{transit}/keys/orders"), &json!({}));
    let roles = Roles::bootstrapped(
        &[
            ("sign", format!("sign: {pki}/sign/web")),
            ("encrypt", format!("encrypt: {transit}/orders")),
            ("decrypt", format!("decrypt: {transit}/orders")),
            ("creds", "creds: database/creds/app".to_owned()),
        ],
        &format!(
            "expect:
  - {{ serviceAccounts: ACCOUNT, can: sign, paths: {pki}/sign/web }}
  - {{ nobodyBut: [], can: sign, paths: {pki}/sign/mail }}
  - {{ serviceAccounts: ACCOUNT, can: [encrypt, decrypt], paths: {transit}/orders }}
  - {{ serviceAccounts: ACCOUNT, can: creds, paths: database/creds/app }}
  - {{ nobodyBut: [], can: [read, write], apiPaths: {pki}/roles/* }}
"
        ),
    );
    let key = rcgen::KeyPair::generate().unwrap();
    let mut request = rcgen::CertificateParams::new(vec!["web.example".to_owned()]).unwrap();
    request.distinguished_name.push(rcgen::DnType::CommonName, "web.example");
    let csr = request.serialize_request(&key).unwrap().pem().unwrap();
    let sign = roles.logged_in("sign");
    let signed = sign.write(&format!("{pki}/sign/web"), &json!({ "csr": csr }));
    assert!(signed["data"]["certificate"].as_str().unwrap().contains("BEGIN CERTIFICATE"));
    assert_eq!(sign.post(&format!("{pki}/sign/mail"), &json!({ "csr": csr })).0, 403);
    assert_eq!(sign.post(&format!("{pki}/issue/web"), &json!({})).0, 403);

    let (encrypt, decrypt) = (roles.logged_in("encrypt"), roles.logged_in("decrypt"));
    let plain = json!({ "plaintext": "c2VjcmV0" });
    let sealed = encrypt.write(&format!("{transit}/encrypt/orders"), &plain);
    let sealed = json!({ "ciphertext": sealed["data"]["ciphertext"] });
    assert_eq!(encrypt.post(&format!("{transit}/decrypt/orders"), &sealed).0, 403);
    let opened = decrypt.write(&format!("{transit}/decrypt/orders"), &sealed);
    assert_eq!(opened["data"]["plaintext"], "c2VjcmV0");
    // With `create` this would have made a key.
    assert_eq!(encrypt.post(&format!("{transit}/encrypt/others"), &plain).0, 403);

    let creds = roles.logged_in("creds");
    let may = creds.write("sys/capabilities-self", &json!({ "paths": ["database/creds/app", "database/creds/x"] }));
    assert_eq!(may["data"]["database/creds/app"], json!(["read"]));
    assert_eq!(may["data"]["database/creds/x"], json!(["deny"]));
    for mount in [pki, transit] {
        vault.delete(&format!("sys/mounts/{mount}"));
    }
}
