//! Stores of External Secrets that use the role, and what refers to them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lab::{Authority, VaultOptions, VaultServer};
use serde_json::{Value, json};

use super::entry::{entry, run};
use super::setup::{Setup, Shape};

/// A `ClusterSecretStore` with jwt auth.
fn jwt() -> Shape {
    Shape { store: true, ..Shape::default() }
}

fn flags() -> Shape {
    Shape { flags: true, ..jwt() }
}

/// A `SecretStore` with kubernetes auth.
fn kubernetes() -> Shape {
    Shape { kubernetes: true, ..jwt() }
}

fn provider(setup: &Setup, fields: Value) {
    setup.stores().change_provider(&fields);
}

fn auth(setup: &Setup, method: &str, fields: Value) {
    provider(setup, json!({ "auth": { method: fields } }));
}

fn token(setup: &Setup, fields: Value) {
    auth(setup, "jwt", json!({ "kubernetesServiceAccountToken": fields }));
}

fn account(setup: &Setup, name: &str, namespace: &str) {
    token(setup, json!({ "serviceAccountRef": { "name": name, "namespace": namespace } }));
}

fn bundle(setup: &Setup, text: &str) {
    provider(setup, json!({ "caBundle": STANDARD.encode(text) }));
}

fn ca_provider(setup: &Setup, kind: &str) {
    let reference = json!({ "type": kind, "name": "vault-ca", "key": "ca.crt", "namespace": setup.namespace });
    provider(setup, json!({ "caBundle": null, "caProvider": reference }));
}

/// What holds Vault's CA is there, and the store does not say where.
fn ca_provider_nowhere(setup: &Setup, kind: &str, body: &Value) {
    let name = format!("ca-{}", setup.namespace);
    let mut body = body.clone();
    body["metadata"] = json!({ "name": name });
    let all = format!("/api/v1/namespaces/{}/{}s", setup.namespace, kind.to_lowercase());
    assert_eq!(setup.cluster().post(&all, &body).0, 201);
    let reference = json!({ "type": kind, "name": name, "key": "ca.crt" });
    provider(setup, json!({ "caBundle": null, "caProvider": reference }));
}

fn vault_ca() -> String {
    std::fs::read_to_string(lab::shared().vault_ca()).unwrap()
}

/// The store as it was, of the other method.
fn other_method(setup: &mut Setup) {
    let reference = json!({ "name": "app", "namespace": setup.namespace });
    let fields = json!({ "mountPath": setup.mount, "role": "r-app", "serviceAccountRef": reference });
    provider(setup, json!({ "auth": { "jwt": null, "kubernetes": fields } }));
}

fn own_method(setup: &mut Setup) {
    let reference = json!({ "name": "app", "namespace": setup.namespace });
    let token = json!({ "serviceAccountRef": reference });
    let fields = json!({ "path": setup.mount, "role": "r-app", "kubernetesServiceAccountToken": token });
    provider(setup, json!({ "auth": { "kubernetes": null, "jwt": fields } }));
}

/// Which namespaces the store lets in.
fn conditions(setup: &Setup, conditions: Value) {
    setup.stores().change_store(&json!({ "conditions": conditions }));
}

fn by_name(setup: &mut Setup) {
    conditions(setup, json!([{ "namespaces": ["elsewhere", "app"] }]));
}

fn by_label(setup: &mut Setup) {
    conditions(setup, json!([{ "namespaceSelector": { "matchLabels": { "team": "blue" } } }]));
}

/// The namespace has the label already, and of another value, which is for something else.
fn by_a_label_that_is_taken(setup: &mut Setup) {
    let labels = json!({ "kubernetes.io/metadata.name": "elsewhere" });
    conditions(setup, json!([{ "namespaceSelector": { "matchLabels": labels } }]));
}

fn by_expression(setup: &mut Setup) {
    conditions(setup, json!([{ "namespaceRegexes": ["^prod-", "-app$"] }]));
}

/// One with a mistyped property, another with a key that isn't there.
fn two_lacking(setup: &mut Setup) {
    setup.stores().ask_for("property", "pasword");
    let reference = json!({ "key": format!("{}/gone", setup.namespace), "property": "password" });
    setup.stores().another_external_secret("second", json!([{ "secretKey": "password", "remoteRef": reference }]));
}

fn two_complete(setup: &mut Setup) {
    setup.stores().ask_for("property", "password");
    setup.vault().write(&format!("secret/data/{}/gone", setup.namespace), &json!({ "data": { "password": "p" } }));
}

fn rarely(setup: &mut Setup) {
    setup.stores().change_external_secret(&json!({ "refreshInterval": "15m0s" }));
}

/// What a person does to a role whose tokens should live longer.
fn longer(setup: &mut Setup) {
    let text = std::fs::read_to_string(&setup.file).unwrap();
    std::fs::write(&setup.file, text.replace("ttl: 10m", "ttl: 20m")).unwrap();
    setup.bootstrap();
}

fn no_default(setup: &mut Setup) {
    setup.role(json!({ "token_no_default_policy": true }));
}

