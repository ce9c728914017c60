//! `docs/reliability.md` names the test of each kind of false green and false alarm, and other pages name tests too: those are there.

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

/// What is wrong with the name of a test, `SUITE::TEST` or `MODULE::TEST`, that a page has: nothing, if the test is there.
fn missing(name: &str) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (place, test) = name.split_once("::").unwrap();
    let code = code_of(&root.join("tests").join(place)) + &code_of(&root.join("src").join(place));
    if code.is_empty() {
        return Some(format!("{name} is of no suite and no module"));
    }
    (!code.contains(&format!("fn {test}("))).then(|| format!("{name} is not there"))
}

/// The rows of a page's tables, each with the tests that it names.
fn rows(page: &str) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page)).unwrap();
    let names = |row: &str| row.split('`').filter(|text| text.contains("::")).map(String::from).collect();
    text.lines().filter(|line| line.starts_with("| ")).map(|row| (row.to_owned(), names(row))).collect()
}

#[test]
fn every_test_that_is_named_is_there() {
    let rows = rows("reliability.md").split_off(1);
    assert!(rows.len() > 30);
    for (row, names) in rows {
        assert!(!names.is_empty(), "no test holds {row}");
        assert_eq!(names.iter().filter_map(|name| missing(name)).collect::<Vec<_>>(), Vec::<String>::new());
    }
}

#[test]
fn every_test_that_another_page_names_is_there() {
    for page in ["recipes.md", "compatibility.md"] {
        let names: Vec<String> = rows(page).into_iter().flat_map(|(_, names)| names).collect();
        assert!(!names.is_empty(), "{page}");
        assert_eq!(names.iter().filter_map(|name| missing(name)).collect::<Vec<_>>(), Vec::<String>::new(), "{page}");
    }
}
