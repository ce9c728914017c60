//! A name as a server holds it, whatever is in it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{PolicyName, RoleName};
use crate::text::printable_line;

/// The name of something that Vault holds, as its listing gives it.
///
/// What this tool writes has a [`RoleName`] or a [`PolicyName`]. Servers take more than that, names of thousands of bytes
/// among them, and what is there under such a name lets people in like any other: it must be told, compared and deleted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredName(String);

/// The longest name that is shown whole, in characters.
const WHOLE: usize = 200;
/// How much of the beginning of a longer one is shown.
const HEAD: usize = 64;
/// How much of its end.
const TAIL: usize = 16;

impl StoredName {
    /// The name as a server gave it.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name, raw: not fit to be shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the same to a server, which lowers names.
    pub fn is(&self, name: &str) -> bool {
        self.0.eq_ignore_ascii_case(name)
    }

    /// The name in lower case, by which a server knows it.
    #[must_use]
    pub fn lowered(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// Whether it can be part of a URL. Servers refuse characters that can't be seen, and a path drops empty and relative
    /// segments.
    pub fn fits_a_url(&self) -> bool {
        !self.0.contains(unprintable) && self.0.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
    }
}

/// What servers take for no printable text, which is less than what can't be seen.
fn unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

impl fmt::Display for StoredName {
    /// Safe to be shown: nothing in it moves a cursor, and a long one is cut with its length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.chars().count();
        if count <= WHOLE {
            return f.pad(&printable_line(&self.0));
        }
        let head: String = self.0.chars().take(HEAD).collect();
        let tail: String = self.0.chars().skip(count - TAIL).collect();
        f.pad(&format!("{}…{} ({} bytes)", printable_line(&head), printable_line(&tail), self.0.len()))
    }
}

impl From<&RoleName> for StoredName {
    fn from(name: &RoleName) -> Self {
        Self(name.as_str().to_owned())
    }
}

impl From<&PolicyName> for StoredName {
    fn from(name: &PolicyName) -> Self {
        Self(name.as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_safely_and_a_long_one_cut() {
        for (name, shown) in [("r-one", "r-one"), ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"), ("a\nb", "a\\nb"), ("é b", "é b")]
        {
            assert_eq!(StoredName::new(name).to_string(), shown);
        }
        let long = format!("{}-one", "a".repeat(600));
        let shown = StoredName::new(long).to_string();
        assert!(shown.starts_with("aaa") && shown.ends_with("-one (604 bytes)") && shown.len() < 120, "{shown}");
    }

    #[test]
    fn what_no_url_can_carry_is_known_beforehand() {
        for name in ["r", "a b", "a/b", "a%2fb", "é?#"] {
            assert!(StoredName::new(name).fits_a_url(), "{name}");
        }
        for name in ["", "..", "a/", "a//b", "a\tb", "a\nb", "a\u{202e}b"] {
            assert!(!StoredName::new(name).fits_a_url(), "{name:?}");
        }
    }
}