#[test]
fn how_a_store_logs_in() {
    run(
        "the store's login",
        &[
            entry(
                "store on another mount",
                jwt,
                |s| auth(s, "jwt", json!({ "path": "jwt-elsewhere" })),
                "VK913",
                &["auth/jwt-elsewhere", "auth/catalogue-"],
            ),
            entry(
                "store on another mount (kubernetes)",
                kubernetes,
                |s| auth(s, "kubernetes", json!({ "mountPath": "elsewhere" })),
                "VK913",
                &["auth/elsewhere", "auth/catalogue-"],
            ),
            entry("store in the other method", jwt, other_method, "VK913", &["in another method", "kubernetes", "jwt"])
                .person(own_method),
            entry(
                "store with a role that isn't there",
                jwt,
                |s| auth(s, "jwt", json!({ "role": "r-gone" })),
                "VK914",
                &["r-gone"],
            ),
            entry(
                "store with another mount and another account",
                jwt,
                |s| {
                    auth(s, "jwt", json!({ "path": "jwt-elsewhere" }));
                    account(s, "other", &s.namespace);
                },
                "VK913",
                &["auth/jwt-elsewhere"],
            )
            .also(&["VK915"]),
            entry(
                "store and role with another audience each",
                jwt,
                |s| {
                    s.role(json!({ "bound_audiences": ["other"] }));
                    token(s, json!({ "audiences": ["third"] }));
                },
                "VK411",
                &["other"],
            )
            .person(|setup| {
                setup.bootstrap();
                token(setup, json!({ "audiences": ["vault"] }));
            }),
            entry("store without a role", jwt, |s| auth(s, "jwt", json!({ "role": null })), "VK914", &["r-app"]),
            entry(
                "store with another audience",
                jwt,
                |s| token(s, json!({ "audiences": ["other"] })),
                "VK916",
                &["other", "vault"],
            ),
            entry(
                "store with another audience (kubernetes)",
                kubernetes,
                |s| auth(s, "kubernetes", json!({ "serviceAccountRef": { "audiences": ["other"] } })),
                "VK916",
                &["other", "kubernetes.default.svc"],
            ),
            entry("store as another account", jwt, |s| account(s, "other", &s.namespace), "VK915", &["/other", "/app"]),
            entry(
                "store as an account of another namespace",
                jwt,
                |s| account(s, "app", "elsewhere"),
                "VK915",
                &["elsewhere/app"],
            ),
            entry(
                "store as another account (kubernetes)",
                kubernetes,
                |s| auth(s, "kubernetes", json!({ "serviceAccountRef": { "name": "other" } })),
                "VK915",
                &["/other", "/app"],
            ),
            entry(
                "store of another Vault namespace",
                jwt,
                |s| provider(s, json!({ "namespace": "team" })),
                "VK912",
                &["team", "the root namespace"],
            ),
            entry(
                "store whose login is in another Vault namespace",
                jwt,
                |s| provider(s, json!({ "auth": { "namespace": "team" } })),
                "VK912",
                &["team"],
            ),
        ],
    );
}

#[test]
fn whom_a_store_asks() {
    run(
        "the store's server and KV mount",
        &[
            entry(
                "store whose server doesn't answer",
                jwt,
                |s| provider(s, json!({ "server": "https://127.0.0.1:1" })),
                "VK911",
                &["https://127.0.0.1:1", "does not answer"],
            ),
            entry(
                "store over plain http",
                jwt,
                |s| provider(s, json!({ "server": lab::shared().vault_address().replace("https", "http") })),
                "VK911",
                &["plain http"],
            ),
            entry(
                "store whose server has a path",
                jwt,
                |s| provider(s, json!({ "server": format!("{}/v1", lab::shared().vault_address()) })),
                "VK911",
                &["/v1", "another path"],
            ),
            entry(
                "store of another Vault",
                jwt,
                |setup| {
                    let other = VaultServer::start(&VaultOptions::default());
                    provider(setup, json!({ "server": other.address() }));
                    setup.spare = Some(other);
                },
                "VK911",
                &["the store asks another Vault"],
            ),
            entry(
                "store with another KV mount",
                jwt,
                |s| provider(s, json!({ "path": "secrte" })),
                "VK917",
                &["no secrets mount at secrte/"],
            ),
            entry(
                "store whose path has data/",
                jwt,
                |s| provider(s, json!({ "path": "secret/data" })),
                "VK917",
                &["secret/data", "goes on below the KV mount"],
            ),
            entry(
                "store with the other KV version",
                jwt,
                |s| provider(s, json!({ "version": "v1" })),
                "VK917",
                &["v1", "v2"],
            ),
        ],
    );
}

