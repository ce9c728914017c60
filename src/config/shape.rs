//! From the YAML tree to entries whose fields are known and of the right type.
//!
//! Everything that is wrong is noted, and the reading goes on: what can't be used becomes [`Item::Broken`], so that it
//! isn't called missing later.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::Problems;
use super::duration::parse_duration;
use super::entry::{Claim, Entry, Item, Located, Setting};
use super::fields::{FILE, Field, Section, Takes};
use super::selector::labels;
use super::suggest::{listed, nearest};
use super::yaml::{Key, Node, Value};

/// Checks a map against its table.
pub(super) fn entry(node: Node, section: &'static Section, problems: &mut Problems) -> Option<Entry> {
    let mut entry = Entry { at: node.at, section, items: BTreeMap::new() };
    let map = match node.value {
        Value::Map(map) => map,
        // `vault:` with all of its lines commented out.
        Value::Null => return Some(entry),
        other => {
            problems.add(
                node.at,
                format!("{} is a map of fields, not {}", section.what, kind(&other)),
                format!("write its fields, one per line: {}", names(section)),
            );
            return None;
        }
    };
    // The places of fields that are spelt right.
    let mut keys = BTreeSet::new();
    for (key, value) in map {
        // A place for anchors, as in files of Docker Compose.
        if section.what == FILE.what && key.name.starts_with("x-") {
            continue;
        }
        let Some(field) = section.field(&key.name) else {
            if let Some(meant) = unknown(&key, section, problems) {
                // What was meant isn't missing.
                entry.items.entry(meant).or_insert((key.at, Item::Broken));
            }
            continue;
        };
        let earlier = entry.items.get(field.name).filter(|(at, _)| keys.contains(at));
        if let Some((first, _)) = earlier {
            problems.add(
                key.at,
                format!("`{}` is written twice: here and on line {}", field.name, first.line),
                "keep one of the two",
            );
            continue;
        }
        keys.insert(key.at);
        let item = item(value, field, problems);
        entry.items.insert(field.name, (key.at, item));
    }
    Some(entry)
}

fn item(node: Node, field: &'static Field, problems: &mut Problems) -> Item {
    let found = match field.takes {
        Takes::Section(section) => return entry(node, section, problems).map_or(Item::Broken, Item::Section),
        Takes::Sections(section) => return sections(node, section, field, problems),
        Takes::WordOr(_, section) | Takes::TextOr(section) if matches!(node.value, Value::Map(_)) => {
            return entry(node, section, problems).map_or(Item::Broken, Item::Section);
        }
        Takes::Claims => return claims(node, field, problems),
        Takes::Settings => return settings(node, field, problems),
        Takes::Labels => return labels(node, field, problems),
        Takes::Text | Takes::TextOr(_) => text(node).map(Item::Text),
        Takes::Texts => texts(node, problems).map(Item::Texts),
        Takes::Flag => match node.value {
            Value::Bool(value) => Ok(Item::Flag(Located { at: node.at, value })),
            _ => Err(node),
        },
        Takes::Word(words) | Takes::WordOr(words, _) => return word(node, words, field, problems),
        Takes::Count => count(node).map(Item::Number),
        Takes::Duration | Takes::Leeway => return duration(&node, field, problems),
    };
    found.unwrap_or_else(|node| wrong_type(&node, field, problems))
}

fn text(node: Node) -> Result<Located<String>, Node> {
    match node.value {
        Value::Text(value) | Value::Number(value) => Ok(Located { at: node.at, value }),
        _ => Err(node),
    }
}

/// A list of texts. Items that are none are reported and left out.
fn texts(node: Node, problems: &mut Problems) -> Result<Vec<Located<String>>, Node> {
    match node.value {
        Value::List(items) => {
            let mut list = Vec::with_capacity(items.len());
            for item in items {
                match text(item) {
                    Ok(text) => list.push(text),
                    Err(node) => problems.add(
                        node.at,
                        format!("this is {}, where the list needs text", kind(&node.value)),
                        quoting(&node.value).unwrap_or("write one text per item"),
                    ),
                }
            }
            Ok(list)
        }
        _ => text(node).map(|text| vec![text]),
    }
}

