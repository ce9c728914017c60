//! A place in a file.

use serde::{Deserialize, Serialize};

/// A line and column, both counted from 1, in one of the configuration's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Position {
    /// Which of the files, counted from 0.
    #[serde(default, skip_serializing_if = "is_first")]
    pub file: u16,
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_first(file: &u16) -> bool {
    *file == 0
}

impl Position {
    /// The beginning of the file, for what has no better place.
    pub const START: Self = Self { file: 0, line: 1, column: 1 };
}
