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

/// The modules of the library from the bottom up: each needs none but those before it.
const LAYERS: [&str; 27] = [
    "error",
    "input",
    "interrupt",
    "ui",
    "names",
    "fix",
    "policy",
    "keys",
    "ownership",
    "model",
    "claims",
    "config",
    "settings",
    "desired",
    "access",
    "plan",
    "render",
    "cluster",
    "vault",
    "operator",
    "observe",
    "apply",
    "verify",
    "pipeline",
    "rehearse",
    "cli",
    "lib",
];

/// Those that ask nobody: neither a server nor a cluster.
const PURE: [&str; 11] =
    ["names", "policy", "keys", "ownership", "model", "claims", "config", "desired", "access", "plan", "render"];

/// The code of a file without comments and unit tests.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    lines.join("\n")
}

/// The library's files, each with the module at the top in which it is.
fn library() -> Vec<(String, PathBuf)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let module = |file: &Path| {
        let first = file.strip_prefix(&src).unwrap().components().next().unwrap().as_os_str().to_str().unwrap();
        first.trim_end_matches(".rs").to_owned()
    };
    files(&src).into_iter().map(|file| (module(&file), file)).filter(|(module, _)| module != "main").collect()
}

#[test]
fn no_module_needs_one_above_it() {
    let library = library();
    assert!(library.len() > 200, "{}", library.len());
    let layer = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    for (module, file) in &library {
        let own = layer(module).unwrap_or_else(|| panic!("{module} has no place in the layers"));
        for reference in code(file).split("crate::").skip(1) {
            let name: String = reference.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            let Some(needed) = layer(&name) else { continue };
            assert!(needed <= own, "{} needs {name}, which is above {module}", file.display());
        }
    }
}

#[test]
fn what_is_pure_asks_nobody() {
    for (module, file) in library().iter().filter(|(module, _)| PURE.contains(&module.as_str())) {
        let code = code(file);
        for word in [".await", "async ", "tokio::", "reqwest::", "kube::", "Timestamp::now", "SystemTime::now"] {
            assert!(!code.contains(word), "{module} asks nobody, and {} has {word}", file.display());
        }
    }
}

/// What begins a command with arguments, whoever prints it.
const COMMANDS: [&str; 12] = [
    "kubectl ",
    "vault write",
    "vault read",
    "vault policy",
    "vault auth",
    "vault kv",
    "vault secrets",
    "vault operator",
    "vault list",
    "bao ",
    "openssl s_client",
    "curl -",
];

/// The texts of a line of code.
fn literals(line: &str) -> impl Iterator<Item = &str> {
    line.split('"').skip(1).step_by(2)
}

#[test]
fn every_command_that_is_printed_is_made_in_one_module() {
    let elsewhere = library().into_iter().filter(|(module, _)| module != "fix");
    let mut found = Vec::new();
    for (module, file) in elsewhere.filter(|(_, file)| !file.ends_with("tests.rs")) {
        for line in code(&file).lines() {
            let own = |text: &str| {
                let words = text.split("`vaultk8s ").skip(1).map(|after| after.split('`').next().unwrap_or_default());
                // The name of a command is none: what is run has a file, a mount or a context.
                words.into_iter().any(|words| module == "verify" || words.contains(' '))
            };
            let is_command = |text: &str| own(text) || COMMANDS.iter().any(|start| text.contains(start));
            found.extend(
                literals(line).filter(|text| is_command(text)).map(|text| format!("{}: {text}", file.display())),
            );
        }
    }
    assert!(found.is_empty(), "a command is made of typed values in `fix`:\n{}", found.join("\n"));
}
