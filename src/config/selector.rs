//! `namespaceSelector`: as kubectl writes it, or the map of a `LabelSelector`.

use super::diagnostic::Problems;
use super::entry::{Entry, Item, Label, Located};
use super::expand::{Expansion, Instance};
use super::fields::Field;
use super::template::Template;
use super::yaml::{Key, Node, Value};
use super::{Labelled, Position};
use crate::names::NamespaceSelector;
use crate::names::labels::{MARK, REMEDY, requirements};

/// Reads the labels of a selector; what no server could be told is reported.
pub(super) fn labels(node: Node, field: &'static Field, problems: &mut Problems) -> Item {
    let at = node.at;
    let before = problems.count();
    let found = match node.value {
        Value::Text(text) => match requirements(&text) {
            Ok(found) => {
                let located = |value: String| Located { at, value };
                found.into_iter().map(|(label, value)| (located(label), located(value))).collect()
            }
            Err(error) => {
                problems.add(at, error.to_string(), error.remedy);
                return Item::Broken;
            }
        },
        Value::Map(fields) => of_map(fields, problems),
        _ => {
            problems.add(at, format!("`{}` takes a selector of labels as text, or the map of one", field.name), REMEDY);
            return Item::Broken;
        }
    };
    if problems.count() > before {
        return Item::Broken;
    }
    if found.is_empty() {
        problems.add(at, format!("`{}` names no label, and would select every namespace", field.name), REMEDY);
        return Item::Broken;
    }
    Item::Labels(found)
}

fn of_map(fields: Vec<(Key, Node)>, problems: &mut Problems) -> Vec<Label> {
    let mut found = Vec::new();
    for (key, node) in fields {
        match (key.name.as_str(), node.value) {
            ("matchLabels" | "matchExpressions", Value::Null) => {}
            ("matchLabels", Value::Map(labels)) => {
                for (label, value) in labels {
                    found.extend(
                        value_of(&value, problems).map(|value| (Located { at: label.at, value: label.name }, value)),
                    );
                }
            }
            ("matchExpressions", Value::List(expressions)) => {
                found.extend(expressions.into_iter().filter_map(|expression| of_expression(expression, problems)));
            }
            ("matchLabels", _) => problems.add(node.at, "`matchLabels` is a map of labels to their values", REMEDY),
            ("matchExpressions", _) => problems.add(node.at, "`matchExpressions` is a list", REMEDY),
            (other, _) => problems.add(
                key.at,
                format!(
                    "`{other}` is not a field of a selector, and Vault would select every namespace without a word"
                ),
                format!("write `namespaceSelector: {other}=…`, or put it below `matchLabels`"),
            ),
        }
    }
    found
}

fn value_of(node: &Node, problems: &mut Problems) -> Option<Located<String>> {
    if let Value::Text(value) | Value::Number(value) = &node.value {
        return Some(Located { at: node.at, value: value.clone() });
    }
    problems.add(node.at, "the value of a label is text", "put it in quotes, such as 'true'");
    None
}

/// One expression: `In` with one value is a label, and no server takes any other.
fn of_expression(node: Node, problems: &mut Problems) -> Option<Label> {
    let at = node.at;
    let mut label = None;
    let (mut is_in, mut values) = (false, Vec::new());
    if let Value::Map(fields) = node.value {
        for (key, node) in fields {
            match (key.name.as_str(), node.value) {
                ("key", Value::Text(text)) => label = Some(Located { at: node.at, value: text }),
                ("operator", Value::Text(operator)) => is_in = operator == "In",
                ("values", Value::List(items)) => {
                    values.extend(items.iter().filter_map(|item| value_of(item, problems)));
                }
                _ => {}
            }
        }
    }
    match (label, values.pop()) {
        (Some(label), Some(value)) if is_in && values.is_empty() => Some((label, value)),
        _ => {
            problems.add(
                at,
                "no server takes this expression: Vault and OpenBao select by labels that have one value, and by nothing else",
                MARK,
            );
            None
        }
    }
}

/// The labels of an entry, whose values may have placeholders.
pub(super) struct SelectorTemplate {
    at: Position,
    /// Whether the role names accounts without their namespace, usable or not.
    has_names: bool,
    labels: Vec<(String, Located<Template>)>,
}

impl SelectorTemplate {
    pub(super) fn read(entry: &Entry, expansion: &Expansion<'_>, problems: &mut Problems) -> Option<Self> {
        let written = entry.labels("namespaceSelector")?;
        let one = |(label, value): &Label| {
            let mut templates = expansion.templates(Some(&vec![value.clone()]), problems);
            templates.pop().map(|template| (label.value.clone(), template))
        };
        let labels = written.iter().filter_map(one).collect();
        let mut accounts = entry.texts("serviceAccounts").into_iter().flatten();
        let has_names = accounts.any(|account| !account.value.contains('/'));
        Some(Self { has_names, at: entry.key("namespaceSelector").unwrap_or(entry.at), labels })
    }

    /// With the names of accounts, which may be in any namespace that it selects.
    pub(super) fn fill(&self, instance: Instance<'_>, names: Vec<String>, problems: &mut Problems) -> Option<Labelled> {
        // One that can't be a name was reported.
        if names.is_empty() && !self.has_names {
            problems.add(
                self.at,
                "`namespaceSelector` selects namespaces, and `serviceAccounts` has no name to take from them",
                "add the name alone to `serviceAccounts`, such as `external-secrets`",
            );
        }
        let filled = self.labels.iter().map(|(label, value)| (label.clone(), instance.fill(&value.value)));
        let selector = problems.accept(self.at, NamespaceSelector::of(filled))?;
        Some(Labelled { names, selector })
    }
}
