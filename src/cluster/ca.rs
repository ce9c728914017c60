//! Authorities as PEM: read from files, and written from what a kubeconfig holds.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, Result};

/// A certificate as PEM.
pub(super) fn certificate_pem(der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(rest.len().min(64));
        pem.push_str(line);
        pem.push('\n');
        rest = next;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
    pem
}

/// Reads the PEM file of an authority that the configuration names.
///
/// # Errors
/// When it can't be read or holds no certificate.
pub(super) fn read_ca(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        Error::usage(format!("the CA file {} could not be read", file.display()))
            .because(error)
            .remedy("correct `auth.caCert` of the cluster; it is relative to the configuration file")
    })?;
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return Err(Error::usage(format!("the CA file {} holds no certificate in PEM form", file.display()))
            .remedy("write the CA that signed the certificate of the server that Vault asks"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_written_as_it_was() {
        let pem = include_str!("../../testdata/jwks/p256-certificate.pem");
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        assert_eq!(certificate_pem(&STANDARD.decode(body).unwrap()), pem);
    }
}
