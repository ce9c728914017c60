//! The files of authorities that the configuration names.

use std::path::Path;

use crate::error::{Error, Result};
use crate::input::{self, InputKind};

/// Reads the PEM file of an authority that the configuration names.
///
/// # Errors
/// When it can't be read or holds no certificate.
pub(super) fn read_ca(file: &Path) -> Result<String> {
    let text = input::read_pem(file).map_err(|error| {
        Error::usage(format!("the CA file {} could not be read", file.display()))
            .because(error)
            .remedy("correct `auth.caCert` of the cluster; it is relative to the configuration file")
    })?;
    let shown = || format!("the CA file {}", file.display());
    input::check(&text, InputKind::Pem).map_err(|mistaken| mistaken.told_of(&shown()))?;
    if !text.contains("-----BEGIN CERTIFICATE-----") {
        return Err(Error::usage(format!("{} holds no certificate in PEM form", shown()))
            .remedy("write the CA that signed the certificate of the server that Vault asks"));
    }
    Ok(text)
}
