//! Proxies, for Vault and clusters alike, as they work for Vault's CLI and kubectl. The proxy knows names that nobody else
//! does, so that what comes to an answer came through it.

use std::collections::BTreeMap;
use std::net::TcpListener;

use lab::{Authority, Impostor, Proxy, ProxyOptions, Transport, VaultOptions, VaultServer};
use serde_json::json;
use url::Url;

use crate::command::{Answer, Vaultk8s};

const VAULT: &str = "vault.behind.test";
const CLUSTER: &str = "cluster.behind.test";

fn port(url: &str) -> u16 {
    url.parse::<Url>().unwrap().port().unwrap()
}

/// The names of the shared servers.
fn names() -> BTreeMap<String, u16> {
    let lab = lab::shared();
    BTreeMap::from([(VAULT.to_owned(), port(lab.vault_address())), (CLUSTER.to_owned(), port(lab.kubernetes_server()))])
}

fn proxy() -> Proxy {
    Proxy::start(ProxyOptions { names: names(), ..ProxyOptions::default() })
}

fn wants_password() -> Proxy {
    let credentials = Some(("us@er".to_owned(), "pa:ss".to_owned()));
    Proxy::start(ProxyOptions { names: names(), credentials, ..ProxyOptions::default() })
}

/// The lab's kubeconfig, with the name that only a proxy knows, and more lines for its clusters.
fn kubeconfig(more: &str) -> String {
    let lab = lab::shared();
    let server = format!("https://{CLUSTER}:{}\n    tls-server-name: 127.0.0.1{more}", port(lab.kubernetes_server()));
    std::fs::read_to_string(lab.kubeconfig()).unwrap().replace(lab.kubernetes_server(), &server)
}

fn with(command: Vaultk8s, variables: &[(&str, &str)]) -> Answer {
    variables.iter().fold(command, |command, (name, value)| command.env(name, value)).unhidden().run()
}

/// Asks the cluster for its issuer.
fn issuer(kubeconfig: &str, variables: &[(&str, &str)]) -> Answer {
    with(Vaultk8s::new(["issuer", "--kubeconfig", "kubeconfig"]).file("kubeconfig", kubeconfig), variables)
}

/// Asks Vault what a policy would change.
const ASK: [&str; 5] = ["policy", "p-reach", "--rule", "auth/token/lookup-self=read", "--dry-run"];

fn policy(address: &str, variables: &[(&str, &str)]) -> Answer {
    let lab = lab::shared();
    let command = Vaultk8s::new(ASK)
        .env("VAULT_ADDR", address)
        .env("VAULT_CACERT", lab.vault_ca())
        .env("VAULT_TLS_SERVER_NAME", "localhost")
        .env("VAULT_MAX_RETRIES", "0")
        .env("VAULT_TOKEN", lab.root_token());
    with(command, variables)
}

#[test]
fn a_cluster_is_reached_through_each_kind_of_proxy() {
    let (plain, locked) = (proxy(), wants_password());
    let (open, shut) = (format!("127.0.0.1:{}", plain.port()), format!("us%40er:pa%3Ass@127.0.0.1:{}", locked.port()));
    let connect = format!("CONNECT {CLUSTER}:{}", port(lab::shared().kubernetes_server()));
    let socks = connect.replace("CONNECT", "SOCKS");
    for (proxy, url, asked) in [
        (&plain, format!("http://{open}"), &connect),
        (&plain, format!("socks5://{open}"), &socks),
        (&locked, format!("http://{shut}"), &connect),
        (&locked, format!("socks5://{shut}"), &socks),
    ] {
        // As kubectl does, whatever the environment says.
        for (more, variables) in [
            (format!("\n    proxy-url: {url}"), vec![("NO_PROXY", "*"), ("HTTPS_PROXY", "http://127.0.0.1:1")]),
            (String::new(), vec![("HTTPS_PROXY", url.as_str())]),
            (String::new(), vec![("https_proxy", url.as_str()), ("NO_PROXY", "other.test,10.0.0.0/8")]),
        ] {
            issuer(&kubeconfig(&more), &variables).exits(0).says(&["https://"]);
            let seen = proxy.seen();
            assert!(!seen.is_empty() && seen.iter().all(|seen| seen == asked), "{url}: {seen:?}");
        }
    }
    assert!(plain.seen().is_empty() && locked.seen().is_empty());
}

