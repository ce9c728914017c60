//! From the tree of a text to the meaning of a policy, after `ParseACLPolicy` in `policy.go`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::restriction::{self, Field};
use super::{Capability, Policy, PolicyPath, PolicyPathError, Rule, UnknownCapability};
use crate::hcl::{Item, Node, SyntaxError};

/// How many rules a policy may have to be judged: some questions compare each with each. People's policies have hundreds.
const MOST_RULES: usize = 10_000;

/// Why a policy's text isn't understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyParseError {
    /// Neither HCL 1 nor JSON.
    #[error("line {line} of the policy isn't understood: {problem}")]
    Syntax {
        /// From 1.
        line: usize,
        /// What stands there.
        problem: String,
    },
    /// A field that this version doesn't know, though the server may.
    #[error("the policy's field {0:?} isn't known here")]
    UnknownField(String),
    /// More rules than can be compared in a moment.
    #[error("the policy has {0} rules, more than the {MOST_RULES} that are judged")]
    TooManyRules(usize),
    /// A rule without a path, or with more labels than one.
    #[error("a rule of the policy isn't of the form: path \"…\" {{ … }}")]
    RuleForm,
    /// A path that can't be.
    #[error("a path in the policy isn't valid")]
    Path(#[from] PolicyPathError),
    /// A capability that isn't known here.
    #[error("a capability for {path:?} isn't known here")]
    Capability {
        /// Path of the rule.
        path: String,
        /// The capability.
        source: UnknownCapability,
    },
    /// The old form `policy = "…"` with an unknown value.
    #[error("the old-style policy {policy:?} for {path:?} isn't one of read, write, sudo and deny")]
    OldStyle {
        /// Path of the rule.
        path: String,
        /// Value of the field.
        policy: String,
    },
    /// A field whose value isn't what it should be.
    #[error("the field {field} for {path:?} isn't understood")]
    Field {
        /// Path of the rule.
        path: String,
        /// Name of the field.
        field: String,
    },
}

impl From<SyntaxError> for PolicyParseError {
    fn from(error: SyntaxError) -> Self {
        Self::Syntax { line: error.line, problem: error.problem }
    }
}

pub(super) fn policy(items: &[Item]) -> Result<Policy, PolicyParseError> {
    if items.len() > MOST_RULES {
        return Err(PolicyParseError::TooManyRules(items.len()));
    }
    let mut rules = Vec::new();
    for item in items {
        match item.keys.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["path", path] => rules.push(rule(path, item)?),
            // The server reads it and forgets it.
            ["name"] if matches!(item.value, Node::String(_) | Node::Number(_)) => {}
            [other, ..] if other != "path" => return Err(PolicyParseError::UnknownField(other.to_owned())),
            _ => return Err(PolicyParseError::RuleForm),
        }
    }
    Ok(Policy::new(rules))
}

fn rule(path: &str, item: &Item) -> Result<Rule, PolicyParseError> {
    let Node::Object(fields) = &item.value else { return Err(PolicyParseError::RuleForm) };
    let mut names: Vec<&str> = Vec::new();
    let mut old_style = "";
    let mut other = BTreeMap::new();
    for field in fields {
        // JSON, flattened, can have labels here; no field has any in a text that servers accept.
        let [name] = field.keys.as_slice() else {
            return Err(PolicyParseError::UnknownField(field.keys.join(" ")));
        };
        let invalid = || PolicyParseError::Field { path: path.to_owned(), field: name.clone() };
        match name.as_str() {
            // Written twice, the lists add up.
            "capabilities" => names.extend(strings(&field.value).ok_or_else(invalid)?),
            "policy" => old_style = string(&field.value).ok_or_else(invalid)?,
            name => {
                let kind = restriction::field(name).ok_or_else(|| PolicyParseError::UnknownField(name.to_owned()))?;
                restrict(&mut other, name, kind, &field.value).ok_or_else(invalid)?;
            }
        }
    }
    let mut capabilities = capabilities(path, &names, old_style)?;
    if !old_style.is_empty() {
        capabilities.extend(old_capabilities(path, old_style)?);
    }
    let rule = Rule { path: PolicyPath::new(path)?, capabilities, other }.normalised();
    if restriction::impossible(&rule.other) {
        return Err(PolicyParseError::Field { path: path.to_owned(), field: "max_wrapping_ttl".to_owned() });
    }
    Ok(rule)
}

