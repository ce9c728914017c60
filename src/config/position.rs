//! A place in the file.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// A line and column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl Position {
    /// The beginning of the file, for what has no better place.
    pub const START: Self = Self { line: 1, column: 1 };

    /// The place with the file's name in front: `vaultk8s.yaml:12:5`.
    pub fn in_file(self, file: &Path) -> String {
        format!("{}:{}:{}", file.display(), self.line, self.column)
    }
}
