//! `--report KIND=FILE`: a result once more, as a file for somebody else.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// A report that is to be written.
pub(super) struct ReportFile<K> {
    /// Which one.
    pub(super) kind: K,
    file: PathBuf,
}

impl<K: Copy> ReportFile<K> {
    /// Reads `KIND=FILE`, where the kind is one of these.
    ///
    /// # Errors
    /// Wrong usage, for anything else, and where the file's folder isn't there: better now than when all is done.
    pub(super) fn parse(text: &str, kinds: &[(&str, K)]) -> Result<Self> {
        let (word, file) = text.split_once('=').unwrap_or((text, ""));
        let kind = kinds.iter().find(|(name, _)| *name == word).map(|(_, kind)| *kind);
        match kind {
            Some(kind) if !file.is_empty() => {
                let file = PathBuf::from(file);
                match file.parent() {
                    Some(folder) if folder != Path::new("") && !folder.is_dir() => {
                        Err(Error::usage(format!("there is no folder {} for the report", folder.display()))
                            .remedy("make it first, or name another file"))
                    }
                    _ => Ok(Self { kind, file }),
                }
            }
            _ => {
                let ways: Vec<String> = kinds.iter().map(|(name, _)| format!("`--report {name}=FILE`")).collect();
                Err(Error::usage(format!("{text:?} is no kind of report with its file"))
                    .remedy(format!("write {}", ways.join(" or "))))
            }
        }
    }

    /// Writes the report.
    ///
    /// # Errors
    /// When the file can't be written.
    pub(super) fn write(&self, text: &str) -> Result<()> {
        write(&self.file, text)
    }
}

fn write(file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text)
        .map_err(|error| Error::failed(format!("the report {} could not be written", file.display())).because(error))
}