fn count(node: Node) -> Result<Located<i64>, Node> {
    let (Value::Number(written) | Value::Text(written)) = &node.value else { return Err(node) };
    match written.parse::<i64>() {
        Ok(value) if value >= 0 => Ok(Located { at: node.at, value }),
        _ => Err(node),
    }
}

fn word(node: Node, words: &'static [&'static str], field: &'static Field, problems: &mut Problems) -> Item {
    let text = match text(node) {
        Ok(text) => text,
        Err(node) => return wrong_type(&node, field, problems),
    };
    if words.contains(&text.value.as_str()) {
        return Item::Text(text);
    }
    let meant =
        nearest(&text.value, words.iter().copied()).map(|word| format!("did you mean `{word}`? ")).unwrap_or_default();
    problems.add(
        text.at,
        format!("{:?} is not a value of `{}`", text.value, field.name),
        format!("{meant}write one of: {}", listed(words.iter().copied())),
    );
    Item::Broken
}

fn duration(node: &Node, field: &'static Field, problems: &mut Problems) -> Item {
    let (Value::Number(written) | Value::Text(written)) = &node.value else {
        return wrong_type(node, field, problems);
    };
    if matches!(field.takes, Takes::Leeway) && written.starts_with('-') {
        if written == "-1" {
            return Item::Number(Located { at: node.at, value: -1 });
        }
        problems.add(
            node.at,
            format!("`{}` is negative", field.name),
            "write -1 for no leeway at all, 0 for the server's default, or a duration such as `30s`",
        );
        return Item::Broken;
    }
    match parse_duration(written) {
        Ok(seconds) => Item::Number(Located { at: node.at, value: i64::try_from(seconds).unwrap_or(i64::MAX) }),
        Err(error) => {
            problems.add(node.at, error.to_string(), error.remedy());
            Item::Broken
        }
    }
}

fn sections(node: Node, section: &'static Section, field: &'static Field, problems: &mut Problems) -> Item {
    match node.value {
        Value::List(items) => {
            let all = items.len();
            let mut entries = Vec::with_capacity(all);
            for item in items {
                if matches!(item.value, Value::Null) {
                    problems.add(item.at, "this entry is empty", format!("write its fields: {}", names(section)));
                } else {
                    entries.extend(entry(item, section, problems));
                }
            }
            let complete = entries.len() == all;
            Item::Sections(entries, complete)
        }
        Value::Null => Item::Sections(Vec::new(), true),
        _ => wrong_type(&node, field, problems),
    }
}

fn claims(node: Node, field: &'static Field, problems: &mut Problems) -> Item {
    let Value::Map(map) = node.value else { return wrong_type(&node, field, problems) };
    let mut claims: Vec<Claim> = Vec::new();
    for (key, value) in map {
        let name = Located { at: key.at, value: key.name };
        if let Some((first, _)) = claims.iter().find(|(claim, _)| claim.value == name.value) {
            let message = format!("the claim `{}` is written twice: here and on line {}", name.value, first.at.line);
            problems.add(name.at, message, "write one list with all values");
            continue;
        }
        match texts(value, problems) {
            Ok(values) => claims.push((name, values)),
            Err(node) => problems.add(
                node.at,
                format!("the claim `{}` takes text or a list of texts, not {}", name.value, kind(&node.value)),
                quoting(&node.value).unwrap_or(
                    "for a claim inside another one write a JSON pointer, such as `/kubernetes.io/namespace`",
                ),
            ),
        }
    }
    Item::Claims(claims)
}

fn settings(node: Node, field: &'static Field, problems: &mut Problems) -> Item {
    let Value::Map(map) = node.value else { return wrong_type(&node, field, problems) };
    let mut settings: Vec<Setting> = Vec::new();
    for (key, value) in map {
        let name = Located { at: key.at, value: key.name };
        if let Some((first, _)) = settings.iter().find(|(setting, _)| setting.value == name.value) {
            let message = format!("`{}` is written twice: here and on line {}", name.value, first.at.line);
            problems.add(name.at, message, "keep one of the two");
            continue;
        }
        let read = match &value.value {
            Value::Text(text) => Some(text.as_str().into()),
            Value::Bool(flag) => Some((*flag).into()),
            Value::Number(written) => written.parse::<i64>().ok().map(Into::into),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        };
        match read {
            Some(read) => settings.push((name, read)),
            None => problems.add(
                value.at,
                format!("`{}` takes text, a flag or a whole number, not {}", name.value, found(&value.value)),
                "write it as the server takes it",
            ),
        }
    }
    Item::Settings(settings)
}

