//! The TLS connection to Vault: which authorities are trusted, which certificate is shown, which name is asked for.
//!
//! As in Vault's CLI (go-rootcerts), `VAULT_CACERT` goes before `VAULT_CACERT_BYTES` before `VAULT_CAPATH`, and each of
//! them replaces the authorities of the system.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, ClientBuilder, Identity};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::input;
use crate::settings::{Origin, TlsSettings};

/// Makes ring the crypto provider of this process, unless there is one. Calling it again does nothing.
///
/// Both kube and reqwest are built without a provider of their own, so that the binary has one and not two.
pub fn install_crypto_provider() {
    // Err says that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Configures TLS as the settings say.
///
/// # Errors
/// Files that can't be read or don't hold what they should.
pub(super) fn configure(builder: ClientBuilder, settings: &TlsSettings, address: &Url) -> Result<ClientBuilder> {
    install_crypto_provider();
    let mut builder = builder;
    if address.scheme() == "http" {
        // No authority is needed, and a machine without any must not fail for that.
        return Ok(builder.tls_certs_only([]));
    }
    if let Some(authorities) = authorities(settings)? {
        builder = builder.tls_certs_only(authorities);
    }
    if let (Some(cert), Some(key)) = (&settings.client_cert, &settings.client_key) {
        builder = builder.identity(identity(&cert.value, &cert.origin, &key.value, &key.origin)?);
    }
    if settings.skip_verify.as_ref().is_some_and(|skip| skip.value) {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    if let Some(name) = &settings.server_name {
        // The name takes the host's place in the URL, because that is what SNI and verification go by; the connection
        // still goes to the host. A proxy would be asked for the wrong one.
        builder = builder.dns_resolver(ToHost { name: name.value.clone(), host: host_of(address) }).no_proxy();
    }
    Ok(builder)
}

fn authorities(settings: &TlsSettings) -> Result<Option<Vec<Certificate>>> {
    let found = if let Some(file) = &settings.ca_cert {
        let pem = read(&file.value, &file.origin, "CA certificate")?;
        certificates(&pem).map_err(|problem| bad_pem(&file.value, &file.origin, &problem))?
    } else if let Some(text) = &settings.ca_cert_bytes {
        certificates(text.value.as_bytes()).map_err(|problem| {
            Error::usage(format!("{} {problem}", text.origin)).remedy("give it the PEM text of the CA's certificate")
        })?
    } else if let Some(directory) = &settings.ca_path {
        let mut found = Vec::new();
        for file in files_below(&directory.value).map_err(|cause| {
            Error::usage(format!("the CA directory {} ({}) can't be read", directory.value.display(), directory.origin))
                .because(cause)
        })? {
            // As with Vault's CLI, files that hold no certificate are no fault in a directory.
            let pem = read(&file, &directory.origin, "CA certificate")?;
            found.extend(certificates(&pem).unwrap_or_default());
        }
        if found.is_empty() {
            return Err(Error::usage(format!(
                "the CA directory {} ({}) holds no certificate",
                directory.value.display(),
                directory.origin
            ))
            .remedy("name a directory of PEM files, or a single file with VAULT_CACERT"));
        }
        found
    } else {
        return Ok(None);
    };
    let found = found.iter().map(|der| Certificate::from_der(der)).collect::<reqwest::Result<Vec<_>>>();
    found.map(Some).map_err(|cause| Error::usage("a CA certificate is not one").because(cause))
}

/// The certificates of a PEM text.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| format!("is not valid PEM: {cause}"))?;
    if found.is_empty() {
        return Err("holds no certificate in PEM form".to_owned());
    }
    let mut store = rustls::RootCertStore::empty();
    for certificate in &found {
        store.add(certificate.clone()).map_err(|cause| format!("holds a certificate that is broken: {cause}"))?;
    }
    Ok(found)
}

fn identity(cert: &Path, cert_origin: &Origin, key: &Path, key_origin: &Origin) -> Result<Identity> {
    let mut pem = Zeroizing::new(read(cert, cert_origin, "client certificate")?);
    certificates(&pem).map_err(|problem| bad_pem(cert, cert_origin, &problem))?;
    let key_pem = Zeroizing::new(read(key, key_origin, "client key")?);
    // The parser's own words could quote the key; that it isn't one is all there is to say.
    PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| {
        Error::usage(format!("{} ({key_origin}) holds no private key in PEM form", key.display()))
            .remedy("write the key unencrypted as PKCS#8: `openssl pkcs8 -topk8 -nodes -in key.pem`")
    })?;
    pem.push(b'\n');
    pem.extend_from_slice(&key_pem);
    Identity::from_pem(&pem).map_err(|cause| {
        Error::usage(format!("{} and {} are no client certificate with its key", cert.display(), key.display()))
            .because(super::transport::innermost(&cause))
    })
}

