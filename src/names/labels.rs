//! Labels that select namespaces, as roles of a `kubernetes` mount do.
//!
//! A server takes a `LabelSelector` as JSON or YAML, and of that only labels with one value each: every version of either server
//! refuses `matchExpressions`. What else it reads it takes in silence: a selector that names no label selects every namespace.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::InvalidName;
use super::account::is_dns_subdomain;

/// Namespaces that have all of these labels; all of them where there are none, which no file can say.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NamespaceSelector(BTreeMap<String, String>);

/// The labels of something, each with its value.
pub type Labels = BTreeMap<String, String>;

const WHAT: &str = "namespace selector";
/// What a server takes.
pub(crate) const REMEDY: &str = "write labels with one value each, such as `team=shop,stage=prod`";
/// What to do where that isn't enough.
pub(crate) const MARK: &str = "give those namespaces a label of their own and select that, such as `vault=shop`; or name them in `serviceAccounts`";

impl NamespaceSelector {
    /// The namespaces that have these labels.
    ///
    /// # Errors
    /// When there is none, one of them can't be a label, or they contradict each other.
    pub fn of(labels: impl IntoIterator<Item = (String, String)>) -> Result<Self, InvalidName> {
        let mut read = Labels::new();
        for (label, value) in labels {
            check(&label, &value)?;
            if let Some(other) = read.get(&label).filter(|other| **other != value) {
                let said = format!("{label}={value}");
                let problem = format!("no namespace has that beside {label}={other}");
                return Err(InvalidName::new(WHAT, &said, problem, "keep one of the two"));
            }
            read.insert(label, value);
        }
        if read.is_empty() {
            let problem = "it names no label, and would select every namespace";
            return Err(InvalidName::new(WHAT, "", problem, REMEDY));
        }
        Ok(Self(read))
    }

    /// As a server understands what a role holds; `None` where that is nothing that this tool understands, or that the server would
    /// fail at.
    pub fn held(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::default());
        }
        // Of several documents a server reads the first.
        let body = text.trim_start().strip_prefix("---").unwrap_or(text);
        let first = body.split("\n---").next().unwrap_or_default();
        let fields = match serde_saphyr::from_str::<Value>(first).ok()? {
            Value::Null => return Some(Self::default()),
            Value::Object(fields) => fields,
            _ => return None,
        };
        // Case means nothing to Go, and unknown fields are passed over.
        let find =
            |name: &str| fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        if find("matchExpressions").is_some_and(|expressions| !expressions.is_null()) {
            return None;
        }
        let labels = match find("matchLabels") {
            None | Some(Value::Null) => return Some(Self::default()),
            Some(Value::Object(labels)) => labels,
            Some(_) => return None,
        };
        let one = |(label, value): (&String, &Value)| {
            let value = match value {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                Value::Bool(flag) => flag.to_string(),
                Value::Number(number) if number.is_u64() || number.is_i64() => number.to_string(),
                _ => return None,
            };
            check(label, &value).ok().map(|()| (label.clone(), value))
        };
        labels.iter().map(one).collect::<Option<Labels>>().map(Self)
    }

    /// As it is written into a role.
    pub fn document(&self) -> String {
        let labels: Map<String, Value> =
            self.0.iter().map(|(label, value)| (label.clone(), value.as_str().into())).collect();
        json!({ "matchLabels": labels }).to_string()
    }

    /// Whether it selects a namespace with these labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|(label, value)| labels.get(label) == Some(value))
    }

    /// Whether it selects every namespace.
    pub fn is_everybodys(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it selects all namespaces that another one does.
    pub fn covers(&self, other: &Self) -> bool {
        self.matches(&other.0)
    }

    /// The labels that a namespace needs for it.
    pub fn labels(&self) -> &Labels {
        &self.0
    }
}

impl fmt::Display for NamespaceSelector {
    /// As kubectl takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (label, value)) in self.0.iter().enumerate() {
            write!(f, "{}{label}={value}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for NamespaceSelector {
    type Err = InvalidName;

    /// As kubectl takes it, as far as a server can be told.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::of(requirements(text)?)
    }
}

/// The labels that a selector of kubectl's names; nothing is checked of them yet.
///
/// # Errors
/// When it is none, or has something that no server takes.
pub(crate) fn requirements(text: &str) -> Result<Vec<(String, String)>, InvalidName> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let parts = text.split(|c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    });
    for part in parts.map(str::trim).filter(|_| !text.trim().is_empty()) {
        found.push(requirement(part)?);
    }
    Ok(found)
}

