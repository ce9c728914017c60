//! Names of JSON members as a server reads them that is written in Go (`encoding/json`), as Vault is: it doesn't care for upper and lower
//! case, nor for two letters that are the same as ASCII ones in another case, and of several members of a name takes the last.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The members of an object, in their order, repeated ones included.
#[derive(Debug, Default)]
pub(crate) struct Members(Vec<(String, Value)>);

impl Members {
    /// Those of an object; none of what is no object.
    pub(crate) fn of(text: &[u8]) -> Self {
        serde_json::from_slice(text).unwrap_or_default()
    }

    /// The value that counts for a name.
    pub(crate) fn last(&self, name: &str) -> Option<&Value> {
        let name = folded(name);
        self.0.iter().rev().find(|(own, _)| folded(own) == name).map(|(_, value)| value)
    }

    /// The first name that only seems to be none of these.
    pub(crate) fn misnamed(&self, known: &[&str]) -> Option<&str> {
        misnamed(self.0.iter().map(|(name, _)| name.as_str()), known)
    }
}

/// The first name that only seems to be none of the known ones.
pub(super) fn misnamed<'a>(names: impl IntoIterator<Item = &'a str>, known: &[&str]) -> Option<&'a str> {
    names.into_iter().find(|name| !known.contains(name) && known.iter().any(|known| folded(known) == folded(name)))
}

/// What all names have in common that are the same to Go; the letters are the long s and the Kelvin sign.
fn folded(name: &str) -> String {
    let one = |letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        letter => letter.to_ascii_lowercase(),
    };
    name.chars().map(one).collect()
}

/// The first name that an object anywhere in a JSON text has twice.
pub(super) fn repeated(text: &[u8]) -> Option<String> {
    let mut found = None;
    let mut json = serde_json::Deserializer::from_slice(text);
    // It was parsed before.
    let _is_json = Unique(&mut found).deserialize(&mut json);
    found
}

/// Goes through a value, and keeps the first name that an object of it has twice.
struct Unique<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for Unique<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Unique<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(Unique(self.0))?;
            if names.contains(&name) {
                self.0.get_or_insert(name);
            } else {
                names.insert(name);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Unique(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_as_the_server_does() {
        for (name, expected) in [
            ("keys", None),
            ("Keys", Some("Keys")),
            ("\u{212a}eys", Some("\u{212a}eys")),
            ("key\u{17f}", Some("key\u{17f}")),
            // No letter of Go's folding, though it looks like one.
            ("k\u{435}ys", None),
            ("key", None),
        ] {
            assert_eq!(misnamed([name], &["keys"]), expected, "{name}");
        }
        // Two known names that are the same but for their case.
        assert_eq!(misnamed(["x5t#S256", "x5t#s256"], &["x5t", "x5t#S256"]), Some("x5t#s256"));
    }

    #[test]
    fn the_last_one_counts() {
        let last = |text: &str| Members::of(text.as_bytes()).last("a").and_then(Value::as_u64);
        for (text, expected) in [
            (r#"{"a":1,"A":2}"#, Some(2)),
            (r#"{"A":2,"a":1}"#, Some(1)),
            (r#"{"a":1,"a":3,"b":4}"#, Some(3)),
            (r#"{"b":1}"#, None),
            ("[1]", None),
            ("", None),
        ] {
            assert_eq!(last(text), expected, "{text}");
        }
    }
}
