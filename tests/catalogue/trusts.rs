//! Whom a mount trusts, against what the file says: a login that works says nothing of who else gets in.

use lab::{
    Authority, ControlPlaneOptions, Impostor, KeyKind, Kubernetes, Pages, Relay, ServiceAccountKey, VaultOptions,
};
use serde_json::{Value, json};

use super::entry::{Entry, entry, run};
use super::jwt_mount::open_discovery;
use super::setup::{Setup, Shape, flags, jwt};

fn kubernetes() -> Shape {
    Shape { kubernetes: true, ..jwt() }
}

fn own_cluster() -> Shape {
    Shape { cluster: Some(ControlPlaneOptions::default()), ..jwt() }
}

/// The CA that the mount knows the cluster by.
fn ca(setup: &Setup) -> String {
    let config = setup.vault().read(&format!("auth/{}/config", setup.mount));
    config["data"]["kubernetes_ca_cert"].as_str().unwrap().to_owned()
}

/// Somebody's server between Vault and the API server, which passes everything on: logins work as before.
fn between(setup: &mut Setup, his: &Authority) -> String {
    let impostor = Impostor::start(setup.cluster().server(), &ca(setup), his);
    let url = impostor.url().to_owned();
    setup.others.push(Box::new(impostor));
    url
}

fn proxy(setup: &mut Setup) {
    let his = Authority::new("somebody's CA").unwrap();
    let host = between(setup, &his);
    setup.mount_config(json!({ "kubernetes_host": host, "kubernetes_ca_cert": his.pem() }));
}

fn proxy_beside(setup: &mut Setup) {
    let his = Authority::new("somebody's CA").unwrap();
    let (host, both) = (between(setup, &his), format!("{}\n{}", ca(setup), his.pem()));
    setup.mount_config(json!({ "kubernetes_host": host, "kubernetes_ca_cert": both }));
}

/// Vault keeps its connection to the API server, so that the login works with any CA for a while.
fn other_ca(setup: &mut Setup) {
    setup.mount_config(json!({ "kubernetes_ca_cert": Authority::new("another CA").unwrap().pem() }));
}

/// What the cluster publishes.
fn published(cluster: &Kubernetes) -> String {
    cluster.get("/openid/v1/jwks").1.to_string()
}

/// A web server of somebody's with this as its key set.
fn serving(setup: &mut Setup, keys: String) -> (String, String) {
    let his = Authority::new("somebody's CA").unwrap();
    let pages = Pages::start(&his);
    pages.serve("/keys", keys);
    let url = format!("{}/keys", pages.url());
    setup.others.push(Box::new(pages));
    (url, his.pem().to_owned())
}

/// Vault fetches the keys from a server of somebody's, which shows the cluster's alone for now.
fn fetched_elsewhere(setup: &mut Setup) {
    let keys = published(setup.cluster());
    let (url, ca) = serving(setup, keys);
    setup.mount_config(json!({ "jwks_url": url, "jwks_ca_pem": ca, "jwt_validation_pubkeys": [] }));
}

#[test]
fn whom_the_mount_trusts() {
    run(
        "whom the mount trusts",
        &[
            entry("a proxy of somebody's, with its CA", kubernetes, proxy, "VK331", &["somebody's CA"]),
            entry("the same, beside the cluster's CA", kubernetes, proxy_beside, "VK331", &["somebody's CA"]),
            entry("another CA, and a login that works", kubernetes, other_ca, "VK331", &["another CA"]),
            entry("keys from a server of somebody's", jwt, fetched_elsewhere, "VK331", &["jwks_url https://127.0.0.1"]),
        ],
    );
}

/// Nothing failed, and the logins work.
#[track_caller]
fn nothing_failed(setup: &Setup) -> Value {
    let (code, said, all) = setup.verify();
    assert!(code == 0 && said["success"] == true, "exit {code}: {:#}\n{all}", said["causes"]);
    said
}

/// Another way to the same API server, whose certificate is from the same CA.
#[test]
fn another_way_to_the_same_cluster_is_no_alarm() {
    let mut setup = Setup::new(kubernetes());
    let relay = Relay::start(setup.cluster().server());
    setup.mount_config(json!({ "kubernetes_host": relay.url() }));
    let said = nothing_failed(&setup);
    assert_eq!(said["causes"], json!([]), "{said}");
    setup.relay = Some(relay);
    // Nor are a certificate that is named twice, and other text around it.
    let twice = format!("# the CA\n{}\n{}", ca(&setup), ca(&setup));
    setup.mount_config(json!({ "kubernetes_ca_cert": twice }));
    nothing_failed(&setup);
}

/// The cluster itself serves its keys, and the file says that they are pinned.
#[test]
fn keys_that_vault_fetches_from_the_cluster_itself_are_no_alarm() {
    let setup = Setup::new(Shape { prepare: Some(|cluster, _| open_discovery(cluster)), ..own_cluster() });
    let url = format!("{}/openid/v1/jwks", setup.cluster().server());
    let ca = setup.plane.as_ref().unwrap().authority().pem();
    setup.mount_config(json!({ "jwks_url": url, "jwks_ca_pem": ca, "jwt_validation_pubkeys": [] }));
    nothing_failed(&setup);
}

