//! What a store says of the namespaces that may use it.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};
use regex::Regex;
use serde::{Deserialize, Serialize};

/// The labels of a namespace.
pub(super) type Labels = BTreeMap<String, String>;

/// One of a store's conditions, in three ways to say which namespaces are meant.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct StoreCondition {
    pub(super) namespaces: Vec<String>,
    pub(super) namespace_selector: Option<LabelSelector>,
    namespace_regexes: Vec<String>,
}

impl StoreCondition {
    /// Whether it lets a namespace in; else what of it can't be read here.
    pub(super) fn lets_in(&self, namespace: &str, labels: &Labels) -> Result<bool, String> {
        if self.namespaces.iter().any(|name| name == namespace) {
            return Ok(true);
        }
        if let Some(selector) = &self.namespace_selector {
            let selector = Selector::try_from(selector.clone()).map_err(|error| error.to_string())?;
            if selector.matches(labels) {
                return Ok(true);
            }
        }
        for pattern in &self.namespace_regexes {
            // Nothing anchors it: a part of the name is enough.
            let pattern =
                Regex::new(pattern).map_err(|_| format!("{pattern:?} is no expression that is known here"))?;
            if pattern.is_match(namespace) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The labels that let a namespace in, where it asks for nothing else.
    pub(super) fn labels_alone(&self) -> Option<&Labels> {
        let selector = self.namespace_selector.as_ref()?;
        let alone = self.namespaces.is_empty()
            && self.namespace_regexes.is_empty()
            && selector.match_expressions.as_ref().is_none_or(Vec::is_empty);
        selector.match_labels.as_ref().filter(|labels| alone && !labels.is_empty())
    }
}

impl std::fmt::Display for StoreCondition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let selector = self.namespace_selector.clone().and_then(|selector| Selector::try_from(selector).ok());
        let parts = [
            (!self.namespaces.is_empty()).then(|| self.namespaces.join(", ")),
            selector.map(|selector| format!("with labels {selector}")),
            (!self.namespace_regexes.is_empty()).then(|| format!("like {}", self.namespace_regexes.join(", "))),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", or "))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn lets_in(condition: Value, namespace: &str, labels: &[(&str, &str)]) -> Result<bool, String> {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        serde_json::from_value::<StoreCondition>(condition).unwrap().lets_in(namespace, &labels)
    }

    #[test]
    fn a_namespace_is_let_in_by_its_name_its_labels_or_an_expression() {
        let team = json!({ "namespaceSelector": { "matchLabels": { "team": "blue" } } });
        let any = json!({ "namespaceSelector": { "matchExpressions": [{ "key": "team", "operator": "Exists" }] } });
        for (condition, namespace, labels, expected) in [
            (json!({ "namespaces": ["app"] }), "app", &[][..], true),
            (json!({ "namespaces": ["ap"] }), "app", &[], false),
            (team.clone(), "app", &[("team", "blue")], true),
            (team, "app", &[("team", "red")], false),
            (any, "app", &[("team", "red")], true),
            (json!({ "namespaceSelector": {} }), "app", &[], true),
            (json!({ "namespaceRegexes": ["^a.p$"] }), "app", &[], true),
            (json!({ "namespaceRegexes": ["p"] }), "app", &[], true),
            (json!({ "namespaceRegexes": ["^p"], "namespaces": ["app"] }), "app", &[], true),
            (json!({}), "app", &[], false),
        ] {
            assert_eq!(lets_in(condition.clone(), namespace, labels), Ok(expected), "{condition}");
        }
        assert!(lets_in(json!({ "namespaceRegexes": ["("] }), "app", &[]).is_err());
    }
}
