//! Kubeconfigs as kubectl takes them: each is given to both, and what reaches the server of the one reaches it of the other.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use lab::Authority;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, ServerConfig, ServerConnection, SignatureScheme, StreamOwned};
use tempfile::TempDir;

use crate::command::Vaultk8s;

/// Who asks, as an API server sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `Authorization` and the headers of impersonation, sorted.
    pub(crate) headers: Vec<String>,
    certificate: Option<Vec<u8>>,
}

/// Takes every client certificate: who it belongs to is what is compared.
#[derive(Debug)]
struct Anybody;

impl ClientCertVerifier for Anybody {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::ED25519,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
        ]
    }
}

/// A server that remembers who asked it last, and a folder for what the kubeconfigs name.
pub(crate) struct Place {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("the cluster's CA").unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let files = authority.server_certificate(folder.path(), "server", &["127.0.0.1"]).unwrap();
        let chain = CertificateDer::pem_file_iter(&files.certificate).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(Arc::new(Anybody))
            .with_single_cert(chain, key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, told) = (Arc::clone(&config), Arc::clone(&told));
                thread::spawn(move || {
                    let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
                    let mut asked = Vec::new();
                    let mut buffer = [0; 4096];
                    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
                        match stream.read(&mut buffer) {
                            Ok(0) | Err(_) => return,
                            Ok(length) => asked.extend_from_slice(&buffer[..length]),
                        }
                    }
                    let text = String::from_utf8_lossy(&asked).into_owned();
                    let wanted = |line: &&str| {
                        let line = line.to_lowercase();
                        line.starts_with("authorization:") || line.starts_with("impersonate-")
                    };
                    let lower = |line: &str| match line.split_once(':') {
                        Some((name, value)) => format!("{}: {}", name.to_lowercase(), value.trim()),
                        None => line.to_owned(),
                    };
                    let mut headers: Vec<String> = text.lines().filter(wanted).map(lower).collect();
                    headers.sort();
                    let certificate =
                        stream.conn.peer_certificates().and_then(|chain| chain.first()).map(|der| der.to_vec());
                    told.lock().unwrap().push(Seen { headers, certificate });
                    let body = r#"{"issuer":"https://i","jwks_uri":"https://i/k","major":"1","minor":"36","gitVersion":"v1.36.3"}"#;
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                        body.len()
                    );
                    let _gone = stream.write_all(answer.as_bytes()).and_then(|()| stream.flush());
                });
            }
        });
        Self { port, seen, folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// A program that prints what follows, made of what it is told where it says so.
    fn program(&self, name: &str, script: &str) {
        self.write(name, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o700)).unwrap();
    }

    /// A kubeconfig with these fields of its cluster and its user.
    fn kubeconfig(&self, cluster: &str, user: &str) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{{ name: c, context: {{ cluster: c, user: u }} }}]\n\
             clusters: [{{ name: c, cluster: {{ server: \"https://127.0.0.1:{}\", {cluster} }} }}]\nusers:\n- name: u\n  user: {user}\n",
            self.port
        )
    }

    /// Who asked last.
    fn seen(&self) -> Option<Seen> {
        self.all_seen().pop()
    }

    /// All who asked since this was asked last.
    pub(crate) fn all_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// Whether kubectl gets an answer with these kubeconfigs, and as whom.
    fn kubectl(&self, list: &str) -> Option<Seen> {
        let answer = Command::new(lab::shared().kubectl())
            .args(["get", "--raw", "/version"])
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("KUBECONFIG", list)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let seen = self.seen();
        answer.status.success().then(|| seen.expect("kubectl asked nobody"))
    }

    /// As whom this tool gets an answer with these kubeconfigs; else what it says.
    fn own(&self, list: &str) -> Result<Seen, String> {
        let answer = Vaultk8s::new(["issuer"]).env("KUBECONFIG", list).env("PATH", "/usr/bin:/bin").unhidden().run();
        let seen = self.seen();
        if answer.code == 0 { Ok(seen.expect("nobody was asked")) } else { Err(answer.stderr) }
    }

    /// Expects that both get the same, or that this tool says why not; `words` are what it says, and empty where it gets an answer.
    #[track_caller]
    fn compare(&self, name: &str, list: &str, words: &str) {
        match (self.kubectl(list), self.own(list)) {
            (Some(there), Ok(here)) => {
                assert_eq!(here, there, "{name}");
                assert_eq!(words, "", "{name}: an answer");
            }
            (None, Err(said)) => assert!(!words.is_empty() && said.contains(words), "{name}: {said}"),
            (there, here) => panic!("{name}: kubectl {there:?}, here {here:?}"),
        }
    }

    /// The same for one kubeconfig with these fields.
    #[track_caller]
    fn judge(&self, cluster: &str, user: &str, words: &str) {
        self.write("kubeconfig", &self.kubeconfig(cluster, user));
        self.compare(&format!("{cluster} {user}"), &self.path("kubeconfig"), words);
    }
}

const CA: &str = "certificate-authority: ca.pem";

fn openssl(folder: &Path, args: &str) {
    let answer = Command::new("openssl").args(args.split(' ')).current_dir(folder).output().unwrap();
    assert!(answer.status.success(), "{args}: {answer:?}");
}

/// Keys of each kind in each form, each with its certificate.
fn keys(place: &Place) {
    let folder = place.folder.path();
    for (name, args) in [
        ("pkcs1", "genrsa -traditional -out pkcs1.key 2048"),
        ("pkcs8", "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out pkcs8.key"),
        // With the name of the curve in a block before it.
        ("sec1", "ecparam -genkey -name prime256v1 -out sec1.key"),
        ("p384", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key"),
        ("p521", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-521 -out p521.key"),
        ("ed25519", "genpkey -algorithm ed25519 -out ed25519.key"),
        ("small", "genrsa -traditional -out small.key 1024"),
    ] {
        openssl(folder, args);
        openssl(folder, &format!("req -new -x509 -key {name}.key -out {name}.pem -days 2 -subj /CN={name}"));
    }
    // Without extensions it is of the first version of X.509.
    openssl(folder, "genrsa -out first.key 2048");
    openssl(folder, "req -new -key first.key -out first.csr -subj /CN=first");
    openssl(folder, "x509 -req -in first.csr -CA sec1.pem -CAkey sec1.key -CAcreateserial -days 2 -out first.pem");
    openssl(folder, "ec -in sec1.key -no_public -out half.key");
    std::fs::copy(place.path("sec1.pem"), place.path("half.pem")).unwrap();
    openssl(folder, "pkcs8 -topk8 -in pkcs8.key -passout pass:x -out encrypted.key");
    std::fs::copy(place.path("pkcs8.pem"), place.path("encrypted.pem")).unwrap();
    openssl(folder, "rsa -traditional -aes128 -in pkcs1.key -passout pass:x -out locked.key");
    std::fs::copy(place.path("pkcs1.pem"), place.path("locked.pem")).unwrap();
    let mislabelled =
        std::fs::read_to_string(place.path("pkcs8.key")).unwrap().replace("PRIVATE KEY", "EC PRIVATE KEY");
    place.write("mislabelled.key", &mislabelled);
    std::fs::copy(place.path("pkcs8.pem"), place.path("mislabelled.pem")).unwrap();
}

#[test]
fn client_certificates_are_shown_with_keys_of_every_kind() {
    let place = Place::new();
    keys(&place);
    for name in ["pkcs1", "pkcs8", "sec1", "p384", "ed25519", "first", "half", "mislabelled"] {
        place.judge(CA, &format!("{{ client-certificate: {name}.pem, client-key: {name}.key }}"), "");
    }
    for (name, words) in [("encrypted", "its client key is encrypted"), ("locked", "its client key is encrypted")] {
        place.judge(CA, &format!("{{ client-certificate: {name}.pem, client-key: {name}.key }}"), words);
    }
    // kubectl signs with these; here is said that they can't be used, and what can.
    for (name, words) in [("p521", "the curve P-521"), ("small", "RSA keys of 2048 to 4096 bits")] {
        let user = format!("{{ client-certificate: {name}.pem, client-key: {name}.key }}");
        place.write("kubeconfig", &place.kubeconfig(CA, &user));
        let said = place.own(&place.path("kubeconfig")).unwrap_err();
        assert!(said.contains(words), "{said}");
    }
    let data = |file: &str| STANDARD.encode(std::fs::read(place.path(file)).unwrap());
    let (pem, key) = (data("pkcs1.pem"), data("pkcs1.key"));
    for (user, words) in [
        (format!("{{ client-certificate-data: {pem}, client-key-data: {key} }}"), ""),
        (format!("{{ client-certificate-data: {pem}, client-key: pkcs1.key }}"), ""),
        (format!("{{ token: t, client-certificate-data: {pem}, client-key-data: {key} }}"), ""),
        (
            format!("{{ client-certificate: sec1.pem, client-certificate-data: {pem}, client-key-data: {key} }}"),
            "only one of them",
        ),
        (
            format!("{{ client-certificate-data: {pem}, client-key: sec1.key, client-key-data: {key} }}"),
            "only one of them",
        ),
        ("{ client-certificate: pkcs1.pem }".to_owned(), "without a `client-key`"),
        (
            "{ client-certificate: pkcs1.pem, client-key: pkcs8.key }".to_owned(),
            "is not that of its client certificate",
        ),
        (
            "{ client-certificate: first.pem, client-key: pkcs8.key }".to_owned(),
            "is not that of its client certificate",
        ),
        ("{ client-certificate: pkcs1.key, client-key: pkcs1.pem }".to_owned(), "the wrong way round"),
        ("{ password: pw, client-certificate: pkcs1.pem, client-key: pkcs1.key }".to_owned(), ""),
        (
            "{ client-certificate: missing.pem, client-key: pkcs1.key }".to_owned(),
            "missing.pem of `client-certificate` could not",
        ),
        ("{ client-certificate-data: Z2FyYmFnZQ==, client-key-data: Z2FyYmFnZQ== }".to_owned(), "is not PEM"),
        ("{ client-certificate-data: \"!\", client-key-data: Z2FyYmFnZQ== }".to_owned(), "is not base64"),
    ] {
        place.judge(CA, &user, words);
    }
}

#[test]
fn tokens_passwords_and_impersonation_count_as_they_do_to_kubectl() {
    let place = Place::new();
    place.write("held", "filed\n");
    place.write("empty", "\n");
    for (user, words) in [
        ("{ token: t }", ""),
        ("{ tokenFile: held }", ""),
        ("{ token: t, tokenFile: held }", ""),
        ("{ token: t, tokenFile: missing }", ""),
        ("{ token: t, tokenFile: empty }", ""),
        ("{ token: t, unknown: x }", ""),
        ("{ token: t, client-key: missing }", ""),
        ("{ tokenFile: missing }", "missing could not be read"),
        ("{ tokenFile: empty }", "is empty"),
        ("{ tokenFile: ./ }", "it is no file"),
        ("{ tokenFile: /tmp/ }", "it is no file"),
        ("{ token: \"t\\n\" }", "can't be sent"),
        ("{ username: us, password: \"p:w\" }", ""),
        ("{ username: us }", ""),
        ("{ password: pw }", "without a `username`"),
        ("{ username: us, password: pw, token: t }", "only one of them"),
        ("{ username: us, password: pw, tokenFile: held }", "only one of them"),
        (
            "{ token: t, as: joe, as-uid: \"7\", as-groups: [a, b], as-user-extra: { scopes: [v, w], \"k/l\": [z] } }",
            "",
        ),
        ("{ token: t, as-groups: [a] }", "without `as`"),
        ("{ token: t, as-uid: a }", "without `as`"),
        ("{ token: t, as-user-extra: { a: [b] } }", "without `as`"),
    ] {
        place.judge(CA, user, words);
    }
    let ca = STANDARD.encode(std::fs::read(place.path("ca.pem")).unwrap());
    for (cluster, words) in [
        (format!("certificate-authority-data: {ca}"), ""),
        ("insecure-skip-tls-verify: true".to_owned(), ""),
        (format!("certificate-authority-data: {ca}, certificate-authority: ca.pem"), "only one of them"),
        (format!("certificate-authority-data: {ca}, insecure-skip-tls-verify: true"), "only one of them"),
        ("certificate-authority: held".to_owned(), "holds no certificate in PEM form"),
        ("certificate-authority: missing".to_owned(), "missing of `certificate-authority` could not be read"),
        ("certificate-authority: /tmp/".to_owned(), "it is no file"),
        ("certificate-authority: \"\"".to_owned(), "is signed by no CA that this machine trusts"),
        (format!("{CA}, tls-server-name: other.test"), "its certificate is for other names: 127.0.0.1"),
    ] {
        place.judge(&cluster, "{ token: t }", words);
    }
}

/// A JWT that ends then.
fn jwt(end: u64) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.c2ln", part(r#"{"alg":"RS256"}"#), part(&format!(r#"{{"iss":"x","exp":{end}}}"#)))
}

/// What prints a credential with this status.
fn printing(version: &str, status: &serde_json::Value) -> String {
    let credential = serde_json::json!({ "kind": "ExecCredential", "apiVersion": version, "status": status });
    format!("printf %s '{credential}'")
}

#[test]
fn plugins_and_providers_give_what_they_give_to_kubectl() {
    let place = Place::new();
    let pair = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&pair).unwrap().pem();
    let (v1, beta) = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1");
    let both = serde_json::json!({ "token": "t", "clientCertificateData": certificate, "clientKeyData": pair.serialize_pem() });
    let shown = serde_json::json!({ "clientCertificateData": certificate, "clientKeyData": pair.serialize_pem() });
    let token = serde_json::json!({ "token": "plugged" });
    place.program("v1", &printing(v1, &token));
    place.program("beta", &printing(beta, &token));
    place.program("both", &printing(v1, &both));
    place.program("shown", &printing(v1, &shown));
    place.program("half", &printing(v1, &serde_json::json!({ "clientCertificateData": certificate })));
    place.program("nothing", &printing(v1, &serde_json::json!({})));
    place.program(
        "ended",
        &printing(v1, &serde_json::json!({ "token": "t", "expirationTimestamp": "2020-01-01T00:00:00Z" })),
    );
    place.program("yaml", &format!("printf 'kind: ExecCredential\\napiVersion: {v1}\\nstatus: {{ token: yam }}\\n'"));
    place.program("garbage", "echo garbage");
    place.program("fails", "echo 'the session is over: log in again' >&2; exit 3");
    // What it is told is what it gives, so that it is compared too.
    place.program(
        "told",
        &format!(
            "info=$KUBERNETES_EXEC_INFO\n             told=$(printf %s \"$(printf %s \"$info\") $1 $GIVEN $(cat | wc -c)\" | base64 | tr -d '\\n')\n\
             printf '{{\"kind\":\"ExecCredential\",\"apiVersion\":\"{v1}\",\"status\":{{\"token\":\"%s\"}}}}' \"$told\""
        ),
    );
    let exec = |command: &str, more: &str| format!("exec: {{ apiVersion: {v1}, command: {command}, {more} }}");
    let never = "interactiveMode: Never";
    for (user, words) in [
        (exec("./v1", never), ""),
        (exec("./v1", "interactiveMode: IfAvailable"), ""),
        (exec("./both", never), ""),
        (exec("./shown", never), ""),
        (exec("./yaml", never), ""),
        (exec("./ended", never), ""),
        (exec(&place.path("v1"), never), ""),
        (exec("./told", &format!("{never}, args: [one], env: [{{ name: GIVEN, value: two }}]")), ""),
        (format!("exec: {{ apiVersion: {beta}, command: ./beta }}"), ""),
        (format!("token: t, {}", exec("./fails", never)), ""),
        (format!("username: u, password: p, {}", exec("./fails", never)), ""),
        (format!("password: p, {}", exec("./v1", never)), ""),
        (exec("./v1", "interactiveMode: Always"), "and there is none"),
        (exec("./v1", "args: []"), "no `interactiveMode`"),
        (exec("./beta", never), "and the kubeconfig says client.authentication.k8s.io/v1"),
        (
            format!("exec: {{ apiVersion: {v1}alpha1, command: ./v1, {never} }}"),
            "v1alpha1, which is unknown to kubectl",
        ),
        (format!("exec: {{ command: ./v1, {never} }}"), "no `apiVersion`"),
        (format!("exec: {{ apiVersion: {v1}, {never} }}"), "no `command`"),
        (exec("./half", never), "a client certificate without its key"),
        (exec("./nothing", never), "gave neither a token nor a client certificate"),
        (exec("./garbage", never), "did not print an ExecCredential"),
        (exec("./fails", never), "failed (exit status: 3): the session is over: log in again"),
        (
            exec("no-such-plugin", &format!("{never}, installHint: \"get it there\"")),
            "the kubeconfig says: get it there",
        ),
        (exec("./nowhere", never), "nowhere is not installed"),
        (exec("./ca.pem", never), "could not be started"),
        (
            "auth-provider: { name: gcp, config: { access-token: t, expiry: \"2999-01-01T00:00:00Z\" } }".to_owned(),
            "gke-gcloud-auth-plugin",
        ),
        ("auth-provider: { name: azure }".to_owned(), "kubelogin"),
        ("token: t, auth-provider: { name: gcp }".to_owned(), "the `auth-provider` gcp"),
        ("auth-provider: { name: other }".to_owned(), "which nobody knows"),
        (
            format!(
                "auth-provider: {{ name: oidc, config: {{ client-id: k, idp-issuer-url: \"https://127.0.0.1:1\", id-token: {} }} }}",
                jwt(4_000_000_000)
            ),
            "",
        ),
        (
            format!(
                "token: t, auth-provider: {{ name: oidc, config: {{ client-id: k, idp-issuer-url: \"https://127.0.0.1:1\", id-token: {} }} }}",
                jwt(1)
            ),
            "",
        ),
        (
            format!(
                "auth-provider: {{ name: oidc, config: {{ client-id: k, idp-issuer-url: \"https://127.0.0.1:1\", id-token: {} }} }}",
                jwt(1)
            ),
            "has expired",
        ),
        (
            format!("auth-provider: {{ name: oidc, config: {{ client-id: k, id-token: {} }} }}", jwt(4_000_000_000)),
            "no `idp-issuer-url`",
        ),
        (format!("auth-provider: {{ name: oidc }}, {}", exec("./v1", never)), "only one of them"),
    ] {
        place.judge(CA, &format!("{{ {user} }}"), words);
    }
}

#[test]
fn several_files_are_one_kubeconfig_as_to_kubectl() {
    let place = Place::new();
    std::fs::create_dir(place.path("below")).unwrap();
    place.write("below/held", "below");
    place.write("held", "above");
    let whole = |user: &str| place.kubeconfig(CA, user);
    place.write("first", &whole("{ token: first }"));
    place.write("second", &whole("{ token: second }"));
    // What is empty leaves it to the next.
    place.write("blank", "apiVersion: v1\nkind: Config\ncurrent-context: \"\"\nclusters: null\n");
    place.write("void", "");
    place.write("user", "users: [{ name: u, user: { token: alone } }]\n");
    let relative = whole("{ tokenFile: held }").replace("ca.pem", "../ca.pem");
    place.write("below/relative", &relative);
    place.write("twice", &format!("{}- name: u\n  user: {{ token: other }}\n", whole("{ token: t }")));
    place.write("secret", &whole("{ token: t }").replace("kind: Config", "kind: Secret"));
    place.write("garbage", "{");
    for (list, words) in [
        ("first:second", ""),
        ("second:first", ""),
        ("missing:second", ""),
        ("blank:void:second", ""),
        ("user:second", ""),
        ("below/relative:first", ""),
        ("twice", "\"u\" is twice among its `users`"),
        ("secret", "it is a Secret, not a Config"),
        ("first:garbage", "garbage could not be read"),
        ("first:below", "is a folder"),
        ("user", "no current context"),
    ] {
        let list: Vec<String> = list.split(':').map(|name| place.path(name)).collect();
        place.compare(&list.join(":"), &list.join(":"), words);
    }
}

#[test]
fn a_certificate_that_nobody_verifies_is_told_of_once() {
    let place = Place::new();
    place.write("kubeconfig", &place.kubeconfig("insecure-skip-tls-verify: true", "{ token: t }"));
    let answer = Vaultk8s::new(["issuer"]).env("KUBECONFIG", place.path("kubeconfig")).run().exits(0);
    assert_eq!(answer.stderr.matches("insecure-skip-tls-verify").count(), 1, "{}", answer.stderr);
    place.write("kubeconfig", &place.kubeconfig(CA, "{ token: t }"));
    Vaultk8s::new(["issuer"]).env("KUBECONFIG", place.path("kubeconfig")).run().exits(0).keeps_quiet_about(&["verif"]);
}

#[test]
fn a_plugin_does_not_see_a_reviewers_token() {
    let place = Place::new();
    place.program("plugin", &format!("/usr/bin/env > {}; exit 3", place.path("seen")));
    let exec = "exec: { apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: Never }";
    place.write("kubeconfig", &place.kubeconfig(CA, &format!("{{ {exec} }}")));
    let line = "auth kubernetes --mount never --reviewer-token-env REVIEWER_TOKEN --dry-run";
    let run = Vaultk8s::new(line.split(' ')).on_shared().env("KUBECONFIG", place.path("kubeconfig"));
    run.env("REVIEWER_TOKEN", "reviewer-secret").env("OTHER", "seen").run().exits(1).complains(&["credential plugin"]);
    let seen = std::fs::read_to_string(place.path("seen")).unwrap();
    assert!(seen.contains("OTHER=seen") && !seen.contains("reviewer-secret"), "{seen}");
}

#[test]
fn a_plugin_is_run_once_to_prove_the_roles_of_a_file() {
    let place = Place::new();
    let status = r#"{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":"t"}}"#;
    place.program("plugin", &format!("echo run >> {}; printf %s '{status}'", place.path("runs")));
    let exec = "exec: { apiVersion: client.authentication.k8s.io/v1, command: ./plugin, interactiveMode: Never }";
    place.write("kubeconfig", &place.kubeconfig(CA, &format!("{{ {exec} }}")));
    place.write(
        "vaultk8s.yaml",
        "clusters:\n- { name: c, context: c, auth: { method: jwt, mount: never-there, audience: vault } }\n\
         roles:\n- { name: r, clusters: c, serviceAccounts: [a/b], policies: [p], audience: vault }\n\
         policies:\n- { name: p, read: secret/a }\n",
    );
    let file = place.path("vaultk8s.yaml");
    let run =
        Vaultk8s::new(["verify-role", "--all", "-f", &file]).on_shared().env("KUBECONFIG", place.path("kubeconfig"));
    run.env("PATH", "/usr/bin:/bin").run().exits(1);
    assert_eq!(std::fs::read_to_string(place.path("runs")).unwrap(), "run\n");
}
