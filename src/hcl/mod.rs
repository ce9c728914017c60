//! HCL 1, and the JSON that stands in for it, into a tree: what `hclutil.ParseConfig` of the server does.
//!
//! After `hashicorp/hcl` at 1.0.1-vault-7 (`hcl/scanner`, `hcl/parser`, `hcl/strconv`, `json/parser`), including what
//! surprises: nothing is unescaped within `${…}`, a repeated key is no error, and JSON objects are flattened into
//! labelled blocks. Where that code panics or yields nonsense, this one has an error.

mod json;
mod parser;
mod scanner;
mod string;

/// Deeper nesting than any policy or configuration needs, and far from the end of the stack.
const MAX_DEPTH: usize = 32;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    String(String),
    Number(serde_json::Number),
    Bool(bool),
    List(Vec<Node>),
    Object(Vec<Item>),
}

/// One `keys = value` or `key "label" { … }` of an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) keys: Vec<String>,
    pub(crate) value: Node,
}

/// A text that isn't HCL 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// From 1.
    pub(crate) line: usize,
    pub(crate) problem: String,
}

/// The items at the top of the text.
pub(crate) fn parse(text: &str) -> Result<Vec<Item>, SyntaxError> {
    if text.trim_start().starts_with('{') {
        json::parse(text)
    } else {
        // The server's parser does this before it scans, within strings and heredocs too.
        parser::parse(&text.replace("\r\n", "\n"))
    }
}

impl Node {
    /// As JSON; repeated keys of an object make one list if both hold lists, else the last wins.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Self::String(text) => Value::String(text.clone()),
            Self::Number(number) => Value::Number(number.clone()),
            Self::Bool(truth) => Value::Bool(*truth),
            Self::List(nodes) => Value::Array(nodes.iter().map(Self::to_json).collect()),
            Self::Object(items) => {
                let mut object = Value::Object(serde_json::Map::new());
                for item in items {
                    let mut place = &mut object;
                    for key in &item.keys {
                        if !place.is_object() {
                            *place = Value::Object(serde_json::Map::new());
                        }
                        place = &mut place[key.as_str()];
                    }
                    *place = item.value.to_json();
                }
                object
            }
        }
    }
}
