//! Who may do what in the cluster, as the API server says.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::api::{Api, PostParams};

use super::connect::Connection;
use crate::names::ServiceAccountRef;

/// Creating token reviews, as a question of access (`authorization.k8s.io`).
pub(crate) fn creating_token_reviews() -> ResourceAttributes {
    ResourceAttributes {
        group: Some("authentication.k8s.io".to_owned()),
        resource: Some("tokenreviews".to_owned()),
        verb: Some("create".to_owned()),
        ..ResourceAttributes::default()
    }
}

/// Whether a service account may do something (`POST subjectaccessreviews`); `None` where that may not be asked.
pub(crate) async fn may(
    connection: &Connection,
    account: &ServiceAccountRef,
    what: ResourceAttributes,
) -> Option<bool> {
    let of_namespace = format!("system:serviceaccounts:{}", account.namespace);
    let groups = ["system:serviceaccounts", &of_namespace, "system:authenticated"];
    let spec = SubjectAccessReviewSpec {
        user: Some(account.subject()),
        groups: Some(groups.map(str::to_owned).into()),
        resource_attributes: Some(what),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let reviews: Api<SubjectAccessReview> = Api::all(connection.client());
    Some(reviews.create(&PostParams::default(), &review).await.ok()?.status?.allowed)
}

/// What nobody needs who reviews tokens, as people say it and as a question: verb, API group, resource, subresource.
const POWERS: &[(&str, [&str; 4])] = &[
    (ANYTHING, ["*", "*", "*", ""]),
    ("read the Secrets of all namespaces", ["get", "", "secrets", ""]),
    ("list the Secrets of all namespaces", ["list", "", "secrets", ""]),
    ("make tokens of any service account", ["create", "", "serviceaccounts", "token"]),
    ("impersonate anybody", ["impersonate", "", "users", ""]),
    ("bind anybody to roles of the cluster", ["create", "rbac.authorization.k8s.io", "clusterrolebindings", ""]),
    ("run pods in any namespace", ["create", "", "pods", ""]),
];

/// The first of them, which has all others in it.
const ANYTHING: &str = "do anything in the whole cluster";

/// What a service account may do that nobody needs who reviews tokens; `None` where that may not be asked.
pub(crate) async fn powers(connection: &Connection, account: &ServiceAccountRef) -> Option<Vec<&'static str>> {
    let asked = POWERS.iter().map(async |(power, [verb, group, resource, subresource])| {
        let some = |text: &str| Some(text.to_owned());
        let what = ResourceAttributes {
            verb: some(verb),
            group: some(group),
            resource: some(resource),
            subresource: some(subresource),
            ..ResourceAttributes::default()
        };
        Some(may(connection, account, what).await?.then_some(*power))
    });
    let has: Option<Vec<Option<&str>>> = futures::future::join_all(asked).await.into_iter().collect();
    let has: Vec<&str> = has?.into_iter().flatten().collect();
    Some(if has.contains(&ANYTHING) { vec![ANYTHING] } else { has })
}
