//! The role of the kubernetes method, tokens that review themselves, and what the login may do.

use lab::Kubernetes;
use serde_json::json;

use super::entry::{entry, run};
use super::setup::{API_AUDIENCE, Setup, Shape};

fn kubernetes() -> Shape {
    Shape { kubernetes: true, ..Shape::default() }
}

fn flags() -> Shape {
    Shape { flags: true, ..kubernetes() }
}

/// The token that logs in reviews itself.
fn client() -> Shape {
    Shape { reviewer: Some("client"), prepare: Some(may_review), ..kubernetes() }
}

fn client_flags() -> Shape {
    Shape { flags: true, ..client() }
}

const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";

fn may_review(cluster: &Kubernetes, namespace: &str) {
    let group = "rbac.authorization.k8s.io";
    let body = json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": { "name": namespace },
        "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": "system:auth-delegator" },
        "subjects": [{ "kind": "ServiceAccount", "namespace": namespace, "name": "app" }],
    });
    assert_eq!(cluster.post(BINDINGS, &body).0, 201);
}

fn may_not_review(setup: &mut Setup) {
    setup.cluster().delete(&format!("{BINDINGS}/{}", setup.namespace));
}

fn no_role(setup: &mut Setup) {
    setup.vault().delete(&format!("auth/{}/role/r-app", setup.mount));
}

fn no_audience(setup: &mut Setup) {
    setup.role(json!({ "audience": "" }));
}

fn other_name(setup: &mut Setup) {
    setup.role(json!({ "bound_service_account_names": ["other"] }));
}

fn other_namespace(setup: &mut Setup) {
    setup.role(json!({ "bound_service_account_namespaces": ["elsewhere"] }));
}

fn wider(setup: &mut Setup) {
    let (names, namespaces) = (["app", "db"], [setup.namespace.as_str(), "elsewhere"]);
    setup.role(json!({ "bound_service_account_names": names, "bound_service_account_namespaces": namespaces }));
}

fn pattern(setup: &mut Setup) {
    setup.role(json!({ "bound_service_account_names": ["*"] }));
}

fn other_audience(setup: &mut Setup) {
    setup.role(json!({ "audience": "https://elsewhere" }));
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// Lets the reviewer of the lab read the labels of namespaces.
pub fn may_get_namespaces(cluster: &Kubernetes, namespace: &str) {
    let name = format!("{namespace}-namespaces");
    let role = json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole", "metadata": { "name": name },
        "rules": [{ "apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"] }],
    });
    let binding = json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRoleBinding", "metadata": { "name": name },
        "roleRef": { "apiGroup": RBAC, "kind": "ClusterRole", "name": name },
        "subjects": [{ "kind": "ServiceAccount", "namespace": format!("{namespace}-review"), "name": "vault-auth" }],
    });
    assert_eq!(cluster.post(&format!("/apis/{RBAC}/v1/clusterroles"), &role).0, 201);
    assert_eq!(cluster.post(BINDINGS, &binding).0, 201);
}

fn labels() -> Shape {
    Shape { prepare: Some(may_get_namespaces), ..flags() }
}

/// Takes namespaces by their labels alone.
fn by_labels(setup: &Setup, name: &str) {
    let selector = json!({ "matchLabels": { "kubernetes.io/metadata.name": name } }).to_string();
    setup.role(json!({ "bound_service_account_namespaces": [], "bound_service_account_namespace_selector": selector }));
}

