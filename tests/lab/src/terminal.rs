//! A terminal, as a program has it that somebody sits at.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// The side of a terminal where somebody reads and types.
#[derive(Debug)]
pub struct Terminal {
    side: File,
    name: PathBuf,
    shown: String,
}

impl Terminal {
    /// Opens one that no program has yet.
    ///
    /// # Errors
    /// When the system has none.
    pub fn open() -> io::Result<Self> {
        let side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&side)?;
        unlockpt(&side)?;
        let name = ptsname(&side, Vec::new())?;
        Ok(Self { side: side.into(), name: OsStr::from_bytes(name.as_bytes()).into(), shown: String::new() })
    }

    /// The side that a program reads from and writes to.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn line(&self) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(&self.name)
    }

    /// Types this.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn types(&mut self, text: &str) -> io::Result<()> {
        self.side.write_all(text.as_bytes())
    }

    /// Waits until this was shown.
    ///
    /// # Panics
    /// When every program has left the terminal before.
    pub fn shows(&mut self, words: &str) {
        while !self.shown.contains(words) {
            assert!(self.read(), "no {words:?} was shown:\n{}", self.shown);
        }
    }

    /// Waits until this was shown; whether it was before every program left the terminal.
    pub fn shows_at_last(&mut self, words: &str) -> bool {
        while !self.shown.contains(words) {
            if !self.read() {
                return false;
            }
        }
        true
    }

    /// All that was shown, once every program has left the terminal.
    pub fn all(mut self) -> String {
        while self.read() {}
        self.shown
    }

    /// Reads on; whether there is more to come. Once nobody has the other side, reading fails.
    fn read(&mut self) -> bool {
        let mut part = [0; 4096];
        match self.side.read(&mut part) {
            Ok(0) | Err(_) => false,
            Ok(length) => {
                self.shown += &String::from_utf8_lossy(&part[..length]).replace('\r', "");
                true
            }
        }
    }
}
