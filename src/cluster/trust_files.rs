//! What is in the files that decide whom Vault trusts, so that two versions of them can be compared.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::config::{Config, TrustFile};
use crate::error::{Error, Result};
use crate::input::{self, InputKind};
use crate::keys::{Authorities, Jwks};
use crate::model::TrustFiles;

/// A file that could not be read.
#[derive(Debug)]
pub struct UnreadFile {
    /// As the configuration names it.
    pub named: PathBuf,
    /// Whether there is none.
    pub is_absent: bool,
    /// Why.
    pub error: Error,
}

/// Reads the files that a configuration names, with what could not be read.
pub fn read_trust_files(config: &Config) -> (TrustFiles, Vec<UnreadFile>) {
    let (mut files, mut unread) = (TrustFiles::new(), Vec::new());
    for file in config.trust_files() {
        let path = file.path();
        let named = path.strip_prefix(config.folder()).unwrap_or(path);
        if files.contains_key(path) || unread.iter().any(|other: &UnreadFile| other.named == named) {
            continue;
        }
        let shown = path.display();
        let text = match input::read_text(path, input::DOCUMENT) {
            Ok(text) => text,
            Err(error) => {
                let is_absent = error.kind() == ErrorKind::NotFound;
                let error = Error::failed(format!("{shown} could not be read")).because(error);
                unread.push(UnreadFile { named: named.to_owned(), is_absent, error });
                continue;
            }
        };
        match content(file, &text) {
            Ok(content) => {
                files.insert(path.to_owned(), content);
            }
            Err(error) => {
                let error = error.context(format!("{shown} could not be read"));
                unread.push(UnreadFile { named: named.to_owned(), is_absent: false, error });
            }
        }
    }
    (files, unread)
}

/// What is in a file, each by name and fingerprint.
fn content(file: TrustFile<'_>, text: &str) -> Result<Vec<String>> {
    let meant = match file {
        TrustFile::Keys(_) => InputKind::Document,
        TrustFile::Authorities(_) => InputKind::Pem,
    };
    input::check(text, meant).map_err(|mistaken| mistaken.told_of("it"))?;
    match file {
        TrustFile::Keys(_) => {
            let jwks = Jwks::parse(text).map_err(|error| Error::failed(error.to_string()))?;
            let keys = jwks.keys.iter().map(|key| format!("{} {}", key.key, key.key.short_fingerprint()));
            let misnamed = jwks.misnamed.iter().map(|name| format!("a list of keys under the name {name:?}"));
            Ok(keys.chain(jwks.refused.iter().map(ToString::to_string)).chain(misnamed).collect())
        }
        TrustFile::Authorities(_) => Authorities::parse(text)
            .map(|authorities| authorities.describe())
            .ok_or_else(|| Error::failed("it holds no certificate in PEM form")),
    }
}

/// The files that both versions have from one place beside the configuration: of these, only one version is there.
pub fn shared_by(config: &Config, other: &Config) -> Vec<PathBuf> {
    let (beside, others) = (config.folder(), other.trust_files());
    let inside = |path: &Path| path.starts_with(beside) && (path.is_relative() || !beside.as_os_str().is_empty());
    let shared = config.trust_files().into_iter().filter(|file| inside(file.path()) && others.contains(file));
    shared.map(|file| file.path().to_owned()).collect()
}
