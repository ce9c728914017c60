//! What is in the files that decide whom Vault trusts, so that two versions of them can be compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::{Config, TrustFile};
use crate::error::{Error, Result};
use crate::keys::{Authorities, Jwks};

/// What is in these files, by path: keys and certificates, each by name and fingerprint. One that could not be read is not
/// among them.
pub type TrustFiles = BTreeMap<PathBuf, Vec<String>>;

/// Reads the files that a configuration names, with what could not be read.
pub fn read_trust_files(config: &Config) -> (TrustFiles, Vec<Error>) {
    let (mut files, mut unread) = (TrustFiles::new(), Vec::new());
    for file in config.trust_files() {
        match read(file) {
            Ok(content) => {
                files.insert(file.path().to_owned(), content);
            }
            Err(error) => unread.push(error),
        }
    }
    (files, unread)
}

fn read(file: TrustFile<'_>) -> Result<Vec<String>> {
    let path = file.path().display();
    let text = std::fs::read_to_string(file.path())
        .map_err(|error| Error::failed(format!("{path} could not be read")).because(error))?;
    match file {
        TrustFile::Keys(_) => {
            let jwks = Jwks::parse(&text)
                .map_err(|error| Error::failed(format!("{path} could not be read")).because(error))?;
            let keys = jwks.keys.iter().map(|key| format!("{} {}", key.key, key.key.short_fingerprint()));
            Ok(keys.chain(jwks.refused.iter().map(ToString::to_string)).collect())
        }
        TrustFile::Authorities(_) => Authorities::parse(&text)
            .map(|authorities| authorities.describe())
            .ok_or_else(|| Error::failed(format!("{path} holds no certificate in PEM form"))),
    }
}

/// The files that both versions have from one place beside the configuration: of these, only one version is there.
pub fn shared_by(config: &Config, other: &Config) -> Vec<PathBuf> {
    let (beside, others) = (config.folder(), other.trust_files());
    let inside = |path: &Path| path.starts_with(beside) && (path.is_relative() || !beside.as_os_str().is_empty());
    let shared = config.trust_files().into_iter().filter(|file| inside(file.path()) && others.contains(file));
    shared.map(|file| file.path().to_owned()).collect()
}