/// Explicit capabilities. At `deny` the server stops reading, whatever follows.
fn capabilities(path: &str, names: &[&str], old_style: &str) -> Result<BTreeSet<Capability>, PolicyParseError> {
    let mut found = BTreeSet::new();
    // `policy = "deny"` takes the place of the list.
    if old_style == "deny" {
        return Ok(found);
    }
    for name in names {
        let capability =
            name.parse().map_err(|source| PolicyParseError::Capability { path: path.to_owned(), source })?;
        found.insert(capability);
        if capability == Capability::Deny {
            break;
        }
    }
    Ok(found)
}

/// The form of before Vault 0.5.
fn old_capabilities(path: &str, policy: &str) -> Result<&'static [Capability], PolicyParseError> {
    use Capability::{Create, Delete, Deny, List, Read, Sudo, Update};
    Ok(match policy {
        "deny" => &[Deny],
        "read" => &[Read, List],
        "write" => &[Create, Read, Update, Delete, List],
        "sudo" => &[Create, Read, Update, Delete, List, Sudo],
        _ => return Err(PolicyParseError::OldStyle { path: path.to_owned(), policy: policy.to_owned() }),
    })
}

/// Adds a field in its normal form. None if its value isn't understood.
fn restrict(other: &mut BTreeMap<String, Value>, name: &str, kind: Field, node: &Node) -> Option<()> {
    let earlier = other.remove(name);
    let value = match kind {
        Field::Ignored => None,
        // Written twice, the last counts.
        Field::Duration => Some(restriction::duration(&node.to_json())?).filter(|duration| *duration != 0),
        Field::Limit => {
            let limit = match node {
                Node::Number(number) => number.as_i64()?,
                Node::String(text) => text.parse().ok()?,
                _ => return None,
            };
            (limit > 0).then(|| limit.into())
        }
        Field::Parameters | Field::Verbatim if earlier.is_some() => return None,
        Field::Parameters => {
            let all = parameters(node)?;
            (!all.is_empty()).then_some(Value::Object(all))
        }
        Field::ParameterNames | Field::Names => {
            let fold = |name: &str| if kind == Field::Names { name.to_owned() } else { name.to_lowercase() };
            let mut all = match earlier {
                Some(Value::Array(all)) => all,
                _ => Vec::new(),
            };
            all.extend(strings(node)?.into_iter().map(|name| Value::String(fold(name))));
            (!all.is_empty()).then(|| Value::Array(restriction::set(all)))
        }
        Field::Verbatim => Some(node.to_json()).filter(|value| value != ""),
    };
    if let Some(value) = value {
        other.insert(name.to_owned(), value);
    }
    Some(())
}

fn parameters(node: &Node) -> Option<Map<String, Value>> {
    let Node::Object(items) = node else { return None };
    let mut all = Map::new();
    for item in items {
        let ([name], Node::List(values)) = (item.keys.as_slice(), &item.value) else { return None };
        let values = restriction::set(values.iter().map(Node::to_json).collect());
        // Of names that differ in case only, the server keeps a random one; those written twice add up.
        if all.insert(name.to_lowercase(), Value::Array(values)).is_some() {
            return None;
        }
    }
    Some(all)
}

fn string(node: &Node) -> Option<&str> {
    match node {
        Node::String(text) => Some(text),
        _ => None,
    }
}

fn strings(node: &Node) -> Option<Vec<&str>> {
    match node {
        Node::List(nodes) => nodes.iter().map(string).collect(),
        _ => None,
    }
}
