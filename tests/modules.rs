//! Cargo builds `main.rs` and what it names, so a file that nobody names would never be run: there is none.

use std::fs;
use std::path::{Path, PathBuf};

/// The Rust files below a folder. `lab` is a crate of its own, whose tests cargo finds.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().unwrap() != "lab" {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The file that has to name the module in this one, and the module's name.
fn named_by(tests: &Path, file: &Path) -> (PathBuf, String) {
    // `command/mod.rs` is the module `command`, as `command.rs` would be.
    let module = if file.file_name().unwrap() == "mod.rs" { file.parent().unwrap() } else { file };
    let folder = module.parent().unwrap();
    let parent = if folder == tests { tests.join("main.rs") } else { folder.with_extension("rs") };
    (parent, module.file_stem().unwrap().to_str().unwrap().to_owned())
}

#[test]
fn no_file_is_forgotten() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files: Vec<PathBuf> = files(&tests).into_iter().filter(|file| *file != tests.join("main.rs")).collect();
    assert!(files.len() > 60, "{files:?}");
    for file in files {
        let (parent, module) = named_by(&tests, &file);
        let code = fs::read_to_string(&parent).unwrap_or_default();
        let named = code.lines().any(|line| line.trim_start_matches("pub ") == format!("mod {module};"));
        assert!(named, "{} has no `mod {module};`: {} is never run", parent.display(), file.display());
    }
}
