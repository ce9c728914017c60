//! Several files as one: their lists one after the other, and what there is once in one of them, or the same in all.

use std::path::{Component, Path, PathBuf};

use super::diagnostic::Problems;
use super::entry::{Entry, Item};
use super::fields::FILE;
use super::files::ConfigFiles;

/// The entries of all files as that of one.
pub(super) fn merged(entries: Vec<Entry>, files: &ConfigFiles, problems: &mut Problems) -> Option<Entry> {
    let mut entries = entries.into_iter();
    let mut all = entries.next()?;
    for entry in entries {
        for (name, (at, item)) in entry.items {
            let Some((first, there)) = all.items.get_mut(name) else {
                all.items.insert(name, (at, item));
                continue;
            };
            let folders = [files.folder_of(*first), files.folder_of(at)];
            match (there, item) {
                (Item::Sections(there, complete), Item::Sections(more, more_complete)) => {
                    there.extend(more);
                    *complete &= more_complete;
                }
                // It was reported.
                (Item::Broken, _) => {}
                (there, Item::Broken) => *there = Item::Broken,
                (there, item) if same(there, &item, folders) => {}
                (there, item) if name == "kv" && same_mount(there, &item) => {}
                _ => problems.add(
                    at,
                    format!(
                        "`{name}` is something else on {}, and a configuration of several files has one",
                        files.line(*first, at)
                    ),
                    format!("write `{name}` in one of the two files, or the same in both"),
                ),
            }
        }
    }
    debug_assert_eq!(all.section.what, FILE.what);
    Some(all)
}

/// Whether two values are the same wherever they are written; files that they name are beside the file that names them.
fn same(one: &Item, other: &Item, folders: [&Path; 2]) -> bool {
    match (one, other) {
        (Item::Text(one), Item::Text(other)) => one.value == other.value,
        (Item::Texts(one), Item::Texts(other)) => {
            one.iter().map(|text| &text.value).eq(other.iter().map(|text| &text.value))
        }
        (Item::Flag(one), Item::Flag(other)) => one.value == other.value,
        (Item::Number(one), Item::Number(other)) => one.value == other.value,
        (Item::Section(one), Item::Section(other)) => {
            one.items.keys().eq(other.items.keys())
                && one.items.iter().zip(&other.items).all(|((name, (_, one)), (_, (_, other)))| match (one, other) {
                    (Item::Text(one), Item::Text(other)) if *name == "caCert" => {
                        plain(&folders[0].join(&one.value)) == plain(&folders[1].join(&other.value))
                    }
                    _ => same(one, other, folders),
                })
        }
        _ => false,
    }
}

/// A path without `.` and without `..` behind a folder's name.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

/// Whether two values name the same KV mount, one in a word and the other in a section, and neither makes it.
fn same_mount(one: &Item, other: &Item) -> bool {
    fn named(item: &Item) -> Option<&str> {
        match item {
            Item::Text(mount) => Some(&mount.value),
            Item::Section(section) if !section.is_set("create") => {
                section.text("mount").map(|mount| mount.value.as_str())
            }
            _ => None,
        }
    }
    named(one).is_some_and(|mount| named(other) == Some(mount))
}
