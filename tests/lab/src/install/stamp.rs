//! Installed programs, and what they were installed from.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use lab::{Context as _, Result};

/// Whether `program` was installed from exactly this. The stamp beside it holds all of it, so nothing needs hashing.
pub(super) fn is_current(program: &Path, made_from: &str) -> bool {
    program.is_file() && fs::read_to_string(stamp(program)).is_ok_and(|stamped| stamped == made_from)
}

/// Moves a finished program to its place, in such an order that a half-done move is never taken for a done one.
pub(super) fn put(new: &Path, program: &Path, made_from: &str) -> Result<()> {
    let put = || -> std::io::Result<()> {
        fs::set_permissions(new, fs::Permissions::from_mode(0o755))?;
        match fs::remove_file(stamp(program)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(new, program)?;
        let new_stamp = stamp(new);
        fs::write(&new_stamp, made_from)?;
        fs::rename(new_stamp, stamp(program))
    };
    put().context(|| format!("can't install {}", program.display()))
}

fn stamp(program: &Path) -> PathBuf {
    let mut name = program.as_os_str().to_owned();
    name.push(".stamp");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_current_until_its_source_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (new, program) = (folder.path().join("new"), folder.path().join("etcd"));
        assert!(!is_current(&program, "v1"));
        fs::write(&new, "program").unwrap();
        put(&new, &program, "v1").unwrap();
        assert!(is_current(&program, "v1"));
        assert!(!is_current(&program, "v2"));
        assert_eq!(fs::metadata(&program).unwrap().permissions().mode() & 0o777, 0o755);

        fs::write(&new, "program 2").unwrap();
        put(&new, &program, "v2").unwrap();
        assert!(is_current(&program, "v2"));
        assert!(!is_current(&program, "v1"));

        fs::remove_file(&program).unwrap();
        assert!(!is_current(&program, "v2"));
    }
}
