//! What there is to say of a way to a cluster, without the credentials for it.

use serde::{Deserialize, Serialize};

use crate::fix::Kubectl;
use crate::keys::Authorities;

/// What the way to the API server of one's own pod is called.
pub(super) const IN_CLUSTER: &str = "in-cluster";

/// A way to one cluster's API server, as others are told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Way {
    server: String,
    /// The context's name, or `in-cluster`.
    name: String,
    kubeconfig_flag: Vec<String>,
    ca: Option<Authorities>,
    /// The user as whom things are asked there, by `--as`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acting_as: Option<String>,
}

impl Way {
    /// To the API server of this URL. Of the text in which its CA stands, nothing but certificates is kept.
    pub(super) fn new(server: String, name: String, kubeconfig_flag: Vec<String>, ca: Option<&str>) -> Self {
        Self { server, name, kubeconfig_flag, ca: ca.and_then(Authorities::parse), acting_as: None }
    }

    /// The same, as another user.
    pub(super) fn acting_as(self, user: Option<String>) -> Self {
        Self { acting_as: user, ..self }
    }

    /// The API server's URL, without a slash at its end.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The name of the kubeconfig context, or `in-cluster`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// kubectl, as it reaches the same cluster whichever context is the current one.
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(self.flags().map(str::to_owned).collect())
    }

    /// The flags that lead to it, of kubectl and of this program.
    pub fn flags(&self) -> impl Iterator<Item = &str> {
        let context = (self.name != IN_CLUSTER).then(|| ["--context", &self.name]);
        let file = self.kubeconfig_flag.iter().map(String::as_str).filter(|_| self.name != IN_CLUSTER);
        file.chain(context.into_iter().flatten())
    }

    /// The flags with which kubectl asks there as the same.
    pub(super) fn flags_of_asker(&self) -> Vec<String> {
        let user = self.acting_as.iter().flat_map(|user| ["--as", user]);
        self.flags().chain(user).map(str::to_owned).collect()
    }

    /// The CA of the API server; `None` where the kubeconfig leaves that to the system.
    pub fn ca(&self) -> Option<&Authorities> {
        self.ca.as_ref()
    }
}
