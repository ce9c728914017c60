//! `--capture FILE` and `--from FILE`: a run of `verify-role` in a file.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::error::{Error, Result};
use crate::pipeline::{Draft, OwnKind};
use crate::verify::{CAPTURE_KIND, Capture, MOST_BYTES_OF_A_CAPTURE};

/// Captures in files.
const CAPTURE: OwnKind =
    OwnKind { kind: CAPTURE_KIND, name: "capture", what: "capture of verify-role", flag: "--capture", instead: None };

/// What makes one.
const MAKE: &str = "`vaultk8s verify-role … --capture FILE`";

/// Begins the file, before anybody is asked: a run whose capture has no place need not be made.
///
/// # Errors
/// Wrong usage, where the file is somebody else's or can't be written.
pub(super) fn begin(file: &Path, configuration: Option<&Path>) -> Result<Draft> {
    CAPTURE.check(file, configuration)?;
    Draft::begin(CAPTURE, file).map_err(|error| {
        Error::usage(format!("the capture could not be saved to {}, so nothing was looked at", file.display()))
            .because(error)
            .remedy("name a file in a folder that is there and may be written to")
    })
}

/// Reads the file.
///
/// # Errors
/// Wrong usage, where it can't be read, or is no capture of this version.
pub(super) fn read(file: &Path) -> Result<Capture> {
    let name = file.display().to_string();
    let unreadable = |error| {
        Error::usage(format!("the capture {name} could not be read"))
            .because(error)
            .remedy(format!("make one with {MAKE}"))
    };
    let too_large = || {
        Error::usage(format!("{name} has more than {} MiB: no capture is so large", MOST_BYTES_OF_A_CAPTURE >> 20))
            .remedy(format!("name a file that {MAKE} wrote"))
    };
    let open = File::open(file).map_err(unreadable)?;
    if open.metadata().map_err(unreadable)?.len() > MOST_BYTES_OF_A_CAPTURE {
        return Err(too_large());
    }
    let mut text = String::new();
    // What is no plain file has no length before it is read.
    open.take(MOST_BYTES_OF_A_CAPTURE + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > MOST_BYTES_OF_A_CAPTURE {
        return Err(too_large());
    }
    Capture::read(&text, &name)
}
