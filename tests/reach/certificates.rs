//! Which certificates are accepted: of Vault, of a cluster, of a URL from which Vault fetches keys, each as Vault itself
//! judges them, which is written in Go and the judge here: it is made to fetch from the same server.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose as Purpose, GeneralSubtree, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, NameConstraints, date_time_ymd,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use vaultk8s::cluster::{Vantage, try_key_url};
use vaultk8s::settings::Proxies;
use vaultk8s::vault::VaultError;

use crate::command::Vaultk8s;
use crate::vault_client::{client, read, run};

/// A certificate with its key, and what it says of itself.
struct Made {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

/// What a certificate says of itself, for a subject and with these alternative names.
fn params(subject: &str, names: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, subject);
    params
}

fn authority(subject: &str) -> CertificateParams {
    let mut params = params(subject, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// A server's certificate.
fn server() -> CertificateParams {
    params("server", &["127.0.0.1", "localhost"])
}

fn by_itself(params: CertificateParams) -> Made {
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    Made { params, key, pem }
}

impl Made {
    fn signs(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let pem = params.signed_by(&key, &issuer).unwrap().pem();
        Self { params, key, pem }
    }
}

/// With something said otherwise.
fn but(mut params: CertificateParams, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    change(&mut params);
    params
}

fn past(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
}

fn future(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2090, 1, 1), date_time_ymd(2091, 1, 1));
}

fn for_clients(params: &mut CertificateParams) {
    params.extended_key_usages = vec![Purpose::ClientAuth];
}

fn below(names: &str) -> impl FnOnce(&mut CertificateParams) {
    let names = names.to_owned();
    move |params| {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: vec![GeneralSubtree::DnsName(names)],
            excluded_subtrees: Vec::new(),
        });
    }
}

/// A server whose certificate is looked at.
struct Case {
    what: &'static str,
    /// Its certificate.
    leaf: Made,
    /// What it shows besides.
    between: Vec<String>,
    /// What is trusted.
    trusted: String,
    /// What is wrong; empty where it is accepted.
    wrong: &'static str,
}

fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let mut add = |what, leaf, between: &[&Made], trusted: &str, wrong| {
        let between = between.iter().map(|made| made.pem.clone()).collect();
        all.push(Case { what, leaf, between, trusted: trusted.to_owned(), wrong });
    };
    let (ca, other) = (by_itself(authority("a CA")), by_itself(authority("another CA")));
    add("of a trusted CA", ca.signs(server()), &[], &ca.pem, "");
    add("of another CA", ca.signs(server()), &[], &other.pem, "signed by no CA");
    add("of one of several", ca.signs(server()), &[], &format!("{}{}", other.pem, ca.pem), "");

    let pinned = |leaf: Made| (leaf.pem.clone(), leaf);
    let (pem, leaf) = pinned(ca.signs(server()));
    add("pinned", leaf, &[], &pem, "");
    let (pem, leaf) = pinned(by_itself(server()));
    add("signed by itself, pinned", leaf, &[], &pem, "");
    let openssl = || but(server(), |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    let (pem, leaf) = pinned(by_itself(openssl()));
    add("as openssl req -x509 makes it, pinned", leaf, &[], &pem, "");
    add("as openssl req -x509 makes it, and not pinned", by_itself(openssl()), &[], &ca.pem, "signed by no CA");
    add("may sign others, of a trusted CA", ca.signs(openssl()), &[], &ca.pem, "");
    let (pem, leaf) = pinned(by_itself(params("server", &["elsewhere.test"])));
    add("pinned, for another name", leaf, &[], &pem, "for other names: elsewhere.test");
    let (pem, leaf) = pinned(by_itself(but(server(), past)));
    add("pinned, expired", leaf, &[], &pem, "has expired");
    let (pem, leaf) = pinned(by_itself(but(server(), for_clients)));
    add("pinned, for clients", leaf, &[], &pem, "not for servers");

    add(
        "for another name",
        ca.signs(params("127.0.0.1", &["elsewhere.test"])),
        &[],
        &ca.pem,
        "for other names: elsewhere.test",
    );
    add(
        "for names where an address is asked",
        ca.signs(params("server", &["localhost"])),
        &[],
        &ca.pem,
        "for other names",
    );
    add("with a common name alone", ca.signs(params("127.0.0.1", &[])), &[], &ca.pem, "a common name is not looked at");
    add("expired", ca.signs(but(server(), past)), &[], &ca.pem, "its certificate has expired");
    add("not valid yet", ca.signs(but(server(), future)), &[], &ca.pem, "its certificate is not valid yet");
    add("for clients", ca.signs(but(server(), for_clients)), &[], &ca.pem, "not for servers");
    let anything = |params: &mut CertificateParams| params.extended_key_usages = vec![Purpose::Any];
    add("for any purpose", ca.signs(but(server(), anything)), &[], &ca.pem, "");

    let old = by_itself(but(authority("an old CA"), past));
    add(
        "of a CA that has expired",
        old.signs(server()),
        &[],
        &old.pem,
        "signed by the CA CN=an old CA, which has expired",
    );
    let early = by_itself(but(authority("an early CA"), future));
    add("of a CA that is not valid yet", early.signs(server()), &[], &early.pem, "which is not valid yet");
    let none = by_itself(params("no CA", &["no-ca.test"]));
    add("of what is no CA", none.signs(server()), &[], &none.pem, "CN=no CA, which may not sign");
    let other_usage = |params: &mut CertificateParams| params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    let other_usage = by_itself(but(authority("a CA for signatures"), other_usage));
    add("of a CA that may not sign", other_usage.signs(server()), &[], &other_usage.pem, "which may not sign");
    let of_clients = by_itself(but(authority("a CA for clients"), for_clients));
    add(
        "of a CA for clients",
        of_clients.signs(server()),
        &[],
        &of_clients.pem,
        "which may not sign the certificates of servers",
    );

    let issuing = ca.signs(authority("an issuing CA"));
    add("with the CA in between", issuing.signs(server()), &[&issuing], &ca.pem, "");
    add("without the CA in between", issuing.signs(server()), &[], &ca.pem, "signed by no CA");
    add("of the CA in between, which is trusted", issuing.signs(server()), &[], &issuing.pem, "");
    add("may sign others, with the CA in between", issuing.signs(openssl()), &[&issuing], &ca.pem, "");
    let expired = ca.signs(but(authority("an expired issuing CA"), past));
    add(
        "the CA in between has expired",
        expired.signs(server()),
        &[&expired],
        &ca.pem,
        "CN=an expired issuing CA, which has expired",
    );
    let last =
        by_itself(but(authority("a last CA"), |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))));
    let one_more = last.signs(authority("one CA more"));
    add("more CAs than allowed", one_more.signs(server()), &[&one_more], &last.pem, "more CAs above it");

    let narrow = by_itself(but(authority("a CA for some"), below("elsewhere.test")));
    add("a name that its CA may not sign for", narrow.signs(server()), &[], &narrow.pem, "name constraints");
    let fitting = by_itself(but(authority("a CA for this"), below("localhost")));
    add("a name that its CA may sign for", fitting.signs(server()), &[], &fitting.pem, "");
    all
}

/// A key set that is also an answer of Vault and a discovery document.
fn page(port: u16) -> String {
    let mut all =
        json!({ "issuer": "https://issuer.test", "jwks_uri": format!("https://127.0.0.1:{port}/keys"), "data": {} });
    let keys = r#"[{"kty":"EC","crv":"P-256","kid":"k","alg":"ES256","use":"sig","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]"#;
    all["keys"] = serde_json::from_str(keys).unwrap();
    all.to_string()
}

