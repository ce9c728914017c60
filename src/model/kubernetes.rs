//! The documents of the `kubernetes` auth method: its configuration and roles.
//!
//! Source: `auth/<mount>/config` and `auth/<mount>/role/<name>` of Vault's Kubernetes method.

use serde::{Deserialize, Serialize};

use super::token_fields::{TokenFields, null_as_default, sort};
use crate::keys::Authorities;
use crate::names::NamespaceSelector;

/// A `kubernetes` mount's configuration, without the reviewer's token, which no server reads back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KubernetesConfig {
    /// The API server's URL.
    pub kubernetes_host: String,
    /// The CA that signed its certificate, PEM.
    pub kubernetes_ca_cert: String,
    /// Whether the issuer of tokens goes unchecked, which is the server's default.
    pub disable_iss_validation: bool,
    /// The issuer that tokens must have, where it is checked.
    pub issuer: String,
    /// Whether Vault must not use the service account of its own pod.
    pub disable_local_ca_jwt: bool,
    /// Keys that signatures are checked with before the cluster is asked.
    #[serde(deserialize_with = "null_as_default")]
    pub pem_keys: Vec<String>,
    /// Whether aliases get metadata from annotations of the service account (Vault).
    pub use_annotations_as_alias_metadata: bool,
    /// Whether the mount has a reviewer's token, where the server tells (OpenBao, and Vault in newer versions). It can't
    /// be written.
    #[serde(skip_serializing)]
    pub token_reviewer_jwt_set: Option<bool>,
}

impl KubernetesConfig {
    /// The form in which two configurations that mean the same are equal.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        self.kubernetes_host = self.kubernetes_host.trim_end_matches('/').to_owned();
        let authorities = Authorities::parse(&self.kubernetes_ca_cert);
        self.kubernetes_ca_cert =
            authorities.map_or_else(|| self.kubernetes_ca_cert.trim().to_owned(), |authorities| authorities.to_pem());
        for pem in &mut self.pem_keys {
            *pem = pem.trim().to_owned();
        }
        sort(&mut self.pem_keys);
        self
    }
}

/// A role of a `kubernetes` mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KubernetesRole {
    /// The names of service accounts, each of which may log in from each of the namespaces.
    #[serde(deserialize_with = "null_as_default")]
    pub bound_service_account_names: Vec<String>,
    /// The namespaces of service accounts.
    #[serde(deserialize_with = "null_as_default")]
    pub bound_service_account_namespaces: Vec<String>,
    /// A label selector for further namespaces.
    pub bound_service_account_namespace_selector: String,
    /// The audience that a token must have. A server leaves an empty one out.
    pub audience: String,
    /// `serviceaccount_uid` or `serviceaccount_name`.
    pub alias_name_source: String,
    /// What it says about tokens.
    #[serde(flatten)]
    pub token: TokenFields,
}

impl KubernetesRole {
    /// Whether it selects namespaces by their labels.
    pub fn selects_namespaces(&self) -> bool {
        !self.bound_service_account_namespace_selector.is_empty()
    }

    /// The form in which two roles that mean the same are equal.
    #[must_use]
    pub fn normalised(mut self) -> Self {
        self.token.normalise();
        sort(&mut self.bound_service_account_names);
        sort(&mut self.bound_service_account_namespaces);
        // However it was written; one that selects every namespace is no file's, and stays in its words.
        let selector = &mut self.bound_service_account_namespace_selector;
        if let Some(read) = NamespaceSelector::held(selector).filter(|read| !read.is_everybodys()) {
            *selector = read.document();
        }
        self
    }
}