fn wrong_type(node: &Node, field: &'static Field, problems: &mut Problems) -> Item {
    let (takes, remedy) = match field.takes {
        Takes::Text | Takes::Word(_) => ("text", "write one text"),
        Takes::WordOr(..) => ("one word or a map", "write one word, or its fields, one per line"),
        Takes::TextOr(_) => ("text or a map", "write one text, or its fields, one per line"),
        Takes::Texts => ("text or a list of texts", "write one text, or a list such as `[a, b]`"),
        Takes::Flag => ("`true` or `false`", "write `true` or `false`, without quotes"),
        Takes::Count => ("a whole number from 0", "write a whole number, such as `10`"),
        Takes::Duration => ("a duration", "write whole seconds, or a duration such as `2h`, `1h30m`, `90s` or `1d`"),
        Takes::Leeway => ("a duration", "write a duration such as `30s`, 0 for the server's default, or -1 for none"),
        Takes::Claims => ("a map of claims", "write one line per claim, such as `/kubernetes.io/namespace: team-a`"),
        Takes::Settings => ("a map of settings", "write one line per setting, such as `provider: kubernetes`"),
        Takes::Labels => ("a selector of labels", "write labels with their values, such as `team=shop`"),
        Takes::Section(_) => ("a map", "write its fields, one per line"),
        Takes::Sections(_) => ("a list of entries", "begin each entry with `- name:`"),
    };
    if matches!(node.value, Value::Null) {
        problems.add(node.at, format!("`{}` has no value", field.name), format!("{remedy}; or remove the line"));
    } else {
        let remedy = match field.takes {
            Takes::Text | Takes::Texts | Takes::Word(_) | Takes::WordOr(..) => quoting(&node.value).unwrap_or(remedy),
            _ => remedy,
        };
        problems.add(node.at, format!("`{}` takes {takes}, not {}", field.name, found(&node.value)), remedy);
    }
    Item::Broken
}

/// The remedy for text that YAML takes for something else.
fn quoting(value: &Value) -> Option<&'static str> {
    match value {
        Value::Bool(_) => Some("put it in quotes, such as 'true', if it is a name"),
        Value::Map(map) if map.iter().all(|(_, value)| matches!(value.value, Value::Null)) => Some(
            "write placeholders without spaces, such as `{cluster}`; put other text that begins with `{` in quotes",
        ),
        _ => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::Text(_) => "text",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Number(written) => format!("the number {written}"),
        Value::Text(text) if text.chars().count() <= 40 => format!("the text {text:?}"),
        Value::Bool(value) => format!("`{value}`"),
        other => kind(other).to_owned(),
    }
}

fn names(section: &Section) -> String {
    listed(section.fields.iter().map(|field| field.name))
}

/// Reports a field that there isn't; the result is the one that was probably meant.
fn unknown(key: &Key, section: &'static Section, problems: &mut Problems) -> Option<&'static str> {
    let written = key.name.as_str();
    let meant = section
        .fields
        .iter()
        .find(|field| field.also.contains(&written))
        .map(|field| field.name)
        .or_else(|| nearest(written, section.fields.iter().map(|field| field.name)));
    let below = section.fields.iter().find(|field| match field.takes {
        Takes::Section(inner) | Takes::WordOr(_, inner) | Takes::TextOr(inner) => inner.field(written).is_some(),
        _ => false,
    });
    let hint = match (meant, below) {
        (Some(name), _) => format!("did you mean `{name}`? "),
        (None, Some(inner)) => format!("it belongs under `{}`; ", inner.name),
        (None, None) => String::new(),
    };
    problems.add(
        key.at,
        format!("`{written}` is not a field of {}", section.what),
        format!("{hint}{} has: {}", section.what, names(section)),
    );
    meant
}
