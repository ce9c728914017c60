//! YAML text to a tree in which every value knows its place.
//!
//! The tree keeps what is needed to report every problem of a file at once, in the user's words: a value of the wrong
//! type, a field written twice or a number where text belongs are no errors here, `shape` judges them.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, NonFiniteFloatPolicy, Spanned};

use super::syntax::{explain, position};
use super::{Diagnostic, Position, braces};

/// More than any real file has: 10,000 roles that are written out, each with its policy, have two thirds of it.
pub(super) const MAX_NODES: usize = 250_000;
/// What an alias bomb may unfold to.
const MAX_REPLAYED: usize = 100_000;
/// The deepest place of a real file is 6.
const MAX_DEPTH: usize = 32;

/// A value and the place where it is written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) at: Position,
    pub(super) value: Value,
}

/// A value as YAML understands it.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Null,
    Bool(bool),
    /// A number, as it is written: `1.30` may be a name.
    Number(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// The key of a map and the place where it is written.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) at: Position,
    pub(super) name: String,
}

impl Node {
    /// The same in one of several files, and how many values it has.
    pub(super) fn in_file(&mut self, file: u16) -> usize {
        self.at.file = file;
        1 + match &mut self.value {
            Value::List(items) => items.iter_mut().map(|item| item.in_file(file)).sum(),
            Value::Map(fields) => {
                let one = |(key, value): &mut (Key, Self)| {
                    key.at.file = file;
                    1 + value.in_file(file)
                };
                fields.iter_mut().map(one).sum()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => 0,
        }
    }
}

/// Reads one YAML document.
pub(super) fn read(text: &str) -> Result<Node, Diagnostic> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Err(Diagnostic::new(
            Position::START,
            "the file is empty",
            "begin with `clusters:`; `vaultk8s init` writes a commented file for the current cluster",
        ));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_events: 4 * MAX_NODES,
            max_depth: MAX_DEPTH,
            max_documents: 2,
        },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        underscored_numbers_as_strings: true,
        leading_zero_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        reject_unsupported_tags: true,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
        with_snippet: false,
    };
    // A document may be ended so, with none after it.
    let ended = text.trim_end();
    let text = ended.strip_suffix("\n---").or_else(|| ended.strip_suffix("\n...")).unwrap_or(text);
    let Some(text) = braces::hide(text) else {
        return Err(Diagnostic::new(
            Position::START,
            "the file contains the private character U+E000 or U+E001",
            "remove it: it can't be part of any name",
        ));
    };
    serde_saphyr::from_str_with_options::<Parsed>(&text, options)
        .map(|parsed| parsed.into_node(&text))
        .map_err(|error| explain(&error, &text))
}

/// A node as serde hands it over, not yet looked up in the text.
struct Parsed(Spanned<Raw>);

enum Raw {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Parsed>),
    Map(Vec<(Spanned<String>, Parsed)>),
}

impl Parsed {
    fn into_node(self, text: &str) -> Node {
        let location = self.0.defined;
        let value = match self.0.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Number(value) => Value::Number(as_written(text, location).unwrap_or(value)),
            Raw::Text(value) => Value::Text(braces::show(&value)),
            Raw::List(items) => Value::List(items.into_iter().map(|item| item.into_node(text)).collect()),
            Raw::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| {
                        (Key { at: position(key.defined), name: braces::show(&key.value) }, value.into_node(text))
                    })
                    .collect(),
            ),
        };
        Node { at: position(location), value }
    }
}

/// The spelling of a plain scalar, which a parsed number has lost.
fn as_written(text: &str, location: Location) -> Option<String> {
    let start = usize::try_from(location.span().byte_offset()?).ok()?;
    let length = usize::try_from(location.span().byte_len()?).ok()?;
    let written = text.get(start..start.checked_add(length)?)?.trim();
    (!written.is_empty() && !written.contains(char::is_whitespace)).then(|| written.to_owned())
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value_of(text: &str) -> Node {
        match read(text).unwrap().value {
            Value::Map(mut entries) => entries.remove(0).1,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_keep_their_spelling() {
        for written in ["1.30", "0x10", "007", "1_000", "1e3", "99999999999999999999999"] {
            match value_of(&format!("name: {written} # and a comment\n")).value {
                Value::Number(value) | Value::Text(value) => assert_eq!(value, written),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn places_count_characters_and_follow_anchors_to_their_text() {
        assert_eq!(value_of("\u{e9}t\u{e9}: a").at, Position { file: 0, line: 1, column: 6 });
        let Value::List(items) = value_of("a: [&x b, *x]").value else { panic!("not a list") };
        assert_eq!(items[1].at, Position { file: 0, line: 1, column: 8 });
    }

    #[test]
    fn placeholders_need_no_quotes() {
        let Value::List(items) = value_of("read: [k8s/{cluster}/*, {each}/{{identity.entity.id}}]").value else {
            panic!("not a list")
        };
        let texts: Vec<_> = items.iter().map(|item| &item.value).collect();
        assert!(
            matches!(texts.as_slice(), [Value::Text(a), Value::Text(b)]
            if a == "k8s/{cluster}/*" && b == "{each}/{{identity.entity.id}}"),
            "{texts:?}"
        );
        assert!(matches!(value_of("mount: {cluster}-jwt").value, Value::Text(text) if text == "{cluster}-jwt"));
    }

    #[test]
    fn a_bomb_of_aliases_ends_in_an_error() {
        let mut text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, before) in ["b", "c", "d", "e", "f", "g"].iter().zip(["a", "b", "c", "d", "e", "f"]) {
            let items = vec![format!("*{before}"); 10].join(",");
            text = format!("{text}{name}: &{name} [{items}]\n");
        }
        assert!(read(&text).unwrap_err().message.contains("aliases"));
    }
}
