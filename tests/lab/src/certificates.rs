use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde::{Deserialize, Serialize};

use crate::{Context, Result, run::write_private};

/// A certificate authority of the lab's own. Its key may be written to the run's folder, which only its owner can read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Authority {
    name: String,
    key: String,
    certificate: String,
}

/// Where a server finds its certificate and key.
#[derive(Clone, Debug)]
pub struct ServerCertificate {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM (PKCS#8).
    pub key: PathBuf,
}

impl Authority {
    /// A new authority with this common name.
    pub fn new(name: &str) -> Result<Self> {
        let create = || -> Result<Self, rcgen::Error> {
            let key = KeyPair::generate()?;
            let certificate = authority_params(name)?.self_signed(&key)?;
            Ok(Self { name: name.to_owned(), key: key.serialize_pem(), certificate: certificate.pem() })
        };
        create().context(|| format!("can't make the certificate authority {name}"))
    }

    /// The authority's certificate, PEM: what clients trust.
    pub fn pem(&self) -> &str {
        &self.certificate
    }

    /// Writes `NAME.crt` and `NAME.key` into `folder`: a server certificate for these DNS names and IP addresses.
    pub fn server_certificate(&self, folder: &Path, name: &str, subjects: &[&str]) -> Result<ServerCertificate> {
        let create = || -> Result<(String, String), rcgen::Error> {
            let issuer = Issuer::new(authority_params(&self.name)?, KeyPair::from_pem(&self.key)?);
            let mut params = CertificateParams::new(subjects.iter().map(ToString::to_string).collect::<Vec<_>>())?;
            params.distinguished_name.push(DnType::CommonName, name);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.use_authority_key_identifier_extension = true;
            let key = KeyPair::generate()?;
            Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
        };
        let (certificate, key) = create().context(|| format!("can't make a certificate for {name}"))?;
        let files = ServerCertificate {
            certificate: folder.join(format!("{name}.crt")),
            key: folder.join(format!("{name}.key")),
        };
        write_private(&files.certificate, &certificate)?;
        write_private(&files.key, &key)?;
        Ok(files)
    }
}

fn authority_params(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}
