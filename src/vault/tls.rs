//! The TLS connection to Vault: which authorities are trusted, which certificate is shown, which name is asked for.
//!
//! As in Vault's CLI (go-rootcerts), `VAULT_CACERT` goes before `VAULT_CACERT_BYTES` before `VAULT_CAPATH`, and each of
//! them replaces the authorities of the system.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::ResolvesClientCert;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::input::{self, InputKind};
use crate::reach::{Reach, Trust, check_pair};
use crate::settings::{Origin, TlsSettings, VaultSettings};

/// The way to Vault as the settings say.
///
/// # Errors
/// Files that can't be read or don't hold what they should.
pub(super) fn reach(settings: &VaultSettings, to_connect: Duration) -> Result<Reach> {
    let tls = &settings.tls;
    let mut reach = Reach::new(Trust::System, settings.proxies.clone(), to_connect, settings.timeout);
    if settings.address.value.scheme() == "http" {
        // What is said of TLS is not looked at.
        return Ok(reach);
    }
    if let Some(authorities) = authorities(tls)? {
        reach.trust = Trust::only(authorities, trusted(tls));
    }
    if let (Some(cert), Some(key)) = (&tls.client_cert, &tls.client_key) {
        reach.identity = Some(identity(&cert.value, &cert.origin, &key.value, &key.origin)?);
    }
    if tls.skip_verify.as_ref().is_some_and(|skip| skip.value) {
        reach.trust = Trust::Anything;
    }
    if let Some(name) = &tls.server_name {
        let parsed = ServerName::try_from(name.value.clone());
        reach.server_name = Some(parsed.map_err(|_| Error::usage(format!("{} is not a DNS name", name.origin)))?);
    }
    Ok(reach)
}

fn authorities(settings: &TlsSettings) -> Result<Option<Vec<CertificateDer<'static>>>> {
    Ok(Some(if let Some(file) = &settings.ca_cert {
        let pem = read_pem(&file.value, &file.origin, "CA certificate")?;
        certificates(pem.as_bytes()).map_err(|problem| bad_pem(&file.value, &file.origin, &problem))?
    } else if let Some(text) = &settings.ca_cert_bytes {
        input::check(&text.value, InputKind::Pem).map_err(|mistaken| mistaken.told_of(&text.origin.to_string()))?;
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
            found.extend(input::pem_of(pem).ok().and_then(|pem| certificates(pem.as_bytes()).ok()).unwrap_or_default());
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
    }))
}

/// The certificates of a PEM text, each of which can be trusted.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = chain(pem)?;
    let mut store = rustls::RootCertStore::empty();
    for certificate in &found {
        store.add(certificate.clone()).map_err(|cause| format!("holds a certificate that is broken: {cause}"))?;
    }
    Ok(found)
}

/// The certificates of a PEM text, as they are.
fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| format!("is not valid PEM: {cause}"))?;
    if found.is_empty() {
        return Err("holds no certificate in PEM form".to_owned());
    }
    Ok(found)
}

fn identity(cert: &Path, cert_origin: &Origin, key: &Path, key_origin: &Origin) -> Result<Arc<dyn ResolvesClientCert>> {
    let pem = read_pem(cert, cert_origin, "client certificate")?;
    let chain = chain(pem.as_bytes()).map_err(|problem| bad_pem(cert, cert_origin, &problem))?;
    let key_pem = read_pem(key, key_origin, "client key")?;
    // The parser's own words could quote the key; that it isn't one is all there is to say.
    let private = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| {
        Error::usage(format!("{} ({key_origin}) holds no private key in PEM form", key.display()))
            .remedy("write the key unencrypted as PKCS#8: `openssl pkcs8 -topk8 -nodes -in key.pem`")
    })?;
    let unusable = || {
        Error::usage(format!("{} and {} are no client certificate with its key", cert.display(), key.display()))
            .remedy("check that the client certificate and its key belong together")
    };
    let private = any_supported_type(&private).map_err(|cause| unusable().because(cause))?;
    if let Some(own) = chain.first() {
        check_pair(own, &*private).map_err(|cause| unusable().because(cause))?;
    }
    Ok(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, private))))
}

fn read(path: &Path, origin: &Origin, what: &str) -> Result<Zeroizing<Vec<u8>>> {
    input::read(path, input::CERTIFICATES).map_err(|cause| unread(path, origin, what, cause))
}

fn unread(path: &Path, origin: &Origin, what: &str, cause: std::io::Error) -> Error {
    Error::usage(format!("the {what} {} ({origin}) can't be read", path.display())).because(cause)
}

/// The text of a file that should be PEM.
fn read_pem(path: &Path, origin: &Origin, what: &str) -> Result<Zeroizing<String>> {
    let text = read(path, origin, what)
        .and_then(|bytes| input::pem_of(bytes).map_err(|cause| unread(path, origin, what, cause)))?;
    let shown = || format!("{} ({origin})", path.display());
    input::check(&text, InputKind::Pem).map_err(|mistaken| mistaken.told_of(&shown()))?;
    Ok(text)
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

/// Where the trusted authorities came from, for the error about one that isn't among them.
fn trusted(settings: &TlsSettings) -> String {
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
