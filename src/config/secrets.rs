//! `secrets:`.

use std::collections::{BTreeMap, BTreeSet};

use super::clusters::Clusters;
use super::diagnostic::Problems;
use super::entry::{Entry, Located};
use super::expand::{Expansion, Instance};
use super::kv_path::kv_path;
use super::policies::Policies;
use super::stores::{RolesByName, fill};
use super::suggest::{listed, nearest};
use super::template::Template;
use super::{FileSecret, FileStore, Grant, SecretKey, Verb};
use crate::names::{ClusterName, KvPath, NamespaceName, ObjectName};
use crate::policy::{Pattern, PolicyPath};

/// Reads the Secrets that are made from the stores.
pub(super) fn read_secrets(
    file: &Entry,
    clusters: &Clusters,
    policies: &Policies,
    stores: (&[FileStore], bool),
    problems: &mut Problems,
) -> Vec<FileSecret> {
    let (stores, incomplete) = stores;
    let mut secrets: Vec<FileSecret> = Vec::new();
    let known = Known { incomplete, policies, roles: &RolesByName::of(clusters), stores: &stores_by_name(stores) };
    let mut names = BTreeSet::new();
    for entry in file.sections("secrets") {
        let expansion = Expansion::read(entry, clusters, problems);
        let prepared = SecretTemplates::read(entry, expansion, problems);
        for instance in prepared.expansion.instances() {
            let Some(secret) = prepared.build(instance, &known, problems) else { continue };
            if names.insert((secret.cluster.clone(), secret.namespace.clone(), secret.name.clone())) {
                secrets.push(secret);
            } else {
                problems.add(
                    prepared.expansion.at,
                    format!(
                        "two secrets of the namespace {} in the cluster {:?} are named {:?}",
                        secret.namespace,
                        secret.cluster.as_str(),
                        secret.name.as_str()
                    ),
                    "give one of them another name or namespace, or name their `clusters`",
                );
            }
        }
    }
    secrets
}

/// Stores by their clusters and names: of one name there may be one in each namespace.
type StoresByName<'a> = BTreeMap<(&'a ClusterName, &'a ObjectName), Vec<&'a FileStore>>;

fn stores_by_name(stores: &[FileStore]) -> StoresByName<'_> {
    let mut all = StoresByName::new();
    for store in stores {
        all.entry((&store.cluster, &store.name)).or_default().push(store);
    }
    all
}

/// What a secret is compared with.
struct Known<'a> {
    /// Whether some stores couldn't be read: one that isn't known may be among them.
    incomplete: bool,
    policies: &'a Policies,
    roles: &'a RolesByName<'a>,
    stores: &'a StoresByName<'a>,
}

/// An entry whose templates are read.
struct SecretTemplates<'a> {
    entry: &'a Entry,
    expansion: Expansion<'a>,
    namespace: Option<Located<Template>>,
    store: Option<Located<Template>>,
    data: Vec<(&'a str, Located<Template>)>,
}

impl<'a> SecretTemplates<'a> {
    fn read(entry: &'a Entry, expansion: Expansion<'a>, problems: &mut Problems) -> Self {
        let mut template = |field: &str| {
            entry.required(field, problems).and_then(|text| Template::read(text, expansion.scope, problems))
        };
        let (namespace, store) = (template("namespace"), template("store"));
        entry.require("data", problems);
        let mut data = Vec::new();
        if entry.claims("data").is_some_and(Vec::is_empty) {
            problems.add(
                entry.at,
                "this secret has no keys",
                "write what is in it: `DB_PASSWORD: k8s/prod/db#password`",
            );
        }
        for (key, values) in entry.claims("data").into_iter().flatten() {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if key.value.is_empty() || key.value.len() > 253 || !key.value.chars().all(plain) {
                problems.add(
                    key.at,
                    format!("{:?} can't be a key of a Secret", key.value),
                    "use letters, digits, `-`, `_` and `.`",
                );
            }
            match values.as_slice() {
                [value] => data
                    .extend(Template::read(value, expansion.scope, problems).map(|value| (key.value.as_str(), value))),
                _ => problems.add(
                    key.at,
                    format!("the key `{}` takes one value", key.value),
                    "write the path of one secret, and `#` with its property",
                ),
            }
        }
        Self { entry, expansion, namespace, store, data }
    }

