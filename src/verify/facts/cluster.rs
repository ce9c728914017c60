//! What is asked of a cluster, with the credentials of whoever runs this.

use std::collections::{BTreeMap, BTreeSet};

use http::header::DATE;
use jiff::fmt::rfc2822;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::ResourceAttributes;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Secret, ServiceAccount};
use kube::api::{Api, ListParams, PostParams};
use serde::{Deserialize, Serialize};

use super::{Query, Servers};
use crate::cluster::{self, Connection, Discovery, discovery, jwks_text, observe_reviewer, trusted_keys};
use crate::config::Reviewer;
use crate::error::{Error, Result};
use crate::keys::{Authorities, VerificationKey};
use crate::model::ObservedReviewer;
use crate::names::{ClusterName, Labels, ServiceAccountRef};

impl Servers {
    /// The way to a cluster; an error where there is none.
    pub(super) fn way_to(&self, cluster: &ClusterName) -> Result<&Connection> {
        self.cluster(cluster).ok_or_else(|| Error::failed("there is no way to the cluster"))
    }
}

/// Its version, which shows that it answers.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Version {
    pub(crate) cluster: ClusterName,
}

impl Query for Version {
    type Answer = Result<String>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let connection = servers.way_to(&self.cluster)?;
        let info = connection.client().apiserver_version().await;
        info.map(|info| info.git_version).map_err(|error| Error::from(connection.refused("its version", error)))
    }
}

/// Issuer and keys, as a cluster publishes them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Published {
    pub(crate) issuer: String,
    pub(crate) keys: Vec<VerificationKey>,
    /// Where it says that it publishes them.
    pub(crate) jwks_uri: Option<String>,
}

/// What a cluster publishes.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Publishes {
    pub(crate) cluster: ClusterName,
}

impl Query for Publishes {
    type Answer = Result<Published>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let connection = servers.way_to(&self.cluster)?;
        let (discovery, jwks): (Discovery, String) = tokio::try_join!(discovery(connection), jwks_text(connection))?;
        let keys = trusted_keys(&jwks, &format!("{}/openid/v1/jwks", connection.server()))?;
        Ok(Published { issuer: discovery.issuer, keys, jwks_uri: discovery.jwks_uri })
    }
}

/// The CA by which a cluster's pods know its API server, where it publishes that and it may be read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RootCa {
    pub(crate) cluster: ClusterName,
}

impl Query for RootCa {
    type Answer = Option<Authorities>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let client = servers.cluster(&self.cluster)?.client();
        let maps = Api::<ConfigMap>::namespaced(client, "kube-system");
        let published = maps.get_opt("kube-root-ca.crt").await.ok()??;
        Authorities::parse(published.data?.get("ca.crt")?)
    }
}

/// A cluster's time in seconds since 1970, as it stamps its answers.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Date {
    pub(crate) cluster: ClusterName,
}

impl Query for Date {
    type Answer = Option<i64>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let request = http::Request::get("/version").body(kube::client::Body::empty()).ok()?;
        let answer = servers.cluster(&self.cluster)?.client().send(request).await.ok()?;
        let date = answer.headers().get(DATE)?.to_str().ok()?;
        rfc2822::parse(date).ok().map(|at| at.timestamp().as_second())
    }
}

/// The uid of a service account; `None` where it isn't there.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AccountUid {
    pub(crate) cluster: ClusterName,
    pub(crate) account: ServiceAccountRef,
}

impl Query for AccountUid {
    type Answer = Result<Option<String>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let Self { cluster, account } = self;
        let connection = servers.way_to(cluster)?;
        let accounts: Api<ServiceAccount> = Api::namespaced(connection.client(), &account.namespace);
        match accounts.get_opt(&account.name).await {
            Ok(found) => Ok(found.map(|account| account.metadata.uid.unwrap_or_default())),
            Err(error) => Err(connection.refused(&format!("the service account {account}"), error).into()),
        }
    }
}

/// The labels of a namespace; `None` where it isn't there.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NamespaceLabels {
    pub(crate) cluster: ClusterName,
    pub(crate) namespace: String,
}

impl Query for NamespaceLabels {
    type Answer = Result<Option<BTreeMap<String, String>>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let connection = servers.way_to(&self.cluster)?;
        let namespaces: Api<Namespace> = Api::all(connection.client());
        match namespaces.get_opt(&self.namespace).await {
            Ok(found) => Ok(found.map(|namespace| namespace.metadata.labels.unwrap_or_default())),
            Err(error) => Err(connection.refused(&format!("the namespace {}", self.namespace), error).into()),
        }
    }
}

/// The namespaces, each with its labels.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Namespaces {
    pub(crate) cluster: ClusterName,
}

impl Query for Namespaces {
    type Answer = Result<BTreeMap<String, Labels>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        Ok(cluster::namespaces(servers.way_to(&self.cluster)?).await?)
    }
}

