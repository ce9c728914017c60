//! Cargo builds `main.rs` and what it names, so a file that nobody names would never be run: there is none.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

/// The Rust files below a folder, without those of crates of their own, whose tests cargo finds.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.join("Cargo.toml").exists() {
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
const LAYERS: [&str; 34] = [
    "error",
    "text",
    "document",
    "limit",
    "hcl",
    "interrupt",
    "progress",
    "names",
    "fix",
    "input",
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
    "reach",
    "cluster",
    "vault",
    "observe",
    "apply",
    "verify",
    "ui",
    "show",
    "operator",
    "pipeline",
    "rehearse",
    "cli",
    "lib",
];

/// Those that ask nobody, neither a server nor a cluster nor the machine, and need none but each other.
const PURE: [&str; 17] = [
    "error",
    "text",
    "document",
    "limit",
    "hcl",
    "names",
    "fix",
    "policy",
    "keys",
    "ownership",
    "model",
    "claims",
    "config",
    "desired",
    "access",
    "plan",
    "render",
];

/// What asks, or needs what asks.
const ASKING: [&str; 16] = [
    ".await",
    "async ",
    "futures::",
    "hyper::",
    "kube::",
    "reqwest::",
    "tokio::",
    "Command::new",
    "TcpStream",
    "UdpSocket",
    "env::var",
    "fs::",
    "Instant::now",
    "SystemTime::now",
    "Timestamp::now",
    "std::thread",
];

/// The code of a file without comments and unit tests.
fn code(file: &Path) -> String {
    if file.file_name().unwrap() == "tests.rs" {
        return String::new();
    }
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
        for name in needed_modules(&code(file)) {
            let needed = layer(&name).unwrap();
            assert!(needed <= own, "{} needs {name}, which is above {module}", file.display());
        }
    }
}

/// The modules at the top that a file needs.
fn needed_modules(code: &str) -> impl Iterator<Item = String> {
    let name = |text: &str| text.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
    code.split("crate::").skip(1).map(name).filter(|name: &String| LAYERS.contains(&name.as_str()))
}

#[test]
fn what_is_pure_asks_nobody() {
    for (module, file) in library().iter().filter(|(module, _)| PURE.contains(&module.as_str())) {
        let code = code(file);
        for word in ASKING {
            assert!(!code.contains(word), "{module} asks nobody, and {} has {word}", file.display());
        }
        for needed in needed_modules(&code) {
            assert!(PURE.contains(&needed.as_str()), "{module} asks nobody, and {} needs {needed}", file.display());
        }
    }
}

/// Names that two types have, each with the reason why none of them has another one.
const TWICE: [(&str, &str); 1] = [("Signals", "one for each kind of system, of which only one is ever compiled")];

/// The type that a line declares for more than its own file.
fn declared(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let line = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub "))?;
    let name = ["struct ", "enum ", "trait ", "type ", "union "].iter().find_map(|kind| line.strip_prefix(kind))?;
    name.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

#[test]
fn no_name_means_two_things() {
    let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (_, file) in library() {
        for name in code(&file).lines().filter_map(declared) {
            places.entry(name.to_owned()).or_default().push(file.clone());
        }
    }
    assert!(places.len() > 200, "{places:?}");
    let allowed = |name: &str| TWICE.iter().any(|(twice, _)| *twice == name);
    let twice: Vec<_> = places.iter().filter(|(name, files)| files.len() > 1 && !allowed(name)).collect();
    assert!(twice.is_empty(), "rename all but one of each, so that the name says what it is: {twice:#?}");
    for (name, why) in TWICE {
        assert!(
            places.get(name).is_some_and(|files| files.len() > 1),
            "{name} is there once: {why} is no reason any more"
        );
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

/// Reads a path, or a tree of them, as `use` has it, and adds each to what was found. Answers with what comes after it.
fn read_paths<'a>(mut path: Vec<&'a str>, text: &'a str, found: &mut Vec<Vec<&'a str>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut tree) = text.strip_prefix('{') {
        loop {
            tree = read_paths(path.clone(), tree, found).trim_start();
            match tree.strip_prefix(',') {
                Some(more) => tree = more,
                None => return tree.strip_prefix('}').unwrap_or(tree),
            }
        }
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    path.push(name);
    if let Some(rest) = rest.strip_prefix("::") {
        return read_paths(path, rest, found);
    }
    found.push(path);
    match rest.trim_start().strip_prefix("as ") {
        Some(other) => other.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'),
        None => rest,
    }
}

/// The modules that a module needs: those that its paths lead to, as far as these go by modules.
fn needs<'m>(module: &str, code: &str, modules: &'m BTreeMap<String, String>) -> BTreeSet<&'m str> {
    let mut paths = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start).filter(|(at, _)| !code[..*at].ends_with("::")) {
            read_paths(Vec::new(), &code[at..], &mut paths);
        }
    }
    let resolved = paths.into_iter().filter_map(|path| {
        let mut place: Vec<&str> = if path[0] == "crate" { Vec::new() } else { module.split("::").collect() };
        for name in path {
            match name {
                "crate" | "self" => {}
                "super" => drop(place.pop()),
                name => place.push(name),
            }
        }
        let prefixes = (1..=place.len()).rev().map(|length| place[..length].join("::"));
        prefixes.into_iter().find_map(|prefix| Some(modules.get_key_value(&prefix)?.0.as_str()))
    });
    // A module and what is inside it are one.
    let inside = |one: &str, other: &str| one == other || one.starts_with(&format!("{other}::"));
    resolved.filter(|needed| !inside(needed, module) && !inside(module, needed)).collect()
}

/// The way from a module over what it needs back to itself, if there is one.
fn circle<'m>(module: &'m str, needs: &BTreeMap<&'m str, BTreeSet<&'m str>>) -> Option<Vec<&'m str>> {
    let (mut ways, mut seen) = (VecDeque::from([vec![module]]), BTreeSet::new());
    while let Some(way) = ways.pop_front() {
        for needed in &needs[way[way.len() - 1]] {
            let further: Vec<&str> = way.iter().chain([needed]).copied().collect();
            if *needed == module {
                return Some(further);
            }
            if seen.insert(*needed) {
                ways.push_back(further);
            }
        }
    }
    None
}

#[test]
fn no_two_files_need_each_other() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let module = |file: &Path| {
        let path = file.strip_prefix(&src).unwrap().with_extension("");
        path.to_str().unwrap().trim_end_matches("/mod").replace('/', "::")
    };
    let modules: BTreeMap<String, String> =
        library().iter().map(|(_, file)| (module(file), code(file))).filter(|(module, _)| module != "lib").collect();
    let needs: BTreeMap<&str, BTreeSet<&str>> =
        modules.iter().map(|(module, code)| (module.as_str(), needs(module, code, &modules))).collect();
    // Were paths read wrongly, there would be few.
    assert!(needs.values().map(BTreeSet::len).sum::<usize>() > 1000, "{needs:?}");
    let circles: Vec<String> =
        modules.keys().filter_map(|module| Some(circle(module, &needs)?.join(" needs "))).collect();
    assert!(circles.is_empty(), "files that need each other:\n{}", circles.join("\n"));
}
