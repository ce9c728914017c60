//! Which namespaces a `ClusterSecretStore` lets in: its `spec.conditions`. The operator looks at them before anything else,
//! and one that matches is enough.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::secrets::{NOBODY, said};
use super::uses::StoreScene;
use crate::verify::catalogue::STORE_CONDITIONS;
use crate::verify::facts::cluster::NamespaceLabels;
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::{Finding, Remedy};
use crate::verify::walk::{Row, row};

/// The check of a store's conditions.
pub(super) const ROWS: &[Row<StoreScene>] = &[row!(STORE_CONDITIONS, conditions)];

/// The labels of a namespace.
type Labels = BTreeMap<String, String>;

/// One of a store's conditions, in three ways to say which namespaces are meant.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct StoreCondition {
    namespaces: Vec<String>,
    namespace_selector: Option<LabelSelector>,
    namespace_regexes: Vec<String>,
}

impl StoreCondition {
    /// Whether it lets a namespace in; else what of it can't be read here.
    fn lets_in(&self, namespace: &str, labels: &Labels) -> Result<bool, String> {
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
    fn labels_alone(&self) -> Option<&Labels> {
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

fn conditions(scene: &StoreScene) -> Known<Finding> {
    let conditions = &scene.store.conditions;
    if conditions.is_empty() {
        return Ok(Finding::passed("it lets in every namespace"));
    }
    let namespaces: BTreeSet<&str> = scene.secrets.iter().map(|secret| secret.namespace.as_str()).collect();
    if namespaces.is_empty() {
        return Ok(Finding::skipped(NOBODY));
    }
    let mut refused = BTreeMap::new();
    for namespace in &namespaces {
        let labels = match labels_of(scene, namespace)? {
            Ok(labels) => labels,
            Err(finding) => return Ok(finding),
        };
        let answers: Vec<_> = conditions.iter().map(|condition| condition.lets_in(namespace, &labels)).collect();
        if answers.contains(&Ok(true)) {
            continue;
        }
        if let Some(Err(said)) = answers.into_iter().find(Result::is_err) {
            return Ok(Finding::unseen(format!("whether the store lets in {namespace} can't be told: {said}")));
        }
        refused.insert(*namespace, labels);
    }
    if refused.is_empty() {
        return Ok(Finding::passed(namespaces.into_iter().collect::<Vec<_>>().join(", ")));
    }
    Ok(told(scene, &refused))
}

/// The labels of a namespace, where a condition asks for some.
fn labels_of(scene: &StoreScene, namespace: &str) -> Known<Result<Labels, Finding>> {
    if scene.store.conditions.iter().all(|condition| condition.namespace_selector.is_none()) {
        return Ok(Ok(Labels::new()));
    }
    let cluster = &scene.role.mount.cluster;
    if cluster.connected().is_none() {
        return Ok(Err(Finding::skipped("the cluster can't be reached from here")));
    }
    let labels = NamespaceLabels { cluster: cluster.name.clone(), namespace: namespace.to_owned() };
    Ok(match scene.facts().get(&labels)? {
        Ok(Some(labels)) => Ok(labels.clone()),
        Ok(None) => Err(Finding::unseen(format!("there is no namespace {namespace} any more"))),
        Err(error) => Err(Finding::unseen_because(error)),
    })
}

/// What is said of namespaces that a store does not let in.
fn told(scene: &StoreScene, refused: &BTreeMap<&str, Labels>) -> Finding {
    let store = &scene.store;
    let names = refused.keys().copied().collect::<Vec<_>>().join(", ");
    let shown = store.conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let denied: Vec<_> =
        scene.secrets.iter().filter(|secret| refused.contains_key(secret.namespace.as_str())).collect();
    let secrets = denied.iter().map(|secret| format!("{}/{}", secret.namespace, secret.name)).collect::<Vec<_>>();
    let values = [("ExternalSecrets that refer to it", secrets.join(", ")), ("it lets in the namespaces", shown)];
    let finding = scene.failed(format!("the store's conditions do not let in the namespace {names}"), values);
    let finding = refused.iter().filter(|(_, labels)| !labels.is_empty()).fold(finding, |finding, (name, labels)| {
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        finding.with(format!("the labels of {name}"), labels.join(", "))
    });
    denied
        .into_iter()
        .fold(finding, said)
        .why("External Secrets refuses them before it asks Vault: their events say `using cluster store \"…\" is not allowed from namespace \"…\": denied by spec.condition`")
        .mend(by_label(scene, refused))
        .mend([by_name(scene, refused)])
}

/// The command that gives the namespaces the labels which the store asks for, where they have none of that name: another
/// value has a meaning of its own.
fn by_label(scene: &StoreScene, refused: &BTreeMap<&str, Labels>) -> Option<Remedy> {
    let [condition] = scene.store.conditions.as_slice() else { return None };
    let wanted = condition.labels_alone()?;
    if refused.values().any(|labels| wanted.keys().any(|key| labels.contains_key(key))) {
        return None;
    }
    let names = refused.keys().map(|name| (*name).to_owned());
    let arguments: Vec<String> = names.chain(wanted.iter().map(|(key, value)| format!("{key}={value}"))).collect();
    let label = scene.role.mount.cluster.kubectl().run("label namespace");
    Some(Remedy {
        text: "give the namespace the labels that the store asks for, if nothing else goes by them".to_owned(),
        command: Some(label.args(arguments.iter().map(String::as_str))),
    })
}

/// The command that lets the namespaces in by their names.
fn by_name(scene: &StoreScene, refused: &BTreeMap<&str, Labels>) -> Remedy {
    let names: Vec<&str> = refused.keys().copied().collect();
    let listed = scene.store.conditions.iter().position(|condition| !condition.namespaces.is_empty());
    let changes: Vec<Value> = match listed {
        Some(at) => {
            let path = format!("/spec/conditions/{at}/namespaces/-");
            names.iter().map(|name| json!({ "op": "add", "path": path, "value": name })).collect()
        }
        None => vec![json!({ "op": "add", "path": "/spec/conditions/-", "value": { "namespaces": names } })],
    };
    Remedy {
        text: "let the store take the namespace by its name, and correct where the store comes from".to_owned(),
        command: Some(scene.patch_by_steps(&changes.into())),
    }
}

#[cfg(test)]
mod tests {
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
