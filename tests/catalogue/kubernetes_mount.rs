//! The mount of the kubernetes method: whom it asks, and as whom.

use lab::{Authority, ControlPlane, ControlPlaneOptions, VaultOptions};
use serde_json::{Value, json};

use super::entry::{entry, run, run_printed};
use super::setup::{Setup, Shape};
use crate::signature::signed_anew;

fn kubernetes() -> Shape {
    Shape { kubernetes: true, ..Shape::default() }
}

fn flags() -> Shape {
    Shape { flags: true, ..own_cluster() }
}

fn own_cluster() -> Shape {
    Shape { cluster: Some(ControlPlaneOptions::default()), ..kubernetes() }
}

/// Vault keeps its connections to the API server: only one that has started anew shows what another host or CA does.
fn own_vault() -> Shape {
    Shape { vault: Some(VaultOptions { persistent: true, ..VaultOptions::default() }), ..kubernetes() }
}

fn restarted(setup: &mut Setup, fields: Value) {
    setup.mount_config(fields);
    setup.server.as_mut().unwrap().restart();
}

fn other_ca(setup: &mut Setup) {
    let other = Authority::new("another CA").unwrap();
    restarted(setup, json!({ "kubernetes_ca_cert": other.pem() }));
}

/// A cluster and a Vault of its own, by flags.
fn own_both() -> Shape {
    Shape { vault: own_vault().vault, ..flags() }
}

fn silent_host(setup: &mut Setup) {
    restarted(setup, json!({ "kubernetes_host": "https://127.0.0.1:1" }));
}

fn no_reviewer(setup: &mut Setup) {
    setup.cluster().delete(&format!("/api/v1/namespaces/{}-review/serviceaccounts/vault-auth", setup.namespace));
}

fn no_secret(setup: &mut Setup) {
    setup.cluster().delete(&setup.reviewer_secret());
}

fn no_binding(setup: &mut Setup) {
    let name = format!("{}-review", setup.namespace);
    setup.cluster().delete(&format!("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}"));
}

fn no_token(setup: &mut Setup) {
    setup.mount_config(json!({ "token_reviewer_jwt": "" }));
}

fn bound() -> Shape {
    Shape { reviewer: Some("bound"), ..kubernetes() }
}

/// As if nobody had renewed the token in time.
fn over(setup: &mut Setup) {
    let path = format!("/api/v1/namespaces/{}-review/serviceaccounts/vault-auth", setup.namespace);
    let (_, mut account) = setup.cluster().get(&path);
    let annotations = account["metadata"]["annotations"].as_object_mut().unwrap();
    let (_, record) = annotations.iter_mut().find(|(key, _)| key.starts_with("vaultk8s.io/")).unwrap();
    let mut fields: Value = serde_json::from_str(record.as_str().unwrap()).unwrap();
    assert!(fields["expires"].is_u64(), "{fields}");
    fields["written"] = 1_699_990_000.into();
    fields["expires"] = 1_700_000_000.into();
    *record = fields.to_string().into();
    assert_eq!(setup.cluster().put(&path, &account).0, 200);
}

fn garbage(setup: &mut Setup) {
    setup.mount_config(json!({ "token_reviewer_jwt": "bm90LWE.dG9rZW4.YXQtYWxs" }));
}

fn wrong_issuer(setup: &mut Setup) {
    setup.mount_config(json!({ "issuer": "https://10.0.0.1:6443", "disable_iss_validation": false }));
}

fn disable(setup: &mut Setup) {
    setup.vault().delete(&format!("sys/auth/{}", setup.mount));
}

fn unconfigured(setup: &mut Setup) {
    let path = format!("auth/{}/role/r-app", setup.mount);
    let role = setup.vault().read(&path)["data"].clone();
    disable(setup);
    setup.vault().write(&format!("sys/auth/{}", setup.mount), &json!({ "type": "kubernetes" }));
    setup.vault().write(&path, &role);
}

