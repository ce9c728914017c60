//! The pages lead somewhere: each link to a file of the repository, or to a heading of one, has its end there; and each
//! decision stands once on its page and once in the table.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The pages below a folder.
fn pages_below(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let pages = files.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.chain(folders.iter().flat_map(|folder| pages_below(folder))).collect()
}

/// A page without what stands in fenced blocks.
fn prose(page: &Path) -> String {
    let text = fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    text.split("```").step_by(2).collect()
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
    kept.replace(' ', "-")
}

/// The headings of a page, without their marks.
fn headings(page: &Path) -> Vec<String> {
    let lines = prose(page);
    let heading = |line: &str| line.starts_with('#').then(|| line.trim_start_matches('#').trim().to_owned());
    lines.lines().filter_map(heading).collect()
}

/// Where the links of a page lead, other sites apart.
fn links(page: &Path) -> Vec<String> {
    let text = prose(page);
    let ends = text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()));
    ends.filter(|end| !end.contains("://")).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let pages: Vec<PathBuf> = pages_below(&root().join("docs")).into_iter().chain([root().join("README.md")]).collect();
    let mut looked_at = 0;
    for page in &pages {
        for link in links(page) {
            looked_at += 1;
            let (file, heading) = link.split_once('#').map_or((link.as_str(), None), |(file, to)| (file, Some(to)));
            let end = if file.is_empty() { page.clone() } else { page.parent().unwrap().join(file) };
            assert!(end.exists(), "{}: {link} is not there", page.display());
            if let Some(heading) = heading {
                let there = headings(&end).iter().any(|text| anchor(text) == heading);
                assert!(there, "{}: {link} is no heading of that page", page.display());
            }
        }
    }
    assert!(looked_at > 80, "{looked_at} links on {} pages", pages.len());
}

/// The number that a heading such as `12. A title` begins with, and all of it.
fn numbered(heading: &str) -> Option<(usize, &str)> {
    Some((heading.split_once(". ")?.0.parse().ok()?, heading))
}

#[test]
fn every_decision_has_a_row_a_date_and_a_number_of_its_own() {
    let folder = root().join("docs/decisions");
    let (index, pages): (Vec<_>, Vec<_>) =
        pages_below(&folder).into_iter().partition(|page| page.ends_with("README.md"));
    let table = fs::read_to_string(&index[0]).unwrap();
    let mut rows: BTreeSet<String> =
        table.lines().filter(|line| line.starts_with("| ")).skip(1).map(String::from).collect();
    let mut numbers = BTreeSet::new();
    for page in &pages {
        let text = fs::read_to_string(page).unwrap();
        for heading in headings(page) {
            let Some((number, heading)) = numbered(&heading) else { continue };
            let record = text.split_once(&format!("## {heading}\n\n")).unwrap().1;
            let record = record.split("\n## ").next().unwrap();
            let date = record.lines().next().unwrap();
            assert!(date.starts_with("20") && record.contains("- **Decision**: "), "{}: {heading}", page.display());
            assert!(numbers.insert(number), "two decisions have the number {number}");
            let title = heading.split_once(". ").unwrap().1;
            let name = page.file_name().unwrap().to_str().unwrap();
            let row = format!("| {number} | {date} | [{title}]({name}#{}) |", anchor(heading));
            assert!(rows.remove(&row), "docs/decisions/README.md lacks the row\n{row}");
        }
    }
    assert!(rows.is_empty(), "these decisions are on no page: {rows:#?}");
    assert!(numbers.iter().copied().eq(1..=numbers.len()), "a number is left out: {numbers:?}");
}