/// A kubeconfig that leads through something in between, as Rancher and its like write them.
fn kubeconfig_through(setup: &mut Setup) {
    use base64::Engine as _;
    let its = Authority::new("the CA of what is in between").unwrap();
    let server = between(setup, &its);
    let ca = base64::engine::general_purpose::STANDARD.encode(its.pem());
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "through",
        "clusters": [{ "name": "through", "cluster": { "server": server, "certificate-authority-data": ca } }],
        "users": [{ "name": "admin", "user": { "token": setup.cluster().admin_token() } }],
        "contexts": [{ "name": "through", "context": { "cluster": "through", "user": "admin" } }],
    });
    setup.write_file("through", &text.to_string());
    setup.environment.insert("KUBECONFIG", "through".to_owned());
}

/// The cluster itself says by which CA it is known, whatever the kubeconfig of who looks has.
#[test]
fn a_kubeconfig_through_something_else_is_no_alarm() {
    let mut setup = Setup::new(Shape { kubernetes: true, ..own_cluster() });
    let real = ca(&setup);
    kubeconfig_through(&mut setup);
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "kube-root-ca.crt" }, "data": { "ca.crt": real },
    });
    let maps = "/api/v1/namespaces/kube-system/configmaps";
    setup.cluster().delete(&format!("{maps}/kube-root-ca.crt"));
    setup.cluster().post(maps, &map);
    let said = nothing_failed(&setup);
    let ids: Vec<&Value> = said["causes"].as_array().unwrap().iter().map(|cause| &cause["id"]).collect();
    assert_eq!(ids, ["VK322"], "{said}");
    // Its server between Vault and the cluster is somebody's all the same.
    let his = Authority::new("somebody's CA").unwrap();
    let impostor = Impostor::start(setup.cluster().server(), &real, &his);
    setup.mount_config(json!({ "kubernetes_host": impostor.url(), "kubernetes_ca_cert": his.pem() }));
    let (code, said, all) = setup.verify();
    assert!(code == 1 && said["causes"][0]["id"] == "VK331", "exit {code}: {all}");
}

/// A CA beside the cluster's own, as one that was rotated out: whose it is, nobody can tell.
#[test]
fn what_can_not_be_told_warns() {
    let setup = Setup::new(kubernetes());
    let fields =
        json!({ "kubernetes_ca_cert": format!("{}\n{}", ca(&setup), Authority::new("old CA").unwrap().pem()) });
    setup.mount_config(fields);
    let said = nothing_failed(&setup);
    let first = &said["causes"][0];
    assert!(first["id"] == "VK331" && first["detail"].to_string().contains("old CA"), "{said}");
}

/// Without a file nobody says whom the mount should trust: what is read warns.
#[test]
fn without_a_file_a_proxy_warns() {
    let mut setup = Setup::new(Shape { kubernetes: true, ..flags() });
    proxy(&mut setup);
    let said = nothing_failed(&setup);
    let first = &said["causes"][0];
    assert!(first["id"] == "VK322" && first["status"] == "warning", "{said}");
}

/// What a server reads back that takes its keys from several URLs: one that has `jwks_pairs` is asked to, and in front of the others stands
/// what says so.
fn pairs(setup: &mut Setup, others: &str) {
    let own = published(setup.cluster());
    let pair = |(url, ca): (String, String)| json!({ "jwks_url": url, "jwks_ca_pem": ca });
    let pairs = json!([pair(serving(setup, own)), pair(serving(setup, others.to_owned()))]);
    let path = format!("auth/{}/config", setup.mount);
    let body = json!({ "jwks_pairs": pairs, "jwt_supported_algs": ["RS256", "ES256"] });
    let (status, _) = setup.vault().post(&path, &body);
    if status < 300 && setup.vault().read(&path)["data"]["jwks_pairs"].is_array() {
        return;
    }
    let shared = lab::shared();
    let authority = shared.run().vault_authority();
    let fields = json!({ "jwks_pairs": pairs, "jwt_validation_pubkeys": [], "bound_issuer": "" });
    let shown = Impostor::adding(shared.vault_address(), authority.pem(), authority, &format!("/v1/{path}"), fields);
    setup.environment.insert("VAULT_ADDR", shown.url().to_owned());
    setup.others.push(Box::new(shown));
}

/// A key set with one key of somebody's.
fn strangers_keys() -> String {
    let key = ServiceAccountKey::generate(KeyKind::EcP256).unwrap();
    let plane = lab::ControlPlane::start(&ControlPlaneOptions { keys: vec![key], ..ControlPlaneOptions::default() });
    published(plane.client())
}

/// As it was: the bootstrap reads what the server has.
fn without_pairs(setup: &mut Setup) {
    let address = lab::shared().vault_address().to_owned();
    setup.environment.insert("VAULT_ADDR", address);
    setup.bootstrap();
}

fn strange_pairs(setup: &mut Setup) {
    pairs(setup, &strangers_keys());
}