#[test]
fn whom_the_role_takes() {
    run(
        "the kubernetes role",
        &[
            entry("role missing", kubernetes, no_role, "VK401", &["no role r-app"]),
            entry("role missing (flags)", flags, no_role, "VK401", &["no role r-app"])
                .filled("POLICY", |setup| setup.policy.clone()),
            entry("bound to another name", kubernetes, other_name, "VK412", &["other in"]),
            entry("bound to another name (flags)", flags, other_name, "VK412", &["other in"]).second_remedy(),
            entry("bound to another namespace", kubernetes, other_namespace, "VK412", &["elsewhere"]),
            entry("bound to another namespace (flags)", flags, other_namespace, "VK412", &["elsewhere"])
                .second_remedy(),
            entry("names × namespaces are wider than meant", kubernetes, wider, "VK415", &["elsewhere/app", "/db"]),
            entry("no audience on the role", kubernetes, no_audience, "VK415", &["names no audience"]),
            entry("no audience on the role (flags)", flags, no_audience, "VK415", &["names no audience"])
                .second_remedy(),
            entry("another audience", kubernetes, other_audience, "VK411", &["https://elsewhere", API_AUDIENCE]),
            entry("another audience (flags)", flags, other_audience, "VK411", &["https://elsewhere"]).second_remedy(),
            entry(
                "bound to other addresses",
                kubernetes,
                |setup| setup.role(json!({ "token_bound_cidrs": ["10.9.8.0/24"] })),
                "VK414",
                &["10.9.8.0/24"],
            ),
            entry(
                "service account missing",
                kubernetes,
                |setup| {
                    setup.cluster().delete(&setup.account());
                },
                "VK403",
                &["does not exist"],
            )
            .patiently(),
            entry(
                "policy missing",
                kubernetes,
                |setup| {
                    setup.vault().delete(&format!("sys/policies/acl/{}", setup.policy));
                },
                "VK502",
                &["doesn't exist"],
            ),
            entry(
                "account deleted and made anew, with a token of the first (flags)",
                flags,
                |setup| {
                    let token = setup.cluster().token(&setup.namespace, "app", &[], 600);
                    setup.cluster().delete(&setup.account());
                    setup.cluster().service_account(&setup.namespace, "app");
                    setup.write_file("token", &token);
                    setup.option("--jwt-file", Some("token"));
                },
                "VK421",
                &["deleted, and made anew"],
            )
            .person(|setup| {
                let token = setup.cluster().token(&setup.namespace, "app", &[], 600);
                setup.write_file("token", &token);
            }),
            entry(
                "labels that the reviewer may not read (flags)",
                flags,
                |setup| by_labels(setup, &setup.namespace),
                "VK412",
                &["may not get namespaces", "matchLabels"],
            )
            .patiently(),
            entry(
                "a namespace of other labels (flags)",
                labels,
                |setup| by_labels(setup, "elsewhere"),
                "VK412",
                &["other labels", "kubernetes.io/metadata.name=app-", "matchLabels"],
            )
            .second_remedy(),
            entry(
                "namespaces by their labels, which no file asks for",
                kubernetes,
                |setup| by_labels(setup, &setup.namespace),
                "VK415",
                &["namespaces with the labels"],
            ),
            entry("bound by a pattern", kubernetes, pattern, "VK415", &["whoever matches"]),
            entry("bound by a pattern (flags)", flags, pattern, "VK415", &["whoever matches"]).second_remedy(),
            entry("one use", kubernetes, |setup| setup.role(json!({ "token_num_uses": 1 })), "VK702", &["once"]),
            entry("one use (flags)", flags, |setup| setup.role(json!({ "token_num_uses": 1 })), "VK702", &["once"]),
        ],
    );
}

#[test]
fn tokens_that_review_themselves() {
    run(
        "tokens that review themselves",
        &[
            entry("without auth-delegator", client, may_not_review, "VK423", &["may not review"]).patiently(),
            entry("without auth-delegator (flags)", client_flags, may_not_review, "VK423", &["may not"]).patiently(),
            entry(
                "a custom audience (flags)",
                client_flags,
                |setup| {
                    setup.role(json!({ "audience": "custom" }));
                    setup.option("--audience", Some("custom"));
                },
                "VK423",
                &["does not know the token itself"],
            )
            .person(|setup| {
                setup.role(json!({ "audience": API_AUDIENCE }));
                setup.option("--audience", None);
            }),
        ],
    );
}

#[test]
fn two_at_once() {
    run(
        "two faults at once (kubernetes)",
        &[entry(
            "the reviewer's binding, and the role's account",
            kubernetes,
            |setup| {
                setup.cluster().delete(&format!("{BINDINGS}/{}-review", setup.namespace));
                other_name(setup);
            },
            "VK324",
            &["auth-delegator"],
        )
        .also(&["VK412"])
        // Until the API server notices, the reviewer may still review, and the role's account is all that is wrong.
        .patiently_after(&["VK412"])],
    );
}

/// Without a file nobody said which of the pairs are meant: one that this tool wrote looks like that as well.
#[test]
fn pairs_of_which_nobody_said_that_they_are_not_meant_are_a_warning() {
    let mut setup = Setup::new(flags());
    wider(&mut setup);
    let (code, said, all) = setup.verify();
    let cause = said["causes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|cause| cause["id"] == "VK415")
        .unwrap_or_else(|| panic!("{all}"));
    assert_eq!((code, cause["status"].as_str()), (0, Some("warning")), "{all}");
    assert!(cause["detail"].as_str().unwrap().contains("in each of"), "{cause}");
}
