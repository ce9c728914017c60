//! An issuer with no cluster behind it that could be asked, clusters whose issuer is public, and a Vault in the cluster that it serves.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lab::{ControlPlane, ControlPlaneOptions, KeyKind, Pages, Pod, ServiceAccountKey, VaultOptions, VaultServer};
use serde_json::{Value, json};

use super::fetched_keys::let_anybody_read_the_keys_of;
use crate::command::{Answer, Vaultk8s, reader};
use crate::fixture::Fixture;
use crate::signature::signed_anew;

/// A cluster whose issuer is a web server that everybody reaches, and nothing else of the cluster.
struct Issuer {
    cluster: ControlPlane,
    pages: Pages,
    key: ServiceAccountKey,
}

impl Issuer {
    fn start() -> Self {
        let pages = Pages::start(lab::shared().run().vault_authority());
        let (issuer, key) = (Some(pages.url().to_owned()), ServiceAccountKey::generate(KeyKind::Rsa2048).unwrap());
        let keys = vec![key.clone()];
        let cluster = ControlPlane::start(&ControlPlaneOptions { issuer, keys, ..ControlPlaneOptions::default() });
        cluster.client().create_namespace("app").unwrap();
        for account in ["app", "other"] {
            cluster.client().create_service_account("app", account).unwrap();
        }
        pages.serve("/keys", cluster.client().get_raw("/openid/v1/jwks"));
        let issuer = Self { cluster, pages, key };
        issuer.names(&format!("{}/keys", issuer.pages.url()));
        issuer
    }

    fn url(&self) -> &str {
        self.pages.url()
    }

    /// Lets its document name this URL for its keys.
    fn names(&self, keys: &str) {
        let document = json!({ "issuer": self.url(), "jwks_uri": keys });
        self.pages.serve("/.well-known/openid-configuration", document.to_string());
    }

    fn token(&self, account: &str) -> String {
        self.cluster.client().token("app", account, &["vault"], 3600)
    }
}

/// A token of the issuer's for a job of a CI system, which is no service account.
fn jobs_token(issuer: &Issuer, repository: &str) -> String {
    let set: Value = serde_json::from_str(&issuer.cluster.client().get_raw("/openid/v1/jwks")).unwrap();
    let header = json!({ "alg": "RS256", "kid": set["keys"][0]["kid"] });
    let claims = json!({
        "iss": issuer.url(), "aud": "vault", "sub": format!("repo:{repository}:ref:refs/heads/main"), "repository": repository,
    });
    let encoded = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    signed_anew(&format!("{}.{}.none", encoded(header), encoded(claims)), &issuer.key, -10, 600)
}

