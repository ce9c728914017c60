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
