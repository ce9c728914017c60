//! The TLS connection, against the real server, and against one that tells what it was asked for.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::thread::JoinHandle;

use lab::{Authority, Transport, VaultOptions, VaultServer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use vaultk8s::error::Error;
use vaultk8s::reach::TlsProblem;
use vaultk8s::vault::{Client, VaultError};

use super::{client, read, run, settings};

/// A client of the shared server with more environment variables.
fn shared(environment: &[(&str, &str)]) -> Client {
    let lab = lab::shared();
    let mut all = vec![("VAULT_ADDR", lab.vault_address()), ("VAULT_TOKEN", lab.root_token())];
    all.extend_from_slice(environment);
    client(&all)
}

fn problem(client: &Client) -> TlsProblem {
    match run(client.send(&read("sys/auth"))) {
        Err(VaultError::Tls { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_ca_is_taken_from_a_file_a_text_and_a_directory() {
    let lab = lab::shared();
    let file = lab.vault_ca();
    let text = fs::read_to_string(&file).unwrap();
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("deeper")).unwrap();
    fs::write(directory.path().join("deeper/ca.pem"), &text).unwrap();
    fs::write(directory.path().join("README"), "no certificate").unwrap();
    for (name, value) in [
        ("VAULT_CACERT", file.to_str().unwrap()),
        ("VAULT_CACERT_BYTES", text.as_str()),
        ("BAO_CAPATH", directory.path().to_str().unwrap()),
        ("VAULT_SKIP_VERIFY", "1"),
    ] {
        run(shared(&[(name, value)]).send(&read("sys/auth"))).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn a_certificate_of_an_unknown_ca_is_refused_with_the_way_to_name_it() {
    let other = Authority::new("another CA").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("other.pem");
    fs::write(&file, other.pem()).unwrap();
    let file = file.to_str().unwrap();
    let expected = TlsProblem::UnknownAuthority { trusted: format!("{file} (VAULT_CACERT)") };
    let wrong = shared(&[("VAULT_CACERT", file)]);
    assert_eq!(problem(&wrong), expected);
    let told = Error::from(run(wrong.send(&read("sys/auth"))).unwrap_err());
    assert!(told.remedies()[0].contains("--ca-cert"), "{:?}", told.remedies());
    // Nothing was sent, and asking again would change nothing.
    assert_eq!(wrong.counts().requests, 0);
}

#[test]
fn the_name_in_the_certificate_is_what_counts() {
    let ca = lab::shared().vault_ca().display().to_string();
    run(shared(&[("VAULT_CACERT", &ca), ("VAULT_TLS_SERVER_NAME", "localhost")]).send(&read("sys/auth"))).unwrap();
    let wrong = shared(&[("VAULT_CACERT", &ca), ("VAULT_TLS_SERVER_NAME", "vault.example")]);
    let TlsProblem::WrongName { presented } = problem(&wrong) else { panic!("{:?}", problem(&wrong)) };
    assert_eq!(presented.len(), 2, "{presented:?}");
    let told = Error::from(run(wrong.send(&read("sys/auth"))).unwrap_err());
    assert!(told.to_string().contains("localhost") && told.to_string().contains("127.0.0.1"), "{told}");
    assert!(told.remedies()[0].contains("VAULT_TLS_SERVER_NAME"), "{:?}", told.remedies());
}

#[test]
fn http_and_https_are_not_confused_for_long() {
    let plain =
        VaultServer::start(&VaultOptions { transport: Transport::Plain, audit: false, ..VaultOptions::default() });
    let secure = plain.address().replace("http://", "https://");
    assert_eq!(problem(&client(&[("VAULT_ADDR", &secure), ("VAULT_SKIP_VERIFY", "t")])), TlsProblem::ServerSpeaksHttp);
    let insecure = lab::shared().vault_address().replace("https://", "http://");
    let client = client(&[("VAULT_ADDR", &insecure), ("VAULT_TOKEN", "hvs.some")]);
    assert_eq!(problem(&client), TlsProblem::ServerSpeaksHttps);
    let told = Error::from(run(client.send(&read("sys/auth"))).unwrap_err());
    assert_eq!(told.remedies(), [format!("use {}", lab::shared().vault_address())]);
}

#[test]
fn files_that_are_no_certificates_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (text, broken) =
        (at("text", "hello"), at("broken", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
    let cut = at("cut", "-----BEGIN CERTIFICATE-----\nAAAA");
    let empty = directory.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let (empty, none) = (empty.display().to_string(), directory.path().join("none").display().to_string());
    let ca = Authority::new("a CA").unwrap();
    let cert = at("cert", ca.pem());
    for (environment, named) in [
        (vec![("VAULT_CACERT", &text)], &text),
        (vec![("VAULT_CACERT", &broken)], &broken),
        (vec![("VAULT_CACERT", &cut)], &cut),
        (vec![("VAULT_CACERT", &none)], &none),
        (vec![("VAULT_CAPATH", &empty)], &empty),
        (vec![("VAULT_CAPATH", &none)], &none),
        (vec![("VAULT_CLIENT_CERT", &text), ("VAULT_CLIENT_KEY", &text)], &text),
        (vec![("VAULT_CLIENT_CERT", &cert), ("VAULT_CLIENT_KEY", &text)], &text),
    ] {
        let mut all = vec![("VAULT_ADDR", "https://vault.example")];
        all.extend(environment.iter().map(|(name, value)| (*name, value.as_str())));
        let error = Client::new(&settings(&all).unwrap()).unwrap_err();
        assert_eq!(error.kind().exit_code(), 64);
        assert!(error.to_string().contains(named.as_str()), "{error}");
    }
}

/// As Go reads them: openssl's certificates without extensions, and the words above a block in whichever encoding.
#[test]
fn certificates_of_the_first_version_and_among_words_of_any_encoding_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    for args in [
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.plain -days 2 -subj /CN=ca",
        "req -new -newkey rsa:2048 -nodes -keyout own.plain -out own.csr -subj /CN=own",
        "x509 -req -in own.csr -CA ca.plain -CAkey ca.key -CAcreateserial -days 2 -out first.plain",
    ] {
        let answer = Command::new("openssl").args(args.split(' ')).current_dir(folder).output().unwrap();
        assert!(answer.status.success(), "{args}: {answer:?}");
    }
    fs::create_dir(folder.join("cas")).unwrap();
    for (plain, named) in
        [("ca.plain", "cas/ca.pem"), ("ca.key", "other.pem"), ("own.plain", "own.pem"), ("first.plain", "first.pem")]
    {
        let latin = [b"# Schl\xfcssel\n".to_vec(), fs::read(folder.join(plain)).unwrap()].concat();
        fs::write(folder.join(named), latin).unwrap();
    }
    let at = |name: &str| folder.join(name).display().to_string();
    let opened = |key: &str, (variable, authority): (&str, &str)| {
        let (cert, key, authority) = (at("first.pem"), at(key), at(authority));
        let all = [
            ("VAULT_ADDR", "https://vault.example"),
            ("VAULT_CLIENT_CERT", &cert),
            ("VAULT_CLIENT_KEY", &key),
            (variable, &authority),
        ];
        Client::new(&settings(&all).unwrap()).map(|_| ())
    };
    opened("own.pem", ("VAULT_CACERT", "cas/ca.pem")).unwrap();
    opened("own.pem", ("VAULT_CAPATH", "cas")).unwrap();
    let error = opened("other.pem", ("VAULT_CAPATH", "cas")).unwrap_err();
    assert!(error.to_string().contains("no client certificate with its key"), "{error}");
}

/// A TLS server that answers one request, and then says which name it was asked for and what it was sent. It demands a
/// client certificate from `clients`, if given.
fn telling(
    authority: &Authority,
    folder: &Path,
    clients: Option<&Authority>,
) -> (u16, JoinHandle<(Option<String>, String)>) {
    vaultk8s::reach::install_crypto_provider();
    let files = authority.server_certificate(folder, "telling", &["vault.example"]).unwrap();
    let chain = CertificateDer::pem_file_iter(&files.certificate).unwrap().collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let builder = rustls::ServerConfig::builder();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => {
            let mut roots = rustls::RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(clients.pem().as_bytes()).unwrap()).unwrap();
            builder.with_client_cert_verifier(
                rustls::server::WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap(),
            )
        }
    };
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut stream = rustls::StreamOwned::new(rustls::ServerConnection::new(config).unwrap(), socket);
        let mut request = vec![0; 4096];
        let Ok(length) = stream.read(&mut request) else {
            // The alert has to leave before the connection does.
            let _ = stream.flush();
            return (None, String::new());
        };
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\n{\"data\":{}}").unwrap();
        (stream.conn.server_name().map(ToOwned::to_owned), String::from_utf8_lossy(&request[..length]).into_owned())
    });
    (port, server)
}

#[test]
fn another_server_name_is_asked_for_and_verified_and_the_host_stays() {
    let (authority, folder) = (Authority::new("a CA").unwrap(), tempfile::tempdir().unwrap());
    let (port, server) = telling(&authority, folder.path(), None);
    let address = format!("https://localhost:{port}/prefix");
    run(client(&[
        ("VAULT_ADDR", &address),
        ("VAULT_CACERT_BYTES", authority.pem()),
        ("VAULT_TLS_SERVER_NAME", "vault.example"),
    ])
    .send(&read("sys/auth")))
    .unwrap();
    let (name, request) = server.join().unwrap();
    assert_eq!(name.as_deref(), Some("vault.example"));
    assert!(request.starts_with("GET /prefix/v1/sys/auth HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: localhost:{port}\r\n")), "{request}");
}

#[test]
fn a_server_that_wants_a_client_certificate_is_told_of() {
    let (authority, folder) = (Authority::new("a CA").unwrap(), tempfile::tempdir().unwrap());
    let (port, server) = telling(&authority, folder.path(), Some(&authority));
    let address = format!("https://127.0.0.1:{port}");
    let without = client(&[
        ("VAULT_ADDR", &address),
        ("VAULT_CACERT_BYTES", authority.pem()),
        ("VAULT_TLS_SERVER_NAME", "vault.example"),
        ("VAULT_MAX_RETRIES", "0"),
    ]);
    assert!(matches!(problem(&without), TlsProblem::ClientCertificate(_)));
    server.join().unwrap();
}