#[test]
fn the_reviewer() {
    run(
        "the reviewer",
        &[
            entry("reviewer's account deleted", kubernetes, no_reviewer, "VK323", &["does not exist"]).patiently(),
            entry("reviewer's Secret deleted", kubernetes, no_secret, "VK323", &["Secret"]).patiently(),
            // Without a file nothing says that there was one: it is Vault's copy that is over.
            entry("reviewer's Secret deleted (flags)", flags, no_secret, "VK431", &["only Vault itself can tell"])
                .patiently(),
            entry("reviewer's binding deleted", kubernetes, no_binding, "VK324", &["auth-delegator"]).patiently(),
            entry("reviewer's account deleted (flags)", flags, no_reviewer, "VK323", &["does not exist"])
                .second_remedy()
                .patiently(),
            entry("reviewer's token bound: account deleted", bound, no_reviewer, "VK323", &["does not exist"])
                .patiently(),
            entry("reviewer's token bound: Vault's copy erased", bound, no_token, "VK325", &["no reviewer's token"]),
            entry("reviewer's token bound: expired, by the record", bound, over, "VK325", &["expired"]),
            entry("reviewer's binding deleted (flags)", flags, no_binding, "VK324", &["auth-delegator"]).patiently(),
            entry("Vault's copy of the token erased", kubernetes, no_token, "VK325", &["no reviewer's token"]),
            entry("Vault's copy of the token erased (flags)", flags, no_token, "VK325", &["no reviewer's token"]),
            entry("Vault's copy is no token", kubernetes, garbage, "VK431", &["only Vault itself can tell"]),
            entry(
                "reviewer's binding deleted, and nobody named the reviewer (flags)",
                flags,
                |setup| {
                    no_binding(setup);
                    setup.option("--reviewer", None);
                },
                "VK431",
                &["only Vault itself can tell", "auth-delegator"],
            )
            .patiently()
            .person(|setup| {
                // As it says: who reviews is named, and then what is wrong with it.
                let reviewer = format!("{}-review/vault-auth", setup.namespace);
                setup.option("--reviewer", Some(&reviewer));
                run_printed(setup, "VK324");
            }),
            entry("Vault's copy is no token (flags)", flags, garbage, "VK431", &["only Vault itself can tell"]),
            entry(
                "reviewer's token bound: Vault's copy is no token (flags)",
                || Shape { reviewer: Some("bound"), ..flags() },
                |setup| {
                    let path = format!("auth/{}/config", setup.mount);
                    let mut config = setup.vault().read(&path)["data"].clone();
                    config["token_reviewer_jwt"] = "bm90LWE.dG9rZW4.YXQtYWxs".into();
                    setup.vault().write(&path, &config);
                },
                "VK431",
                &["only Vault itself can tell"],
            ),
            entry(
                "Vault's copy is of another cluster",
                kubernetes,
                |setup| {
                    let other = ControlPlane::start(&ControlPlaneOptions::default());
                    let token = other.client().token("default", "default", &[], 3600);
                    setup.mount_config(json!({ "token_reviewer_jwt": token }));
                },
                "VK431",
                &["only Vault itself can tell"],
            ),
            entry(
                "Vault's copy has expired",
                own_cluster,
                |setup| {
                    let key = &setup.plane.as_ref().unwrap().keys()[0];
                    let token = signed_anew(&setup.reviewer_jwt(), key, -4000, -400);
                    setup.mount_config(json!({ "token_reviewer_jwt": token }));
                },
                "VK431",
                &["only Vault itself can tell"],
            ),
            entry(
                "reviewer's Secret never filled",
                own_cluster,
                |setup| {
                    let plane = setup.plane.as_mut().unwrap();
                    let keys = plane.keys().to_vec();
                    let options = ControlPlaneOptions { keys, controller_manager: false, ..Default::default() };
                    plane.restart(&options);
                    let (path, cluster) = (setup.reviewer_secret(), setup.cluster());
                    let (_, mut secret) = cluster.get(&path);
                    cluster.delete(&path);
                    secret["metadata"].as_object_mut().unwrap().remove("resourceVersion");
                    secret["metadata"].as_object_mut().unwrap().remove("uid");
                    secret.as_object_mut().unwrap().remove("data");
                    assert_eq!(cluster.post(path.rsplit_once('/').unwrap().0, &secret).0, 201);
                },
                "VK323",
                &["never filled"],
            )
            .person(|setup| {
                let plane = setup.plane.as_mut().unwrap();
                let keys = plane.keys().to_vec();
                plane.restart(&ControlPlaneOptions { keys, ..Default::default() });
                while setup.reviewer_jwt().is_empty() {
                    std::thread::sleep(std::time::Duration::from_millis(200));
                }
                setup.bootstrap();
            }),
        ],
    );
}