    fn build(&self, instance: Instance<'_>, known: &Known<'_>, problems: &mut Problems) -> Option<FileSecret> {
        let before = problems.count();
        let name: Option<ObjectName> = self.expansion.name(instance, problems);
        let namespace: NamespaceName = fill(self.namespace.as_ref()?, instance, problems)?;
        let store = self.store(instance, &namespace, known, problems)?;
        let data = self.data.iter().filter_map(|(key, template)| {
            let text = instance.fill(&template.value);
            let (path, property) = match text.rsplit_once('#') {
                Some((path, property)) => (path, Some(property)),
                None => (text.as_str(), None),
            };
            if property.is_some_and(str::is_empty) {
                problems.add(
                    template.at,
                    format!("{text:?} names no property after the `#`"),
                    "name it, or leave the `#` away for all of the secret",
                );
                return None;
            }
            let path = match kv_path(path, &store.kv, &known.policies.mounts) {
                Ok(path) if is_one(&path) => path,
                Ok(path) => {
                    problems.add(
                        template.at,
                        format!("{:?} is not the path of one secret", path.as_str()),
                        "write it without `*`, `+`, `{{…}}` and a slash at its end",
                    );
                    return None;
                }
                Err(error) => {
                    problems.add(template.at, error.to_string(), error.remedy());
                    return None;
                }
            };
            if known.may_read(store, &path, instance) == Some(false) {
                problems.warn(
                    template.at,
                    format!(
                        "the store {} can't read {:?}: no policy of its role {} allows it",
                        store.name,
                        path.as_str(),
                        store.role
                    ),
                    "correct the path, or the policy's `read`",
                );
            }
            Some(SecretKey { key: (*key).to_owned(), path, property: property.map(str::to_owned) })
        });
        let data: Vec<SecretKey> = data.collect();
        if problems.count() > before {
            return None;
        }
        Some(FileSecret {
            position: self.entry.at,
            cluster: instance.slot.name.clone(),
            name: name?,
            namespace,
            store: store.name.clone(),
            store_is_namespaced: store.namespace.is_some(),
            refresh_interval: self
                .entry
                .number("refreshInterval")
                .and_then(|seconds| u64::try_from(seconds.value).ok()),
            data,
            deletion_policy: self.entry.text("deletionPolicy").map(|policy| policy.value.clone()),
        })
    }

    /// The store of that name in its cluster: one of its own namespace goes first.
    fn store<'s>(
        &self,
        instance: Instance<'_>,
        namespace: &NamespaceName,
        known: &Known<'s>,
        problems: &mut Problems,
    ) -> Option<&'s FileStore> {
        let stores = known.stores;
        let template = self.store.as_ref()?;
        let name: ObjectName = fill(template, instance, problems)?;
        let is_here = |store: &&FileStore| store.namespace.as_ref().is_none_or(|own| own == namespace);
        let named = stores.get(&(&instance.slot.name, &name)).into_iter().flatten().copied();
        let found = named.filter(is_here).max_by_key(|store| store.namespace.is_some());
        if found.is_none() && instance.slot.cluster.is_some() && !known.incomplete {
            let here = || {
                stores.values().flatten().copied().filter(|store| store.cluster == instance.slot.name).filter(is_here)
            };
            let known = || here().map(|store| store.name.as_str());
            let meant =
                nearest(name.as_str(), known()).map(|name| format!("did you mean {name:?}? ")).unwrap_or_default();
            let has = if here().next().is_some() {
                format!("its stores are: {}", listed(known()))
            } else {
                "add it under `stores`".to_owned()
            };
            problems.add(
                template.at,
                format!(
                    "the cluster {:?} has no store {:?} in this file for the namespace {namespace}",
                    instance.slot.name.as_str(),
                    name.as_str()
                ),
                format!("{meant}{has}"),
            );
        }
        found
    }
}

impl Known<'_> {
    /// Whether the role's policies let a store read a secret; `None` where rules that are written out may.
    fn may_read(&self, store: &FileStore, path: &KvPath, instance: Instance<'_>) -> Option<bool> {
        let role = self.roles.get(instance, &store.role)?;
        let given = role.policies.iter().filter_map(|name| self.policies.named(name.as_str()));
        let mut unknown = false;
        for grant in given.flat_map(|built| &built.policy.grants) {
            match grant {
                Grant::Kv { mount, verb: Verb::Read, path: granted } if *mount == store.kv => {
                    let pattern = PolicyPath::new(granted.as_str()).ok()?;
                    if Pattern::with_templates(&pattern).matches(path.as_str()) {
                        return Some(true);
                    }
                }
                Grant::Kv { .. } => {}
                Grant::Rule { .. } => unknown = true,
            }
        }
        (!unknown).then_some(false)
    }
}

/// Whether a path is that of one secret.
fn is_one(path: &KvPath) -> bool {
    !path.is_folder() && !path.as_str().contains(['*', '{']) && path.as_str().split('/').all(|segment| segment != "+")
}