fn read(path: &Path, origin: &Origin, what: &str) -> Result<Vec<u8>> {
    input::read(path, input::CERTIFICATES)
        .map(|mut bytes| std::mem::take(&mut *bytes))
        .map_err(|cause| Error::usage(format!("the {what} {} ({origin}) can't be read", path.display())).because(cause))
}

fn bad_pem(path: &Path, origin: &Origin, problem: &str) -> Error {
    Error::usage(format!("{} ({origin}) {problem}", path.display()))
        .remedy("name a PEM file, with -----BEGIN CERTIFICATE----- in it")
}

/// All files below a directory, in order.
fn files_below(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            // A link to a directory is not followed: it could lead back here.
            if path.is_file() {
                files.push(path);
            } else if path.is_dir() && !path.is_symlink() {
                directories.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn host_of(address: &Url) -> Host<String> {
    match address.host() {
        Some(Host::Ipv4(ip)) => Host::Ipv4(ip),
        Some(Host::Ipv6(ip)) => Host::Ipv6(ip),
        Some(Host::Domain(name)) => Host::Domain(name.to_owned()),
        None => Host::Domain(String::new()),
    }
}

/// Resolves one name as if it were another host.
struct ToHost {
    name: String,
    host: Host<String>,
}

impl Resolve for ToHost {
    fn resolve(&self, name: Name) -> Resolving {
        let host = if name.as_str().eq_ignore_ascii_case(&self.name) {
            self.host.clone()
        } else {
            Host::Domain(name.as_str().to_owned())
        };
        Box::pin(async move {
            // The URL's port takes the place of this 0.
            let addresses: Vec<SocketAddr> = match host {
                Host::Ipv4(ip) => vec![(ip, 0).into()],
                Host::Ipv6(ip) => vec![(ip, 0).into()],
                Host::Domain(name) => tokio::net::lookup_host((name, 0)).await?.collect(),
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Says why a connection could not be set up at all.
pub(super) fn not_built(cause: &reqwest::Error, settings: &TlsSettings) -> Error {
    let error = Error::usage("the TLS connection to Vault could not be set up");
    let error = if settings.client_cert.is_some() {
        error.remedy("check that the client certificate and its key belong together")
    } else {
        error.remedy("install the system's CA certificates, or name Vault's with --ca-cert or VAULT_CACERT")
    };
    error.because(super::transport::innermost(cause))
}

/// Where the trusted authorities came from, for the error about one that isn't among them.
pub(super) fn trusted(settings: &TlsSettings) -> String {
    let named = |path: &Path, origin: &Origin| match origin {
        Origin::File { path: file, what } => format!("{} ({what} in {})", path.display(), file.display()),
        origin => format!("{} ({origin})", path.display()),
    };
    if let Some(file) = &settings.ca_cert {
        named(&file.value, &file.origin)
    } else if let Some(text) = &settings.ca_cert_bytes {
        text.origin.to_string()
    } else if let Some(directory) = &settings.ca_path {
        named(&directory.value, &directory.origin)
    } else {
        "this machine".to_owned()
    }
}
