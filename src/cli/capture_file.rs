//! `--capture FILE` and `--from FILE`: a run of `verify-role` in a file.

use std::path::Path;

use crate::error::{Error, Result};
use crate::input;
use crate::pipeline::{Draft, OwnKind};
use crate::verify::{CAPTURE_KIND, Capture};

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
    let text = input::read_text(file, input::CAPTURE).map_err(|error| {
        Error::usage(format!("the capture {name} could not be read"))
            .because(error)
            .remedy(format!("name a file that {MAKE} wrote"))
    })?;
    if input::has_too_many_values(text.as_bytes()) {
        return Err(Error::usage(format!("{name} has more than {} values: no capture is so large", input::VALUES))
            .remedy(format!("name a file that {MAKE} wrote")));
    }
    Capture::read(&text, &name)
}
