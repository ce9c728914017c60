//! A real cluster behind a stand-in (`--cluster-from-context`): its issuer, its keys, the tokens of its service accounts, and its
//! word on them. Nothing there is changed: tokens and reviews are answers, and no objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::try_join_all;
use k8s_openapi::api::authentication::v1::TokenReview;
use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::{Api, PostParams};
use serde_json::Value;

use crate::cluster::{
    Connection, KubeSettings, ServiceAccountToken, creating_token_reviews, discovery, jwks_text, request_token,
    service_accounts,
};
use crate::config::{self, ClusterSource, Config, Method};
use crate::error::{Error, Result};
use crate::names::{Audience, ClusterName, ServiceAccountRef};

/// How long the tokens live, in seconds: the least that an API server gives.
const TOKEN_SECONDS: i64 = 600;

/// A cluster that answers for itself.
pub(super) struct RealCluster {
    connection: Connection,
    /// The `iss` of its tokens; empty where it could not be read and nothing needs it.
    pub(super) issuer: String,
    /// Its keys; `Null` where nothing needs them.
    pub(super) jwks: Value,
}

/// Opens those clusters of a configuration that can be reached.
///
/// # Errors
/// When one of them can't, or these credentials may not do there what a rehearsal needs.
pub(super) async fn open(config: &Config, kube: &KubeSettings) -> Result<BTreeMap<ClusterName, Arc<RealCluster>>> {
    let reachable = || {
        config
            .clusters
            .iter()
            .filter(|cluster| !matches!(cluster.source, ClusterSource::Files { .. } | ClusterSource::Issuer { .. }))
    };
    kube.check_override_for(reachable())?;
    let opened = try_join_all(reachable().map(async |cluster| {
        let opened = RealCluster::open(cluster, kube).await;
        let opened = opened.map_err(|error| error.context(format!("cluster {} can't be used", cluster.name)))?;
        Ok::<_, Error>((cluster.name.clone(), Arc::new(opened)))
    }));
    Ok(opened.await?.into_iter().collect())
}

impl RealCluster {
    async fn open(cluster: &config::Cluster, kube: &KubeSettings) -> Result<Self> {
        let connection = Connection::open(&cluster.source, kube).await?;
        if matches!(cluster.auth.method, Method::Kubernetes(_)) {
            may_review(&connection).await?;
            // Only for the report: Vault asks for reviews and not for the issuer, which not everybody may read.
            let issuer = discovery(&connection).await.map(|found| found.issuer).unwrap_or_default();
            return Ok(Self { connection, issuer, jwks: Value::Null });
        }
        let (discovery, jwks) = tokio::try_join!(discovery(&connection), jwks_text(&connection))?;
        let jwks = serde_json::from_str(&jwks).map_err(|error| {
            Error::failed(format!("the keys of {} are no JSON", connection.server())).because(error)
        })?;
        Ok(Self { connection, issuer: discovery.issuer, jwks })
    }

    /// Its API server's URL.
    pub(super) fn server(&self) -> &str {
        self.connection.server()
    }

    /// A token as a consumer would get it.
    pub(super) async fn token(&self, account: &ServiceAccountRef, asked: &[Audience]) -> Result<ServiceAccountToken> {
        request_token(&self.connection, account, asked, TOKEN_SECONDS).await
    }

    /// The service accounts of a namespace, or of all.
    pub(super) async fn accounts(&self, namespace: Option<&str>) -> Result<Vec<ServiceAccountRef>> {
        service_accounts(&self.connection, namespace).await
    }

    /// What it says of a token: the answer's document.
    pub(super) async fn review(&self, review: &Value) -> Result<Value> {
        let asked: TokenReview = serde_json::from_value(review.clone())
            .map_err(|error| Error::failed("the review that was asked for is none").because(error))?;
        let reviews: Api<TokenReview> = Api::all(self.connection.client());
        let answer = reviews.create(&PostParams::default(), &asked).await;
        let answer = answer.map_err(|error| self.connection.refused("a token review", error))?;
        serde_json::to_value(&answer).map_err(|error| Error::failed("a review has no JSON form").because(error))
    }
}

/// Refuses credentials that may not ask for reviews: Vault would say `permission denied`, and nothing else.
async fn may_review(connection: &Connection) -> Result<()> {
    let question = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(creating_token_reviews()),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answers: Api<SelfSubjectAccessReview> = Api::all(connection.client());
    let answer = answers.create(&PostParams::default(), &question).await;
    let answer = answer.map_err(|error| connection.refused("what these credentials may do", error))?;
    if answer.status.is_some_and(|status| status.allowed) {
        return Ok(());
    }
    Err(Error::failed(format!("these credentials may not ask {} for token reviews", connection.server()))
        .remedy("use credentials that may `create` `tokenreviews`, such as those of `system:auth-delegator`")
        .remedy("or leave --cluster-from-context away: stand-ins need no cluster"))
}
