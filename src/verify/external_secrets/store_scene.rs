//! A store of External Secrets that uses a role, as checks look at it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::external_secret::ExternalSecret;
use super::store_object::Store;
use crate::fix::{Command, Kubectl};
use crate::verify::facts::{Facts, Knows};
use crate::verify::finding::Finding;
use crate::verify::scene::RoleScene;
use crate::verify::section::About;

/// A store that uses a role, and what refers to it.
pub(crate) struct StoreScene {
    pub(crate) role: Arc<RoleScene>,
    pub(crate) store: Store,
    pub(crate) secrets: Vec<ExternalSecret>,
}

impl Knows for StoreScene {
    fn facts(&self) -> &Facts {
        self.role.facts()
    }
}

/// Fields of a store's provider, as a patch of the store.
fn of_provider(fields: &Value) -> Value {
    json!({ "spec": { "provider": { "vault": fields } } })
}

impl StoreScene {
    /// What a section of its checks is about.
    pub(crate) fn about(&self) -> About {
        let Self { role, store, .. } = self;
        About::Store {
            cluster: role.mount.cluster.name.clone(),
            resource: store.kind(),
            namespace: store.namespace.clone(),
            name: store.name.clone(),
            role: role.name.clone(),
        }
    }

    /// A failure, with what the store itself says.
    pub(super) fn failed(&self, detail: impl Into<String>, values: [(&str, String); 2]) -> Finding {
        let finding =
            values.into_iter().fold(Finding::failed(detail), |finding, (what, value)| finding.with(what, value));
        match &self.store.ready {
            Some(ready) if ready.denies() => finding.with("the store says", ready.to_string()),
            _ => finding,
        }
    }

    /// kubectl where the store is, and what it calls its kind.
    fn kubectl(&self) -> (Kubectl, &'static str) {
        let kind = if self.store.namespace.is_some() { "secretstore" } else { "clustersecretstore" };
        (self.role.mount.cluster.kubectl().perhaps_within(self.store.namespace.as_deref()), kind)
    }

    /// The command that shows the store and its events.
    pub(super) fn describe(&self) -> Command {
        let (kubectl, kind) = self.kubectl();
        kubectl.run("describe").fixed(kind).name(&self.store.name)
    }

    /// The command that changes fields of the store's provider.
    pub(super) fn patch(&self, fields: &Value) -> Command {
        let (kubectl, kind) = self.kubectl();
        kubectl.merge(kind, &self.store.name, &of_provider(fields))
    }

    /// The command that changes the store step by step (RFC 6902).
    pub(super) fn patch_by_steps(&self, steps: &Value) -> Command {
        let (kubectl, kind) = self.kubectl();
        kubectl.steps(kind, &self.store.name, steps)
    }

    /// The command that gives the store Vault's CA, from the file that it is in here.
    pub(super) fn patch_ca(&self) -> Command {
        let (kubectl, kind) = self.kubectl();
        let patch = of_provider(&json!({ "caBundle": "CA" }));
        kubectl.merge_file(kind, &self.store.name, &patch, "CA", self.role.mount.vault.ca_file())
    }

    /// The words for a command that takes Vault's CA from its file.
    pub(super) fn with_ca(&self, text: &str) -> String {
        match self.role.mount.vault.ca_file() {
            Some(_) => text.to_owned(),
            // The system's authorities, or several files.
            None => format!("{text}; put the CA into CA.pem first"),
        }
    }
}
