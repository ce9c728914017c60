//! `docs/reliability.md` names the test of each kind of false green and false alarm: those tests are there.

use std::fs;
use std::path::Path;

/// All that stands in the Rust files of a suite or a module: in `NAME.rs`, and in the folder of that name.
fn code_of(name: &Path) -> String {
    let mut text = fs::read_to_string(name.with_extension("rs")).unwrap_or_default();
    if name.is_dir() {
        sources(name, &mut text);
    }
    text
}

/// All that stands in the Rust files below a folder.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_is_named_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/reliability.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 30);
    for row in rows {
        let names: Vec<&str> = row.split('`').filter(|text| text.contains("::")).collect();
        assert!(!names.is_empty(), "no test holds {row}");
        for name in names {
            let (place, test) = name.split_once("::").unwrap();
            let code = code_of(&root.join("tests").join(place)) + &code_of(&root.join("src").join(place));
            assert!(!code.is_empty(), "{name} is of no suite and no module");
            assert!(code.contains(&format!("fn {test}(")), "docs/reliability.md names {name}, which is not there");
        }
    }
}
