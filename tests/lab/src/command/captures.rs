use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use lab::{Context as _, Result, STATE_VARIABLE};

use super::test::code_of;
use crate::{signals, workspace};

/// Where the entries write their captures, instead of comparing them with those that are kept.
const VARIABLE: &str = "VAULTK8S_CAPTURES";

/// `cargo lab captures`
pub(crate) fn captures(filters: &[OsString]) -> Result<ExitCode> {
    let fresh = workspace::root().join("target").join("captures");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).context(|| format!("can't empty {}", fresh.display()))?;
    }
    fs::create_dir_all(&fresh).context(|| format!("can't make {}", fresh.display()))?;
    let running = super::start()?;
    let signals = signals::catch()?;
    let mut cargo = workspace::cargo();
    cargo.args(["test", "--package", "vaultk8s", "--test", "integration", "--"]);
    if filters.is_empty() {
        // What is healthy has no entry.
        cargo.args(["catalogue::", "--skip", "catalogue::healthy::"]);
    }
    cargo.args(filters).env(STATE_VARIABLE, running.state_file()).env(VARIABLE, &fresh);
    workspace::isolate(&mut cargo);
    let code = code_of(&running, &cargo, &signals)?;
    if code != 0 {
        return Ok(ExitCode::from(code));
    }
    take_over(&fresh, &workspace::root().join("testdata").join("captures"), filters.is_empty())?;
    Ok(ExitCode::SUCCESS)
}

/// Takes what was made in place of what is kept, where it differs in more than what differs each time. Of all that could be made, what was
/// not made this time is of no entry any more.
fn take_over(fresh: &Path, kept: &Path, all: bool) -> Result<()> {
    let made = files(fresh)?;
    for file in &made {
        let (new, old) = (fresh.join(file), kept.join(file));
        let text = fs::read_to_string(&new).context(|| format!("can't read {}", new.display()))?;
        if fs::read_to_string(&old).is_ok_and(|old| masked(&old) == masked(&text)) {
            continue;
        }
        fs::create_dir_all(kept).context(|| format!("can't make {}", kept.display()))?;
        fs::write(&old, text).context(|| format!("can't write {}", old.display()))?;
    }
    if all && kept.exists() {
        for file in files(kept)?.iter().filter(|file| !made.contains(file)) {
            let gone = kept.join(file);
            fs::remove_file(&gone).context(|| format!("can't remove {}", gone.display()))?;
        }
    }
    Ok(())
}

/// The names of the files in a folder.
fn files(folder: &Path) -> Result<Vec<OsString>> {
    let unread = || format!("can't list {}", folder.display());
    let entries = fs::read_dir(folder).context(unread)?;
    entries.map(|entry| Ok(entry.context(unread)?.file_name())).collect()
}

/// A text without digits, and without what looks like a key, an id or a hash.
fn masked(text: &str) -> String {
    let in_word = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|c| in_word(c) != in_word(first)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(length);
        rest = after;
        let has_digit = part.contains(|c: char| c.is_ascii_digit());
        if in_word(first) && has_digit && (part.len() >= 20 || is_hex(part)) {
            out.push('#');
        } else {
            out.extend(part.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }));
        }
    }
    out
}

/// Whether a word is the end of a hash, or a whole one.
fn is_hex(word: &str) -> bool {
    word.len() >= 8 && word.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_each_time_is_no_difference() {
        let one = r#"{"began":"2026-11-28T09:00:01Z","iss":"https://127.0.0.1:40001","uid":"0d0c3d3e-0b0a-4f4e-8d8c-1a2b3c4d5e6f","role":"r-app"}"#;
        let other = r#"{"began":"2027-01-01T10:10:10Z","iss":"https://127.0.0.1:39999","uid":"7e7c3d3e-aaaa-4f4e-8d8c-ffffffffff00","role":"r-app"}"#;
        assert_eq!(masked(one), masked(other));
        assert_ne!(masked(one), masked(&one.replace("r-app", "r-ap")));
    }

    #[test]
    fn only_what_differs_is_taken_over_and_what_no_entry_has_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (fresh, kept) = (folder.path().join("fresh"), folder.path().join("kept"));
        fs::create_dir(&fresh).unwrap();
        fs::create_dir(&kept).unwrap();
        for (name, old, new) in [("same", "at 1", "at 2"), ("other", "at 1", "on 1")] {
            fs::write(kept.join(name), old).unwrap();
            fs::write(fresh.join(name), new).unwrap();
        }
        fs::write(kept.join("gone"), "x").unwrap();
        fs::write(fresh.join("new"), "x").unwrap();
        take_over(&fresh, &kept, false).unwrap();
        assert_eq!(files(&kept).unwrap().len(), 4);
        take_over(&fresh, &kept, true).unwrap();
        let text = |name: &str| fs::read_to_string(kept.join(name)).unwrap_or_default();
        assert_eq!(["same", "other", "new", "gone"].map(text), ["at 1", "on 1", "x", ""]);
    }
}