fn requirement(part: &str) -> Result<(String, String), InvalidName> {
    let only_labels = || {
        InvalidName::new(
            WHAT,
            part,
            "Vault and OpenBao select by labels that have one value, and by nothing else",
            MARK,
        )
    };
    if part.is_empty() {
        return Err(InvalidName::new(WHAT, part, "there is nothing between two commas", REMEDY));
    }
    if let Some((label, values)) = part.strip_suffix(')').and_then(|part| part.split_once('(')) {
        let words: Vec<&str> = label.split_whitespace().collect();
        let values: Vec<&str> = values.split(',').map(str::trim).collect();
        return match (words.as_slice(), values.as_slice()) {
            ([label, "in"], [value]) => Ok(((*label).to_owned(), (*value).to_owned())),
            _ => Err(only_labels()),
        };
    }
    if part.contains("!=") || part.starts_with('!') || part.contains(['<', '>']) {
        return Err(only_labels());
    }
    match part.split_once("==").or_else(|| part.split_once('=')) {
        Some((label, value)) => Ok((label.trim().to_owned(), value.trim().to_owned())),
        // Whatever value it has.
        None => Err(only_labels()),
    }
}

/// Whether this can be a label with its value.
fn check(label: &str, value: &str) -> Result<(), InvalidName> {
    let (prefix, name) = label.rsplit_once('/').map_or((None, label), |(prefix, name)| (Some(prefix), name));
    let problem = if prefix.is_some_and(|prefix| prefix.len() > 253 || !is_dns_subdomain(prefix)) {
        "the prefix of its label is no DNS subdomain"
    } else if name.is_empty() || !is_word(name) {
        "its label has up to 63 letters, digits, `-`, `_` and `.`, and a letter or digit at either end"
    } else if !is_word(value) {
        "its value has up to 63 letters, digits, `-`, `_` and `.`, and a letter or digit at either end"
    } else {
        return Ok(());
    };
    Err(InvalidName::new(WHAT, &format!("{label}={value}"), problem, REMEDY))
}

fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    bytes.len() <= 63
        && bytes.iter().all(inner)
        && [bytes.first(), bytes.last()].iter().flatten().all(|end| end.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_kubectl_takes_is_read_as_far_as_a_server_can_be_told() {
        for (text, read) in [
            ("team=shop", "team=shop"),
            (" team == shop , stage in ( prod ) ", "stage=prod,team=shop"),
            ("example.com/team=", "example.com/team="),
            ("a=b,a=b", "a=b"),
        ] {
            assert_eq!(text.parse::<NamespaceSelector>().unwrap().to_string(), read, "{text}");
        }
        for (text, says) in [
            ("", "every namespace"),
            ("a=b,,c=d", "two commas"),
            ("c!=d", "one value"),
            ("e in (x,y)", "one value"),
            ("e notin (x)", "one value"),
            ("!f", "one value"),
            ("f", "one value"),
            ("n>1", "one value"),
            ("a=b,a=c", "beside a=b"),
            ("/a=b", "prefix"),
            ("=b", "its label"),
            ("a=-b", "its value"),
            ("a=b c", "its value"),
        ] {
            let error = text.parse::<NamespaceSelector>().unwrap_err();
            assert!(error.problem.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn what_a_role_holds_is_understood_as_the_server_understands_it() {
        // As OpenBao 2.7.2 takes them.
        for (text, read) in [
            (r#"{"matchLabels":{"team":"shop"}}"#, Some("team=shop")),
            (r#"{"matchExpressions":null,"matchLabels":{"a":"b"}}"#, Some("a=b")),
            ("matchLabels:\n  team: shop\n  n: 1\n", Some("n=1,team=shop")),
            ("MATCHLABELS: { a: b }", Some("a=b")),
            ("---\nmatchLabels:\n  a: b\n---\nmatchLabels: {c: d}\n", Some("a=b")),
            // All of them.
            ("team: shop", Some("")),
            ("{}", Some("")),
            (" ", Some("")),
            ("matchLabels: {}", Some("")),
            // Nobody, because the server fails at it.
            ("matchLabels: {\"/bad key\": v}", None),
            ("team=shop", None),
            (r#"{"matchExpressions":[{"key":"a","operator":"Exists"}]}"#, None),
        ] {
            assert_eq!(NamespaceSelector::held(text).map(|read| read.to_string()).as_deref(), read, "{text}");
        }
    }

    #[test]
    fn fewer_labels_select_more() {
        let [wide, narrow, other]: [NamespaceSelector; 3] = ["a=b", "a=b,c=d", "a=c"].map(|text| text.parse().unwrap());
        assert!(wide.covers(&narrow) && !narrow.covers(&wide) && !wide.covers(&other));
        assert!(NamespaceSelector::default().covers(&wide));
        assert!(
            narrow.matches(&labels(&[("a", "b"), ("c", "d"), ("e", "f")])) && !narrow.matches(&labels(&[("a", "b")]))
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_understood_again(
            pairs in proptest::collection::btree_map("([a-z]{1,8}/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,6}[A-Za-z0-9])?", "[A-Za-z0-9]{0,6}", 1..4),
        ) {
            let selector = NamespaceSelector::of(pairs).unwrap();
            prop_assert_eq!(NamespaceSelector::held(&selector.document()), Some(selector.clone()));
            prop_assert_eq!(selector.to_string().parse::<NamespaceSelector>().unwrap(), selector);
        }
    }
}