#[test]
fn what_is_exempt_is_reached_without_one() {
    // Nothing listens there.
    let dead = "http://127.0.0.1:1";
    let here = std::fs::read_to_string(lab::shared().kubeconfig()).unwrap();
    for variables in [
        &[("HTTPS_PROXY", dead)][..],
        &[("https_proxy", dead), ("HTTP_PROXY", dead), ("ALL_PROXY", dead)],
        &[("HTTPS_PROXY", "no URL at all"), ("HTTP_PROXY", "ftp://x")],
        &[("HTTPS_PROXY", dead), ("NO_PROXY", "*")],
    ] {
        issuer(&here, variables).exits(0).says(&["https://"]);
    }
    for exempt in ["*", "behind.test", CLUSTER, ".behind.test,x", "CLUSTER.behind.test"] {
        // Without the proxy, nobody knows the name.
        let answer = issuer(&kubeconfig(""), &[("HTTPS_PROXY", dead), ("NO_PROXY", exempt)]).exits(1);
        assert!(!answer.stderr.contains("proxy"), "{exempt}: {}", answer.stderr);
    }
    issuer(&kubeconfig(""), &[("HTTPS_PROXY", dead), ("NO_PROXY", "behind")])
        .exits(1)
        .complains(&["the proxy http://127.0.0.1:1 (HTTPS_PROXY) can't be reached", "name the server in NO_PROXY"]);
    // Other programs read that one.
    issuer(&kubeconfig(""), &[("ALL_PROXY", dead)]).exits(1).complains(&["ALL_PROXY is set"]);
}

#[test]
fn vault_is_reached_through_each_kind_of_proxy_under_another_name_too() {
    let lab = lab::shared();
    let (open, locked) = (proxy(), wants_password());
    let (at, there) = (format!("https://{VAULT}:8200"), format!("CONNECT {VAULT}:8200"));
    let (open_at, locked_at) =
        (format!("127.0.0.1:{}", open.port()), format!("us%40er:pa%3Ass@127.0.0.1:{}", locked.port()));
    for (proxy, variables, asked) in [
        (&open, vec![("HTTPS_PROXY", format!("http://{open_at}"))], &there),
        (&open, vec![("HTTPS_PROXY", open_at.clone())], &there),
        (&locked, vec![("HTTPS_PROXY", format!("http://{locked_at}"))], &there),
        (&open, vec![("VAULT_PROXY_ADDR", format!("http://{open_at}")), ("NO_PROXY", "*".to_owned())], &there),
        (&open, vec![("BAO_HTTP_PROXY", format!("http://{open_at}"))], &there),
        (&locked, vec![("VAULT_PROXY_ADDR", format!("socks5://{locked_at}"))], &there.replace("CONNECT", "SOCKS")),
    ] {
        let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        policy(&at, &variables).exits(0).says(&["p-reach"]);
        let seen = proxy.seen();
        assert!(!seen.is_empty() && seen.iter().all(|seen| seen == asked), "{variables:?}: {seen:?}");
    }
    // What is for Vault alone is for this machine too; what is for all servers isn't.
    let dead = ("VAULT_PROXY_ADDR", "http://127.0.0.1:1");
    policy(lab.vault_address(), &[dead]).exits(1).complains(&["the proxy http://127.0.0.1:1 (VAULT_PROXY_ADDR)"]);
    policy(lab.vault_address(), &[("HTTPS_PROXY", "http://127.0.0.1:1")]).exits(0).says(&["p-reach"]);
}

#[test]
fn plain_http_goes_through_a_proxy_that_reads_it() {
    let plain =
        VaultServer::start(&VaultOptions { transport: Transport::Plain, audit: false, ..VaultOptions::default() });
    let names = BTreeMap::from([(VAULT.to_owned(), plain.port())]);
    let credentials = Some(("u".to_owned(), "p".to_owned()));
    let proxy = Proxy::start(ProxyOptions { names, credentials, ..ProxyOptions::default() });
    let ask = |url: &str| {
        let command = Vaultk8s::new(ASK)
            .args(["--allow-http"])
            .env("VAULT_ADDR", format!("http://{VAULT}:8200"))
            .env("VAULT_TOKEN", plain.root_token());
        with(command, &[("HTTP_PROXY", url), ("HTTPS_PROXY", "http://127.0.0.1:1")])
    };
    ask(&format!("http://u:p@127.0.0.1:{}", proxy.port())).exits(0);
    let seen = proxy.seen();
    assert!(seen.iter().all(|seen| seen.contains(&format!(" http://{VAULT}:8200/v1/"))), "{seen:?}");
    assert!(!seen.is_empty());
    ask(&format!("http://127.0.0.1:{}", proxy.port())).exits(1).complains(&["does not accept who asks", "HTTP_PROXY"]);
}

#[test]
fn a_certificate_that_only_a_proxy_shows_says_nothing_of_what_vault_sees() {
    const API: &str = "api.behind.test";
    let lab = lab::shared();
    let authority = Authority::new("the company's proxy").unwrap();
    let intercepting = Impostor::start(lab.kubernetes_server(), lab.kubernetes_ca(), &authority);
    let names = BTreeMap::from([(API.to_owned(), port(intercepting.url()))]);
    let proxy = Proxy::start(ProxyOptions { names, ..ProxyOptions::default() });
    let mount = lab::unique("intercepted");
    lab.vault().write(&format!("sys/auth/{mount}"), &json!({ "type": "kubernetes" }));
    let config = json!({
        "kubernetes_host": format!("https://{API}:6443"), "kubernetes_ca_cert": lab.kubernetes_ca(),
        "disable_local_ca_jwt": true,
    });
    lab.vault().write(&format!("auth/{mount}/config"), &config);
    let line = ["verify-role", "--role", "r", "--mount", &mount, "--service-account", "default/default", "-o", "json"];
    let verified = with(
        Vaultk8s::new(line).on_shared(),
        &[("HTTPS_PROXY", &format!("http://127.0.0.1:{}", proxy.port())), ("NO_PROXY", "127.0.0.1,localhost")],
    );
    let document = verified.json();
    let sections = document["sections"].as_array().unwrap().iter();
    let check = sections.flat_map(|section| section["checks"].as_array().unwrap()).find(|check| check["id"] == "VK321");
    let check = check.unwrap();
    assert_eq!(check["status"], "unseen", "{check}");
    let said = check["detail"].as_str().unwrap();
    assert!(said.contains("which Vault doesn't go through") && said.contains("HTTPS_PROXY"), "{said}");
    assert!(proxy.seen().iter().any(|seen| seen.contains(API)), "{:?}", proxy.seen());
}