/// A configuration for it, with these lines for its mount.
fn config(issuer: &Issuer, mount: &str, policy: &str, keys: &str) -> String {
    format!(
        "clusters:
  - name: public
    issuer: {}
    auth: {{ method: jwt, mount: {mount}, audience: vault, caCert: {}, {keys} }}
policies: [{{ name: {policy}, read: [public/*] }}]
roles:
  - {{ name: r-app, serviceAccounts: [app/app], policies: [{policy}], ttl: 10m }}
  - {{ name: r-other, serviceAccounts: [app/other], policies: [{policy}], ttl: 10m }}
",
        issuer.url(),
        lab::shared().vault_ca().display(),
    )
}

/// The statuses and details of a check in a document.
fn checks(answer: &Answer, id: &str) -> Vec<(String, String)> {
    let document = answer.json();
    let sections = document["sections"].as_array().unwrap();
    let checks = sections.iter().flat_map(|section| section["checks"].as_array().unwrap());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    checks.filter(|check| check["id"] == id).map(|check| (text(&check["status"]), text(&check["detail"]))).collect()
}

#[test]
fn an_issuer_alone_is_proved_by_a_token_that_is_brought_along() {
    let lab = lab::shared();
    let issuer = Issuer::start();
    let (mount, policy) = (lab.mount("jwt-public"), lab.unique("p-public"));
    let config = config(&issuer, &mount, &policy, "keys: oidcDiscovery");
    // No kubeconfig at all: nothing of a cluster is asked.
    let command = |args: &[&str]| {
        Vaultk8s::new(args.iter().copied()).on_shared().env("KUBECONFIG", "/nonexistent").config(&config)
    };
    command(&["plan"])
        .run()
        .exits(0)
        .says(&["no cluster is asked for tokens", "--jwt-file"])
        .keeps_quiet_about(&["kubeconfig"]);
    command(&["bootstrap"]).run().exits(0).says(&[
        "0 logins verified, 2 not tried",
        "not tried: no cluster is asked",
        "--jwt-file",
    ]);
    let held = lab.vault().read(&format!("auth/{mount}/config"))["data"].clone();
    assert_eq!((&held["oidc_discovery_url"], &held["bound_issuer"]), (&json!(issuer.url()), &json!(issuer.url())));
    command(&["plan", "--detailed-exitcode"]).run().exits(0).says(&["No changes."]);

    // One token, of which no more is shown than it says of itself; the other role is told as not tried.
    let token = issuer.token("app");
    let answer = command(&["bootstrap", "--jwt-file", "-"]).stdin(&*token).run().exits(0);
    let signature = token.rsplit_once('.').unwrap().1;
    assert!(!(answer.stdout.clone() + &answer.stderr).contains(signature), "the token is shown");
    answer.says(&["1 login verified, 1 not tried", "not for it: its sub is"]);

    // Diagnosed: what can't be proved is neither green nor a fault.
    let verified = command(&["verify-role", "--all", "-o", "json"]).run().exits(0);
    assert_eq!(checks(&verified, "VK431").len(), 2);
    assert!(
        checks(&verified, "VK431").iter().all(|(status, detail)| status == "skipped" && detail.contains("--jwt-file"))
    );
    assert!(checks(&verified, "VK201").iter().all(|(status, _)| status == "skipped"));
    assert_eq!(checks(&verified, "VK312")[0].0, "passed");
    assert_eq!(checks(&verified, "VK311")[0].0, "passed");
    let with = |args: &[&str], token: &str| command(args).stdin(token).run();
    let verified = with(&["verify-role", "r-app", "--jwt-file", "-", "-o", "json"], &token).exits(0);
    assert_eq!(checks(&verified, "VK431")[0].0, "passed", "{}", verified.stdout);
    // Whoever names a role wants to know why it doesn't take the token.
    with(&["verify-role", "r-other", "--jwt-file", "-"], &token)
        .exits(1)
        .says(&["VK412", "bound to another service account"]);
    // Of all, those that it is for.
    let all = with(&["verify-role", "--all", "--jwt-file", "-", "-o", "json"], &token).exits(0);
    let mut statuses: Vec<String> = checks(&all, "VK431").into_iter().map(|(status, _)| status).collect();
    statuses.sort();
    assert_eq!(statuses, ["passed", "skipped"]);

    // One that is for nobody proves nothing, and nothing is changed for it.
    let namespace = lab.namespace("app");
    lab.service_account(&namespace, "app");
    let foreign = lab.token(&namespace, "app", &["vault"], 600);
    with(&["bootstrap", "--jwt-file", "-"], &foreign)
        .exits(1)
        .complains(&["is one for no role of the file", "its iss is"]);
    with(&["bootstrap", "--jwt-file", "-", "--token-file", "-"], &token).exits(64).complains(&["standard input"]);
    with(&["login", "--mount", &mount, "--role", "r-app", "--jwt-file", "-"], &token).exits(0).says(&["was revoked"]);
}

#[test]
fn the_token_of_a_ci_job_proves_the_roles_that_bind_its_claims() {
    let lab = lab::shared();
    let issuer = Issuer::start();
    let (mount, policy) = (lab.mount("jwt-public"), lab.unique("p-public"));
    let whole = config(&issuer, &mount, &policy, "keys: oidcDiscovery");
    let role = |name: &str, repository: &str| {
        format!(
            "  - {{ name: {name}, boundClaims: {{ sub: 'repo:{repository}:*', repository: {repository} }}, allowGlobs: true, policies: \
             [{policy}], ttl: 10m }}\n"
        )
    };
    let config = format!(
        "{}roles:\n{}{}",
        whole.split_once("roles:").unwrap().0,
        role("r-shop", "shop/app"),
        role("r-bank", "bank/app")
    );
    let run = |args: &[&str]| {
        let command = Vaultk8s::new(args.iter().copied()).on_shared().env("KUBECONFIG", "/nonexistent").config(&config);
        command.stdin(jobs_token(&issuer, "shop/app")).run()
    };
    run(&["bootstrap", "--jwt-file", "-"])
        .exits(0)
        .says(&["1 login verified, 1 not tried", "not for it: its sub is \"repo:shop/app:ref:refs/heads/main\""]);
    run(&["verify-role", "r-shop", "--jwt-file", "-"]).exits(0).says(&["✓ VK431", "is no service account's"]);
    run(&["verify-role", "r-bank", "--jwt-file", "-"]).exits(1).says(&["VK413", "repository"]);
    run(&["verify-role", "--all"]).exits(0).says(&["not tried: no cluster is asked for tokens"]);
}

#[test]
fn keys_elsewhere_than_the_issuers_own_are_held_against_those() {
    let lab = lab::shared();
    let issuer = Issuer::start();
    let elsewhere = Pages::start(lab.run().vault_authority());
    let url = format!("{}/keys", elsewhere.url());
    elsewhere.serve("/keys", issuer.cluster.client().get_raw("/openid/v1/jwks"));
    let (mount, policy) = (lab.mount("jwt-public"), lab.unique("p-public"));
    let named = config(&issuer, &mount, &policy, &format!("keys: jwksUrl, jwksUrl: '{url}'"));
    let run = |args: &[&str], config: &str| {
        Vaultk8s::new(args.iter().copied()).on_shared().env("KUBECONFIG", "/nonexistent").config(config)
    };
    run(&["bootstrap", "--jwt-file", "-"], &named)
        .stdin(issuer.token("app"))
        .run()
        .exits(0)
        .says(&["1 login verified"]);
    // Somebody adds a key there that the issuer doesn't have.
    let mut keys: Value = serde_json::from_str(&issuer.cluster.client().get_raw("/openid/v1/jwks")).unwrap();
    let other: Value = serde_json::from_str(&lab.kubectl_get_raw("/openid/v1/jwks")).unwrap();
    keys["keys"].as_array_mut().unwrap().push(other["keys"][0].clone());
    elsewhere.serve("/keys", keys.to_string());
    run(&["plan", "--detailed-exitcode"], &named).run().exits(1).says(&["doesn't publish", &url]);
    run(&["verify-role", "r-app", "--only", "VK314"], &named).run().exits(1).says(&["VK314"]);

    // Without a URL, it is the one that the issuer names. One that only a cluster knows is called that, with the way out.
    let discovered = named.replace(&format!(", jwksUrl: '{url}'"), "");
    run(&["plan"], &discovered).run().exits(0).says(&[&format!("{}/keys", issuer.url())]);
    issuer.names("https://kubernetes.default.svc/openid/v1/jwks");
    run(&["plan"], &discovered)
        .run()
        .exits(0)
        .complains(&["kubernetes.default.svc is the name of a service in the cluster", "`auth.jwksUrl`"]);
}

#[test]
fn a_jwks_uri_that_only_the_cluster_knows_is_named_wherever_it_fails() {
    let lab = lab::shared();
    let issuer = Issuer::start();
    let inside = "https://keys.kube-system.svc/openid/v1/jwks";
    issuer.names(inside);
    let (mount, policy) = (lab.mount("jwt-public"), lab.unique("p-public"));
    let config = config(&issuer, &mount, &policy, "keys: oidcDiscovery");
    let command = |args: &[&str]| {
        Vaultk8s::new(args.iter().copied()).on_shared().env("KUBECONFIG", "/nonexistent").config(&config)
    };
    let named = ["keys.kube-system.svc is the name of a service in the cluster", "`auth.jwksUrl`"];
    command(&["plan"]).run().exits(0).complains(&named);
    // The server takes a document that leads nowhere, and lets nobody in by it.
    command(&["bootstrap", "--jwt-file", "-"]).stdin(issuer.token("app")).run().exits(1).complains(&named);
    command(&["verify-role", "r-app", "--only", "VK311"]).run().says(&["VK311", named[0], named[1]]);
}

#[test]
fn init_writes_where_the_keys_come_from_and_why() {
    let issuer = Issuer::start();
    let init = |trusted: bool| {
        let kubeconfig = issuer.cluster.kubeconfig();
        let command = Vaultk8s::new(["init", "--out", "-"]).env("KUBECONFIG", kubeconfig);
        let command = if trusted {
            command.env("SSL_CERT_FILE", lab::shared().vault_ca())
        } else {
            command.env("SSL_CERT_FILE", "/dev/null")
        };
        command.run().exits(0).stdout
    };
    let has =
        |text: &str, words: &[&str]| words.iter().for_each(|word| assert!(text.contains(word), "no {word}: {text}"));
    // The document that the API server gives names the same issuer, and the issuer serves the same keys.
    has(&init(true), &["keys: oidcDiscovery\n", issuer.url(), "it is public"]);
    has(&init(false), &["keys: pinned\n", "is not there for everybody"]);
    issuer.pages.serve("/keys", lab::shared().kubectl_get_raw("/openid/v1/jwks"));
    has(&init(true), &["keys: pinned\n", "serves other keys"]);
    issuer.names("https://10.0.0.1:6443/openid/v1/jwks");
    has(&init(true), &["keys: pinned\n", "10.0.0.1", "jwksUrl"]);
    // And that of a cluster that is its own issuer.
    let own = Vaultk8s::new(["init", "--out", "-"]).env("KUBECONFIG", lab::shared().kubeconfig()).run().exits(0).stdout;
    has(&own, &["keys: pinned\n", "is its own API server"]);
    // One that doesn't answer doesn't keep anybody from beginning.
    let gone = "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{ name: c, context: { cluster: gone, user: u } }]\n\
                clusters: [{ name: gone, cluster: { server: 'https://127.0.0.1:1' } }]\nusers: [{ name: u, user: { token: t } }]\n";
    let text = Vaultk8s::new(["init", "--out", "-"])
        .file("kubeconfig", gone)
        .env("KUBECONFIG", "kubeconfig")
        .run()
        .exits(0)
        .stdout;
    has(&text, &["keys: pinned\n", "could not be read when this was written"]);
}

/// A cluster whose issuer is its API server by the name that its pods know, and a Vault in one of its pods.
fn with_vault_inside() -> (ControlPlane, VaultServer, String) {
    let mut cluster = ControlPlane::start(&ControlPlaneOptions::default());
    let port = cluster.server_url().rsplit_once(':').unwrap().1.to_owned();
    let issuer = format!("https://kubernetes.default.svc:{port}");
    cluster.restart(&ControlPlaneOptions { issuer: Some(issuer.clone()), ..ControlPlaneOptions::default() });
    for (namespace, account) in [("app", "app"), ("vault", "vault")] {
        cluster.client().create_namespace(namespace).unwrap();
        cluster.client().create_service_account(namespace, account).unwrap();
    }
    let pod =
        Pod { token: cluster.client().token("vault", "vault", &[], 3600), ca: cluster.authority().pem().to_owned() };
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let vault = VaultServer::start(&VaultOptions {
        pod: Some(pod),
        hosts: Some("127.0.0.1 localhost kubernetes.default.svc\n".to_owned()),
        environment: vec![variable("KUBERNETES_SERVICE_HOST", "127.0.0.1"), variable("KUBERNETES_SERVICE_PORT", &port)],
        ..VaultOptions::default()
    });
    (cluster, vault, issuer)
}

fn inside_config(auth: &str) -> String {
    let reader = reader("p-read", "app");
    format!("clusters:\n  - {{ name: home, auth: {{ method: jwt, mount: jwt, audience: vault, {auth} }} }}\n{reader}")
}

#[test]
fn a_vault_in_its_cluster_discovers_what_is_asked_of_the_api_server_from_outside() {
    let (cluster, vault, issuer) = with_vault_inside();
    let config = inside_config("keys: oidcDiscovery");
    let run = |args: &[&str]| {
        Vaultk8s::new(args.iter().copied()).on(&vault).env("KUBECONFIG", cluster.kubeconfig()).config(&config).run()
    };
    // The same document, at the server that is reached from here: it answers nobody without credentials, and Vault has none.
    let forbidden = format!("{issuer}/.well-known/openid-configuration is forbidden to who has no credentials");
    run(&["plan"]).exits(0).complains(&[&forbidden, "create clusterrolebinding"]);
    let_anybody_read_the_keys_of(&cluster);
    run(&["plan"])
        .exits(0)
        .says(&["is known to the cluster's own network alone", cluster.server_url(), "a login proves"])
        .keeps_quiet_about(&["may not get the keys"]);
    run(&["bootstrap"]).exits(0).says(&["1 login verified"]);
    run(&["plan", "--detailed-exitcode"]).exits(0).says(&["No changes."]);
    assert_eq!(vault.client().read("auth/jwt/config")["data"]["oidc_discovery_url"], json!(issuer));
    run(&["verify-role", "r-app"]).exits(0).says(&["VK311", "as the cluster's API server says at", "✓ VK431"]);
}

#[test]
fn openbao_asks_its_own_cluster_with_the_credentials_of_its_pod() {
    let (cluster, vault, issuer) = with_vault_inside();
    let config = inside_config("providerConfig: { provider: kubernetes }");
    let on = |vault: &VaultServer, args: &[&str], config: &str| {
        Vaultk8s::new(args.iter().copied()).on(vault).env("KUBECONFIG", cluster.kubeconfig()).config(config).run()
    };
    // Nobody without credentials may read the keys there, and nobody has to.
    on(&vault, &["bootstrap"], &config)
        .exits(0)
        .says(&["1 login verified"])
        .keeps_quiet_about(&["may not get the keys"]);
    on(&vault, &["plan", "--detailed-exitcode"], &config).exits(0).says(&["No changes."]);
    let held = vault.client().read("auth/jwt/config")["data"].clone();
    assert_eq!(held["provider_config"], json!({ "provider": "kubernetes" }));
    assert_eq!(held["bound_issuer"], json!(issuer));
    let verified = on(&vault, &["verify-role", "r-app", "-o", "json"], &config).exits(0);
    for id in ["VK311", "VK313", "VK314"] {
        let found = checks(&verified, id);
        assert!(found[0].0 == "skipped" && found[0].1.contains("token of its own pod"), "{id}: {found:?}");
    }
    assert_eq!(checks(&verified, "VK431")[0].0, "passed");

    // To pin the keys in its place is another trust.
    let pinned = inside_config("keys: pinned");
    on(&vault, &["bootstrap"], &pinned)
        .exits(1)
        .says(&["it takes its keys from the cluster that OpenBao itself runs in"]);
    on(&vault, &["bootstrap", "--yes"], &pinned).exits(0).says(&["1 login verified"]);
    assert_eq!(vault.client().read("auth/jwt/config")["data"]["provider_config"], json!({}));

    // A server in no pod, and one that knows no such provider.
    let elsewhere = VaultServer::start(&VaultOptions::default());
    on(&elsewhere, &["bootstrap"], &config).exits(1).says(&["in a pod of the cluster", "keys: pinned"]);
    let community = lab::CommunityEdition::start(lab::shared().vault_address(), lab::shared().run().vault_authority());
    Vaultk8s::new(["plan"])
        .on_shared()
        .env("VAULT_ADDR", community.address())
        .env("KUBECONFIG", cluster.kubeconfig())
        .config(&config.replace("mount: jwt,", &format!("mount: {},", lab::shared().mount("jwt-own"))))
        .run()
        .exits(1)
        .complains(&["HashiCorp's Vault", "OpenBao"]);
}

#[test]
fn what_a_mount_knows_of_another_provider_is_kept_and_can_be_said() {
    let lab = lab::shared();
    let mount = lab.mount("jwt-own");
    let namespace = lab.namespace("app");
    lab.service_account(&namespace, "app");
    let reader = reader(&lab.unique("p-read"), &namespace);
    let config = |auth: &str| {
        format!(
            "clusters:\n  - {{ name: lab, context: {}, auth: {{ method: jwt, mount: {mount}, audience: vault{auth} }} }}\n{reader}",
            lab.context()
        )
    };
    let run = |args: &[&str], auth: &str| Vaultk8s::new(args.iter().copied()).on_shared().config(&config(auth)).run();
    let azure = ", providerConfig: { provider: azure }";
    run(&["bootstrap"], azure).exits(0).says(&["1 login verified"]);
    run(&["plan", "--detailed-exitcode"], azure).exits(0).says(&["No changes."]);
    let held = || lab.vault().read(&format!("auth/{mount}/config"))["data"]["provider_config"].clone();
    assert_eq!(held(), json!({ "provider": "azure" }));
    // A file that says nothing of it leaves it, also where it changes something else.
    run(&["plan", "--detailed-exitcode"], "").exits(0).says(&["No changes.", "auth.providerConfig"]);
    lab.vault().write(&format!("auth/{mount}/config"), &{
        let mut by_hand = lab.vault().read(&format!("auth/{mount}/config"))["data"].clone();
        by_hand["default_role"] = json!("other");
        by_hand
    });
    run(&["bootstrap"], "").exits(0).says(&["1 login verified"]);
    assert_eq!(held(), json!({ "provider": "azure" }));
    // And one that says that there is none takes it away.
    run(&["bootstrap"], ", providerConfig: {}").exits(0);
    assert_eq!(held(), json!({}));
}

#[test]
fn a_token_that_is_brought_along_is_presented_in_place_of_one_that_the_cluster_gives() {
    let (lab, fixture) = (lab::shared(), Fixture::new());
    let token = || lab.token(&fixture.namespace, "app", &["vault"], 600);
    fixture.command(["bootstrap", "--jwt-file", "-"]).stdin(token()).run().exits(0).says(&["1 login verified."]);
    fixture
        .command(["verify-role", "r-app", "--jwt-file", "-"])
        .stdin(token())
        .run()
        .exits(0)
        .says(&["✓ VK431", "✓ VK804"]);
    // A forged one is refused, and told by the check of its key.
    let (signed, _) = token().rsplit_once('.').map(|(signed, end)| (signed.to_owned(), end.len())).unwrap();
    let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode([7; 256]));
    fixture
        .command(["bootstrap", "--jwt-file", "-"])
        .stdin(forged)
        .run()
        .exits(1)
        .says(&["1 failed", "verifying token signature"]);
    fixture.command(["bootstrap", "--jwt-file", "none"]).run().exits(64).complains(&["none could not be read"]);
    fixture.command(["bootstrap", "--no-verify", "--jwt-file", "-"]).run().exits(64);
}
