//! Results as documents: JSON and YAML that mean what they say, in characters that are seen.

use std::fmt::Write as _;
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::text::hides;

/// The version of the JSON and YAML documents that commands print.
pub(crate) const API_VERSION: &str = "vaultk8s/v1alpha1";

/// A command's result.
pub trait Report: Serialize {
    /// The `kind` of its document.
    const KIND: &'static str;

    /// Writes it for people.
    ///
    /// # Errors
    /// Those of the writer.
    fn text(&self, out: &mut dyn io::Write) -> io::Result<()>;
}

/// A report as a document with its version and kind in front.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a, R> {
    api_version: &'static str,
    kind: &'a str,
    #[serde(flatten)]
    report: &'a R,
}

/// What tells what a document is, and of which version.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Head {
    #[serde(default)]
    pub(crate) api_version: String,
    #[serde(default)]
    pub(crate) kind: String,
}

/// A report as its JSON document, for a file or for stdout.
///
/// # Errors
/// When it has no JSON form.
pub(crate) fn json_document<R: Serialize>(kind: &str, report: &R) -> Result<String> {
    let text = serde_json::to_string_pretty(&Document { api_version: API_VERSION, kind, report })
        .map_err(|error| Error::failed("the result has no JSON form").because(error))?;
    Ok(visible_json(&text) + "\n")
}

/// A report as its YAML document.
///
/// # Errors
/// When it has no YAML form.
pub(crate) fn yaml_document<R: Serialize>(kind: &str, report: &R) -> Result<String> {
    let document = Document { api_version: API_VERSION, kind, report };
    let plain = serde_saphyr::to_string(&document)
        .map_err(|error| Error::failed("the result has no YAML form").because(error))?;
    if !plain.contains(unseen) {
        return Ok(plain);
    }
    // Where a text would hide something, YAML has escapes for it in double quotes alone. So such texts are put in afterwards.
    let mut value =
        serde_json::to_value(&document).map_err(|error| Error::failed("the result has no YAML form").because(error))?;
    let mut texts = Vec::new();
    set_aside(&mut value, &format!("hidden{:016x}n", rand::random::<u64>()), &mut texts);
    let yaml =
        serde_saphyr::to_string(&value).map_err(|error| Error::failed("the result has no YAML form").because(error))?;
    Ok(texts.into_iter().rev().fold(yaml, |yaml, (place, text)| yaml.replace(&place, &yaml_text(&text))))
}

/// Takes the texts that hide something out of a value, and leaves names in their places.
fn set_aside(value: &mut Value, stem: &str, texts: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => replace(text, stem, texts),
        Value::Array(values) => values.iter_mut().for_each(|value| set_aside(value, stem, texts)),
        Value::Object(fields) => {
            for (mut name, mut value) in std::mem::take(fields) {
                replace(&mut name, stem, texts);
                set_aside(&mut value, stem, texts);
                fields.insert(name, value);
            }
        }
        _ => {}
    }
}

fn replace(text: &mut String, stem: &str, texts: &mut Vec<(String, String)>) {
    if text.contains(unseen) {
        let place = format!("{stem}{}", texts.len());
        texts.push((place.clone(), std::mem::replace(text, place)));
    }
}

/// A text in double quotes, as YAML has it, with nothing in it that isn't seen.
pub(crate) fn yaml_text(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            // Writing to a String can't fail.
            c if hides(c) => {
                let _infallible = write!(quoted, "\\U{:08X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// A JSON text with the escapes of JSON for whatever isn't seen: the same to whoever parses it.
pub(crate) fn visible_json(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // These are raw only between values, where they say nothing.
            '\r' => {}
            '\t' => visible.push(' '),
            c if unseen(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    // Writing to a String can't fail.
                    let _infallible = write!(visible, "\\u{unit:04x}");
                }
            }
            c => visible.push(c),
        }
    }
    visible
}

fn unseen(c: char) -> bool {
    c != '\n' && hides(c)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const HIDDEN: &str = "a\u{1b}[2J\u{202e}\u{9b}\u{e0041}\u{fdd0}\r\t\0\"\\'x\nb: #";

    fn hiding() -> Value {
        json!({ "x": [HIDDEN, "plain", "two\nlines"], HIDDEN: { "y": HIDDEN, "n": 1, "none": null, "#": "- a" } })
    }

    fn seen(text: &str) {
        assert!(!text.contains(unseen), "{text:?}");
    }

    #[test]
    fn json_shows_all_and_means_the_same() {
        let text = json_document("Test", &hiding()).unwrap();
        seen(&text);
        let mut read: Value = serde_json::from_str(&text).unwrap();
        let read = read.as_object_mut().unwrap();
        read.remove("apiVersion");
        read.remove("kind");
        assert_eq!(*read, *hiding().as_object().unwrap());
        assert_eq!(visible_json("{\r\n\t\"a\":\u{feff}1}"), "{\n \"a\":\\ufeff1}");
    }

    #[test]
    fn yaml_shows_all_and_means_the_same() {
        let text = yaml_document("Test", &hiding()).unwrap();
        seen(&text);
        let mut read: Value = serde_saphyr::from_str(&text).unwrap();
        let read = read.as_object_mut().unwrap();
        read.remove("apiVersion");
        read.remove("kind");
        assert_eq!(*read, *hiding().as_object().unwrap());
    }
}
