//! JSON in place of HCL 1, after `json/parser/parser.go` and `flatten.go` beside it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::{Item, MAX_DEPTH, Node, SyntaxError};

pub(super) fn parse(text: &str) -> Result<Vec<Item>, SyntaxError> {
    let fault = |line, problem: &str| SyntaxError { line, problem: problem.to_owned() };
    match serde_json::from_str(text) {
        Ok(Node::Object(mut items)) => {
            // The depth is limited by serde_json; after this, by us.
            flatten(&mut items, 0).ok_or_else(|| fault(1, "too many nested objects"))?;
            Ok(items)
        }
        Ok(_) => Err(fault(1, "it isn't a JSON object")),
        Err(error) => Err(fault(error.line(), "it isn't JSON that the server would read")),
    }
}

/// Turns objects of nothing but objects into labelled items, `{"path": {"a": {…}, "b": {…}}}` into `path "a" {…}` and
/// `path "b" {…}`, and so with lists of objects.
fn flatten(items: &mut Vec<Item>, depth: usize) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    let mut flat = Vec::new();
    for item in items.drain(..) {
        flatten_item(item, &mut flat);
    }
    *items = flat;
    for item in items {
        flatten_within(&mut item.value, depth + 1)?;
    }
    Some(())
}

fn flatten_within(node: &mut Node, depth: usize) -> Option<()> {
    match node {
        Node::Object(items) => flatten(items, depth),
        Node::List(nodes) if depth <= MAX_DEPTH => {
            nodes.iter_mut().try_for_each(|node| flatten_within(node, depth + 1))
        }
        Node::List(_) => None,
        _ => Some(()),
    }
}

fn flatten_item(item: Item, flat: &mut Vec<Item>) {
    let Item { keys, value } = item;
    match value {
        Node::Object(inner) if !inner.is_empty() && inner.iter().all(|item| matches!(item.value, Node::Object(_))) => {
            for item in inner {
                let keys = [keys.clone(), item.keys].concat();
                flatten_item(Item { keys, value: item.value }, flat);
            }
        }
        Node::List(nodes) if !nodes.is_empty() && nodes.iter().all(|node| matches!(node, Node::Object(_))) => {
            for value in nodes {
                flatten_item(Item { keys: keys.clone(), value }, flat);
            }
        }
        value => flat.push(Item { keys, value }),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Node, E> {
        Ok(Node::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
        Ok(Node::Number(number.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Node, E> {
        Number::from_f64(number).map(Node::Number).ok_or_else(|| E::custom("number"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::String(text.to_owned()))
    }

    /// The server reads `null` as an empty string.
    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::String(String::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        let mut nodes = Vec::new();
        while let Some(ListElement(node)) = sequence.next_element()? {
            match node {
                // The server drops these, so that a list of nothing else is empty: for parameters, any value.
                Node::Bool(_) => {}
                // It loses count of brackets here.
                Node::List(_) => return Err(A::Error::custom("a list in a list")),
                node => nodes.push(node),
            }
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some((key, value)) = map.next_entry()? {
            items.push(Item { keys: vec![key], value });
        }
        Ok(Node::Object(items))
    }
}

/// An element of a list, where `null` is an error of the server's parser.
struct ListElement(Node);

impl<'de> Deserialize<'de> for ListElement {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Option::<Node>::deserialize(deserializer)? {
            Some(node) => Ok(Self(node)),
            None => Err(D::Error::custom("null in a list")),
        }
    }
}
