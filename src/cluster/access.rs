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

/// Getting namespaces, all of them or one, as a question of access.
pub(crate) fn getting_namespaces(name: Option<&str>) -> ResourceAttributes {
    ResourceAttributes {
        verb: Some("get".to_owned()),
        resource: Some("namespaces".to_owned()),
        namespace: name.map(str::to_owned),
        name: name.map(str::to_owned),
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

/// What nobody needs who reviews tokens, as people say it and as questions, any of which will do: verb, API group, resource,
/// subresource.
const POWERS: &[(&str, &[[&str; 4]])] = &[
    (ANYTHING, &[["*", "*", "*", ""]]),
    ("read the Secrets of all namespaces", &[["get", "", "secrets", ""]]),
    ("list the Secrets of all namespaces", &[["list", "", "secrets", ""], ["watch", "", "secrets", ""]]),
    // The API server fills a Secret of the right type with a token.
    (
        "make tokens of any service account",
        &[["create", "", "serviceaccounts", "token"], ["create", "", "secrets", ""]],
    ),
    ("impersonate anybody", &[["impersonate", "", "users", ""]]),
    ("impersonate any service account", &[["impersonate", "", "serviceaccounts", ""]]),
    ("impersonate any group", &[["impersonate", "", "groups", ""]]),
    (
        "bind anybody to roles of the cluster",
        &[
            ["create", RBAC, "clusterrolebindings", ""],
            ["update", RBAC, "clusterrolebindings", ""],
            ["patch", RBAC, "clusterrolebindings", ""],
        ],
    ),
    (
        "bind anybody to roles in any namespace",
        &[
            ["create", RBAC, "rolebindings", ""],
            ["update", RBAC, "rolebindings", ""],
            ["patch", RBAC, "rolebindings", ""],
        ],
    ),
    (
        "change what roles of the cluster give",
        &[
            ["update", RBAC, "clusterroles", ""],
            ["patch", RBAC, "clusterroles", ""],
            ["escalate", RBAC, "clusterroles", ""],
        ],
    ),
    ("run pods in any namespace", &[["create", "", "pods", ""]]),
    (
        "run pods in any namespace by what makes them",
        &[
            ["create", "apps", "deployments", ""],
            ["patch", "apps", "deployments", ""],
            ["update", "apps", "deployments", ""],
            ["create", "apps", "daemonsets", ""],
            ["patch", "apps", "daemonsets", ""],
            ["update", "apps", "daemonsets", ""],
            ["create", "apps", "statefulsets", ""],
            ["patch", "apps", "statefulsets", ""],
            ["create", "apps", "replicasets", ""],
            ["create", "batch", "jobs", ""],
            ["create", "batch", "cronjobs", ""],
            ["patch", "batch", "cronjobs", ""],
            ["create", "", "replicationcontrollers", ""],
        ],
    ),
    (
        "run commands in any pod",
        &[
            ["create", "", "pods", "exec"],
            ["get", "", "pods", "exec"],
            ["create", "", "pods", "attach"],
            ["get", "", "pods", "attach"],
            ["patch", "", "pods", "ephemeralcontainers"],
            ["update", "", "pods", "ephemeralcontainers"],
        ],
    ),
    ("reach the kubelet of any node", &[["get", "", "nodes", "proxy"], ["create", "", "nodes", "proxy"]]),
    (
        "approve certificates for anybody",
        &[
            ["update", CERTIFICATES, "certificatesigningrequests", "approval"],
            ["patch", CERTIFICATES, "certificatesigningrequests", "approval"],
        ],
    ),
    (
        "see and change what is written to the API server",
        &[
            ["create", ADMISSION, "mutatingwebhookconfigurations", ""],
            ["patch", ADMISSION, "mutatingwebhookconfigurations", ""],
            ["update", ADMISSION, "mutatingwebhookconfigurations", ""],
            ["create", ADMISSION, "validatingwebhookconfigurations", ""],
        ],
    ),
];

const RBAC: &str = "rbac.authorization.k8s.io";
const CERTIFICATES: &str = "certificates.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

/// How many questions the API server is asked at once.
const AT_ONCE: usize = 8;

/// The first of them, which has all others in it.
const ANYTHING: &str = "do anything in the whole cluster";

/// What a service account may do that nobody needs who reviews tokens; `None` where that may not be asked.
pub(crate) async fn powers(connection: &Connection, account: &ServiceAccountRef) -> Option<Vec<String>> {
    let mut questions: Vec<Question> = Vec::new();
    for (power, any) in POWERS {
        questions.extend(any.iter().map(|one| (*power, *one)));
    }
    let mut has: Vec<&str> = Vec::new();
    for some in questions.chunks(AT_ONCE) {
        let mut asked = Vec::new();
        for question in some {
            asked.push(has_power(connection, account, *question));
        }
        for answer in futures::future::join_all(asked).await {
            has.extend(answer?);
        }
    }
    // In the order of the table, so that what is there twice is side by side.
    has.dedup();
    let has = if has.contains(&ANYTHING) { vec![ANYTHING] } else { has };
    Some(has.into_iter().map(str::to_owned).collect())
}

/// One question about a power.
type Question = (&'static str, [&'static str; 4]);

async fn has_power(
    connection: &Connection,
    account: &ServiceAccountRef,
    (power, [verb, group, resource, subresource]): Question,
) -> Option<Option<&'static str>> {
    let some = |text: &str| Some(text.to_owned());
    let what = ResourceAttributes {
        verb: some(verb),
        group: some(group),
        resource: some(resource),
        subresource: some(subresource),
        ..ResourceAttributes::default()
    };
    Some(may(connection, account, what).await?.then_some(power))
}