/// The service accounts of a namespace, or the first of all.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Accounts {
    pub(crate) cluster: ClusterName,
    pub(crate) namespace: Option<String>,
}

impl Query for Accounts {
    type Answer = Result<Vec<ServiceAccountRef>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        cluster::service_accounts(servers.way_to(&self.cluster)?, self.namespace.as_deref()).await
    }
}

/// What there is of a reviewer.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReviewersObjects {
    pub(crate) cluster: ClusterName,
    /// For which mount: each has a reviewer of its own.
    pub(crate) mount: crate::names::MountPath,
    #[serde(skip)]
    pub(crate) reviewer: Reviewer,
}

impl Query for ReviewersObjects {
    type Answer = Result<ObservedReviewer>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        observe_reviewer(servers.way_to(&self.cluster)?, &self.reviewer).await
    }
}

/// The service accounts that may review tokens.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DelegatedReviewers {
    pub(crate) cluster: ClusterName,
}

impl Query for DelegatedReviewers {
    type Answer = Result<BTreeSet<String>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        cluster::delegated_reviewers(servers.way_to(&self.cluster)?).await
    }
}

/// The labels that Vault's and OpenBao's charts give to the server's pods.
pub(crate) const VAULTS_PODS: &str = "app.kubernetes.io/name in (vault, openbao), component=server";

/// The service accounts that the pods of a Vault in the cluster run as.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct AccountsOfVaultsPods {
    pub(crate) cluster: ClusterName,
}

impl Query for AccountsOfVaultsPods {
    type Answer = Result<Vec<ServiceAccountRef>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let connection = servers.way_to(&self.cluster)?;
        let pods: Api<Pod> = Api::all(connection.client());
        let found = pods.list(&ListParams::default().labels(VAULTS_PODS)).await;
        let found = found.map_err(|error| connection.refused("the pods of Vault", error))?;
        let account = |pod: Pod| {
            let name = pod.spec?.service_account_name.unwrap_or_else(|| "default".to_owned());
            format!("{}/{name}", pod.metadata.namespace?).parse().ok()
        };
        let accounts: BTreeSet<ServiceAccountRef> = found.items.into_iter().filter_map(account).collect();
        Ok(accounts.into_iter().collect())
    }
}

/// Whether a service account may do something; `None` where nobody says.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct May {
    pub(crate) cluster: ClusterName,
    pub(crate) account: ServiceAccountRef,
    pub(crate) what: ResourceAttributes,
}

impl Query for May {
    type Answer = Option<bool>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        cluster::may(servers.cluster(&self.cluster)?, &self.account, self.what.clone()).await
    }
}

/// What the API server calls whoever runs this; servers before 1.28 don't say.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WhoAmI {
    pub(crate) cluster: ClusterName,
}

impl Query for WhoAmI {
    type Answer = Option<String>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let reviews: Api<SelfSubjectReview> = Api::all(servers.cluster(&self.cluster)?.client());
        let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.ok()?;
        review.status?.user_info?.username
    }
}

/// A Deployment, as far as it says whether it works.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Replicas {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) wanted: i32,
    pub(crate) ready: i32,
}

/// The Deployments with a label.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Deployments {
    pub(crate) cluster: ClusterName,
    pub(crate) label: &'static str,
}

impl Query for Deployments {
    type Answer = Result<Vec<Replicas>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let connection = servers.way_to(&self.cluster)?;
        let deployments: Api<Deployment> = Api::all(connection.client());
        let listed = deployments.list(&ListParams::default().labels(self.label)).await;
        let refused = |error| Error::from(connection.refused("listing Deployments", error));
        let listed = listed.map_err(refused)?;
        let replicas = |deployment: Deployment| Replicas {
            namespace: deployment.metadata.namespace.unwrap_or_default(),
            name: deployment.metadata.name.unwrap_or_default(),
            wanted: deployment.spec.and_then(|spec| spec.replicas).unwrap_or(1),
            ready: deployment.status.and_then(|status| status.ready_replicas).unwrap_or_default(),
        };
        Ok(listed.items.into_iter().map(replicas).collect())
    }
}

/// The keys of a Secret; `None` where it isn't there.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SecretKeys {
    pub(crate) cluster: ClusterName,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Query for SecretKeys {
    type Answer = Result<Option<Vec<String>>>;

    async fn ask(&self, servers: &Servers) -> Self::Answer {
        let connection = servers.way_to(&self.cluster)?;
        let secrets: Api<Secret> = Api::namespaced(connection.client(), &self.namespace);
        let what = format!("Secret {}/{}", self.namespace, self.name);
        let found = secrets.get_opt(&self.name).await;
        let found = found.map_err(|error| Error::from(connection.refused(&what, error)))?;
        Ok(found.map(|found| found.data.unwrap_or_default().into_keys().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_header_is_a_time() {
        assert_eq!(rfc2822::parse("Sun, 06 Nov 1994 08:49:37 GMT").unwrap().timestamp().as_second(), 784_111_777);
    }
}