#[test]
fn a_proxy_that_fails_is_named_and_its_password_is_not() {
    let (open, locked) = (proxy(), wants_password());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let strange = kubeconfig("").replace(CLUSTER, "elsewhere.test");
    let context = lab::shared().context();
    for (kubeconfig, url, words) in [
        (kubeconfig(""), format!("http://u:hush@{nobody}"), &["can't be reached", "refused", "NO_PROXY"][..]),
        (kubeconfig(""), format!("http://u:hush@127.0.0.1:{}", locked.port()), &["does not accept who asks", "407"]),
        (
            kubeconfig(""),
            format!("socks5://u:hush@127.0.0.1:{}", locked.port()),
            &[
                "does not accept who asks",
                "user and password are wrong",
                "correct the user and password in HTTPS_PROXY, or take them out",
            ],
        ),
        (
            kubeconfig(""),
            format!("socks5://127.0.0.1:{}", locked.port()),
            &["HTTPS_PROXY: socks5://USER:PASSWORD@127.0.0.1:"],
        ),
        (
            kubeconfig(""),
            format!("http://127.0.0.1:{}", locked.port()),
            &["407", "HTTPS_PROXY: http://USER:PASSWORD@127.0.0.1:"],
        ),
        (
            strange.clone(),
            format!("http://u:hush@127.0.0.1:{}", open.port()),
            &["refuses the connection", "403 Forbidden", "elsewhere.test"],
        ),
        (strange, format!("socks5://127.0.0.1:{}", open.port()), &["refuses the connection"]),
        (
            kubeconfig(""),
            format!("https://u:hush@127.0.0.1:{}", open.port()),
            &["no secure connection to the proxy", "plain http"],
        ),
        (
            kubeconfig(""),
            "ftp://u:hush@127.0.0.1:1".to_owned(),
            &["HTTPS_PROXY is not the URL of an http, https or socks5 proxy"],
        ),
    ] {
        let answer =
            issuer(&kubeconfig, &[("HTTPS_PROXY", &url)]).exits(1).complains(words).complains(&["HTTPS_PROXY"]);
        assert!(!format!("{}{}", answer.stdout, answer.stderr).contains("hush"), "{}", answer.stderr);
    }
    let of_kubeconfig = kubeconfig(&format!("\n    proxy-url: http://u:hush@{nobody}"));
    let answer =
        issuer(&of_kubeconfig, &[]).exits(1).complains(&["`proxy-url`", context, "can't be reached", "remove it"]);
    assert!(!answer.stderr.contains("hush") && !answer.stderr.contains("NO_PROXY"), "{}", answer.stderr);
    let unknown = kubeconfig("\n    proxy-url: u:hush@proxy");
    let answer = issuer(&unknown, &[]).exits(64).complains(&["`proxy-url`", "is not the URL"]);
    assert!(!answer.stderr.contains("hush"), "{}", answer.stderr);
}

#[test]
fn a_proxy_that_speaks_tls_is_judged_by_the_cas_of_the_server() {
    let lab = lab::shared();
    let (stranger, known) = (Authority::new("the proxy's CA").unwrap(), Authority::new("both CAs").unwrap());
    let start = |authority: &Authority| {
        Proxy::start(ProxyOptions { names: names(), authority: Some(authority.clone()), ..ProxyOptions::default() })
    };
    let (strange, trusted) = (start(&stranger), start(&known));
    let both = std::fs::read_to_string(lab.vault_ca()).unwrap() + known.pem();
    let ask = |proxy: &Proxy| {
        let command = Vaultk8s::new(ASK)
            .env("VAULT_ADDR", format!("https://{VAULT}:8200"))
            .env("VAULT_CACERT_BYTES", &both)
            .env("VAULT_TLS_SERVER_NAME", "localhost")
            .env("VAULT_TOKEN", lab.root_token());
        with(command, &[("HTTPS_PROXY", &format!("https://127.0.0.1:{}", proxy.port()))])
    };
    ask(&trusted).exits(0).says(&["p-reach"]);
    assert!(trusted.seen().iter().all(|seen| seen == &format!("CONNECT {VAULT}:8200")));
    ask(&strange).exits(1).complains(&["to the proxy", "signed by no CA that VAULT_CACERT_BYTES trusts"]);
}
