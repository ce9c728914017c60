//! A section of the file whose fields are known and of the right type, and how to read them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Position;
use super::diagnostic::Problems;
use super::fields::Section;

/// A value and the place where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located<T> {
    pub(super) at: Position,
    pub(super) value: T,
}

/// A section of the file, checked against its table.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Where it begins.
    pub(super) at: Position,
    pub(super) section: &'static Section,
    pub(super) items: BTreeMap<&'static str, (Position, Item)>,
}

/// A claim and the values that it may have.
pub(super) type Claim = (Located<String>, Vec<Located<String>>);

/// A setting of a server's, by its name.
pub(super) type Setting = (Located<String>, Value);

/// A label and its value, as they are written.
pub(super) type Label = (Located<String>, Located<String>);

/// The value of a field.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Text(Located<String>),
    Texts(Vec<Located<String>>),
    Flag(Located<bool>),
    Number(Located<i64>),
    Claims(Vec<Claim>),
    Settings(Vec<Setting>),
    Labels(Vec<Label>),
    Section(Entry),
    /// The entries that are maps, and whether all are.
    Sections(Vec<Entry>, bool),
    /// Present, but already reported.
    Broken,
}

/// Reads an accessor's variant.
macro_rules! accessor {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $type:ty) => {
        $(#[$doc])*
        pub(super) fn $name(&self, field: &str) -> Option<&$type> {
            match self.item(field) {
                Some(Item::$variant(value)) => Some(value),
                _ => None,
            }
        }
    };
}

impl Entry {
    fn item(&self, field: &str) -> Option<&Item> {
        debug_assert!(self.section.field(field).is_some(), "{field} is not in the table of {}", self.section.what);
        self.items.get(field).map(|(_, item)| item)
    }

    /// Where the name of a field stands, if it is there.
    pub(super) fn key(&self, field: &str) -> Option<Position> {
        debug_assert!(self.section.field(field).is_some(), "{field} is not in the table of {}", self.section.what);
        self.items.get(field).map(|(at, _)| *at)
    }

    /// Whether the field is there, usable or not.
    pub(super) fn has(&self, field: &str) -> bool {
        self.key(field).is_some()
    }

    accessor!(
        /// A text, or one of the field's words.
        text, Text, Located<String>
    );
    accessor!(
        /// A list of texts; a single text is a list of one.
        texts, Texts, Vec<Located<String>>
    );
    accessor!(
        /// A flag.
        flag, Flag, Located<bool>
    );
    accessor!(
        /// A number; durations are seconds.
        number, Number, Located<i64>
    );
    accessor!(
        /// A map of claims.
        claims, Claims, Vec<Claim>
    );
    accessor!(
        /// A map of settings.
        settings, Settings, Vec<Setting>
    );
    accessor!(
        /// The labels of a selector.
        labels, Labels, Vec<Label>
    );
    accessor!(
        /// A section.
        section, Section, Entry
    );

    /// The entries of a list of sections, none if it isn't there.
    pub(super) fn sections(&self, field: &str) -> &[Entry] {
        match self.item(field) {
            Some(Item::Sections(entries, _)) => entries,
            _ => &[],
        }
    }

    /// Whether nothing of a list of sections had to be left out.
    pub(super) fn is_complete(&self, field: &str) -> bool {
        matches!(self.item(field), None | Some(Item::Sections(_, true)))
    }

    /// Whether a flag is there and set.
    pub(super) fn is_set(&self, field: &str) -> bool {
        self.flag(field).is_some_and(|flag| flag.value)
    }

    /// A whole number from 0, 0 if it isn't there.
    pub(super) fn count(&self, field: &str) -> u64 {
        self.number(field).and_then(|number| u64::try_from(number.value).ok()).unwrap_or_default()
    }

    /// A text that must be there: reports its absence.
    pub(super) fn required(&self, field: &str, problems: &mut Problems) -> Option<&Located<String>> {
        self.require(field, problems);
        self.text(field)
    }

    /// Reports the absence of a field; says whether it is there.
    pub(super) fn require(&self, name: &str, problems: &mut Problems) -> bool {
        debug_assert!(
            self.section.field(name).is_some_and(|field| field.required),
            "{name} is not required in the table"
        );
        if self.has(name) {
            return true;
        }
        let about = self.section.field(name).map_or("", |field| field.about);
        problems.add(self.at, format!("{} has no `{name}`", self.section.what), format!("add `{name}`: {about}"));
        false
    }

    /// A text that, when it is there, is not empty and one line.
    pub(super) fn filled(&self, field: &str, problems: &mut Problems) -> Option<&Located<String>> {
        let text = self.text(field)?;
        if text.value.trim().is_empty() {
            problems.add(text.at, format!("`{field}` is empty"), "write a value, or remove the line");
            return None;
        }
        if text.value.chars().any(char::is_control) {
            problems.add(
                text.at,
                format!("`{field}` contains a line break or a control character"),
                "write it as one line of printable text",
            );
            return None;
        }
        Some(text)
    }
}