/// A server with this certificate, which answers everything with the same page. It goes on as long as the tests do.
fn serve(case: &Case) -> u16 {
    vaultk8s::reach::install_crypto_provider();
    let chain = std::iter::once(&case.leaf.pem).chain(&case.between);
    let chain = chain.map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).collect();
    let key = PrivateKeyDer::from_pem_slice(case.leaf.key.serialize_pem().as_bytes()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let page = page(port);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let (config, answer) = (Arc::clone(&config), answer.clone());
            thread::spawn(move || {
                let mut stream = rustls::StreamOwned::new(rustls::ServerConnection::new(config).unwrap(), socket);
                let mut request = [0; 8192];
                // Whoever doesn't like the certificate goes away.
                if stream.read(&mut request).is_ok_and(|length| length > 0) {
                    let _gone = stream.write_all(answer.as_bytes());
                    stream.conn.send_close_notify();
                    let _gone = stream.flush();
                }
            });
        }
    });
    port
}

/// What Vault says that fetches keys from there; `None` where it takes them.
fn vault_says(port: u16, trusted: &str) -> Option<String> {
    let (lab, mount) = (lab::shared(), lab::shared().mount("jwt"));
    lab.vault().write(&format!("sys/auth/{}", mount.as_str()), &json!({ "type": "jwt" }));
    let config = json!({ "jwks_url": format!("https://127.0.0.1:{port}/keys"), "jwks_ca_pem": trusted });
    let (status, answer) = lab.vault().post(&format!("auth/{}/config", mount.as_str()), &config);
    let said = (status >= 400).then(|| answer.to_string());
    // It keeps the reason to itself; all that differs between the cases is certificates.
    assert!(said.as_ref().is_none_or(|said| said.contains("error checking jwks URL")), "not of the URL: {said:?}");
    said
}

/// What is said of Vault's address.
fn of_vault(port: u16, trusted: &str) -> Option<String> {
    let address = format!("https://127.0.0.1:{port}");
    let client = client(&[("VAULT_ADDR", &address), ("VAULT_CACERT_BYTES", trusted), ("VAULT_MAX_RETRIES", "0")]);
    match run(client.send(&read("sys/auth"))) {
        Ok(_) => None,
        Err(VaultError::Tls { problem, .. }) => Some(problem.to_string()),
        Err(other) => panic!("{other:?}"),
    }
}

/// What is said of a URL from which Vault fetches keys.
fn of_key_url(port: u16, trusted: &str) -> Option<String> {
    let proxies = Proxies::default();
    let from = Vantage::new(None, &proxies);
    let found = run(try_key_url(&format!("https://127.0.0.1:{port}/keys"), Some(trusted), from));
    found.err().map(|obstacle| {
        // A certificate that isn't trusted here, Vault doesn't trust either.
        assert!(obstacle.is_certain, "{}", obstacle.error);
        obstacle.error.causes().join(": ")
    })
}

/// What is said of a cluster.
fn of_cluster(port: u16, trusted: &str) -> Option<String> {
    use base64::Engine as _;
    let ca = base64::engine::general_purpose::STANDARD.encode(trusted);
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts:\n- name: c\n  context: {{ cluster: c, user: u }}\nclusters:\n- \
         name: c\n  cluster:\n    server: https://127.0.0.1:{port}\n    certificate-authority-data: {ca}\nusers:\n- name: u\n  \
         user: {{ token: t }}\n"
    );
    let answer =
        Vaultk8s::new(["issuer", "--kubeconfig", "kubeconfig"]).file("kubeconfig", &kubeconfig).unhidden().run();
    (answer.code != 0).then(|| answer.stderr.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn certificates_are_judged_as_vault_judges_them_wherever_they_are() {
    let mut wrong = Vec::new();
    for case in cases() {
        let port = serve(&case);
        let judged = vault_says(port, &case.trusted);
        if judged.is_some() == case.wrong.is_empty() {
            wrong.push(format!("{}: Vault says {judged:?}", case.what));
        }
        for (of, said) in [
            ("Vault", of_vault(port, &case.trusted)),
            ("a key URL", of_key_url(port, &case.trusted)),
            ("a cluster", of_cluster(port, &case.trusted)),
        ] {
            let fits = match &said {
                None => case.wrong.is_empty(),
                Some(said) => !case.wrong.is_empty() && said.contains(case.wrong) && !said.contains("Other("),
            };
            if !fits {
                wrong.push(format!("{} of {of}: {said:?}, and not {:?}; Vault says {judged:?}", case.what, case.wrong));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