#[test]
fn whose_certificate_a_store_trusts() {
    run(
        "the store's CA",
        &[
            entry("caBundle with ${VAR}", jwt, |s| bundle(s, "${VAULT_CA}"), "VK918", &["placeholder", "${VAULT_CA}"]),
            entry("caBundle that isn't PEM", jwt, |s| bundle(s, "no PEM"), "VK918", &["not of a certificate's PEM"]),
            entry(
                "caBundle of another CA",
                jwt,
                |s| bundle(s, Authority::new("another CA").unwrap().pem()),
                "VK918",
                &["another CA", "does not trust"],
            ),
            entry(
                "caBundle of another CA, and no VAULT_CACERT",
                jwt,
                |s| {
                    let file = s.environment.remove("VAULT_CACERT").unwrap();
                    s.args.extend(["--ca-cert".to_owned(), file]);
                    bundle(s, Authority::new("another CA").unwrap().pem());
                },
                "VK918",
                &["does not trust"],
            ),
            entry(
                "no caBundle",
                jwt,
                |s| provider(s, json!({ "caBundle": null })),
                "VK918",
                &["the system's authorities"],
            ),
            entry(
                "caProvider that isn't there",
                jwt,
                |s| ca_provider(s, "ConfigMap"),
                "VK918",
                &["caProvider is not there", "ConfigMap app-", "/vault-ca, key \"ca.crt\""],
            ),
            entry(
                "caProvider without its namespace",
                jwt,
                |s| ca_provider_nowhere(s, "ConfigMap", &json!({ "data": { "ca.crt": vault_ca() } })),
                "VK918",
                &["names no namespace", "ConfigMap ca-app-"],
            ),
            entry(
                "caProvider without its namespace (a Secret)",
                jwt,
                |s| ca_provider_nowhere(s, "Secret", &json!({ "stringData": { "ca.crt": vault_ca() } })),
                "VK918",
                &["names no namespace", "Secret ca-app-"],
            ),
            entry(
                "caProvider without its namespace, and nobody has it",
                jwt,
                |s| ca_provider_nowhere(s, "ConfigMap", &json!({ "data": { "other": "" } })),
                "VK918",
                &["names no namespace"],
            )
            .person(|s| {
                bundle(s, &vault_ca());
                provider(s, json!({ "caProvider": null }));
            }),
            entry(
                "caProvider that isn't there (a Secret)",
                jwt,
                |s| ca_provider(s, "Secret"),
                "VK918",
                &["caProvider is not there", "Secret app-", "/vault-ca, key \"ca.crt\""],
            ),
        ],
    );
}

#[test]
fn whom_a_store_lets_in() {
    run(
        "the namespaces that a store lets in",
        &[
            entry(
                "store for other namespaces",
                jwt,
                by_name,
                "VK905",
                &["do not let in the namespace app-", "/db", "elsewhere, app"],
            ),
            entry("store for other namespaces (flags)", flags, by_name, "VK905", &["elsewhere, app"]),
            entry(
                "store for namespaces with a label",
                jwt,
                by_label,
                "VK905",
                &["with labels team=blue", "kubernetes.io/metadata.name=app-"],
            ),
            entry("store for namespaces with a label (by name)", jwt, by_label, "VK905", &["with labels team=blue"])
                .second_remedy(),
            entry(
                "store for namespaces with another label",
                jwt,
                by_a_label_that_is_taken,
                "VK905",
                &["with labels kubernetes.io/metadata.name=elsewhere", "kubernetes.io/metadata.name=app-"],
            ),
            entry("store for namespaces like others", jwt, by_expression, "VK905", &["like ^prod-, -app$"]),
        ],
    );
}

#[test]
fn what_refers_to_a_store() {
    run(
        "what refers to the store",
        &[
            entry(
                "ExternalSecret with a mistyped property",
                jwt,
                |s| s.stores().ask_for("property", "pasword"),
                "VK921",
                &["pasword", "password"],
            ),
            entry(
                "ExternalSecret with a key that isn't there",
                jwt,
                |s| s.stores().ask_for("key", &format!("{}/gone", s.namespace)),
                "VK921",
                &["there is no secret", "/gone", "data[0]"],
            )
            .person(|s| s.stores().ask_for("key", &format!("{}/db", s.namespace))),
            entry(
                "ExternalSecret with a neighbour's key",
                jwt,
                |s| s.stores().ask_for("key", "neighbour/db"),
                "VK921",
                &["may not read"],
            )
            .person(|s| s.stores().ask_for("key", &format!("{}/db", s.namespace))),
            entry(
                "two ExternalSecrets, each with a fault of its own",
                jwt,
                two_lacking,
                "VK921",
                &["no property \"pasword\", which ExternalSecret", "/gone, which ExternalSecret", "/second"],
            )
            .person(two_complete),
            entry("TTL shorter than the refresh", jwt, rarely, "VK704", &["600 s", "900 s"]).person(longer),
            entry("TTL shorter than the refresh (flags)", flags, rarely, "VK704", &["600 s", "900 s"]),
            entry("no default policy, with External Secrets", jwt, no_default, "VK501", &["default"]).also(&["VK703"]),
            entry(
                "no default policy, with External Secrets (flags)",
                flags,
                no_default,
                "VK703",
                &["may not look itself up", "read on auth/token/lookup-self"],
            ),
        ],
    );
}
