//! A folder of rendered files: what of it is ours, and writing all of them or none.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::input::{self, CONFIGURATION};
use crate::render::{Rendered, RenderedFile};

/// Which of the folders below it may hold files that are not rendered any more.
pub(super) enum Scope {
    /// Each: whatever a cluster is called now.
    All,
    /// Those of some clusters alone.
    Clusters(Vec<String>),
    /// None: the files of others are for other runs.
    None,
}

/// What a folder holds of the files of one form.
pub(super) struct Folder<'a> {
    path: &'a Path,
    /// The texts of ours, by their paths below it.
    ours: BTreeMap<String, String>,
}

impl<'a> Folder<'a> {
    /// Reads what of a form is there: what is rendered now, and within the scope what was rendered earlier.
    ///
    /// # Errors
    /// When a folder or a file of ours can't be read.
    pub(super) fn read(path: &'a Path, rendered: &Rendered, scope: &Scope) -> Result<Self> {
        let header = rendered.form.header();
        let mut ours = BTreeMap::new();
        for name in files_below(path, scope)?.into_iter().chain(rendered.files.iter().map(|file| file.path.clone())) {
            let place = path.join(&name);
            if !is_file(&place)? || !begins_with(&place, header.trim_end())? {
                continue;
            }
            let text =
                input::read_text(&place, CONFIGURATION).map_err(|error| failed("could not be read", &place, error))?;
            ours.insert(name, text.replace("\r\n", "\n"));
        }
        Ok(Self { path, ours })
    }

    /// Where a file of it is.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    /// The text of one of ours.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.ours.get(path).map(String::as_str)
    }

    /// What somebody else has where a file goes, as far as it is text of a size to be shown; nothing of what is no file.
    ///
    /// # Errors
    /// When that can't be seen.
    pub(super) fn text_of_others(&self, path: &str) -> Result<String> {
        let place = self.place(path);
        Ok(if is_file(&place)? { input::read_text(&place, CONFIGURATION).unwrap_or_default() } else { String::new() })
    }

    /// Whether something else than ours is where a file goes.
    ///
    /// # Errors
    /// When that can't be seen.
    pub(super) fn is_taken(&self, path: &str) -> Result<bool> {
        let place = self.place(path);
        match fs::symlink_metadata(&place) {
            Ok(_) => Ok(!self.ours.contains_key(path)),
            // What a folder should be is a file: making it says so.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(failed("could not be looked at", &place, error)),
        }
    }

    /// Ours that are not rendered any more.
    pub(super) fn stale(&self, rendered: &Rendered) -> Vec<String> {
        let now: BTreeSet<&str> = rendered.files.iter().map(|file| file.path.as_str()).collect();
        self.ours.keys().filter(|path| !now.contains(path.as_str())).cloned().collect()
    }

    /// Writes files: all of them are beside their places before any takes its own.
    ///
    /// # Errors
    /// When one can't be written; then none is, but where the file system fails in the middle of renaming.
    pub(super) fn write(&self, files: &[&RenderedFile]) -> Result<()> {
        // As far as the process lets others read, unlike most temporary files.
        let for_all = fs::Permissions::from_mode(0o666);
        let mut beside: Vec<(NamedTempFile, PathBuf)> = Vec::new();
        for file in files {
            let place = self.place(&file.path);
            if place.symlink_metadata().is_ok_and(|there| !there.is_file()) {
                return Err(Error::failed(format!("{} is there, and is no file", place.display()))
                    .remedy("move it, or name another folder"));
            }
            let parent = place.parent().unwrap_or(self.path);
            fs::create_dir_all(parent).map_err(|error| failed("could not be made", parent, error))?;
            let unwritten = |error| failed("could not be written", &place, error);
            // Its own name, so that nothing of somebody else's is in its way; it goes if this ends here.
            let mut waiting =
                tempfile::Builder::new().permissions(for_all.clone()).tempfile_in(parent).map_err(unwritten)?;
            waiting.write_all(file.text.as_bytes()).map_err(unwritten)?;
            beside.push((waiting, place));
        }
        for (waiting, place) in beside {
            waiting.persist(&place).map_err(|error| failed("could not be written", &place, error.error))?;
        }
        Ok(())
    }

    /// Deletes ours.
    ///
    /// # Errors
    /// When one can't be deleted.
    pub(super) fn delete(&self, paths: &[String]) -> Result<()> {
        for path in paths {
            let place = self.place(path);
            fs::remove_file(&place).map_err(|error| failed("could not be deleted", &place, error))?;
        }
        Ok(())
    }
}

/// The YAML files of the folders below one, as `folder/name`.
fn files_below(path: &Path, scope: &Scope) -> Result<Vec<String>> {
    let folders = match scope {
        Scope::None => Vec::new(),
        Scope::Clusters(names) => names.clone(),
        Scope::All => names_in(path)?,
    };
    let mut found = Vec::new();
    for folder in folders {
        let names = names_in(&path.join(&folder))?;
        let yaml = names.into_iter().filter(|name| Path::new(name).extension().is_some_and(|end| end == "yaml"));
        found.extend(yaml.map(|name| format!("{folder}/{name}")));
    }
    Ok(found)
}

/// The names in a folder; none where there is no such folder. What is no text was never written here.
fn names_in(folder: &Path) -> Result<Vec<String>> {
    let unread = |error| failed("could not be read", folder, error);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(error) => return Err(unread(error)),
    };
    let names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<std::io::Result<Vec<_>>>();
    Ok(names.map_err(unread)?.into_iter().filter_map(|name| name.into_string().ok()).collect())
}

/// Whether it is a file itself, and no link to one.
fn is_file(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(there.is_file()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(failed("could not be looked at", path, error)),
    }
}

/// Whether a file begins with some text: of somebody else's no more is read.
fn begins_with(path: &Path, text: &str) -> Result<bool> {
    use std::io::Read as _;
    let unread = |error| failed("could not be read", path, error);
    let mut beginning = Vec::new();
    let file = fs::File::open(path).map_err(unread)?;
    file.take(text.len() as u64).read_to_end(&mut beginning).map_err(unread)?;
    Ok(beginning == text.as_bytes())
}

pub(super) fn failed(what: &str, path: &Path, error: std::io::Error) -> Error {
    Error::failed(format!("{} {what}", path.display())).because(error)
}
