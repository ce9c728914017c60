//! kubectl, in the context that was looked at.

use std::path::Path;

use serde_json::Value;

use super::Command;
use crate::names::ServiceAccountRef;

/// kubectl, with the flags that lead it to a cluster whichever context is the current one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kubectl {
    flags: Vec<String>,
    namespace: Option<String>,
}

/// What lets anybody who reaches the API server read its issuer and its keys.
const OPEN_DISCOVERY: &str = "create clusterrolebinding service-account-issuer-discovery-unauthenticated \
                              --clusterrole=system:service-account-issuer-discovery --group=system:unauthenticated";

impl Kubectl {
    /// With these flags (`--context`, `NAME`), or none.
    pub fn new(flags: Vec<String>) -> Self {
        Self { flags, namespace: None }
    }

    /// In the context of this name.
    pub fn in_context(name: &str) -> Self {
        Self::new(vec!["--context".to_owned(), name.to_owned()])
    }

    /// In a namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// In a namespace, where there is one.
    #[must_use]
    pub fn perhaps_within(self, namespace: Option<&str>) -> Self {
        match namespace {
            Some(namespace) => self.within(namespace),
            None => self,
        }
    }

    /// A command of it: `create serviceaccount`.
    pub fn run(&self, words: &'static str) -> Command {
        let kubectl = Command::of("kubectl".to_owned()).args(self.flags.iter().map(String::as_str));
        self.namespace.iter().fold(kubectl, |kubectl, namespace| kubectl.flag("-n", namespace)).fixed(words)
    }

    /// Changes fields of an object (RFC 7386).
    pub fn merge(&self, kind: &'static str, name: &str, patch: &Value) -> Command {
        let patched = self.run("patch").fixed(kind);
        patched.name_with(name, |patched| patched.fixed("--type merge -p").arg(&patch.to_string()))
    }

    /// Changes an object step by step (RFC 6902).
    pub fn steps(&self, kind: &'static str, name: &str, steps: &Value) -> Command {
        let patched = self.run("patch").fixed(kind);
        patched.name_with(name, |patched| patched.fixed("--type json -p").arg(&steps.to_string()))
    }

    /// Changes fields of an object, one of which, with this value, is what a file holds, in base64.
    pub fn merge_file(
        &self,
        kind: &'static str,
        name: &str,
        patch: &Value,
        mark: &str,
        file: Option<&Path>,
    ) -> Command {
        let (patch, mark) = (patch.to_string(), format!("\"{mark}\""));
        let (before, after) = patch.split_once(&mark).unwrap_or((&patch, ""));
        self.run("patch").fixed(kind).name_with(name, |patched| {
            let patched = patched.fixed("--type merge -p");
            patched.around_file(&format!("{before}\""), file, &format!("\"{after}"))
        })
    }

    /// A token of a service account for a day.
    pub fn token(&self, account: &str) -> Command {
        self.run("create token").name_with(account, |create| create.fixed("--duration=24h"))
    }

    /// The token that stands in a Secret.
    pub fn token_in(&self, secret: &str) -> Command {
        let get = self.run("get secret");
        get.name_with(secret, |get| get.fixed("-o 'go-template={{.data.token | base64decode}}'"))
    }

    /// Gives a `ClusterRole` to a service account, by a binding of this name.
    pub fn bind(&self, name: &str, role: &str, account: &ServiceAccountRef) -> Command {
        self.run("create clusterrolebinding")
            .name_with(name, |create| create.flag("--clusterrole=", role).flag("--serviceaccount=", &subject(account)))
    }

    /// Takes a service account into a binding.
    pub fn add_subject(&self, binding: &str, account: &ServiceAccountRef) -> Command {
        let set = self.run("set subject clusterrolebinding");
        set.name_with(binding, |set| set.flag("--serviceaccount=", &subject(account)))
    }

    /// Lets anybody who reaches the API server read its issuer and its keys.
    pub fn open_discovery(&self) -> Command {
        self.run(OPEN_DISCOVERY)
    }
}

/// A service account as kubectl's flags take it.
fn subject(account: &ServiceAccountRef) -> String {
    format!("{}:{}", account.namespace, account.name)
}
