//! `--capture FILE` and `--from FILE`: a run of `verify-role` in a file.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fix::vaultk8s;
use crate::input::{self, InputKind};
use crate::limit::Meter;
use crate::pipeline::{Draft, OwnKind};
use crate::verify::{CAPTURE_KIND, Capture};

/// Captures in files.
const CAPTURE: OwnKind = OwnKind {
    kind: CAPTURE_KIND,
    name: "capture",
    what: "capture of verify-role",
    flag: "--capture",
    instead: None,
    limit: input::CAPTURE,
};

/// What makes one.
fn make() -> String {
    vaultk8s("verify-role … --capture FILE").shown()
}

/// Begins the file, before anybody is asked: a run whose capture has no place need not be made.
///
/// # Errors
/// Wrong usage, where the file is somebody else's or can't be written.
pub(super) fn begin(file: &Path, configuration: &[PathBuf]) -> Result<Draft> {
    CAPTURE.check(file, configuration)?;
    Draft::begin(CAPTURE, file).map_err(|error| {
        Error::usage(format!("the capture could not be saved to {}, so nothing was looked at", file.display()))
            .because(error)
            .remedy("name a file in a folder that is there and may be written to")
    })
}

/// Writes the file, unless nobody could read it again.
///
/// # Errors
/// When it is too large, or can't be written.
pub(super) fn finish(draft: Draft, text: &str) -> Result<()> {
    within_limits(text).map_err(|error| {
        Error::failed("nothing was captured").because(error).remedy("name fewer roles, or fewer checks (--only)")
    })?;
    draft.finish(text)
}

/// Reads the file.
///
/// # Errors
/// Wrong usage, where it can't be read, or is no capture of this version.
pub(super) fn read(file: &Path) -> Result<Capture> {
    let name = file.display().to_string();
    let text = input::read_text(file, input::CAPTURE).and_then(|text| within_limits(&text).map(|()| text));
    let text = text.map_err(|error| {
        Error::usage(format!("the capture {name} could not be read"))
            .because(error)
            .remedy(format!("name a file that {} wrote", make()))
    })?;
    input::check(&text, InputKind::OwnDocument).map_err(|mistaken| mistaken.told_of(&name))?;
    Capture::read(&text, &name)
}

fn within_limits(text: &str) -> io::Result<()> {
    Meter::new(input::CAPTURE).take(text.as_bytes())
}
