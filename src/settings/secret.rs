//! Reading a secret from where the user says it is, without ever quoting it.

use std::io::IsTerminal;
use std::path::Path;

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::Origin;
use crate::error::{Error, Result};
use crate::input::{self, InputKind};

/// Reads a file, or standard input for `-`. `what` it holds and `named_by` which flag or variable are for errors.
///
/// # Errors
/// When it can't be read.
pub(super) fn read(path: &Path, what: &str, named_by: &'static str) -> Result<(Zeroizing<String>, Origin)> {
    if path != Path::new("-") {
        let text = read_file(path).map_err(|cause| unread(path, what, named_by).because(cause))?;
        return Ok((text, Origin::File { path: path.to_owned(), what: named_by }));
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Error::usage(format!(
            "{named_by} - reads the {what} from standard input, which is a terminal here"
        ))
        .remedy(format!("pipe the {what} in, or name a file")));
    }
    let text = input::read_from(stdin.lock(), input::SECRET)
        .and_then(input::text_of)
        .map_err(|cause| Error::usage(format!("the {what} could not be read from standard input")).because(cause))?;
    Ok((text, Origin::StandardInput))
}

fn unread(path: &Path, what: &str, named_by: &str) -> Error {
    // A JSON Web Token in the place of its file's name is a likely slip, and the error goes into a log.
    if path.to_string_lossy().starts_with("eyJ") {
        return Error::usage(format!("{named_by} holds the {what} itself, not the name of a file"))
            .remedy("write it to a file, or name the variable that it is in");
    }
    Error::usage(format!("the {what} file {} could not be read", path.display()))
}

/// The secret without the white space around it; `None` when nothing is left.
///
/// # Errors
/// One that can't be sent as a header, or that would be two: the text is not quoted.
pub(super) fn clean(text: &str, what: &str, origin: &Origin) -> Result<Option<SecretString>> {
    // A variable may have a byte order mark too, where a file was read into it.
    let secret = text.trim_start_matches('\u{feff}').trim();
    if secret.is_empty() {
        return Ok(None);
    }
    input::check(secret, InputKind::Token).map_err(|mistaken| mistaken.told_of(&origin.to_string()))?;
    if !secret.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Error::usage(format!(
            "what {origin} holds is not a {what}: white space or other characters are in it"
        ))
        .remedy(format!("give the {what} alone, on one line")));
    }
    Ok(Some(SecretString::from(secret)))
}

/// A token that a configuration names by its file.
///
/// # Errors
/// When it can't be read, is empty, or can't be sent.
pub(crate) fn in_file(path: &Path, what: &str) -> Result<SecretString> {
    let origin = Origin::File { path: path.to_owned(), what: "token" };
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(Error::usage(format!(
            "{} is no file, and the {what} is read from it more than once",
            path.display()
        ))
        .remedy("write it to a file that only you may read, or name the variable that it is in"));
    }
    let text = read_file(path).map_err(|cause| unread(path, what, "file").because(cause))?;
    held(&text, what, &origin)
}

/// A token that a configuration names by the variable of the environment that has it.
///
/// # Errors
/// When it isn't set, is empty, or can't be sent.
pub(crate) fn in_variable(name: &str, what: &str) -> Result<SecretString> {
    let origin = Origin::Variable(name.to_owned());
    let text = std::env::var(name).map(Zeroizing::new).map_err(|_| {
        Error::usage(format!("the {what} is to come from ${name}, which is not set"))
            .remedy(format!("set {name} to the {what}"))
    })?;
    held(&text, what, &origin)
}

fn held(text: &str, what: &str, origin: &Origin) -> Result<SecretString> {
    clean(text, what, origin)?.ok_or_else(|| {
        Error::usage(format!("{origin} holds no {what}: there is nothing in it"))
            .remedy(format!("put the {what} there"))
    })
}

pub(super) fn read_file(path: &Path) -> std::io::Result<Zeroizing<String>> {
    input::read_secret(path, input::SECRET)
}
