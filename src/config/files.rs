//! The files of a configuration: one, or several that are read as one.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Position;

/// The files of a configuration, in the order in which they were named. None where it was made of flags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct ConfigFiles(Vec<PathBuf>);

/// A document has one file as a text, as all had when there was only one.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

impl From<Written> for ConfigFiles {
    fn from(written: Written) -> Self {
        match written {
            Written::One(file) => Self(vec![file]),
            Written::Several(files) => Self(files),
        }
    }
}

impl From<ConfigFiles> for Written {
    fn from(ConfigFiles(mut files): ConfigFiles) -> Self {
        match files.len() {
            1 => Self::One(files.remove(0)),
            _ => Self::Several(files),
        }
    }
}

impl From<&Path> for ConfigFiles {
    fn from(file: &Path) -> Self {
        Self(vec![file.to_owned()])
    }
}

impl From<Vec<PathBuf>> for ConfigFiles {
    fn from(files: Vec<PathBuf>) -> Self {
        Self(files)
    }
}

impl ConfigFiles {
    /// All of them.
    pub fn all(&self) -> &[PathBuf] {
        &self.0
    }

    /// Whether a place needs the name of its file to be found.
    pub fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    /// The file that a place is in; empty where there is none.
    pub fn of(&self, at: Position) -> &Path {
        self.0.get(usize::from(at.file)).or(self.0.first()).map_or(Path::new(""), PathBuf::as_path)
    }

    /// The folder that the files are relative to which are named in this one.
    pub fn folder_of(&self, at: Position) -> &Path {
        self.of(at).parent().unwrap_or_else(|| Path::new(""))
    }

    /// The folder that all of them are in, or below.
    pub fn folder(&self) -> &Path {
        let mut folders = self.0.iter().filter_map(|file| file.parent());
        let Some(first) = folders.next() else { return Path::new("") };
        folders.fold(first, |common, folder| {
            common.ancestors().find(|above| folder.starts_with(above)).unwrap_or_else(|| Path::new(""))
        })
    }

    /// A place as errors begin with it: `vaultk8s.yaml:12:5`.
    pub fn place(&self, at: Position) -> String {
        format!("{}:{}:{}", self.of(at).display(), at.line, at.column)
    }

    /// A line as a message about another place names it: with its file, where that is another one.
    pub(super) fn line(&self, of: Position, seen_from: Position) -> String {
        if of.file == seen_from.file {
            format!("line {}", of.line)
        } else {
            format!("line {} of {}", of.line, self.of(of).display())
        }
    }

    /// A line as a report names it: with its file, where there are several.
    pub fn line_of(&self, at: Position) -> String {
        if self.are_several() { format!("{}:{}", self.of(at).display(), at.line) } else { format!("line {}", at.line) }
    }

    /// Their names.
    pub fn shown(&self) -> String {
        self.0.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> ConfigFiles {
        names.iter().map(PathBuf::from).collect::<Vec<_>>().into()
    }

    #[test]
    fn they_have_the_folder_that_all_are_in() {
        for (names, folder) in [
            (&["a.yaml"][..], ""),
            (&["x/a.yaml"], "x"),
            (&["x/a.yaml", "x/y/b.yaml"], "x"),
            (&["x/a.yaml", "xy/b.yaml"], ""),
            (&["/x/y/a.yaml", "/x/z/b.yaml"], "/x"),
            (&["-"], ""),
            (&[], ""),
        ] {
            assert_eq!(files(names).folder(), Path::new(folder), "{names:?}");
        }
    }

    #[test]
    fn a_document_has_one_as_a_text_and_several_as_a_list() {
        for (names, written) in [(&["a"][..], r#""a""#), (&["a", "b"], r#"["a","b"]"#), (&[], "[]")] {
            let text = serde_json::to_string(&files(names)).unwrap();
            assert_eq!(text, written);
            assert_eq!(serde_json::from_str::<ConfigFiles>(&text).unwrap(), files(names));
        }
    }

    #[test]
    fn a_place_is_named_with_its_file_where_that_is_another() {
        let (all, at) = (files(&["a", "b"]), |file, line| Position { file, line, column: 1 });
        assert_eq!(all.line(at(0, 3), at(0, 9)), "line 3");
        assert_eq!(all.line(at(1, 3), at(0, 9)), "line 3 of b");
        assert_eq!((all.line_of(at(1, 3)), files(&["a"]).line_of(at(0, 3))), ("b:3".to_owned(), "line 3".to_owned()));
    }
}
