//! Which namespaces a `ClusterSecretStore` lets in: its `spec.conditions`. The operator looks at them before anything else,
//! and one that matches is enough.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::secrets::{NOBODY, said};
use super::store_condition::Labels;
use crate::verify::catalogue::STORE_CONDITIONS;
use crate::verify::external_secrets::store_scene::StoreScene;
use crate::verify::facts::cluster::NamespaceLabels;
use crate::verify::facts::{Known, Knows};
use crate::verify::finding::{Finding, Remedy};
use crate::verify::walk::{Row, row};

/// The check of a store's conditions.
pub(super) const ROWS: &[Row<StoreScene>] = &[row!(STORE_CONDITIONS, conditions)];

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