#[test]
fn the_mount_and_its_host() {
    run(
        "the kubernetes mount",
        &[
            entry("mount missing", kubernetes, disable, "VK301", &["no auth mount"]),
            entry("mount without configuration", kubernetes, unconfigured, "VK303", &["no configuration"]),
            entry("wrong issuer, where it is compared", kubernetes, wrong_issuer, "VK312", &["10.0.0.1:6443"]),
            entry(
                "another CA than the API server's",
                own_vault,
                other_ca,
                "VK321",
                &["no certificate that the mount's CA"],
            ),
            entry("another CA than the API server's (flags)", own_both, other_ca, "VK321", &["the mount's CA"]),
            entry(
                "host of another cluster, with its CA",
                own_vault,
                |setup| {
                    let other = ControlPlane::start(&ControlPlaneOptions::default());
                    let (host, ca) = (other.server_url().to_owned(), other.authority().pem().to_owned());
                    restarted(setup, json!({ "kubernetes_host": host, "kubernetes_ca_cert": ca }));
                    setup.spare_plane = Some(other);
                },
                "VK322",
                &["another cluster"],
            ),
            entry("host that doesn't answer", own_vault, silent_host, "VK322", &["does not answer"]),
            // Without a file, a host that only Vault reaches looks the same: the login tells.
            entry(
                "host that doesn't answer (flags)",
                own_both,
                silent_host,
                "VK431",
                &["can't be asked from here", "https://127.0.0.1:1", "Connection refused"],
            )
            .second_remedy(),
            entry("mount without configuration (flags)", flags, unconfigured, "VK303", &["no configuration"]),
            entry("wrong issuer, where it is compared (flags)", flags, wrong_issuer, "VK312", &["10.0.0.1:6443"])
                .second_remedy(),
        ],
    );
}

/// Gives the reviewer's binding to another account, or lets it give another role.
fn rebind(setup: &mut Setup, role: &str, account: &str) {
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let name = format!("{}-review", setup.namespace);
    setup.cluster().delete(&format!("{bindings}/{name}"));
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
        "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": name }],
    });
    assert_eq!(setup.cluster().post(bindings, &binding).0, 201);
}

#[test]
fn the_reviewers_binding() {
    let another_account: fn(&mut Setup) = |setup| rebind(setup, "system:auth-delegator", "another");
    let another_role: fn(&mut Setup) = |setup| rebind(setup, "view", "vault-auth");
    let unable =
        |name, shape, fault| entry(name, shape, fault, "VK324", &["may not review tokens", "-review"]).patiently();
    let by_hand = |name, shape, fault| unable(name, shape, fault).second_remedy();
    run(
        "the reviewer's binding",
        &[
            by_hand("binding deleted, mended by hand", kubernetes, no_binding),
            unable("binding of another account", kubernetes, another_account),
            by_hand("binding of another account, mended by hand", kubernetes, another_account),
            by_hand("binding of another account, mended by hand (flags)", flags, another_account),
            unable("binding of another role", kubernetes, another_role),
            unable("binding of another role (flags)", flags, another_role),
        ],
    );
}