fn own_pairs(setup: &mut Setup) {
    let own = published(setup.cluster());
    pairs(setup, &own);
}

fn silent_pairs(setup: &mut Setup) {
    pairs(setup, "no keys");
}

fn of_pairs(name: &'static str, shape: fn() -> Shape, fault: fn(&mut Setup), id: &'static str) -> Entry {
    entry(name, shape, fault, id, &["/keys"]).person(without_pairs)
}

#[test]
fn keys_of_several_urls() {
    run(
        "jwks_pairs",
        &[
            of_pairs("a stranger's keys beside the cluster's", jwt, strange_pairs, "VK314"),
            of_pairs("the cluster's keys from two servers", jwt, own_pairs, "VK331"),
            of_pairs("a stranger's keys beside the cluster's (flags)", flags, strange_pairs, "VK314"),
            of_pairs("one that serves no keys (flags)", flags, silent_pairs, "VK314"),
        ],
    );
}

/// What stands behind a fault that the login outranks is looked at all the same.
#[test]
fn an_exposure_behind_a_fault_that_the_login_outranks_is_told() {
    // Vault has the cluster's keys still, which are not served any more.
    let mut setup = Setup::new(flags());
    let his = Authority::new("somebody's CA").unwrap();
    let pages = Pages::start(&his);
    pages.serve("/keys", published(setup.cluster()));
    let fields =
        json!({ "jwks_url": format!("{}/keys", pages.url()), "jwks_ca_pem": his.pem(), "jwt_validation_pubkeys": [] });
    setup.mount_config(fields);
    nothing_failed(&setup);
    pages.serve("/keys", strangers_keys());
    let (code, said, all) = setup.verify();
    let cause = |id: &str| said["causes"].as_array().unwrap().iter().find(|cause| cause["id"] == id);
    assert!(code == 1 && said["causes"][0]["id"] == "VK314", "exit {code}: {all}");
    assert!(cause("VK313").is_some_and(|cause| cause["status"] == "warning"), "{all}");
    setup.others.push(Box::new(pages));
}

/// The reviewer's Secret is gone, Vault has a token of another one that works, and the account may do anything.
#[test]
fn a_reviewer_that_may_do_anything_is_told_though_its_secret_is_gone() {
    let setup = Setup::new(Shape { vault: Some(VaultOptions::default()), ..kubernetes() });
    let (cluster, namespace) = (setup.cluster(), &setup.namespace);
    let bind = |name: String, role: &str, account: &str, of: String| {
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": { "name": name },
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
            "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": of }],
        });
        assert_eq!(cluster.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).0, 201);
    };
    cluster.service_account(namespace, "other-reviewer");
    bind(format!("{namespace}-other"), "system:auth-delegator", "other-reviewer", namespace.clone());
    bind(format!("{namespace}-admin"), "cluster-admin", "vault-auth", format!("{namespace}-review"));
    setup.mount_config(json!({ "token_reviewer_jwt": cluster.token(namespace, "other-reviewer", &[], 3600) }));
    cluster.delete(&setup.reviewer_secret());
    let said = nothing_failed(&setup);
    let ids: Vec<&Value> = said["causes"].as_array().unwrap().iter().map(|cause| &cause["id"]).collect();
    assert!(ids.contains(&&json!("VK323")) && ids.contains(&&json!("VK326")), "{said}");
}

/// A key that is gone for a year is kept by nobody's `keyRetention`.
#[test]
fn a_key_that_is_gone_for_a_year_warns_without_a_file() {
    let setup = Setup::new(flags());
    let (mount, vault) = (&setup.mount, setup.vault());
    let tune = format!("sys/mounts/auth/{mount}/tune");
    let key = ServiceAccountKey::generate(KeyKind::EcP256).unwrap();
    let mut keys = vault.read(&format!("auth/{mount}/config"))["data"]["jwt_validation_pubkeys"].clone();
    keys.as_array_mut().unwrap().push(key.public_pem().into());
    setup.mount_config(json!({ "jwt_validation_pubkeys": keys }));
    // What it is called is told by the check itself.
    let (code, said, all) = setup.verify();
    let remedies = said["causes"][0]["remedies"].to_string();
    // What begins like a flag has an `=` before it.
    let kid = remedies.split("--forget-key").nth(1).and_then(|rest| rest[1..].split([' ', '"']).next());
    let option = format!("vaultk8s-key-{}", kid.unwrap_or_else(|| panic!("exit {code}: {all}")));
    let gone = |since: &str| {
        let value = format!("first-seen=2024-01-01T00:00:00Z gone-since={since}");
        vault.write(&tune, &json!({ "options": { (&option): value } }));
    };
    gone("2025-01-01T00:00:00Z");
    let said = nothing_failed(&setup);
    assert!(said["causes"][0]["id"] == "VK314" && said["causes"][0]["status"] == "warning", "{said}");
    gone(&jiff_now());
    assert_eq!(nothing_failed(&setup)["causes"], json!([]));
}

/// Now, as a record has it.
fn jiff_now() -> String {
    let shown = std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
    String::from_utf8(shown.stdout).unwrap().trim().to_owned()
}
