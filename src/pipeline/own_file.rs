//! Documents of this program in files that only their owner may read: nothing of somebody else's is written over, and nothing half-written
//! is left.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::document::{API_VERSION, Head};
use crate::error::{Error, Result};
use crate::input;
use crate::limit::Limit;

/// A kind of document that is saved, and the words about it.
#[derive(Debug, Clone, Copy)]
pub struct OwnKind {
    /// Its `kind`.
    pub kind: &'static str,
    /// What it is called while it is made: `plan`.
    pub name: &'static str,
    /// What it is once it is there: `saved plan`.
    pub what: &'static str,
    /// The flag that names its file.
    pub flag: &'static str,
    /// What may be done in place of saving it, where there is something.
    pub instead: Option<&'static str>,
    /// How much of one is read.
    pub limit: Limit,
}

impl OwnKind {
    /// Refuses a file that is the configuration, or anything else that isn't such a document.
    ///
    /// # Errors
    /// When that is what the file is.
    pub fn check(&self, file: &Path, configuration: &[PathBuf]) -> Result<()> {
        let same =
            |other: &PathBuf| matches!((file.canonicalize(), other.canonicalize()), (Ok(one), Ok(two)) if one == two);
        if configuration.iter().any(same) {
            return Err(self.refused(
                format!("{} is the configuration itself", file.display()),
                &format!("name another file with {}", self.flag),
            ));
        }
        self.keep_others(file)
    }

    fn refused(&self, why: String, remedy: &str) -> Error {
        Error::usage(why).remedy(match self.instead {
            Some(instead) => format!("{remedy}, or {instead}"),
            None => remedy.to_owned(),
        })
    }

    /// Such a document is made anew, and an empty file has nothing to lose; whatever else a slip of the pen names is somebody's.
    fn keep_others(&self, file: &Path) -> Result<()> {
        let Ok(there) = fs::symlink_metadata(file) else { return Ok(()) };
        if !there.is_file() {
            return Err(self.refused(format!("{} is not a plain file", file.display()), "name a file"));
        }
        if there.len() == 0 || input::read_text(file, self.limit).is_ok_and(|text| self.is_one(&text)) {
            return Ok(());
        }
        Err(Error::usage(format!("{} is there already and is no {}", file.display(), self.what))
            .remedy(format!("name another file with {}, or move that one away if it isn't needed", self.flag)))
    }

    /// Whether a text is such a document of this program, of whatever version.
    fn is_one(&self, text: &str) -> bool {
        let Ok(Head { api_version, kind }) = serde_json::from_str(text) else { return false };
        kind == self.kind && api_version.split('/').next() == API_VERSION.split('/').next()
    }
}

/// A file that takes its place once it is whole.
///
/// It says who may do what. A new file takes the old one's place, so neither a link nor looser permissions are followed.
#[derive(Debug)]
pub struct Draft {
    kind: OwnKind,
    file: PathBuf,
    new: PathBuf,
    out: File,
    is_whole: bool,
}

impl Draft {
    /// Begins one, beside the place that it will take.
    ///
    /// # Errors
    /// Of the file system.
    pub fn begin(kind: OwnKind, file: &Path) -> io::Result<Self> {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let new = PathBuf::from(name);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let out = options.open(&new)?;
        Ok(Self { kind, file: file.to_owned(), new, out, is_whole: false })
    }

    /// Writes it, and lets it take its place.
    ///
    /// # Errors
    /// When it can't be written, or what is at its place now is somebody's.
    pub fn finish(mut self, text: &str) -> Result<()> {
        let Self { kind, file, new, out, is_whole } = &mut self;
        kind.keep_others(file)?;
        let written =
            out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).and_then(|()| fs::rename(new, &*file));
        *is_whole = written.is_ok();
        written.map_err(|error| {
            Error::failed(format!("the {} could not be saved to {}", kind.name, file.display())).because(error)
        })
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_whole {
            // What is left of it is of no use; that it failed is told.
            let _not_there = fs::remove_file(&self.new);
        }
    }
}
